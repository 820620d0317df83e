"""Alibaba Cloud's wire: the vendor's unmodified clients, every code it can answer, and replays."""

import json
import os
import secrets
import time
import tomllib
import unittest
import urllib.parse

from alibabacloud_actiontrail20200706 import models as trail_models
from alibabacloud_ims20190815 import models as ims_models
from alibabacloud_ram20150501 import models as ram_models
from alibabacloud_resourcemanager20200331 import models as rm_models
from alibabacloud_sts20150401 import models as sts_models
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest
from aliyunsdkram.request.v20150501 import GetRoleRequest
from aliyunsdkresourcemanager.request.v20200331 import CreateServiceLinkedRoleRequest
from aliyunsdksts.request.v20150401 import AssumeRoleRequest
from Tea.exceptions import TeaException

from alibaba import AlibabaCase, VERSIONS, allow, signed, unseen
from harness import Keys


class NewClients(AlibabaCase):
    """The runtime of version 3."""

    def test_users_and_keys(self):
        ram, ims = self.sdk("ram"), self.sdk("ims")
        name = "a." + secrets.token_hex(4)
        made = ram.create_user(ram_models.CreateUserRequest(
            user_name=name, display_name="张三 +/~*'()!", comments="a b")).body.user
        self.assertEqual(made.display_name, "张三 +/~*'()!")
        self.assertRegex(made.user_id, "^[0-9]{18}$")
        named = f"{name}@{self.home}.onaliyun.com"
        seen = ims.get_user(ims_models.GetUserRequest(user_principal_name=named)).body.user
        self.assertEqual((seen.user_id, seen.user_principal_name), (made.user_id, named))
        key = ims.create_access_key(
            ims_models.CreateAccessKeyRequest(user_principal_name=named)).body.access_key
        self.assertTrue(key.access_key_id.startswith("LTAI"))
        mine = Keys(key.access_key_id, key.access_key_secret)
        me = self.sdk("sts", mine).get_caller_identity().body
        self.assertEqual((me.identity_type, me.user_id, me.arn),
                         ("RAMUser", made.user_id, f"acs:ram::{self.home}:user/{name}"))
        listed = ram.list_access_keys(ram_models.ListAccessKeysRequest(user_name=name)).body
        self.assertEqual([k.access_key_id for k in listed.access_keys.access_key], [mine.key])
        ram.update_user(ram_models.UpdateUserRequest(user_name=name, new_display_name="Li"))
        self.assertEqual(ram.get_user(ram_models.GetUserRequest(user_name=name))
                         .body.user.display_name, "Li")
        ram.delete_access_key(ram_models.DeleteAccessKeyRequest(
            user_name=name, user_access_key_id=mine.key))
        ram.delete_user(ram_models.DeleteUserRequest(user_name=name))

    def test_pages_by_marker_and_by_number(self):
        for _ in range(3):
            self.role()
        ram, manager = self.sdk("ram"), self.sdk("rm")
        names, marker = [], None
        while True:
            page = ram.list_roles(ram_models.ListRolesRequest(max_items=2, marker=marker)).body
            names += [role.role_name for role in page.roles.role]
            if not page.is_truncated:
                break
            marker = page.marker
        numbered, number = [], 1
        while True:
            page = manager.list_roles(rm_models.ListRolesRequest(
                page_number=number, page_size=2, language="en")).body
            numbered += [role.role_name for role in page.roles.role]
            self.assertEqual(page.total_count, len(names))
            if len(numbered) >= page.total_count:
                break
            number += 1
        self.assertEqual(names, numbered)
        self.assertEqual(len(set(names)), len(names))

    def test_policies_and_their_versions(self):
        ram = self.sdk("ram")
        name = "p-" + secrets.token_hex(4)
        document = json.dumps(allow("ecs:Describe*"))
        ram.create_policy(ram_models.CreatePolicyRequest(
            policy_name=name, policy_document=document, description="d"))
        for number in range(2, 8):
            made = ram.create_policy_version(ram_models.CreatePolicyVersionRequest(
                policy_name=name, policy_document=json.dumps(allow(f"ecs:Act{number}")),
                set_as_default=number == 3,
                rotate_strategy="DeleteOldestNonDefaultVersionWhenLimitExceeded")).body
            self.assertEqual(made.policy_version.version_id, f"v{number}")
        versions = ram.list_policy_versions(ram_models.ListPolicyVersionsRequest(
            policy_type="Custom", policy_name=name)).body.policy_versions.policy_version
        self.assertEqual(sorted(v.version_id for v in versions), ["v3", "v4", "v5", "v6", "v7"])
        found = ram.get_policy(ram_models.GetPolicyRequest(
            policy_type="Custom", policy_name=name)).body
        self.assertEqual(found.default_policy_version.version_id, "v3")
        self.assertEqual(json.loads(found.default_policy_version.policy_document),
                         allow("ecs:Act3"))
        user, _ = self.user()
        ram.attach_policy_to_user(ram_models.AttachPolicyToUserRequest(
            policy_type="Custom", policy_name=name, user_name=user))
        entities = ram.list_entities_for_policy(ram_models.ListEntitiesForPolicyRequest(
            policy_type="Custom", policy_name=name)).body
        self.assertEqual([u.user_name for u in entities.users.user], [user])
        with self.assertRaises(TeaException) as caught:
            ram.delete_policy(ram_models.DeletePolicyRequest(policy_name=name))
        self.assertEqual(caught.exception.code, "DeleteConflict.Policy.User")
        ram.delete_policy(ram_models.DeletePolicyRequest(policy_name=name, cascading_delete=True))
        left = ram.list_policies_for_user(ram_models.ListPoliciesForUserRequest(user_name=user))
        self.assertEqual(left.body.policies.policy, [])

    def test_groups(self):
        ram = self.sdk("ram")
        user, keys = self.user()
        name = "g-" + secrets.token_hex(4)
        made = ram.create_group(ram_models.CreateGroupRequest(
            group_name=name, comments="组")).body.group
        self.assertEqual((made.group_name, made.comments), (name, "组"))
        ram.add_user_to_group(ram_models.AddUserToGroupRequest(group_name=name, user_name=user))
        ram.attach_policy_to_group(ram_models.AttachPolicyToGroupRequest(
            policy_type="System", policy_name="AliyunRAMReadOnlyAccess", group_name=name))
        self.ask_as(keys, "ram", "ListUsers")
        listed = ram.list_users_for_group(ram_models.ListUsersForGroupRequest(group_name=name))
        self.assertEqual([u.user_name for u in listed.body.users.user], [user])
        mine = ram.list_groups_for_user(ram_models.ListGroupsForUserRequest(user_name=user))
        self.assertEqual([g.group_name for g in mine.body.groups.group], [name])
        self.assertTrue(mine.body.groups.group[0].join_date)
        entities = ram.list_entities_for_policy(ram_models.ListEntitiesForPolicyRequest(
            policy_type="System", policy_name="AliyunRAMReadOnlyAccess")).body
        self.assertIn(name, [g.group_name for g in entities.groups.group])
        ram.update_group(ram_models.UpdateGroupRequest(
            group_name=name, new_group_name=name + "-2", new_comments="b"))
        name += "-2"
        found = ram.get_group(ram_models.GetGroupRequest(group_name=name.upper())).body.group
        self.assertEqual((found.group_name, found.comments), (name, "b"))
        system = {"PolicyType": "System", "PolicyName": "AliyunRAMReadOnlyAccess"}
        here, there = {"GroupName": name}, {"GroupName": "no-such-group"}
        for status, code, text, action, more in (
                (409, "EntityAlreadyExists.Group", "The group does already EXIST.", "CreateGroup",
                 here),
                (409, "EntityAlreadyExists.User.Group", "The user has already joined the group.",
                 "AddUserToGroup", {**here, "UserName": user}),
                (409, "EntityAlreadyExists.Group.Policy",
                 "The group has already been attached this policy.", "AttachPolicyToGroup",
                 {**here, **system}),
                (409, "DeleteConflict.Group.User",
                 "The group CAN NOT has any user member while deleting the group.", "DeleteGroup",
                 here),
                (409, "DeleteConflict.User.AccessKey", None, "DeleteUser", {"UserName": user}),
                (404, "EntityNotExist.Group", "The group does not exist.", "GetGroup", there),
                (404, "EntityNotExist.Group.Policy", "The group policy does not exist.",
                 "DetachPolicyFromGroup", {**here, "PolicyType": "System",
                                           "PolicyName": "AliyunRAMFullAccess"})):
            with self.subTest(code=code):
                self.wrong(status, code, text, "ram", action, **more)
        self.ask("ram", "DeleteAccessKey", UserName=user, UserAccessKeyId=keys.key)
        self.wrong(409, "DeleteConflict.User.Group", None, "ram", "DeleteUser", UserName=user)
        self.ask("ram", "RemoveUserFromGroup", **here, UserName=user)
        self.wrong(404, "EntityNotExist.User.Group", "The user has not joined the group.", "ram",
                   "RemoveUserFromGroup", **here, UserName=user)
        self.wrong(409, "DeleteConflict.Group.Policy",
                   "The entity CAN NOT has any attached policy while deleting the group.", "ram",
                   "DeleteGroup", **here)
        policy = "p" + secrets.token_hex(4)
        self.ask("ram", "CreatePolicy", PolicyName=policy, PolicyDocument=json.dumps(allow("x:y")))
        own = {"PolicyType": "Custom", "PolicyName": policy}
        self.ask("ram", "AttachPolicyToGroup", **here, **own)
        self.wrong(409, "DeleteConflict.Policy.Group",
                   "The policy CAN NOT been attached to any group while deleting the policy.",
                   "ram", "DeletePolicy", PolicyName=policy)
        for more in (own, system):
            self.ask("ram", "DetachPolicyFromGroup", **here, **more)
        self.ask("ram", "DeleteGroup", **here)
        self.ask("ram", "DeleteUser", UserName=user)

    def test_errors_reach_the_client(self):
        with self.assertRaises(TeaException) as caught:
            self.sdk("ram").get_role(ram_models.GetRoleRequest(role_name="nobody"))
        error = caught.exception
        self.assertEqual((error.code, error.statusCode), ("EntityNotExist.Role", 404))
        _, keys = self.user()
        with self.assertRaises(TeaException) as caught:
            self.sdk("ram", keys).list_users(ram_models.ListUsersRequest())
        error = caught.exception
        self.assertEqual((error.code, error.statusCode), ("NoPermission", 403))
        detail = error.data["AccessDeniedDetail"]
        self.assertEqual(detail["AuthAction"], "ram:ListUsers")
        self.assertEqual(detail["AuthPrincipalType"], "SubUser")
        self.assertEqual(detail["AuthPrincipalOwnerId"], self.home)
        self.assertEqual(detail["NoPermissionType"], "ImplicitDeny")
        wrong = Keys(keys.key, keys.secret + "x")
        with self.assertRaises(TeaException) as caught:
            self.sdk("sts", wrong).get_caller_identity()
        self.assertEqual(caught.exception.code, "SignatureDoesNotMatch")


