"""Linked services among Alibaba Cloud's tenants: called by an unmodified client, they ask linkrole about the call."""

import hashlib
import http.server
import json
import secrets
import threading
import unittest

from alibabacloud_actiontrail20200706 import models as trail_models
from alibabacloud_tea_openapi import models as openapi
from alibabacloud_tea_openapi.client import Client
from alibabacloud_tea_util.models import RuntimeOptions

from alibaba import AlibabaCase, allow, unseen
from harness import Keys


class Shelf(http.server.BaseHTTPRequestHandler):
    """A service that keeps the signed parts of each request, as a linked service forwards them."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path, _, query = self.path.partition("?")
        self.server.seen.append({
            "method": "POST", "path": path, "query": query,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "body_sha256": hashlib.sha256(body).hexdigest()})
        answer = b'{"RequestId": "1"}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Services(AlibabaCase):
    def setUp(self):
        self.shelf = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
        self.shelf.seen = []
        threading.Thread(target=self.shelf.serve_forever, daemon=True).start()
        self.addCleanup(self.shelf.server_close)
        self.addCleanup(self.shelf.shutdown)
        self.host = f"127.0.0.1:{self.shelf.server_address[1]}"
        self.manifest = unseen()
        self.manifest["hosts"] = [self.host]
        self.principal = self.manifest["service"]
        self.signing = self.manifest["signing_names"][0]
        self.name = "AliyunServiceRoleFor" + self.manifest["role"][0]["name"]
        self.keys = self.server.service(self.manifest)

    def called_by(self, keys, action="CreateThing", **query):
        """What the service received of a call that the vendor's client made."""
        client = Client(openapi.Config(
            access_key_id=keys.key, access_key_secret=keys.secret, security_token=keys.token,
            endpoint=self.host, protocol="http"))
        client.call_api(
            openapi.Params(action=action, version="2026-01-01", protocol="HTTP", method="POST",
                           pathname="/", auth_type="AK", style="RPC", req_body_type="json",
                           body_type="json"),
            openapi.OpenApiRequest(query={"Name": "größe/1", **query}, body={"a": "b c"}),
            RuntimeOptions())
        return self.shelf.seen[-1]

    def ensure(self, keys):
        return self.server.native(self.keys, "/v1/slr/ensure", {
            "forwarded": self.called_by(keys), "principal": self.principal})

    def may(self, forwarded, action="Read", resource="*", service=None):
        return self.server.native(service or self.keys, "/v1/authorize", {
            "forwarded": forwarded, "action": f"{self.signing}:{action}", "resource": resource})

    def test_feature_18_19_20_42_it_comes_by_itself_for_who_may(self):
        _, poor = self.user(allow(f"{self.signing}:*"))
        _, rich = self.user(allow(f"{self.signing}:*", "ram:CreateServiceLinkedRole", condition={
            "StringEquals": {"ram:ServiceName": self.principal}}))
        _, other = self.user(allow("ram:CreateServiceLinkedRole", condition={
            "StringEquals": {"ram:ServiceName": "other.aliyuncs.com"}}))
        assume = {"RoleArn": self.arn(self.name), "RoleSessionName": "work"}
        for keys in (poor, other):
            status, answer = self.ensure(keys)
            self.assertEqual((status, answer["error"]["code"]), (403, "AccessDenied"), answer)
            self.wrong(404, "EntityNotExist.Role", None, "rm", "GetRole", RoleName=self.name)
            self.wrong(403, "NoPermission", None, "sts", "AssumeRole", self.keys, **assume)
        for _ in range(2):
            status, answer = self.ensure(rich)
            self.assertEqual((status, answer["created"]), (200, True), answer)
            status, answer = self.ensure(poor)
            self.assertEqual((status, answer["created"]), (200, False), "it is there already")
            role = self.ask("rm", "GetRole", RoleName=self.name)["Role"]
            self.assertTrue(role["IsServiceLinkedRole"])
            self.ask_as(self.keys, "sts", "AssumeRole", **assume)
            # Its feature is switched off, and can be switched on again.
            self.server.native(self.keys, "/v1/slr/release-sessions", {
                "account": self.home, "role": self.name})
            task = self.ask("rm", "DeleteServiceLinkedRole", RoleName=self.name)
            self.assertEqual(self.wait(task["DeletionTaskId"])["Status"], "SUCCEEDED")
            self.wrong(403, "NoPermission", None, "sts", "AssumeRole", self.keys, **assume)

    def test_feature_45_what_comes_by_itself_is_in_the_trail(self):
        poor_name, poor = self.user(allow(f"{self.signing}:*"))
        rich_name, rich = self.user(allow(f"{self.signing}:*", "ram:CreateServiceLinkedRole"))
        for keys in (poor, rich, rich):
            self.ensure(keys)
        events = self.ask("trail", "LookupEvents", **{
            "LookupAttribute.1.Key": "EventName",
            "LookupAttribute.1.Value": "CreateServiceLinkedRole",
            "LookupAttribute.2.Key": "ResourceName", "LookupAttribute.2.Value": self.name})["Events"]
        self.assertEqual([(e["userIdentity"]["userName"], e.get("errorCode")) for e in events],
                         [(rich_name, None), (poor_name, "NoPermission")])
        self.assertEqual(events[0]["requestParameters"]["ServiceName"], self.principal)

    def test_feature_40_a_role_goes_with_the_last_resource(self):
        automatic = unseen()
        automatic["role"][0]["deletion"] = "automatic"
        principal, name = automatic["service"], "AliyunServiceRoleFor" + automatic["role"][0]["name"]
        keys = self.server.service(automatic)
        for _ in range(2):
            self.ask("rm", "CreateServiceLinkedRole", ServiceName=principal)
            self.ask_as(keys, "sts", "AssumeRole", RoleArn=self.arn(name), RoleSessionName="s1")
            use = lambda verb, region: self.server.native(keys, f"/v1/usage/{verb}", {
                "account": self.home, "role": name, "region": region, "resource": "instance-1"})
            for region in ("cn-hangzhou", "cn-beijing"):
                self.assertEqual(use("register", region)[0], 200)
            status, answer = use("deregister", "cn-hangzhou")
            self.assertEqual((status, answer["began_deletion"]), (200, None), "one is left")
            status, answer = use("deregister", "cn-beijing")
            task = answer["began_deletion"]
            self.assertTrue(task, answer)
            ended = self.wait(f"task/acs-service-role/{principal}/{name}/{task}")
            self.assertEqual(ended["Status"], "SUCCEEDED")
            self.wrong(404, "EntityNotExist.Role", None, "rm", "GetRole", RoleName=name)
        events = self.ask("trail", "LookupEvents", **{
            "LookupAttribute.1.Key": "User", "LookupAttribute.1.Value": principal,
            "LookupAttribute.2.Key": "EventName",
            "LookupAttribute.2.Value": "DeleteServiceLinkedRole"})["Events"]
        self.assertEqual([e["resourceName"] for e in events], [name.lower()] * 2)
        # The other way: the service says that its feature is switched off.
        self.ask("rm", "CreateServiceLinkedRole", ServiceName=self.principal)
        status, task = self.server.native(self.keys, "/v1/slr/retire", {
            "account": self.home, "role": self.name})
        self.assertEqual(status, 200, task)
        ended = self.wait(f"task/acs-service-role/{self.principal}/{self.name}/"
                          + task["task"].rsplit("/", 1)[1])
        self.assertEqual(ended["Status"], "SUCCEEDED")

    def test_feature_39_a_subscription_that_runs_blocks_the_deletion_until_it_expires(self):
        made = self.server.must("/v1/services/new-key", {"service": "mssp.aliyuncs.com"})
        mss = Keys(made["access_key_id"], made["secret_access_key"])
        roles = {"mssp.aliyuncs.com": "AliyunServiceRoleForMssp",
                 "esa.mssp.aliyuncs.com": "AliyunServiceRoleForESAMssp"}
        for principal in roles:
            self.ask("rm", "CreateServiceLinkedRole", ServiceName=principal)
        base, esa = roles.values()
        use = lambda verb: self.server.native(mss, f"/v1/usage/{verb}", {
            "account": self.home, "role": base, "region": "cn-hangzhou",
            "resource": "subscription/mss-2026"})
        self.assertEqual(use("register")[0], 200)
        delete = lambda role: self.wait(
            self.ask("rm", "DeleteServiceLinkedRole", RoleName=role)["DeletionTaskId"])
        ended = delete(base)
        self.assertEqual(ended["Status"], "FAILED", ended)
        self.assertIn("subscription/mss-2026", json.dumps(ended["Reason"]))
        self.ask("rm", "GetRole", RoleName=base)
        # The other feature has no subscription of its own.
        self.assertEqual(delete(esa)["Status"], "SUCCEEDED")
        # It expires, and the same request succeeds.
        self.assertEqual(use("deregister")[0], 200)
        self.assertEqual(delete(base)["Status"], "SUCCEEDED")
        self.wrong(404, "EntityNotExist.Role", None, "rm", "GetRole", RoleName=base)

    def test_feature_07_a_call_is_decided_by_rams_policies(self):
        mine = f"acs:{self.signing}:cn-hangzhou:{self.home}:thing/"
        _, keys = self.user(allow(f"{self.signing}:Read*", resource=mine + "a*"))
        forwarded = self.called_by(keys)
        for action, resource, allowed in (("ReadThing", mine + "a1", True),
                                          ("ReadThing", mine + "b", False),
                                          ("WriteThing", mine + "a1", False)):
            status, answer = self.may(forwarded, action, resource)
            self.assertEqual((status, answer["allowed"]), (200, allowed), answer)
        # The account may be left open: linkrole puts the caller's in its place, and nowhere else.
        own = mine.replace(self.home, "{account}")
        for resource, allowed in ((own + "a1", True), (own + "b", False), (mine + "{account}", False)):
            status, answer = self.may(forwarded, "ReadThing", resource)
            self.assertEqual((status, answer["allowed"]), (200, allowed), answer)
        self.assertIn(mine + "b ", self.may(forwarded, "ReadThing", own + "b")[1]["message"])
        _, literal = self.user(allow(f"{self.signing}:Read*", resource=mine + self.home))
        self.assertFalse(self.may(self.called_by(literal), "ReadThing", mine + "{account}")[1]["allowed"])
        # Whose a resource is, its name tells, and the question must not say otherwise.
        status, answer = self.server.native(self.keys, "/v1/authorize", {
            "forwarded": forwarded, "action": f"{self.signing}:ReadThing", "account": self.account,
            "resource": mine + "a1"})
        self.assertEqual((status, answer["error"]["code"]), (400, "ValidationError"), answer)
        # A session of a role is one too, with what role and session policy both allow.
        role = self.role()
        self.ask("ram", "AttachPolicyToRole", RoleName=role, PolicyType="System",
                 PolicyName="AdministratorAccess")
        made = self.ask("sts", "AssumeRole", RoleArn=self.arn(role), RoleSessionName="s1",
                        Policy=json.dumps(allow(f"{self.signing}:Read*")))["Credentials"]
        session = Keys(made["AccessKeyId"], made["AccessKeySecret"], made["SecurityToken"])
        forwarded = self.called_by(session)
        self.assertTrue(self.may(forwarded, "ReadThing")[1]["allowed"])
        self.assertFalse(self.may(forwarded, "WriteThing")[1]["allowed"])

    def test_atk_f34_a_forwarded_request_counts_as_it_was_signed_and_at_its_service_only(self):
        forwarded = self.called_by(self.admin)
        status, answer = self.may(forwarded)
        self.assertEqual((status, answer["allowed"]), (200, True), "positive control")
        headers = dict(forwarded["headers"])

        def altered(**changes):
            held = {**headers, **changes}
            return {**forwarded, "headers": [[k, v] for k, v in held.items() if v is not None]}

        other = unseen()
        other_keys = self.server.service(other)
        ask = {"action": f"{other['signing_names'][0]}:Read", "resource": "*"}
        status, answer = self.server.native(other_keys, "/v1/authorize",
                                            {"forwarded": forwarded, **ask})
        self.assertEqual(status, 403, answer)
        status, answer = self.may(forwarded, service=self.admin)
        self.assertEqual(status, 403, "a user is no linked service")
        credential = headers["authorization"]
        for why, wrong in {
                "another host": altered(host=other["hosts"][0]),
                "another body": {**forwarded, "body_sha256": "0" * 64},
                "another path": {**forwarded, "path": "/x"},
                "another query": {**forwarded, "query": forwarded["query"] + "&x=y"},
                "another method": {**forwarded, "method": "GET"},
                "another time": altered(**{"x-acs-date": "2026-01-01T00:00:00Z"}),
                "another nonce": altered(**{"x-acs-signature-nonce": "0" * 32}),
                "another action": altered(**{"x-acs-action": "DeleteThing"}),
                "a header more": altered(**{"x-acs-more": "1"}),
                "a header less": altered(**{"x-acs-content-sha256": None}),
                "host not signed": altered(authorization=credential.replace("host;", "")),
                "no signature": altered(authorization=None),
                "another caller": altered(authorization=credential.replace(
                    self.admin.key, self.keys.key)),
        }.items():
            with self.subTest(why):
                status, answer = self.may(wrong)
                self.assertIn(status, (400, 403), answer)
                self.assertNotIn("allowed", answer)
        # Signed as the other dialect signs, a key of this one is not found.
        wrong = self.server.forwarded(self.admin, self.signing, self.host)
        status, answer = self.may(wrong)
        self.assertEqual((status, answer["error"]["code"]), (403, "InvalidClientTokenId"), answer)
        _, gone = self.user(allow("*"))
        forwarded = self.called_by(gone)
        self.assertTrue(self.may(forwarded)[1]["allowed"])
        name = self.ask_as(gone, "sts", "GetCallerIdentity")["Arn"].split("/")[1]
        self.ask("ram", "UpdateAccessKey", UserName=name, UserAccessKeyId=gone.key,
                 Status="Inactive")
        self.assertEqual(self.may(forwarded)[0], 403, "a key that was switched off")

    def test_feature_09_a_service_role_is_made_edited_and_deleted_by_the_account(self):
        role = self.role({"Service": [self.principal]})
        assume = {"RoleArn": self.arn(role), "RoleSessionName": "s1"}
        self.ask_as(self.keys, "sts", "AssumeRole", **assume)
        self.wrong(403, "NoPermission", None, "sts", "AssumeRole", **assume)
        for principal, code in ((self.principal.upper(), "NoPermission"),
                                (f"999{self.home[3:]}@{self.principal}", "NoPermission")):
            self.ask("ram", "UpdateRole", RoleName=role,
                     NewAssumeRolePolicyDocument=self.trust({"Service": [principal]}))
            self.wrong(403, code, None, "sts", "AssumeRole", self.keys, **assume)
        self.ask("ram", "UpdateRole", RoleName=role, NewDescription="mine",
                 NewAssumeRolePolicyDocument=self.trust({"Service": [self.principal]}))
        self.ask_as(self.keys, "sts", "AssumeRole", **assume)
        self.ask("ram", "DeleteRole", RoleName=role)
        self.wrong(403, "NoPermission", None, "sts", "AssumeRole", self.keys, **assume)

    def test_feature_12_principals_are_exact(self):
        for name in (self.principal.upper(), self.principal + ".", " " + self.principal):
            self.wrong(404, "EntityNotExist.Service", None, "rm", "CreateServiceLinkedRole",
                       ServiceName=name)

    def test_feature_15_16_21_its_description_and_tags_may_change_and_nothing_else(self):
        self.ask("rm", "CreateServiceLinkedRole", ServiceName=self.principal)
        name = {"RoleName": self.name}
        _, keys = self.user(allow("ram:UpdateRole", "ram:GetRole"))
        self.ask_as(keys, "ram", "UpdateRole", **name, NewDescription="seen by 审计")
        found = self.ask_as(keys, "rm", "GetRole", **name)["Role"]
        self.assertEqual(found["Description"], "seen by 审计")
        self.wrong(403, "NoPermission.ServiceLinkedRole", None, "rm", "UpdateRole", keys, **name,
                   NewDescription="x", NewMaxSessionDuration="7200")
        self.assertEqual(self.ask("rm", "GetRole", **name)["Role"], found, "refused whole")
        tag = {"ResourceType": "role", "ResourceNames": json.dumps([self.name])}
        self.wrong(403, "NoPermission", None, "ram", "TagResources", keys, **tag,
                   Tag='[{"Key":"a","Value":"b"}]')
        self.ask("ram", "TagResources", **tag, Tag='[{"Key":"a","Value":"b"}]')
        listed = self.ask("ram", "ListTagResources", **tag)["TagResources"]
        self.assertEqual([(t["TagKey"], t["TagValue"]) for t in listed], [("a", "b")])

    def test_feature_17_linked_roles_count_and_are_never_blocked(self):
        made = self.server.must("/v1/accounts/create", {"dialect": "alibaba", "role_quota": 2})
        root = Keys(made["access_key_id"], made["secret_access_key"])
        trust = json.dumps({"Version": "1", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"RAM": [f"acs:ram::{made['account']}:root"]}}]})
        create = {"AssumeRolePolicyDocument": trust}
        self.ask_as(root, "ram", "CreateRole", RoleName="one", **create)
        given = {"ServiceName": self.principal}
        self.ask_as(root, "rm", "CreateServiceLinkedRole", **given)
        self.wrong(409, "LimitExceeded.Role", None, "ram", "CreateRole", root, RoleName="two",
                   **create)
        for suffix in "abc":
            self.ask_as(root, "ram", "CreateServiceLinkedRole", CustomSuffix=suffix, **given)
        self.assertEqual(self.ask_as(root, "rm", "ListRoles")["TotalCount"], 5)

    def test_feature_29_30_31_32_it_is_shown(self):
        self.ask("rm", "CreateServiceLinkedRole", ServiceName=self.principal)
        self.ask("rm", "CreateServiceLinkedRole", ServiceName=self.principal, CustomSuffix="b")
        listed, page = [], 1
        while True:
            answer = self.ask("rm", "ListRoles", PageNumber=str(page), PageSize="3")
            listed += answer["Roles"]["Role"]
            page += 1
            if len(listed) >= answer["TotalCount"]:
                break
        linked = [r for r in listed if r["IsServiceLinkedRole"]]
        self.assertLessEqual({self.name, self.name + "_b"}, {r["RoleName"] for r in linked})
        role = self.ask("rm", "GetRole", RoleName=self.name)["Role"]
        self.assertRegex(role["CreateDate"], "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$")
        self.assertEqual((role["Arn"], role["Description"]),
                         (self.arn(self.name), self.manifest["role"][0]["description"]))
        self.assertEqual(json.loads(role["AssumeRolePolicyDocument"])["Statement"][0]["Principal"],
                         {"Service": [self.principal]})
        attached = self.ask("ram", "ListPoliciesForRole", RoleName=self.name)["Policies"]["Policy"]
        text = self.ask("rm", "GetPolicy", PolicyType="System",
                        PolicyName=attached[0]["PolicyName"])["DefaultPolicyVersion"]
        self.assertEqual(json.loads(text["PolicyDocument"]), self.manifest["role"][0]["ram_policy"])

    def test_feature_33_when_a_key_was_last_used(self):
        name, keys = self.user(allow("ram:ListGroups"))
        ask = {"UserName": name, "UserAccessKeyId": keys.key}
        used = lambda: self.ask("ram", "GetAccessKeyLastUsed", **ask)["AccessKeyLastUsed"]
        self.assertEqual(used(), {"LastUsedDate": ""})
        self.ask_as(keys, "ram", "ListGroups")
        told = self.until(used, lambda found: found["LastUsedDate"])
        self.assertRegex(told["LastUsedDate"], "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$")

    def test_feature_47_the_trail_is_looked_up_by_everything(self):
        name, keys = self.user(allow("ram:*"))
        for number in range(3):
            self.ask_as(keys, "ram", "CreateGroup", GroupName=f"{name}-{number}")
        self.wrong(403, "NoPermission", None, "rm", "ListRoles", self.user()[1])
        self.ask_as(keys, "ram", "DeleteGroup", GroupName=f"{name}-0")
        trail = self.sdk("trail")

        def look(*pairs, **more):
            return trail.lookup_events(trail_models.LookupEventsRequest(
                lookup_attribute=[trail_models.LookupEventsRequestLookupAttribute(
                    key=key, value=value) for key, value in pairs], **more)).body

        mine = ("User", name)
        events = look(mine, max_results="50").events
        names = [e["eventName"] for e in events]
        self.assertEqual(names, ["DeleteGroup"] + ["CreateGroup"] * 3, "newest first")
        forward = look(mine, direction="FORWARD").events
        self.assertEqual([e["eventId"] for e in forward], [e["eventId"] for e in events][::-1])
        for key, value, count in (("EventName", "CreateGroup", 3), ("EventRW", "Write", 4),
                                  ("EventRW", "Read", 0), ("ServiceName", "Ram", 4),
                                  ("ServiceName", "Sts", 0), ("EventAccessKeyId", keys.key, 4),
                                  ("EventId", events[0]["eventId"], 1),
                                  ("ResourceName", f"{name}-1", 1)):
            found = look(mine, (key, value), max_results="50").events
            self.assertEqual(len(found), count, (key, value))
        # Page by page, each event once.
        seen, token = [], None
        while True:
            page = look(mine, max_results="1", next_token=token)
            seen += [e["eventId"] for e in page.events]
            token = page.next_token
            if not token:
                break
        self.assertEqual(seen, [e["eventId"] for e in events])
        at = events[0]["eventTime"]
        self.assertEqual(len(look(mine, start_time=at, end_time=at).events) > 0, True)
        none = look(mine, start_time="2026-11-01T00:00:00Z", end_time="2026-11-01T00:00:01Z") \
            if at > "2026-11-02" else None
        self.assertTrue(none is None or none.events == [])


if __name__ == "__main__":
    unittest.main()
