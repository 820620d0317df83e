"""Policies that a service offers to its customers: attached like every managed policy, changed by nobody but the
service, and enough for the service's own role."""

import copy
import json
import os
import secrets
import time
import tomllib
import unittest

from alibabacloud_ram20150501 import models as ram_models
from alibabacloud_resourcemanager20200331 import models as rm_models

from alibaba import AlibabaCase
from alibaba import allow as ram_allow
from harness import Case, Keys, allow

CATALOG = os.path.join(os.path.dirname(__file__), "../../../../catalog")


def built_in(name):
    with open(os.path.join(CATALOG, name), "rb") as text:
        return tomllib.load(text)


def full_access(word, principal):
    """A full-access policy in both languages."""
    operations = ["CreateServiceLinkedRole", "DeleteServiceLinkedRole",
                  "GetServiceLinkedRoleDeletionStatus"]
    aws = allow(f"{word}:*")
    aws["Statement"] += allow(*[f"iam:{o}" for o in operations], condition={
        "StringEquals": {"iam:AWSServiceName": principal}})["Statement"]
    ram = ram_allow(f"{word}:*")
    ram["Statement"] += ram_allow(*[f"ram:{o}" for o in operations], condition={
        "StringEquals": {"ram:ServiceName": principal}})["Statement"]
    return {"name": f"F{word}FullAccess", "description": "All of it.", "policy": aws,
            "ram_policy": ram}


def manifest(word):
    principal = f"{word}.example.com"
    return {"service": principal, "display_name": "F", "signing_names": [word],
            "hosts": [f"{word}.local"], "regions": ["r1"],
            "role": [{"name": f"F{word}", "policy_name": f"F{word}P",
                      "policy": allow("iam:ListUsers"), "ram_policy": ram_allow("ram:ListUsers")}],
            "policy": [full_access(word, principal)]}