class OldClients(AlibabaCase):
    """The runtime of version 1."""

    def old(self, keys=None):
        keys = keys or self.admin
        return AcsClient(keys.key, keys.secret, "cn-hangzhou", auto_retry=False)

    def pointed(self, request):
        request.set_endpoint(self.server.endpoint.removeprefix("http://"))
        request.set_protocol_type("http")
        return request

    def test_typed_requests(self):
        role = self.role()
        request = GetRoleRequest.GetRoleRequest()
        request.set_RoleName(role)
        found = json.loads(self.old().do_action_with_exception(self.pointed(request)))["Role"]
        self.assertEqual((found["RoleName"], found["Arn"]), (role, self.arn(role)))
        request = AssumeRoleRequest.AssumeRoleRequest()
        request.set_RoleArn(self.arn(role))
        request.set_RoleSessionName("s1")
        found = json.loads(self.old().do_action_with_exception(self.pointed(request)))
        self.assertTrue(found["Credentials"]["AccessKeyId"].startswith("STS."))

    def test_common_requests_by_get(self):
        request = CommonRequest()
        request.set_method("GET")
        request.set_version(VERSIONS["sts"])
        request.set_action_name("GetCallerIdentity")
        request.set_domain(self.server.endpoint.removeprefix("http://"))
        request.set_protocol_type("http")
        found = json.loads(self.old().do_action_with_exception(request))
        self.assertEqual(found["AccountId"], self.home)

    def test_a_wrong_secret_is_told_from_a_wrong_text(self):
        request = CreateServiceLinkedRoleRequest.CreateServiceLinkedRoleRequest()
        request.set_ServiceName("backup.example.com")
        keys = Keys(self.admin.key, "wrong")
        with self.assertRaises(ServerException) as caught:
            self.old(keys).do_action_with_exception(self.pointed(request))
        self.assertEqual(caught.exception.get_error_code(), "InvalidAccessKeySecret")

    def test_forms_and_xml(self):
        role = self.role()
        values = signed(self.admin, "GetRole", VERSIONS["ram"], RoleName=role, Format="XML")
        form = {"content-type": "application/x-www-form-urlencoded"}
        status, kind, text = self.send("POST", "", urllib.parse.urlencode(values), form)
        self.assertEqual((status, kind), (200, "text/xml;charset=utf-8"))
        self.assertIn("<GetRoleResponse>", text)
        self.assertIn(f"<RoleName>{role}</RoleName>", text)
        values = signed(self.admin, "GetRole", VERSIONS["ram"], RoleName="nobody", Format="XML")
        business = {"RoleName": values.pop("RoleName")}
        status, kind, text = self.send("POST", urllib.parse.urlencode(values),
                                       urllib.parse.urlencode(business), form)
        self.assertEqual((status, kind), (404, "text/xml;charset=utf-8"))
        self.assertIn("<Code>EntityNotExist.Role</Code>", text)
        self.assertTrue(text.endswith("</Error>"), text)


