#!/usr/bin/env bash
# Builds the binary that goes into beanline's image, for a machine like this one. It is pulled at every job, so besides
# the profile's own settings it has its relocations in short form (DT_RELR), which saves a tenth of a megabyte.
# usage: scripts/image-binary.sh [further arguments of cargo build]
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$root"

target=$(rustc -vV | sed -n 's/^host: //p')
# Cargo adds them to those of .cargo/config.toml.
flags='"-C", "link-arg=-Wl,-z,pack-relative-relocs"'
exec cargo build --profile image --bin beanline --config "target.$target.rustflags = [$flags]" "$@"
