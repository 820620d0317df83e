"""Every other operation over boto3, with the vendor's shapes, codes and texts."""

import json
import secrets
import unittest

from harness import Case, Keys, allow

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


def trust(principal):
    return json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}]})


class Operations(Case):
    def setUp(self):
        self.word = secrets.token_hex(4)

    def name(self, kind):
        return f"{kind}-{self.word}"

    def role(self, **more):
        name = self.name("role")
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(self.account), **more)
        return name

    def policy(self, document=None):
        made = self.iam.create_policy(PolicyName=self.name("policy"),
                                      PolicyDocument=json.dumps(document or allow("s3:Get*")))
        return made["Policy"]["Arn"]

    def test_roles(self):
        name = self.name("role")
        boundary = self.policy()
        made = self.iam.create_role(
            RoleName=name, Path="/app/", AssumeRolePolicyDocument=trust(self.account),
            Description="d", MaxSessionDuration=7200, PermissionsBoundary=boundary,
            Tags=[{"Key": "a", "Value": "b"}])["Role"]
        self.assertEqual(made["Arn"], f"arn:aws:iam::{self.account}:role/app/{name}")
        self.assertNotIn("Description", made)
        self.assertEqual(made["Tags"], [{"Key": "a", "Value": "b"}])
        self.assertEqual(made["PermissionsBoundary"]["PermissionsBoundaryType"], "Policy")
        seen = self.iam.get_role(RoleName=name.upper())["Role"]
        self.assertEqual((seen["Description"], seen["MaxSessionDuration"]), ("d", 7200))
        self.assertEqual(seen["AssumeRolePolicyDocument"], json.loads(trust(self.account)))
        self.refused("EntityAlreadyExists", 409, f"Role with name {name.upper()} already exists.",
                     self.iam.create_role, RoleName=name.upper(),
                     AssumeRolePolicyDocument=trust(self.account))
        self.iam.update_role(RoleName=name, MaxSessionDuration=3600)
        self.assertEqual(self.iam.get_role(RoleName=name)["Role"]["Description"], "d")
        self.iam.update_assume_role_policy(
            RoleName=name, PolicyDocument=trust(f"arn:aws:iam::{self.account}:root"))
        self.iam.delete_role_permissions_boundary(RoleName=name)
        self.assertNotIn("PermissionsBoundary", self.iam.get_role(RoleName=name)["Role"])
        self.iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
        listed = self.iam.list_roles(PathPrefix="/app/")["Roles"]
        mine = [r for r in listed if r["RoleName"] == name]
        self.assertEqual(len(mine), 1)
        self.assertNotIn("Tags", mine[0])
        self.assertEqual(self.iam.list_instance_profiles_for_role(RoleName=name)[
            "InstanceProfiles"], [])
        self.refused("NoSuchEntity", 404, "Instance Profile i cannot be found.",
                     self.iam.add_role_to_instance_profile, RoleName=name, InstanceProfileName="i")
        self.iam.delete_role(RoleName=name)
        self.refused("NoSuchEntity", 404, f"The role with name {name} cannot be found.",
                     self.iam.delete_role, RoleName=name)

    def test_role_policies(self):
        name, policy = self.role(), self.policy()
        document = json.dumps(allow("s3:*"))
        self.iam.put_role_policy(RoleName=name, PolicyName="one", PolicyDocument=document)
        got = self.iam.get_role_policy(RoleName=name, PolicyName="one")
        self.assertEqual(got["PolicyDocument"], allow("s3:*"))
        self.assertEqual(self.iam.list_role_policies(RoleName=name)["PolicyNames"], ["one"])
        self.refused("NoSuchEntity", 404, "The role policy with name two cannot be found.",
                     self.iam.get_role_policy, RoleName=name, PolicyName="two")
        self.iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        self.iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        attached = self.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        self.assertEqual([p["PolicyArn"] for p in attached], [policy])
        entities = self.iam.list_entities_for_policy(PolicyArn=policy)
        self.assertEqual([r["RoleName"] for r in entities["PolicyRoles"]], [name])
        self.assertEqual(self.iam.get_policy(PolicyArn=policy)["Policy"]["AttachmentCount"], 1)
        missing = f"arn:aws:iam::{self.account}:policy/nothing"
        self.refused("NoSuchEntity", 404,
                     f"Policy {missing} does not exist or is not attachable.",
                     self.iam.attach_role_policy, RoleName=name, PolicyArn=missing)
        self.refused("NoSuchEntity", 404, f"Policy {missing} was not found.",
                     self.iam.detach_role_policy, RoleName=name, PolicyArn=missing)
        self.refused("DeleteConflict", 409, "Cannot delete entity, must detach all policies first.",
                     self.iam.delete_role, RoleName=name)
        self.refused("DeleteConflict", 409, "Cannot delete a policy attached to entities.",
                     self.iam.delete_policy, PolicyArn=policy)
        self.iam.detach_role_policy(RoleName=name, PolicyArn=policy)
        self.refused("DeleteConflict", 409, "Cannot delete entity, must delete policies first.",
                     self.iam.delete_role, RoleName=name)
        self.iam.delete_role_policy(RoleName=name, PolicyName="one")
        self.iam.delete_role(RoleName=name)
        self.refused("MalformedPolicyDocument", 400, "This policy contains invalid Json",
                     self.iam.put_role_policy, RoleName=self.role(), PolicyName="one",
                     PolicyDocument="{")

    def test_users_and_keys(self):
        name = self.name("user")
        made = self.iam.create_user(UserName=name, Path="/p/",
                                    Tags=[{"Key": "k", "Value": "v"}])["User"]
        self.assertEqual(made["Arn"], f"arn:aws:iam::{self.account}:user/p/{name}")
        self.assertEqual(self.iam.get_user(UserName=name)["User"]["UserId"], made["UserId"])
        self.assertIn(name, [u["UserName"] for u in self.iam.list_users(
            PathPrefix="/p/")["Users"]])
        self.iam.update_user(UserName=name, NewUserName=name + "2", NewPath="/q/")
        name += "2"
        self.assertEqual(self.iam.get_user(UserName=name)["User"]["UserId"], made["UserId"])
        self.iam.put_user_policy(UserName=name, PolicyName="p",
                                 PolicyDocument=json.dumps(allow("iam:GetUser")))
        self.assertEqual(self.iam.get_user_policy(UserName=name, PolicyName="p")[
            "PolicyDocument"], allow("iam:GetUser"))
        self.assertEqual(self.iam.list_user_policies(UserName=name)["PolicyNames"], ["p"])
        self.iam.attach_user_policy(UserName=name, PolicyArn=ADMIN)
        self.assertEqual(len(self.iam.list_attached_user_policies(UserName=name)[
            "AttachedPolicies"]), 1)
        self.iam.detach_user_policy(UserName=name, PolicyArn=ADMIN)
        keys = Keys.of(self.iam.create_access_key(UserName=name)["AccessKey"])
        user = self.server.client("iam", keys)
        self.assertEqual(user.get_user()["User"]["UserName"], name)
        self.assertEqual(self.sts.get_access_key_info(AccessKeyId=keys.key)["Account"],
                         self.account)
        self.iam.create_access_key(UserName=name)
        self.refused("LimitExceeded", 409, "Cannot exceed quota for AccessKeysPerUser: 2",
                     self.iam.create_access_key, UserName=name)
        listed = self.iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
        self.assertEqual(len(listed), 2)
        used = self.until(lambda: self.iam.get_access_key_last_used(AccessKeyId=keys.key),
                          lambda found: found["AccessKeyLastUsed"]["ServiceName"] == "iam")
        self.assertEqual(used["UserName"], name)
        self.iam.update_access_key(UserName=name, AccessKeyId=keys.key, Status="Inactive")
        self.refused("InvalidClientTokenId", 403,
                     "The security token included in the request is invalid.", user.get_user)
        self.iam.update_access_key(UserName=name, AccessKeyId=keys.key, Status="Active")
        user.get_user()
        self.refused("DeleteConflict", 409, None, self.iam.delete_user, UserName=name)
        for key in listed:
            self.iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        self.refused("InvalidClientTokenId", 403, None, user.get_user)
        self.iam.delete_user_policy(UserName=name, PolicyName="p")
        self.iam.delete_user(UserName=name)
        self.refused("NoSuchEntity", 404, f"The user with name {name} cannot be found.",
                     self.iam.get_user, UserName=name)

    def test_account_aliases(self):
        iam = self.iam
        first, second = ("a" + secrets.token_hex(4) for _ in range(2))
        self.assertEqual(iam.list_account_aliases()["AccountAliases"], [])
        iam.create_account_alias(AccountAlias=first)
        iam.create_account_alias(AccountAlias=second)
        self.assertEqual(iam.list_account_aliases()["AccountAliases"], [second])
        made = self.server.must("/v1/accounts/create", {})
        other = self.server.client("iam", Keys(made["access_key_id"], made["secret_access_key"]))
        self.refused("EntityAlreadyExists", 409, f"The account alias {second} already exists.",
                     other.create_account_alias, AccountAlias=second)
        other.create_account_alias(AccountAlias=first)
        self.refused("NoSuchEntity", 404, None, iam.delete_account_alias, AccountAlias=first)
        self.refused("ValidationError", 400, None, iam.create_account_alias, AccountAlias="a--b")
        iam.delete_account_alias(AccountAlias=second)
        self.assertEqual(iam.list_account_aliases()["AccountAliases"], [])
        other.create_account_alias(AccountAlias=second)

    def test_tags(self):
        iam = self.iam
        trust = json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": self.account}}]})
        self.server.user("tagged")
        policy = iam.create_policy(PolicyName="Tagged", PolicyDocument=json.dumps(allow("x:Y")),
                                   Tags=[{"Key": "a", "Value": "1"}])["Policy"]["Arn"]
        iam.create_role(RoleName="Tagged", AssumeRolePolicyDocument=trust,
                        Tags=[{"Key": "a", "Value": "1"}])
        iam.tag_user(UserName="tagged", Tags=[{"Key": "a", "Value": "1"}])
        for kind, name in (("user", {"UserName": "TAGGED"}), ("role", {"RoleName": "tagged"}),
                           ("policy", {"PolicyArn": policy})):
            with self.subTest(kind):
                call = lambda verb, **more: getattr(iam, verb.replace("#", kind))(**name, **more)
                call("tag_#", Tags=[{"Key": "A", "Value": "2"}, {"Key": "größe", "Value": ""}])
                self.assertEqual(call("list_#_tags")["Tags"], [
                    {"Key": "A", "Value": "2"}, {"Key": "größe", "Value": ""}])
                first = call("list_#_tags", MaxItems=1)
                self.assertEqual((first["IsTruncated"], len(first["Tags"])), (True, 1))
                rest = call("list_#_tags", Marker=first["Marker"])
                self.assertEqual([tag["Key"] for tag in rest["Tags"]], ["größe"])
                self.refused("LimitExceeded", 409, None, getattr(iam, f"tag_{kind}"), **name,
                             Tags=[{"Key": f"k{n}", "Value": ""} for n in range(49)])
                call("untag_#", TagKeys=["a", "not-there"])
                self.assertEqual([tag["Key"] for tag in call("list_#_tags")["Tags"]], ["größe"])
        self.refused("NoSuchEntity", 404, None, iam.list_user_tags, UserName="nobody")
        self.refused("AccessDenied", 403, None, iam.tag_policy, Tags=[{"Key": "a", "Value": ""}],
                     PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")

    def test_groups(self):
        iam = self.iam
        keys = self.server.user("grouped")
        made = iam.create_group(GroupName="Crew", Path="/team/")["Group"]
        self.assertEqual(made["Arn"], f"arn:aws:iam::{self.account}:group/team/Crew")
        self.assertRegex(made["GroupId"], "^AGPA[A-Z2-7]{17}$")
        self.refused("EntityAlreadyExists", 409, "Group with name CREW already exists.",
                     iam.create_group, GroupName="CREW")
        mine = self.server.client("iam", keys)
        self.refused("AccessDenied", 403, None, mine.list_users)
        iam.add_user_to_group(GroupName="Crew", UserName="grouped")
        iam.add_user_to_group(GroupName="Crew", UserName="grouped")
        policy = "arn:aws:iam::aws:policy/IAMReadOnlyAccess"
        iam.attach_group_policy(GroupName="Crew", PolicyArn=policy)
        iam.attach_group_policy(GroupName="Crew", PolicyArn=policy)
        self.assertTrue(mine.list_users()["Users"])
        found = iam.get_group(GroupName="crew")
        self.assertEqual([u["UserName"] for u in found["Users"]], ["grouped"])
        self.assertEqual(found["Group"], made)
        self.assertEqual(iam.list_groups(PathPrefix="/team/")["Groups"], [made])
        self.assertEqual(iam.list_groups(PathPrefix="/other/")["Groups"], [])
        self.assertEqual(iam.list_groups_for_user(UserName="grouped")["Groups"], [made])
        self.assertEqual(iam.list_attached_group_policies(GroupName="Crew")["AttachedPolicies"],
                         [{"PolicyName": "IAMReadOnlyAccess", "PolicyArn": policy}])
        entities = iam.list_entities_for_policy(PolicyArn=policy, EntityFilter="Group")
        self.assertEqual([g["GroupName"] for g in entities["PolicyGroups"]], ["Crew"])
        self.assertEqual((entities["PolicyUsers"], entities["PolicyRoles"]), ([], []))
        document = allow("iam:GetUser")
        iam.put_group_policy(GroupName="Crew", PolicyName="own",
                             PolicyDocument=json.dumps(document))
        self.assertEqual(iam.list_group_policies(GroupName="Crew")["PolicyNames"], ["own"])
        own = iam.get_group_policy(GroupName="Crew", PolicyName="own")
        self.assertEqual((own["GroupName"], own["PolicyDocument"]), ("Crew", document))
        iam.update_group(GroupName="Crew", NewGroupName="Staff", NewPath="/")
        self.refused("NoSuchEntity", 404, "The group with name Crew cannot be found.",
                     iam.get_group, GroupName="Crew")
        text = "Cannot delete entity, must remove users from group first."
        self.refused("DeleteConflict", 409, text, iam.delete_group, GroupName="Staff")
        iam.remove_user_from_group(GroupName="Staff", UserName="grouped")
        self.refused("AccessDenied", 403, None, mine.list_users)
        text = "Cannot delete entity, must detach all policies first."
        self.refused("DeleteConflict", 409, text, iam.delete_group, GroupName="Staff")
        iam.detach_group_policy(GroupName="Staff", PolicyArn=policy)
        text = "Cannot delete entity, must delete policies first."
        self.refused("DeleteConflict", 409, text, iam.delete_group, GroupName="Staff")
        iam.delete_group_policy(GroupName="Staff", PolicyName="own")
        iam.delete_group(GroupName="Staff")

    def test_policies(self):
        arn = self.policy()
        self.refused("EntityAlreadyExists", 409,
                     f"A policy called {self.name('policy')} already exists. Duplicate names are "
                     "not allowed.", self.policy)
        for n in range(2, 6):
            made = self.iam.create_policy_version(
                PolicyArn=arn, PolicyDocument=json.dumps(allow(f"s3:Get{n}")),
                SetAsDefault=n == 3)["PolicyVersion"]
            self.assertEqual(made["VersionId"], f"v{n}")
        self.refused("LimitExceeded", 409, None, self.iam.create_policy_version, PolicyArn=arn,
                     PolicyDocument=json.dumps(allow("s3:Get9")))
        versions = self.iam.list_policy_versions(PolicyArn=arn)["Versions"]
        self.assertEqual([v["VersionId"] for v in versions], ["v5", "v4", "v3", "v2", "v1"])
        self.assertEqual([v["VersionId"] for v in versions if v["IsDefaultVersion"]], ["v3"])
        got = self.iam.get_policy_version(PolicyArn=arn, VersionId="v4")["PolicyVersion"]
        self.assertEqual(got["Document"], allow("s3:Get4"))
        self.refused("DeleteConflict", 409, "Cannot delete the default version of a policy.",
                     self.iam.delete_policy_version, PolicyArn=arn, VersionId="v3")
        self.iam.set_default_policy_version(PolicyArn=arn, VersionId="v5")
        self.refused("DeleteConflict", 409, None, self.iam.delete_policy, PolicyArn=arn)
        for n in (1, 2, 3, 4):
            self.iam.delete_policy_version(PolicyArn=arn, VersionId=f"v{n}")
        local = self.iam.list_policies(Scope="Local")["Policies"]
        self.assertIn(arn, [p["Arn"] for p in local])
        aws = self.iam.list_policies(Scope="AWS")["Policies"]
        self.assertIn(ADMIN, [p["Arn"] for p in aws])
        self.iam.delete_policy(PolicyArn=arn)
        self.refused("NoSuchEntity", 404, f"Policy {arn} was not found.", self.iam.get_policy,
                     PolicyArn=arn)
        self.refused("ValidationError", 400, "Invalid ARN:  Could not be parsed!",
                     self.iam.get_policy, PolicyArn="not-an-arn-of-any-kind")
        old = {**allow("s3:*"), "Version": "2008-10-17"}
        self.refused("MalformedPolicyDocument", 400,
                     "Policy document must be version 2012-10-17 or greater.",
                     self.iam.create_policy, PolicyName="old", PolicyDocument=json.dumps(old))

    def test_assume_role(self):
        user = self.name("user")
        keys = self.server.user(user)
        arn = f"arn:aws:iam::{self.account}:user/{user}"
        name = self.name("role")
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(arn))["Role"]
        sts = self.server.client("sts", keys)
        got = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="work", DurationSeconds=900)
        self.assertEqual(got["AssumedRoleUser"]["AssumedRoleId"], role["RoleId"] + ":work")
        session = Keys.of(got["Credentials"])
        who = self.server.client("sts", session).get_caller_identity()
        self.assertEqual(who["UserId"], role["RoleId"] + ":work")
        denied = (f"User: {self.sts.get_caller_identity()['Arn']} is not authorized to perform: "
                  f"sts:AssumeRole on resource: {role['Arn']}")
        self.refused("AccessDenied", 403, denied, self.sts.assume_role, RoleArn=role["Arn"],
                     RoleSessionName="work")
        self.refused("ValidationError", 400,
                     "The requested DurationSeconds exceeds the MaxSessionDuration set for this "
                     "role.", sts.assume_role, RoleArn=role["Arn"], RoleSessionName="work",
                     DurationSeconds=7200)
        self.refused("ValidationError", 400, "nonsense-that-is-no-arn is invalid",
                     sts.assume_role, RoleArn="nonsense-that-is-no-arn", RoleSessionName="work")
        self.refused("AccessDenied", 403, "Cannot call GetSessionToken with session credentials",
                     self.server.client("sts", session).get_session_token)
        token = Keys.of(sts.get_session_token(DurationSeconds=900)["Credentials"])
        self.assertEqual(self.server.client("sts", token).get_caller_identity()["Arn"], arn)
        limited = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="work",
                                  Policy=json.dumps(allow("iam:ListUsers")))
        self.assertIn("PackedPolicySize", limited)
        self.iam.attach_role_policy(RoleName=name, PolicyArn=ADMIN)
        narrow = self.server.client("iam", Keys.of(limited["Credentials"]))
        narrow.list_users()
        message = self.refused("AccessDenied", 403, None, narrow.list_roles)
        self.assertIn("because no session policy allows the iam:ListRoles action", message)
        # The principal made again under its name is another one.
        self.iam.delete_access_key(UserName=user, AccessKeyId=keys.key)
        self.iam.delete_user(UserName=user)
        shown = self.iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        self.assertRegex(shown["Statement"][0]["Principal"]["AWS"], "^AIDA")
        again = self.server.client("sts", self.server.user(user))
        self.refused("AccessDenied", 403, None, again.assume_role, RoleArn=role["Arn"],
                     RoleSessionName="work")
        self.iam.detach_role_policy(RoleName=name, PolicyArn=ADMIN)
        self.iam.delete_role(RoleName=name)
        self.refused("InvalidClientTokenId", 403, None,
                     self.server.client("sts", session).get_caller_identity)

    def test_listings_page_and_markers_hold(self):
        for n in range(5):
            self.iam.create_user(UserName=f"page-{self.word}-{n}", Path=f"/{self.word}/")
        names, marker = [], {}
        while True:
            page = self.iam.list_users(PathPrefix=f"/{self.word}/", MaxItems=2, **marker)
            names += [u["UserName"] for u in page["Users"]]
            if not page["IsTruncated"]:
                break
            marker = {"Marker": page["Marker"]}
        self.assertEqual(names, [f"page-{self.word}-{n}" for n in range(5)])
        self.refused("ValidationError", 400, "Invalid Marker.", self.iam.list_roles, **marker)
        self.refused("ValidationError", 400, "Invalid Marker.", self.iam.list_users,
                     PathPrefix="/", **marker)
        forged = marker["Marker"][:-2] + "AA"
        self.refused("ValidationError", 400, "Invalid Marker.", self.iam.list_users,
                     PathPrefix=f"/{self.word}/", Marker=forged)

    def test_validation_texts(self):
        self.refused("ValidationError", 400,
                     "1 validation error detected: Value 'a b' at 'roleName' failed to satisfy "
                     "constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]+",
                     self.iam.get_role, RoleName="a b")
        self.refused("ValidationError", 400,
                     "1 validation error detected: Value null at 'roleName' failed to satisfy "
                     "constraint: Member must not be null", self.iam.get_role)
        self.refused("ValidationError", 400,
                     "1 validation error detected: Value '1001' at 'maxItems' failed to satisfy "
                     "constraint: Member must have value less than or equal to 1000",
                     self.iam.list_roles, MaxItems=1001)

    def test_what_is_not_there_says_so(self):
        message = self.refused("NotImplemented", 501, None, self.iam.create_login_profile,
                               UserName="u", Password="p")
        self.assertIn("CreateLoginProfile", message)

    def test_explanations_of_denials(self):
        name = self.name("user")
        user = self.server.client("iam", self.server.user(name))
        arn = f"arn:aws:iam::{self.account}:user/{name}"
        self.refused("AccessDenied", 403,
                     f"User: {arn} is not authorized to perform: iam:GetRole on resource: "
                     f"arn:aws:iam::{self.account}:role/nobody because no identity-based policy "
                     "allows the iam:GetRole action", user.get_role, RoleName="nobody")
        deny = allow("iam:*")
        deny["Statement"].append({"Effect": "Deny", "Action": "iam:GetRole", "Resource": "*"})
        self.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(deny))
        message = self.refused("AccessDenied", 403, None, user.get_role, RoleName="nobody")
        self.assertTrue(message.endswith("with an explicit deny in an identity-based policy"),
                        message)
        user.list_roles()


