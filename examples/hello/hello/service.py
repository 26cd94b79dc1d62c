"""The HTTP side: every answer says which version, which commit and which build gave it."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from .greeting import greet

ROOT = Path(__file__).parent.parent


def read_line(path, otherwise):
    """The one line of a small file."""
    try:
        return path.read_text(encoding="utf-8").strip() or otherwise
    except OSError:
        return otherwise


ABOUT = {
    "version": read_line(ROOT / "VERSION", "unknown"),
    "revision": os.environ.get("HELLO_REVISION", "unknown"),
    "build_id": read_line(ROOT / "build-id", "unknown"),
}


class Visitors:
    """How many were greeted by this process."""

    def __init__(self):
        self._lock = threading.Lock()
        self._count = 0

    def welcome(self):
        """Counts one more, and says the how-manieth it is."""
        with self._lock:
            self._count += 1
            return self._count


class Handler(BaseHTTPRequestHandler):
    """`/` and `/hello?name=` greet, `/ping` is for health checks, `/version` tells what runs."""

    protocol_version = "HTTP/1.1"
    server_version = "hello"
    sys_version = ""
    # An idle connection is given up after this many seconds. Load balancers keep theirs for 60.
    timeout = 75
    # Answers are small: held back for more to come, each would wait for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/ping":
            self.answer(200, {"status": "ok", **ABOUT})
        elif url.path == "/version":
            self.answer(200, ABOUT)
        elif url.path in ("/", "/hello"):
            name = parse_qs(url.query).get("name", [None])[-1]
            language, greeting = greet(name, self.headers.get("Accept-Language"))
            visitor = self.server.visitors.welcome()
            self.answer(200, {"greeting": greeting, "visitor": visitor, **ABOUT}, {"Content-Language": language})
        else:
            self.answer(404, {"error": f"there is nothing at {url.path}", **ABOUT})

    do_HEAD = do_GET

    def answer(self, status, content, headers=None):
        """Sends one answer, with its length, so that the connection can be used again."""
        body = json.dumps(content, ensure_ascii=False).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Hello-Version", ABOUT["version"])
        self.send_header("X-Hello-Build", ABOUT["build_id"])
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format, *args):
        """One line a request on standard output, but none for health checks."""
        if not self.path.startswith("/ping"):
            print(f"{self.address_string()} {format % args}", flush=True)


class Service(ThreadingHTTPServer):
    """The server with its state. Its threads end with the process, so that nothing delays a stop."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address):
        super().__init__(address, Handler)
        self.visitors = Visitors()
