# shellcheck shell=bash
# What the other scripts share. Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# One line to the reader, told apart from what the programs say.
say() {
    printf '==> %s\n' "$*"
}

# Ends the script with one line.
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Where cargo puts things, wherever its configuration has that.
target_directory() {
    local directory
    directory=$(cd "$root" && cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    [ -n "$directory" ] || die "cargo metadata names no target directory"
    printf '%s\n' "$directory"
}

# The binary of a profile. It is built for a named target, the machine's own, even though that is the default.
binary_path() { # debug | release
    local target
    target=$(rustc -vV | sed -n 's/^host: //p')
    printf '%s/%s/%s/beanline\n' "$(target_directory)" "${CARGO_BUILD_TARGET:-$target}" "$1"
}

# Everything the engine holds, one line each, in an order that two calls share.
engine_state() {
    {
        docker ps --all --no-trunc --format 'container {{.ID}} {{.Names}} ({{.Image}})'
        docker network ls --no-trunc --format 'network {{.ID}} {{.Name}}'
        docker volume ls --format 'volume {{.Name}}'
        docker images --all --no-trunc --format 'image {{.ID}} {{.Repository}}:{{.Tag}}'
    } | LC_ALL=C sort
}

# Compares what the engine held before with what it holds now. Says both counts; false where they differ.
compare_engine_state() { # text of engine_state from before
    local before=$1 after kind
    after=$(engine_state)
    for kind in container network volume image; do
        printf '    %-10s %3d before, %3d after\n' "${kind}s" \
            "$(grep -c "^$kind " <<< "$before")" "$(grep -c "^$kind " <<< "$after")"
    done
    [ "$before" = "$after" ] && return 0
    diff <(printf '%s\n' "$before") <(printf '%s\n' "$after") | sed -n 's/^>/    left:/p; s/^</    gone:/p'
    return 1
}
