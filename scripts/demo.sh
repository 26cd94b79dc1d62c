#!/usr/bin/env bash
# The whole main job on this machine, twice: a first deployment of examples/hello, then a second commit that goes
# blue-green while requests keep coming in. Nothing of it is left at the end; KEEP=1 leaves it running.
# usage: make demo, or: KEEP=1 make demo
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

old_version=1.0.0
new_version=1.1.0
live_name=http://hello.local.elasticbeanstalk.com/
seconds_for_first_answer=30

"$root/scripts/setup.sh" demo

say "building beanline (the first time takes some minutes)"
(cd "$root" && cargo build --quiet)
beanline=$(binary_path debug)

before=$(engine_state)
work=$(mktemp -d "${TMPDIR:-/tmp}/beanline-demo.XXXXXX")
load_name=beanline-demo-load-${work##*.}
load_image=$(tr '[:upper:]' '[:lower:]' <<< "$load_name"):latest
started=no
kept=no

# The binary with a known environment: what this shell happens to have set must not decide what the demo shows.
run_beanline() { # [NAME=VALUE ...] -- [argument ...]
    local settings=() name
    for name in PATH HOME TERM NO_COLOR TMPDIR DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_CONFIG; do
        [ -z "${!name:-}" ] || settings+=("$name=${!name}")
    done
    while [ "$1" != -- ]; do
        settings+=("$1")
        shift
    done
    shift
    env -i "${settings[@]}" XDG_STATE_HOME="$work/state" "$beanline" "$@"
}

clean_up() {
    local status=$?
    trap - EXIT
    # From here on it is quick and must come to its end.
    trap '' INT TERM HUP
    docker rm --force --volumes "$load_name" > /dev/null 2>&1 || true
    docker rmi "$load_image" > /dev/null 2>&1 || true
    if [ "$kept" = yes ]; then
        exit "$status"
    fi
    if [ "$started" = yes ]; then
        say "removing everything: beanline local stop"
        run_beanline -- local stop || status=1
    fi
    rm -rf "$work"
    say "what the docker engine holds:"
    if compare_engine_state "$before"; then
        say "as before"
    else
        say "not as before (something else may have used the engine meanwhile); our own would go with: make clean-docker"
        [ "$status" != 0 ] || status=1
    fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

commit() { # message
    git -C "$work/hello" add --all
    git -C "$work/hello" -c user.name=demo -c user.email=demo@example.com -c commit.gpgsign=false commit --quiet -m "$1"
}

deploy() {
    local revision
    revision=$(git -C "$work/hello" rev-parse HEAD)
    started=yes
    (
        cd "$work/hello"
        run_beanline \
            BEANLINE_CLOUD=local \
            BEANLINE_RUN=pipeline \
            BEANLINE_IMAGE=hello \
            BEANLINE_REVISION="$revision" \
            BEANLINE_REPOSITORY=demo/hello \
            BEANLINE_BUILD_ARGS="REVISION=$revision" \
            BEANLINE_TEST_COMMAND='["python3", "-m", "tests"]' \
            BEANLINE_TEST_FILES=tests \
            BEANLINE_TEST_REPORTS=/tmp/reports/junit.xml \
            BEANLINE_ACCEPTANCE_COMMAND='["python3", "acceptance/check.py"]' \
            BEANLINE_ACCEPTANCE_FILES=acceptance \
            BEANLINE_ACCEPTANCE_HTTP=$'GET /ping 200\nGET /nothing-here 404' \
            BEANLINE_READY_PATH=/ping \
            BEANLINE_APPLICATION=hello \
            BEANLINE_ENVIRONMENT=hello \
            BEANLINE_CREATE=true \
            BEANLINE_CREATE_REPOSITORY=true \
            BEANLINE_INSTANCE_PROFILE=aws-elasticbeanstalk-ec2-role \
            --
    )
}

# One value of what `beanline local status` prints: NETWORK, DNS, URL, REGISTRY.
status_of() { # key
    local value
    value=$(run_beanline -- local status | sed -n "s/^$1=//p" | head -n 1)
    [ -n "$value" ] || die "beanline local status does not say $1"
    printf '%s\n' "$value"
}

start_load() {
    docker import --change 'LABEL io.beanline.demo=load' "$work/hello/rootfs.tar" "$load_image" > /dev/null
    docker create --name "$load_name" --label io.beanline.demo=load --network "$(status_of NETWORK)" --dns "$(status_of DNS)" \
        "$load_image" /usr/bin/python3 /load.py "$live_name" "$old_version" "$new_version" > /dev/null
    docker cp - "$load_name:/" < <(tar --create --directory "$root/scripts" load.py)
    docker start "$load_name" > /dev/null
    local waited=0
    until docker logs "$load_name" 2>&1 | grep -q '^first answer: '; do
        [ "$waited" -lt "$seconds_for_first_answer" ] || die "$live_name did not answer within $seconds_for_first_answer s"
        sleep 1
        waited=$((waited + 1))
    done
    docker logs "$load_name"
}

# Ends the load and prints its verdict; its exit status is the verdict.
stop_load() {
    docker kill --signal TERM "$load_name" > /dev/null
    local verdict
    verdict=$(docker wait "$load_name")
    docker logs "$load_name" 2>&1 | sed 1d
    [ "$verdict" = 0 ]
}

cp -r "$root/examples/hello" "$work/hello"
echo "$old_version" > "$work/hello/VERSION"
git -c init.defaultBranch=main init --quiet "$work/hello"
commit "Greet visitors"
say "first commit, version $old_version: the application and its environment are made"
deploy

say "requests start: $live_name, 40 a second, each answer carries its version"
start_load

echo "$new_version" > "$work/hello/VERSION"
sed -i 's/^{$/{\n  "it": "Ciao, {name}!",/' "$work/hello/hello/greetings.json"
commit "Greet visitors in Italian"
say "second commit, version $new_version: blue-green, while the requests go on"
deploy

say "requests end"
stop_load || die "the swap was not seamless, see above"
say "every request was answered, and nobody saw $old_version after $new_version"
say "live: $(status_of URL)"
if [ "${KEEP:-}" = 1 ]; then
    kept=yes
    say "left running; to end it: XDG_STATE_HOME=$work/state $beanline local stop && rm -rf $work"
else
    say "KEEP=1 make demo leaves it running"
fi
