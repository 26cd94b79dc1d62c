#!/usr/bin/env bash
# Sees to it that this machine has what `make demo` or `make test` need.
# Where it may (root, and CI=true or BEANLINE_SETUP=1), it installs what is missing from the distribution's packages and
# starts a docker engine if none answers; else it says in one line what to type. A Rust toolchain is assumed.
# usage: scripts/setup.sh demo|test
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

purpose=${1:-demo}
may_install=no
if [ "$(id -u)" = 0 ] && { [ "${CI:-}" = true ] || [ "${BEANLINE_SETUP:-}" = 1 ]; }; then
    may_install=yes
fi
install_log=${TMPDIR:-/tmp}/beanline-setup.log
engine_log=${TMPDIR:-/tmp}/beanline-dockerd.log
seconds_for_engine=90

# The one line for somebody whose machine we leave alone.
ask_to_install() { # what is missing, packages
    if [ "$(id -u)" = 0 ]; then
        die "$1; type: BEANLINE_SETUP=1 make $purpose"
    fi
    die "$1; type: sudo apt-get update && sudo apt-get install -y $2"
}

apt_is_fresh=no
refresh_apt() {
    [ "$apt_is_fresh" = no ] || return 0
    apt-get -o Acquire::Retries=3 update >> "$install_log" 2>&1 || say "apt-get update had errors, see $install_log"
    apt_is_fresh=yes
}

install() { # packages
    command -v apt-get > /dev/null || die "this is not Debian or Ubuntu: install $* by hand"
    say "installing $*"
    refresh_apt
    DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 install -y --no-install-recommends "$@" \
        >> "$install_log" 2>&1 || {
        tail -n 5 "$install_log" >&2
        die "the packages $* could not be installed, see $install_log"
    }
}

has() {
    command -v "$1" > /dev/null 2>&1
}

has_static_libc() {
    has cc && [ "$(cc -print-file-name=libc.a)" != libc.a ]
}

# Tests put it into images that hold nothing else, so one that needs libraries will not do.
has_static_busybox() {
    [ -x /bin/busybox ] && ! ldd /bin/busybox > /dev/null 2>&1
}

check_rust() {
    has cargo || die "cargo is not in PATH: a Rust toolchain is assumed; see https://rustup.rs"
    [ "$purpose" = demo ] && return
    { cargo fmt --version && cargo clippy --version; } > /dev/null 2>&1 ||
        die "rustfmt or clippy is missing; type: rustup component add rustfmt clippy"
}

check_packages() {
    local missing=()
    has git || missing+=(git)
    has docker || missing+=(docker.io)
    has_static_libc || missing+=(gcc libc6-dev)
    [ -s /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    if [ "$purpose" = test ]; then
        # A virtual environment needs pip's own wheel, which Debian keeps in a package of its own.
        { has python3 && python3 -c 'import ensurepip, venv'; } 2> /dev/null || missing+=(python3 python3-venv)
        has_static_busybox || missing+=(busybox-static)
    fi
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$may_install" = yes ] || ask_to_install "missing: ${missing[*]}" "${missing[*]}"
    install "${missing[@]}"
    # Newer releases have the engine and its client in two packages.
    has docker || install docker-cli
}

# Debian's registry, for the comparison with ours. It is unpacked and not installed, since its package starts a service.
unpack_registry() {
    has docker-registry && return
    local tools
    tools=$(target_directory)/tools
    [ -x "$tools/usr/bin/docker-registry" ] && return
    [ "$may_install" = no ] || refresh_apt
    say "unpacking docker-registry into $tools"
    mkdir -p "$tools"
    (cd "$tools" && apt-get -qq -o APT::Sandbox::User=root download docker-registry &&
        dpkg-deb --extract docker-registry_*.deb . && rm -f docker-registry_*.deb) >> "$install_log" 2>&1 ||
        die "docker-registry could not be downloaded; type: sudo apt-get update"
}

engine_answers() {
    docker version --format '{{.Server.Version}}' > /dev/null 2>&1
}

start_engine() {
    local process=
    if [ -d /run/systemd/system ]; then
        say "starting the docker engine: systemctl start docker"
        systemctl start docker >> "$install_log" 2>&1 || die "systemctl start docker: see journalctl -u docker"
    else
        has dockerd || install docker.io
        setsid nohup dockerd > "$engine_log" 2>&1 < /dev/null &
        process=$!
        say "starting the docker engine: dockerd, log $engine_log"
    fi
    local waited=0
    until engine_answers; do
        if [ "$waited" -ge "$seconds_for_engine" ] || { [ -n "$process" ] && ! kill -0 "$process" 2> /dev/null; }; then
            [ ! -s "$engine_log" ] || tail -n 5 "$engine_log" >&2
            die "the docker engine did not start within $waited s"
        fi
        sleep 1
        waited=$((waited + 1))
    done
    [ -z "$process" ] || say "the docker engine stays up after this; to stop it: kill $process"
}

check_engine() {
    engine_answers && return
    local answer
    answer=$(docker version --format '{{.Server.Version}}' 2>&1 || true)
    case $answer in
        *"permission denied"*)
            die "you may not use the docker engine; type: sudo usermod -aG docker $(id -un) && newgrp docker" ;;
    esac
    [ -z "${DOCKER_HOST:-}" ] || die "no docker engine answers at DOCKER_HOST=$DOCKER_HOST"
    if [ "$may_install" = no ]; then
        [ "$(id -u)" != 0 ] || die "no docker engine answers; type: BEANLINE_SETUP=1 make $purpose"
        die "no docker engine answers; type: sudo apt-get install -y docker.io && sudo systemctl start docker"
    fi
    start_engine
}

check_rootfs() {
    [ ! -s "$root/examples/hello/rootfs.tar" ] || return 0
    [ "$may_install" = no ] || refresh_apt
    say "making the example's base from the distribution's packages"
    "$root/examples/hello/rootfs.sh"
}

# A real database and a real cache, for the tests of services.
unpack_services() {
    local services
    services=$(target_directory)/services
    [ -s "$services/postgres.tar" ] && [ -s "$services/redis.tar" ] && return
    [ "$may_install" = no ] || refresh_apt
    say "making PostgreSQL and Redis in $services from the distribution's packages"
    "$root/tests/services/rootfs.sh" "$services"
}

check_rust
check_packages
[ "$purpose" = demo ] || unpack_registry
[ "$purpose" = demo ] || unpack_services
check_engine
check_rootfs
say "ready: $(rustc --version), docker engine $(docker version --format '{{.Server.Version}}')"
