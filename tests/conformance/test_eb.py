"""The EB CLI deploys, swaps, clones and looks, told of the local cloud by AWS_ENDPOINT_URL alone."""

import base64
import os
import subprocess
import sys

import world

APP = "conform-eb"

PROJECT = f"""\
branch-defaults:
  default:
    environment: {APP}-blue
global:
  application_name: {APP}
  default_region: local
  profile: null
  sc: null
  workspace_type: Application
"""


class TheEbCli(world.Conformance):
    def eb(self, *words, fails=False):
        """The EB CLI in a project of its own; what it says."""
        told = {"AWS_ENDPOINT_URL": self.recorder.endpoint, "HOME": self.scratch}
        command = [os.path.join(os.path.dirname(sys.executable), "eb"), *words]
        done = subprocess.run(
            command,
            cwd=self.project,
            env={**os.environ, **told},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )
        said = f"eb {' '.join(words)}: {done.stdout}{done.stderr}"
        self.assertEqual(done.returncode != 0, fails, said)
        self.assertEqual("ERROR" in done.stdout + done.stderr, fails, said)
        return done.stdout

    def setUp(self):
        super().setUp()
        self.project = os.path.join(self.scratch, "project")
        os.makedirs(os.path.join(self.project, ".elasticbeanstalk"))
        with open(os.path.join(self.project, ".elasticbeanstalk", "config.yml"), "w") as file:
            file.write(PROJECT)

    def push(self, repository, tag):
        """An image in the local registry, which the project's bundle names from now on."""
        ecr = self.client("ecr")
        token = ecr.get_authorization_token()["authorizationData"][0]
        host = token["proxyEndpoint"].removeprefix("http://")
        password = base64.b64decode(token["authorizationToken"]).decode().partition(":")[2]
        self.docker("login", "--username", "AWS", "--password-stdin", host, sent=password)
        reference = f"{host}/{repository}:{tag}"
        self.image(reference, f"page {tag}")
        self.docker("push", "--quiet", reference)
        with open(os.path.join(self.project, "Dockerrun.aws.json"), "wb") as file:
            file.write(self.dockerrun(reference))

    def environment(self, name):
        found = self.client("elasticbeanstalk").describe_environments(EnvironmentNames=[name])["Environments"]
        return found[-1]

    def make(self):
        """An application with two environments of its first version."""
        eb = self.client("elasticbeanstalk")
        eb.create_application(ApplicationName=APP)
        self.addCleanup(self.remove)
        self.client("ecr").create_repository(repositoryName=APP)
        self.addCleanup(self.client("ecr").delete_repository, repositoryName=APP, force=True)
        self.push(APP, "one")
        bucket, key = eb.create_storage_location()["S3Bucket"], f"{APP}/one.json"
        with open(os.path.join(self.project, "Dockerrun.aws.json"), "rb") as file:
            self.client("s3").put_object(Bucket=bucket, Key=key, Body=file.read())
        source = {"S3Bucket": bucket, "S3Key": key}
        eb.create_application_version(ApplicationName=APP, VersionLabel="one", SourceBundle=source)
        options = [
            {"Namespace": namespace, "OptionName": name, "Value": value}
            for namespace, name, value in (
                ("aws:elasticbeanstalk:healthreporting:system", "SystemType", "enhanced"),
                ("aws:autoscaling:launchconfiguration", "IamInstanceProfile", "aws-elasticbeanstalk-ec2-role"),
            )
        ]
        stacks = eb.list_available_solution_stacks()["SolutionStacks"]
        for name in ("blue", "green"):
            eb.create_environment(
                ApplicationName=APP,
                EnvironmentName=f"{APP}-{name}",
                CNAMEPrefix=f"{APP}-{name}",
                VersionLabel="one",
                SolutionStackName=next(stack for stack in stacks if "v4.13" in stack),
                OptionSettings=options,
            )
        for name in ("blue", "green"):
            ask = lambda: self.environment(f"{APP}-{name}")
            self.until(f"{name} Green", ask, lambda it: (it["Status"], it["Health"]) == ("Ready", "Green"))

    def remove(self):
        self.client("elasticbeanstalk").delete_application(ApplicationName=APP, TerminateEnvByForce=True)
        ask = lambda: self.client("elasticbeanstalk").describe_environments(ApplicationName=APP)["Environments"]
        self.until("the end of all", ask, lambda all: {it["Status"] for it in all} <= {"Terminated"})

    def test_the_story(self):
        self.make()
        status = self.eb("status")
        self.assertIn("Deployed Version: one", status)
        self.assertIn("Health: Green", status)
        self.assertIn(f"{APP}-green", self.eb("list"))

        self.push(APP, "two")
        said = self.eb("deploy", "--label", "two")
        self.assertIn("New application version was deployed to running EC2 instances.", said)
        self.assertIn("Environment update completed successfully.", said)
        blue = self.environment(f"{APP}-blue")
        self.assertEqual(blue["VersionLabel"], "two")
        self.until("page two", lambda: self.page(blue["CNAME"]), lambda page: page == "page two")

        said = self.eb("swap", f"{APP}-blue", "--destination_name", f"{APP}-green")
        self.assertIn("Completed swapping CNAMEs for environments", said)
        self.assertEqual(self.environment(f"{APP}-green")["CNAME"], blue["CNAME"])

        self.assertIn("createEnvironment is starting.", self.eb("events"))
        health = self.eb("health")
        self.assertIn(f"{APP}-blue", health)
        self.assertIn("i-0", health)
        logs = self.eb("logs")
        self.assertIn("/var/log/eb-docker/containers/eb-current-app/stdouterr.log", logs)
        said = self.eb("clone", f"{APP}-blue", "--clone_name", f"{APP}-red", "--cname", f"{APP}-red", "--exact")
        self.assertIn(f"Successfully launched environment: {APP}-red", said)
        self.assertEqual(self.environment(f"{APP}-red")["VersionLabel"], "two")
        self.eb("use", f"{APP}-green")
        said = self.eb("terminate", "--force", f"{APP}-green")
        self.assertIn("terminateEnvironment completed successfully.", said)

        # What fails on the instances fails the command.
        with open(os.path.join(self.project, "Dockerrun.aws.json"), "wb") as file:
            file.write(self.dockerrun("127.0.0.1:9/none:1"))
        self.eb("deploy", f"{APP}-blue", "--label", "three", fails=True)
        self.assertEqual(self.environment(f"{APP}-blue")["VersionLabel"], "two")
