"""The checker itself: what it must find, and what it must let pass."""

import json
import unittest
import urllib.parse

import model
from recorder import Exchange

NAMESPACE = "http://elasticbeanstalk.amazonaws.com/docs/2010-12-01/"


def query(action, xml, status=200):
    """An exchange of the query protocol."""
    form = urllib.parse.urlencode({"Action": action, "Version": "2010-12-01"}).encode()
    headers = {"content-type": "text/xml", "x-amzn-requestid": "1"}
    return Exchange("POST", "/", {}, form, status, headers, xml.encode())


def result(action, inner):
    """An answer in its envelope."""
    return query(
        action,
        f'<{action}Response xmlns="{NAMESPACE}"><{action}Result>{inner}</{action}Result>'
        f"<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>",
    )


def ecr(action, body, status=200):
    """An exchange of the JSON protocol."""
    target = {"x-amz-target": f"AmazonEC2ContainerRegistry_V20150921.{action}"}
    headers = {"content-type": "application/x-amz-json-1.1", "x-amzn-requestid": "1"}
    return Exchange("POST", "/", target, b"{}", status, headers, json.dumps(body).encode())


class TheChecker(unittest.TestCase):
    def finds(self, exchange, *expected):
        found = model.problems(exchange)
        self.assertEqual(len(found), len(expected), found)
        for sentence, part in zip(found, expected):
            self.assertIn(part, sentence)

    def test_lets_a_good_answer_pass(self):
        self.finds(result("CheckDNSAvailability", "<Available>true</Available>"))
        self.finds(result("DescribeEnvironmentHealth", "<Status>Ready</Status>"))
        self.finds(ecr("ListImages", {"imageIds": [{"imageTag": "1"}]}))

    def test_finds_names_that_the_model_does_not_have(self):
        inner = "<Environments><member><EnvironmentNam>x</EnvironmentNam></member></Environments>"
        self.finds(result("DescribeEnvironments", inner), "has no EnvironmentNam")
        self.finds(result("DescribeEnvironments", "<Environments><item/></Environments>"), "item where member belongs")
        self.finds(ecr("ListImages", {"images": []}), "has no images")

    def test_finds_values_of_another_type(self):
        self.finds(result("CheckDNSAvailability", "<Available>True</Available>"), "is no boolean")
        time = "<DateCreated>2026-11-20 10:00</DateCreated>"
        self.finds(result("CreateEnvironment", time), "is no timestamp")
        self.finds(result("CreateEnvironment", "<Health>Blue</Health>"), "is none of Green")
        created = {"repository": {"createdAt": "2026-11-20T10:00:00Z"}}
        self.finds(ecr("CreateRepository", created), "is no timestamp")

    def test_finds_a_wrong_envelope(self):
        answer = f'<SwapEnvironmentCNAMEsResponse xmlns="{NAMESPACE}"/>'
        self.finds(query("SwapEnvironmentCNAMEs", answer), "the parts are", "no request id")
        self.finds(result("SwapEnvironmentCNAMEs", ""), "the parts are")

    def test_finds_errors_that_nobody_documents(self):
        error = '<ErrorResponse xmlns="%s"><Error><Type>Sender</Type><Code>%s</Code><Message>m</Message></Error>'
        error += "<RequestId>1</RequestId></ErrorResponse>"
        self.finds(query("CreateEnvironment", error % (NAMESPACE, "InvalidParameterValue"), 400))
        self.finds(query("CreateEnvironment", error % (NAMESPACE, "Oops"), 400), "have Oops")
        self.finds(ecr("ListImages", {"__type": "RepositoryNotFoundException", "message": "m"}, 400))
        self.finds(ecr("ListImages", {"__type": "Oops"}, 400), "have Oops", "without a message")
