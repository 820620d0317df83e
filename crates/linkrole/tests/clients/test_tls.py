"""TLS: the certificate that `dev` makes, certificates of files, and clients that speak nothing else."""

import json
import os
import ssl
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request
from unittest import mock

import boto3
import certifi
from alibabacloud_credentials.client import Client as Credentials
from alibabacloud_credentials.models import Config as CredentialsConfig
from alibabacloud_ram20150501 import models as ram_models
from alibabacloud_ram20150501.client import Client as Ram
from alibabacloud_tea_openapi import models as openapi

import certificates
from alibaba import AlibabaCase
from botocore.exceptions import ClientError
from harness import BINARY, allow


class OfDev(AlibabaCase):
    only = "dev"

    def setUp(self):
        self.certificate = self.server.exported["LINKROLE_CERTIFICATE"]
        self.place = self.server.endpoint.removeprefix("http://")

    def test_one_port_speaks_both(self):
        trusting = ssl.create_default_context(cafile=self.certificate)
        for host in (self.place, self.place.replace("127.0.0.1", "localhost")):
            with urllib.request.urlopen(f"https://{host}/readyz", context=trusting) as answer:
                self.assertEqual(answer.read(), b"ok\n")
        with urllib.request.urlopen(f"http://{self.place}/readyz") as answer:
            self.assertEqual(answer.read(), b"ok\n")
        with self.assertRaises(urllib.error.URLError):
            urllib.request.urlopen(f"https://{self.place}/readyz")
        self.assertEqual(os.stat(self.certificate).st_mode & 0o777, 0o600)

    def test_boto3_over_tls(self):
        keys = self.server.admin
        sts = boto3.client("sts", endpoint_url=f"https://{self.place}", region_name="eu-test-1",
                           aws_access_key_id=keys.key, aws_secret_access_key=keys.secret,
                           verify=self.certificate)
        self.assertEqual(sts.get_caller_identity()["Account"], self.account)

    def test_our_own_command_line_over_tls(self):
        def run(*args, **env):
            done = subprocess.run([BINARY, *args, "--endpoint", f"https://{self.place}"],
                                  env={**self.server.env, "AWS_ACCESS_KEY_ID": self.server.admin.key,
                                       "AWS_SECRET_ACCESS_KEY": self.server.admin.secret, **env},
                                  capture_output=True, text=True)
            return done.returncode, done.stdout, done.stderr

        for args in (("slr", "list"), ("health",)):
            code, out, err = run(*args, AWS_CA_BUNDLE=self.certificate)
            self.assertEqual(code, 0, err)
            # Nobody is believed who is not to be trusted.
            code, out, err = run(*args)
            self.assertNotEqual(code, 0, out)
            self.assertIn("certificate", err)
            code, out, err = run(*args, AWS_CA_BUNDLE=certificates.chain(self.server.folder.name)[0])
            self.assertNotEqual(code, 0, out)
        code, out, err = run("slr", "list", AWS_CA_BUNDLE="/nowhere")
        self.assertIn("/nowhere", err)

    def test_atk_d06_a_secure_transport_is_not_claimed_by_a_header(self):
        secure = {"Bool": {"aws:SecureTransport": "true"}}
        keys = self.server.user("secure", allow("iam:ListUsers", condition=secure))

        def client(scheme):
            made = boto3.client("iam", endpoint_url=f"{scheme}://{self.place}",
                                region_name="eu-test-1", aws_access_key_id=keys.key,
                                aws_secret_access_key=keys.secret, verify=self.certificate)
            made.meta.events.register("before-sign.*.*", lambda request, **_: [
                request.headers.add_header(name, "https") for name in
                ("X-Forwarded-Proto", "X-Forwarded-Ssl", "Forwarded")])
            return made

        self.assertTrue(client("https").list_users()["Users"])
        with self.assertRaises(ClientError) as caught:
            client("http").list_users()
        self.assertEqual(caught.exception.response["Error"]["Code"], "AccessDenied")

    def test_the_credentials_library_assumes_a_role_and_refreshes(self):
        """It speaks HTTPS only and trusts its bundled file only, to which the certificate is added."""
        role = self.role()
        self.ask("ram", "AttachPolicyToRole", RoleName=role, PolicyType="System",
                 PolicyName="AliyunRAMReadOnlyAccess")
        with tempfile.TemporaryDirectory() as folder:
            bundle = os.path.join(folder, "bundle.pem")
            with open(bundle, "w") as whole:
                for part in (certifi.where(), self.certificate):
                    with open(part) as text:
                        whole.write(text.read() + "\n")
            with mock.patch("certifi.where", return_value=bundle):
                provider = Credentials(CredentialsConfig(
                    type="ram_role_arn", access_key_id=self.admin.key,
                    access_key_secret=self.admin.secret, role_arn=self.arn(role),
                    role_session_name="library", sts_endpoint=self.place,
                    role_session_expiration=900,
                    # Without spaces: the library signs them as `+`, which no server does.
                    policy=json.dumps({"Version": "1", "Statement": [{
                        "Effect": "Allow", "Action": "ram:List*", "Resource": "*"}]},
                        separators=(",", ":"))))
                first = provider.get_credential()
                self.assertTrue(first.access_key_id.startswith("STS."))
                # It refreshes what has less than a quarter of an hour left, which these have.
                self.assertNotEqual(provider.get_credential().access_key_id, first.access_key_id)
                lasting = Credentials(CredentialsConfig(
                    type="ram_role_arn", access_key_id=self.admin.key,
                    access_key_secret=self.admin.secret, role_arn=self.arn(role),
                    role_session_name="lasting", sts_endpoint=self.place))
                self.assertEqual(lasting.get_credential().access_key_id,
                                 lasting.get_credential().access_key_id)
                ram = Ram(openapi.Config(credential=provider, endpoint=self.place,
                                         protocol="https"))
                names = [r.role_name for r in
                         ram.list_roles(ram_models.ListRolesRequest()).body.roles.role]
        self.assertIn(role, names)
        event = self.ask("trail", "LookupEvents", **{
            "LookupAttribute.1.Key": "EventName", "LookupAttribute.1.Value": "AssumeRole",
            "LookupAttribute.2.Key": "ResourceName", "LookupAttribute.2.Value": role})["Events"][0]
        self.assertEqual(event["additionalEventData"]["Scheme"], "https")


