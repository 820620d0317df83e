"""Service-linked roles over boto3: a service that nobody has seen before goes through its life."""

import json
import secrets
import threading
import unittest

from harness import Case, Keys, allow


def unseen(suffix="optional"):
    """A manifest that no binary can know: every name is drawn here."""
    word = secrets.token_hex(4)
    service = f"{word}.unseen.test"
    return {
        "service": service, "display_name": f"Unseen {word}",
        "signing_names": [f"sn-{word}"], "hosts": [f"{word}.unseen.test:8443"],
        "regions": [f"r1-{word}", f"r2-{word}"], "usage": "registry",
        "role": [{"name": f"Unseen{word}", "policy_name": f"Unseen{word}Policy",
                  "suffix": suffix,
                  "policy": {"Version": "2012-10-17", "Statement": [{
                      "Effect": "Allow", "Action": f"sn-{word}:Read*", "Resource": "*"}]}}],
    }


class Life(Case):
    def setUp(self):
        self.manifest = unseen()
        self.principal = self.manifest["service"]
        self.name = "AWSServiceRoleFor" + self.manifest["role"][0]["name"]
        self.keys = self.server.service(self.manifest)

    def arn(self, name=None, account=None):
        return (f"arn:aws:iam::{account or self.account}:role/aws-service-role/"
                f"{self.principal}/{name or self.name}")

    def create(self, iam=None, **more):
        iam = iam or self.iam
        return iam.create_service_linked_role(AWSServiceName=self.principal, **more)["Role"]

    def target(self, role, account=None):
        return {"account": account or self.account, "role": role}

    def delete(self, name=None, iam=None):
        iam = iam or self.iam
        task = iam.delete_service_linked_role(RoleName=name or self.name)["DeletionTaskId"]
        return self.server.wait_deleted(iam, task)

    def test_feature_01_02_11_created_as_the_vendor_shows_it(self):
        role = self.create(Description="made by hand")
        self.assertEqual(role["Arn"], self.arn())
        self.assertEqual(role["Path"], f"/aws-service-role/{self.principal}/")
        self.assertRegex(role["RoleId"], "^AROA[A-Z2-7]{17}$")
        self.assertNotIn("Description", role)
        self.assertNotIn("MaxSessionDuration", role)
        statement = {"Action": ["sts:AssumeRole"], "Effect": "Allow",
                     "Principal": {"Service": [self.principal]}}
        self.assertEqual(role["AssumeRolePolicyDocument"],
                         {"Version": "2012-10-17", "Statement": [statement]})
        seen = self.iam.get_role(RoleName=self.name.upper())["Role"]
        self.assertEqual(seen["RoleName"], self.name)
        self.assertEqual(seen["Description"], "made by hand")
        self.assertEqual(seen["MaxSessionDuration"], 3600)
        self.assertEqual(seen["RoleLastUsed"], {})
        statement = {"Effect": "Allow", "Principal": {"Service": self.principal},
                     "Action": "sts:AssumeRole"}
        self.assertEqual(seen["AssumeRolePolicyDocument"]["Statement"], [statement])
        attached = self.iam.list_attached_role_policies(RoleName=self.name)["AttachedPolicies"]
        policy = self.manifest["role"][0]["policy_name"]
        arn = f"arn:aws:iam::aws:policy/aws-service-role/{policy}"
        self.assertEqual(attached, [{"PolicyName": policy, "PolicyArn": arn}])
        shown = self.iam.get_policy(PolicyArn=arn)["Policy"]
        version = self.iam.get_policy_version(PolicyArn=arn, VersionId=shown["DefaultVersionId"])
        self.assertEqual(version["PolicyVersion"]["Document"], self.manifest["role"][0]["policy"])

    def test_feature_13_14_names_and_suffixes(self):
        self.create()
        taken = (f"Service role name {self.name} has been taken in this account, "
                 "please try a different suffix.")
        self.refused("InvalidInput", 400, taken, self.create)
        self.assertEqual(self.create(CustomSuffix="b")["RoleName"], self.name + "_b")
        self.refused("ValidationError", 400, None, self.create, CustomSuffix="a/b")
        self.refused("ValidationError", 400, None, self.create, CustomSuffix="x" * 64)
        other = unseen("refused")
        self.server.service(other)
        self.refused("InvalidInput", 400, f"Custom suffix is not allowed for {other['service']}",
                     self.iam.create_service_linked_role, AWSServiceName=other["service"],
                     CustomSuffix="b")

    def test_feature_12_principals_are_exact(self):
        for name in (self.principal.upper(), self.principal + ".", self.principal + " ",
                     "\u212a" + self.principal, "nobody.example.com"):
            with self.subTest(name):
                with self.assertRaises(Exception) as caught:
                    self.iam.create_service_linked_role(AWSServiceName=name)
                code = caught.exception.response["Error"]["Code"]
                self.assertIn(code, ("InvalidInput", "ValidationError"))

    def test_feature_05_06_protected(self):
        self.create()
        protected = (f"Cannot perform the operation on the protected role '{self.name}' - "
                     "this role is only modifiable by AWS")
        before = self.iam.get_role(RoleName=self.name)["Role"]
        admin = "arn:aws:iam::aws:policy/AdministratorAccess"
        document = json.dumps(allow("*"))
        trust = json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": self.account}, "Action": "sts:AssumeRole"}]})
        callers = [self.iam]
        if self.server.kind == "disk":
            callers.append(self.server.client("iam", self.server.root))
        for iam in callers:
            for call, more in (
                    (iam.attach_role_policy, {"PolicyArn": admin}),
                    (iam.detach_role_policy, {"PolicyArn": admin}),
                    (iam.put_role_policy, {"PolicyName": "p", "PolicyDocument": document}),
                    (iam.delete_role_policy, {"PolicyName": "p"}),
                    (iam.update_assume_role_policy, {"PolicyDocument": trust}),
                    (iam.put_role_permissions_boundary, {"PermissionsBoundary": admin}),
                    (iam.delete_role_permissions_boundary, {}),
                    (iam.add_role_to_instance_profile, {"InstanceProfileName": "i"}),
                    (iam.remove_role_from_instance_profile, {"InstanceProfileName": "i"}),
                    (iam.delete_role, {})):
                self.refused("UnmodifiableEntity", 400, protected, call, RoleName=self.name,
                             **more)
            fixed = (f"{self.name} is an AWS service linked role, max session duration cannot "
                     "be changed.")
            self.refused("UnmodifiableEntity", 400, fixed, iam.update_role, RoleName=self.name,
                         MaxSessionDuration=7200)
        self.assertEqual(self.iam.get_role(RoleName=self.name)["Role"], before)
        policy = self.iam.list_attached_role_policies(RoleName=self.name)["AttachedPolicies"][0]
        mine = "plain" + secrets.token_hex(3)
        self.iam.create_role(RoleName=mine, AssumeRolePolicyDocument=trust)
        self.refused("PolicyNotAttachable", 400,
                     "Cannot attach a Service Role Policy to a Customer Role.",
                     self.iam.attach_role_policy, RoleName=mine, PolicyArn=policy["PolicyArn"])
        self.refused("InvalidInput", 400,
                     "Path prefix '/aws-service-role/' can only be used for AWS Service linked "
                     "Roles", self.iam.create_role, RoleName=mine + "2",
                     Path=f"/aws-service-role/{self.principal}/", AssumeRolePolicyDocument=trust)

    def test_feature_15_16_description_and_tags(self):
        self.create()
        self.iam.update_role(RoleName=self.name, Description="one")
        self.assertEqual(self.iam.get_role(RoleName=self.name)["Role"]["Description"], "one")
        answer = self.iam.update_role_description(RoleName=self.name, Description="two")["Role"]
        self.assertEqual(answer["Description"], "two")
        self.assertNotIn("MaxSessionDuration", answer)
        self.iam.tag_role(RoleName=self.name, Tags=[{"Key": "Team", "Value": "a"}])
        self.iam.tag_role(RoleName=self.name, Tags=[{"Key": "team", "Value": "b"}])
        tags = self.iam.list_role_tags(RoleName=self.name)["Tags"]
        self.assertEqual(tags, [{"Key": "team", "Value": "b"}])
        self.iam.untag_role(RoleName=self.name, TagKeys=["TEAM"])
        self.assertEqual(self.iam.list_role_tags(RoleName=self.name)["Tags"], [])
        self.refused("InvalidInput", 400, None, self.raw_create_with, "Tags.member.1.Key", "k")
        for extra in ("Path", "AssumeRolePolicyDocument", "MaxSessionDuration"):
            self.refused("InvalidInput", 400, None, self.raw_create_with, extra, "1")

    def raw_create_with(self, name, value):
        """boto3 would drop a parameter its model does not know; this adds it before signing."""
        iam = self.server.client("iam")

        def add(params, **_):
            params["body"][name] = value
        iam.meta.events.register("before-call.iam.CreateServiceLinkedRole", add)
        iam.create_service_linked_role(AWSServiceName=self.principal, CustomSuffix="extra")

    def test_feature_03_08_only_its_service_assumes_it(self):
        self.create()
        arn = self.arn()
        denied = lambda who: (f"User: {who} is not authorized to perform: sts:AssumeRole on "
                              f"resource: {arn}")
        user = self.sts.get_caller_identity()["Arn"]
        self.refused("AccessDenied", 403, denied(user), self.sts.assume_role, RoleArn=arn,
                     RoleSessionName="me")
        if self.server.kind == "disk":
            root = self.server.client("sts", self.server.root)
            self.refused("AccessDenied", 403, "Roles may not be assumed by root accounts.",
                         root.assume_role, RoleArn=arn, RoleSessionName="me")
        other = unseen()
        other_keys = self.server.service(other)
        foreign = self.server.client("sts", other_keys)
        self.refused("AccessDenied", 403, denied(other["service"]), foreign.assume_role,
                     RoleArn=arn, RoleSessionName="me")
        made = self.server.must("/v1/accounts/create")
        stranger = Keys(made["access_key_id"], made["secret_access_key"])
        iam = self.server.client("iam", stranger)
        iam.create_user(UserName="eve")
        iam.attach_user_policy(UserName="eve",
                               PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        eve = Keys.of(iam.create_access_key(UserName="eve")["AccessKey"])
        message = denied(f"arn:aws:iam::{made['account']}:user/eve")
        self.refused("AccessDenied", 403, message, self.server.client("sts", eve).assume_role,
                     RoleArn=arn, RoleSessionName="me")
        own = self.server.client("sts", self.keys)
        self.assertEqual(own.get_caller_identity()["Arn"], self.principal)
        session = own.assume_role(RoleArn=arn, RoleSessionName="work")
        who = f"arn:aws:sts::{self.account}:assumed-role/{self.name}/work"
        self.assertEqual(session["AssumedRoleUser"]["Arn"], who)
        keys = Keys.of(session["Credentials"])
        self.assertEqual(self.server.client("sts", keys).get_caller_identity()["Arn"], who)
        # Least privilege: its policy says nothing of IAM.
        self.refused("AccessDenied", 403, None, self.server.client("iam", keys).list_roles)
        # A missing role and one of a service that never enabled the account look alike.
        missing = arn.replace(self.account, made["account"])
        self.refused("AccessDenied", 403, denied(self.principal).replace(arn, missing),
                     own.assume_role, RoleArn=missing, RoleSessionName="work")

    def test_feature_07_the_service_can_do_what_its_policy_says(self):
        self.create()
        sts = self.server.client("sts", self.keys)
        session = Keys.of(sts.assume_role(RoleArn=self.arn(),
                                          RoleSessionName="work")["Credentials"])
        name, host = self.manifest["signing_names"][0], self.manifest["hosts"][0]
        forwarded = self.server.forwarded(session, name, host)
        for action, allowed in ((f"{name}:ReadThing", True), (f"{name}:WriteThing", False)):
            status, answer = self.server.native(self.keys, "/v1/authorize", {
                "forwarded": forwarded, "action": action, "resource": "*"})
            self.assertEqual((status, answer["allowed"]), (200, allowed), answer)

    def test_feature_36_37_38_41_42_deletion(self):
        self.create()
        r1, r2 = self.manifest["regions"]
        for region, name in ((r1, "vault/1"), (r2, "vault/2")):
            status, answer = self.server.native(self.keys, "/v1/usage/register", {
                **self.target(self.name), "region": region, "resource": name})
            self.assertEqual(status, 200, answer)
        failed = self.delete()
        self.assertEqual(failed["Status"], "FAILED")
        self.assertEqual(failed["Reason"]["Reason"], "Role in use.")
        self.assertEqual(failed["Reason"]["RoleUsageList"], [
            {"Region": r1, "Resources": ["vault/1"]}, {"Region": r2, "Resources": ["vault/2"]}])
        self.iam.get_role(RoleName=self.name)
        for region, name in ((r1, "vault/1"), (r2, "vault/2")):
            self.server.native(self.keys, "/v1/usage/deregister", {
                **self.target(self.name), "region": region, "resource": name})
        sts = self.server.client("sts", self.keys)
        session = Keys.of(sts.assume_role(RoleArn=self.arn(),
                                          RoleSessionName="work")["Credentials"])
        failed = self.delete()
        self.assertEqual(failed["Status"], "FAILED", "an active session blocks")
        self.assertIn("session", failed["Reason"]["Reason"])
        status, answer = self.server.native(self.server.admin, "/v1/slr/release-sessions",
                                            self.target(self.name))
        self.assertEqual(status, 403, "only its service ends an SLR's sessions")
        status, _ = self.server.native(self.keys, "/v1/slr/release-sessions",
                                       self.target(self.name))
        self.assertEqual(status, 200)
        self.refused("InvalidClientTokenId", 403, None,
                     self.server.client("sts", session).get_caller_identity)
        self.assertEqual(self.delete()["Status"], "SUCCEEDED")
        self.refused("NoSuchEntity", 404, f"The role with name {self.name} cannot be found.",
                     self.iam.get_role, RoleName=self.name)
        self.refused("AccessDenied", 403, None, sts.assume_role, RoleArn=self.arn(),
                     RoleSessionName="work")
        role = self.create()
        self.refused("InvalidClientTokenId", 403, None,
                     self.server.client("sts", session).get_caller_identity)
        again = Keys.of(sts.assume_role(RoleArn=role["Arn"], RoleSessionName="w2")["Credentials"])
        self.server.client("sts", again).get_caller_identity()

    def test_feature_35_tasks(self):
        self.create()
        self.refused("NoSuchEntity", 404, "The role with name nobody cannot be found.",
                     self.iam.delete_service_linked_role, RoleName="nobody")
        plain = "plain" + secrets.token_hex(3)
        trust = json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": self.account}, "Action": "sts:AssumeRole"}]})
        self.iam.create_role(RoleName=plain, AssumeRolePolicyDocument=trust)
        self.refused("NoSuchEntity", 404, f"{plain} exists but is not a service role.",
                     self.iam.delete_service_linked_role, RoleName=plain)
        task = self.iam.delete_service_linked_role(RoleName=self.name)["DeletionTaskId"]
        self.assertRegex(task, f"^task/aws-service-role/{self.principal}/{self.name}/[0-9a-f-]+$")
        self.assertEqual(self.server.wait_deleted(self.iam, task)["Status"], "SUCCEEDED")
        get = self.iam.get_service_linked_role_deletion_status
        first, second = get(DeletionTaskId=task), get(DeletionTaskId=task)
        self.assertEqual((first["Status"], second["Status"]), ("SUCCEEDED", "SUCCEEDED"))
        unknown = task[:-4] + ("0000" if task[-4:] != "0000" else "1111")
        text = "Cannot find deletion status for given id."
        self.refused("NoSuchEntity", 404, text, get, DeletionTaskId=unknown)
        mixed = task.replace(self.name, "Another")
        self.refused("NoSuchEntity", 404, text, get, DeletionTaskId=mixed)
        self.refused("InvalidInput", 400, "Invalid task id", get, DeletionTaskId="nonsense")
        made = self.server.must("/v1/accounts/create")
        foreign = self.server.client(
            "iam", Keys(made["access_key_id"], made["secret_access_key"]))
        self.refused("NoSuchEntity", 404, text, foreign.get_service_linked_role_deletion_status,
                     DeletionTaskId=task)

    def test_feature_18_19_20_33_ensure_in_the_callers_name(self):
        name, host = self.manifest["signing_names"][0], self.manifest["hosts"][0]
        word = secrets.token_hex(3)
        poor = self.server.user("poor" + word, allow(f"{name}:*"))
        rich = self.server.user("rich" + word, allow(
            f"{name}:*", "iam:CreateServiceLinkedRole"))
        ensure = lambda keys: self.server.native(self.keys, "/v1/slr/ensure", {
            "forwarded": self.server.forwarded(keys, name, host), "principal": self.principal})
        status, answer = ensure(poor)
        self.assertEqual((status, answer["error"]["code"]), (403, "AccessDenied"), answer)
        self.assertIn(f"user/poor{word} is not authorized to perform: iam:CreateServiceLinkedRole "
                      f"on resource: {self.arn()}", answer["error"]["message"])
        self.refused("NoSuchEntity", 404, None, self.iam.get_role, RoleName=self.name)
        status, answer = ensure(rich)
        self.assertEqual((status, answer["created"]), (200, True), answer)
        status, answer = ensure(poor)
        self.assertEqual((status, answer["created"]), (200, False), "it is there already")
        trail = self.server.must("/v1/operator/trail", {"operation": "EnsureServiceLinkedRole"})
        made = [e for e in trail["entries"] if e["actor"].get("user_name") == "rich" + word]
        self.assertEqual(made[0]["actor"]["invoked_by"], self.principal)

    def test_a_forwarded_request_counts_at_its_own_service_only(self):
        other = unseen()
        other_keys = self.server.service(other)
        name, host = self.manifest["signing_names"][0], self.manifest["hosts"][0]
        forwarded = self.server.forwarded(self.server.admin, name, host)
        ask = {"forwarded": forwarded, "action": f"{name}:Any", "resource": "*"}
        status, answer = self.server.native(self.keys, "/v1/authorize", ask)
        self.assertEqual((status, answer["allowed"]), (200, True), "positive control")
        status, answer = self.server.native(other_keys, "/v1/authorize", ask)
        self.assertEqual(status, 403, answer)
        wrong_host = self.server.forwarded(self.server.admin, name, other["hosts"][0])
        status, answer = self.server.native(self.keys, "/v1/authorize",
                                            {**ask, "forwarded": wrong_host})
        self.assertEqual(status, 403, answer)
        status, answer = self.server.native(self.server.admin, "/v1/authorize", ask)
        self.assertEqual(status, 403, "a user is no linked service")
        altered = {**forwarded, "body_sha256": "0" * 64}
        status, answer = self.server.native(self.keys, "/v1/authorize",
                                            {**ask, "forwarded": altered})
        self.assertEqual(status, 403, answer)
        status, answer = self.server.native(self.keys, "/v1/authorize",
                                            {**ask, "action": "iam:DeleteUser"})
        self.assertEqual(status, 400, "a service asks about its own actions")

    def test_feature_40_a_role_goes_with_the_last_resource(self):
        automatic = unseen()
        automatic["role"][0]["deletion"] = "automatic"
        principal, name = automatic["service"], "AWSServiceRoleFor" + automatic["role"][0]["name"]
        keys = self.server.service(automatic)
        for region in automatic["regions"]:
            self.iam.create_service_linked_role(AWSServiceName=principal)
            use = {**self.target(name), "region": region, "resource": "vault-1"}
            self.assertEqual(self.server.native(keys, "/v1/usage/register", use)[0], 200)
            status, answer = self.server.native(keys, "/v1/usage/deregister", use)
            self.assertEqual(status, 200, answer)
            task = f"task/aws-service-role/{principal}/{name}/{answer['began_deletion']}"
            self.assertEqual(self.server.wait_deleted(self.iam, task)["Status"], "SUCCEEDED")
            self.refused("NoSuchEntity", 404, None, self.iam.get_role, RoleName=name)
            status, answer = self.server.native(keys, "/v1/usage/deregister", use)
            self.assertEqual(status, 404, answer)

    def test_a_restart_in_mid_deletion(self):
        if self.server.kind != "disk":
            self.skipTest("nothing outlives a server in memory")
        for _ in range(6):
            role = self.create()
            task = self.iam.delete_service_linked_role(RoleName=self.name)["DeletionTaskId"]
            self.server.kill()
            self.server.start()
            self.iam = type(self).iam = self.server.client("iam")
            type(self).sts = self.server.client("sts")
            self.assertEqual(self.server.wait_deleted(self.iam, task)["Status"], "SUCCEEDED")
            self.refused("NoSuchEntity", 404, None, self.iam.get_role, RoleName=self.name)
            trail = self.server.must("/v1/operator/trail", {"limit": 1000})["entries"]
            mine = [e for e in trail if e["params"].get("deletionTaskId") == task.split("/")[-1]
                    and e["params"].get("step") == "Commit"]
            self.assertEqual(len(mine), 1, "the role goes once")
            self.assertNotEqual(self.create()["RoleId"], role["RoleId"])
            again = self.iam.delete_service_linked_role(RoleName=self.name)["DeletionTaskId"]
            self.server.wait_deleted(self.iam, again)

    def test_two_accounts_stay_apart(self):
        self.create()
        made = self.server.must("/v1/accounts/create")
        account = made["account"]
        keys = Keys(made["access_key_id"], made["secret_access_key"])
        iam = self.server.client("iam", keys)
        self.create(iam)
        sts = self.server.client("sts", self.keys)
        for target in (self.account, account):
            session = sts.assume_role(RoleArn=self.arn(account=target), RoleSessionName="work")
            self.assertIn(target, session["AssumedRoleUser"]["Arn"])
        region = self.manifest["regions"][0]
        self.server.native(self.keys, "/v1/usage/register", {
            **self.target(self.name, account), "region": region, "resource": "only-there"})
        self.server.native(self.keys, "/v1/slr/release-sessions", self.target(self.name))
        self.assertEqual(self.delete()["Status"], "SUCCEEDED", "the other's use does not block")
        self.assertEqual(self.delete(iam=iam)["Status"], "FAILED")

    def test_atk_f29_concurrent_deletes_share_one_task(self):
        self.create()
        tasks, iams = [], [self.server.client("iam") for _ in range(8)]

        def ask(iam):
            try:
                tasks.append(iam.delete_service_linked_role(RoleName=self.name)["DeletionTaskId"])
            except iam.exceptions.NoSuchEntityException:
                pass  # the role went before this one asked
        threads = [threading.Thread(target=ask, args=(iam,)) for iam in iams]
        [t.start() for t in threads]
        [t.join() for t in threads]
        self.assertEqual(len(set(tasks)), 1, tasks)

    def test_feature_26_enrolment_is_for_one_service_once(self):
        manifest = unseen()
        token = self.server.must("/v1/services/enrol", {"service": manifest["service"]})["token"]
        send = lambda t, m: self.server.send(
            "/v1/services/register", json.dumps({"token": t, "manifest": m}),
            {"content-type": "application/json"})
        self.assertEqual(send("0" * 64, manifest)[0], 403)
        self.assertEqual(send(token, unseen())[0], 403, "a token of another service")
        status, made = send(token, manifest)
        self.assertEqual(status, 200, made)
        self.assertIn(send(token, manifest)[0], (403, 409), "a token works once")
        squat = {**unseen(), "service": "evil." + manifest["service"]}
        squat["role"][0]["name"] = manifest["role"][0]["name"]
        status, answer = self.server.operator("/v1/services/register", {"manifest": squat})
        self.assertEqual(status, 409, answer)
        status, answer = self.server.native(self.server.admin, "/v1/services/enrol",
                                            {"service": "x.example.com"})
        self.assertEqual(status, 403, "only the operator enrols")
        code, out, err = self.server.linkrole("service", "list")
        self.assertIn(manifest["service"], out, err)
        code, out, err = self.server.linkrole("service", "show", manifest["service"])
        shown = json.loads(out)
        self.assertEqual(shown["regions"], sorted(manifest["regions"]))


if __name__ == "__main__":
    unittest.main()
