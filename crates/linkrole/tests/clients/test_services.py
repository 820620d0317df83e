"""A service and its tenant over the wire: new manifests, the tenant's terms, a service's end."""

import copy
import json
import os
import secrets
import unittest

from alibaba import AlibabaCase
from harness import Case, Keys, allow


class Terms(Case):
    def setUp(self):
        word = "t" + secrets.token_hex(3)
        self.principal = f"{word}.example.com"
        self.name = f"AWSServiceRoleForT{word}"
        self.manifest = {
            "service": self.principal, "display_name": "T", "signing_names": [word],
            "hosts": [f"{word}.local"], "regions": ["r1"],
            "role": [{"name": f"T{word}", "policy_name": f"T{word}P",
                      "policy": allow("iam:ListUsers")}]}
        self.word = word
        self.keys = self.server.service(self.manifest)
        self.addCleanup(self.server.native, self.server.admin, "/v1/terms/update",
                        {"holds_updates": False, "requires_consent": False})

    def ok(self, *args):
        code, out, err = self.server.linkrole("--output", "json", *args)
        self.assertEqual(code, 0, f"{args}: {err}")
        return json.loads(out)

    def write(self, value):
        path = os.path.join(self.server.folder.name, secrets.token_hex(4) + ".json")
        with open(path, "w") as file:
            json.dump(value, file)
        return path

    def with_policy(self, policy):
        manifest = copy.deepcopy(self.manifest)
        manifest["role"][0]["policy"] = policy
        return self.write(manifest)

    def session(self):
        """The service's session of its role, as an unmodified client uses it."""
        made = self.server.client("sts", self.keys).assume_role(
            RoleArn=f"arn:aws:iam::{self.account}:role/aws-service-role/{self.principal}/{self.name}",
            RoleSessionName="session")["Credentials"]
        return self.server.client("iam", Keys.of(made))

    def test_feature_04_26_58_updates(self):
        self.iam.create_service_linked_role(AWSServiceName=self.principal)
        iam = self.session()
        iam.list_users()
        self.refused("AccessDenied", 403, None, iam.list_roles)
        both = self.with_policy(allow("iam:ListUsers", "iam:ListRoles"))
        diff = self.ok("service", "diff", "--manifest", both)
        change = diff["roles"][0]
        self.assertEqual((diff["changed"], change["version_before"], change["version_after"],
                          change["roles_at_once"], change["roles_held"]), (True, 1, 2, 1, 0))
        self.refused("AccessDenied", 403, None, iam.list_roles)
        code, out, err = self.server.linkrole("--output", "text", "service", "update",
                                              "--manifest", both)
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"aws: - .*iam:ListUsers(.|\n)*aws: \+ .*iam:ListRoles")
        self.assertIn("1 roles at once, 0 when", out)
        iam.list_roles()
        policy = f"arn:aws:iam::aws:policy/aws-service-role/T{self.word}P"
        shown = self.iam.get_policy(PolicyArn=policy)["Policy"]
        self.assertEqual(shown["DefaultVersionId"], "v2")
        for version, count in (("v1", 1), ("v2", 2)):
            document = self.iam.get_policy_version(PolicyArn=policy, VersionId=version)
            actions = document["PolicyVersion"]["Document"]["Statement"][0]["Action"]
            self.assertEqual(len(actions), count)
        status, trail = self.server.native(self.server.admin, "/v1/trail",
                                           {"operation": "UpdateService"})
        self.assertEqual(status, 200, trail)
        mine = [e for e in trail["entries"] if any(
            self.name in r["resource"] for r in e["resources"])]
        self.assertEqual([e["actor"]["kind"] for e in mine], ["Operator"])
        # Held until it is accepted.
        self.ok("slr", "terms", "set", "--holds-updates", "true")
        self.ok("service", "update", "--manifest", self.with_policy(allow("iam:ListGroups")))
        iam.list_roles()
        self.refused("AccessDenied", 403, None, iam.list_groups)
        self.assertEqual(self.ok("slr", "show", self.name)["role"]["template_version"], 2)
        accepted = self.ok("slr", "accept-update", self.name)["role"]
        self.assertEqual(accepted["template_version"], 3)
        iam.list_groups()
        self.refused("AccessDenied", 403, None, iam.list_roles)
        # Nothing of it is the service's or a tenant's to do.
        for keys in (self.keys, self.server.admin):
            for path, body in (("update", {"manifest": self.manifest}),
                               ("diff", {"manifest": self.manifest}),
                               ("remove", {"service": self.principal})):
                status, answer = self.server.native(keys, f"/v1/services/{path}", body)
                self.assertEqual((status, answer["error"]["code"]), (403, "AccessDenied"), path)
        # A service goes when its last role is gone.
        code, out, err = self.server.linkrole("service", "remove", self.principal)
        self.assertEqual(code, 1)
        self.assertIn(self.name, err)
        _, answer = self.server.native(self.keys, "/v1/slr/release-sessions",
                                       {"account": self.account, "role": self.name})
        task = self.iam.delete_service_linked_role(RoleName=self.name)["DeletionTaskId"]
        self.assertEqual(self.server.wait_deleted(self.iam, task)["Status"], "SUCCEEDED", answer)
        self.ok("service", "remove", self.principal)
        self.refused("InvalidClientTokenId", 403, None,
                     self.server.client("sts", self.keys).get_caller_identity)
        self.refused("InvalidInput", 400, None, self.iam.create_service_linked_role,
                     AWSServiceName=self.principal)

    def test_feature_58_consent(self):
        ensure = lambda: self.server.native(self.keys, "/v1/slr/ensure", {
            "forwarded": self.server.forwarded(self.server.admin, self.word, f"{self.word}.local"),
            "principal": self.principal})
        self.ok("slr", "terms", "set", "--requires-consent", "true")
        status, answer = ensure()
        self.assertEqual((status, answer["error"]["code"]), (403, "ConsentRequired"), answer)
        self.assertIn(f"slr preview {self.principal}", answer["error"]["message"])
        seen = self.ok("slr", "preview", self.principal)
        self.assertEqual((seen["exists"], seen["requires_consent"], seen["policy"]),
                         (False, True, allow("iam:ListUsers")))
        self.refused("NoSuchEntity", 404, None, self.iam.get_role, RoleName=self.name)
        made = self.ok("slr", "create", self.principal)["role"]
        self.assertEqual(made["arn"], seen["arn"])
        status, answer = ensure()
        self.assertEqual((status, answer["created"]), (200, False), answer)

    def test_the_operator_removes_a_role_by_force_in_two_steps(self):
        self.iam.create_service_linked_role(AWSServiceName=self.principal)
        iam = self.session()
        status, answer = self.server.native(self.keys, "/v1/usage/register", {
            "account": self.account, "role": self.name, "region": "r1", "resource": "thing"})
        self.assertEqual(status, 200, answer)
        force = ("slr", "force-delete", self.name, "--account", self.account)
        told = self.ok(*force)
        self.assertEqual((told["deletable"], told["usages"]),
                         (False, [{"region": "r1", "resources": ["thing"]}]))
        code, _, err = self.server.linkrole(*force, "--confirm", "AROAEXAMPLEEXAMPLE000")
        self.assertEqual(code, 1)
        self.assertIn("unique id", err)
        iam.list_users()
        gone = self.ok(*force, "--confirm", told["role"]["id"])
        self.assertEqual(gone["role"]["name"], self.name)
        self.refused("InvalidClientTokenId", 403, None, iam.list_users)
        self.refused("NoSuchEntity", 404, None, self.iam.get_role, RoleName=self.name)
        status, answer = self.server.native(
            self.server.admin, "/v1/operator/force-delete",
            {"account": self.account, "role": self.name, "confirm": told["role"]["id"]})
        self.assertEqual(status, 403, answer)

    def test_a_lost_key_is_replaced(self):
        made = self.ok("service", "new-key", self.principal)
        new = Keys(made["access_key_id"], made["secret_access_key"])
        for keys in (self.keys, new):
            me = self.server.client("sts", keys).get_caller_identity()
            self.assertEqual(me["Arn"], self.principal)
        last = self.ok("service", "new-key", self.principal, "--revoke-others")
        for keys in (self.keys, new):
            self.refused("InvalidClientTokenId", 403, None,
                         self.server.client("sts", keys).get_caller_identity)
        me = self.server.client("sts", Keys(last["access_key_id"], last["secret_access_key"]))
        self.assertEqual(me.get_caller_identity()["Arn"], self.principal)

    def test_feature_59_a_ceiling(self):
        self.iam.create_service_linked_role(AWSServiceName=self.principal)
        iam = self.session()
        iam.list_users()
        terms = self.ok("slr", "terms", "put-ceiling", self.principal, "--policy",
                        self.write(allow("iam:ListRoles")))
        self.assertEqual(terms["ceilings"], [{"principal": self.principal,
                                              "policy": allow("iam:ListRoles")}])
        text = self.refused("AccessDenied", 403, None, iam.list_users)
        self.assertTrue(text.endswith(
            "because no ceiling of the account allows the iam:ListUsers action"), text)
        self.refused("AccessDenied", 403, None, iam.list_roles)
        self.ok("slr", "terms", "delete-ceiling", self.principal)
        iam.list_users()
        code, out, err = self.server.linkrole("slr", "terms", "put-ceiling", self.principal,
                                              "--policy", self.write({"Version": "2012-10-17"}))
        self.assertEqual(code, 1, out)
        self.assertIn("MalformedPolicyDocument", err)
        self.assertEqual(self.ok("slr", "terms", "show")["ceilings"], [])

    def test_feature_56_onward_calls_in_the_callers_name(self):
        other = "o" + secrets.token_hex(3)
        storage = self.server.service({
            "service": f"{other}.example.com", "display_name": "O", "signing_names": [other],
            "hosts": [f"{other}.local"], "regions": ["r1"]})
        self.ok("service", "update", "--manifest", self.write({
            **self.manifest, "forward": {"policy": allow("iam:ListUsers", f"{other}:Get*")}}))
        who = "w" + secrets.token_hex(3)
        user = self.server.user(who, allow(f"{self.word}:*", "iam:List*", f"{other}:*"))
        request = self.server.forwarded(user, self.word, f"{self.word}.local")
        status, made = self.server.native(self.keys, "/v1/forward-access", {"forwarded": request})
        self.assertEqual(status, 200, made)
        session = Keys(made["access_key_id"], made["secret_access_key"], made["session_token"])
        # At linkrole itself, with an unmodified client.
        iam = self.server.client("iam", session)
        iam.list_users()
        self.refused("AccessDenied", 403, None, iam.list_roles)
        self.server.client("iam", user).list_roles()
        self.refused("AccessDenied", 403, None, iam.create_access_key, UserName=who)
        me = self.server.client("sts", session).get_caller_identity()["Arn"]
        self.assertTrue(me.endswith(f":user/{who}"), me)
        # At another service, which asks about it as about every caller.
        ask = lambda action: self.server.native(storage, "/v1/authorize", {
            "forwarded": self.server.forwarded(session, other, f"{other}.local"),
            "action": f"{other}:{action}", "resource": "*"})
        status, answer = ask("GetThing")
        self.assertEqual((status, answer["allowed"]), (200, True), answer)
        status, answer = ask("PutThing")
        self.assertEqual((status, answer["allowed"], answer["layer"]), (200, False, "service"), answer)
        # Both names are in the trail.
        trail = self.server.must("/v1/operator/trail", {"operation": "ListRoles"})["entries"]
        mine = [e["actor"] for e in trail if e["actor"].get("user_name") == who and e["denied"]]
        self.assertEqual([a["invoked_by"] for a in mine], [self.principal])
        # Only for a request that was made to this service, and only where it declares something.
        elsewhere = self.server.forwarded(user, other, f"{other}.local")
        status, answer = self.server.native(self.keys, "/v1/forward-access",
                                            {"forwarded": elsewhere})
        self.assertEqual(status, 403, answer)
        status, answer = self.server.native(storage, "/v1/forward-access",
                                            {"forwarded": elsewhere})
        self.assertEqual((status, answer["error"]["code"]), (400, "ValidationError"), answer)

    def test_feature_18_26_triggers_and_the_longest_session(self):
        grown = copy.deepcopy(self.manifest)
        grown["role"][0].update(max_session_duration=7200, trigger=[
            {"on": [f"{self.word}:Create*"], "creates": True}])
        self.ok("service", "update", "--manifest", self.write(grown))
        shown = self.ok("service", "show", self.principal)
        self.assertEqual(shown["role"][0]["trigger"], grown["role"][0]["trigger"])
        self.assertEqual(shown["role"][0]["max_session_duration"], 7200)
        preview = self.ok("slr", "preview", self.principal)
        self.assertEqual(preview["triggers"], grown["role"][0]["trigger"])
        user = self.server.user("u" + self.word, allow(f"{self.word}:*"))
        ask = lambda action: self.server.native(self.keys, "/v1/authorize", {
            "action": f"{self.word}:{action}", "resource": "*",
            "forwarded": self.server.forwarded(user, self.word, f"{self.word}.local")})
        status, answer = ask("CreateThing")
        self.assertEqual((status, answer["allowed"], answer["ensure"]),
                         (200, True, [self.principal]), answer)
        self.assertEqual(ask("ListThings")[1]["ensure"], [])
        role = self.iam.create_service_linked_role(AWSServiceName=self.principal)["Role"]
        self.assertEqual(ask("CreateThing")[1]["ensure"], [], "it is there")
        self.assertEqual(self.iam.get_role(RoleName=self.name)["Role"]["MaxSessionDuration"], 7200)
        assume = lambda seconds: self.server.client("sts", self.keys).assume_role(
            RoleArn=role["Arn"], RoleSessionName="session", DurationSeconds=seconds)
        assume(7200)
        self.refused("ValidationError", 400, None, assume, 7201)

    def test_feature_28_a_new_role_appears_where_the_service_is_used(self):
        grown = copy.deepcopy(self.manifest)
        grown["role"].append({
            "principal": f"index.{self.principal}", "name": f"I{self.word}",
            "policy_name": f"I{self.word}P", "policy": allow("iam:ListRoles")})
        self.ok("service", "update", "--manifest", self.write(grown))
        introduce = lambda: self.server.native(self.keys, "/v1/slr/introduce", {
            "account": self.account, "principal": f"index.{self.principal}"})
        status, answer = introduce()
        self.assertEqual((status, answer["error"]["code"]), (404, "NoSuchEntity"), answer)
        self.iam.create_service_linked_role(AWSServiceName=self.principal)
        status, answer = introduce()
        self.assertEqual((status, answer["created"]), (200, True), answer)
        role = f"AWSServiceRoleForI{self.word}"
        self.assertEqual(self.iam.get_role(RoleName=role)["Role"]["Arn"], answer["role"]["arn"])
        status, trail = self.server.native(self.server.admin, "/v1/trail",
                                           {"operation": "IntroduceServiceLinkedRole"})
        mine = [e for e in trail["entries"] if any(
            r["resource"].endswith(role) for r in e["resources"])]
        self.assertEqual([e["actor"]["invoked_by"] for e in mine], [self.principal])


