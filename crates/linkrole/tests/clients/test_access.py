"""Who used which service and action, and when: what boto3, our command line and the native API tell of it."""

import json
import os
import unittest

from harness import Case, Keys, allow

WORD = "warehouse"
SERVICE = f"{WORD}.example.com"
ROLE = "AWSServiceRoleForWarehouse"


class Access(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.mine = cls.server.service({
            "service": SERVICE, "display_name": "Warehouse", "signing_names": [WORD], "hosts": [f"{WORD}.local"],
            "regions": ["r1"], "role": [{"name": "Warehouse", "policy_name": "WarehouseServiceRolePolicy",
                                         "policy": allow("ec2:Describe*", f"{WORD}:Get*")}]})

    def ask(self, keys, action):
        """The service asks about a request that it received; whether it is allowed."""
        forwarded = self.server.forwarded(keys, WORD, f"{WORD}.local")
        status, answer = self.server.native(self.mine, "/v1/authorize", {"forwarded": forwarded, "action": action})
        self.assertEqual(status, 200, answer)
        return answer["allowed"]


class Advisor(Access):
    def report(self, arn, granularity="ACTION_LEVEL"):
        """A report as the vendor's page on reports reads it: by service."""
        job = self.iam.generate_service_last_accessed_details(Arn=arn, Granularity=granularity)["JobId"]
        read = self.iam.get_service_last_accessed_details(JobId=job)
        self.assertEqual((read["JobStatus"], read["JobType"], read["IsTruncated"]), ("COMPLETED", granularity, False))
        self.assertEqual(read["JobCreationDate"], read["JobCompletionDate"])
        names = [service["ServiceNamespace"] for service in read["ServicesLastAccessed"]]
        self.assertEqual(names, sorted(names))
        return job, {service["ServiceNamespace"]: service for service in read["ServicesLastAccessed"]}

    def test_feature_33_last_accessed_of_users_groups_roles_and_policies(self):
        iam, name = self.iam, "reported"
        keys = self.server.user(name, allow(f"{WORD}:Get*", "s3:GetObject"))
        arn = iam.get_user(UserName=name)["User"]["Arn"]
        _, before = self.report(arn)
        self.assertEqual(sorted(before), ["s3", WORD])
        self.assertEqual(before[WORD], {"ServiceName": "Warehouse", "ServiceNamespace": WORD,
                                        "TotalAuthenticatedEntities": 0})
        self.assertTrue(self.ask(keys, f"{WORD}:GetThing"))
        self.assertFalse(self.ask(keys, f"{WORD}:PutThing"))
        self.refused("AccessDenied", 403, None, self.server.client("iam", keys).list_users)
        _, told = self.until(lambda: self.report(arn), lambda found: "iam" in found[1])
        # Attempts count, denied ones too, and a service that no policy reaches is named if it was tried.
        used = told[WORD]
        self.assertEqual((used["LastAuthenticatedEntity"], used["LastAuthenticatedRegion"],
                          used["TotalAuthenticatedEntities"]), (arn, "eu-test-1", 1))
        actions = {action["ActionName"]: action for action in used["TrackedActionsLastAccessed"]}
        self.assertEqual(sorted(actions), ["GetThing", "PutThing"])
        self.assertEqual(actions["GetThing"]["LastAccessedEntity"], arn)
        self.assertEqual([a["ActionName"] for a in told["iam"]["TrackedActionsLastAccessed"]], ["ListUsers"])
        self.assertNotIn("LastAuthenticated", told["s3"])
        _, coarse = self.report(arn, "SERVICE_LEVEL")
        self.assertNotIn("TrackedActionsLastAccessed", coarse[WORD])
        # Of a group its members, and only what its policies reach; of a policy all who have it.
        iam.create_group(GroupName="crew")
        iam.put_group_policy(GroupName="crew", PolicyName="own", PolicyDocument=json.dumps(
            allow(f"{WORD}:*")))
        iam.add_user_to_group(GroupName="crew", UserName=name)
        self.server.user("idle")
        iam.add_user_to_group(GroupName="crew", UserName="idle")
        job, of_group = self.report(iam.get_group(GroupName="crew")["Group"]["Arn"])
        self.assertEqual((list(of_group), of_group[WORD]["LastAuthenticatedEntity"]), ([WORD], arn))
        listed = iam.get_service_last_accessed_details_with_entities(JobId=job, ServiceNamespace=WORD)
        entities = [(one["EntityInfo"]["Name"], one["EntityInfo"]["Type"], "LastAuthenticated" in one)
                    for one in listed["EntityDetailsList"]]
        self.assertEqual(entities, [(name, "USER", True), ("idle", "USER", False)])
        first = iam.get_service_last_accessed_details_with_entities(JobId=job, ServiceNamespace=WORD, MaxItems=1)
        self.assertTrue(first["IsTruncated"])
        rest = iam.get_service_last_accessed_details_with_entities(JobId=job, ServiceNamespace=WORD,
                                                                   Marker=first["Marker"])
        self.assertEqual(first["EntityDetailsList"] + rest["EntityDetailsList"], listed["EntityDetailsList"])
        admin = "arn:aws:iam::aws:policy/AdministratorAccess"
        _, of_policy = self.report(admin)
        self.assertTrue({"iam", "sts", WORD} <= set(of_policy), of_policy)
        self.assertTrue(of_policy["iam"]["LastAuthenticatedEntity"].endswith(":user/admin"), of_policy["iam"])
        granting = iam.list_policies_granting_service_access(Arn=arn, ServiceNamespaces=[WORD, "ec2"])
        self.assertEqual(granting["PoliciesGrantingServiceAccess"], [
            {"ServiceNamespace": WORD, "Policies": [
                {"PolicyName": "p", "PolicyType": "INLINE", "EntityType": "USER", "EntityName": name},
                {"PolicyName": "own", "PolicyType": "INLINE", "EntityType": "GROUP", "EntityName": "crew"}]},
            {"ServiceNamespace": "ec2", "Policies": []}])

    def test_a_report_is_for_whoever_asked_and_not_to_be_made_up(self):
        iam = self.iam
        arn = self.sts.get_caller_identity()["Arn"]
        job = iam.generate_service_last_accessed_details(Arn=arn)["JobId"]
        other = self.server.client("iam", self.server.user("other", allow("iam:*")))
        for client, wrong in ((other, job), (iam, "a" * 36), (iam, job[:-1] + ("A" if job[-1] != "A" else "B"))):
            self.refused("NoSuchEntity", 404, f"Job {wrong} does not exist.",
                         client.get_service_last_accessed_details, JobId=wrong)
        for unfit in ("arn:aws:s3:::a-bucket-somewhere", f"arn:aws:iam::{self.account}:root"):
            self.refused("InvalidInput", 400, f"Invalid Entity Arn: {unfit} is not supported.",
                         iam.generate_service_last_accessed_details, Arn=unfit)
        for missing in ("role/none", "user/none", "group/none", "policy/none"):
            missing = f"arn:aws:iam::{self.account}:{missing}"
            self.refused("NoSuchEntity", 404, f"ARN {missing} does not exist.",
                         iam.generate_service_last_accessed_details, Arn=missing)
        # Whether another account has it is not told.
        for name in (arn.rsplit(":", 1)[1], "user/nobody", "policy/none"):
            theirs = f"arn:aws:iam::999999999999:{name}"
            self.refused("AccessDenied", 403, f"User: {arn} is not authorized to perform the operation on {theirs}",
                         iam.generate_service_last_accessed_details, Arn=theirs)
        self.refused("InvalidInput", 400, "Service namepace nosuch is either invalid or unsupported.",
                     iam.get_service_last_accessed_details_with_entities, JobId=job, ServiceNamespace="nosuch")

    def test_a_report_leaves_out_what_is_denied_or_beyond_the_boundary(self):
        iam = self.iam
        document = allow("s3:Get*", "ec2:Get*", "sqs:Get*", "sns:Get*")
        document["Statement"] += [
            {"Effect": "Deny", "Action": "s3:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "ec2:*", "Resource": "arn:aws:ec2:*:*:instance/i-1"},
            {"Effect": "Deny", "Action": "sqs:GetQueueUrl", "Resource": "*"}]
        self.server.user("bounded", document)
        arn = iam.get_user(UserName="bounded")["User"]["Arn"]
        self.assertEqual(sorted(self.report(arn)[1]), ["ec2", "sns", "sqs"])
        bound = iam.create_policy(PolicyName="bound", PolicyDocument=json.dumps(allow("ec2:*", "sqs:Get*")))
        iam.create_user(UserName="bounded2", PermissionsBoundary=bound["Policy"]["Arn"])
        iam.put_user_policy(UserName="bounded2", PolicyName="p", PolicyDocument=json.dumps(document))
        arn = iam.get_user(UserName="bounded2")["User"]["Arn"]
        self.assertEqual(sorted(self.report(arn)[1]), ["ec2", "sqs"])

    def test_feature_33_a_linked_roles_activity_is_shown(self):
        role = self.iam.create_service_linked_role(AWSServiceName=SERVICE)["Role"]
        sts = self.server.client("sts", self.mine)
        for _ in range(2):
            session = Keys.of(sts.assume_role(RoleArn=role["Arn"], RoleSessionName="shown")["Credentials"])
        self.assertTrue(self.ask(session, f"{WORD}:GetThing"))
        # A report asks for what was used; what GetRole tells may be half a minute old.
        read = lambda: (self.server.native(self.server.admin, "/v1/access/show", {"kind": "role", "name": ROLE}),
                        self.iam.get_role(RoleName=ROLE)["Role"]["RoleLastUsed"])[1]
        self.assertEqual(self.until(read, bool)["Region"], "eu-test-1")
        _, told = self.report(role["Arn"])
        self.assertEqual(sorted(told), ["ec2", WORD])
        self.assertEqual(told[WORD]["LastAuthenticatedEntity"], role["Arn"])
        status, shown = self.server.native(self.server.admin, "/v1/access/show", {"kind": "role", "name": ROLE})
        self.assertEqual((status, shown["sessions"], shown["last_used"]["service"]), (200, 2, WORD))
        self.assertEqual([[s["service"], [a["action"] for a in s["actions"]]] for s in shown["services"]],
                         [[WORD, ["GetThing"]]])
        code, out, err = self.server.linkrole("slr", "show", ROLE, "--access")
        self.assertEqual(code, 0, err)
        for word in ("2 sessions", WORD, "GetThing", "eu-test-1"):
            self.assertIn(word, out)
        nobody = self.server.user("nobody")
        status, _ = self.server.native(nobody, "/v1/access/show", {"kind": "role", "name": ROLE})
        self.assertEqual(status, 403)

    def test_feature_33_the_native_api_tells_of_an_alibaba_account(self):
        made = self.server.must("/v1/accounts/create", {"dialect": "alibaba"})
        root = Keys(made["access_key_id"], made["secret_access_key"])
        self.assertEqual(self.server.native(root, "/v1/slr/list", {})[0], 200)
        read = lambda: self.server.native(root, "/v1/access/show", {"kind": "root", "name": made["account"]})[1]
        told = self.until(read, lambda found: found["services"])
        self.assertEqual([service["service"] for service in told["services"]][-1], "ram", told)
        # Of root, too, it is told what was used last.
        newest = max(service["at"] for service in told["services"])
        last = [s["service"] for s in told["services"] if s["at"] == newest]
        self.assertEqual((told["last_used"]["at"], told["last_used"]["service"] in last), (newest, True), told)
        key = self.server.native(root, "/v1/access/show", {"kind": "key", "name": root.key})[1]
        self.assertEqual((key["last_used"]["region"], key["services"]), ("eu-test-1", []))
        # Nobody sees another account's.
        status, _ = self.server.native(self.server.admin, "/v1/access/show", {"kind": "key", "name": root.key})
        self.assertEqual(status, 404)


@unittest.skipUnless(os.environ.get("LINKROLE_TEST_KIND") == "disk", "what is in memory does not outlive a kill")
class Killed(Access):
    def test_feature_33_what_the_trail_has_is_known_after_a_kill(self):
        name, iam = "killed", self.iam
        keys = self.server.user(name)
        self.until(lambda: iam.get_access_key_last_used(AccessKeyId=self.server.admin.key),
                   lambda found: found["AccessKeyLastUsed"]["ServiceName"] == "iam")
        role = iam.create_service_linked_role(AWSServiceName=SERVICE)["Role"]
        sts = self.server.client("sts", self.mine)
        shown = lambda: self.server.native(self.server.admin, "/v1/access/show", {"kind": "role", "name": ROLE})[1]
        # Of each round some uses are stored before the kill and some are not; none is lost or counted twice.
        for round_ in range(1, 6):
            sts.assume_role(RoleArn=role["Arn"], RoleSessionName="stored")
            self.until(shown, lambda found: found["sessions"] == 2 * round_ - 1)
            stored = [e for e in self.server.must("/v1/operator/trail", {"limit": 1000})["entries"]]
            self.assertEqual(stored[0]["operation"], "AssumeRole", "that it was stored is upkeep that no view shows")
            sts.assume_role(RoleArn=role["Arn"], RoleSessionName="killed")
            self.refused("AccessDenied", 403, None, self.server.client("iam", keys).create_user, UserName="x")
            self.server.kill()
            self.server.start()
            iam, sts = self.server.client("iam"), self.server.client("sts", self.mine)
            status, told = self.server.native(self.server.admin, "/v1/access/show", {"kind": "role", "name": ROLE})
            self.assertEqual((status, told["sessions"]), (200, 2 * round_), told)
            used = iam.get_access_key_last_used(AccessKeyId=keys.key)["AccessKeyLastUsed"]
            self.assertEqual(used["ServiceName"], "iam", used)
        Access.iam = iam


if __name__ == "__main__":
    unittest.main()