class LinkedRoles(AlibabaCase):
    """Service-linked roles over the resource manager and RAM."""

    def setUp(self):
        self.manifest = unseen()
        self.principal = self.manifest["service"]
        self.name = "AliyunServiceRoleFor" + self.manifest["role"][0]["name"]
        self.keys = self.server.service(self.manifest)

    def create(self, product="rm", **more):
        return self.ask(product, "CreateServiceLinkedRole", ServiceName=self.principal,
                        **more)["Role"]

    def delete(self, name=None):
        made = self.ask("rm", "DeleteServiceLinkedRole", RoleName=name or self.name)
        return made["DeletionTaskId"]

    def test_feature_01_02_11_15_created_as_the_vendor_shows_it(self):
        manager = self.sdk("rm")
        role = manager.create_service_linked_role(rm_models.CreateServiceLinkedRoleRequest(
            service_name=self.principal)).body.role
        self.assertEqual(role.role_name, self.name)
        self.assertEqual(role.arn, self.arn(self.name))
        self.assertTrue(role.is_service_linked_role)
        self.assertEqual(role.description, self.manifest["role"][0]["description"])
        self.assertEqual(role.role_principal_name,
                         f"{self.name}@role.{self.home}.onaliyunservice.com")
        self.assertEqual(role.assume_role_policy_document, json.dumps({
            "Statement": [{"Action": "sts:AssumeRole", "Effect": "Allow",
                           "Principal": {"Service": [self.principal]}}],
            "Version": "1"}, separators=(",", ":")))
        found = self.ask("ram", "GetRole", RoleName=self.name.lower())["Role"]
        self.assertEqual((found["RoleName"], found["MaxSessionDuration"]), (self.name, 3600))
        policies = self.ask("ram", "ListPoliciesForRole", RoleName=self.name)["Policies"]["Policy"]
        policy = self.manifest["role"][0]["policy_name"]
        self.assertEqual([(p["PolicyName"], p["PolicyType"]) for p in policies],
                         [(policy, "System")])
        text = self.ask("ram", "GetPolicy", PolicyType="System", PolicyName=policy)
        self.assertEqual(json.loads(text["DefaultPolicyVersion"]["PolicyDocument"]),
                         self.manifest["role"][0]["ram_policy"])

    def test_feature_14_25_suffixes_and_templates(self):
        shown = self.ask("ram", "GetServiceLinkedRoleTemplate", ServiceName=self.principal)
        template = shown["ServiceLinkedRoleTemplate"]
        self.assertEqual((template["RoleNamePrefix"], template["MultipleRolesAllowed"]),
                         (self.name, True))
        made = self.create("ram", CustomSuffix="b.c", Description="mine 自己的")
        self.assertEqual(made["RoleName"], self.name + "_b.c")
        self.assertEqual(made["Description"], "mine 自己的")
        ask = ("CreateServiceLinkedRole",)
        given = {"ServiceName": self.principal}
        self.wrong(409, "EntityAlreadyExists.Role", "The role already exists.", "rm", *ask,
                   **given, CustomSuffix="b.c")
        self.wrong(400, "InvalidParameter.CustomSuffix.InvalidChars",
                   "The parameter CustomSuffix contains invalid characters.", "rm", *ask,
                   **given, CustomSuffix="a/b")
        self.wrong(400, "InvalidParameter.CustomSuffix.Length",
                   "The maximum length of the parameter CustomSuffix is exceeded.", "rm", *ask,
                   **given, CustomSuffix="x" * 60)
        self.wrong(400, "InvalidParameter.Description.Length",
                   "The maximum length of the description is exceeded. "
                   "It must not exceed 1024 characters.", "rm", *ask, **given,
                   Description="x" * 1025)
        other = unseen("refused")
        self.server.service(other)
        given = {"ServiceName": other["service"]}
        self.wrong(400, "InvalidParameter.CustomSuffix.NotAllowed",
                   "Custom suffix is not allowed for this Service Linked Role.", "rm", *ask,
                   **given, CustomSuffix="b")
        self.wrong(400, "InvalidParameter.Description.NotAllowed",
                   "Custom description is not allowed for default service linked role.", "rm",
                   *ask, **given, Description="b")
        for name in (self.principal.upper(), "nobody.example.com", "x"):
            self.wrong(404, "EntityNotExist.Service", "The service does not exist.", "rm", *ask,
                       ServiceName=name)
        self.wrong(400, "MissingServiceName", "ServiceName is mandatory for this action.", "ram",
                   "GetServiceLinkedRoleTemplate")

    def test_a_service_is_offered_where_it_has_a_policy(self):
        only = unseen()
        role = only["role"][0]
        del role["ram_policy"]
        role["policy"] = {"Version": "2012-10-17", "Statement": []}
        role["policy"]["Statement"] = [{"Effect": "Allow", "Action": "x:Y", "Resource": "*"}]
        self.server.service(only)
        self.wrong(404, "EntityNotExist.Service", "The service does not exist.", "rm",
                   "CreateServiceLinkedRole", ServiceName=only["service"])

    def test_feature_03_05_06_protected(self):
        self.create()
        before = self.ask("ram", "GetRole", RoleName=self.name)["Role"]
        code = "NoPermission.ServiceLinkedRole"
        trust = json.dumps({"Version": "1", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"RAM": [f"acs:ram::{self.home}:root"]}}]})
        system = {"PolicyType": "System", "PolicyName": "AdministratorAccess"}
        principal = {"PrincipalType": "ServiceRole", "ResourceGroupId": self.home,
                     "PrincipalName": f"{self.name}@role.{self.home}.onaliyunservice.com"}
        for keys in filter(None, (self.admin, self.root)):
            for product, action, more in (
                    ("ram", "AttachPolicyToRole", {**system, "RoleName": self.name}),
                    ("ram", "DetachPolicyFromRole", {**system, "RoleName": self.name}),
                    ("rm", "AttachPolicy", {**system, **principal}),
                    ("rm", "DetachPolicy", {**system, **principal}),
                    ("ram", "UpdateRole", {"RoleName": self.name,
                                           "NewAssumeRolePolicyDocument": trust}),
                    ("rm", "UpdateRole", {"RoleName": self.name,
                                          "NewMaxSessionDuration": "7200"}),
                    ("ram", "DeleteRole", {"RoleName": self.name}),
                    ("rm", "DeleteRole", {"RoleName": self.name.lower()})):
                self.wrong(403, code, None, product, action, keys, **more)
        self.assertEqual(self.ask("ram", "GetRole", RoleName=self.name)["Role"], before)
        plain = self.role()
        self.wrong(403, code, None, "ram", "AttachPolicyToRole", RoleName=plain,
                   PolicyType="System", PolicyName=self.manifest["role"][0]["policy_name"])
        self.wrong(403, code, None, "ram", "CreateRole", RoleName="aliyunserviceroleformine",
                   AssumeRolePolicyDocument=trust)
        _, keys = self.user(allow("*"))
        for keys in (keys, self.admin):
            self.wrong(403, "NoPermission", None, "sts", "AssumeRole", keys,
                       RoleArn=self.arn(self.name), RoleSessionName="mine")

    def test_feature_19_21_22_23_who_may_create_and_delete(self):
        action = ("ram:CreateServiceLinkedRole", "ram:DeleteServiceLinkedRole")
        named = {"StringEquals": {"ram:ServiceName": self.principal}}
        _, one = self.user(allow(*action, condition=named))
        _, wide = self.user(allow("ram:CreateRole", "ram:DeleteRole"))
        pattern = f"acs:ram:*:{self.home}:role/*"
        _, placed = self.user(allow(*action, resource=pattern, condition={
            "StringLike": {"ram:ServiceName": ["*.other.test", "*.unseen.test"]}}))
        given = {"ServiceName": self.principal}
        denied = self.wrong(403, "NoPermission", "You are not authorized to do this action.", "rm",
                            "CreateServiceLinkedRole", wide, **given)
        self.assertEqual(denied["AccessDeniedDetail"]["AuthAction"],
                         "ram:CreateServiceLinkedRole")
        self.wrong(403, "NoPermission", None, "rm", "CreateServiceLinkedRole", one,
                   ServiceName="backup.example.com")
        for keys in (one, placed):
            self.ask_as(keys, "rm", "CreateServiceLinkedRole", **given)
            self.wrong(403, "NoPermission", None, "rm", "DeleteServiceLinkedRole", wide,
                       RoleName=self.name)
            task = self.ask_as(keys, "ram", "DeleteServiceLinkedRole", RoleName=self.name)
            self.assertEqual(self.wait(task["DeletionTaskId"])["Status"], "SUCCEEDED")

    def test_feature_35_36_37_41_deletion(self):
        self.create()
        role = {"account": self.home, "role": self.name}
        for region, name in (("cn-hangzhou", "acs:u::1:thing/a"), ("cn-beijing", "acs:u::1:thing/b")):
            status, answer = self.server.native(self.keys, "/v1/usage/register", {
                **role, "region": region, "resource": name})
            self.assertEqual(status, 200, answer)
        task = self.delete()
        self.assertRegex(task, f"^task/acs-service-role/{self.principal}/{self.name}/[0-9a-f-]{{36}}$")
        ended = self.wait(task)
        self.assertEqual(ended["Status"], "FAILED")
        self.assertEqual(ended["Reason"]["Message"],
                         f"{self.arn(self.name)} cannot be deleted as it is in use by {self.principal}")
        usages = {u["Region"]: u["Resources"]["Resource"]
                  for u in ended["Reason"]["RoleUsages"]["RoleUsage"]}
        self.assertEqual(usages, {"cn-hangzhou": ["acs:u::1:thing/a"],
                                  "cn-beijing": ["acs:u::1:thing/b"]})
        found = self.sdk("rm").get_role(rm_models.GetRoleRequest(role_name=self.name)).body.role
        self.assertEqual(found.latest_deletion_task.deletion_task_id, task)
        for region, name in (("cn-hangzhou", "acs:u::1:thing/a"), ("cn-beijing", "acs:u::1:thing/b")):
            self.server.native(self.keys, "/v1/usage/deregister", {
                **role, "region": region, "resource": name})
        again = self.delete()
        self.assertNotEqual(again, task)
        self.assertEqual(self.wait(again)["Status"], "SUCCEEDED")
        self.assertNotIn("Reason", self.wait(again))
        self.wrong(404, "EntityNotExist.Role", "The role does not exist.", "rm",
                   "DeleteServiceLinkedRole", RoleName=self.name)
        plain = self.role()
        self.wrong(404, "EntityNotExist.ServiceLinkedRole",
                   "This role exists but is not a Service Linked Role.", "rm",
                   "DeleteServiceLinkedRole", RoleName=plain)
        status = "GetServiceLinkedRoleDeletionStatus"
        self.wrong(400, "InvalidParameter.DeletionTaskId", "The DeletionTaskId is invalid.", "rm",
                   status, DeletionTaskId="task/aws-service-role/x/y/" + "0" * 36)
        self.wrong(400, "InvalidParameter.DeletionTaskId.Length", None, "rm", status,
                   DeletionTaskId="task/short")
        self.wrong(404, "EntityNotExist.ServiceLinkedRole.DeletionTask",
                   "The deletion task for the given ID does not exist.", "ram", status,
                   DeletionTaskId=again[:-36] + "00000000-0000-4000-8000-000000000000")

    def test_feature_07_08_45_46_the_service_acts_and_the_trail_tells(self):
        self.create()
        session = "tag_" + secrets.token_hex(3)
        made = self.ask_as(self.keys, "sts", "AssumeRole", RoleArn=self.arn(self.name),
                           RoleSessionName=session)
        mine = Keys(made["Credentials"]["AccessKeyId"], made["Credentials"]["AccessKeySecret"],
                    made["Credentials"]["SecurityToken"])
        me = self.sdk("sts", mine).get_caller_identity().body
        self.assertEqual((me.identity_type, me.arn),
                         ("AssumedRoleUser", f"{self.arn(self.name)}/{session}"))
        self.wrong(403, "NoPermission", None, "ram", "ListUsers", mine)
        trail = self.sdk("trail")

        def look(key, value, **more):
            return trail.lookup_events(trail_models.LookupEventsRequest(
                lookup_attribute=[trail_models.LookupEventsRequestLookupAttribute(
                    key=key, value=value)], max_results="50", **more)).body.events

        creation = look("ResourceName", self.name.lower())
        found = [e for e in creation if e["eventName"] == "CreateServiceLinkedRole"]
        self.assertEqual(len(found), 1)
        event = found[0]
        self.assertEqual((event["serviceName"], event["apiVersion"], event["eventRW"]),
                         ("ResourceManager", "2020-03-31", "Write"))
        self.assertEqual(event["requestParameters"]["ServiceName"], self.principal)
        self.assertEqual(event["userIdentity"]["userName"], "admin")
        assumed = [e for e in creation if e["eventName"] == "AssumeRole"]
        self.assertEqual(len(assumed), 1)
        identity = assumed[0]["userIdentity"]
        self.assertEqual((identity["principalId"], identity["userName"], identity["type"]),
                         (self.principal, self.principal, "system"))
        self.assertEqual(assumed[0]["requestParameters"]["RoleArn"], self.arn(self.name))
        self.assertEqual(assumed[0]["requestParameters"]["RoleSessionName"], session)
        self.assertNotIn(made["Credentials"]["SecurityToken"], json.dumps(creation))
        self.assertNotIn(made["Credentials"]["AccessKeySecret"], json.dumps(creation))
        acted = look("User", self.name)
        # Who it is it may ask, and that is a read that is not kept.
        self.assertEqual([e["eventName"] for e in acted], ["ListUsers"])
        denied = [e for e in acted if e["eventName"] == "ListUsers"][0]
        self.assertEqual(denied["errorCode"], "NoPermission")
        self.assertEqual(denied["userIdentity"]["userName"], f"{self.name}:{session}")
        self.assertEqual(denied["requestParameters"]["stsTokenPrincipalName"],
                         f"{self.name}/{session}")
        first = look("User", self.name, direction="FORWARD")
        self.assertEqual([e["eventId"] for e in first], [e["eventId"] for e in acted][::-1])


