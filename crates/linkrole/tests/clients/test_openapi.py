"""The served OpenAPI document against the running server: every path is driven, every answer is as described.

That requests have the members that the decoder reads is held in `crates/wire/tests/openapi.rs`.
"""

import copy
import json
import pathlib
import secrets
import tomllib
import unittest

import jsonschema
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from harness import Case, Keys, allow
from issuer import Issuer

ROOT = pathlib.Path(__file__).resolve().parents[4]
BASE = "http://described/v1/"
OPENAPI, MANIFEST = BASE + "openapi.json", BASE + "manifest.schema.json"


def pointer(*steps):
    return OPENAPI + "#/" + "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)


def manifest_of(word):
    return {"service": f"{word}.example.com", "display_name": "Described", "signing_names": [word],
            "hosts": [f"{word}.local"], "regions": ["r1"], "usage": "registry",
            "forward": {"policy": allow("iam:ListUsers")},
            "role": [{"name": f"D{word}", "policy_name": f"D{word}P", "suffix": "optional",
                      "deletion": "manual", "policy": allow("iam:ListUsers")}]}


class Described(Case):
    only = "dev"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        get = lambda path: cls.server.send(path, None, {}, "GET")
        (status, cls.openapi), (other, cls.manifest) = get("/v1/openapi.json"), get("/v1/manifest.schema.json")
        assert (status, other) == (200, 200), (cls.openapi, cls.manifest)
        documents = ((OPENAPI, cls.openapi), (MANIFEST, cls.manifest))
        cls.registry = Registry().with_resources(
            (uri, Resource.from_contents(document, DRAFT202012)) for uri, document in documents)
        cls.operations = {}
        for path, item in cls.openapi["paths"].items():
            for method, described in item.items():
                cls.operations[described["operationId"]] = (method, path, described)
        # A service of its own, and who may do nothing.
        cls.word = "d" + secrets.token_hex(3)
        cls.principal, cls.role = f"{cls.word}.example.com", f"AWSServiceRoleForD{cls.word}"
        cls.mine = manifest_of(cls.word)
        cls.nobody = cls.server.user("nobody-" + cls.word)
        cls.driven = {"done": set(), "refused": set()}

    def schema(self, uri):
        return jsonschema.Draft202012Validator({"$ref": uri}, registry=self.registry)

    def ask(self, operation, who, body, done=True):
        """Asks as who (`operator`, nobody or keys); the request and the answer must be as described."""
        method, path, described = self.operations[operation]
        json_body = ("content", "application/json", "schema")
        self.schema(pointer("paths", path, method, "requestBody", *json_body)).validate(body)
        if who == "operator":
            status, answer = self.server.operator(path, body)
        elif who is None:
            status, answer = self.server.send(path, json.dumps(body), {"content-type": "application/json"})
        else:
            status, answer = self.server.native(who, path, body)
        self.assertEqual(status == 200, done, (operation, status, answer))
        where = ("paths", path, method, "responses", "200") if done else ("components", "responses", "Refused")
        self.schema(pointer(*where, *json_body)).validate(answer)
        self.driven["done" if done else "refused"].add(operation)
        return answer

    def wrong(self, described):
        """Somebody whom no such operation is for, with the code of the refusal."""
        return {"service": (self.server.admin, "AccessDenied"), "account": (self.nobody, "AccessDenied"),
                "operator": (self.server.admin, "AccessDenied"), "enrolment": (None, "EnrolmentRefused"), "workload": (None, "IdentityRefused"),
                "authenticated": (None, "MissingAuthenticationToken")}[described["tags"][0]]

    def drive(self, operation, who, **body):
        """Has it done, after somebody else was refused it."""
        stranger, code = self.wrong(self.operations[operation][2])
        # Who holds a token is no stranger.
        told = {name: value for name, value in body.items() if name != "token"}
        refused = self.ask(operation, stranger, told, done=False)
        self.assertEqual(refused["error"]["code"], code, (operation, refused))
        return self.ask(operation, who, body)

    def forwarded(self):
        return self.server.forwarded(self.server.admin, self.word, f"{self.word}.local")

    def test_it_is_openapi_and_every_object_is_closed(self):
        address = self.server.endpoint + "/v1/openapi.json"
        OpenAPIV31SpecValidator(self.openapi, base_uri=address).validate()
        jsonschema.Draft202012Validator.check_schema(self.manifest)

        def walk(value, at):
            if isinstance(value, dict):
                if "properties" in value and value.get("type") == "object":
                    self.assertIs(value.get("additionalProperties"), False, at)
                for name, inner in value.items():
                    walk(inner, f"{at}/{name}")
            elif isinstance(value, list):
                for number, inner in enumerate(value):
                    walk(inner, f"{at}/{number}")

        walk(self.openapi, "openapi")
        walk(self.manifest, "manifest")

    def test_everybody_reads_the_documents_and_nobody_writes_them(self):
        for name in ("DescribeApi", "DescribeManifest"):
            _, path, _ = self.operations[name]
            kept = ROOT / "docs/reference" / path.removeprefix("/v1/")
            self.assertEqual(self.server.send(path, None, {}, "GET"), (200, json.loads(kept.read_text())))
            for method in ("POST", "PUT", "DELETE"):
                status, answer = self.server.send(path, "{}", {}, method)
                self.assertEqual((status, answer["error"]["code"]), (405, "MethodNotAllowed"))
                self.schema(pointer("components", "schemas", "Error")).validate(answer)
        # Nothing else is read with GET, and nothing beside a document without a key.
        for method, path, code in (("GET", "/v1/services/list", "MethodNotAllowed"),
                                   ("GET", "/v1/openapi.json/", "NotFound"),
                                   ("POST", "/v1/services/list", "MissingAuthenticationToken")):
            _, answer = self.server.send(path, "{}", {}, method)
            self.assertEqual(answer["error"]["code"], code, path)

    def test_every_path_answers_as_described(self):
        self.resource = f"arn:aws:{self.word}:r1:{self.account}:thing/one"
        keys = self.let_in()
        role = self.make_roles(keys)
        self.ask_about_requests(keys)
        introduced = self.update(keys)
        self.use_and_delete(keys, role)
        retired = self.drive("RetireServiceLinkedRole", keys, account=self.account, role=introduced["id"])
        self.assertEqual(self.server.wait_deleted(self.iam, retired["task"])["Status"], "SUCCEEDED")
        self.operate(role)
        posted = {name for name, (method, _, _) in self.operations.items() if method == "post"}
        self.assertEqual(self.driven, {"done": posted, "refused": posted})

    def let_in(self):
        token = self.drive("EnrolService", "operator", service=self.principal)["token"]
        made = self.drive("RegisterService", None, manifest=self.mine, token=token)
        self.assertEqual(made["service"]["service"], self.principal)
        self.drive("ListServices", self.nobody)
        self.drive("GetService", self.nobody, service=self.principal)
        return Keys(made["access_key_id"], made["secret_access_key"])

    def make_roles(self, keys):
        admin, principal = self.server.admin, self.principal
        self.drive("GetServiceTerms", admin)
        self.drive("UpdateServiceTerms", admin, holds_updates=False)
        self.drive("PutServiceCeiling", admin, principal=principal, policy=json.dumps(allow("iam:*")))
        self.drive("PreviewServiceLinkedRole", admin, principal=principal, suffix="one")
        self.drive("GetAccess", admin, kind="user", name="nobody-" + self.word)
        for asked in ({"kind": "root", "name": self.account}, {"kind": "key", "name": admin.key}):
            self.ask("GetAccess", admin, asked)
        ensured = self.drive("EnsureServiceLinkedRole", keys, forwarded=self.forwarded(), principal=principal)
        self.assertEqual((ensured["created"], ensured["role"]["name"]), (True, self.role))
        self.drive("CreateServiceLinkedRole", admin, principal=principal, suffix="one", description="one")
        self.drive("GetRole", admin, role=self.role)
        self.assertEqual(len(self.drive("ListRoles", admin, limit=1)["roles"]), 1)
        self.iam.create_role(RoleName=self.word, AssumeRolePolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"AWS": self.account}, "Action": "sts:AssumeRole"}]}))
        own = self.ask("GetRole", admin, {"role": self.word})
        self.assertEqual(own["role"]["kind"], "own")
        return ensured["role"]

    def ask_about_requests(self, keys):
        ask = {"action": f"{self.word}:Do", "resource": self.resource}
        context = {"aws:TagKeys": ["a"], f"{self.word}:Kind": "b"}
        decided = self.drive("AuthorizeRequest", keys, forwarded=self.forwarded(), account=self.account,
                             context=context, **ask)
        self.assertTrue(decided["allowed"] and decided["matched"], decided)
        nobody = self.server.forwarded(self.nobody, self.word, f"{self.word}.local")
        denied = self.ask("AuthorizeRequest", keys, {"forwarded": nobody, **ask})
        self.assertEqual((denied["allowed"], denied["decision"]), (False, "ImplicitDeny"), denied)
        self.drive("ForwardAccess", keys, forwarded=self.forwarded())

    def update(self, keys):
        """A new manifest, with a role that is introduced where the first one is."""
        grown, index = copy.deepcopy(self.mine), f"index.{self.principal}"
        grown["role"][0]["policy"] = allow("iam:ListUsers", "iam:ListRoles")
        grown["role"].append({"principal": index, "name": f"I{self.word}", "policy_name": f"I{self.word}P",
                              "policy": allow("iam:ListRoles")})
        issuer = Issuer(self)
        grown["identity"] = {"token": {"issuer": issuer.url, "subject": "me", "audience": "linkrole",
                                       "certificates": [issuer.pin]}}
        grown["policy"] = [{"name": f"P{self.word}FullAccess", "policy": allow(f"{self.word}:*")}]
        self.assertTrue(self.drive("DiffService", "operator", manifest=grown)["changed"])
        self.drive("ExportCatalog", "operator", after=self.principal[:-1])
        self.drive("UpdateService", "operator", manifest=grown)
        self.drive("AcceptServiceUpdate", self.server.admin, role=self.role)
        self.drive("CreateServiceSession", None, service=self.principal,
                   token=issuer.token(sub="me", aud="linkrole"))
        return self.drive("IntroduceServiceLinkedRole", keys, account=self.account, principal=index)["role"]

    def use_and_delete(self, keys, role):
        """Uses, a deletion that they stop, and sessions."""
        admin, target = self.server.admin, {"account": self.account, "role": role["id"]}
        use = {**target, "region": "r1", "resource": self.resource}
        version = self.drive("RegisterUsage", keys, **use)["version"]
        listed = self.drive("ListUsage", keys, **target)
        self.assertEqual((listed["versions"], len(listed["usages"])), ({"r1": version}, 1))
        plan = self.drive("PlanServiceLinkedRoleDeletion", admin, role=self.role)
        self.assertEqual((plan["deletable"], plan["uses"]), (False, 1))
        task = self.drive("DeleteServiceLinkedRole", admin, role=self.role)["task"]
        self.server.wait_deleted(self.iam, task)
        status = self.drive("GetServiceLinkedRoleDeletionStatus", admin, task=task)
        self.assertEqual((status["status"], status["usages"]),
                         ("failed", [{"region": "r1", "resources": [self.resource]}]))
        region = {**target, "region": "r1"}
        self.drive("ReconcileUsage", keys, **region, after_version=version,
                   resources=[self.resource, self.resource + "2"])
        stale = self.ask("ReconcileUsage", keys, {**region, "after_version": 99, "resources": []}, done=False)
        self.assertEqual(stale["error"]["code"], "ConcurrentModification")
        self.drive("DeregisterUsage", keys, **use)
        self.server.client("sts", keys).assume_role(RoleArn=role["arn"], RoleSessionName="session")
        plan = self.ask("PlanServiceLinkedRoleDeletion", admin, {"role": self.role})
        self.assertIsNotNone(plan["sessions_until"])
        self.drive("ReleaseSessions", keys, **target)

    def operate(self, role):
        """What is the operator's, the trail, and the service's end."""
        admin, drive = self.server.admin, self.drive
        force = {"account": self.account, "role": self.role}
        drive("ForceDeleteServiceLinkedRole", "operator", **force)
        self.ask("ForceDeleteServiceLinkedRole", "operator", {**force, "confirm": role["id"]})
        one = self.ask("DeleteServiceLinkedRole", admin, {"role": self.role + "_one"})
        self.assertEqual(self.server.wait_deleted(self.iam, one["task"])["Status"], "SUCCEEDED")
        drive("DeleteServiceCeiling", admin, principal=self.principal)
        drive("CreateServiceKey", "operator", service=self.principal, revoke_others=True)
        drive("ImportServicePolicy", "operator", dialect="aws", policy="AccessAnalyzerServiceRolePolicy",
              document=json.dumps(allow("access-analyzer:*")), source="by hand")
        known = self.ask("PreviewServiceLinkedRole", admin, {"principal": "access-analyzer.amazonaws.com"})
        self.assertEqual(known["policy_source"]["note"], "by hand")
        drive("CreateAccount", "operator", dialect="alibaba", role_quota=7)
        drive("ListAccounts", "operator")
        for page in ({}, {"limit": 3, "reads": True}, {"operation": "ReleaseSessions", "operator": self.principal}):
            self.assertTrue(self.ask("LookupEvents", admin, page)["entries"], page)
        drive("LookupEvents", admin, before=10)
        drive("ReadTrail", "operator", limit=1000, reads=True)
        drive("RemoveService", "operator", service=self.principal)

    def test_the_schema_of_manifests_takes_what_the_server_takes(self):
        schema = self.schema(MANIFEST)
        for file in (ROOT / "catalog").glob("*.toml"):
            schema.validate(tomllib.loads(file.read_text()))
        for file in (ROOT / "examples").glob("*/manifest.json"):
            schema.validate(json.loads(file.read_text()))
        wrong = [
            (["extra"], 1), (["service"], "nodot"), (["service"], "Upper.example.com"), (["service"], None),
            (["display_name"], ""), (["display_name"], "x" * 129), (["signing_names"], ["iam"]),
            (["signing_names"], ["Upper"]), (["hosts"], ["a b"]), (["regions"], []), (["regions"], ["R"]),
            (["usage"], "never"), (["forward", "extra"], {}), (["role", 0, "extra"], 1), (["role", 0, "name"], ""),
            (["role", 0, "name"], None), (["role", 0, "policy_name"], "a b"), (["role", 0, "suffix"], "maybe"),
            (["role", 0, "deletion"], "later"), (["role", 0, "policy"], None), (["role", 0, "policy"], "text"),
            (["role", 0, "principal"], "nodot"), (["role", 0, "description"], "x" * 1025),
        ]
        for place, value in wrong:
            manifest = around = manifest_of("w" + self.word)
            for step in place[:-1]:
                around = around[step]
            around[place[-1]] = value
            if value is None:
                del around[place[-1]]
            with self.subTest(place=place, value=value):
                self.assertFalse(schema.is_valid(manifest), "the schema takes it")
                status, answer = self.server.operator("/v1/services/register", {"manifest": manifest})
                self.assertEqual((status, answer.get("error", {}).get("code")), (400, "ValidationError"), answer)
        right = manifest_of("w" + self.word)
        schema.validate(right)
        self.server.must("/v1/services/register", {"manifest": right})


if __name__ == "__main__":
    unittest.main()
