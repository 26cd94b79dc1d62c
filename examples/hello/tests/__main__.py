"""Runs the unit tests and writes JUnit XML: python3 -m tests [/tmp/reports/junit.xml]."""

import sys
import time
import unittest
from pathlib import Path
from xml.etree import ElementTree

from hello.service import ABOUT


class JUnitResult(unittest.TextTestResult):
    """What the console shows, and one element a test beside it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.suite = ElementTree.Element("testsuite", name="hello")

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        group, _, name = test.id().rpartition(".")
        self.case = ElementTree.SubElement(self.suite, "testcase", classname=group, name=name)

    def stopTest(self, test):
        self.case.set("time", f"{time.monotonic() - self.began:.3f}")
        super().stopTest(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        ElementTree.SubElement(self.case, "failure", message=str(err[1])).text = self.failures[-1][1]

    def addError(self, test, err):
        super().addError(test, err)
        ElementTree.SubElement(self.case, "error", message=str(err[1])).text = self.errors[-1][1]

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        ElementTree.SubElement(self.case, "skipped", message=reason)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            ElementTree.SubElement(self.case, "failure", message=f"{subtest}: {err[1]}")


report = Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp/reports/junit.xml")
tests = unittest.defaultTestLoader.discover(str(Path(__file__).parent), top_level_dir=str(Path(__file__).parent.parent))
print(f"unit tests of version {ABOUT['version']}, build {ABOUT['build_id']}")
# What a test prints is shown if it fails.
result = unittest.TextTestRunner(sys.stdout, verbosity=2, buffer=True, resultclass=JUnitResult).run(tests)
counts = {"tests": result.testsRun, "failures": len(result.failures), "errors": len(result.errors),
          "skipped": len(result.skipped)}
for key, value in counts.items():
    result.suite.set(key, str(value))
report.parent.mkdir(parents=True, exist_ok=True)
ElementTree.ElementTree(result.suite).write(report, encoding="utf-8", xml_declaration=True)
sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)
