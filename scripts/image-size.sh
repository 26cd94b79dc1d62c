#!/usr/bin/env bash
# Prints what a CI downloads for beanline's image: its layer as a release compresses it. Fails above the bound.
# usage: make image-size
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

bound=$((8 * 1024 * 1024))

"$root/scripts/image-binary.sh" --quiet
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
"$root/scripts/image.sh" --layout "$stage/rootfs" image
size=$(tar --create --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --directory "$stage/rootfs" . | gzip -9 | wc -c)
whole=$(stat --format %s "$stage/rootfs/beanline")
mebibytes() { awk -v bytes="$1" 'BEGIN { printf "%.2f MiB", bytes / 1048576 }'; }
say "the image is $(mebibytes "$size") compressed, at most $(mebibytes "$bound"); the binary alone is $(mebibytes "$whole") on disk"
[ "$size" -le "$bound" ] || die "the image has grown beyond its bound"
