#!/usr/bin/env bash
# Removes every docker object that carries one of beanline's labels, running or not: for what a killed run left.
# usage: make clean-docker
set -euo pipefail

# Empty input must not become a call without arguments.
remove() { # docker subcommand and options; ids on standard input
    xargs --no-run-if-empty docker "$@" > /dev/null
}

# What instances of the local cloud run goes with them; a name that something else uses stays.
images=$(docker ps --all --filter label=io.beanline.world --format '{{.Image}}' | sort -u)
for label in io.beanline.run io.beanline.world io.beanline.demo; do
    docker ps --all --quiet --filter "label=$label" | remove rm --force --volumes
    docker network ls --quiet --filter "label=$label" | remove network rm
    docker volume ls --quiet --filter "label=$label" | remove volume rm
    docker images --quiet --filter "label=$label" | sort -u | remove rmi --force
done
{ echo "$images"; docker images --quiet --filter reference=beanline-run --filter reference=beanline-own; } |
    sed '/^$/d' | sort -u | while read -r image; do docker rmi "$image" > /dev/null 2>&1 || true; done
echo "what carries beanline's labels is gone"
