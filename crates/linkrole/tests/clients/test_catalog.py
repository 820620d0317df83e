"""The operator brings in the vendor's policies: from a running server that has them, and from files."""

import hashlib
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

from harness import BINARY, Case, Server, allow

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

    def entry(self, server, name):
        code, out, err = server.linkrole("catalog", "show", name)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def exported(self, server, name):
        """What a server holds, as a file in this test's folder."""
        code, out, err = server.linkrole("catalog", "export")
        self.assertEqual(code, 0, err)
        path = os.path.join(self.server.folder.name, name)
        with open(path, "w") as file:
            file.write(out)
        return path, out

    def test_what_one_server_exports_another_takes_and_verifies(self):
        other = Server("dev")
        self.addCleanup(other.stop)
        self.bring_in(self.vendor.endpoint, "endpoint", "--source-note", "a moto server")
        ram = {"Version": "1", "Statement": [
            {"Effect": "Allow", "Action": "ecs:Describe*", "Resource": "*"}]}
        text = json.dumps(ram, indent=3)
        answers = os.path.join(self.server.folder.name, "ram.json")
        names = ("AliyunServiceRolePolicyForAlb", "AliyunServiceRolePolicyForGaAlb")
        with open(answers, "w") as file:
            for name in names:
                json.dump({"Policy": {"PolicyName": name},
                           "DefaultPolicyVersion": {"PolicyDocument": text}}, file)
        code, _, err = self.server.linkrole("catalog", "import", "alibaba", "--from", "file",
                                            answers)
        self.assertEqual(code, 0, err)
        first, written = self.exported(self.server, "first.json")
        self.assertEqual(self.exported(self.server, "again.json")[1], written)
        # What would change there, and nothing does.
        before = self.exported(other, "before.json")[1]
        code, out, err = other.linkrole("--output", "json", "catalog", "diff", "aws", "--from",
                                        "export", first)
        self.assertEqual(code, 0, err)
        told = json.loads(out)
        self.assertGreater(len(told["added"]), 200)
        self.assertEqual((told["changed"], told["unknown"], told["rejected"]), ([], [], []))
        rds = next(one for one in told["added"] if one["policy"] == "AmazonRDSServiceRolePolicy")
        permissions = rds["change"]["roles"][0]["permissions"][0]
        self.assertEqual([s["Effect"] for s in permissions["removed"]], ["Deny"])
        self.assertEqual(len(permissions["added"]),
                         len(self.documents["AmazonRDSServiceRolePolicy"]["Statement"]))
        self.assertEqual(self.exported(other, "before.json")[1], before)
        code, _, err = other.linkrole("catalog", "verify", first)
        self.assertEqual((code, "not as they should be" in err), (1, True))
        # It is taken byte for byte, with where it comes from.
        for dialect in ("aws", "alibaba"):
            code, _, err = other.linkrole("catalog", "import", dialect, "--from", "export", first)
            self.assertEqual(code, 0, err)
        of = lambda text: {e["principal"]: (e["documents"], (e["source"] or {}).get("note"),
                                            (e["source"] or {}).get("sha256"))
                           for e in json.loads(text)["entries"]}
        self.assertEqual(of(self.exported(other, "second.json")[1]), of(written))
        shown = self.entry(other, "aliyunserviceroleforalb")
        self.assertEqual(shown["documents"], {"alibaba": ram})
        self.assertEqual(shown["source"]["sha256"], hashlib.sha256(text.encode()).hexdigest())
        shown = self.entry(other, "rds.amazonaws.com")
        self.assertEqual((shown["roles"], shown["source"]["note"], shown["runs_here"]),
                         ({"aws": "AWSServiceRoleForRDS"}, "a moto server", False))
        for file in ([], [first]):
            code, out, err = other.linkrole("catalog", "verify", *file)
            self.assertEqual(code, 0, out + err)
        # One statement more is told as that, and verified as a difference.
        changed = json.loads(written)
        entry = next(e for e in changed["entries"] if e["principal"] == "rds.amazonaws.com")
        document = json.loads(entry["documents"]["aws"])
        document["Statement"].append({"Sid": "More", "Effect": "Allow", "Action": "s3:GetObject",
                                      "Resource": "*"})
        entry["documents"]["aws"] = json.dumps(document)
        with open(first, "w") as file:
            json.dump(changed, file)
        code, out, err = other.linkrole("catalog", "diff", "aws", "--from", "export", first)
        self.assertEqual(code, 0, err)
        self.assertIn("AmazonRDSServiceRolePolicy changes", out)
        self.assertEqual([line for line in out.splitlines() if "More" in line],
                         [line for line in out.splitlines() if ": aws: + " in line])
        self.assertNotIn(": aws: - ", out)
        code, out, err = other.linkrole("--output", "json", "catalog", "verify", first)
        self.assertEqual(code, 1)
        self.assertEqual([f["principal"] for f in json.loads(out)["findings"]],
                         ["rds.amazonaws.com"])

    def test_every_document_of_a_server_that_speaks_rams_wire_is_taken_as_it_is(self):
        other = Server("dev")
        self.addCleanup(other.stop)
        given = {}
        for name in ("AliyunServiceRolePolicyForGaAlb", "AliyunServiceRolePolicyForAlbFc"):
            given[name] = {"Version": "1", "Statement": [
                {"Effect": "Allow", "Action": secrets.token_hex(3) + ":Get*", "Resource": "*"}]}
            path = os.path.join(other.folder.name, name + ".json")
            with open(path, "w") as file:
                json.dump(given[name], file)
            code, _, err = other.linkrole("catalog", "import", "alibaba", "--from", "file", path)
            self.assertEqual(code, 0, err)

        def ask(**env):
            env = {**self.server.env, "LINKROLE_SOCKET": self.server.socket, **env}
            command = [BINARY, "--output", "json", "catalog", "import", "alibaba", "--from",
                       "endpoint", other.endpoint]
            return subprocess.run(command, env=env, capture_output=True, text=True)
        names = ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET")
        keys = {name: other.exported[name] for name in names}
        done = ask(**keys)
        # Those of services that run here are theirs to say; all others were asked for and are the same.
        told = json.loads(done.stdout)
        self.assertEqual((done.returncode, sorted(told["changed"])), (1, sorted(given)), done.stderr)
        self.assertGreater(told["unchanged"], 200)
        self.assertTrue(all("its manifest says" in text for text in told["rejected"]))
        for name, document in given.items():
            role = name.replace("RolePolicyFor", "RoleFor")
            self.assertEqual(self.entry(self.server, role)["documents"], {"alibaba": document})
        for env, word in (({}, names[0]), ({**keys, names[1]: "wrong"}, "SignatureDoesNotMatch")):
            done = ask(**env)
            self.assertEqual((done.returncode, word in done.stderr), (1, True), done.stderr)

    def test_what_is_no_export_or_is_not_there_is_refused_in_words(self):
        path = os.path.join(self.server.folder.name, "no-export.json")
        with open(path, "w") as file:
            json.dump({"entries": []}, file)
        for args, word in (
                (("import", "aws", "--from", "export", path), "linkrole-catalog/1"),
                (("verify", path), "linkrole-catalog/1"),
                (("import", "alibaba", "--from", "account", path), "--from file"),
                (("show", "nobody.example.com"), "nobody.example.com")):
            code, _, err = self.server.linkrole("catalog", *args)
            self.assertEqual((code, word in err), (1, True), err)
        # The catalogue is the operator's to export.
        status, _ = self.server.native(self.server.admin, "/v1/services/export", {})
        self.assertEqual(status, 403)


if __name__ == "__main__":
    unittest.main()
