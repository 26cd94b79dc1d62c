#!/usr/bin/env python3
"""Runs the conformance tests with the official AWS clients for Python, in an environment of their own.

    tests/conformance/run.py ENVIRONMENT [TEST ...]

ENVIRONMENT is a directory for the clients, made when it is missing or made from other requirements. The addresses of
the local cloud come in CONFORMANCE_ENDPOINT and CONFORMANCE_ROUTER. Ends with 77 when the environment cannot be made.
"""

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CANNOT = 77


def prepare(directory):
    """Makes the environment; its Python."""
    requirements = HERE / "requirements.txt"
    python = directory / "bin" / "python"
    made_from = directory / "made-from.txt"
    if made_from.exists() and made_from.read_bytes() == requirements.read_bytes():
        return python
    shutil.rmtree(directory, ignore_errors=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", directory], check=True, stdout=subprocess.DEVNULL)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
        subprocess.run(install, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no environment for the AWS clients could be made: {error}")
        print("on Debian and Ubuntu, python3 needs the package python3-venv; pip needs to reach an index")
        sys.exit(CANNOT)
    shutil.copy(requirements, made_from)
    return python


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    python = prepare(pathlib.Path(sys.argv[1]).resolve())
    os.execv(python, [python, "-B", HERE / "suite.py", *sys.argv[2:]])


if __name__ == "__main__":
    main()
