"""Python environments for tests that use programs from PyPI."""

import os
import pathlib
import shutil
import subprocess
import sys

CANNOT = 77


def prepare(directory, requirements):
    """Makes the environment when it is missing or made from other requirements; its Python. Ends with 77 if it cannot."""
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
        print(f"no environment could be made from {requirements.name}: {error}")
        print("on Debian and Ubuntu, python3 needs the package python3-venv; pip needs to reach an index")
        sys.exit(CANNOT)
    shutil.copy(requirements, made_from)
    return python


def run(here, directory, suite, arguments):
    """Runs `suite` beside `here` in the environment of its requirements; does not come back."""
    here = pathlib.Path(here).resolve().parent
    python = prepare(pathlib.Path(directory).resolve(), here / "requirements.txt")
    os.execv(python, [python, "-B", here / suite, *arguments])


if __name__ == "__main__":
    prepare(*(pathlib.Path(argument).resolve() for argument in sys.argv[1:]))
