"""The JSON Schema of case files: every file of the corpus fits, and what the reader refuses does not."""

import copy
import json
import os
import pathlib
import subprocess
import unittest

import jsonschema

BINARY = os.environ["LINKROLE_TEST_BINARY"]
ROOT = pathlib.Path(__file__).resolve().parents[4]
SCHEMA = json.loads((ROOT / "docs/reference/policy-cases.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

RIGHT = {
    "id": "one",
    "kind": "evaluate",
    "request": {
        "action": "s3:GetObject",
        "resource": "arn:aws:s3:::b/k",
        "principal": {"type": "User", "arn": "arn:aws:iam::111122223333:user/a", "account": "111122223333"},
        "context": {"aws:SourceIp": "10.0.0.1", "aws:TagKeys": ["a"], "aws:Absent": None},
        "resourceAccount": None,
    },
    "policies": {
        "identity": [{"name": "p", "document": {"Version": "2012-10-17", "Statement": []}}],
        "resource": {"name": "r", "text": "{}", "kind": "generic"},
        "scp": [{"target": "root", "policies": []}],
    },
    "expect": {"decision": "Error", "layer": "identity", "blockedBy": [], "matched": []},
}

# Each a place in the right case and a value there that neither the schema nor the reader takes.
WRONG = [
    (["extra"], 1),
    (["id"], 1),
    (["kind"], "question"),
    (["dialect"], "azure"),
    (["tags"], "a"),
    (["text"], "{}"),
    (["policyKind"], "identity"),
    (["request", "colour"], 1),
    (["request", "principal", "type"], "user"),
    (["request", "principal", "name"], "a"),
    (["request", "context", "aws:a"], 1),
    (["request", "wildcardOnly"], "yes"),
    (["policies", "identity"], [{"name": "p"}]),
    (["policies", "identity"], [{"name": "p", "text": "{}", "document": {}}]),
    (["policies", "identity"], [{"name": "p", "text": "{}", "kind": "trust"}]),
    (["policies", "resource", "kind"], "bucket"),
    (["policies", "scp"], []),
    (["policies", "scp"], [{"target": "root"}]),
    (["policies", "other"], []),
    (["expect", "decision"], "Deny"),
    (["expect", "layer"], "group"),
    (["expect", "valid"], True),
    (["expect", "matched"], [{"policy": "p", "statement": -1, "effect": "Allow"}]),
]


def merged(over, under):
    """A case with the defaults of its file under it."""
    if not (isinstance(over, dict) and isinstance(under, dict)):
        return over
    together = dict(under)
    for key, value in over.items():
        together[key] = merged(value, under[key]) if key in under else value
    return together


def reads(document):
    """Whether the command line reads a file, whatever it answers."""
    done = subprocess.run(
        [BINARY, "policy", "eval", "-"], input=json.dumps(document), capture_output=True, text=True, check=False
    )
    return done.returncode == 0


class Schema(unittest.TestCase):
    def test_the_schema_is_one(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_every_file_of_the_corpus_fits(self):
        files = sorted((ROOT / "corpus/policy").glob("*.json"))
        self.assertGreater(len(files), 3)
        for file in files:
            document = json.loads(file.read_text())
            defaults = document.get("defaults", {})
            VALIDATOR.validate(document)
            document.pop("defaults", None)
            document["cases"] = [merged(case, defaults) for case in document["cases"]]
            VALIDATOR.validate(document)

    def test_schema_and_reader_agree(self):
        right = {"format": "linkrole-cases/1", "cases": [RIGHT]}
        VALIDATOR.validate(right)
        self.assertTrue(reads(right))
        for place, value in WRONG:
            case = copy.deepcopy(RIGHT)
            around = case
            for step in place[:-1]:
                around = around[step]
            around[place[-1]] = value
            document = {"format": "linkrole-cases/1", "cases": [case]}
            with self.subTest(place=place, value=value):
                self.assertFalse(VALIDATOR.is_valid(document), "the schema takes it")
                self.assertFalse(reads(document), "the reader takes it")
        for document in ({"cases": []}, {"format": "x", "cases": []}, {"format": "linkrole-cases/1"}):
            self.assertFalse(VALIDATOR.is_valid(document))
            self.assertFalse(reads(document))


if __name__ == "__main__":
    unittest.main()
