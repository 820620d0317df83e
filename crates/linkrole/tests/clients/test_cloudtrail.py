"""The trail as CloudTrail tells it, looked up with boto3 and the aws command line."""

import datetime
import json
import secrets

from harness import Case, Keys, allow

PRINCIPAL = "trail.example.com"
ROLE = "AWSServiceRoleForTrailExample"
MANIFEST = {
    "service": PRINCIPAL,
    "display_name": "Trail Example",
    "signing_names": ["trailexample"],
    "hosts": ["127.0.0.1:9977"],
    "regions": ["local-1"],
    "usage": "registry",
    "role": [{
        "name": "TrailExample",
        "policy_name": "TrailExampleServiceRolePolicy",
        "policy": {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["iam:ListUsers", "trailexample:Describe*",
                                           "trailexample:PutThings"], "Resource": "*"}]},
    }],
}


class CloudTrail(Case):
    keeps_reads = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.trail = cls.server.client("cloudtrail")
        cls.keys = cls.server.service(MANIFEST)
        cls.iam.create_service_linked_role(AWSServiceName=PRINCIPAL)
        cls.role = cls.iam.get_role(RoleName=ROLE)["Role"]

    def look(self, key=None, value=None, trail=None, **more):
        """Every event that is found, page by page; each with its record."""
        wanted = dict(more)
        if key:
            wanted["LookupAttributes"] = [{"AttributeKey": key, "AttributeValue": value}]
        pages = (trail or self.trail).get_paginator("lookup_events").paginate(**wanted)
        found = [event for page in pages for event in page["Events"]]
        for event in found:
            event["record"] = json.loads(event["CloudTrailEvent"])
        return found

    def test_feature_45_the_linked_role_is_made_and_assumed(self):
        made = [e for e in self.look("EventName", "CreateServiceLinkedRole")
                if ROLE in json.dumps(e["Resources"])]
        self.assertEqual(len(made), 1)
        event, record = made[0], made[0]["record"]
        self.assertEqual((event["EventSource"], event["ReadOnly"], event["Username"],
                          event["AccessKeyId"]),
                         ("iam.amazonaws.com", "false", "admin", self.server.admin.key))
        self.assertEqual(record["requestParameters"], {"aWSServiceName": PRINCIPAL})
        self.assertEqual(record["responseElements"]["role"]["arn"], self.role["Arn"])
        self.assertEqual(record["userIdentity"]["type"], "IAMUser")
        self.assertEqual({key: record[key] for key in (
            "managementEvent", "eventCategory", "eventType", "recipientAccountId", "awsRegion",
            "readOnly")}, {
            "managementEvent": True, "eventCategory": "Management", "eventType": "AwsApiCall",
            "recipientAccountId": self.account, "awsRegion": "us-east-1", "readOnly": False})
        self.assertEqual(sorted(r["ResourceName"] for r in event["Resources"]),
                         sorted([ROLE, self.role["Arn"], self.role["RoleId"]]))
        self.assertEqual({r["ResourceType"] for r in event["Resources"]}, {"AWS::IAM::Role"})

        session = "work" + secrets.token_hex(4)
        taken = self.server.client("sts", self.keys).assume_role(
            RoleArn=self.role["Arn"], RoleSessionName=session, DurationSeconds=900)
        found = [e for e in self.look("EventName", "AssumeRole")
                 if e["record"]["requestParameters"]["roleSessionName"] == session]
        self.assertEqual(len(found), 1)
        event, record = found[0], found[0]["record"]
        self.assertEqual(record["userIdentity"], {"type": "AWSService", "invokedBy": PRINCIPAL})
        self.assertEqual((record["sourceIPAddress"], record["userAgent"]), (PRINCIPAL, PRINCIPAL))
        self.assertEqual(record["requestParameters"], {
            "roleArn": self.role["Arn"], "roleSessionName": session, "durationSeconds": 900})
        given = record["responseElements"]
        self.assertEqual(given["assumedRoleUser"], {
            "assumedRoleId": taken["AssumedRoleUser"]["AssumedRoleId"],
            "arn": taken["AssumedRoleUser"]["Arn"]})
        self.assertEqual(given["credentials"]["accessKeyId"], taken["Credentials"]["AccessKeyId"])
        self.assertEqual(
            datetime.datetime.strptime(given["credentials"]["expiration"], "%b %d, %Y, %I:%M:%S %p"),
            taken["Credentials"]["Expiration"].replace(tzinfo=None))
        self.assertEqual(record["resources"], [
            {"ARN": self.role["Arn"], "accountId": self.account, "type": "AWS::IAM::Role"}])
        self.assertEqual(record["sharedEventID"], record["eventID"])
        self.assertEqual((event["EventSource"], event["ReadOnly"]), ("sts.amazonaws.com", "true"))
        self.assertNotIn("AccessKeyId", event)
        text = json.dumps(self.look(), default=str)
        self.assertNotIn(taken["Credentials"]["SecretAccessKey"], text)
        self.assertNotIn(taken["Credentials"]["SessionToken"], text)

    def test_feature_46_what_the_linked_role_did_is_found_by_its_session_and_by_its_name(self):
        session = "acts" + secrets.token_hex(4)
        taken = self.server.client("sts", self.keys).assume_role(
            RoleArn=self.role["Arn"], RoleSessionName=session)
        mine = Keys.of(taken["Credentials"])
        acting = self.server.client("iam", mine)
        acting.list_users()
        self.refused("AccessDenied", 403, None, acting.list_groups)
        # What it does at another service, which asks linkrole whether it may.
        for action, allowed in (("DescribeThings", True), ("PutThings", True), ("DeleteThings", False)):
            forwarded = self.server.forwarded(mine, "trailexample", MANIFEST["hosts"][0])
            status, answer = self.server.native(self.keys, "/v1/authorize", {
                "forwarded": forwarded, "action": f"trailexample:{action}",
                "resource": "arn:aws:trailexample:local-1::thing/a"})
            self.assertEqual((status, answer["allowed"]), (200, allowed), answer)
        found = self.look("Username", session)
        # What it did and what it was refused is kept; what it only read, where the server was told to.
        told = [("DeleteThings", PRINCIPAL, "false", "AccessDenied"), ("PutThings", PRINCIPAL, "false", None),
                ("DescribeThings", PRINCIPAL, "true", None),
                ("ListGroups", "iam.amazonaws.com", "true", "AccessDenied"),
                ("ListUsers", "iam.amazonaws.com", "true", None)]
        self.assertEqual(
            [(e["EventName"], e["EventSource"], e["ReadOnly"], e["record"].get("errorCode")) for e in found],
            [e for e in told if self.keeps_reads or e[0] not in ("DescribeThings", "ListUsers")])
        denied = [e for e in found if e["EventName"] == "ListGroups"][0]
        self.assertIn(f"assumed-role/{ROLE}/{session}", denied["record"]["errorMessage"])
        for event in found:
            record = event["record"]
            self.assertEqual(event["AccessKeyId"], mine.key)
            self.assertEqual(record["responseElements"], None)
            identity = record["userIdentity"]
            self.assertEqual((identity["type"], identity["invokedBy"], identity["principalId"]),
                             ("AssumedRole", PRINCIPAL, f"{self.role['RoleId']}:{session}"))
            issuer = identity["sessionContext"]["sessionIssuer"]
            self.assertEqual((issuer["type"], issuer["arn"], issuer["principalId"], issuer["userName"]),
                             ("Role", self.role["Arn"], self.role["RoleId"], ROLE))
            self.assertEqual(identity["sessionContext"]["attributes"]["mfaAuthenticated"], "false")
            self.assertEqual(record["sourceIPAddress"], PRINCIPAL)
        ids = [e["EventId"] for e in found]
        self.assertEqual([e["EventId"] for e in self.look("AccessKeyId", mine.key)], ids)
        by_role = [e["EventId"] for e in self.look("Username", ROLE)]
        self.assertEqual([i for i in by_role if i in ids], ids)
        # linkrole's own view shows the same without asking for reads.
        status, trail = self.server.native(self.server.admin, "/v1/trail", {"key": mine.key})
        self.assertEqual([e["params"].get("action", e["operation"]) for e in trail["entries"]],
                         ["trailexample:DeleteThings", "trailexample:PutThings", "ListGroups"])

    def test_feature_47_looked_up_by_everything(self):
        name = "user" + secrets.token_hex(4)
        user = self.iam.create_user(UserName=name)["User"]
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        self.refused("EntityAlreadyExists", 409, None, self.iam.create_user, UserName=name)
        other = self.server.client("iam", Keys.of(key))
        self.refused("AccessDenied", 403, None, other.create_user, UserName="b" + name)
        names = lambda key, value: [e["EventName"] for e in self.look(key, value)]
        self.assertEqual(names("ResourceName", name), ["CreateUser", "CreateAccessKey", "CreateUser"])
        made = self.look("ResourceName", user["Arn"])[-1]
        self.assertEqual(made["Resources"], [
            {"ResourceType": "AWS::IAM::User", "ResourceName": form}
            for form in (name, user["Arn"], user["UserId"])])
        keyed = self.look("ResourceName", key["AccessKeyId"])[0]
        self.assertIn({"ResourceType": "AWS::IAM::AccessKey", "ResourceName": key["AccessKeyId"]},
                      keyed["Resources"])
        self.assertEqual(keyed["record"]["responseElements"]["accessKey"]["userName"], name)
        self.assertNotIn(key["SecretAccessKey"], json.dumps(keyed, default=str))
        self.assertEqual(names("Username", name), ["CreateUser"])
        self.assertEqual(names("AccessKeyId", key["AccessKeyId"]), ["CreateUser"])
        denied = self.look("AccessKeyId", key["AccessKeyId"])[0]["record"]
        self.assertEqual((denied["errorCode"], denied["responseElements"]), ("AccessDenied", None))
        self.assertIn("is not authorized to perform: iam:CreateUser", denied["errorMessage"])
        failed = [e["record"] for e in self.look("EventName", "CreateUser")
                  if e["record"]["requestParameters"]["userName"] == name][0]
        self.assertEqual((failed["errorCode"], failed["errorMessage"]),
                         ("EntityAlreadyExistsException", f"User with name {name} already exists."))
        self.assertEqual([e["EventId"] for e in self.look("EventId", made["EventId"])],
                         [made["EventId"]])
        self.assertIn("CreateUser", names("ResourceType", "AWS::IAM::User"))
        self.assertEqual(set(names("EventSource", "cloudtrail.amazonaws.com")),
                         {"LookupEvents"} if self.keeps_reads else set())
        writes = self.look("ReadOnly", "false")
        self.assertEqual({e["ReadOnly"] for e in writes}, {"false"})
        self.assertIn(made["EventId"], {e["EventId"] for e in writes})
        reads = self.look("ReadOnly", "true")
        self.assertEqual({e["ReadOnly"] for e in reads}, {"true"})
        self.assertNotIn("CreateUser", {e["EventName"] for e in reads})
        for key, value in (("ResourceName", "nobody"), ("ResourceType", "AWS::EC2::Instance"),
                           ("Username", "nobody"), ("EventId", "0")):
            self.assertEqual(self.trail.lookup_events(LookupAttributes=[
                {"AttributeKey": key, "AttributeValue": value}])["Events"], [], key)

    def test_pages_hold_while_events_come(self):
        name = "page" + secrets.token_hex(4)
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                                                    "Principal": {"AWS": self.account}}]}))
        for number in range(7):
            self.iam.update_role_description(RoleName=name, Description=str(number))
        wanted = {"LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": name}],
                  "MaxResults": 3}
        first = self.trail.lookup_events(**wanted)
        self.iam.update_role_description(RoleName=name, Description="later")
        rest, token = [], first["NextToken"]
        while token:
            page = self.trail.lookup_events(**wanted, NextToken=token)
            rest += page["Events"]
            token = page.get("NextToken")
        told = [json.loads(e["CloudTrailEvent"])["requestParameters"].get("description")
                for e in first["Events"] + rest]
        self.assertEqual(told, ["6", "5", "4", "3", "2", "1", "0", None])
        # A token belongs to its account and to its look-up.
        other = {**wanted, "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateRole"}]}
        for token, ask in ((first["NextToken"], other), ("bm9uc2Vuc2U=", wanted), ("", wanted)):
            self.refused("InvalidNextTokenException", 400, None, self.trail.lookup_events, **ask, NextToken=token)

    def test_times(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        hour = datetime.timedelta(hours=1)
        self.assertTrue(self.look(StartTime=now - hour, EndTime=now + hour))
        self.assertEqual(self.look(StartTime=now - 2 * hour, EndTime=now - hour), [])
        self.assertTrue(self.look(StartTime=(now - hour).timestamp() + 0.25))
        times = [e["EventTime"] for e in self.look()]
        self.assertEqual(times, sorted(times, reverse=True))

    def test_what_does_not_fit_is_refused(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        hour = datetime.timedelta(hours=1)
        one = {"AttributeKey": "EventName", "AttributeValue": "CreateRole"}
        wrong = lambda code, **more: self.refused(code, 400, None, self.trail.lookup_events, **more)
        wrong("InvalidLookupAttributesException", LookupAttributes=[one, one])
        for key, value in (("ReadOnly", "True"), ("ReadOnly", "yes"), ("Colour", "red"),
                           ("EventName", ""), ("EventName", "x" * 2001)):
            wrong("InvalidLookupAttributesException",
                  LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}])
        wrong("InvalidTimeRangeException", StartTime=now, EndTime=now - hour)
        wrong("InvalidTimeRangeException", StartTime=now + hour)
        for count in (0, 51, -1):
            wrong("InvalidMaxResultsException", MaxResults=count)
        wrong("InvalidEventCategoryException", EventCategory="insight")
        self.refused("UnsupportedOperationException", 501, None, self.trail.describe_trails)

    def test_only_who_may_and_only_the_own_account(self):
        word = secrets.token_hex(3)
        none = self.server.client("cloudtrail", self.server.user("none" + word))
        may = self.server.client("cloudtrail", self.server.user("may" + word, allow("cloudtrail:LookupEvents")))
        text = self.refused("AccessDeniedException", 400, None, none.lookup_events)
        self.assertIn("is not authorized to perform: cloudtrail:LookupEvents", text)
        self.assertTrue(may.lookup_events()["Events"])
        made = self.server.must("/v1/accounts/create", {"dialect": "aws"})
        root = Keys(made["access_key_id"], made["secret_access_key"])
        self.server.client("iam", root).create_user(UserName="theirs")
        theirs = self.look(trail=self.server.client("cloudtrail", root))
        self.assertEqual({e["record"]["recipientAccountId"] for e in theirs}, {made["account"]})
        for keys, code in ((Keys("AKIANOBODYKNOWSTHIS0", "x" * 40), "UnrecognizedClientException"),
                           (Keys(self.server.admin.key, "x" * 40), "InvalidSignatureException")):
            self.refused(code, 400, None, self.server.client("cloudtrail", keys).lookup_events)

    def test_the_aws_command_line(self):
        code, out, complaint = self.server.aws(
            "cloudtrail", "lookup-events", "--lookup-attributes",
            "AttributeKey=EventName,AttributeValue=CreateServiceLinkedRole", "--max-items", "1")
        self.assertEqual(code, 0, complaint)
        events = json.loads(out)["Events"]
        self.assertEqual([e["EventName"] for e in events], ["CreateServiceLinkedRole"])


class WithReads(CloudTrail):
    """The same, where the server was told to keep reads that are allowed."""

    args = ("--record-reads",)
    keeps_reads = True