class Offered(Case):
    def setUp(self):
        self.word = "f" + secrets.token_hex(3)
        self.manifest = manifest(self.word)
        self.principal = self.manifest["service"]
        self.keys = self.server.service(self.manifest)
        self.name = f"F{self.word}FullAccess"
        self.arn = f"arn:aws:iam::aws:policy/{self.name}"

    def bare(self):
        """A user with nothing at all; answers her name and her client."""
        name = "u" + secrets.token_hex(4)
        return name, self.server.client("iam", self.server.user(name))

    def makes_and_deletes(self, iam, principal, role):
        made = iam.create_service_linked_role(AWSServiceName=principal)["Role"]
        self.assertEqual(made["RoleName"], role)
        task = iam.delete_service_linked_role(RoleName=role)["DeletionTaskId"]
        self.assertEqual(self.server.wait_deleted(iam, task)["Status"], "SUCCEEDED")

    def operator(self, command, value=None):
        path = os.path.join(self.server.folder.name, secrets.token_hex(4) + ".json")
        with open(path, "w") as file:
            json.dump(value or self.manifest, file)
        return self.server.linkrole("--output", "json", "service", command, "--manifest", path)

    def test_feature_24_full_access_is_enough_for_the_services_role(self):
        name, iam = self.bare()
        other = manifest("g" + secrets.token_hex(3))
        self.server.service(other)
        create = lambda principal: iam.create_service_linked_role(AWSServiceName=principal)
        self.refused("AccessDenied", 403, None, create, self.principal)
        self.iam.attach_user_policy(UserName=name, PolicyArn=self.arn)
        self.makes_and_deletes(iam, self.principal, f"AWSServiceRoleForF{self.word}")
        self.refused("AccessDenied", 403, None, create, other["service"])
        self.refused("AccessDenied", 403, None, iam.list_users)
        # It is for groups and roles as well.
        self.iam.detach_user_policy(UserName=name, PolicyArn=self.arn)
        self.refused("AccessDenied", 403, None, create, self.principal)
        self.iam.create_group(GroupName=name)
        self.iam.add_user_to_group(GroupName=name, UserName=name)
        self.iam.attach_group_policy(GroupName=name, PolicyArn=self.arn)
        self.makes_and_deletes(iam, self.principal, f"AWSServiceRoleForF{self.word}")
        trust = {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{self.account}:root"},
            "Action": "sts:AssumeRole"}]}
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        self.iam.attach_role_policy(RoleName=name, PolicyArn=self.arn)
        session = self.sts.assume_role(RoleArn=role["Role"]["Arn"], RoleSessionName="session")
        self.makes_and_deletes(self.server.client("iam", Keys.of(session["Credentials"])),
                               self.principal, f"AWSServiceRoleForF{self.word}")
        found = self.iam.list_entities_for_policy(PolicyArn=self.arn)
        self.assertEqual(([g["GroupName"] for g in found["PolicyGroups"]],
                          [r["RoleName"] for r in found["PolicyRoles"]], found["PolicyUsers"]),
                         ([name], [name], []))

    def test_feature_24_it_is_shown_as_the_vendors_policies_are_and_edited_by_nobody(self):
        listed = lambda scope: {p["Arn"]: p for page in self.iam.get_paginator(
            "list_policies").paginate(Scope=scope) for p in page["Policies"]}
        self.assertIn(self.arn, listed("AWS"))
        self.assertIn(self.arn, listed("All"))
        self.assertNotIn(self.arn, listed("Local"))
        seen = self.iam.get_policy(PolicyArn=self.arn)["Policy"]
        self.assertEqual((seen["PolicyName"], seen["Path"], seen["DefaultVersionId"],
                          seen["IsAttachable"], seen["AttachmentCount"], seen["Description"]),
                         (self.name, "/", "v1", True, 0, "All of it."))
        self.assertLess(abs(seen["CreateDate"].timestamp() - time.time()), 600)
        version = self.iam.get_policy_version(PolicyArn=self.arn, VersionId="v1")["PolicyVersion"]
        self.assertEqual(version["Document"], self.manifest["policy"][0]["policy"])
        # The manifest that is shown is the one that was given.
        code, out, err = self.server.linkrole("service", "show", self.principal)
        self.assertEqual((code, json.loads(out)["policy"]), (0, self.manifest["policy"]), err)
        code, out, err = self.operator("diff", json.loads(out))
        self.assertEqual((code, json.loads(out)["changed"]), (0, False), err)
        for call, more in (
                (self.iam.create_policy_version, {"PolicyDocument": json.dumps(allow("*"))}),
                (self.iam.set_default_policy_version, {"VersionId": "v1"}),
                (self.iam.delete_policy_version, {"VersionId": "v1"}),
                (self.iam.delete_policy, {})):
            self.refused("AccessDenied", 403, None, call, PolicyArn=self.arn, **more)
        status, answer = self.server.native(self.keys, "/v1/services/update",
                                            {"manifest": self.manifest})
        self.assertEqual(status, 403, answer)

    def test_feature_24_it_changes_with_the_manifest_and_goes_when_it_is_attached_nowhere(self):
        name, iam = self.bare()
        self.iam.attach_user_policy(UserName=name, PolicyArn=self.arn)
        self.refused("AccessDenied", 403, None, iam.list_roles)
        self.manifest["policy"][0]["policy"]["Statement"] += allow("iam:ListRoles")["Statement"]
        code, out, err = self.operator("diff")
        self.assertEqual(code, 0, err)
        told = json.loads(out)
        change = told["policies"][0]
        self.assertEqual((told["changed"], change["name"], change["attached"], told["roles"]),
                         (True, self.name, 1, []))
        self.assertEqual([s["Action"] for s in change["permissions"][0]["added"]],
                         [["iam:ListRoles"]])
        self.refused("AccessDenied", 403, None, iam.list_roles)
        code, _, err = self.operator("update")
        self.assertEqual(code, 0, err)
        iam.list_roles()
        seen = self.iam.get_policy(PolicyArn=self.arn)["Policy"]
        self.assertEqual(seen["DefaultVersionId"], "v2")
        attached = self.iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
        self.assertEqual([p["PolicyArn"] for p in attached], [self.arn])
        status, trail = self.server.native(self.server.admin, "/v1/trail",
                                           {"operation": "UpdateService"})
        self.assertEqual([e["actor"]["kind"] for e in trail["entries"] if any(
            r["resource"] == self.arn for r in e["resources"])], ["Operator"], status)
        # What is attached stays; who holds it is told.
        without = copy.deepcopy(self.manifest)
        del without["policy"]
        one_language = copy.deepcopy(self.manifest)
        del one_language["policy"][0]["policy"]
        for code, _, err in (self.operator("update", without),
                             self.operator("update", one_language),
                             self.server.linkrole("service", "remove", self.principal)):
            self.assertEqual(code, 1)
            self.assertIn(f"user/{name}", err)
        iam.list_roles()
        self.iam.detach_user_policy(UserName=name, PolicyArn=self.arn)
        self.assertEqual(self.operator("update", without)[0], 0)
        self.refused("NoSuchEntity", 404, None, self.iam.get_policy, PolicyArn=self.arn)
        self.assertEqual(self.operator("update")[0], 0)
        self.assertEqual(self.server.linkrole("service", "remove", self.principal)[0], 0)
        self.refused("NoSuchEntity", 404, None, self.iam.attach_user_policy, UserName=name,
                     PolicyArn=self.arn)

    def test_a_name_that_is_taken_is_refused(self):
        other = manifest("h" + secrets.token_hex(3))
        fact = ["AmazonRDSServiceRolePolicy"] if self.server.kind == "dev" else []
        for name in [self.name, self.name.upper(), "AdministratorAccess", "AliyunRAMFullAccess",
                     f"F{self.word}P", other["role"][0]["policy_name"], *fact]:
            other["policy"][0]["name"] = name
            code, _, err = self.operator("register", other)
            self.assertEqual((code, name in err), (1, True), err)
        other["policy"][0]["name"] = "Free" + self.word
        code, _, err = self.operator("register", other)
        self.assertEqual(code, 0, err)

    def test_feature_24_the_example_service_offers_it(self):
        example = built_in("backup.example.com.toml")
        if self.server.kind == "disk":
            self.server.service(example)
        name, iam = self.bare()
        policy = example["policy"][0]["name"]
        self.iam.attach_user_policy(UserName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
        self.makes_and_deletes(iam, example["service"], "AWSServiceRoleForExampleBackup")


class OfferedInRam(AlibabaCase):
    """With the vendor's own clients."""

    def makes_and_deletes(self, keys, principal, role):
        rm = self.sdk("rm", keys)
        made = rm.create_service_linked_role(rm_models.CreateServiceLinkedRoleRequest(
            service_name=principal)).body.role
        self.assertEqual(made.role_name, role)
        task = rm.delete_service_linked_role(rm_models.DeleteServiceLinkedRoleRequest(
            role_name=role)).body.deletion_task_id
        deadline = time.monotonic() + 30
        while True:
            found = rm.get_service_linked_role_deletion_status(
                rm_models.GetServiceLinkedRoleDeletionStatusRequest(deletion_task_id=task)).body
            if found.status in ("SUCCEEDED", "FAILED") or time.monotonic() > deadline:
                break
        self.assertEqual(found.status, "SUCCEEDED")

    def attach(self, policy):
        """A user with nothing but a system policy."""
        name, keys = self.user()
        self.sdk("ram").attach_policy_to_user(ram_models.AttachPolicyToUserRequest(
            policy_type="System", policy_name=policy, user_name=name))
        return name, keys

    def test_feature_24_full_access_is_enough_for_the_services_role(self):
        own = manifest("k" + secrets.token_hex(3))
        self.server.service(own)
        policy = own["policy"][0]["name"]
        listed, marker = [], None
        while True:
            page = self.sdk("ram").list_policies(ram_models.ListPoliciesRequest(
                policy_type="System", marker=marker, max_items=1000)).body
            listed += [p.policy_name for p in page.policies.policy]
            marker = page.marker
            if not page.is_truncated:
                break
        self.assertIn(policy, listed)
        shown = self.sdk("ram").get_policy(ram_models.GetPolicyRequest(
            policy_type="System", policy_name=policy)).body
        self.assertEqual(json.loads(shown.default_policy_version.policy_document),
                         own["policy"][0]["ram_policy"])
        name, keys = self.attach(policy)
        self.makes_and_deletes(keys, own["service"], "AliyunServiceRoleFor" + own["role"][0]["name"])
        self.wrong(403, "NoPermission", None, "ram", "ListUsers", keys)
        _, bare = self.user()
        self.wrong(403, "NoPermission", None, "rm", "CreateServiceLinkedRole", bare,
                   ServiceName=own["service"])
        code, _, err = self.server.linkrole("service", "remove", own["service"])
        self.assertEqual((code, name in err), (1, True), err)
        self.ask("ram", "DetachPolicyFromUser", UserName=name, PolicyType="System",
                 PolicyName=policy)
        code, _, err = self.server.linkrole("service", "remove", own["service"])
        self.assertEqual(code, 0, err)

    def test_feature_24_every_service_of_ours_offers_it(self):
        tried = 0
        for file in sorted(os.listdir(CATALOG)):
            if not file.endswith(".toml"):
                continue
            example = built_in(file)
            if self.server.kind == "disk":
                self.server.must("/v1/services/register", {"manifest": example})
            [policy] = [p["name"] for p in example["policy"] if p["name"].endswith("FullAccess")]
            _, keys = self.attach(policy)
            for role in example["role"]:
                principal = role.get("principal", example["service"])
                self.makes_and_deletes(keys, principal, "AliyunServiceRoleFor" + role["name"])
                tried += 1
        self.assertEqual(tried, 10)


if __name__ == "__main__":
    unittest.main()
