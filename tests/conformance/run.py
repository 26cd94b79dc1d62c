#!/usr/bin/env python3
"""Runs the conformance tests with the official AWS clients for Python, in an environment of their own.

    tests/conformance/run.py ENVIRONMENT [TEST ...]

ENVIRONMENT is a directory for the clients, made when it is missing or made from other requirements. The addresses of
the local cloud come in CONFORMANCE_ENDPOINT and CONFORMANCE_ROUTER. Ends with 77 when the environment cannot be made.
"""

import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import environment

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    environment.run(__file__, sys.argv[1], "suite.py", sys.argv[2:])
