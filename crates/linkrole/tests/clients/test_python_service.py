"""A linked service in another language: `examples/notes`, run as it is, and called by an unmodified boto3."""

import json
import os
import pathlib
import socket
import stat
import subprocess
import sys
import unittest

import boto3
import botocore.session
from botocore.exceptions import ClientError
from harness import REGION, Case, Keys, allow

FOLDER = pathlib.Path(__file__).resolve().parents[4] / "examples/notes"
ROLE = "AWSServiceRoleForExampleNotes"


def free_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


class PythonService(Case):
    def setUp(self):
        self.address = free_address()
        self.data = pathlib.Path(self.server.folder.name, "notes")
        self.process = None
        self.addCleanup(self.stop)

    def start(self, *more):
        command = [sys.executable, FOLDER / "notes.py", "--linkrole", self.server.endpoint, "--listen", self.address,
                   "--data", self.data, *more]
        self.process = subprocess.Popen(command, env={**self.server.env, "PYTHONDONTWRITEBYTECODE": "1"}, text=True,
                                        stdout=subprocess.PIPE, stderr=self.server.log)
        line = self.process.stdout.readline()
        self.assertEqual(line, f"ready http://{self.address}\n", pathlib.Path(self.server.log.name).read_text())

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()

    def notes(self, keys):
        """The service's own client: boto3 with the service's model, as it takes any."""
        core = botocore.session.get_session()
        core.get_component("data_loader").search_paths.append(str(FOLDER / "models"))
        session = boto3.Session(keys.key, keys.secret, region_name=REGION, botocore_session=core)
        return session.client("notes", endpoint_url=f"http://{self.address}")

    def failed(self, code, status, call, **ask):
        with self.assertRaises(ClientError) as caught:
            call(**ask)
        error = caught.exception.response
        self.assertEqual((error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]), (code, status), error)
        return error["Error"]["Message"]

    def delete_role(self):
        task = self.iam.delete_service_linked_role(RoleName=ROLE)["DeletionTaskId"]
        return self.server.wait_deleted(self.iam, task)

    def uses(self, role):
        """The registered uses, asked for with the service's own key."""
        told = json.loads((self.data / "credentials.json").read_text())
        self.key = Keys(told["key"], told["secret"])
        status, answer = self.server.native(self.key, "/v1/usage/list", {"account": self.account, "role": role})
        self.assertEqual(status, 200, answer)
        return [use["resource"] for use in answer["usages"]]

    def test_a_service_needs_no_rust(self):
        self.let_in()
        arn = f"arn:aws:notes:local-1:{self.account}:note/one"
        without = self.server.user("without", allow("notes:*"))
        user = self.server.user("with", allow("notes:*", "iam:CreateServiceLinkedRole"))
        reader = self.server.user("reader", allow("notes:Get*", "notes:List*"))
        self.refuses_and_makes_nothing(without, reader)
        # The role comes in the user's name, and the service works with it.
        made = self.notes(user).put_note(Name="one", Text="first")
        self.assertEqual((made["Arn"], made["RoleCreated"]), (arn, True))
        role = self.iam.get_role(RoleName=ROLE)["Role"]
        self.assertEqual(self.uses(role["RoleId"]), [arn])
        trail = self.server.must("/v1/operator/trail", {"operation": "EnsureServiceLinkedRole"})["entries"]
        self.assertEqual([(e["actor"]["user_name"], e["actor"]["invoked_by"]) for e in trail if not e["denied"]],
                         [("with", "notes.example.com")])
        # Now that the role is there, who could not make it uses the service too.
        self.assertEqual(self.notes(without).put_note(Name="one", Text="second")["RoleCreated"], False)
        self.assertEqual(self.notes(reader).get_note(Name="one")["Text"], "second")
        self.works_within_its_policy(reader, user)
        # Used, so not to be deleted; and that is known after a crash too.
        status = self.delete_role()
        self.assertEqual((status["Status"], status["Reason"]["RoleUsageList"]),
                         ("FAILED", [{"Region": "local-1", "Resources": [arn]}]), status)
        self.crashes(role["RoleId"], arn)
        # Without notes it goes at once, though a session would have lived on.
        self.notes(user).delete_note(Name="one")
        self.assertEqual(self.notes(user).list_notes()["Names"], [])
        self.assertEqual(self.delete_role()["Status"], "SUCCEEDED")
        said = self.failed("ServiceLinkedRoleMissing", 409, self.notes(reader).list_people)
        self.assertIn("put a note", said)
        # The service is enabled again like the first time, and only by who may.
        self.failed("AccessDenied", 403, self.notes(without).put_note, Name="two", Text="")
        self.assertTrue(self.notes(user).put_note(Name="two", Text="again")["RoleCreated"])
        again = self.iam.get_role(RoleName=ROLE)["Role"]
        self.assertEqual((again["Arn"], again["RoleId"] != role["RoleId"]), (role["Arn"], True))
        self.assertIn("reader", self.notes(reader).list_people()["Names"])

    def let_in(self):
        """The operator enrols it; it registers itself, and keeps its key to itself."""
        token = os.path.join(self.server.folder.name, "token")
        code, _, err = self.server.linkrole("service", "enrol", "notes.example.com", "--token-file", token)
        self.assertEqual(code, 0, err)
        self.start("--token-file", token)
        kept = self.data / "credentials.json"
        self.assertEqual(stat.S_IMODE(kept.stat().st_mode), 0o600)
        shown = self.server.must("/v1/services/show", {"service": "notes.example.com"})["service"]
        self.assertEqual(shown["hosts"], [self.address])

    def refuses_and_makes_nothing(self, without, reader):
        said = self.failed("AccessDenied", 403, self.notes(without).put_note, Name="one", Text="first")
        self.assertIn("iam:CreateServiceLinkedRole", said)
        said = self.failed("AccessDenied", 403, self.notes(reader).put_note, Name="one", Text="first")
        self.assertIn("notes:PutNote", said)
        self.failed("SignatureDoesNotMatch", 403, self.notes(Keys(without.key, "no")).put_note, Name="one", Text="")
        self.failed("NoSuchNote", 404, self.notes(reader).get_note, Name="one")
        self.failed("ServiceLinkedRoleMissing", 409, self.notes(reader).list_people)
        self.refused("NoSuchEntity", 404, None, self.iam.get_role, RoleName=ROLE)
        self.assertFalse((self.data / "notes.json").exists())

    def works_within_its_policy(self, reader, user):
        """What the role's policy says, in linkrole itself; neither more nor anything of the caller's."""
        self.assertLessEqual({"with", "without", "reader"}, set(self.notes(reader).list_people()["Names"]))
        self.refused("AccessDenied", 403, None, self.server.client("iam", reader).list_users)
        said = self.notes(user).remove_person(Name="reader")
        self.assertEqual(said["Code"], "AccessDenied")
        self.assertIn("iam:DeleteUser", said["Message"])
        self.assertIn(f"assumed-role/{ROLE}/notes", said["Message"])
        self.iam.get_user(UserName="reader")

    def crashes(self, role, arn):
        """It is killed between a use and its note: no note, so no use after the next start, which needs no token."""
        self.assertEqual(self.uses(role), [arn])
        status, answer = self.server.native(self.key, "/v1/usage/register", {
            "account": self.account, "role": role, "region": "local-1", "resource": arn + "-never-made"})
        self.assertEqual(status, 200, answer)
        self.assertEqual(len(self.uses(role)), 2)
        self.stop()
        self.start()
        self.assertEqual(self.uses(role), [arn])


if __name__ == "__main__":
    unittest.main()
