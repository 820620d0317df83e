"""The console, in a real browser: AWS's procedures, all that a role's page shows, and what attackers try with it."""

import json
import os
import re
import unittest
import urllib.parse
import http.client

import alibaba
import browser
from alibaba import AlibabaCase
from harness import Case, Keys, OperatorConnection, Server, allow
from scenario import Aws

ROLE = "AWSServiceRoleForExampleBackup"
SERVICE = "backup.example.com"


def setUpModule():
    global DRIVER
    DRIVER = browser.start()


def tearDownModule():
    DRIVER.quit()
    DRIVER.profile.cleanup()


class Page(unittest.TestCase):
    """AWS's page on service-linked roles, in the order of its console procedures, with RDS as a real service."""

    def test_feature_54_the_console_procedures_of_the_page(self):
        cloud = Aws(["aws-ec2", "aws-kinesis", "aws-logs", "aws-sns", "aws-rds"])
        self.addCleanup(cloud.server.folder.cleanup)
        admin = browser.Person(DRIVER, cloud.server.endpoint)
        role = lambda: cloud.must("admin", "aws-iam", "GetRole", RoleName="AWSServiceRoleForRDS")["Role"]

        # Whether a service has service-linked roles is looked up first.
        admin.sign_in(cloud.identities["admin"])
        admin.follow("Services")
        admin.fill("Service or role", "rds")
        admin.press("Search")
        admin.sees("AWSServiceRoleForRDS", "table")

        # Creating a service-linked role (console).
        admin.follow("Roles")
        admin.follow("Create role")
        admin.fill("Service that is to use the role", "rds.amazonaws.com")
        admin.press("Next")
        admin.choose("AWSServiceRoleForRDS")
        admin.press("Next")
        admin.sees("Nothing is to choose.")
        admin.sees("ec2:CreateNetworkInterface", "pre")
        admin.press("Next")
        self.assertNotIn("Suffix", admin.text("form.fields"), "RDS takes none")
        admin.fill("Description", "made in the console")
        admin.press("Next")
        self.assertEqual(admin.text("#role-name"), "AWSServiceRoleForRDS")
        admin.unfold("The same on the command line")
        admin.sees("aws iam create-service-linked-role --aws-service-name rds.amazonaws.com "
                   "--description 'made in the console'", "pre")
        admin.press("Create role")
        admin.sees("The role AWSServiceRoleForRDS is made.", ".notice")
        self.assertEqual(role()["Description"], "made in the console")
        self.assertEqual(role()["Path"], "/aws-service-role/rds.amazonaws.com/")

        # Editing its description (console), and nothing else of it.
        admin.fill("Description", "for the databases")
        admin.press("Save description")
        admin.sees("The description of AWSServiceRoleForRDS is changed.", ".notice")
        self.assertEqual(role()["Description"], "for the databases")
        buttons = {button.text for button in DRIVER.find_elements("tag name", "button")}
        self.assertLessEqual(buttons, {"Sign out", "Delete role", "Save description", "Add tag", "Copy", ""})

        # RDS works with it: what it did is shown by service and action, and what uses it by region.
        made = cloud.must("admin", "aws-rds", "CreateDBInstance", DBInstanceIdentifier="orders",
                          DBInstanceClass="db.t3.micro", Engine="mysql")["DBInstance"]
        self.until(lambda: cloud.must("admin", "aws-rds", "DescribeDBInstances")["DBInstances"][0]["DBInstanceStatus"],
                   "available")
        admin.follow("Used by")
        admin.sees(made["DBInstanceArn"], "main")
        admin.sees("us-east-1", "h2")
        self.until(lambda: (admin.open("/console/roles/AWSServiceRoleForRDS/activity"), "CreateNetworkInterface" in admin.text())[1],
                   True)
        self.assertRegex(admin.text("main"), r"ec2 last \d{4}-")

        # Deleting it (console) while it is used: the task says by what, and where.
        admin.follow("Roles")
        admin.choose("Choose AWSServiceRoleForRDS")
        admin.press("Delete role")
        admin.sees("Last used", "thead")
        self.assertNotIn("never", admin.text("tbody"))
        admin.sees(made["DBInstanceArn"], "ol")
        admin.fill("Type AWSServiceRoleForRDS to confirm", "AWSServiceRoleForRDS")
        admin.press("Delete")
        admin.sees("FAILED", "#tasks")
        admin.follow("View details")
        admin.sees("FAILED", "#status")
        admin.sees("us-east-1", "h3")
        admin.sees(made["DBInstanceArn"], "li")
        self.assertEqual(role()["Description"], "for the databases")

        # After cleaning up it goes, is taken off the list, and who asked is told.
        cloud.must("admin", "aws-rds", "DeleteDBInstance", DBInstanceIdentifier="orders", SkipFinalSnapshot=True)
        self.until(lambda: cloud.call("admin", "aws-rds", "DescribeDBInstances", {"DBInstanceIdentifier": "orders"})[0],
                   "DBInstanceNotFound")
        admin.press("Try again")
        admin.sees("The deletion has begun of: AWSServiceRoleForRDS.", ".notice")
        admin.sees("SUCCEEDED", "#tasks")
        admin.sees("No role found", "caption")
        admin.sees("The deletion has begun of: AWSServiceRoleForRDS.", ".notice")
        error, _ = cloud.call("admin", "aws-iam", "GetRole", {"RoleName": "AWSServiceRoleForRDS"})
        self.assertEqual(error, "NoSuchEntity")

        # The trail has all of it, as calls from the console.
        admin.follow("Trail")
        admin.fill("Event", "CreateServiceLinkedRole")
        admin.press("Look up")
        admin.follow("CreateServiceLinkedRole")
        record = json.loads(admin.text("#vendors"))
        self.assertEqual(record["sessionCredentialFromConsole"], "true")
        self.assertEqual(record["userIdentity"]["userName"], "admin")
        self.assertEqual(record["requestParameters"]["aWSServiceName"], "rds.amazonaws.com")
        self.assertEqual(admin.complaints(), [])
        cloud.stop()

    def until(self, read, wanted):
        found = Case.until(self, read, lambda found: found == wanted)
        self.assertEqual(found, wanted)


