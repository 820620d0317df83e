"""The vendor's pages as scenarios, told by `linkrole demo` and run with the vendor's unmodified clients."""

import os
import subprocess
import unittest

from harness import BINARY
from scenario import Scenario, names, program


class Scenarios(unittest.TestCase):
    def holds(self, name):
        scenario = Scenario(name)
        self.addCleanup(scenario.cloud.server.folder.cleanup)
        scenario.run()
        scenario.cloud.stop()

    def test_feature_49_cloud_config(self):
        self.holds("config")

    def test_feature_50_tag(self):
        self.holds("tag")

    def test_feature_51_resource_management(self):
        self.holds("resource")

    def test_feature_52_key_management_service(self):
        self.holds("kms")

    def test_feature_53_managed_security_service(self):
        self.holds("mss")

    def test_feature_54_aws_procedures_and_indirect_permissions(self):
        self.holds("aws")


class Driver(unittest.TestCase):
    """A step that does not hold is noticed, whatever it says."""

    def test_what_does_not_hold_is_told(self):
        scenario = object.__new__(Scenario)
        scenario.kept = {"name": "a"}
        answer = {"Code": "X", "n": 1, "list": [{"k": "a", "text": '{"deep": ["b"]}'}]}
        for step, error, holds in (
                ({"error": "X"}, "X", True), ({"error": "X"}, "Y", False), ({"error": "X"}, None, False),
                ({}, "X", False), ({}, None, True),
                ({"expect": {"n": 1}}, None, True), ({"expect": {"n": 2}}, None, False),
                ({"expect": {"m": 1}}, None, False), ({"expect": {"list.#": 1}}, None, True),
                ({"expect": {"list[k={{name}}].text.deep.0": "b"}}, None, True),
                ({"expect": {"list[k=c].text": "b"}}, None, False),
                ({"holds": {"list": "deep"}}, None, True), ({"holds": {"list": ["deep", "c"]}}, None, False),
                ({"lacks": {"list": "c"}}, None, True), ({"lacks": {"list": "deep"}}, None, False)):
            with self.subTest(step=step, error=error):
                self.assertEqual(scenario.wrong(step, error, answer) is None, holds)


class Demo(unittest.TestCase):
    def run_demo(self, *args):
        return subprocess.run([BINARY, "demo", *args], capture_output=True, text=True,
                              env={**os.environ, "NO_COLOR": "1"})

    def test_every_story_is_told_and_holds(self):
        program()
        for name in ["backup", *names()]:
            with self.subTest(name):
                done = self.run_demo(name)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertRegex(done.stdout, r"All \d+ steps held\.")
                self.assertNotIn("BROKEN", done.stdout)

    def test_an_unknown_story_is_answered_with_those_there_are(self):
        done = self.run_demo("nosuch")
        self.assertEqual(done.returncode, 2)
        for name in ["backup", *names()]:
            self.assertIn(name, done.stderr)


if __name__ == "__main__":
    unittest.main()
