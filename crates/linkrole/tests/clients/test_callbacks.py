"""Services that are asked before a role of theirs goes: good ones, twelve kinds of bad ones, and addresses that must not be asked."""

import json
import os
import secrets
import ssl
import tempfile
import time
import unittest

import certificates
from alibaba import AlibabaCase
from asked import Asked
from harness import Case, Keys, Server, allow

REGIONS = ["r1", "r2"]


def manifest_of(word, callback, usage="sessions"):
    return {"service": f"{word}.example.com", "display_name": word, "signing_names": [word],
            "hosts": [f"{word}.local"], "regions": REGIONS, "usage": usage, "callback": callback,
            "role": [{"name": f"T{word}", "policy_name": f"T{word}P", "policy": allow("iam:ListUsers"),
                      "ram_policy": {"Version": "1", "Statement": [
                          {"Effect": "Allow", "Action": "ram:ListUsers", "Resource": "*"}]}}]}


def new_word():
    return "c" + secrets.token_hex(3)


class Fixture:
    """A service with a role in the tenant's account."""

    def __init__(self, case, service, usage="sessions", **callback):
        self.case, self.service, self.word = case, service, new_word()
        self.manifest = manifest_of(
            self.word, {"url": service.url, "contract": "fenced", **callback}, usage)
        service.keys = case.server.service(self.manifest)
        self.principal = self.manifest["service"]
        self.name = f"AWSServiceRoleForT{self.word}"
        self.create()

    def create(self):
        made = self.case.iam.create_service_linked_role(AWSServiceName=self.principal)["Role"]
        self.id, self.arn = made["RoleId"], made["Arn"]

    def submit(self):
        return self.case.iam.delete_service_linked_role(RoleName=self.name)["DeletionTaskId"]

    def status(self, task):
        return self.case.iam.get_service_linked_role_deletion_status(DeletionTaskId=task)

    def end(self, task):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            status = self.status(task)
            if status["Status"] in ("SUCCEEDED", "FAILED"):
                return status
        raise AssertionError(f"{task} did not end")

    def delete(self):
        return self.end(self.submit())

    def use(self, region, resource):
        """What a service does before it makes a resource; answers whether it may."""
        if not self.service.may_create(self.id):
            return False
        self.service.resources.setdefault(self.id, {}).setdefault(region, []).append(resource)
        return True

    def assumable(self):
        sts = self.case.server.client("sts", self.service.keys)
        return sts.assume_role(RoleArn=self.arn, RoleSessionName="session")["Credentials"]

    def heard(self, phase):
        """Waits until the service was told so; a notice is sent again until it is heard."""
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            if any(told[0] == phase and told[1] == self.id for told in self.service.told):
                return True
        return False