class Console(Case):
    """What the console shows and does, with the example services in memory."""

    def person(self, keys=None):
        person = browser.Person(DRIVER, self.server.endpoint)
        person.sign_in(keys or self.server.admin)
        return person

    def test_feature_01_20_29_30_31_32_a_role_is_made_and_shown(self):
        admin = self.person()
        admin.open("/console/create-role/name?service=autoscaling.amazonaws.com&use=autoscaling.amazonaws.com")
        admin.fill("Suffix", "Blue")
        admin.fill("Description", "scales blue")
        admin.press("Next")
        admin.unfold("The same in Terraform")
        admin.sees('custom_suffix = "Blue"', "pre")
        admin.press("Create role")
        name = "AWSServiceRoleForAutoScaling_Blue"
        admin.sees(name, "h1")
        admin.sees("service-linked", ".badge")
        role = self.iam.get_role(RoleName=name)["Role"]
        self.assertEqual(admin.text("#arn"), role["Arn"])
        admin.sees(role["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"), ".facts")
        self.assertEqual(admin.field("Description").get_attribute("value"), "scales blue")
        admin.follow("Trust policy")
        trust = json.loads(admin.text("pre"))
        self.assertEqual(trust, role["AssumeRolePolicyDocument"])
        admin.sees("Only autoscaling.amazonaws.com can assume this role.")
        admin.follow("Permissions")
        policy = self.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"][0]
        admin.sees(policy["PolicyName"], ".policy")
        version = self.iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId="v1")["PolicyVersion"]
        self.assertEqual(json.loads(admin.text(".policy pre")), version["Document"])
        # Found by a part of its name, in letters of any size, and by its kind.
        admin.follow("Roles")
        admin.fill("Name", "scaling_bl")
        admin.pick("Kind", "service-linked")
        admin.press("Search")
        self.assertEqual([row.text for row in DRIVER.find_elements("css selector", "tbody th")], [name])
        admin.pick("Kind", "of the account")
        admin.press("Search")
        admin.sees("No role found")
        # A name is taken once: said where the name is chosen.
        admin.open("/console/create-role/review?service=autoscaling.amazonaws.com&use=autoscaling.amazonaws.com&suffix=Blue")
        admin.sees(f"There is a role {name} already.", ".wrong")
        self.iam.delete_service_linked_role(RoleName=name)
        self.assertEqual(admin.complaints(), [])

    def test_feature_34_the_wizard_for_a_role_of_the_account(self):
        admin = self.person()
        policy = self.iam.create_policy(PolicyName="readings", PolicyDocument=json.dumps(allow("storage:Get*")))
        arn = policy["Policy"]["Arn"]
        admin.open("/console/create-role")
        admin.fill("Service that is to use the role", SERVICE)
        admin.press("Next")
        admin.choose("A role of this account, with policies of your choice")
        admin.press("Next")
        admin.choose("readings")
        admin.pick("Permissions boundary", "AdministratorAccess")
        admin.press("Next")
        # What does not do is said, and what was filled in stays.
        admin.fill("Role name", "AWSServiceRoleForNothing")
        admin.press("Next")
        admin.sees("names like this are those of service-linked roles", ".wrong")
        admin.fill("Role name", "reader")
        admin.fill("Description", "it's \"mine\" ${x}")
        admin.press("Next")
        admin.unfold("The same on the command line")
        admin.sees("--description 'it'\\''s \"mine\" ${x}'", "main")
        admin.unfold("The same in Terraform")
        admin.sees('description        = "it\'s \\"mine\\" $${x}"', "main")
        # Going back keeps what was chosen.
        admin.follow("Back")
        self.assertEqual(admin.field("Role name").get_attribute("value"), "reader")
        admin.follow("Back")
        self.assertTrue(admin.field("readings").is_selected())
        admin.press("Next")
        admin.press("Next")
        admin.press("Create role")
        admin.sees("The role reader is made.", ".notice")
        role = self.iam.get_role(RoleName="reader")["Role"]
        self.assertEqual(role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"], {"Service": SERVICE})
        self.assertEqual(role["PermissionsBoundary"]["PermissionsBoundaryArn"], "arn:aws:iam::aws:policy/AdministratorAccess")
        self.assertEqual(role["Description"], "it's \"mine\" ${x}")
        attached = self.iam.list_attached_role_policies(RoleName="reader")["AttachedPolicies"]
        self.assertEqual([one["PolicyArn"] for one in attached], [arn])
        # With the policies that a service offers, there are no others to choose.
        admin.open(f"/console/create-role/use-case?service={SERVICE}")
        admin.choose("A role of this account, with policies of the service")
        admin.press("Next")
        offered = [one.text.split("\n")[0] for one in DRIVER.find_elements("css selector", "label.choice")]
        self.assertEqual(offered, ["ExampleBackupFullAccess"])
        # It goes at once, with what is attached to it taken off.
        self.iam.put_role_policy(RoleName="reader", PolicyName="own", PolicyDocument=json.dumps(allow("storage:List*")))
        admin.open("/console/roles/reader")
        admin.sees("own", ".policy")
        admin.press("Delete role")
        admin.fill("Type reader to confirm", "reader")
        admin.press("Delete")
        admin.sees("Deleted: reader.", ".notice")
        self.refused("NoSuchEntity", 404, None, self.iam.get_role, RoleName="reader")
        self.iam.delete_policy(PolicyArn=arn)
        self.assertEqual(admin.complaints(), [])

    def test_feature_43_several_roles_at_once(self):
        for suffix in "one", "two":
            self.iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com", CustomSuffix=suffix)
        self.iam.create_role(RoleName="plain", AssumeRolePolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": self.account}, "Action": "sts:AssumeRole"}]}))
        names = ["AWSServiceRoleForAutoScaling_one", "AWSServiceRoleForAutoScaling_two", "plain"]
        admin = self.person()
        admin.open("/console/roles")
        admin.press("Delete role")
        admin.sees("Choose at least one role to delete.", ".wrong")
        admin.open("/console/roles")
        for name in names:
            admin.choose(f"Choose {name}")
        admin.press("Delete role")
        self.assertEqual(admin.text("h1"), "Delete 3 roles")
        self.assertEqual(admin.text("tbody").count("never"), 3, "when each was last used")
        button = DRIVER.find_element("css selector", "form.fields button.danger")
        self.assertFalse(button.is_enabled())
        admin.fill("Type delete to confirm", "delet")
        self.assertFalse(button.is_enabled())
        admin.fill("Type delete to confirm", "delete")
        admin.press("Delete")
        admin.sees("Deleted: plain. The deletion has begun of: " + ", ".join(names[:2]), ".notice")
        self.until(lambda: admin.text("#tasks").count("SUCCEEDED"), lambda count: count == 2)
        # The notices outlive pages until they are dismissed.
        admin.follow("Services")
        self.assertEqual(admin.text("#tasks").count("SUCCEEDED"), 2)
        admin.press("Dismiss")
        self.assertEqual(admin.text("#tasks"), "")
        admin.open("/console/roles")
        for name in names:
            self.assertNotIn(name, admin.text("table"))

    def test_of_several_roles_each_is_a_case_of_its_own(self):
        trust = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": self.account}, "Action": "sts:AssumeRole"}]})
        for name in "kept", "goes":
            self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
            self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(allow("storage:Get*")))
        policy = allow("iam:*")
        policy["Statement"].append({"Effect": "Deny", "Action": "iam:DeleteRole", "Resource": "arn:aws:iam::*:role/kept"})
        person = self.person(self.server.user("careful", policy))
        person.open("/console/delete-roles?role=kept&role=missing&role=goes&role=kept")
        person.sees("NoSuchEntity", "tbody")
        person.fill("Type delete to confirm", "delete")
        person.press("Delete")
        person.sees("Deleted: goes. Not deleted: kept: AccessDenied", ".notice")
        # Who may not delete a role takes nothing off it either.
        self.assertEqual(self.iam.list_role_policies(RoleName="kept")["PolicyNames"], ["p"])
        self.refused("NoSuchEntity", 404, None, self.iam.get_role, RoleName="goes")
        self.iam.delete_role_policy(RoleName="kept", PolicyName="p")
        self.iam.delete_role(RoleName="kept")

    def test_feature_16_tags_of_a_role(self):
        self.iam.create_service_linked_role(AWSServiceName="dax.amazonaws.com")
        name = "AWSServiceRoleForDAX"
        admin = self.person()
        admin.open(f"/console/roles/{name}")
        admin.fill("Key of a tag", "team")
        admin.fill("Value of a tag", "data")
        admin.press("Add tag")
        admin.sees(f"{name} has the tag team.", ".notice")
        admin.sees("team = data", ".facts")
        self.assertEqual(self.iam.list_role_tags(RoleName=name)["Tags"], [{"Key": "team", "Value": "data"}])
        admin.press("Take off")
        admin.sees(f"The tag team is taken off {name}.", ".notice")
        self.assertEqual(self.iam.list_role_tags(RoleName=name)["Tags"], [])
        self.iam.delete_service_linked_role(RoleName=name)

    def test_long_lists_go_on(self):
        """More roles and policies than one page, or one answer, holds."""
        server = Server("dev")
        self.addCleanup(server.stop)
        iam = server.client("iam")
        trust = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": "sts:AssumeRole"}]})
        for n in range(260):
            iam.create_role(RoleName=f"role{n:04}", AssumeRolePolicyDocument=trust)
        for n in range(1_010):
            iam.create_policy(PolicyName=f"a{n:04}", PolicyDocument=json.dumps(allow("storage:Get*")))
        person = browser.Person(DRIVER, server.endpoint)
        person.sign_in(server.admin)
        person.open("/console/roles")
        seen = []
        while True:
            seen += [row.text for row in DRIVER.find_elements("css selector", "tbody th")]
            if not DRIVER.find_elements("link text", "More"):
                break
            person.follow("More")
        self.assertEqual(seen, [f"role{n:04}" for n in range(260)])
        # Found behind the first answer, and by no part of it.
        person.open("/console/roles?search=LE0259")
        self.assertEqual([row.text for row in DRIVER.find_elements("css selector", "tbody th")], ["role0259"])
        # The last policy can be chosen like the first.
        person.open(f"/console/create-role/permissions?service={SERVICE}&use=any-permissions")
        self.assertFalse(person.field("IAMReadOnlyAccess").is_selected())
        self.assertFalse(person.field("a0000").is_selected())

    def test_who_comes_from_elsewhere_stays_signed_in_and_gets_where_they_wanted(self):
        plain = Plain(self.server)
        answer, text = plain.ask("GET", "/console/roles?search=x", headers={"sec-fetch-site": "cross-site"})
        self.assertEqual(answer.status, 200)
        self.assertIsNone(answer.headers["set-cookie"], "nobody else can sign this browser out")
        self.assertIn('<a href="/console/roles?search=x">Continue</a>', text)
        answer, _ = plain.ask("GET", "/console/roles?search=x")
        self.assertEqual(answer.headers["location"], "/console/sign-in?next=%2Fconsole%2Froles%3Fsearch%3Dx")
        self.assertIsNone(answer.headers["set-cookie"])
        admin = browser.Person(DRIVER, self.server.endpoint)
        DRIVER.delete_all_cookies()
        admin.open("/console/roles?search=x")
        admin.fill("Access key ID", self.server.admin.key)
        admin.fill("Secret access key", self.server.admin.secret)
        admin.press("Sign in")
        self.assertEqual(DRIVER.current_url, self.server.endpoint + "/console/roles?search=x")
        # And nowhere else.
        for wanted in ["https://evil.example.com", "//evil.example.com", "/\\evil.example.com", "/consoles", "/console\r\nx: y",
                       "javascript:alert(1)", "/console/\u2028"]:
            status, where, _ = plain.post("/console/sign-in", [("key", self.server.admin.key),
                                                               ("secret", self.server.admin.secret), ("next", wanted)])
            self.assertEqual((status, where), (303, "/console"), wanted)

    def test_feature_33_46_activity_and_trail_of_a_role(self):
        self.iam.create_service_linked_role(AWSServiceName=SERVICE)
        status = self.server.must("/v1/services/new-key", {"service": SERVICE})
        service = self.server.client("sts", Keys(status["access_key_id"], status["secret_access_key"]))
        arn = f"arn:aws:iam::{self.account}:role/aws-service-role/{SERVICE}/{ROLE}"
        made = service.assume_role(RoleArn=arn, RoleSessionName="nightly")["Credentials"]
        session = self.server.client("iam", Keys.of(made))
        self.refused("AccessDenied", 403, None, session.create_user, UserName="x")
        admin = self.person()
        self.until(lambda: (admin.open(f"/console/roles/{ROLE}/activity"), admin.text("main"))[1],
                   lambda text: "CreateUser" in text)
        admin.sees("Sessions: 1, the last one", "main")
        admin.open(f"/console/roles/{ROLE}/trail")
        admin.sees("CreateUser", "tbody")
        admin.sees("AccessDenied", "tbody")
        admin.open(f"/console/roles/{ROLE}/uses")
        admin.sees("Its service has sessions until", "main")
        # Not even the session of the role is let in.
        stranger = self.person(Keys.of(made))
        stranger.sees("a linked service has none", ".wrong")
        stranger = self.person(Keys(status["access_key_id"], status["secret_access_key"]))
        stranger.sees("a linked service has none", ".wrong")

    def test_what_is_not_allowed_is_said_with_the_vendors_words(self):
        user = self.server.user("looker", allow("iam:ListRoles"))
        person = self.person(user)
        person.follow("Roles")
        person.sees("roles", "caption")
        person.open("/console/services")
        person.sees("AccessDenied", "h1")
        person.sees("is not authorized to perform: iam:GetServiceLinkedRoleTemplate", ".wrong")
        person.open("/console/trail")
        person.sees("cloudtrail:LookupEvents", ".wrong")
        bare = self.server.user("bare")
        person = self.person(bare)
        person.sees("is not authorized to perform: iam:ListRoles", ".wrong")
        self.assertNotIn("of 1000 roles", person.text())

    def test_a_session_ends_with_its_key(self):
        user = self.server.user("leaver", allow("iam:*"))
        person = self.person(user)
        person.sees("user/leaver", "#who")
        self.iam.update_access_key(UserName="leaver", AccessKeyId=user.key, Status="Inactive")
        person.open("/console/roles")
        person.sees("Access key ID", "form")
        self.assertTrue(DRIVER.current_url.endswith("/console/sign-in"))

    def test_temporary_credentials_sign_in_and_signing_in_is_recorded(self):
        made = self.sts.get_session_token()["Credentials"]
        keys = Keys.of(made)
        person = self.person(keys)
        person.sees("user/admin", "#who")
        trail = self.server.client("cloudtrail")
        found = trail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "ConsoleLogin"}])
        record = json.loads(found["Events"][0]["CloudTrailEvent"])
        self.assertEqual((record["eventSource"], record["eventType"]), ("signin.amazonaws.com", "AwsConsoleSignIn"))
        self.assertEqual(record["responseElements"], {"ConsoleLogin": "Success"})
        self.assertEqual(record["userIdentity"]["userName"], "admin")
        self.assertFalse(record["readOnly"])

    def test_every_page_is_for_everybody(self):
        """WCAG 2.2 AA by axe's rules, on every kind of page; and a page is small."""
        self.iam.create_service_linked_role(AWSServiceName="elasticache.amazonaws.com")
        name = "AWSServiceRoleForElastiCache"
        admin = self.person()
        event = self.server.client("cloudtrail").lookup_events()["Events"][0]["EventId"]
        pages = ["", "/roles", f"/roles/{name}", f"/roles/{name}/trust", f"/roles/{name}/activity", f"/roles/{name}/uses",
                 f"/roles/{name}/trail", "/create-role", f"/create-role/use-case?service={SERVICE}",
                 f"/create-role/permissions?service={SERVICE}&use=any-permissions",
                 "/create-role/name?service=autoscaling.amazonaws.com&use=autoscaling.amazonaws.com",
                 "/create-role/review?service=autoscaling.amazonaws.com&use=autoscaling.amazonaws.com",
                 f"/delete-roles?role={name}", "/tasks", "/services", f"/services/{SERVICE}", "/trail", f"/trail/{event}",
                 "/nowhere"]
        for place in pages:
            with self.subTest(place):
                admin.open("/console" + place)
                self.assertEqual(admin.barriers(), [])
                self.assertLess(len(DRIVER.page_source), 100_000)
                admin.picture(place.split("?")[0].strip("/").replace("/", "-") or "overview")
        DRIVER.delete_all_cookies()
        admin.open("/console")
        self.assertEqual(admin.barriers(), [])
        admin.picture("sign-in")
        self.iam.delete_service_linked_role(RoleName=name)

    def test_it_works_without_scripts(self):
        plain = Plain(self.server)
        plain.sign_in(self.server.admin)
        page = plain.get("/console/create-role/review?service=eks.amazonaws.com&use=eks.amazonaws.com")
        forms = plain.form(page, "/console/create-role")
        status, where, _ = plain.post("/console/create-role", forms)
        self.assertEqual((status, where), (303, "/console/roles/AWSServiceRoleForAmazonEKS"))
        page = plain.get("/console/delete-roles?role=AWSServiceRoleForAmazonEKS")
        form = plain.form(page, "/console/delete-roles")
        # Nothing goes unconfirmed.
        status, _, page = plain.post("/console/delete-roles", form)
        self.assertEqual(status, 400)
        self.assertIn("Nothing was deleted", page)
        status, where, _ = plain.post("/console/delete-roles", [*form, ("confirm", "AWSServiceRoleForAmazonEKS")])
        self.assertEqual((status, where), (303, "/console/roles"))
        self.until(lambda: plain.get("/console/tasks"), lambda page: "SUCCEEDED" in page)


