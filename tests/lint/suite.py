"""Everything that is not Rust, looked at by the programs that others would look at it with. Nothing is fetched."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import tomli

import deny

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(sys.executable).parent
# A snippet is what stands between two such lines; it may be indented, as in a list.
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
OTHER_CIS = {"circleci.yml": "circle-ci", "gitlab-ci.yml": "gitlab-ci", "buildkite.yml": "buildkite"}


def program(name, *arguments):
    """Runs a program of the environment in the repository; what it complained about."""
    done = subprocess.run([BIN / name, *arguments], cwd=ROOT, capture_output=True, text=True)
    return [] if done.returncode == 0 else [f"{name} {' '.join(map(str, arguments))}", done.stdout + done.stderr]


def schema(name, files):
    return program("check-jsonschema", "--builtin-schema", f"vendor.{name}", *files) if files else []


def snippets(language):
    """Every snippet of a language: (page, its number on the page, text)."""
    for page in dict.fromkeys(PAGES):
        found = [one for one in FENCE.finditer(page.read_text()) if one[2] == language]
        for number, one in enumerate(found, 1):
            text = "".join(line.removeprefix(one[1]) for line in one[3].splitlines(keepends=True))
            yield page, number, text


def write(directory, page, number, suffix, text):
    name = "-".join(page.relative_to(ROOT).with_suffix("").parts)
    path = pathlib.Path(directory) / f"{name}-{number}{suffix}"
    path.write_text(text)
    return path


def the_action():
    return schema("github-actions", ["action.yml"]) + program("zizmor", "--offline", "--quiet", "action.yml")


def the_workflows():
    files = sorted(ROOT.glob(".github/workflows/*.yml"))
    updates = schema("dependabot", [".github/dependabot.yml"])
    return updates + schema("github-workflows", files) + program("zizmor", "--offline", "--quiet", "--persona", "pedantic", ".github")


def the_files_for_other_cis():
    return [line for name, known in OTHER_CIS.items() for line in schema(known, [ROOT / "examples/ci" / name])]


def the_workflows_of_the_documents():
    with tempfile.TemporaryDirectory() as directory:
        whole = [one for one in snippets("yaml") if re.search(r"^jobs:", one[2], re.MULTILINE)]
        # Some show the jobs alone.
        whole = [(page, n, text if re.search(r"^on:", text, re.MULTILINE) else "on: push\n" + text) for page, n, text in whole]
        return schema("github-workflows", [write(directory, page, n, ".yml", text) for page, n, text in whole])


def the_scripts():
    files = [*sorted(ROOT.glob("scripts/*.sh")), *sorted(ROOT.glob("examples/**/*.sh")), ROOT / ".ci/run"]
    return program("shellcheck", "--external-sources", *files)


def the_commands_of_the_documents():
    with tempfile.TemporaryDirectory() as directory:
        files = [write(directory, page, n, ".sh", text) for page, n, text in snippets("sh")]
        # What a page sets, the reader uses in the next snippet; and the words of `beanline env` are meant to be split.
        return program("shellcheck", "--shell", "bash", "--exclude", "SC2034,SC2046,SC2154", *files)


def the_commands_of_the_workflows():
    from ruamel.yaml import YAML

    problems = []
    for file in sorted(ROOT.glob(".github/workflows/*.yml")):
        for job in YAML(typ="safe").load(file.read_text())["jobs"].values():
            for step in job.get("steps", []):
                if "run" in step:
                    done = subprocess.run(
                        [BIN / "shellcheck", "--shell", "bash", "-"], input=step["run"], capture_output=True, text=True
                    )
                    problems += [f"{file.name}: {step.get('name', '')}", done.stdout] if done.returncode else []
                    if "${{" in step["run"]:
                        problems.append(f"{file.name}: an expression in a script: {step.get('name', '')}")
    return problems


def the_dockerfiles():
    # DL3006 is about base images with a name of their own, DL3066 about a user of the example by name.
    return program("hadolint", "--ignore", "DL3006", "--ignore", "DL3066", "Dockerfile", "examples/hello/Dockerfile")


def the_release_pins_the_image():
    digest = "sha256:" + "5" * 64
    with tempfile.TemporaryDirectory() as directory:
        action = pathlib.Path(directory) / "action.yml"
        shutil.copy(ROOT / "action.yml", action)
        pin = [ROOT / "scripts/pin-image.sh", action, "1.2.3", digest]
        for _ in range(2):
            subprocess.run(pin, check=True)
        if f"\n  image: docker://ghcr.io/beanline/beanline@{digest} # 1.2.3\n" not in action.read_text():
            return ["pin-image.sh does not write the digest", action.read_text()]
        refused = subprocess.run([*pin[:3], "latest"], capture_output=True)
        return schema("github-actions", [action]) + (["pin-image.sh takes a tag"] if refused.returncode == 0 else [])


def the_dependencies():
    return deny.problems(ROOT, tomli.loads((ROOT / "deny.toml").read_text()))


def main():
    looks = [
        the_action,
        the_workflows,
        the_files_for_other_cis,
        the_workflows_of_the_documents,
        the_scripts,
        the_commands_of_the_documents,
        the_commands_of_the_workflows,
        the_dockerfiles,
        the_release_pins_the_image,
        the_dependencies,
    ]
    failed = False
    for look in looks:
        problems = look()
        print(f"{look.__name__.replace('_', ' ')}: {'ok' if not problems else 'FAILED'}", flush=True)
        for problem in problems:
            print(problem, flush=True)
        failed |= bool(problems)
    sys.exit(failed)


if __name__ == "__main__":
    main()
