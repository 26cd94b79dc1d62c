#!/usr/bin/env bash
# Everything that must hold before a change lands: format, lints, unit tests, and the real binary against the local
# cloud and a real docker engine. With CI=true as root it also sets the machine up; see scripts/setup.sh.
# usage: make test
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$root"

begin=$SECONDS
scripts/setup.sh test
tools=$(target_directory)/tools/usr/bin
export PATH="$PATH:$tools"
before=$(engine_state)

say "format"
cargo fmt --check
say "lints"
cargo clippy --quiet --all-targets -- -D warnings
if command -v shellcheck > /dev/null; then
    shellcheck --external-sources scripts/*.sh examples/hello/rootfs.sh tests/services/*.sh
fi
# Tests wait more than they compute; the image's own build, which takes minutes, goes on beside them.
nice -n 19 scripts/image-binary.sh --quiet &
image=$!
trap 'kill "$image" 2> /dev/null || true' EXIT
say "tests"
cargo test
say "the image's size"
wait "$image" || die "the image's binary could not be built"
scripts/image-size.sh
say "what the docker engine holds:"
compare_engine_state "$before" || die "the tests left something behind (or something else used the engine meanwhile)"
say "all is well, after $((SECONDS - begin)) s"
