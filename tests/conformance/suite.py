"""All conformance tests, and after them the question whether every operation that we serve was asked."""

import pathlib
import sys
import unittest

import world

# What the pipeline and the people around it need (operations of the local cloud; S3 is checked by its own crate).
SERVED = {
    "elasticbeanstalk": """
        AbortEnvironmentUpdate CheckDNSAvailability CreateApplication CreateApplicationVersion
        CreateConfigurationTemplate CreateEnvironment CreateStorageLocation DeleteApplication DeleteApplicationVersion
        DeleteConfigurationTemplate DescribeAccountAttributes DescribeApplicationVersions DescribeApplications
        DescribeConfigurationSettings DescribeEnvironmentHealth DescribeEnvironmentManagedActions
        DescribeEnvironmentResources DescribeEnvironments DescribeEvents DescribeInstancesHealth DescribePlatformVersion
        ListAvailableSolutionStacks ListPlatformBranches ListPlatformVersions ListTagsForResource RequestEnvironmentInfo
        RetrieveEnvironmentInfo SwapEnvironmentCNAMEs TerminateEnvironment UpdateEnvironment UpdateTagsForResource""",
    "ecr": """
        BatchDeleteImage BatchGetImage CreateRepository DeleteRepository DescribeImages DescribeRepositories
        GetAuthorizationToken ListImages PutImage PutImageTagMutability""",
    "sts": "AssumeRole AssumeRoleWithWebIdentity GetCallerIdentity",
}


def main():
    here = str(pathlib.Path(__file__).parent)
    names = sys.argv[1:]
    load = unittest.defaultTestLoader
    tests = load.loadTestsFromNames(names) if names else load.discover(here, top_level_dir=here)
    good = unittest.TextTestRunner(verbosity=2).run(tests).wasSuccessful()
    served = {(service, action) for service, actions in SERVED.items() for action in actions.split()}
    missing = sorted(served - world.CHECKED)
    print(f"{len(world.CHECKED)} operations were checked against botocore's models")
    if missing and not names:
        print("nobody asked " + ", ".join(f"{service} {action}" for service, action in missing))
        good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
