"""The service as a client sees it, on a port of its own."""

import http.client
import json
import threading
import unittest

from hello.service import ABOUT, Service


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service(("127.0.0.1", 0))
        threading.Thread(target=cls.service.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.service.shutdown()
        cls.service.server_close()

    def setUp(self):
        self.client = http.client.HTTPConnection(*self.service.server_address, timeout=5)
        self.addCleanup(self.client.close)

    def ask(self, path, method="GET", **headers):
        self.client.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
        answer = self.client.getresponse()
        return answer, answer.read()

    def test_every_answer_says_its_version(self):
        for path in ("/", "/ping", "/version", "/nothing-here"):
            with self.subTest(path=path):
                answer, body = self.ask(path)
                self.assertEqual(answer.headers["X-Hello-Version"], ABOUT["version"])
                self.assertEqual(json.loads(body)["version"], ABOUT["version"])

    def test_one_connection_carries_many_requests(self):
        self.ask("/")
        first = self.client.sock
        for path in ("/nothing-here", "/ping", "/hello?name=Ada"):
            self.ask(path)
        self.assertIs(self.client.sock, first)

    def test_names_come_in_url_encoding_and_leave_in_utf8(self):
        answer, body = self.ask("/hello?name=J%C3%BCrgen", Accept_Language="de")
        self.assertEqual(json.loads(body)["greeting"], "Hallo, Jürgen!")
        self.assertEqual(answer.headers["Content-Language"], "de")

    def test_visitors_are_counted_and_health_checks_are_not(self):
        first = json.loads(self.ask("/")[1])["visitor"]
        self.ask("/ping")
        self.assertEqual(json.loads(self.ask("/hello")[1])["visitor"], first + 1)

    def test_a_head_request_gets_no_body(self):
        answer, body = self.ask("/", method="HEAD")
        self.assertEqual((answer.status, body), (200, b""))

    def test_an_unknown_path_is_404(self):
        self.assertEqual(self.ask("/nothing-here")[0].status, 404)
