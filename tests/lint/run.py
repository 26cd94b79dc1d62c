#!/usr/bin/env python3
"""Looks at everything that is not Rust, with the programs that others would look at it with.

    tests/lint/run.py ENVIRONMENT

ENVIRONMENT is a directory for the programs, made when it is missing or made from other requirements. Ends with 77 when
it cannot be made.
"""

import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import environment

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    environment.run(__file__, sys.argv[1], "suite.py", [])
