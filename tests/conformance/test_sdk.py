"""boto3 asks every service: what is there, what is not, and what is refused."""

import base64
import io
import json
import urllib.request

import world
from botocore.exceptions import ClientError

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


class TheSdk(world.Conformance):
    def refused(self, code):
        """A context in which a call must be refused with this code."""
        return _Refused(self, code)

    def test_sts(self):
        sts = self.client("sts")
        self.assertEqual(sts.get_caller_identity()["Account"], "000000000000")
        role = "arn:aws:iam::000000000000:role/deployer"
        keys = sts.assume_role(RoleArn=role, RoleSessionName="one")["Credentials"]
        session = world.boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        caller = session.client("sts", endpoint_url=self.recorder.endpoint).get_caller_identity()
        self.assertEqual(caller["Arn"], "arn:aws:sts::000000000000:assumed-role/deployer/one")
        session.client("s3", endpoint_url=self.recorder.endpoint).list_buckets()
        claims = {"sub": "repo:o/r:ref:refs/heads/main", "aud": "sts.amazonaws.com", "iss": "https://token.example"}
        token = "e30." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + ".x"
        ask = {"RoleArn": role, "RoleSessionName": "two"}
        answer = sts.assume_role_with_web_identity(WebIdentityToken=token, **ask)
        self.assertEqual(answer["SubjectFromWebIdentityToken"], claims["sub"])
        with self.refused("InvalidIdentityToken"):
            sts.assume_role_with_web_identity(WebIdentityToken="not a token", **ask)

    def test_s3(self):
        s3 = self.client("s3")
        s3.create_bucket(Bucket="conform", CreateBucketConfiguration={"LocationConstraint": "local"})
        self.addCleanup(s3.delete_bucket, Bucket="conform")
        self.assertEqual(s3.get_bucket_location(Bucket="conform")["LocationConstraint"], "local")
        s3.head_bucket(Bucket="conform")
        s3.put_object(Bucket="conform", Key="a/b c.txt", Body=b"text", Metadata={"run": "7"}, IfNoneMatch="*")
        with self.refused("PreconditionFailed"):
            s3.put_object(Bucket="conform", Key="a/b c.txt", Body=b"other", IfNoneMatch="*")
        got = s3.get_object(Bucket="conform", Key="a/b c.txt")
        self.assertEqual((got["Body"].read(), got["Metadata"]), (b"text", {"run": "7"}))
        s3.put_object(Bucket="conform", Key="a/b c.txt", Body=b"other", IfMatch=got["ETag"])
        url = s3.generate_presigned_url("get_object", Params={"Bucket": "conform", "Key": "a/b c.txt"})
        with urllib.request.urlopen(url) as answer:
            self.assertEqual(answer.read(), b"other")
        listed = s3.list_objects_v2(Bucket="conform", Prefix="a/")
        self.assertEqual([item["Key"] for item in listed["Contents"]], ["a/b c.txt"])
        s3.upload_fileobj(io.BytesIO(bytes(9 << 20)), "conform", "in parts")
        self.assertEqual(s3.head_object(Bucket="conform", Key="in parts")["ContentLength"], 9 << 20)
        with self.refused("404"):
            s3.head_object(Bucket="conform", Key="none")
        s3.delete_objects(Bucket="conform", Delete={"Objects": [{"Key": "a/b c.txt"}, {"Key": "in parts"}]})

    def test_ecr(self):
        ecr, name = self.client("ecr"), {"repositoryName": "conform/sdk"}
        with self.refused("RepositoryNotFoundException"):
            ecr.describe_images(**name)
        made = ecr.create_repository(**name, tags=[{"Key": "made-by", "Value": "a test"}])["repository"]
        self.addCleanup(ecr.delete_repository, **name, force=True)
        with self.refused("RepositoryAlreadyExistsException"):
            ecr.create_repository(**name)
        found = ecr.describe_repositories(repositoryNames=["conform/sdk"])["repositories"]
        self.assertEqual(found, [made])

        token = ecr.get_authorization_token()["authorizationData"][0]
        user, _, password = base64.b64decode(token["authorizationToken"]).decode().partition(":")
        host = token["proxyEndpoint"].removeprefix("http://")
        self.docker("login", "--username", user, "--password-stdin", host, sent=password)
        reference = f"{made['repositoryUri']}:one"
        self.assertTrue(reference.startswith(host))
        self.image(reference, "page one")
        self.docker("push", "--quiet", reference)

        images = ecr.describe_images(**name, imageIds=[{"imageTag": "one"}])["imageDetails"]
        digest = images[0]["imageDigest"]
        self.assertEqual((images[0]["imageTags"], images[0]["imageManifestMediaType"]), (["one"], DOCKER))
        self.assertEqual(ecr.list_images(**name)["imageIds"], [{"imageDigest": digest, "imageTag": "one"}])
        with self.refused("ImageNotFoundException"):
            ecr.describe_images(**name, imageIds=[{"imageTag": "none"}])
        asked = ecr.batch_get_image(**name, imageIds=[{"imageTag": "one"}, {"imageTag": "none"}])
        self.assertEqual([failure["failureCode"] for failure in asked["failures"]], ["ImageNotFound"])
        manifest = {"imageManifest": asked["images"][0]["imageManifest"], "imageManifestMediaType": DOCKER}
        again = ecr.put_image(**name, **manifest, imageTag="two")["image"]
        self.assertEqual(again["imageId"], {"imageDigest": digest, "imageTag": "two"})
        with self.refused("ImageAlreadyExistsException"):
            ecr.put_image(**name, **manifest, imageTag="two")

        changed = ecr.put_image_tag_mutability(**name, imageTagMutability="IMMUTABLE")
        self.assertEqual(changed["imageTagMutability"], "IMMUTABLE")
        other = json.loads(manifest["imageManifest"])
        other["layers"] = other["layers"][:1]
        with self.refused("ImageTagAlreadyExistsException"):
            ecr.put_image(
                **name, imageManifest=json.dumps(other), imageManifestMediaType=DOCKER, imageTag="two"
            )
        ecr.batch_delete_image(**name, imageIds=[{"imageTag": "two"}])
        with self.refused("RepositoryNotEmptyException"):
            ecr.delete_repository(**name)

    def test_beanstalk(self):
        eb, app = self.client("elasticbeanstalk"), {"ApplicationName": "conform-sdk"}
        self.assertEqual(eb.describe_applications(ApplicationNames=["conform-none"])["Applications"], [])
        eb.create_application(**app, Tags=[{"Key": "made-by", "Value": "a test"}])
        self.addCleanup(eb.delete_application, **app)
        with self.refused("InvalidParameterValue"):
            eb.create_application(**app)
        bucket, key = eb.create_storage_location()["S3Bucket"], "conform-sdk/1.zip"
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=self.bundle("127.0.0.1:9/none:1"))
        source = {"S3Bucket": bucket, "S3Key": key}
        eb.create_application_version(**app, VersionLabel="1", SourceBundle=source, Description="é < & >")
        with self.refused("InvalidParameterValue"):
            eb.create_application_version(**app, VersionLabel="1", SourceBundle=source)
        found = eb.describe_application_versions(**app)["ApplicationVersions"]
        self.assertEqual([version["Description"] for version in found], ["é < & >"])
        with self.refused("InvalidParameterValue"):
            eb.update_environment(EnvironmentId="e-nonenonexx", VersionLabel="1")
        with self.refused("InvalidParameterValue"):
            eb.create_environment(**app, EnvironmentName="conform-bad-", VersionLabel="1")
        self.assertEqual(eb.describe_environments(**app)["Environments"], [])
        self.assertTrue(eb.list_available_solution_stacks()["SolutionStacks"])
        eb.describe_events(**app, MaxRecords=10)
        eb.delete_application_version(**app, VersionLabel="1", DeleteSourceBundle=True)

    def test_an_environment_that_does_not_come_up(self):
        eb, app = self.client("elasticbeanstalk"), {"ApplicationName": "conform-red"}
        eb.create_application(**app)
        bucket, key = eb.create_storage_location()["S3Bucket"], "conform-red/1.zip"
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=self.bundle("127.0.0.1:9/none:1"))
        eb.create_application_version(**app, VersionLabel="1", SourceBundle={"S3Bucket": bucket, "S3Key": key})
        stack = next(it for it in eb.list_available_solution_stacks()["SolutionStacks"] if it.endswith("Docker"))
        health, launch = "aws:elasticbeanstalk:healthreporting:system", "aws:autoscaling:launchconfiguration"
        options = [
            {"Namespace": health, "OptionName": "SystemType", "Value": "enhanced"},
            {"Namespace": launch, "OptionName": "IamInstanceProfile", "Value": "nodes"},
        ]
        made = eb.create_environment(
            **app,
            EnvironmentName="conform-red",
            VersionLabel="1",
            SolutionStackName=stack,
            OptionSettings=options,
            Tags=[{"Key": "run", "Value": "7"}],
        )
        one = {"EnvironmentId": made["EnvironmentId"]}
        describe = lambda: eb.describe_environments(EnvironmentIds=[one["EnvironmentId"]])["Environments"][0]
        self.until("conform-red is red", describe, lambda it: (it["Status"], it["Health"]) == ("Ready", "Red"))
        health = eb.describe_environment_health(**one, AttributeNames=["All"])
        self.assertEqual(health["Status"], "Ready")
        eb.describe_instances_health(**one, AttributeNames=["All"])
        events = eb.describe_events(**one, MaxRecords=5)
        self.assertIn("NextToken", events)
        more = eb.describe_events(**one, NextToken=events["NextToken"])["Events"]
        self.assertIn("ERROR", [event["Severity"] for event in events["Events"] + more])
        self.assertEqual(eb.describe_environment_managed_actions(**one)["ManagedActions"], [])
        with self.refused("InvalidParameterValue"):
            eb.abort_environment_update(**one)
        tags = eb.list_tags_for_resource(ResourceArn=made["EnvironmentArn"])["ResourceTags"]
        self.assertIn({"Key": "run", "Value": "7"}, tags)
        eb.update_tags_for_resource(ResourceArn=made["EnvironmentArn"], TagsToRemove=["run"])
        self.assertTrue(eb.list_platform_versions()["PlatformSummaryList"])
        eb.describe_account_attributes()
        self.until("conform-red is ready again", describe, lambda it: it["Status"] == "Ready")
        eb.terminate_environment(**one)
        self.until("the end of conform-red", describe, lambda it: it["Status"] == "Terminated")
        eb.delete_application(**app)


class _Refused:
    def __init__(self, test, code):
        self.test, self.code = test, code

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.test.assertIsInstance(error, ClientError, f"{self.code} was expected")
        self.test.assertEqual(error.response["Error"]["Code"], self.code, str(error))
        return True