class Catalogue(AlibabaCase):
    """The services of the vendor's pages."""

    folder = os.path.join(os.path.dirname(__file__), "../../../../catalog")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.manifests = []
        for name in sorted(os.listdir(cls.folder)):
            if name.endswith(".aliyuncs.com.toml"):
                with open(os.path.join(cls.folder, name), "rb") as text:
                    cls.manifests.append(tomllib.load(text))
        if cls.server.kind == "disk":
            for manifest in cls.manifests:
                cls.server.must("/v1/services/register", {"manifest": manifest})

    def make(self, keys, principal):
        return self.ask_as(keys, "rm", "CreateServiceLinkedRole", ServiceName=principal)["Role"]

    def remove(self, role):
        task = self.ask("rm", "DeleteServiceLinkedRole", RoleName=role["RoleName"])
        self.assertEqual(self.wait(task["DeletionTaskId"])["Status"], "SUCCEEDED")

    def test_feature_10_11_every_role_has_the_vendors_names(self):
        expected = {
            "config.aliyuncs.com": "Config",
            "keystore.kms.aliyuncs.com": "KMSKeyStore",
            "secretsmanager-ecs.kms.aliyuncs.com": "KMSSecretsManagerForECS",
            "secretsmanager-rds.kms.aliyuncs.com": "KMSSecretsManagerForRDS",
            "secretsmanager-redis.kms.aliyuncs.com": "KMSSecretsManagerForRedis",
            "mssp.aliyuncs.com": "Mssp",
            "esa.mssp.aliyuncs.com": "ESAMssp",
            "resourcemanager.aliyuncs.com": "ResourceDirectory",
            "tag.aliyuncs.com": "Tag",
        }
        for principal, word in expected.items():
            with self.subTest(principal):
                role = self.make(self.admin, principal)
                self.assertEqual(role["RoleName"], "AliyunServiceRoleFor" + word)
                trust = json.loads(role["AssumeRolePolicyDocument"])["Statement"][0]["Principal"]
                self.assertEqual(trust, {"Service": [principal]})
                policies = self.ask("ram", "ListPoliciesForRole", RoleName=role["RoleName"])
                name = policies["Policies"]["Policy"][0]["PolicyName"]
                self.assertEqual(name, "AliyunServiceRolePolicyFor" + word)
                text = self.ask("ram", "GetPolicy", PolicyType="System", PolicyName=name)
                own = json.loads(text["Policy"]["PolicyDocument"])["Statement"][-1]
                self.assertEqual(own["Condition"],
                                 {"StringEquals": {"ram:ServiceName": principal}})
                self.remove(role)

    def test_feature_22_23_24_the_pages_own_policies(self):
        ask = "ram:CreateServiceLinkedRole"
        one = {"StringEquals": {"ram:ServiceName": "resourcemanager.aliyuncs.com"}}
        _, manager = self.user(allow(ask, condition=one))
        four = [f"{word}.kms.aliyuncs.com" for word in (
            "keystore", "secretsmanager-ecs", "secretsmanager-rds", "secretsmanager-redis")]
        _, keeper = self.user(allow(ask, condition={"StringEquals": {"ram:ServiceName": four}}))
        full, with_system = self.user()
        self.ask("ram", "AttachPolicyToUser", UserName=full, PolicyType="System",
                 PolicyName="AliyunKMSFullAccess")
        self.remove(self.make(manager, "resourcemanager.aliyuncs.com"))
        for principal in four:
            self.wrong(403, "NoPermission", None, "rm", "CreateServiceLinkedRole", manager,
                       ServiceName=principal)
            for keys in (keeper, with_system):
                self.remove(self.make(keys, principal))
        for keys in (keeper, with_system):
            self.wrong(403, "NoPermission", None, "rm", "CreateServiceLinkedRole", keys,
                       ServiceName="resourcemanager.aliyuncs.com")


