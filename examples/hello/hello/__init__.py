"""A small service that greets people in their own language."""
