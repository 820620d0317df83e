"""The operator brings in the vendor's policies: from a running server that has them, and from files."""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import unittest

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from harness import BINARY, Case, allow

POLICY = "arn:aws:iam::aws:policy/aws-service-role/"


class Vendor:
    """A moto server with the vendor's managed policies; it stands in for the vendor, not for us."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        self.log = open(os.path.join(folder, "moto.log"), "w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"},
            stdout=self.log, stderr=self.log)
        self.iam = boto3.client("iam", endpoint_url=self.endpoint, region_name="us-east-1",
                                aws_access_key_id="k", aws_secret_access_key="s",
                                config=Config(retries={"max_attempts": 0}))
        deadline = time.monotonic() + 60
        while True:
            try:
                self.iam.list_users()
                return
            except (BotoCoreError, ClientError):
                if time.monotonic() > deadline:
                    raise

    def policies(self):
        """Every policy of service-linked roles, by name, as its document."""
        found = {}
        pages = self.iam.get_paginator("list_policies")
        for page in pages.paginate(Scope="AWS", PathPrefix="/aws-service-role/"):
            for policy in page["Policies"]:
                version = self.iam.get_policy_version(PolicyArn=policy["Arn"],
                                                      VersionId=policy["DefaultVersionId"])
                found[policy["PolicyName"]] = version["PolicyVersion"]["Document"]
        return found

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def listed(value):
    return value if isinstance(value, list) else [value]


def questions(name, document):
    """Cases about a document: nobody is allowed what it does not name, and what a statement without
    conditions allows is allowed, if nothing in the document denies anything."""
    def case(number, action, resource, decision):
        return {"id": f"{name.lower()}-{number}", "kind": "evaluate", "tags": ["vendor"],
                "note": "made from the document",
                "request": {"action": action, "resource": resource, "context": {},
                            "principal": {"type": "User", "account": "111122223333",
                                          "arn": "arn:aws:iam::111122223333:user/alice",
                                          "id": "AIDAEXAMPLEALICE0001"}},
                "policies": {"identity": [{"name": "p0", "document": document}]},
                "expect": {"decision": decision}}
    statements = listed(document["Statement"])
    cases = [case(0, "nobody:Does", "arn:aws:nobody:::this", "ImplicitDeny")]
    if any(s["Effect"] == "Deny" for s in statements):
        return cases
    for number, statement in enumerate(statements, 1):
        if not {"Action", "Resource"} <= set(statement) or "Condition" in statement:
            continue
        action, resource = listed(statement["Action"])[0], listed(statement["Resource"])[0]
        if "${" in resource:
            continue
        # In the asking account, so that its own policy is enough.
        resource = "arn:aws:s3:::thing" if resource == "*" else resource
        parts = resource.split(":", 5)
        if len(parts) < 6 or parts[4] not in ("*", ""):
            continue
        resource = ":".join(parts[:4] + ["111122223333" if parts[4] else "", parts[5]])
        plain = lambda text: text.replace("*", "x").replace("?", "x")
        cases.append(case(number, plain(action), plain(resource), "Allow"))
    return cases


class Catalog(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.vendor = Vendor(cls.server.folder.name)
        cls.documents = cls.vendor.policies()

    @classmethod
    def tearDownClass(cls):
        cls.vendor.stop()
        super().tearDownClass()

    def bring_in(self, source, way, *more):
        code, out, err = self.server.linkrole("--output", "json", "catalog", "import", "aws",
                                              "--from", way, source, *more)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def held(self, name):
        version = self.iam.get_policy(PolicyArn=POLICY + name)["Policy"]["DefaultVersionId"]
        return self.iam.get_policy_version(PolicyArn=POLICY + name,
                                           VersionId=version)["PolicyVersion"]["Document"]

    def test_every_document_of_a_running_server_is_taken_as_it_is(self):
        self.assertGreater(len(self.documents), 300)
        tried = self.bring_in(self.vendor.endpoint, "endpoint", "--dry-run")
        self.assertGreater(len(tried["changed"]), 200)
        self.assertEqual(self.held(tried["changed"][0])["Statement"][0]["Effect"], "Deny")
        done = self.bring_in(self.vendor.endpoint, "endpoint", "--source-note", "a moto server")
        self.assertEqual((done["changed"], done["rejected"]), (tried["changed"], []))
        self.assertEqual(len(done["changed"]) + len(done["unknown"]), len(self.documents))
        for name in done["changed"]:
            self.assertEqual(self.held(name), self.documents[name], name)
        again = self.bring_in(self.vendor.endpoint, "endpoint")
        self.assertEqual((again["changed"], again["unchanged"]), ([], len(done["changed"])))
        code, out, err = self.server.linkrole("--output", "json", "slr", "preview",
                                              "rds.amazonaws.com")
        self.assertEqual(code, 0, err)
        source = json.loads(out)["policy_source"]
        self.assertEqual(source["note"], "a moto server")
        self.assertRegex(source["sha256"], "^[0-9a-f]{64}$")

    def test_spec_and_engine_decide_alike_under_every_document(self):
        cases = [case for name, document in sorted(self.documents.items())
                 for case in questions(name, document)]
        self.assertGreater(len(cases), 900)
        path = os.path.join(self.server.folder.name, "vendor.json")
        with open(path, "w") as file:
            json.dump({"format": "linkrole-cases/1", "defaults": {"dialect": "aws"},
                       "source": {"corpus": "vendor", "licence": "unknown"},
                       "cases": cases}, file)
        done = subprocess.run([BINARY, "policy", "test", path], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[-2000:])
        self.assertRegex(done.stdout, rf"\b{len(cases)}\b")

    def test_files_as_the_vendors_tools_write_them(self):
        folder = os.path.join(self.server.folder.name, secrets.token_hex(4))
        os.mkdir(folder)
        name = "AmazonRDSServiceRolePolicy"
        document = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": secrets.token_hex(3) + ":Get*", "Resource": "*"}]}
        with open(os.path.join(folder, name + ".json"), "w") as file:
            json.dump({"PolicyVersion": {"Document": document, "VersionId": "v9"}}, file)
        with open(os.path.join(folder, "NobodysPolicy.json"), "w") as file:
            json.dump(document, file)
        done = self.bring_in(folder, "file")
        self.assertEqual((done["changed"], done["unknown"]), ([name], ["NobodysPolicy"]))
        self.assertEqual(self.held(name), document)
        document["Statement"][0]["Resource"] = "arn:aws:rds:*:*:db:x"
        details = os.path.join(self.server.folder.name, "details.json")
        with open(details, "w") as file:
            json.dump({"Policies": [{
                "PolicyName": name, "Path": "/aws-service-role/", "DefaultVersionId": "v2",
                "PolicyVersionList": [{"VersionId": "v2", "Document": document}]}]}, file)
        self.assertEqual(self.bring_in(details, "account")["changed"], [name])
        self.assertEqual(self.held(name), document)
        # What is no document is refused, and told by name.
        with open(os.path.join(folder, name + ".json"), "w") as file:
            json.dump({"PolicyVersion": {"Document": {"Statement": "none"}}}, file)
        code, _, err = self.server.linkrole("catalog", "import", "aws", "--from", "file", folder)
        self.assertEqual(code, 1)
        self.assertIn(name, err)
        self.assertEqual(self.held(name), document)
        code, out, err = self.server.linkrole("--output", "table", "catalog", "list")
        self.assertTrue(re.search(r"rds\.amazonaws\.com\s+RDS\s+AmazonRDS", out), err)

    def test_a_service_that_runs_here_says_itself_what_it_may_do(self):
        folder = os.path.join(self.server.folder.name, secrets.token_hex(4))
        os.mkdir(folder)
        with open(os.path.join(folder, "ExampleBackupServiceRolePolicy.json"), "w") as file:
            json.dump(allow("s3:Get*"), file)
        code, _, err = self.server.linkrole("catalog", "import", "aws", "--from", "file", folder)
        self.assertEqual(code, 1)
        self.assertIn("its manifest says", err)


if __name__ == "__main__":
    unittest.main()
