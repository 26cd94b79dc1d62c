"""Checks what a server put on the wire against the service models that AWS publishes with botocore.

A client's parser passes over what it does not know and gives None for what is missing; here both are problems. So are
values of another type than the model's, words that an enumeration does not have, and error codes nobody documents.
"""

import json
import re
import urllib.parse
import xml.etree.ElementTree as ElementTree

import botocore.parsers
import botocore.session
from botocore.utils import parse_timestamp

SESSION = botocore.session.Session()
# By signing name; S3 is not here, since its protocol is not ours but the s3s crate's.
MODELS = {name: SESSION.get_service_model(name) for name in ("elasticbeanstalk", "ecr", "sts")}

# What the real service is known to send against its own model, as "Operation path": captures show `Ready` in
# DescribeEnvironmentHealth, whose model lists colours, and version states in capitals where the model has `Processed`.
MODEL_IS_WRONG = re.compile(
    r"DescribeEnvironmentHealth \.Status$"
    r"|(Create|Update)ApplicationVersion \.ApplicationVersion\.Status$"
    r"|DescribeApplicationVersions \.ApplicationVersions\.\d+\.Status$"
)

# What it sends though the public model does not have it, by shape: the model that the EB CLI brings along has these.
MODEL_LACKS = {("ConfigurationSettingsDescription", "Tier")}

# API reference, "Common errors" of each service, and the codes that Beanstalk uses without listing them.
COMMON_ERRORS = {
    "AccessDenied", "AccessDeniedException", "ExpiredToken", "IncompleteSignature", "InternalFailure", "InvalidAction",
    "InvalidClientTokenId", "InvalidParameterCombination", "InvalidParameterValue", "InvalidRequestException",
    "MissingAuthenticationToken", "MissingParameter", "MissingRequiredParameter", "NotImplemented", "RequestExpired",
    "ServiceUnavailable", "SignatureDoesNotMatch", "Throttling", "ThrottlingException", "UnrecognizedClientException",
    "ValidationError",
}  # fmt: skip


def asked(exchange):
    """Which service and operation a request was for; None for S3 and for what no model describes."""
    target = exchange.request_headers.get("x-amz-target")
    if target:
        return "ecr", target.rpartition(".")[2]
    if exchange.method != "POST" or urllib.parse.urlsplit(exchange.path).path != "/":
        return None
    form = urllib.parse.parse_qs(exchange.request.decode())
    if "Action" not in form:
        return None
    service = "sts" if form["Version"] == ["2011-06-15"] else "elasticbeanstalk"
    return service, form["Action"][0]


def problems(exchange):
    """Sentences about everything in an answer that the model does not have; none when it conforms."""
    which = asked(exchange)
    if which is None:
        return []
    service, action = which
    model = MODELS[service]
    if action not in model.operation_names:
        return [f"{service} has no operation {action}"]
    operation = model.operation_model(action)
    check = _Check(operation)
    if "x-amzn-requestid" not in exchange.headers:
        check.say("", "no x-amzn-RequestId header")
    if model.metadata["protocol"] == "json":
        check.json_answer(exchange)
    else:
        check.query_answer(exchange)
    check.parses(exchange)
    return check.found


