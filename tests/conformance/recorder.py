"""A proxy between a client and the local cloud that remembers every exchange.

It sends requests on unchanged, the Host header included, so that signatures stay good.
"""

import http.client
import http.server
import threading
import urllib.parse
from dataclasses import dataclass


@dataclass
class Exchange:
    """One request and its answer, as they were on the wire. Header names are in lower case."""

    method: str
    path: str
    request_headers: dict
    request: bytes
    status: int
    headers: dict
    body: bytes


class Recorder:
    """Listens on a free port of 127.0.0.1 while it is used as a context."""

    def __init__(self, endpoint):
        self.exchanges = []
        target = urllib.parse.urlsplit(endpoint).netloc
        recorder = self

        class Handler(_Handler):
            exchanges = recorder.exchanges
            upstream = target

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = "http://127.0.0.1:%d" % self._server.server_port

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _pass_on(self):
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "expect")}
        upstream = http.client.HTTPConnection(self.upstream, timeout=120)
        try:
            upstream.request(self.command, self.path, sent, headers)
            answer = upstream.getresponse()
            body = answer.read()
        finally:
            upstream.close()
        found = {name.lower(): value for name, value in answer.getheaders()}
        asked = {name.lower(): value for name, value in self.headers.items()}
        self.exchanges.append(Exchange(self.command, self.path, asked, sent, answer.status, found, body))
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        length = found.get("content-length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on

    def log_message(self, *_):
        """The exchanges are the log."""
