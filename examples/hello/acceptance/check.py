"""Acceptance tests: what must hold wherever the image runs. Where that is, BEANLINE_APP_URL says."""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

URL = os.environ["BEANLINE_APP_URL"]
PLACE = os.environ.get("BEANLINE_PLACE", "unknown")
failures = 0


def ask(path, **headers):
    """Status, headers and JSON body of one answer, whatever its status."""
    request = urllib.request.Request(urllib.parse.urljoin(URL, path), headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    with answer:
        return answer.status, answer.headers, json.load(answer)


def expect(what, actual, wanted):
    """One expectation: said aloud, counted if it does not hold."""
    global failures
    if actual == wanted:
        print(f"ok: {what}")
    else:
        failures += 1
        print(f"FAILED: {what}: expected {wanted!r}, got {actual!r}")


status, headers, body = ask("/ping")
expect("/ping is well", (status, body["status"]), (200, "ok"))
expect("header and body agree on the version", headers["X-Hello-Version"], body["version"])

# These tests run in a container of the same image, so its build id must be the one that answers.
own = Path("/srv/build-id")
if own.exists():
    expect("the build that answers is the build that was tested", body["build_id"], own.read_text().strip())

status, headers, body = ask("/hello?name=Ada", **{"Accept-Language": "de-CH, en;q=0.5"})
expect("visitors are greeted in their language", (status, body["greeting"]), (200, "Hallo, Ada!"))
# Every instance counts its own visitors, so two requests need not see each other; one sees itself.
expect("visitors are counted", ask("/")[2]["visitor"] >= 1, True)
expect("an unknown path is 404", ask("/nothing-here")[0], 404)

print(f"{PLACE}: version {body['version']}, build {body['build_id']}: {'failed' if failures else 'accepted'}")
sys.exit(1 if failures else 0)
