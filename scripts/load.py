"""Sends requests to the demo's service at a steady rate, and judges the answers when it is told to stop (SIGTERM).

usage: load.py URL OLD_VERSION NEW_VERSION

Every request has a connection and a name lookup of its own, as a new visitor has. The exit status is 0 if the rate was
kept, no request failed, both versions answered, and none that began after an answer of the new version got the old one.
"""

import http.client
import signal
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass

PLANNED_RATE = 40
LEAST_RATE = 20
WORKERS = 10
TIMEOUT = 10


@dataclass
class Answer:
    """One request: when it began and ended, in seconds since the start, and what came back."""

    began: float
    ended: float
    status: int
    version: str
    problem: str = ""


def ask(url, start):
    """One request, whatever becomes of it."""
    began = time.monotonic() - start
    try:
        request = urllib.request.Request(url, headers={"Connection": "close"})
        with urllib.request.urlopen(request, timeout=TIMEOUT) as reply:
            reply.read()
            status, version, problem = reply.status, reply.headers.get("X-Hello-Version", ""), ""
    except (OSError, http.client.HTTPException) as error:
        # No such name, no connection, no answer in time, a broken one, or a status from 400 on.
        status, version, problem = getattr(error, "code", 0), "", f"{type(error).__name__}: {error}"
    return Answer(began, time.monotonic() - start, status, version, problem)


def work(url, start, number, answers, stopped):
    """Worker `number` of ten: its requests are due every quarter of a second, evenly between those of the others."""
    turn = 0
    while not stopped.is_set():
        due = start + (number + turn * WORKERS) / PLANNED_RATE
        if stopped.wait(max(0.0, due - time.monotonic())):
            return
        answers.append(ask(url, start))
        turn += 1


def verdict(answers, old, new):
    """The sentences about these answers, and whether all is well."""
    answers = sorted(answers, key=lambda answer: answer.began)
    lasted = answers[-1].began - answers[0].began if len(answers) > 1 else 0.0
    rate = (len(answers) - 1) / lasted if lasted else 0.0
    failed = [answer for answer in answers if answer.problem]
    by_version = {version: [answer for answer in answers if answer.version == version] for version in (old, new)}
    strange = [answer for answer in answers if not answer.problem and answer.version not in (old, new)]
    first_new = min((answer.ended for answer in by_version[new]), default=None)
    late = [answer for answer in by_version[old] if first_new is not None and answer.began > first_new]
    slowest = max((answer.ended - answer.began for answer in answers), default=0.0)
    lines = [
        f"{len(answers)} requests in {lasted:.1f} s: {rate:.1f} a second, the slowest took {slowest * 1000:.0f} ms",
        f"failed: {len(failed)}",
        f"answered by {old}: {len(by_version[old])}, by {new}: {len(by_version[new])}, by another: {len(strange)}",
        f"answered by {old} after {new} had answered: {len(late)}",
    ]
    lines += [f"  at {answer.began:.2f} s: {answer.status} {answer.problem}" for answer in failed[:5]]
    lines += [f"  at {answer.began:.2f} s: version {answer.version!r}" for answer in (strange + late)[:5]]
    return lines, rate >= LEAST_RATE and all(by_version.values()) and not failed and not strange and not late


def main():
    url, old, new = sys.argv[1:]
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    answers = []
    start = time.monotonic()
    workers = [threading.Thread(target=work, args=(url, start, n, answers, stopped), daemon=True) for n in range(WORKERS)]
    for worker in workers:
        worker.start()
    while not answers and not stopped.wait(0.1):
        pass
    if answers:
        print(f"first answer: {answers[0].version or answers[0].problem}", flush=True)
    stopped.wait()
    for worker in workers:
        worker.join(TIMEOUT)
    lines, well = verdict(answers, old, new)
    print("\n".join(lines), flush=True)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
