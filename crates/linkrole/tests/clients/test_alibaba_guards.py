"""Every operation of Alibaba Cloud's wire for every kind of caller: a guard that holds in one dialect holds here."""

import json
import os
import re
import secrets
import unittest

from alibaba import AlibabaCase, VERSIONS, allow, unseen
from harness import Keys

REFERENCE = os.path.join(os.path.dirname(__file__), "../../../../docs/reference/alibaba.md")
# Actions that several operations share, and operations whose action has another name.
ACTIONS = {
    ("rm", "AttachPolicy"): "ram:AttachPolicyToUser",
    ("rm", "DetachPolicy"): "ram:DetachPolicyFromUser",
    ("trail", "LookupEvents"): "actiontrail:LookupEvents",
    ("sts", "AssumeRole"): "sts:AssumeRole",
}


def operations():
    """What the reference lists, which a test holds to what is routed."""
    names = {version: product for product, version in VERSIONS.items()}
    with open(REFERENCE) as text:
        rows = re.findall(r"^\| \w+ \| ([0-9-]{10}) \| (.*) \|$", text.read(), re.M)
    return [(names[version], action) for version, list_ in rows
            for action in re.findall("`([A-Za-z]+)`", list_)]


class Guards(AlibabaCase):
    def setUp(self):
        self.manifest = unseen()
        self.service = self.server.service(self.manifest)

    def sample(self, product, action):
        """Things of their own for one call, and its parameters."""
        word = "g" + secrets.token_hex(4)
        name = {"UserPrincipalName": f"{word}@{self.home}.onaliyun.com"} if product == "ims" else {
            "UserName": word}
        trust = json.dumps({"Version": "1", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"RAM": [f"acs:ram::{self.home}:root"]}}]})
        document = json.dumps(allow("x:y"))
        policy = {"PolicyType": "Custom", "PolicyName": word}
        created = {"SetAccountAlias": {"AccountAlias": word}, "CreateUser": name, "CreateGroup": {"GroupName": word},
                   "CreatePolicy": {"PolicyName": word, "PolicyDocument": document},
                   "CreateRole": {"RoleName": word, "AssumeRolePolicyDocument": trust},
                   "CreateServiceLinkedRole": {"ServiceName": self.manifest["service"],
                                               "CustomSuffix": word}}
        if action in created:
            return created[action]
        if action in ("ListUsers", "ListRoles", "ListPolicies", "ListGroups", "GetCallerIdentity",
                      "LookupEvents", "ListOIDCProviders", "AssumeRoleWithOIDC",
                      "ListPolicyAttachments", "GetAccountAlias", "ClearAccountAlias"):
            return {}
        if action == "GetServiceLinkedRoleTemplate":
            return {"ServiceName": self.manifest["service"]}
        if "ServiceLinkedRole" in action:
            role = self.ask("rm", "CreateServiceLinkedRole",
                            **created["CreateServiceLinkedRole"])["Role"]["RoleName"]
            if action == "DeleteServiceLinkedRole":
                return {"RoleName": role}
            return self.ask("rm", "DeleteServiceLinkedRole", RoleName=role) | {"RoleName": None}
        self.ask("ram", "CreateUser", UserName=word)
        self.ask("ram", "CreateRole", **created["CreateRole"])
        self.ask("ram", "CreatePolicy", **created["CreatePolicy"])
        principal = {"PrincipalType": "IMSUser", "ResourceGroupId": self.home,
                     "PrincipalName": f"{word}@{self.home}.onaliyun.com"}
        if action in ("AttachPolicy", "AttachPolicyToUser", "AttachPolicyToRole"):
            holder = {"AttachPolicy": principal, "AttachPolicyToUser": {"UserName": word},
                      "AttachPolicyToRole": {"RoleName": word}}[action]
            return {**policy, **holder}
        if action == "DecodeDiagnosticMessage":
            _, bare = self.user()
            denied = self.wrong(403, "NoPermission", None, "ram", "ListUsers", bare)
            detail = denied["AccessDeniedDetail"]
            return {"EncodedDiagnosticMessage": detail["EncodedDiagnosticMessage"]}
        if "OIDCProvider" in action:
            given = {"OIDCProviderName": word, "IssuerUrl": f"https://{word}.example.com",
                     "ClientId": "c", "Fingerprint": "0" * 40}
            if action != "CreateOIDCProvider":
                self.ask("ims", "CreateOIDCProvider", **given)
            return given
        if action in ("TagResources", "UntagResources", "ListTagResources"):
            named = {"ResourceType": "user", "ResourcePrincipalName.1": name.get(
                "UserPrincipalName"), "TagKey.1": "a"} if product == "ims" else {
                "ResourceType": "role", "ResourceNames": json.dumps([word]), "TagKeys": '["a"]'}
            return {**named, "Tag.1.Key": "a", "Tag.1.Value": "b"} if product == "ims" else {
                **named, "Tag": '[{"Key": "a", "Value": "b"}]'}
        if "Group" in action:
            self.ask("ram", "CreateGroup", GroupName=word)
            if action in ("RemoveUserFromGroup", "ListGroupsForUser"):
                self.ask("ram", "AddUserToGroup", GroupName=word, UserName=word)
            if action == "DetachPolicyFromGroup":
                self.ask("ram", "AttachPolicyToGroup", GroupName=word, **policy)
            return {**policy, "GroupName": word, "UserName": word, "NewComments": "other"}
        if action in ("DetachPolicy", "DetachPolicyFromUser"):
            self.ask("ram", "AttachPolicyToUser", UserName=word, **policy)
            return {**policy, **(principal if action == "DetachPolicy" else {"UserName": word})}
        if action == "DetachPolicyFromRole":
            self.ask("ram", "AttachPolicyToRole", RoleName=word, **policy)
            return {**policy, "RoleName": word}
        if action == "AssumeRole":
            return {"RoleArn": self.arn(word), "RoleSessionName": "s1"}
        if "AccessKey" in action:
            if action in ("CreateAccessKey", "ListAccessKeys"):
                return name
            key = self.keys_for(self.admin, word).key
            return {**name, "UserAccessKeyId": key, "Status": "Inactive"}
        if action in ("SetDefaultPolicyVersion", "DeletePolicyVersion", "GetPolicyVersion"):
            self.ask("ram", "CreatePolicyVersion", PolicyName=word, PolicyDocument=document)
            return {**policy, "VersionId": "v2"}
        if action == "CreatePolicyVersion":
            return {**policy, "PolicyDocument": document}
        if "Policy" in action or action == "ListEntitiesForPolicy":
            if action.startswith("ListPoliciesFor"):
                return {"RoleName": word, "UserName": word}
            return {**policy, "NewDescription": "other"}
        if action.endswith("Role"):
            return {"RoleName": word, "NewDescription": "other"}
        return {**name, "NewComments": "other"}

    def session_of(self, keys, role):
        made = self.ask_as(keys, "sts", "AssumeRole", RoleArn=self.arn(role),
                           RoleSessionName="s1")["Credentials"]
        return Keys(made["AccessKeyId"], made["AccessKeySecret"], made["SecurityToken"])

    def test_atk_f34_atk_d07_what_is_guarded_is_guarded_on_every_interface(self):
        all_operations = operations()
        self.assertGreater(len(all_operations), 70)
        _, bare = self.user()
        _, wide = self.user(allow("*"))
        session = self.session_of(self.admin, self.role())
        linked_role = self.ask("rm", "CreateServiceLinkedRole",
                               ServiceName=self.manifest["service"])["Role"]["RoleName"]
        linked = self.session_of(self.service, linked_role)
        name, asleep = self.user(allow("*"))
        self.ask("ram", "UpdateAccessKey", UserName=name, UserAccessKeyId=asleep.key,
                 Status="Inactive")
        other = Keys(*(self.server.must("/v1/accounts/create", {"dialect": "alibaba"})[name]
                       for name in ("access_key_id", "secret_access_key")))
        for product, action in all_operations:
            given = self.sample(product, action)
            place = f"{product} {action}"
            with self.subTest(place):
                if action == "AssumeRoleWithOIDC":
                    continue  # no signature, no policy: test_alibaba_oidc
                if (product, action) == ("sts", "GetCallerIdentity"):
                    for keys in (bare, session, linked, self.service):
                        self.ask_as(keys, product, action)
                    continue
                # Nobody may by nature: not a user or session without policies, not a service, nor
                # its session of a role of its own.
                for keys in (bare, session, linked, self.service):
                    self.wrong(403, "NoPermission", None, product, action, keys, **given)
                self.wrong(400, "InvalidAccessKeyId.Inactive", None, product, action, asleep,
                           **given)
                # Root of another account does all of it in its own account, and nothing in this.
                status, answer = self.raw(other, product, action, **given)
                if status == 200:
                    self.assertNotIn(self.home, json.dumps(answer), place)
                named = ACTIONS.get((product, action), "ram:" + action)
                _, others = self.user({"Version": "1", "Statement": [
                    {"Effect": "Allow", "Action": "*", "Resource": "*"},
                    {"Effect": "Deny", "Action": named, "Resource": "*"}]})
                self.wrong(403, "NoPermission", None, product, action, others, **given)
                _, only = self.user(allow(named))
                status, answer = self.raw(only, product, action, **given)
                self.assertEqual(status, 200, (place, answer))
                # All was possible for who may do everything: the refusals were the guard's.
                again = self.sample(product, action)
                status, answer = self.raw(wide, product, action, **again)
                self.assertEqual(status, 200, (place, answer))

    def test_atk_a17_nothing_is_done_for_who_does_not_sign(self):
        for product, action in operations():
            if action == "AssumeRoleWithOIDC":
                continue  # asked without a signature: test_alibaba_oidc
            query = f"Action={action}&Version={VERSIONS[product]}&RoleName=x&UserName=x"
            status, _, text = self.send("POST", query)
            self.assertEqual((status, json.loads(text)["Code"]), (400, "MissingAccessKeyId"))


if __name__ == "__main__":
    unittest.main()