class Plain:
    """A browser without scripts: cookies, forms and nothing else."""

    def __init__(self, server, origin=None):
        self.host = server.endpoint.removeprefix("http://")
        self.origin = origin or server.endpoint
        self.cookie = None

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.host, timeout=30)
        sent = {"origin": self.origin} if method == "POST" else {}
        if body is not None:
            sent["content-type"] = "application/x-www-form-urlencoded"
        if self.cookie:
            sent["cookie"] = self.cookie
        sent.update(headers or {})
        connection.request(method, path, body, {name: value for name, value in sent.items() if value is not None})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer, text

    def get(self, path):
        return self.ask("GET", path)[1]

    def post(self, path, form, headers=None):
        answer, text = self.ask("POST", path, urllib.parse.urlencode(form), headers)
        cookie = answer.headers.get("set-cookie")
        if cookie:
            self.cookie = cookie.split(";")[0]
        return answer.status, answer.headers.get("location"), text

    def sign_in(self, keys):
        return self.post("/console/sign-in", [("key", keys.key), ("secret", keys.secret)])

    def form(self, page, action):
        """The hidden fields of the form that goes somewhere."""
        form = next(found for found in re.findall(r"<form.*?</form>", page, re.S) if f'method="post" action="{action}"' in found)
        return re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)