class OfFiles(unittest.TestCase):
    def test_serve_speaks_tls_and_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(folder, "data")
            subprocess.run([BINARY, "init", "--data-dir", data], check=True, capture_output=True)
            certificate, key = certificates.chain(folder)[:2]
            serve = [BINARY, "serve", "--data-dir", data, "--listen", "127.0.0.1:0"]
            process = subprocess.Popen([*serve, "--tls-certificate", certificate, "--tls-key", key],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                word, endpoint = process.stdout.readline().split()
                self.assertEqual((word, endpoint[:8]), ("ready", "https://"))
                trusting = ssl.create_default_context(cafile=certificate)
                with urllib.request.urlopen(endpoint + "/readyz", context=trusting) as answer:
                    self.assertEqual(answer.read(), b"ok\n")
                with self.assertRaises(urllib.error.HTTPError) as caught:
                    urllib.request.urlopen(endpoint.replace("https", "http") + "/readyz")
                self.assertEqual(caught.exception.code, 400)
                self.assertIn(b"https", caught.exception.read())
                old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                old.load_verify_locations(certificate)
                old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
                with urllib.request.urlopen(endpoint + "/livez", context=old) as answer:
                    self.assertEqual(answer.status, 200)
            finally:
                process.terminate()
                self.assertEqual(process.wait(30), 0)
                process.stdout.close()

            def refused(*arguments):
                done = subprocess.run([*serve, *arguments], capture_output=True, text=True)
                self.assertNotEqual(done.returncode, 0)
                return done.stderr

            self.assertIn("expected PEM text",
                          refused("--tls-certificate", key, "--tls-key", certificate))
            _, other = certificates.chain(tempfile.mkdtemp(dir=folder))[:2]
            self.assertIn("do not go together",
                          refused("--tls-certificate", certificate, "--tls-key", other))
            self.assertIn("--tls-key", refused("--tls-certificate", certificate))
            serve[-1] = "0.0.0.0:0"
            self.assertIn("--tls-certificate", refused())


if __name__ == "__main__":
    unittest.main()
