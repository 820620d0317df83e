"""The clouds' own services, as facts: every row of catalog/aws.tsv through an unmodified boto3, and
every row of catalog/alibaba.tsv through the vendor's client."""

import csv
import json
import os
import unittest

from alibaba import AlibabaCase
from harness import Case, Server, allow

CATALOG = os.path.join(os.path.dirname(__file__), "../../../../catalog")
VENDORS = ("--vendor-services",)


def facts(name):
    with open(os.path.join(CATALOG, name)) as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


# Switched on where it is not the default.
ARGUMENTS = VENDORS if os.environ.get("LINKROLE_TEST_KIND") == "disk" else ()


class Aws(Case):
    args = ARGUMENTS

    def test_feature_25_every_fact_is_a_role_that_can_be_made(self):
        rows = facts("aws.tsv")
        self.assertGreater(len(rows), 200)
        for row in rows:
            with self.subTest(row["principal"]):
                self.one(row)

    def one(self, row):
        iam, principal, name = self.iam, row["principal"], row["role"]
        path = f"/aws-service-role/{principal}/"
        create = lambda **more: iam.create_service_linked_role(AWSServiceName=principal, **more)
        # Created.
        made = create(Description="d")["Role"]
        arn = f"arn:aws:iam::{self.account}:role{path}{name}"
        self.assertEqual((made["Path"], made["RoleName"], made["Arn"]), (path, name, arn))
        self.assertRegex(made["RoleId"], "^AROA[A-Z2-7]{17}$")
        self.assertEqual(set(made), {"Path", "RoleName", "RoleId", "Arn", "CreateDate",
                                     "AssumeRolePolicyDocument"})
        self.assertEqual(made["AssumeRolePolicyDocument"], {
            "Version": "2012-10-17",
            "Statement": [{"Action": ["sts:AssumeRole"], "Effect": "Allow",
                           "Principal": {"Service": [principal]}}]})
        # Shown and listed.
        seen = iam.get_role(RoleName=name)["Role"]
        self.assertEqual((seen["Arn"], seen["Description"], seen["MaxSessionDuration"],
                          seen["RoleLastUsed"]), (arn, "d", 3600, {}))
        self.assertEqual(seen["AssumeRolePolicyDocument"]["Statement"], [
            {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}])
        listed = iam.list_roles(PathPrefix=path)["Roles"]
        self.assertEqual([role["Arn"] for role in listed], [arn])
        # Its policy has the vendor's name and grants nothing.
        policy = f"arn:aws:iam::aws:policy/aws-service-role/{row['policy']}"
        self.assertEqual(iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"],
                         [{"PolicyName": row["policy"], "PolicyArn": policy}])
        version = iam.get_policy(PolicyArn=policy)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=policy, VersionId=version)
        statements = document["PolicyVersion"]["Document"]["Statement"]
        self.assertEqual([(s["Effect"], s["Action"]) for s in statements], [("Deny", "*")])
        self.assertIn("Imported", statements[0]["Sid"])
        # A suffix as the service has it, and a name once.
        if row["suffix"] == "optional":
            other = create(CustomSuffix="x")["Role"]["RoleName"]
            self.assertEqual(other, name + "_x")
            self.gone(other)
        else:
            self.refused("InvalidInput", 400, f"Custom suffix is not allowed for {principal}",
                         create, CustomSuffix="x")
        self.refused("InvalidInput", 400,
                     f"Service role name {name} has been taken in this account, please try a "
                     "different suffix.", create)
        # Nobody edits it.
        protected = (f"Cannot perform the operation on the protected role '{name}' - "
                     "this role is only modifiable by AWS")
        document = json.dumps(allow("*"))
        for call, more in (
                (iam.put_role_policy, {"PolicyName": "p", "PolicyDocument": document}),
                (iam.detach_role_policy, {"PolicyArn": policy}),
                (iam.update_assume_role_policy, {"PolicyDocument": json.dumps({
                    "Version": "2012-10-17", "Statement": [{
                        "Effect": "Allow", "Principal": {"AWS": self.account},
                        "Action": "sts:AssumeRole"}]})}),
                (iam.delete_role, {})):
            self.refused("UnmodifiableEntity", 400, protected, call, RoleName=name, **more)
        self.gone(name)

    def gone(self, name):
        """Deletes an unused role, which is gone at the first poll."""
        task = self.iam.delete_service_linked_role(RoleName=name)["DeletionTaskId"]
        self.assertRegex(task, f"^task/aws-service-role/[a-z0-9.-]+/{name}/[0-9a-f-]{{36}}$")
        first = self.iam.get_service_linked_role_deletion_status(DeletionTaskId=task)
        self.assertEqual(first["Status"], "SUCCEEDED")
        self.refused("NoSuchEntity", 404, f"The role with name {name} cannot be found.",
                     self.iam.get_role, RoleName=name)

    def test_what_runs_nowhere_has_no_key(self):
        status, answer = self.server.native(self.server.admin, "/v1/services/show",
                                            {"service": "rds.amazonaws.com"})
        self.assertEqual((status, answer["service"]["usage"]), (200, "sessions"), answer)
        status, _ = self.server.operator("/v1/services/enrol", {"service": "rds.amazonaws.com"})
        self.assertNotEqual(status, 200, "nobody registers under a known principal")


class Switch(unittest.TestCase):
    def test_an_installation_knows_them_when_it_is_told_to_and_from_then_on(self):
        server = Server("disk")
        self.addCleanup(server.stop)
        known = lambda: any(s["service"] == "rds.amazonaws.com"
                            for s in server.must("/v1/services/list")["services"])
        self.assertFalse(known())
        for args in (VENDORS, VENDORS, ()):
            server.kill()
            server.args = args
            server.start()
            self.assertTrue(known(), args)
        stocked = server.must("/v1/operator/trail", {"operation": "StockServices"})["entries"]
        self.assertEqual(len(stocked), 1)


class Alibaba(AlibabaCase):
    args = ARGUMENTS

    def test_feature_25_every_fact_is_a_role_that_can_be_made(self):
        rows = facts("alibaba.tsv")
        self.assertGreater(len(rows), 200)
        for row in rows:
            with self.subTest(row["principal"]):
                self.one(row)

    def one(self, row):
        principal, name = row["principal"], row["role"]
        made = self.ask("rm", "CreateServiceLinkedRole", ServiceName=principal)["Role"]
        self.assertEqual(made["RoleName"], name)
        self.assertEqual(made["Arn"], f"acs:ram::{self.home}:role/{name.lower()}")
        seen = self.ask("ram", "GetRole", RoleName=name)["Role"]
        trust = json.loads(seen["AssumeRolePolicyDocument"])
        self.assertEqual(trust["Statement"][0]["Principal"], {"Service": [principal]})
        attached = self.ask("ram", "ListPoliciesForRole", RoleName=name)["Policies"]["Policy"]
        self.assertEqual([p["PolicyName"] for p in attached], [row["policy"]])
        self.wrong(409, "EntityAlreadyExists.Role", None, "rm", "CreateServiceLinkedRole",
                   ServiceName=principal)
        task = self.ask("rm", "DeleteServiceLinkedRole", RoleName=name)["DeletionTaskId"]
        self.assertEqual(self.wait(task)["Status"], "SUCCEEDED")


if __name__ == "__main__":
    unittest.main()