class Roles(AlibabaCase):
    """Ordinary roles: both sides must allow."""

    def test_caller_and_trust_must_both_allow(self):
        _, may = self.user(allow("sts:AssumeRole"))
        name, _ = self.user()
        _, may_not = self.user(allow("ecs:*"))
        role = self.role()
        given = {"RoleArn": self.arn(role), "RoleSessionName": "s1"}
        self.ask_as(may, "sts", "AssumeRole", **given)
        text = "You are not authorized to do this action. You should be authorized by RAM."
        self.wrong(403, "NoPermission", text, "sts", "AssumeRole", may_not, **given)
        closed = self.role({"RAM": [f"acs:ram::{self.home}:user/{name}"]})
        self.wrong(403, "NoPermission", text, "sts", "AssumeRole", may,
                   RoleArn=self.arn(closed), RoleSessionName="s1")
        if self.root:
            self.wrong(403, "NoPermission", "Roles may not be assumed by root accounts.", "sts",
                       "AssumeRole", self.root, **given)

    def test_sessions_do_what_role_and_session_policy_allow(self):
        role = self.role()
        self.ask("ram", "AttachPolicyToRole", RoleName=role, PolicyType="System",
                 PolicyName="AliyunRAMReadOnlyAccess")
        given = {"RoleArn": self.arn(role).replace("role/r", "role/R"), "RoleSessionName": "s1"}

        def session(**more):
            made = self.ask("sts", "AssumeRole", **given, **more)["Credentials"]
            return Keys(made["AccessKeyId"], made["AccessKeySecret"], made["SecurityToken"])

        whole, part = session(), session(Policy=json.dumps(allow("ram:ListUsers")))
        for keys in (whole, part):
            self.ask_as(keys, "ram", "ListUsers")
            self.wrong(403, "NoPermission", None, "ram", "CreateUser", keys, UserName="never")
        self.ask_as(whole, "ram", "ListRoles")
        denied = self.wrong(403, "NoPermission", None, "ram", "ListRoles", part)
        self.assertEqual(denied["AccessDeniedDetail"]["PolicyType"], "SessionPolicy")
        self.wrong(400, "MissingSecurityToken", "SecurityToken is mandatory for this action.",
                   "ram", "ListUsers", Keys(whole.key, whole.secret))
        self.wrong(400, "InvalidAccessKeyId.NotFound", None, "ram", "ListUsers",
                   Keys(whole.key, whole.secret, part.token))