class Quotas(Case):
    def test_feature_17_linked_roles_count_and_are_never_blocked(self):
        made = self.server.must("/v1/accounts/create", {"role_quota": 2})
        iam = self.server.client("iam", Keys(made["access_key_id"], made["secret_access_key"]))
        manifest = {
            "service": f"q{secrets.token_hex(3)}.example.com", "display_name": "Q",
            "regions": ["r1"], "role": [{
                "name": "Q" + secrets.token_hex(3), "policy_name": "Q" + secrets.token_hex(3),
                "suffix": "optional", "policy": allow("s3:*")}]}
        self.server.service(manifest)
        document = trust(made["account"])
        iam.create_role(RoleName="one", AssumeRolePolicyDocument=document)
        iam.create_service_linked_role(AWSServiceName=manifest["service"])
        self.refused("LimitExceeded", 409, "Cannot exceed quota for RolesPerAccount: 2",
                     iam.create_role, RoleName="two", AssumeRolePolicyDocument=document)
        for suffix in "abc":
            iam.create_service_linked_role(AWSServiceName=manifest["service"],
                                           CustomSuffix=suffix)
        self.assertEqual(len(iam.list_roles()["Roles"]), 5)


class Samples(Case):
    """The sample policies of the vendor's page allow exactly what they should. Feature 21-23."""

    def setUp(self):
        word = secrets.token_hex(4)
        self.manifest = {
            "service": f"{word}.example.com", "display_name": "S", "regions": ["r1"],
            "role": [{"name": f"Sample{word}", "policy_name": f"Sample{word}Policy",
                      "suffix": "optional", "policy": allow("s3:*")}]}
        self.server.service(self.manifest)
        other = json.loads(json.dumps(self.manifest))
        other["service"] = f"other-{word}.example.com"
        other["role"][0].update(name=f"Other{word}", policy_name=f"Other{word}Policy")
        self.server.service(other)
        self.mine, self.other = self.manifest["service"], other["service"]
        self.my_role = f"AWSServiceRoleForSample{word}"
        self.other_role = f"AWSServiceRoleForOther{word}"
        self.word = word

    def one(self, *actions):
        prefix = f"arn:aws:iam::*:role/aws-service-role/{self.mine}/{self.my_role}*"
        return allow(*actions, resource=prefix,
                     condition={"StringLike": {"iam:AWSServiceName": self.mine}})

    def any(self, *actions):
        return allow(*actions, resource="arn:aws:iam::*:role/aws-service-role/*")

    def user(self, policy):
        name = "sample" + secrets.token_hex(4)
        return self.server.client("iam", self.server.user(name, policy))

    def denied(self, call, **kwargs):
        self.refused("AccessDenied", 403, None, call, **kwargs)

    def test_create_one(self):
        policy = self.one("iam:CreateServiceLinkedRole")
        policy["Statement"].append({
            "Effect": "Allow", "Action": ["iam:AttachRolePolicy", "iam:PutRolePolicy"],
            "Resource": policy["Statement"][0]["Resource"]})
        user = self.user(policy)
        self.denied(user.create_service_linked_role, AWSServiceName=self.other)
        user.create_service_linked_role(AWSServiceName=self.mine)
        user.create_service_linked_role(AWSServiceName=self.mine, CustomSuffix="x")
        self.denied(user.delete_service_linked_role, RoleName=self.my_role)
        self.denied(user.update_role_description, RoleName=self.my_role, Description="d")
        self.denied(user.get_role, RoleName=self.my_role)
        # The second statement reaches the role, and the role is protected all the same.
        self.refused("UnmodifiableEntity", 400, None, user.put_role_policy,
                     RoleName=self.my_role, PolicyName="p",
                     PolicyDocument=json.dumps(allow("*")))

    def test_create_any(self):
        user = self.user(self.any("iam:CreateServiceLinkedRole"))
        for service in (self.mine, self.other):
            user.create_service_linked_role(AWSServiceName=service)
        self.denied(user.create_role, RoleName="plain" + self.word,
                    AssumeRolePolicyDocument=trust(self.account))

    def test_edit_description(self):
        for service in (self.mine, self.other):
            self.iam.create_service_linked_role(AWSServiceName=service)
        user = self.user(self.one("iam:UpdateRoleDescription"))
        user.update_role_description(RoleName=self.my_role, Description="d")
        self.denied(user.update_role_description, RoleName=self.other_role, Description="d")
        self.denied(user.delete_service_linked_role, RoleName=self.my_role)
        user = self.user(self.any("iam:UpdateRoleDescription"))
        user.update_role_description(RoleName=self.other_role, Description="d")

    def test_delete(self):
        for service in (self.mine, self.other):
            self.iam.create_service_linked_role(AWSServiceName=service)
        user = self.user(self.one("iam:DeleteServiceLinkedRole",
                                  "iam:GetServiceLinkedRoleDeletionStatus"))
        self.denied(user.delete_service_linked_role, RoleName=self.other_role)
        task = user.delete_service_linked_role(RoleName=self.my_role)["DeletionTaskId"]
        self.assertEqual(self.server.wait_deleted(user, task)["Status"], "SUCCEEDED")
        other = self.iam.delete_service_linked_role(RoleName=self.other_role)["DeletionTaskId"]
        self.denied(user.get_service_linked_role_deletion_status, DeletionTaskId=other)
        user = self.user(self.any("iam:DeleteServiceLinkedRole",
                                  "iam:GetServiceLinkedRoleDeletionStatus"))
        self.assertEqual(self.server.wait_deleted(user, other)["Status"], "SUCCEEDED")

    def test_service_role_instead(self):
        name = "pass" + self.word
        arn = f"arn:aws:iam::{self.account}:role/{name}"
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(self.account))
        policy = allow("iam:ListRoles")
        policy["Statement"].append({"Effect": "Allow", "Action": "iam:PassRole", "Resource": arn})
        taker = {"service": f"taker-{self.word}.example.com", "display_name": "T",
                 "signing_names": [f"taker-{self.word}"], "hosts": ["taker.test"],
                 "usage": "sessions"}
        taker_keys = self.server.service(taker)
        user = "passer" + self.word
        keys = self.server.user(user, policy)
        self.server.client("iam", keys).list_roles()
        self.denied(self.server.client("iam", keys).list_users)
        self.iam.create_service_linked_role(AWSServiceName=self.mine)
        linked = (f"arn:aws:iam::{self.account}:role/aws-service-role/{self.mine}/"
                  f"{self.my_role}")
        forwarded = self.server.forwarded(keys, taker["signing_names"][0], "taker.test")
        for role, who, allowed in ((arn, forwarded, True), (arn + "x", forwarded, False)):
            status, answer = self.server.native(taker_keys, "/v1/authorize", {
                "forwarded": who, "action": "iam:PassRole", "resource": role,
                "context": {"iam:PassedToService": taker["service"]}})
            self.assertEqual((status, answer["allowed"]), (200, allowed), answer)
        # An SLR is passed by nobody, not even by who may do everything.
        admin = self.server.forwarded(self.server.admin, taker["signing_names"][0], "taker.test")
        status, answer = self.server.native(taker_keys, "/v1/authorize", {
            "forwarded": admin, "action": "iam:PassRole", "resource": linked})
        self.assertEqual((status, answer["allowed"]), (200, False), answer)


if __name__ == "__main__":
    unittest.main()