class Attacks(Case):
    def test_atk_h16_no_name_or_text_becomes_markup(self):
        payloads = ["<script>window.broken=1</script>", "\"><img src=x onerror=window.broken=1>", "'-alert(1)-'",
                    "</textarea><svg onload=window.broken=1>", "{{7*7}}", "javascript:window.broken=1"]
        admin = browser.Person(DRIVER, self.server.endpoint)
        admin.sign_in(self.server.admin)
        self.iam.create_role(RoleName="target", AssumeRolePolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": self.account}, "Action": "sts:AssumeRole"}]}))
        for payload in payloads:
            with self.subTest(payload):
                self.iam.update_role_description(RoleName="target", Description=payload)
                self.iam.put_role_policy(RoleName="target", PolicyName="p", PolicyDocument=json.dumps(
                    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get", "Resource": "*",
                                                             "Condition": {"StringLike": {"aws:UserAgent": payload}}}]}))
                quoted = urllib.parse.quote(payload, safe="")
                for place in ["/roles/target", f"/roles?search={quoted}", f"/services?search={quoted}", f"/roles/{quoted}",
                              f"/trail?user={quoted}", f"/create-role/name?service={SERVICE}&use=any-permissions&role={quoted}&description={quoted}",
                              f"/create-role/use-case?service={quoted}", "/trail?name=UpdateRoleDescription"]:
                    admin.open("/console" + place)
                    self.assertIsNone(DRIVER.execute_script("return window.broken ?? null"), place)
                    self.assertEqual(DRIVER.find_elements("css selector", "main script, main img, main svg, [onerror], [onload]"), [])
                admin.open("/console/roles/target")
                self.assertEqual(admin.field("Description").get_attribute("value"), payload, "the control: it is shown, as text")
        # And if something were let in, the page's policy would keep it from running.
        DRIVER.execute_script("const s = document.createElement('script'); s.textContent = 'window.broken = 1'; document.body.append(s)")
        self.assertIsNone(DRIVER.execute_script("return window.broken ?? null"))

    def test_atk_h17_a_form_of_another_place_does_nothing(self):
        plain = Plain(self.server)
        plain.sign_in(self.server.admin)
        self.iam.create_service_linked_role(AWSServiceName=SERVICE)
        page = plain.get(f"/console/roles/{ROLE}")
        action = f"/console/roles/{ROLE}/description"
        form = [*plain.form(page, action), ("description", "forged")]
        token = dict(form)["forgery"]
        description = lambda: self.iam.get_role(RoleName=ROLE)["Role"].get("Description")
        other = Plain(self.server)
        other.sign_in(self.server.admin)
        foreign = dict(other.form(other.get(f"/console/roles/{ROLE}"), action))["forgery"]
        self.assertNotEqual(foreign, token)
        bad = [
            ("no token", [("description", "forged")], {}),
            ("an empty token", [("forgery", ""), ("description", "forged")], {}),
            ("another session's token", [("forgery", foreign), ("description", "forged")], {}),
            ("another origin", form, {"origin": "http://evil.example.com"}),
            ("an origin that begins alike", form, {"origin": self.server.endpoint + ".evil.example.com"}),
            ("no origin", form, {"origin": None}),
            ("the origin of a sandbox", form, {"origin": "null"}),
            ("another site", form, {"sec-fetch-site": "cross-site"}),
            ("another host of this site", form, {"sec-fetch-site": "same-site"}),
            ("an address typed", form, {"sec-fetch-site": "none"}),
        ]
        for what, fields, headers in bad:
            with self.subTest(what):
                status, _, _ = plain.post(action, fields, headers)
                self.assertEqual(status, 403)
                self.assertNotEqual(description(), "forged")
        # Nor without the cookie, nor by reading, nor over any other method.
        cookie, plain.cookie = plain.cookie, None
        status, where, _ = plain.post(action, form)
        self.assertEqual((status, where), (303, "/console/sign-in"))
        plain.cookie = cookie
        answer, _ = plain.ask("GET", action + "?" + urllib.parse.urlencode(form))
        self.assertEqual(answer.status, 404)
        for method in "PUT", "DELETE", "PATCH", "OPTIONS":
            answer, _ = plain.ask(method, action, urllib.parse.urlencode(form))
            self.assertEqual(answer.status, 405)
        self.assertNotEqual(description(), "forged")
        status, where, _ = plain.post(action, form, {"sec-fetch-site": "same-origin"})
        self.assertEqual((status, description()), (303, "forged"), "the control")
        # Signing in with somebody else's key from another place, so that a victim works for an attacker.
        status, _, _ = Plain(self.server, "http://evil.example.com").sign_in(self.server.admin)
        self.assertEqual(status, 403)
        # No page may be framed, read across origins, or kept.
        for path in "/console", "/console/sign-in", "/console/roles", "/console/tasks/drawer", "/console/nowhere":
            answer, _ = plain.ask("GET", path, headers={"origin": "http://evil.example.com"})
            self.assertIn("frame-ancestors 'none'", answer.headers["content-security-policy"])
            self.assertNotIn("unsafe", answer.headers["content-security-policy"])
            self.assertEqual(answer.headers["x-frame-options"], "DENY")
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            self.assertEqual(answer.headers["cache-control"], "no-store")
            self.assertIsNone(answer.headers["access-control-allow-origin"])

    def test_atk_h18_a_cookie_is_new_at_sign_in_and_worth_nothing_after(self):
        plain = Plain(self.server)
        name = "linkrole-" + self.server.endpoint.rsplit(":", 1)[1]
        plain.cookie = f"{name}=" + "0" * 64
        plain.sign_in(self.server.admin)
        first = plain.cookie
        self.assertNotIn("0" * 64, first, "what a browser brings is never taken")
        answer, _ = plain.ask("POST", "/console/sign-in", urllib.parse.urlencode(
            [("key", self.server.admin.key), ("secret", self.server.admin.secret)]))
        told = answer.headers["set-cookie"]
        self.assertIn("HttpOnly", told)
        self.assertIn("SameSite=Strict", told)
        self.assertNotEqual(told.split(";")[0], first)
        answer, _ = plain.ask("GET", "/console")
        self.assertEqual(answer.status, 303, "the session before ended with it")
        plain.cookie = told.split(";")[0]
        page = plain.get("/console")
        self.assertIn("user/admin", page, "the control")
        kept = plain.cookie
        plain.post("/console/sign-out", plain.form(page, "/console/sign-out"))
        plain.cookie = kept
        answer, text = plain.ask("GET", "/console")
        self.assertEqual(answer.status, 303)
        self.assertNotIn("user/admin", text)
        # What somebody set beside it, in whichever place, is not looked at.
        plain.cookie = None
        plain.sign_in(self.server.admin)
        good = plain.cookie
        for beside in "linkrole=x", "__Host-linkrole=x", "linkrole-1=x", f"x{name}=x":
            for cookies in f"{beside}; {good}", f"{good}; {beside}":
                plain.cookie = cookies
                self.assertIn("user/admin", plain.get("/console"), cookies)
        answer, _ = plain.ask("GET", "/console", headers={"x-forwarded-proto": "https"})
        self.assertEqual(answer.status, 303, "over TLS only the strict one counts")
        # Over TLS the cookie is one that nothing else can set or see.
        answer, _ = plain.ask("POST", "/console/sign-in", urllib.parse.urlencode(
            [("key", self.server.admin.key), ("secret", self.server.admin.secret)]), {"x-forwarded-proto": "https"})
        self.assertRegex(answer.headers["set-cookie"], r"^__Host-linkrole=\w{64}; Path=/; HttpOnly; SameSite=Strict; Secure$")

    def test_atk_h19_guesses_are_few_and_tell_nothing(self):
        """Its own server: its address is locked out for a minute."""
        server = Server("dev")
        self.addCleanup(server.stop)
        plain = Plain(server)
        told = set()
        keys = [("AKIAAAAAAAAAAAAAAAAA", "x"), (server.admin.key, "wrong"), (server.admin.key, ""), ("", ""), ("'", "'"),
                (server.admin.key.lower(), server.admin.secret)]
        for key, secret in keys:
            answer, text = plain.ask("POST", "/console/sign-in", urllib.parse.urlencode([("key", key), ("secret", secret)]))
            self.assertEqual(answer.status, 403)
            self.assertIsNone(answer.headers["set-cookie"])
            told.add(re.search(r'role="alert">(.*?)<', text)[1])
        self.assertEqual(len(told), 1, "a key that is known is refused like one that is not")
        for _ in range(10 - len(keys)):
            plain.sign_in(Keys(server.admin.key, "wrong"))
        answer, _ = plain.ask("POST", "/console/sign-in", urllib.parse.urlencode([("key", server.admin.key), ("secret", "x")]))
        self.assertEqual((answer.status, answer.headers["retry-after"]), (429, "60"))
        # Nobody keeps others out by guessing: what is right is let in.
        status, where, _ = plain.sign_in(server.admin)
        self.assertEqual((status, where), (303, "/console"))

    def test_atk_h20_no_page_shows_the_environment(self):
        os.environ["LINKROLE_CANARY"] = "canary-5f1c9a"
        self.addCleanup(os.environ.pop, "LINKROLE_CANARY")
        server = Server("dev")
        self.addCleanup(server.stop)
        plain = Plain(server)
        plain.sign_in(server.admin)
        paths = ["", "/roles", "/services", "/trail?reads=yes", "/tasks", "/env", "/debug", "/debug/pprof", "/status", "/config",
                 "/assets/", "/roles/%24%7Benv%3ALINKROLE_CANARY%7D"]
        seen = "".join(plain.get("/console" + path) for path in paths)
        seen += "".join(plain.get(path) for path in ["/", "/env", "/debug/vars", "/metrics", "/minio/bootstrap/v1/verify"])
        self.assertIn("user/admin", seen, "the control")
        for secret in "canary-5f1c9a", server.admin.secret, server.folder.name:
            self.assertNotIn(secret, seen)

    def test_a_server_that_takes_anything_is_shown_at_its_own_address_only(self):
        server = Server("dev", "--auth", "accept-any")
        self.addCleanup(server.stop)
        port = server.endpoint.rsplit(":", 1)[1]
        plain = Plain(server)
        anybody = Keys("AKIAAAAAAAAAAAAAAAAA", "anything")
        self.assertEqual(plain.sign_in(anybody)[0], 303, "the control")
        self.assertIn("linkrole-builtin", plain.get("/console"))
        # A name of somebody else's that leads here is no place of ours.
        rebound = Plain(server, f"http://evil.example.com:{port}")
        answer, _ = rebound.ask("POST", "/console/sign-in", "key=AKIAAAAAAAAAAAAAAAAA&secret=x",
                                {"host": f"evil.example.com:{port}"})
        self.assertEqual(answer.status, 403)
        # A key of the other dialect's account leads there.
        keys = Keys(server.exported["ALIBABA_CLOUD_ACCESS_KEY_ID"], server.exported["ALIBABA_CLOUD_ACCESS_KEY_SECRET"])
        plain.sign_in(keys)
        self.assertIn("(Alibaba Cloud)", plain.get("/console"))

    def test_the_operators_socket_has_no_console(self):
        connection = OperatorConnection(self.server.socket)
        connection.request("GET", "/console")
        self.assertEqual(connection.getresponse().status, 404)
        connection.close()


