"""Starts the service: python3 -m hello."""

import os
import signal
import sys

from .service import ABOUT, Service


def stop(_signal, _frame):
    """A process with the id 1 has no default for SIGTERM: without this, a stop would last until the kill."""
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
port = int(os.environ.get("PORT", "8080"))
print(f"hello {ABOUT['version']} ({ABOUT['revision']}, build {ABOUT['build_id']}) on port {port}", flush=True)
Service(("", port)).serve_forever()