class _Check:
    def __init__(self, operation):
        self.operation = operation
        self.model = operation.service_model
        self.found = []

    def say(self, path, what):
        self.found.append(f"{self.operation.name} {path}: {what}")

    def parses(self, exchange):
        """The client's own parser must take it, too."""
        response = {"headers": exchange.headers, "status_code": exchange.status, "body": exchange.body}
        parser = botocore.parsers.create_parser(self.model.metadata["protocol"])
        try:
            parser.parse(response, self.operation.output_shape)
        except Exception as error:  # whatever the parser raises, a user would see
            self.say("", f"botocore cannot parse it: {error}")

    def error_code(self, code, status):
        listed = {}
        for shape in self.operation.error_shapes:
            error = shape.metadata.get("error", {})
            usual = 500 if shape.metadata.get("fault") else 400
            listed[error.get("code", shape.name)] = error.get("httpStatusCode", usual)
        if code not in listed and code not in COMMON_ERRORS:
            self.say("", f"neither the model nor the common errors have {code}")
        elif listed.get(code, status) != status:
            self.say("", f"{code} comes with status {status}, not {listed[code]}")

    # The AWS JSON 1.1 protocol.

    def json_answer(self, exchange):
        if exchange.headers.get("content-type") != "application/x-amz-json-1.1":
            self.say("", f"content type {exchange.headers.get('content-type')}")
        body = json.loads(exchange.body)
        if exchange.status == 200:
            self.json_value("", self.operation.output_shape, body)
        else:
            self.error_code(body.get("__type"), exchange.status)
            if not isinstance(body.get("message"), str):
                self.say("", "an error without a message")

    def json_value(self, path, shape, value):
        kind = shape.type_name
        if kind == "structure":
            if not isinstance(value, dict):
                return self.say(path, f"{value!r} is no structure")
            self.members(path, shape, value)
            for name in value.keys() & shape.members.keys():
                self.json_value(f"{path}.{name}", shape.members[name], value[name])
        elif kind == "list":
            if not isinstance(value, list):
                return self.say(path, f"{value!r} is no list")
            for at, item in enumerate(value):
                self.json_value(f"{path}.{at}", shape.member, item)
        elif kind == "map":
            for key, item in value.items():
                self.json_value(f"{path}.{key}", shape.value, item)
        else:
            numeric = kind in ("integer", "long", "float", "double", "timestamp")
            wanted = (int, float) if numeric else bool if kind == "boolean" else str
            if not isinstance(value, wanted) or (numeric and isinstance(value, bool)):
                return self.say(path, f"{value!r} is no {kind}")
            if kind == "string":
                self.word(path, shape, value)

    # The AWS query protocol.

    def query_answer(self, exchange):
        if not exchange.headers.get("content-type", "").startswith("text/xml"):
            self.say("", f"content type {exchange.headers.get('content-type')}")
        root = ElementTree.fromstring(exchange.body)
        namespace, _, name = root.tag.rpartition("}")
        if namespace.lstrip("{") != self.model.metadata["xmlNamespace"]:
            self.say("", f"namespace {namespace}")
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        if exchange.status != 200:
            return self.query_error(name, root, exchange.status)
        if name != f"{self.operation.name}Response":
            self.say("", f"the root is {name}")
        shape = self.operation.output_shape
        wrapper = shape.serialization["resultWrapper"] if shape else None
        parts = [part.tag for part in root]
        if sorted(parts) != sorted([wrapper, "ResponseMetadata"] if wrapper else ["ResponseMetadata"]):
            self.say("", f"the parts are {', '.join(parts)}")
        if not root.findtext("ResponseMetadata/RequestId"):
            self.say("", "no request id")
        if wrapper and root.find(wrapper) is not None:
            self.xml_value("", shape, root.find(wrapper))

    def query_error(self, name, root, status):
        if name != "ErrorResponse" or [part.tag for part in root] != ["Error", "RequestId"]:
            self.say("", f"a refusal in the form of {name}")
        error = {part.tag: part.text for part in root.find("Error")}
        if set(error) != {"Type", "Code", "Message"} or error["Type"] not in ("Sender", "Receiver"):
            self.say("", f"an error of {error}")
        self.error_code(error.get("Code"), status)

    def xml_value(self, path, shape, element):
        kind = shape.type_name
        if kind == "structure":
            names = {member.serialization.get("name", name): name for name, member in shape.members.items()}
            tags = [child.tag for child in element]
            self.members(path, shape, [names.get(tag, tag) for tag in tags])
            for tag in {tag for tag in tags if tags.count(tag) > 1}:
                self.say(path, f"{tag} comes {tags.count(tag)} times")
            for child in element:
                if child.tag in names:
                    name = names[child.tag]
                    self.xml_value(f"{path}.{name}", shape.members[name], child)
        elif kind == "list":
            wanted = shape.member.serialization.get("name", "member")
            for at, child in enumerate(element):
                if child.tag != wanted:
                    self.say(path, f"{child.tag} where {wanted} belongs")
                self.xml_value(f"{path}.{at}", shape.member, child)
        elif len(element):
            self.say(path, f"elements in a {kind}")
        else:
            self.xml_text(path, shape, element.text or "")

    def xml_text(self, path, shape, text):
        kind = shape.type_name
        try:
            if kind == "timestamp":
                if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text):
                    raise ValueError
                parse_timestamp(text)
            elif kind in ("integer", "long"):
                int(text)
            elif kind in ("double", "float"):
                float(text)
            elif kind == "boolean" and text not in ("true", "false"):
                raise ValueError
        except ValueError:
            return self.say(path, f"{text!r} is no {kind}")
        if kind == "string":
            self.word(path, shape, text)

    # What both protocols have in common.

    def members(self, path, shape, names):
        for name in names:
            if name not in shape.members and (shape.name, name) not in MODEL_LACKS:
                self.say(path, f"{shape.name} has no {name}")
        for name in shape.required_members:
            if name not in names:
                self.say(path, f"{shape.name} comes without {name}")

    def word(self, path, shape, text):
        if shape.enum and text not in shape.enum and not MODEL_IS_WRONG.match(f"{self.operation.name} {path}"):
            self.say(path, f"{text!r} is none of {', '.join(shape.enum)}")
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", len(text))
        if not low <= len(text) <= high:
            self.say(path, f"{text!r} has not {low} to {high} characters")
