#!/usr/bin/env bash
# Writes into action.yml which image a release runs: by its digest, with the version behind it for people.
# usage: scripts/pin-image.sh ACTION_FILE VERSION DIGEST
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

[ $# = 3 ] || die "usage: scripts/pin-image.sh ACTION_FILE VERSION DIGEST"
file=$1 version=$2 digest=$3
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "$version is no version such as 1.2.3"
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || die "$digest is no digest: a tag may name something else tomorrow"

sed --in-place --regexp-extended \
    "s|^(  image: docker://ghcr\.io/beanline/beanline)[:@].*$|\1@$digest # $version|" "$file"
grep --quiet --fixed-strings "@$digest # $version" "$file" || die "$file has no line with beanline's image"
