"""Credentials without code: unmodified clients of both clouds get a role's sessions from the agent."""

import json
import os
import secrets
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

from alibaba import AlibabaCase
from harness import BINARY, Keys, allow

# What a program does that knows nothing of linkrole: it names no key.
ALIBABA_PROGRAM = """
from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
found = Client(Config(type="credentials_uri")).get_credential()
print(found.access_key_id, found.access_key_secret, found.security_token)
"""


class Agent(AlibabaCase):
    def setUp(self):
        word = "a" + secrets.token_hex(3)
        self.principal = f"{word}.example.com"
        self.name = f"A{word}"
        self.keys = self.server.service({
            "service": self.principal, "display_name": "A", "regions": ["r1"],
            "role": [{"name": self.name, "policy_name": self.name + "P",
                      "policy": allow("iam:ListUsers"),
                      "ram_policy": {"Version": "1", "Statement": [{
                          "Effect": "Allow", "Action": "ram:ListUsers", "Resource": "*"}]}}]})
        self.role = self.iam.create_service_linked_role(AWSServiceName=self.principal)["Role"]["Arn"]

    def env(self, **more):
        bare = {name: value for name, value in self.server.env.items()
                if not name.startswith(("AWS_", "ALIBABA_"))}
        return {**bare, "AWS_ENDPOINT_URL": self.server.endpoint, "AWS_DEFAULT_REGION": "r1",
                "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": "", "HOME": self.server.folder.name, **more}

    def keyed(self):
        return self.env(AWS_ACCESS_KEY_ID=self.keys.key, AWS_SECRET_ACCESS_KEY=self.keys.secret)

    def agent(self, role, *args, **env):
        """A running agent; answers what it tells programs to set."""
        process = subprocess.Popen(
            [BINARY, "agent", "--role", role, "--listen", "127.0.0.1:0", *args],
            env={**self.keyed(), **env},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def end():
            process.terminate()
            self.assertEqual(process.wait(30), 0)
            process.stdout.close()
            process.stderr.close()
        told = {}
        for line in process.stdout:
            if line.startswith("export "):
                name, value = line.removeprefix("export ").strip().split("=", 1)
                told[name] = value
            if line.startswith("ready"):
                break
        else:
            self.fail(process.stderr.read())
        self.addCleanup(end)
        return told

    def aws(self, *args, **env):
        done = subprocess.run([sys.executable, "-m", "awscli", *args], env=self.env(**env),
                              capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def ask(self, url, headers=None):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {})) as got:
                return got.status, json.load(got)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def test_feature_60_a_container_endpoint_for_aws(self):
        told = self.agent(self.role)
        aws = {name: value for name, value in told.items() if name.startswith("AWS_")}
        code, out, err = self.aws("sts", "get-caller-identity", **aws)
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(out)["Arn"],
                         f"arn:aws:sts::{self.account}:assumed-role/AWSServiceRoleFor{self.name}/agent")
        code, _, err = self.aws("iam", "list-users", **aws)
        self.assertEqual(code, 0, err)
        code, _, err = self.aws("iam", "list-roles", **aws)
        self.assertIn("AccessDenied", err)
        url, token = (told["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
                      told["AWS_CONTAINER_AUTHORIZATION_TOKEN"])
        status, one = self.ask(url, {"Authorization": token})
        self.assertEqual((status, set(one)), (200, {"AccessKeyId", "SecretAccessKey", "Token",
                                                    "Expiration"}))
        self.assertEqual(self.ask(url, {"Authorization": token}), (200, one), "one session is shared")
        for headers in ({}, {"Authorization": token[:-1] + "x"},
                        {"Authorization": token, "Host": "rebound.example.com"}):
            status, answer = self.ask(url, headers)
            self.assertIn(status, (401, 403))
            self.assertNotIn("SecretAccessKey", answer)

    def test_feature_60_an_agent_reaches_its_server_over_tls(self):
        told = self.agent(self.role, AWS_ENDPOINT_URL=self.server.endpoint.replace("http", "https"),
                          AWS_CA_BUNDLE=self.server.exported["LINKROLE_CERTIFICATE"])
        code, out, err = self.aws("sts", "get-caller-identity", **{
            name: value for name, value in told.items() if name.startswith("AWS_")})
        self.assertEqual(code, 0, err)

    def test_feature_60_a_token_file_is_kept(self):
        file = os.path.join(self.server.folder.name, secrets.token_hex(4))
        told = self.agent(self.role, "--token-file", file)
        self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
        with open(file) as text:
            token = text.read()
        self.assertTrue(told["ALIBABA_CLOUD_CREDENTIALS_URI"].endswith("/" + token))
        self.assertEqual(told["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"], file)
        code, _, err = self.aws("iam", "list-users", **{
            name: value for name, value in told.items() if name.startswith("AWS_")})
        self.assertEqual(code, 0, err)
        again = self.agent(self.role, "--token-file", file)
        self.assertTrue(again["ALIBABA_CLOUD_CREDENTIALS_URI"].endswith("/" + token))

    def test_feature_60_a_credential_process_for_aws(self):
        file = os.path.join(self.server.folder.name, secrets.token_hex(4))
        with open(file, "w") as config:
            config.write(f"[default]\ncredential_process = env AWS_ACCESS_KEY_ID={self.keys.key} "
                         f"AWS_SECRET_ACCESS_KEY={self.keys.secret} {BINARY} agent --once "
                         f"--role {self.role} --session proc\n")
        code, out, err = self.aws("sts", "get-caller-identity", AWS_CONFIG_FILE=file)
        self.assertEqual(code, 0, err)
        self.assertTrue(json.loads(out)["Arn"].endswith(f"AWSServiceRoleFor{self.name}/proc"))

    def test_feature_60_a_credentials_uri_for_alibaba_cloud(self):
        made = self.ask_as(self.admin, "rm", "CreateServiceLinkedRole", ServiceName=self.principal)
        told = self.agent(made["Role"]["Arn"])
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", ALIBABA_PROGRAM],
                              env=self.env(**told), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        session = Keys(*done.stdout.split())
        me = self.ask_as(session, "sts", "GetCallerIdentity")
        self.assertEqual(me["Arn"], f"acs:ram::{self.home}:role/"
                                    f"aliyunservicerolefor{self.name.lower()}/agent")
        self.ask_as(session, "ram", "ListUsers")
        status, answer = self.raw(session, "ram", "ListRoles")
        self.assertEqual((status, answer["Code"]), (403, "NoPermission"), answer)

    def test_what_an_agent_refuses(self):
        for args, text in (
                (["--role", self.role.replace(self.principal, "other.example.com")], "not authorized"),
                (["--role", self.role, "--listen", "0.0.0.0:0"], "loopback"),
                (["--role", self.role, "--credentials", "/nowhere"], "no such file")):
            done = subprocess.run([BINARY, "agent", *args], env=self.keyed(), capture_output=True,
                                  text=True, timeout=30)
            self.assertEqual(done.returncode, 1, args)
            self.assertIn(text, done.stderr)
        done = subprocess.run([BINARY, "agent", "--role", self.role], env=self.env(),
                              capture_output=True, text=True, timeout=30)
        self.assertIn("no access key", done.stderr)


if __name__ == "__main__":
    unittest.main()
