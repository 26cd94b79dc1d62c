#!/usr/bin/env bash
# Builds beanline's own image from a binary that is there already.
# usage: scripts/image.sh [NAME:TAG] [debug|release|image]     (or BINARY=path scripts/image.sh NAME:TAG)
#        scripts/image.sh --layout DIRECTORY [PROFILE]         only lays out what the image holds
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

layout=
if [ "${1:-}" = --layout ]; then
    layout=${2:?a directory}
    shift
fi
name=${1:-beanline:dev}
profile=${2:-debug}
certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}

binary=${BINARY:-$(binary_path "$profile")}
[ -x "$binary" ] || die "$binary is not there; type: cargo build$([ "$profile" = debug ] || echo " --profile $profile")"
[ -s "$certificates" ] || die "$certificates is not there; type: sudo apt-get install -y ca-certificates"

lay_out() { # directory
    mkdir -p "$1/etc/ssl/certs"
    cp "$certificates" "$1/etc/ssl/certs/ca-certificates.crt"
    # Debugging information is most of a development binary.
    strip --strip-debug -o "$1/beanline" "$binary" 2> /dev/null || cp "$binary" "$1/beanline"
    # GitHub runs the post step by another name of the same binary.
    ln -s beanline "$1/beanline-post"
    chmod 755 "$1" "$1/beanline"
    chmod 644 "$1/etc/ssl/certs/ca-certificates.crt"
}

if [ -n "$layout" ]; then
    lay_out "$layout"
    exit
fi

# A directory with nothing else in it: the target directory holds gigabytes that must not travel to the engine.
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
lay_out "$stage/rootfs"

docker build --quiet --file "$root/Dockerfile" --target binary --tag "$name" \
    --build-arg VERSION="$("$binary" --version | awk '{print $NF}')" \
    --build-arg REVISION="$(git -C "$root" rev-parse HEAD 2> /dev/null || echo unknown)" "$stage"
