#!/usr/bin/env bash
# Builds beanline's own image from a binary that is there already.
# usage: scripts/image.sh [NAME:TAG] [debug|release]     (or BINARY=path scripts/image.sh NAME:TAG)
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

name=${1:-beanline:dev}
profile=${2:-debug}
certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}

binary=${BINARY:-$(binary_path "$profile")}
[ -x "$binary" ] || die "$binary is not there; type: cargo build$([ "$profile" = debug ] || echo " --$profile")"
[ -s "$certificates" ] || die "$certificates is not there; type: sudo apt-get install -y ca-certificates"

# A directory with nothing else in it: the target directory holds gigabytes that must not travel to the engine.
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cp "$certificates" "$stage/ca-certificates.crt"
# Debugging information is most of a development binary.
strip --strip-debug -o "$stage/beanline" "$binary" 2> /dev/null || cp "$binary" "$stage/beanline"

docker build --quiet --file "$root/Dockerfile" --tag "$name" \
    --build-arg VERSION="$("$binary" --version | awk '{print $NF}')" \
    --build-arg REVISION="$(git -C "$root" rev-parse HEAD 2> /dev/null || echo unknown)" "$stage"
