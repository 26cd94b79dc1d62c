#!/bin/sh
# A cache in a container. Nothing is kept on disk.
set -eu
exec redis-server --save '' --appendonly no --protected-mode no "$@"
