#!/usr/bin/python3 -I
"""Tests of merge_results, with results made up here."""

import os
import pathlib
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       "merge_results")

PASSING = """<testsuites><testsuite name="S">
  <testcase name="A" classname="S"/></testsuite></testsuites>"""
FAILING = """<testsuites><testsuite name="F">
  <testcase name="B" classname="F"><failure message="no"/></testcase>
</testsuite></testsuites>"""


class MergeResultsTest(unittest.TestCase):

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = pathlib.Path(temporary.name)

    def write(self, name, text):
        (self.directory / name).write_text(text)

    def merge(self, *arguments):
        """(exit status, {case: its failure, "skipped" or ""}, output)"""
        xml = self.directory / "merged.xml"
        done = subprocess.run([PROGRAM, "--output", xml, *arguments],
                              capture_output=True, text=True, check=False)
        cases = {}
        for case in ElementTree.parse(xml).getroot().iter("testcase"):
            failure = case.find("failure")
            outcome = "" if failure is None else failure.get("message")
            if case.find("skipped") is not None:
                outcome = "skipped"
            cases[f"{case.get('classname')}.{case.get('name')}"] = outcome
        return done.returncode, cases, done.stdout

    def merge_plan(self, names):
        self.write("plan", "".join(f"{n} some/{n} *\n" for n in names))
        return self.merge("--plan", self.directory / "plan", self.directory)

    def test_all_well(self):
        self.write("one.xml", PASSING)
        self.write("status", "up 0 9\none 0 3\n")
        status, cases, _ = self.merge_plan(["one"])
        self.assertEqual(status, 0)
        self.assertEqual(cases, {"VM.up": "", "S.A": ""})

    def test_a_failed_case_shows_its_log(self):
        self.write("one.xml", FAILING)
        self.write("one.log", "the reason")
        self.write("status", "up 0 9\none 1 3\n")
        status, cases, output = self.merge_plan(["one"])
        self.assertEqual(status, 1)
        self.assertEqual(cases, {"VM.up": "", "F.B": "no"})
        self.assertIn("the reason", output)

    def test_a_crash_is_a_failure(self):
        self.write("status", "up 0 9\none 139 3\n")
        status, cases, _ = self.merge_plan(["one"])
        self.assertEqual(status, 1)
        self.assertEqual(cases["VM.one"], "wrote no results: ended with 139")

    def test_a_leak_after_the_last_case_is_a_failure(self):
        self.write("one.xml", PASSING)
        self.write("status", "up 0 9\none 1 3\n")
        status, cases, _ = self.merge_plan(["one"])
        self.assertEqual(status, 1)
        self.assertEqual(cases["VM.one"], "ended with 1, but no case failed")

    def test_what_was_not_started_is_a_failure(self):
        self.write("one.xml", PASSING)
        self.write("status", "up 0 9\none 0 3\n")
        status, cases, _ = self.merge_plan(["one", "two"])
        self.assertEqual(status, 1)
        self.assertEqual(cases["VM.two"], "wrote no results: was not started")

    def test_cut_off_results_are_a_failure(self):
        self.write("one.xml", PASSING[:30])
        self.write("status", "up 0 9\none 0 3\n")
        status, cases, _ = self.merge_plan(["one"])
        self.assertEqual(status, 1)
        self.assertIn("VM.one", cases)

    def test_a_vm_that_never_came_up_fails_everything(self):
        status, cases, _ = self.merge_plan(["one"])
        self.assertEqual(status, 1)
        self.assertEqual(cases, {
            "VM.up": "deploy/up was not started",
            "VM.one": "wrote no results: was not started"})

    def test_skipping_says_why(self):
        status, cases, _ = self.merge("--skip", "needs the VM's disk")
        self.assertEqual(status, 0)
        self.assertEqual(cases, {"VM.host": "skipped"})


if __name__ == "__main__":
    unittest.main()
