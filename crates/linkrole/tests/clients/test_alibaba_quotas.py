"""Every quota of RAM is reached by what a tenant can do, and each tells its own code."""

import http.client
import json
import secrets
import unittest
import urllib.parse

from alibaba import AlibabaCase, VERSIONS, allow, signed


class Quotas(AlibabaCase):
    def many(self, action, parameters):
        """Calls that must all succeed, over one connection."""
        host = self.server.endpoint.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        for more in parameters:
            values = signed(self.admin, action, VERSIONS["ram"], **more)
            connection.request("POST", "/?" + urllib.parse.urlencode(values))
            answer = connection.getresponse()
            text = answer.read()
            self.assertEqual(answer.status, 200, text)
        connection.close()

    def count(self, what):
        return f"The count of {what} beyond the current limits."

    def test_keys_policies_and_versions(self):
        name, _ = self.user()
        self.keys_for(self.admin, name)
        self.wrong(409, "LimitExceeded.User.AccessKey", self.count("user access keys"), "ram",
                   "CreateAccessKey", UserName=name)
        policies = [f"q{secrets.token_hex(4)}" for _ in range(11)]
        document = json.dumps(allow("x:y"))
        self.many("CreatePolicy", [{"PolicyName": policy, "PolicyDocument": document}
                                   for policy in policies])
        self.ask("ram", "CreateGroup", GroupName=name)
        self.ask("ram", "CreateRole", RoleName=name, AssumeRolePolicyDocument=self.trust())
        for kind in ("User", "Group", "Role"):
            with self.subTest(kind):
                holder = {f"{kind}Name": name, "PolicyType": "Custom"}
                self.many(f"AttachPolicyTo{kind}", [
                    {**holder, "PolicyName": policy} for policy in policies[:10]])
                self.wrong(409, f"LimitExceeded.{kind}.Policy",
                           self.count(f"{kind.lower()} policies"), "ram",
                           f"AttachPolicyTo{kind}", **holder, PolicyName=policies[10])
                # Those of the system count by themselves.
                self.ask("ram", f"AttachPolicyTo{kind}", **{f"{kind}Name": name},
                         PolicyType="System", PolicyName="AliyunRAMReadOnlyAccess")
        self.many("CreatePolicyVersion", [
            {"PolicyName": policies[0], "PolicyDocument": document}] * 4)
        self.wrong(409, "LimitExceeded.Policy.Version", self.count("policy versions"), "ram",
                   "CreatePolicyVersion", PolicyName=policies[0], PolicyDocument=document)

    def test_groups(self):
        name, _ = self.user()
        there = len(self.ask("ram", "ListGroups", MaxItems="1000")["Groups"]["Group"])
        groups = [f"{name}-{number}" for number in range(300 - there)]
        self.many("CreateGroup", [{"GroupName": group} for group in groups])
        self.wrong(409, "LimitExceeded.Group", self.count("groups"), "ram", "CreateGroup",
                   GroupName=name)
        self.many("AddUserToGroup", [{"GroupName": group, "UserName": name}
                                     for group in groups[:10]])
        self.wrong(409, "LimitExceeded.User.Group", self.count("user groups"), "ram",
                   "AddUserToGroup", GroupName=groups[10], UserName=name)
        self.many("DeleteGroup", [{"GroupName": group} for group in groups[10:]])

    def test_policies(self):
        word = secrets.token_hex(3)
        there = len(self.ask("ram", "ListPolicies", PolicyType="Custom",
                             MaxItems="1000")["Policies"]["Policy"])
        document = json.dumps(allow("x:y"))
        policies = [f"{word}-{number}" for number in range(1500 - there)]
        self.many("CreatePolicy", [{"PolicyName": policy, "PolicyDocument": document}
                                   for policy in policies])
        self.wrong(409, "LimitExceeded.Policy", self.count("policies"), "ram", "CreatePolicy",
                   PolicyName=word, PolicyDocument=document)
        self.many("DeletePolicy", [{"PolicyName": policy} for policy in policies])

    def test_users(self):
        word = secrets.token_hex(3)
        there, marker = 0, None
        while True:
            page = self.ask("ram", "ListUsers", MaxItems="1000", Marker=marker)
            there += len(page["Users"]["User"])
            marker = page.get("Marker")
            if not marker:
                break
        users = [f"{word}-{number}" for number in range(5000 - there)]
        self.many("CreateUser", [{"UserName": user} for user in users])
        self.wrong(409, "LimitExceeded.User", self.count("users"), "ram", "CreateUser",
                   UserName=word)
        self.many("DeleteUser", [{"UserName": user} for user in users])


if __name__ == "__main__":
    unittest.main()