class Errors(AlibabaCase):
    """Every code that can occur, provoked."""

    def test_the_gateways(self):
        me = ("sts", "GetCallerIdentity")
        name, keys = self.user()
        self.wrong(400, "InvalidAccessKeyId.NotFound", "Specified access key is not found.", *me,
                   Keys("LTAI" + "A" * 20, "x"))
        self.wrong(400, "InvalidAccessKeyId.NotFound", None, *me,
                   Keys(self.server.admin.key, self.server.admin.secret))
        self.ask("ram", "UpdateAccessKey", UserName=name, UserAccessKeyId=keys.key,
                 Status="Inactive")
        self.wrong(400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled.", *me,
                   keys)
        old = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1000))
        self.wrong(400, "InvalidTimeStamp.Expired",
                   "Specified time stamp or date value is expired.", *me, Timestamp=old)
        self.wrong(400, "InvalidTimeStamp.Format",
                   "Specified time stamp or date value is not well formatted.", *me,
                   Timestamp="now")
        self.wrong(400, "InvalidSignatureMethod", None, *me, SignatureMethod="HMAC-SHA256")
        self.wrong(400, "InvalidSignatureMethod", None, *me, SignatureType="BEARERTOKEN")
        self.wrong(400, "IncompleteSignature", None, *me, SignatureVersion="2.0")
        for name in ("SignatureNonce", "Timestamp", "AccessKeyId"):
            self.wrong(400, "Missing" + name, f"{name} is mandatory for this action.", *me,
                       **{name: ""})
        self.wrong(404, "InvalidApi.NotFound",
                   "Specified api is not found, please check your url and method.", "ram",
                   "NoSuchAction")
        self.wrong(400, "InvalidParameter.Format", None, *me, Format="YAML")
        values = signed(self.admin, "GetCallerIdentity", "1999-01-01")
        status, _, text = self.send("POST", urllib.parse.urlencode(values))
        found = json.loads(text)
        self.assertEqual((status, found["Code"], found["Message"]), (
            400, "InvalidParameter", 'The specified parameter "Action or Version" is not valid.'))
        for name in ("Action", "Version"):
            values = signed(self.admin, "GetCallerIdentity", VERSIONS["sts"], **{name: ""})
            _, _, text = self.send("POST", urllib.parse.urlencode(values))
            self.assertEqual(json.loads(text)["Code"], "Missing" + name)
        values = signed(self.admin, "GetCallerIdentity", VERSIONS["sts"], "PUT")
        status, _, text = self.send("PUT", urllib.parse.urlencode(values))
        self.assertEqual((status, json.loads(text)["Code"]), (400, "UnsupportedHTTPMethod"))
        status, _, text = self.send("POST", "Action=GetCallerIdentity&Version=2015-04-01")
        self.assertEqual((status, json.loads(text)["Code"]), (400, "MissingAccessKeyId"))
        values = signed(Keys(self.admin.key, "wrong"), "GetCallerIdentity", VERSIONS["sts"])
        status, _, text = self.send("POST", urllib.parse.urlencode(values))
        found = json.loads(text)
        self.assertEqual((status, found["Code"]), (400, "SignatureDoesNotMatch"))
        self.assertTrue(found["Message"].startswith(
            "Specified signature is not matched with our calculation. "
            "server string to sign is:POST&%2F&AccessKeyId"), found["Message"])

    def test_parameters(self):
        trust = "AssumeRolePolicyDocument"
        self.wrong(400, "MissingRoleName", "RoleName is mandatory for this action.", "ram",
                   "GetRole")
        self.wrong(400, "InvalidParameter.RoleName.InvalidChars",
                   'The parameter - "RoleName" contains invalid chars.', "ram", "GetRole",
                   RoleName="a b")
        self.wrong(400, "InvalidParameter.RoleName.Length",
                   'The parameter - "RoleName" beyond the length limit.', "ram", "GetRole",
                   RoleName="a" * 65)
        self.wrong(400, "InvalidParameter.PolicyType", 'The parameter - "PolicyType" is incorrect.',
                   "ram", "GetPolicy", PolicyType="Own", PolicyName="x")
        self.wrong(400, "InvalidParameter.VersionId.Format",
                   'The format of the parameter - "VersionId" is incorrect.', "ram",
                   "GetPolicyVersion", PolicyType="System", PolicyName="AdministratorAccess",
                   VersionId="1")
        self.wrong(400, "InvalidParameter.MaxItems", None, "ram", "ListRoles", MaxItems="0")
        self.wrong(400, "InvalidParameter.Marker", None, "ram", "ListRoles", Marker="AAAA")
        self.wrong(400, "MissingAssumeRolePolicyDocument", None, "ram", "CreateRole", RoleName="x")
        for text in ("{", "{}", json.dumps({"Version": "2012-10-17", "Statement": []})):
            self.wrong(400, "MalformedPolicyDocument", None, "ram", "CreateRole", RoleName="x",
                       **{trust: text})
            self.wrong(400, "MalformedPolicyDocument", None, "ram", "CreatePolicy", PolicyName="x",
                       PolicyDocument=text)
        other = {"Version": "1", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"RAM": [f"acs:ram::{self.home}:user/no-such-user"]}}]}
        self.wrong(400, "MalformedPolicyDocument", None, "ram", "CreateRole", RoleName="x",
                   **{trust: json.dumps(other)})
        self.wrong(400, "InvalidParameter.PolicyDocument.Length", None, "ram", "CreatePolicy",
                   PolicyName="x", PolicyDocument=json.dumps(allow("x:" + "y" * 6200)))
        role = self.arn(self.role())
        sts = ("sts", "AssumeRole")
        self.wrong(400, "InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed.",
                   *sts, RoleArn="role/x", RoleSessionName="s1")
        self.wrong(400, "InvalidParameter.RoleSessionName",
                   "The parameter RoleSessionName is wrongly formed.", *sts, RoleArn=role,
                   RoleSessionName="a/b")
        self.wrong(400, "InvalidParameter.DurationSeconds",
                   "The Min/Max value of DurationSeconds is 15min/1hr.", *sts, RoleArn=role,
                   RoleSessionName="s1", DurationSeconds="899")
        self.wrong(400, "InvalidParameter.DurationSeconds", None, *sts, RoleArn=role,
                   RoleSessionName="s1", DurationSeconds="7200")
        self.wrong(400, "InvalidParameter.PolicyGrammar",
                   "The parameter Policy has not passed grammar check.", *sts, RoleArn=role,
                   RoleSessionName="s1", Policy="{")
        self.wrong(400, "InvalidParameter.PolicySize",
                   "The size of Policy must be smaller than 1024 bytes.", *sts, RoleArn=role,
                   RoleSessionName="s1", Policy=" " * 2049)
        self.wrong(404, "EntityNotExist.Role", f"The role not exists: {self.arn('nobody')}.", *sts,
                   RoleArn=self.arn("nobody"), RoleSessionName="s1")
        trail = ("trail", "LookupEvents")
        self.wrong(400, "InvalidParameter.StartTime.Format", None, *trail, StartTime="now")
        self.wrong(400, "InvalidParameter.StartTime", None, *trail,
                   StartTime="2020-01-01T00:00:00Z")
        self.wrong(400, "MissingStartTime", None, *trail, EndTime="2020-01-01T00:00:00Z")
        self.wrong(400, "InvalidParameter.LookupAttribute", None, *trail,
                   **{"LookupAttribute.1.Key": "Colour", "LookupAttribute.1.Value": "red"})
        self.wrong(400, "InvalidParameter.NextToken", None, *trail, NextToken="AAAA")

    def test_what_is_not_there_and_what_is(self):
        name, keys = self.user(allow("ecs:*"))
        role = self.role()
        system = {"PolicyType": "System", "PolicyName": "AliyunRAMReadOnlyAccess"}
        gone = {"PolicyType": "Custom", "PolicyName": "no-such-policy"}
        user, policy = {"UserName": name}, {"PolicyType": "Custom", "PolicyName": name}
        trust = json.dumps({"Version": "1", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": ["ecs.aliyuncs.com"]}}]})
        for status, code, text, action, more in (
                (404, "EntityNotExist.User", "The user does not exist.", "GetUser",
                 {"UserName": "nobody"}),
                (404, "EntityNotExist.Role", "The role does not exist.", "GetRole",
                 {"RoleName": "nobody"}),
                (404, "EntityNotExist.Policy", "The policy does not exist.", "GetPolicy", gone),
                (404, "EntityNotExist.Policy", None, "AttachPolicyToUser", {**gone, **user}),
                (404, "EntityNotExist.Policy.Version", "The policy version does not exist.",
                 "GetPolicyVersion", {**policy, "VersionId": "v9"}),
                (404, "EntityNotExist.User.AccessKey", "The user access key does not exist.",
                 "DeleteAccessKey", {**user, "UserAccessKeyId": "LTAI" + "A" * 20}),
                (404, "EntityNotExist.User.Policy", "The user policy does not exist.",
                 "DetachPolicyFromUser", {**user, **system}),
                (404, "EntityNotExist.Role.Policy", "The role policy does not exist.",
                 "DetachPolicyFromRole", {"RoleName": role, **system}),
                (409, "EntityAlreadyExists.User", "The user does already EXIST.", "CreateUser",
                 {"UserName": name.upper()}),
                (409, "EntityAlreadyExists.Role", "The role does already EXIST.", "CreateRole",
                 {"RoleName": role.lower(), "AssumeRolePolicyDocument": trust}),
                (409, "EntityAlreadyExists.Policy", None, "CreatePolicy",
                 {"PolicyName": name, "PolicyDocument": json.dumps(allow("x:y"))}),
                (409, "EntityAlreadyExists.User.Policy",
                 "The user has already been attached this policy.", "AttachPolicyToUser",
                 {**user, **policy}),
                (409, "DeleteConflict.User.AccessKey", None, "DeleteUser", user),
                (409, "DeleteConflict.Policy.User",
                 "The policy CAN NOT been attached to any user while deleting the policy.",
                 "DeletePolicy", {"PolicyName": name}),
                (409, "DeleteConflict.Policy.Version.Default",
                 "The default policy version CAN NOT been deleted directly.",
                 "DeletePolicyVersion", {"PolicyName": name, "VersionId": "v1"})):
            with self.subTest(code=code, action=action):
                self.wrong(status, code, text, "ram", action, **more)
        self.ask("ram", "AttachPolicyToRole", RoleName=role, **system)
        self.wrong(409, "EntityAlreadyExists.Role.Policy",
                   "The role has already been attached this policy.", "ram", "AttachPolicyToRole",
                   RoleName=role, **system)
        self.wrong(409, "DeleteConflict.Role.Policy",
                   "The role CAN NOT has any attached policy while deleting the role.", "ram",
                   "DeleteRole", RoleName=role)
        self.ask("ram", "DetachPolicyFromRole", RoleName=role, **system)
        self.ask("ram", "AttachPolicyToRole", RoleName=role, **policy)
        self.ask("ram", "DetachPolicyFromUser", **user, **policy)
        self.wrong(409, "DeleteConflict.Policy.Role",
                   "The policy CAN NOT been attached to any role while deleting the policy.",
                   "ram", "DeletePolicy", PolicyName=name)
        self.ask("ram", "DetachPolicyFromRole", RoleName=role, **policy)
        self.ask("ram", "CreatePolicyVersion", PolicyName=name,
                 PolicyDocument=json.dumps(allow("x:y")))
        self.wrong(409, "DeleteConflict.Policy.Version",
                   "The policy CAN NOT has any version except the default version.", "ram",
                   "DeletePolicy", PolicyName=name)
        self.ask("ram", "AttachPolicyToUser", **user, **system)
        self.ask("ram", "DeleteAccessKey", UserName=name, UserAccessKeyId=keys.key)
        self.wrong(409, "DeleteConflict.User.Policy",
                   "The user CAN NOT has any attached policy while deleting the user.", "ram",
                   "DeleteUser", **user)

    def test_a_denial_is_diagnosed_by_who_may(self):
        name, keys = self.user({"Version": "1", "Statement": [
            {"Effect": "Allow", "Action": "ram:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "ram:DeleteGroup", "Resource": "*"}]})
        detail = self.wrong(403, "NoPermission", None, "ram", "DeleteGroup", keys,
                            GroupName="x")["AccessDeniedDetail"]
        self.assertEqual({k: v for k, v in detail.items() if k != "EncodedDiagnosticMessage"}, {
            "PolicyType": "AccountLevelIdentityBasedPolicy", "AuthPrincipalOwnerId": self.home,
            "AuthPrincipalType": "SubUser", "AuthPrincipalDisplayName": name,
            "AuthAction": "ram:DeleteGroup", "NoPermissionType": "ExplicitDeny"})
        message = detail["EncodedDiagnosticMessage"]
        decoded = self.sdk("ram").decode_diagnostic_message(
            ram_models.DecodeDiagnosticMessageRequest(
                encoded_diagnostic_message=message)).body.decoded_diagnostic_message
        self.assertEqual((decoded.auth_action, decoded.auth_resource, decoded.explicit_deny),
                         ("ram:DeleteGroup", f"acs:ram::{self.home}:group/x", True))
        self.assertIn((name, "Deny"), [(p.policy_identifier, p.effect)
                                       for p in decoded.matched_policies])
        made = self.server.must("/v1/accounts/create", {"dialect": "alibaba"})
        other = Keys(made["access_key_id"], made["secret_access_key"])
        for keys, text in ((other, message), (self.admin, message[:-4] + "AAAA"),
                           (self.admin, "x")):
            self.wrong(400, "InvalidParameter.EncodedDiagnosticMessage", None, "ram",
                       "DecodeDiagnosticMessage", keys, EncodedDiagnosticMessage=text)

    def test_an_alias_names_the_account(self):
        ram, ims = self.sdk("ram"), self.sdk("ims")
        get = lambda: ram.get_account_alias().body.account_alias
        self.assertEqual(get(), self.home)
        alias = "a" + secrets.token_hex(4)
        ram.set_account_alias(ram_models.SetAccountAliasRequest(account_alias=alias))
        try:
            self.assertEqual(get(), alias)
            name, _ = self.user()
            role = self.role()
            for label in (alias, self.home):
                found = ims.get_user(ims_models.GetUserRequest(
                    user_principal_name=f"{name}@{label}.onaliyun.com")).body.user
                self.assertEqual(found.user_principal_name, f"{name}@{alias}.onaliyun.com")
            shown = self.ask("rm", "GetRole", RoleName=role)["Role"]
            self.assertEqual(shown["RolePrincipalName"],
                             f"{role}@role.{alias}.onaliyunservice.com")
            self.ask("rm", "AttachPolicy", PolicyType="System", ResourceGroupId=self.home,
                     PolicyName="AliyunRAMReadOnlyAccess", PrincipalType="ServiceRole",
                     PrincipalName=shown["RolePrincipalName"])
            self.wrong(404, "EntityNotExist.User", None, "ims", "GetUser",
                       UserPrincipalName=f"{name}@a{alias}.onaliyun.com")
            made = self.server.must("/v1/accounts/create", {"dialect": "alibaba"})
            other = Keys(made["access_key_id"], made["secret_access_key"])
            self.wrong(409, "EntityAlreadyExists.AccountAlias", None, "ram", "SetAccountAlias",
                       other, AccountAlias=alias)
            for wrong in ("ab", "a--b", "-ab", "ab-", "Abc", "a" * 33):
                answer = self.wrong(400, f"InvalidParameter.AccountAlias.{self.why(wrong)}", None,
                                    "ram", "SetAccountAlias", AccountAlias=wrong)
                self.assertIn("AccountAlias", answer["Message"])
        finally:
            ram.clear_account_alias()
        self.assertEqual(get(), self.home)

    @staticmethod
    def why(alias):
        return "InvalidChars" if 3 <= len(alias) <= 32 else "Length"

    def test_attachments_are_listed(self):
        manager = self.sdk("rm")
        name, _ = self.user(allow("x:y"))
        role = self.role()
        self.ask("ram", "CreateGroup", GroupName=name)
        own = {"PolicyName": name, "PolicyType": "Custom", "ResourceGroupId": self.home}
        group = {"PrincipalName": f"{name}@group.{self.home}.onaliyun.com",
                 "PrincipalType": "IMSGroup"}
        held = {"PrincipalName": f"{role}@role.{self.home}.onaliyunservice.com",
                "PrincipalType": "ServiceRole"}
        for principal in (group, held):
            self.ask("rm", "AttachPolicy", **own, **principal)
        self.ask("ram", "AttachPolicyToRole", RoleName=role, PolicyType="System",
                 PolicyName="AliyunRAMReadOnlyAccess")

        def listed(**more):
            found = manager.list_policy_attachments(
                rm_models.ListPolicyAttachmentsRequest(**more)).body
            self.assertEqual(found.total_count, len(found.policy_attachments.policy_attachment))
            return [(row.policy_name, row.policy_type, row.principal_name, row.principal_type,
                     row.resource_group_id)
                    for row in found.policy_attachments.policy_attachment]

        user = (f"{name}@{self.home}.onaliyun.com", "IMSUser", self.home)
        rows = [(name, "Custom", *principal) for principal in (
            user, (group["PrincipalName"], "IMSGroup", self.home),
            (held["PrincipalName"], "ServiceRole", self.home))]
        self.assertEqual(sorted(listed(policy_name=name, page_size=100)), sorted(rows))
        self.assertEqual(listed(policy_name=name, principal_type="IMSUser"), rows[:1])
        both = listed(principal_type="ServiceRole", principal_name=held["PrincipalName"])
        self.assertEqual({row[0] for row in both}, {name, "AliyunRAMReadOnlyAccess"})
        self.assertEqual(listed(principal_type="ServiceRole", policy_type="System",
                                principal_name=held["PrincipalName"])[0][:2],
                         ("AliyunRAMReadOnlyAccess", "System"))
        self.ask("rm", "DetachPolicy", **own, **group)
        self.assertEqual(listed(policy_name=name, principal_type="IMSGroup"), [])
        self.wrong(400, "MissingPrincipalType", None, "rm", "ListPolicyAttachments",
                   PrincipalName="x")
        self.wrong(404, "EntityNotExists.ResourceGroup", None, "rm", "ListPolicyAttachments",
                   ResourceGroupId="rg-1")

    def test_names_of_principals(self):
        name, _ = self.user()
        role = self.role()
        system = {"PolicyType": "System", "PolicyName": "AliyunRAMReadOnlyAccess"}
        user = {"PrincipalType": "IMSUser", "PrincipalName": f"{name}@{self.home}.onaliyun.com",
                "ResourceGroupId": self.home, **system}
        self.ask("rm", "AttachPolicy", **user)
        self.ask("rm", "DetachPolicy", **user)
        named = {**user, "PrincipalType": "ServiceRole",
                 "PrincipalName": f"{role}@role.{self.home}.onaliyunservice.com"}
        self.ask("rm", "AttachPolicy", **named)
        self.assertEqual(len(self.ask("ram", "ListPoliciesForRole", RoleName=role)
                             ["Policies"]["Policy"]), 1)
        foreign = f"{name}@1000000000000000.onaliyun.com"
        self.wrong(404, "EntityNotExist.User", None, "rm", "AttachPolicy",
                   **{**user, "PrincipalName": foreign})
        self.wrong(404, "EntityNotExist.User", None, "ims", "GetUser", UserPrincipalName=foreign)
        self.wrong(404, "EntityNotExists.ResourceGroup", None, "rm", "AttachPolicy",
                   **{**user, "ResourceGroupId": "rg-x"})


class Replays(AlibabaCase):
    """A request is taken once."""

    def test_atk_a13_a_request_is_taken_once_also_after_a_kill(self):
        values = signed(self.admin, "CreateUser", VERSIONS["ram"],
                        UserName="once" + secrets.token_hex(3))
        query = urllib.parse.urlencode(values)
        status, _, text = self.send("POST", query)
        self.assertEqual(status, 200, text)

        def again():
            status, _, text = self.send("POST", query)
            answer = json.loads(text)
            self.assertEqual((status, answer["Code"], answer["Message"]), (
                400, "SignatureNonceUsed", "Specified signature nonce was used already."))

        again()
        read = signed(self.admin, "GetCallerIdentity", VERSIONS["sts"])
        status, _, _ = self.send("GET", urllib.parse.urlencode(
            signed(self.admin, "GetCallerIdentity", VERSIONS["sts"], "GET")))
        self.assertEqual(status, 200)
        read = urllib.parse.urlencode(read)
        self.assertEqual([self.send("POST", read)[0] for _ in range(2)], [200, 400])
        # A refused request is taken too: it does not begin to work when a policy changes.
        name, keys = self.user()
        denied = urllib.parse.urlencode(signed(keys, "ListUsers", VERSIONS["ram"]))
        self.assertEqual(self.send("POST", denied)[0], 403)
        self.ask("ram", "AttachPolicyToUser", UserName=name, PolicyType="System",
                 PolicyName="AliyunRAMReadOnlyAccess")
        self.assertEqual(json.loads(self.send("POST", denied)[2])["Code"], "SignatureNonceUsed")
        # What never had a right signature burns no nonce.
        nonce = secrets.token_hex(8)
        me = ("GetCallerIdentity", VERSIONS["sts"])
        wrong = signed(Keys(self.admin.key, "x"), *me, SignatureNonce=nonce)
        self.assertEqual(self.send("POST", urllib.parse.urlencode(wrong))[0], 400)
        right = signed(self.admin, *me, SignatureNonce=nonce)
        self.assertEqual(self.send("POST", urllib.parse.urlencode(right))[0], 200)
        if self.server.kind == "disk":
            self.server.kill()
            self.server.start()
            again()


if __name__ == "__main__":
    unittest.main(defaultTest=os.environ.get("LINKROLE_TEST_ONLY"))
