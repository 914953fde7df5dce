#!/usr/bin/python3 -I
"""Tests of count-tests, with build event files and test.xml made up here."""

import json
import os
import subprocess
import tempfile
import unittest

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       "count-tests")

GTEST = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="4" failures="1" disabled="1" errors="0" name="AllTests">
  <testsuite name="Cache" tests="4" failures="1" disabled="1" skipped="1">
    <testcase name="Keeps" status="run" result="completed" classname="Cache"/>
    <testcase name="Forgets" status="run" result="completed" classname="Cache">
      <failure message="cache_test.cc:12&#x0A;Expected: a&#x0A;got: b" type=""/>
    </testcase>
    <testcase name="Mounts" status="run" result="skipped" classname="Cache">
      <skipped message="cache_test.cc:40&#x0A;needs root&#x0A;"/>
    </testcase>
    <testcase name="DISABLED_Later" status="notrun" result="suppressed"
              classname="Cache"/>
  </testsuite>
</testsuites>"""

PASSING = """<testsuites><testsuite name="S">
  <testcase name="A" status="run" result="completed" classname="S"/>
</testsuite></testsuites>"""

SKIPPING = """<testsuites><testsuite name="S">
  <testcase name="A" status="run" result="skipped" classname="S">
    <skipped message="x_test.cc:1&#x0A;needs root"/></testcase>
</testsuite></testsuites>"""

# What Bazel writes for a test that writes no XML itself.
SHELL_PASSED = """<testsuites>
  <testsuite name="deploy/x_test" tests="1" failures="0" errors="0">
    <testcase name="deploy/x_test" status="run" duration="1" time="1"/>
    <system-out><![CDATA[fine]]></system-out>
  </testsuite></testsuites>"""

SHELL_FAILED = """<testsuites>
  <testsuite name="deploy/x_test" tests="1" failures="0" errors="1">
    <testcase name="deploy/x_test" status="run" duration="1" time="1">
      <error message="exited with error code 7"></error></testcase>
  </testsuite></testsuites>"""

EMPTY = "<testsuites tests='0' failures='0'/>"


class CountTests(unittest.TestCase):

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name
        self.files = 0

    def write(self, text):
        self.files += 1
        path = os.path.join(self.directory, f"file {self.files}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def result(self, label, xml, status="PASSED"):
        outputs = [{"name": "test.log", "uri": "file:///nowhere"}]
        if xml is not None:
            path = self.write(xml).replace(" ", "%20")
            outputs.append({"name": "test.xml", "uri": "file://" + path})
        return {"id": {"testResult": {"label": label}},
                "testResult": {"status": status, "testActionOutput": outputs}}

    def count(self, *runs, options=()):
        """Each run is a list of events. Returns (status, lines)."""
        arguments = [
            f"run{i}=" + self.write("\n".join(json.dumps(e) for e in events))
            for i, events in enumerate(runs)]
        done = subprocess.run([PROGRAM, *options, *arguments], check=False,
                              capture_output=True, text=True)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout.splitlines()

    def test_counts_the_cases_of_a_googletest_file(self):
        status, lines = self.count([self.result("//a:t", GTEST, "FAILED")])
        self.assertEqual(status, 1)
        self.assertEqual(lines[-1], "1 passed, 1 failed, 2 skipped")
        self.assertIn("failed: //a:t Cache.Forgets: Expected: a got: b", lines)
        self.assertIn("skipped: //a:t Cache.Mounts: needs root", lines)
        self.assertIn("skipped: //a:t Cache.DISABLED_Later: disabled", lines)

    def test_passes_when_all_do(self):
        status, lines = self.count([self.result("//a:t", PASSING),
                                    self.result("//b:t", SHELL_PASSED)])
        self.assertEqual(status, 0)
        self.assertEqual(lines[-1], "2 passed, 0 failed, 0 skipped")

    def test_reads_bazels_own_xml_of_a_failed_script(self):
        status, lines = self.count([self.result("//b:t", SHELL_FAILED,
                                                "FAILED")])
        self.assertEqual(status, 1)
        self.assertIn("failed: //b:t deploy/x_test: exited with error code 7",
                      lines)

    def test_a_crash_is_a_failure_though_every_case_passed(self):
        status, lines = self.count([self.result("//a:t", PASSING, "FAILED")])
        self.assertEqual(status, 1)
        self.assertEqual(lines[-1], "1 passed, 1 failed, 0 skipped")

    def test_a_timeout_without_xml_is_a_failure(self):
        status, lines = self.count([self.result("//a:t", None, "TIMEOUT")])
        self.assertEqual(status, 1)
        self.assertIn("failed: //a:t: bazel says TIMEOUT, but no case failed",
                      lines)

    def test_a_target_without_cases_is_a_failure(self):
        status, lines = self.count([self.result("//a:t", PASSING),
                                    self.result("//b:t", EMPTY)])
        self.assertEqual(status, 1)
        self.assertIn("failed: //b:t: has no test case", lines)

    def test_broken_xml_is_a_failure(self):
        status, lines = self.count([self.result("//a:t", "<testsuites>")])
        self.assertEqual(status, 1)
        self.assertEqual(lines[-1], "0 passed, 1 failed, 0 skipped")

    def test_a_target_that_did_not_build_is_a_failure(self):
        built = {"id": {"targetCompleted": {"label": "//a:t"}},
                 "completed": {"success": True}}
        broken = {"id": {"targetCompleted": {"label": "//c:t"}},
                  "aborted": {"reason": "ANALYSIS_FAILURE"}}
        status, lines = self.count([built, self.result("//a:t", PASSING),
                                    broken])
        self.assertEqual(status, 1)
        self.assertEqual(lines[-2:], ["failed: //c:t: did not build",
                                      "1 passed, 1 failed, 0 skipped"])

    def test_nothing_run_is_no_success(self):
        self.assertEqual(self.count([])[0], 1)
        self.assertEqual(self.count()[1][-1], "0 passed, 0 failed, 0 skipped")

    def test_only_skips_are_no_success(self):
        status, lines = self.count([self.result("//a:t", SKIPPING)])
        self.assertEqual(status, 1)
        self.assertEqual(lines[-1], "0 passed, 0 failed, 1 skipped")

    def test_must_run_turns_matching_skips_into_failures(self):
        run = [self.result("//a:t", GTEST.replace("Expected", "x"), "FAILED")]
        lines = self.count(run, options=["--must-run", "needs root"])[1]
        self.assertEqual(lines[-1], "1 passed, 2 failed, 1 skipped")

    def test_a_broken_check_is_a_failure(self):
        status, lines = self.count([self.result("//a:t", PASSING)],
                                   options=["--broken", "clang-format"])
        self.assertEqual(status, 1)
        self.assertEqual(lines[-2:], ["failed: clang-format: see above",
                                      "1 passed, 1 failed, 0 skipped"])

    def test_a_case_of_two_runs_counts_once_by_its_worst(self):
        status, lines = self.count(
            [self.result("//a:t", PASSING), self.result("//b:t", SKIPPING)],
            [self.result("//a:t", PASSING.replace(
                'classname="S"/>',
                'classname="S"><failure message="leak"/></testcase>'),
                "FAILED"),
             self.result("//b:t", PASSING)])
        self.assertEqual(status, 1)
        self.assertEqual(lines[-1], "1 passed, 1 failed, 0 skipped")


if __name__ == "__main__":
    unittest.main()