class Callbacks(Case):
    args = ("--services", "none")

    def asked(self, **more):
        service = Asked(REGIONS, **more)
        self.addCleanup(service.close)
        return service

    def test_feature_36_37_41_42_a_service_that_fences(self):
        made = Fixture(self, self.asked())
        service = made.service
        self.assertTrue(made.use("r2", "vault/1"))
        status = made.delete()
        self.assertEqual(status["Status"], "FAILED")
        self.assertIn("all, some or none", status["Reason"]["Reason"])
        self.assertEqual(status["Reason"]["RoleUsageList"],
                         [{"Region": "r2", "Resources": ["vault/1"]}])
        self.assertEqual([told[0] for told in service.told], ["check"], "a used role is not fenced")
        service.resources.clear()
        self.assertEqual(made.delete()["Status"], "SUCCEEDED")
        self.assertTrue(made.heard("committed"))
        self.assertEqual([told[0] for told in service.told],
                         ["check", "check", "prepare", "committed"])
        self.assertEqual([told[2] for told in service.told], [0, 0, 1, 1])
        self.assertFalse(made.use("r1", "vault/2"), "the fence stays with a role that is gone")
        self.refused("NoSuchEntity", 404, None, self.iam.get_role, RoleName=made.name)
        # Made again it is another role, and the old fence does not bind it.
        old = made.id
        made.create()
        self.assertNotEqual(made.id, old)
        self.assertTrue(made.use("r1", "vault/3"))
        self.assertEqual(service.bad_signatures, 0)

    def test_a_session_keeps_the_role_until_it_ends_or_is_released(self):
        made = Fixture(self, self.asked())
        made.assumable()
        status = made.delete()
        self.assertEqual(status["Status"], "FAILED")
        self.assertIn("may hold a session", status["Reason"]["Reason"])
        self.assertEqual([told[0] for told in made.service.told], ["check"])
        code, out = self.server.native(made.service.keys, "/v1/slr/release-sessions",
                                       {"account": self.account, "role": made.id})
        self.assertEqual(code, 200, out)
        self.assertEqual(made.delete()["Status"], "SUCCEEDED")

    def test_a_use_that_is_found_under_the_fence_lifts_it(self):
        made = Fixture(self, self.asked())
        made.service.bend = "late"
        self.assertEqual(made.delete()["Status"], "FAILED")
        self.assertTrue(made.heard("cancel"))
        self.assertEqual([told[0] for told in made.service.told], ["check", "prepare", "cancel"])
        self.assertTrue(made.use("r2", "vault/2"), "the fence is lifted")
        made.assumable()

    def test_the_registry_decides_before_anybody_is_asked(self):
        made = Fixture(self, self.asked(), usage="registry")
        use = {"account": self.account, "role": made.id, "region": "r1", "resource": "vault/1"}
        self.assertEqual(self.server.native(made.service.keys, "/v1/usage/register", use)[0], 200)
        status = made.delete()
        self.assertEqual(status["Reason"]["RoleUsageList"],
                         [{"Region": "r1", "Resources": ["vault/1"]}])
        self.assertEqual(made.service.told, [])
        self.assertEqual(self.server.native(made.service.keys, "/v1/usage/deregister", use)[0], 200)
        # Nothing is registered, and yet the service knows of something.
        made.use("r2", "vault/2")
        self.assertEqual(made.delete()["Status"], "FAILED")
        made.service.resources.clear()
        self.assertEqual(made.delete()["Status"], "SUCCEEDED")

    def test_each_region_at_its_own_address(self):
        service = self.asked()
        service.url += "/{region}"
        made = Fixture(self, service)
        made.use("r2", "vault/1")
        self.assertEqual(made.delete()["Status"], "FAILED")
        service.resources.clear()
        self.assertEqual(made.delete()["Status"], "SUCCEEDED")
        prepared = [told for told in service.told if told[0] == "prepare"]
        self.assertEqual(len(prepared), 2, "each region fences for itself")

    def test_atk_f25_twelve_bad_services_and_a_good_one(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        pinned = certificates.chain(folder.name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pinned.chain, pinned.private)
        reasons = {
            "lies": "all, some or none", "partial": "did not look in `r2`", "hangs": "in time|longer",
            "drips": "in time|longer", "fails": "503", "redirects": "redirects are not followed",
            "garbage": "not what the contract says", "stale": "answered for epoch",
            "duplicate": "not proved", "forged": "not proved", "oversize": "above 1048576 bytes",
        }
        bad = {}
        for bend in reasons:
            made = Fixture(self, self.asked())
            if bend == "duplicate":
                # An honest answer first, which is then told again and again.
                made.use("r1", "vault/1")
                self.assertEqual(made.delete()["Status"], "FAILED")
                made.service.resources.clear()
            made.service.bend = bend
            bad[bend] = made
        wrong = Fixture(self, self.asked(context=context), certificates=["0" * 64])
        bad["certificate"], reasons["certificate"] = wrong, "certificate|issuer|Issuer"
        self.assertEqual(len(bad), 12)
        tasks = {bend: made.submit() for bend, made in bad.items()}
        # Others are served while these wait.
        good = Fixture(self, self.asked())
        self.assertEqual(good.delete()["Status"], "SUCCEEDED")
        self.assertEqual(bad["hangs"].status(tasks["hangs"])["Status"], "IN_PROGRESS")
        for bend, made in bad.items():
            with self.subTest(bend):
                status = made.end(tasks[bend])
                self.assertEqual(status["Status"], "FAILED")
                self.assertRegex(status["Reason"]["Reason"], reasons[bend])
                self.iam.get_role(RoleName=made.name)
                made.assumable()
        # The positive control: a right certificate.
        right = Fixture(self, self.asked(context=context), certificates=[pinned.sha256])
        self.assertEqual(right.delete()["Status"], "SUCCEEDED")

    def test_atk_f26_where_nobody_is_asked(self):
        asked = []
        host, port = self.server.endpoint.removeprefix("http://").split(":")
        for url, why in [
            ("http://169.254.169.254/latest/meta-data", "expected an address with `https://`"),
            ("https://169.254.169.254/latest/meta-data", "never asked"),
            ("https://[fe80::1]/", "never asked"),
            ("https://[::ffff:169.254.169.254]/", "never asked"),
            ("https://10.1.2.3/", "is not public"),
            ("https://192.168.0.1/", "is not public"),
            ("https://0.0.0.0/", "never asked"),
            ("http://10.1.2.3/", "expected an address with `https://`"),
            (f"http://{host}:{port}/v1/slr/list", "never asked"),
        ]:
            service = self.asked()
            service.url = url
            made = Fixture(self, service)
            asked.append((url, why, made, made.submit()))
        for url, why, made, task in asked:
            with self.subTest(url):
                status = made.end(task)
                self.assertEqual(status["Status"], "FAILED")
                self.assertIn(why, status["Reason"]["Reason"])
                self.assertNotIn("://1", status["Reason"]["Reason"], "tenants learn no addresses")
        # What the operator did not enrol is not taken from a service.
        service = self.asked()
        word = new_word()
        manifest = manifest_of(word, {"url": service.url, "contract": "fenced"})
        token = self.server.must("/v1/services/enrol", {"service": manifest["service"]})["token"]
        status, answer = self.server.send("/v1/services/register",
                                          json.dumps({"token": token, "manifest": manifest}),
                                          {"content-type": "application/json"})
        self.assertEqual(status, 400)
        self.assertIn("that the operator enrolled", answer["error"]["message"])

    def test_feature_26_a_callback_in_the_commands(self):
        made = Fixture(self, self.asked())
        path = os.path.join(self.server.folder.name, "manifest.json")
        with open(path, "w") as file:
            json.dump({**made.manifest, "callback": None}, file)
        code, out, err = self.server.linkrole("service", "update", "--manifest", path)
        self.assertNotEqual(code, 0)
        self.assertIn("lose its fence", err)
        code, out, err = self.server.linkrole("service", "show", made.principal, "--output", "json")
        self.assertEqual(json.loads(out)["callback"]["contract"], "fenced", err)


class AlibabaCallbacks(AlibabaCase):
    args = ("--services", "none")

    def test_feature_36_37_the_contract_of_alibaba_clouds_services(self):
        service = Asked(REGIONS)
        self.addCleanup(service.close)
        word = new_word()
        manifest = manifest_of(word, {"url": service.url, "contract": "alibaba",
                                      "allow_racy_delete": True})
        service.keys = self.server.service(manifest)
        name = f"AliyunServiceRoleForT{word}"
        made = self.ask_as(self.admin, "rm", "CreateServiceLinkedRole",
                           ServiceName=manifest["service"])["Role"]
        arn = made["Arn"]
        service.resources[arn] = {"r2": ["acs:t:r2:1:thing/1"]}

        def delete():
            task = self.ask_as(self.admin, "rm", "DeleteServiceLinkedRole", RoleName=name)
            deadline = time.monotonic() + 40
            while time.monotonic() < deadline:
                status = self.ask_as(self.admin, "rm", "GetServiceLinkedRoleDeletionStatus",
                                     DeletionTaskId=task["DeletionTaskId"])
                if status["Status"] in ("SUCCEEDED", "FAILED"):
                    return status
            raise AssertionError("it did not end")

        status = delete()
        self.assertEqual(status["Status"], "FAILED")
        self.assertIn("as it is in use by", status["Reason"]["Message"])
        self.assertEqual(status["Reason"]["RoleUsages"]["RoleUsage"],
                         [{"Region": "r2", "Resources": {"Resource": ["acs:t:r2:1:thing/1"]}}])
        action, query = service.told[0]
        self.assertEqual(action, "CheckServiceLinkedRoleForDeleting")
        self.assertEqual((query["RoleArn"], query["ServiceName"], query["SPIRegionId"]),
                         (arn, manifest["service"], "r1"))
        self.assertRegex(query["DeletionTaskId"], f"^task/acs-service-role/{manifest['service']}/")
        service.resources.clear()
        self.assertEqual(delete()["Status"], "SUCCEEDED")
        self.assertEqual(service.bad_signatures, 0)


class Killed(unittest.TestCase):
    """A server that dies while a service keeps it waiting."""

    def test_atk_f22_a_restart_asks_again_and_ends_the_task(self):
        server = Server("disk", "--callback-network", "127.0.0.0/8")
        self.server, self.iam = server, server.client("iam")
        service = Asked(REGIONS)
        self.addCleanup(service.close)
        made = Fixture(self, service)
        service.bend = "hangs"
        task = made.submit()
        deadline = time.monotonic() + 20
        while made.status(task)["Status"] != "IN_PROGRESS" and time.monotonic() < deadline:
            pass
        server.kill()
        service.bend = None
        server.start()
        self.iam = server.client("iam")
        self.assertEqual(made.end(task)["Status"], "SUCCEEDED")
        self.assertTrue(made.heard("committed"))
        server.stop()


if __name__ == "__main__":
    unittest.main()
