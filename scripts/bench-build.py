#!/usr/bin/env python3
"""Times build, unit test and push of one image, by Beanline and by the docker command, and looks at Beanline's memory.

Both do the same steps in alternating pairs, against a registry of Debian's on loopback; before each, one small file of
the context changes. What is made carries the label io.beanline.bench and is removed.

usage: scripts/bench-build.py PROGRAM [--docker /usr/bin/docker] [--pairs 10] [--sizes 10,300] [--memory]
PROGRAM is a release build of beanline; needs Debian's docker command, docker-registry and a static /bin/busybox.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TEST = ["/bin/sh", "-c", "test -s /payload/0"]
LABEL = "io.beanline.bench"


def context(directory, megabytes):
    """A context with busybox and so many megabytes that nothing compresses, in files of at most 10."""
    payload = os.path.join(directory, "payload")
    os.makedirs(payload)
    shutil.copy("/bin/busybox", os.path.join(directory, "busybox"))
    for number in range(max(1, megabytes // 10)):
        with open(os.path.join(payload, str(number)), "wb") as file:
            file.write(os.urandom(min(10, megabytes) * 1_000_000))
    with open(os.path.join(directory, "Dockerfile"), "w") as file:
        file.write("FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/test\nCOPY payload /payload\n"
                   f"COPY stamp /stamp\nLABEL {LABEL}=1\n")


def registry(directory):
    """Starts a registry; gives its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % free.getsockname()[1]
    config = os.path.join(directory, "config.yml")
    with open(config, "w") as file:
        file.write(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {directory}/data}}}}\n"
                   f"http: {{addr: '{address}'}}\n")
    process = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    host, port = address.split(":")
    for _ in range(250):
        try:
            socket.create_connection((host, int(port))).close()
            return address, process
        except OSError:
            time.sleep(0.02)
    sys.exit("the registry does not answer")


def timed(command, **more):
    """Runs a command; gives its seconds, and the most memory it had, in MiB."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        sys.stderr.buffer.write(output[-4000:])
        sys.exit(f"{command[0]} failed")
    return time.monotonic() - began, used.ru_maxrss / 1024


def by_hand(docker, directory, name):
    """The docker command's way."""
    env = dict(os.environ, DOCKER_BUILDKIT="1")
    return sum(timed(command, env=env)[0] for command in (
        [docker, "build", "-q", "-t", name, directory],
        [docker, "run", "--rm", "--entrypoint", TEST[0], name, *TEST[1:]],
        [docker, "push", "-q", name],
    ))


def by_beanline(program, directory, name, run="push"):
    """Beanline's way; seconds and MiB."""
    image, tag = name.rsplit(":", 1)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("BEANLINE_", "INPUT_", "GITHUB_"))}
    env.update(BEANLINE_RUN=run, BEANLINE_CONTEXT=directory, BEANLINE_IMAGE=image, BEANLINE_TAG=tag,
               BEANLINE_REVISION="0" * 40, BEANLINE_ACCEPTANCE_ON="none", BEANLINE_REPORT="log",
               BEANLINE_TEST_COMMAND='["/bin/sh", "-c", "test -s /payload/0"]')
    return timed([program], env=env, cwd=directory)


def pairs(program, docker, address, megabytes, count, scratch):
    """Alternates both ways; prints medians."""
    directory = os.path.join(scratch, f"context-{megabytes}")
    context(directory, megabytes)
    seconds, memory = {"docker": [], "beanline": []}, 0
    for number in range(count + 1):
        for way in ("docker", "beanline") if number % 2 else ("beanline", "docker"):
            with open(os.path.join(directory, "stamp"), "w") as file:
                file.write(f"{way} {number}\n")
            name = f"{address}/bench-{way}-{megabytes}:{number}"
            if way == "docker":
                took = by_hand(docker, directory, name)
            else:
                took, peak = by_beanline(program, directory, name)
                memory = max(memory, peak)
            # The first pair fills the daemon's caches.
            if number:
                seconds[way].append(took)
            subprocess.run([docker, "rmi", "-f", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    theirs, ours = statistics.median(seconds["docker"]), statistics.median(seconds["beanline"])
    print(f"{megabytes} MB: docker {theirs:.2f} s, beanline {ours:.2f} s, ratio {ours / theirs:.2f}, "
          f"peak {memory:.0f} MiB ({count} pairs, medians)", flush=True)


def memory(program, scratch):
    """The most memory that a large context and one of many files take."""
    large, many = os.path.join(scratch, "large"), os.path.join(scratch, "many")
    context(large, 10)
    with open(os.path.join(large, "payload", "large"), "wb") as file:
        for _ in range(200):
            file.write(os.urandom(10_000_000))
    context(many, 10)
    for number in range(100_000):
        folder = os.path.join(many, "payload", f"folder-{number % 300}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"a-file-with-a-name-{number}.txt"), "w") as file:
            file.write(str(number))
    for what, directory in (("2 GB", large), ("100,000 files", many)):
        open(os.path.join(directory, "stamp"), "w").close()
        for state in ("cold", "unchanged"):
            took, peak = by_beanline(program, directory, "bench.invalid/memory:1", run="test")
            print(f"{what}, {state}: {took:.2f} s, peak {peak:.0f} MiB", flush=True)
        shutil.rmtree(directory)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--docker", default="/usr/bin/docker", help="a client that has BuildKit without a plug-in")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--sizes", default="10,300", help="megabytes, by comma")
    parser.add_argument("--memory", action="store_true", help="look at large contexts instead")
    options = parser.parse_args()
    program = os.path.abspath(options.program)
    with tempfile.TemporaryDirectory(prefix="beanline-bench-") as scratch:
        if options.memory:
            return memory(program, scratch)
        address, process = registry(scratch)
        try:
            for size in options.sizes.split(","):
                pairs(program, options.docker, address, int(size), options.pairs, scratch)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