class AlibabaTerms(AlibabaCase):
    def test_feature_58_59_terms_of_an_account_of_this_dialect(self):
        word = "r" + secrets.token_hex(3)
        principal, name = f"{word}.example.com", f"AliyunServiceRoleForR{word}"
        ram = lambda *actions: {"Version": "1", "Statement": [{
            "Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
        keys = self.server.service({
            "service": principal, "display_name": "R", "regions": ["r1"],
            "role": [{"name": f"R{word}", "policy_name": f"R{word}P",
                      "ram_policy": ram("ram:ListUsers", "ram:ListRoles")}]})
        ask = lambda path, **body: self.server.native(self.admin, path, body)
        status, seen = ask("/v1/slr/preview", principal=principal)
        self.assertEqual((status, seen["exists"], seen["policy"]),
                         (200, False, ram("ram:ListUsers", "ram:ListRoles")), seen)
        self.ask("rm", "CreateServiceLinkedRole", ServiceName=principal)
        made = self.ask_as(keys, "sts", "AssumeRole", RoleSessionName="session",
                           RoleArn=f"acs:ram::{self.home}:role/{name.lower()}")["Credentials"]
        session = Keys(made["AccessKeyId"], made["AccessKeySecret"], made["SecurityToken"])
        self.ask_as(session, "ram", "ListRoles")
        status, terms = ask("/v1/terms/put-ceiling", principal=principal,
                            policy=json.dumps(ram("ram:ListUsers")))
        self.assertEqual((status, len(terms["ceilings"])), (200, 1), terms)
        self.ask_as(session, "ram", "ListUsers")
        status, answer = self.raw(session, "ram", "ListRoles")
        self.assertEqual((status, answer["Code"]), (403, "NoPermission"), answer)
        status, answer = ask("/v1/terms/put-ceiling", principal=principal,
                             policy=json.dumps(allow("iam:ListUsers")))
        self.assertEqual(status, 400, "a document of another language")
        self.assertEqual(ask("/v1/terms/delete-ceiling", principal=principal)[0], 200)
        self.ask_as(session, "ram", "ListRoles")


if __name__ == "__main__":
    unittest.main()
