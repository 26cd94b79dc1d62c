"""Holds the tree of dependencies to deny.toml: licences, banned crates, second versions, sources.

It reads the part of cargo-deny's form that deny.toml uses; a key that it does not know is an error.
"""

import re
import subprocess

KNOWN = {
    "graph": {"targets"},
    "licenses": {"allow"},
    "bans": {"multiple-versions", "wildcards", "deny", "skip"},
    "sources": {"unknown-registry", "unknown-git", "allow-registry"},
}


def tree(root, targets):
    """Every crate of the tree on these targets: (name, version) to licence."""
    crates = {}
    for target in targets:
        command = ["cargo", "tree", "--locked", "--target", target, "--prefix", "none", "--format", "{p}|{l}"]
        printed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
        for line in filter(None, printed.splitlines()):
            crate, licence = line.rsplit(" (*)", 1)[0].split("|") if line.endswith(" (*)") else line.split("|")
            name, version = crate.split()[:2]
            crates[name, version.removeprefix("v")] = licence
    return crates


def allowed(licence, allow):
    """Whether an SPDX expression can be met: some part of each OR, every part of each AND."""
    tokens = re.findall(r"\(|\)|[^\s()]+", licence.replace("/", " OR "))
    text = []
    while tokens:
        token = tokens.pop(0)
        if token == "WITH":
            # An exception only adds to what the licence allows.
            tokens.pop(0)
        elif token in ("AND", "OR", "(", ")"):
            text.append(token.lower())
        else:
            text.append(str(token in allow))
    # Nothing is left but True, False, and, or and brackets; `and` binds closer, as it does in SPDX.
    return bool(text) and eval(" ".join(text), {"__builtins__": {}})


def matches(ban, name, version):
    """Whether a crate is meant by `name`, `name@version` or `name@<version`."""
    known, _, asked = ban["crate"].partition("@")
    if known != name or not asked:
        return known == name
    if asked.startswith("<"):
        numbers = lambda text: [int(number) for number in re.findall(r"\d+", text)]
        return numbers(version) < numbers(asked)
    return version == asked or version.startswith(f"{asked}.")


def problems(root, rules):
    """Everything that deny.toml does not allow, and everything in it that nobody needs any more."""
    found = []
    for table, keys in rules.items():
        found += [f"deny.toml: {table}.{key} is not enforced here" for key in set(keys) - KNOWN.get(table, set())]
    crates = tree(root, rules["graph"]["targets"])
    allow, bans = set(rules["licenses"]["allow"]), rules["bans"]
    used = {token for licence in crates.values() for token in re.findall(r"[^\s()/]+", licence)}
    found += [f"deny.toml: nothing has the licence {name} any more" for name in sorted(allow - used)]
    versions = {}
    for (name, version), licence in sorted(crates.items()):
        if not allowed(licence, allow):
            found.append(f"{name} {version} has the licence {licence or '(none)'}")
        found += [f"{name} {version} is banned" for ban in bans["deny"] if matches(ban, name, version)]
        if not any(matches(skip, name, version) for skip in bans["skip"]):
            versions.setdefault(name, []).append(version)
    found += [f"{name} is there as {' and '.join(all)}" for name, all in versions.items() if len(all) > 1]
    for skip in bans["skip"]:
        if not any(matches(skip, *crate) for crate in crates):
            found.append(f"deny.toml: {skip['crate']} is not there any more")
    return found + sources(root, set(rules["sources"]["allow-registry"]))


def sources(root, registries):
    """Crates of the lock file that come from elsewhere; those of this repository have no source."""
    found = []
    for line in (root / "Cargo.lock").read_text().splitlines():
        source = line.removeprefix('source = "').rstrip('"') if line.startswith("source = ") else None
        if source and source.removeprefix("registry+") not in registries:
            found.append(f"Cargo.lock has a crate from {source}")
    found += [
        f"Cargo.toml: {line.strip()}" for line in (root / "Cargo.toml").read_text().splitlines()
        if re.search(r'(^|version\s*)=\s*"\*"', line.split("#")[0])
    ]
    return found
