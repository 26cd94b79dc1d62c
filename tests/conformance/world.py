"""The local cloud under test, what its clients are told, and images small enough to make anywhere."""

import http.client
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile

import boto3
import botocore.config
import model
from recorder import Recorder

ENDPOINT = os.environ.get("CONFORMANCE_ENDPOINT", "")
# The address of the router, as 127.0.0.1:PORT.
ROUTER = os.environ.get("CONFORMANCE_ROUTER", "")
BUSYBOX = "/bin/busybox"
LABEL = "io.beanline.world=" + os.environ.get("CONFORMANCE_WORLD", "conformance")

# Every operation whose answer was checked, for the question whether all were asked.
CHECKED = set()

# What an AWS client finds in its environment.
CLIENT = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "local",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_PAGER": "",
}


class Conformance(unittest.TestCase):
    """A test whose every exchange with the local cloud must conform to the service models."""

    longMessage = True

    def setUp(self):
        os.environ.update(CLIENT)
        self.recorder = Recorder(ENDPOINT)
        self.recorder.__enter__()
        # Cleanups run backwards: what is registered here comes after everything that a test registers.
        self.addCleanup(self.recorder.__exit__)
        self.addCleanup(self.check)
        self.scratch = tempfile.mkdtemp(prefix="beanline-conformance-")
        self.addCleanup(shutil.rmtree, self.scratch)
        self.images = []
        self.addCleanup(self.remove_images)

    def check(self):
        """Holds every answer so far against the models."""
        found = []
        for exchange in self.recorder.exchanges:
            which = model.asked(exchange)
            if which:
                CHECKED.add(which)
            found += model.problems(exchange)
        self.assertFalse(found, "\n" + "\n".join(sorted(set(found))))

    # Clients.

    def client(self, service, **config):
        """boto3's client, at the local cloud, without retries that would hide a refusal."""
        config = botocore.config.Config(retries={"total_max_attempts": 1}, **config)
        return boto3.client(service, endpoint_url=self.recorder.endpoint, config=config)

    def aws(self, *words, fails=None):
        """The AWS CLI; its answer, or what it says when it is to fail with an error code."""
        command = [sys.executable, "-m", "awscli", "--endpoint-url", self.recorder.endpoint, "--output", "json"]
        done = subprocess.run(command + list(words), capture_output=True, text=True, timeout=120)
        said = f"aws {' '.join(words)}: {done.stderr}"
        if fails:
            self.assertNotEqual(done.returncode, 0, said)
            self.assertIn(f"({fails})", done.stderr)
            return done.stderr
        self.assertEqual(done.returncode, 0, said)
        return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else done.stdout.strip()

    # Docker.

    def docker(self, *words, sent=None):
        """The docker CLI, with a configuration of this test's own."""
        command = ["docker", "--config", os.path.join(self.scratch, "docker"), *words]
        done = subprocess.run(command, input=sent, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, f"docker {' '.join(words)}: {done.stderr}")
        return done.stdout.strip()

    def image(self, reference, page):
        """An image that answers every GET / on port 8000 with this text."""
        context = tempfile.mkdtemp(dir=self.scratch)
        shutil.copy(BUSYBOX, context)
        with open(os.path.join(context, "index.html"), "w") as file:
            file.write(page)
        with open(os.path.join(context, "Dockerfile"), "w") as file:
            file.write(
                "FROM scratch\nCOPY busybox /busybox\nCOPY index.html /www/\nEXPOSE 8000\n"
                'CMD ["/busybox", "httpd", "-f", "-p", "8000", "-h", "/www"]\n'
            )
        self.images.append(reference)
        self.docker("build", "--quiet", "--label", LABEL, "--tag", reference, context)

    def remove_images(self):
        """By reference, and after the containers that were made of them: what is in use would only lose its name."""
        for reference in self.images:
            self.docker("image", "rm", "--force", reference)

    # What the pipeline would make and ask.

    def bundle(self, image):
        """A source bundle that names an image: Dockerrun.aws.json, version 1."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("Dockerrun.aws.json", self.dockerrun(image))
        return buffer.getvalue()

    def dockerrun(self, image):
        """A Dockerrun.aws.json, version 1."""
        run = {
            "AWSEBDockerrunVersion": "1",
            "Image": {"Name": image, "Update": "true"},
            "Ports": [{"ContainerPort": 8000}],
        }
        return json.dumps(run).encode()

    def page(self, cname):
        """What a name answers on the router."""
        connection = http.client.HTTPConnection(ROUTER, timeout=10)
        try:
            connection.request("GET", "/", headers={"Host": cname})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def until(self, what, ask, wanted, seconds=180):
        """Asks until the answer is wanted."""
        end = time.monotonic() + seconds
        answer = None
        while time.monotonic() < end:
            answer = ask()
            if wanted(answer):
                return answer
            time.sleep(0.25)
        self.fail(f"{what} did not happen in {seconds} s; the last answer was {answer}")
