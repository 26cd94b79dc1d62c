"""The AWS CLI tells the whole story of a blue-green deployment."""

import json
import os

import world

APP = "conform-cli"


class TheCommandLine(world.Conformance):
    def eb(self, *words, **options):
        return self.aws("elasticbeanstalk", *words, **options)

    def environment(self, name):
        found = self.eb("describe-environments", "--environment-names", name)["Environments"]
        self.assertEqual(len(found), 1, name)
        return found[0]

    def ready(self, name):
        """The environment, when nothing is under way any more."""
        found = self.until(f"{name} Ready", lambda: self.environment(name), lambda it: it["Status"] == "Ready")
        return self.until(f"{name} Green", lambda: self.environment(name), lambda it: it["Health"] == "Green") or found

    def push(self, tag):
        """An image in the local registry; its name."""
        token = self.aws("ecr", "get-authorization-token")["authorizationData"][0]
        host = token["proxyEndpoint"].removeprefix("http://")
        password = self.aws("ecr", "get-login-password")
        self.docker("login", "--username", "AWS", "--password-stdin", host, sent=password)
        reference = f"{host}/{APP}:{tag}"
        self.image(reference, f"page {tag}")
        self.docker("push", "--quiet", reference)
        return reference

    def version(self, bucket, tag):
        """An application version that runs this tag."""
        path = os.path.join(self.scratch, f"{tag}.zip")
        with open(path, "wb") as file:
            file.write(self.bundle(self.push(tag)))
        self.aws("s3", "cp", "--quiet", path, f"s3://{bucket}/{APP}/{tag}.zip")
        source = f"S3Bucket={bucket},S3Key={APP}/{tag}.zip"
        words = ["--application-name", APP, "--version-label", tag, "--source-bundle", source, "--process"]
        made = self.eb("create-application-version", *words)["ApplicationVersion"]
        self.assertEqual((made["VersionLabel"], made["SourceBundle"]["S3Bucket"]), (tag, bucket))
        named = ["--application-name", APP, "--version-labels", tag]
        self.until(
            "version processed",
            lambda: self.eb("describe-application-versions", *named)["ApplicationVersions"][0]["Status"],
            lambda status: status.lower() == "processed",
        )

    def remove_application(self):
        """The application with its environments, which takes a while."""
        self.eb("delete-application", "--application-name", APP, "--terminate-env-by-force")
        named = ["--application-name", APP]
        self.until(
            "the end of all environments",
            lambda: {it["Status"] for it in self.eb("describe-environments", *named)["Environments"]},
            lambda statuses: statuses <= {"Terminated"},
        )

    def test_blue_green(self):
        self.eb("create-application", "--application-name", APP, "--description", "conformance <test> & more")
        self.addCleanup(self.remove_application)
        described = self.eb("describe-applications", "--application-names", APP)["Applications"][0]
        self.assertEqual(described["Description"], "conformance <test> & more")
        self.aws("ecr", "create-repository", "--repository-name", APP)
        self.addCleanup(self.aws, "ecr", "delete-repository", "--repository-name", APP, "--force")
        bucket = self.eb("create-storage-location")["S3Bucket"]
        self.version(bucket, "one")

        stacks = self.eb("list-available-solution-stacks")["SolutionStacks"]
        stack = next(name for name in stacks if name.endswith("running Docker"))
        settings = [
            {"Namespace": namespace, "OptionName": name, "Value": value}
            for namespace, name, value in (
                ("aws:elasticbeanstalk:environment", "EnvironmentType", "SingleInstance"),
                ("aws:elasticbeanstalk:healthreporting:system", "SystemType", "enhanced"),
                ("aws:autoscaling:launchconfiguration", "IamInstanceProfile", "aws-elasticbeanstalk-ec2-role"),
                ("aws:elasticbeanstalk:application:environment", "GREETING", "a & b"),
            )
        ]
        free = self.eb("check-dns-availability", "--cname-prefix", APP)
        self.assertTrue(free["Available"])
        words = ["--application-name", APP, "--environment-name", f"{APP}-blue", "--version-label", "one"]
        words += ["--cname-prefix", APP, "--solution-stack-name", stack, "--option-settings", json.dumps(settings)]
        made = self.eb("create-environment", *words)
        self.assertEqual(made["Status"], "Launching")
        blue = self.ready(f"{APP}-blue")
        self.assertEqual(blue["CNAME"], free["FullyQualifiedCNAME"])
        self.assertEqual(self.page(blue["CNAME"]), "page one")
        self.assertFalse(self.eb("check-dns-availability", "--cname-prefix", APP)["Available"])

        self.version(bucket, "two")
        template = ["--application-name", APP, "--template-name", "from-blue"]
        self.eb("create-configuration-template", *template, "--environment-id", blue["EnvironmentId"])
        kept = self.eb("describe-configuration-settings", *template)["ConfigurationSettings"][0]["OptionSettings"]
        self.assertIn("a & b", [setting.get("Value") for setting in kept])
        words = ["--application-name", APP, "--environment-name", f"{APP}-green", "--version-label", "two"]
        self.eb("create-environment", *words, "--cname-prefix", f"{APP}-next", "--template-name", "from-blue")
        self.eb("delete-configuration-template", *template)
        green = self.ready(f"{APP}-green")
        self.assertEqual(self.page(green["CNAME"]), "page two")
        health = ["--environment-id", green["EnvironmentId"], "--attribute-names", "All"]
        self.eb("describe-environment-health", *health)
        nodes = self.eb("describe-instances-health", *health)["InstanceHealthList"]
        self.assertEqual([node["Deployment"]["VersionLabel"] for node in nodes], ["two"])
        resources = self.eb("describe-environment-resources", "--environment-id", green["EnvironmentId"])
        self.assertEqual(len(resources["EnvironmentResources"]["Instances"]), 1)

        ids = ["--source-environment-id", blue["EnvironmentId"], "--destination-environment-id", green["EnvironmentId"]]
        self.eb("swap-environment-cnames", *ids)
        self.ready(f"{APP}-blue")
        live = self.ready(f"{APP}-green")
        self.assertEqual(live["CNAME"], blue["CNAME"])
        self.until("the swap on the router", lambda: self.page(blue["CNAME"]), lambda page: page == "page two")

        self.update_in_place(green["EnvironmentId"])
        events = self.eb("describe-events", "--environment-id", blue["EnvironmentId"], "--max-items", "200")["Events"]
        self.assertIn("createEnvironment is starting.", events[-1]["Message"])
        self.eb("terminate-environment", "--environment-id", blue["EnvironmentId"])
        gone = self.until(
            "blue Terminated", lambda: self.environment(f"{APP}-blue"), lambda it: it["Status"] == "Terminated"
        )
        self.assertEqual(gone["EnvironmentId"], blue["EnvironmentId"])
        self.eb("terminate-environment", "--environment-id", blue["EnvironmentId"], fails="InvalidParameterValue")

    def update_in_place(self, environment):
        """Another version and setting for a running environment, and what is refused meanwhile."""
        update = ["update-environment", "--environment-id", environment, "--version-label"]
        self.eb(*update, "one")
        self.eb(*update, "two", fails="InvalidParameterValue")
        self.assertEqual(self.ready(f"{APP}-green")["VersionLabel"], "one")
        self.eb("request-environment-info", "--environment-id", environment, "--info-type", "tail")
        words = ["--environment-id", environment, "--info-type", "tail"]
        self.until(
            "the log's tail", lambda: self.eb("retrieve-environment-info", *words)["EnvironmentInfo"], lambda it: it
        )
