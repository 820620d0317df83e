"""The unmodified aws command line: every operation at least once, and presigned identity."""

import json
import secrets
import unittest

from harness import Case, Keys, allow

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


class CommandLine(Case):
    def ok(self, *args, keys=None):
        code, out, err = self.server.aws(*args, keys=keys)
        self.assertEqual(code, 0, f"{args}: {err}")
        return json.loads(out) if out.strip() else {}

    def no(self, code, *args, keys=None):
        status, out, err = self.server.aws(*args, keys=keys)
        self.assertNotEqual(status, 0, f"{args}: {out}")
        self.assertIn(f"({code})", err)
        return err

    def test_every_operation(self):
        word = secrets.token_hex(3)
        service = f"cli-{word}.example.com"
        keys = self.server.service({
            "service": service, "display_name": "C", "regions": ["r1"],
            "role": [{"name": f"Cli{word}", "policy_name": f"Cli{word}Policy",
                      "policy": allow("s3:*")}]})
        slr = f"AWSServiceRoleForCli{word}"
        iam = lambda op, *args, **kw: self.ok("iam", op, *args, **kw)
        trust = json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": self.account}, "Action": "sts:AssumeRole"}]})
        document = json.dumps(allow("s3:*"))

        made = iam("create-service-linked-role", "--aws-service-name", service)["Role"]
        self.assertEqual(made["RoleName"], slr)
        self.no("UnmodifiableEntity", "iam", "attach-role-policy", "--role-name", slr,
                "--policy-arn", ADMIN)
        self.no("AccessDenied", "sts", "assume-role", "--role-arn", made["Arn"],
                "--role-session-name", "me")
        session = Keys.of(self.ok("sts", "assume-role", "--role-arn", made["Arn"],
                                  "--role-session-name", "work", keys=keys)["Credentials"])
        self.assertIn(slr, self.ok("sts", "get-caller-identity", keys=session)["Arn"])
        task = iam("delete-service-linked-role", "--role-name", slr)["DeletionTaskId"]
        self.assertEqual(self.server.wait_deleted(self.iam, task)["Status"], "FAILED")
        status = iam("get-service-linked-role-deletion-status", "--deletion-task-id", task)
        self.assertIn("Role in use.", status["Reason"]["Reason"])

        user, role, policy = f"u{word}", f"r{word}", f"p{word}"
        iam("create-user", "--user-name", user)
        iam("get-user", "--user-name", user)
        iam("list-users")
        iam("update-user", "--user-name", user, "--new-path", "/x/")
        iam("put-user-policy", "--user-name", user, "--policy-name", "p", "--policy-document",
            document)
        iam("get-user-policy", "--user-name", user, "--policy-name", "p")
        iam("list-user-policies", "--user-name", user)
        iam("attach-user-policy", "--user-name", user, "--policy-arn", ADMIN)
        iam("list-attached-user-policies", "--user-name", user)
        key = iam("create-access-key", "--user-name", user)["AccessKey"]
        iam("list-access-keys", "--user-name", user)
        iam("update-access-key", "--user-name", user, "--access-key-id", key["AccessKeyId"],
            "--status", "Inactive")
        iam("get-access-key-last-used", "--access-key-id", key["AccessKeyId"])
        self.ok("sts", "get-access-key-info", "--access-key-id", key["AccessKeyId"])
        self.ok("sts", "get-session-token")

        iam("create-role", "--role-name", role, "--assume-role-policy-document", trust)
        iam("get-role", "--role-name", role)
        iam("list-roles")
        iam("update-role", "--role-name", role, "--description", "d")
        iam("update-role-description", "--role-name", role, "--description", "e")
        iam("update-assume-role-policy", "--role-name", role, "--policy-document", trust)
        iam("tag-role", "--role-name", role, "--tags", "Key=a,Value=b")
        iam("list-role-tags", "--role-name", role)
        iam("untag-role", "--role-name", role, "--tag-keys", "a")
        iam("put-role-policy", "--role-name", role, "--policy-name", "p", "--policy-document",
            document)
        iam("get-role-policy", "--role-name", role, "--policy-name", "p")
        iam("list-role-policies", "--role-name", role)
        iam("delete-role-policy", "--role-name", role, "--policy-name", "p")
        arn = iam("create-policy", "--policy-name", policy, "--policy-document",
                  document)["Policy"]["Arn"]
        iam("get-policy", "--policy-arn", arn)
        iam("get-policy-version", "--policy-arn", arn, "--version-id", "v1")
        iam("list-policies", "--scope", "Local")
        iam("create-policy-version", "--policy-arn", arn, "--policy-document", document)
        iam("list-policy-versions", "--policy-arn", arn)
        iam("set-default-policy-version", "--policy-arn", arn, "--version-id", "v2")
        iam("delete-policy-version", "--policy-arn", arn, "--version-id", "v1")
        iam("attach-role-policy", "--role-name", role, "--policy-arn", arn)
        iam("list-attached-role-policies", "--role-name", role)
        iam("list-entities-for-policy", "--policy-arn", arn)
        iam("detach-role-policy", "--role-name", role, "--policy-arn", arn)
        iam("put-role-permissions-boundary", "--role-name", role, "--permissions-boundary", arn)
        iam("delete-role-permissions-boundary", "--role-name", role)
        iam("list-instance-profiles-for-role", "--role-name", role)
        self.no("NoSuchEntity", "iam", "add-role-to-instance-profile", "--role-name", role,
                "--instance-profile-name", "i")
        self.no("UnmodifiableEntity", "iam", "remove-role-from-instance-profile", "--role-name",
                slr, "--instance-profile-name", "i")
        iam("delete-policy", "--policy-arn", arn)
        iam("delete-role", "--role-name", role)
        iam("detach-user-policy", "--user-name", user, "--policy-arn", ADMIN)
        iam("delete-user-policy", "--user-name", user, "--policy-name", "p")
        iam("delete-access-key", "--user-name", user, "--access-key-id", key["AccessKeyId"])
        iam("delete-user", "--user-name", user)

    def test_atk_a15_presigned_only_for_identity(self):
        import urllib.request
        import urllib.error
        url = self.sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
        with urllib.request.urlopen(url) as answer:
            self.assertIn(self.account.encode(), answer.read())
        url = self.iam.generate_presigned_url("list_users", ExpiresIn=60, HttpMethod="GET")
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url)
        self.assertEqual(caught.exception.code, 403)


if __name__ == "__main__":
    unittest.main()
