#!/bin/sh
# Build, test and deploy in a CI that has a docker engine, such as Codeship, Jenkins, Bitbucket or Semaphore. The inputs
# are in beanline.env, beside the Dockerfile; secrets are variables of the CI.
# usage: docker-run.sh CI [post]      CI: any that `beanline env` names, such as codeship
set -eu
beanline=${BEANLINE:-ghcr.io/beanline/beanline:0.1.0}
ci=${1:?which CI is this}
shift

# What the CI tells of the commit, by name; the values never stand on a command line.
options=$(docker run --rm "$beanline" env "$ci")
# shellcheck disable=SC2086 # The words are meant to be split.
exec docker run --rm $options -e BEANLINE_GITHUB_TOKEN --env-file beanline.env \
    -v /var/run/docker.sock:/var/run/docker.sock -v "$PWD:$PWD" -w "$PWD" "$beanline" "$@"