class Alibaba(AlibabaCase):
    """The same pages for an account of Alibaba Cloud's kind, in its vendor's words."""

    def test_a_role_is_made_described_and_deleted(self):
        admin = browser.Person(DRIVER, self.server.endpoint)
        admin.sign_in(self.admin)
        admin.sees("(Alibaba Cloud)", ".who")
        admin.open("/console/create-role/review?service=config.aliyuncs.com&use=config.aliyuncs.com")
        admin.unfold("The same on the command line")
        admin.sees("aliyun resourcemanager CreateServiceLinkedRole --ServiceName config.aliyuncs.com", "pre")
        admin.press("Create role")
        admin.sees("AliyunServiceRoleForConfig", "h1")
        self.assertRegex(admin.text("#arn"), r"^acs:ram::\d{16}:role/aliyunserviceroleforconfig$")
        text = "keeps records – 记录"
        admin.fill("Description", text)
        admin.press("Save description")
        admin.sees("The description of AliyunServiceRoleForConfig is changed.", ".notice")
        self.assertEqual(admin.field("Description").get_attribute("value"), text)
        admin.follow("Trust policy")
        self.assertEqual(json.loads(admin.text("pre"))["Statement"][0]["Principal"], {"Service": ["config.aliyuncs.com"]})
        admin.open("/console/trail?name=CreateServiceLinkedRole")
        admin.follow("CreateServiceLinkedRole")
        event = json.loads(admin.text("#vendors"))
        self.assertEqual((event["eventType"], event["serviceName"], event["apiVersion"]),
                         ("ConsoleOperation", "ResourceManager", "2020-03-31"))
        self.assertEqual(event["userIdentity"]["userName"], "admin")
        admin.open("/console/trail?name=ConsoleLogin")
        admin.follow("ConsoleLogin")
        event = json.loads(admin.text("#vendors"))
        self.assertEqual((event["eventName"], event["eventType"], event["serviceName"]),
                         ("ConsoleSignin", "ConsoleSignin", "AasCustomer"))
        admin.open("/console/delete-roles?role=AliyunServiceRoleForConfig")
        admin.fill("Type AliyunServiceRoleForConfig to confirm", "AliyunServiceRoleForConfig")
        admin.press("Delete")
        admin.sees("SUCCEEDED", "#tasks")
        self.assertEqual(admin.complaints(), [])

    def test_a_role_of_the_account_with_what_ram_has(self):
        """A custom policy whose name looks like the vendor's; no boundary; deleted by who may do just that."""
        self.ask("ram", "CreatePolicy", PolicyName="readsystemlogs",
                 PolicyDocument=json.dumps(alibaba.allow("log:Get*")))
        admin = browser.Person(DRIVER, self.server.endpoint)
        admin.sign_in(self.admin)
        admin.open("/console/create-role/permissions?service=config.aliyuncs.com&use=any-permissions")
        self.assertNotIn("boundary", admin.text("form.fields"))
        admin.choose("readsystemlogs")
        admin.press("Next")
        admin.fill("Role name", "logs")
        admin.press("Next")
        admin.unfold("The same on the command line")
        admin.sees("--PolicyType Custom --PolicyName readsystemlogs", "pre")
        admin.press("Create role")
        admin.sees("readsystemlogs", ".policy")
        self.assertEqual(DRIVER.find_elements("css selector", ".wrong"), [])
        _, keys = self.user(alibaba.allow("ram:GetRole", "ram:ListPoliciesForRole", "ram:DetachPolicyFromRole", "ram:DeleteRole"))
        person = browser.Person(DRIVER, self.server.endpoint)
        person.sign_in(keys)
        person.open("/console/roles/logs")
        self.assertNotIn("ListRolePolicies", person.text())
        person.press("Delete role")
        person.fill("Type logs to confirm", "logs")
        person.press("Delete")
        person.open("/console/roles/logs")
        person.sees("EntityNotExist.Role", "h1")


if __name__ == "__main__":
    unittest.main()
