"""Providers of identities by OpenID Connect, and roles assumed with their tokens, against a real issuer over TLS."""

import hashlib
import hmac
import json
import os
import secrets
import tempfile
import time
import unittest
import urllib.parse
from unittest import mock

import certifi
from alibabacloud_credentials.client import Client as Credentials
from alibabacloud_credentials.models import Config as CredentialsConfig
from alibabacloud_ims20190815 import models as ims_models
from alibabacloud_ram20150501 import models as ram_models
from alibabacloud_ram20150501.client import Client as Ram
from alibabacloud_tea_openapi import models as openapi
from cryptography.hazmat.primitives import serialization

from alibaba import AlibabaCase, unseen
from harness import Keys
from issuer import Issuer, text64

NO = "AuthenticationFail.NoPermission"
INVALID = "AuthenticationFail.OIDCToken.Invalid"


class ByToken(AlibabaCase):
    only = "dev"

    def setUp(self):
        self.issuer = Issuer(self)
        self.provider = "P" + secrets.token_hex(4)
        self.arn_of_provider = f"acs:ram::{self.home}:oidc-provider/{self.provider}"

    def provide(self, issuer=None, **more):
        issuer = issuer or self.issuer
        given = {"OIDCProviderName": self.provider, "IssuerUrl": issuer.url,
                 "Fingerprints": issuer.fingerprint, "ClientIds": "cloud,other", **more}
        return self.ask("ims", "CreateOIDCProvider", **given)["OIDCProvider"]

    def trusting(self, **conditions):
        """A role that trusts the provider, for one subject."""
        name = "F" + secrets.token_hex(4)
        held = {"oidc:aud": "cloud", "oidc:sub": "system:serviceaccount:shop:cart", **conditions}
        trust = {"Version": "1", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Federated": [self.arn_of_provider]},
            "Condition": {"StringEquals": held}}]}
        self.ask("ram", "CreateRole", RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        return name

    def assume(self, role, token, **more):
        query = urllib.parse.urlencode({
            "Action": "AssumeRoleWithOIDC", "Version": "2015-04-01", "Format": "JSON",
            "RoleArn": self.arn(role), "OIDCProviderArn": self.arn_of_provider,
            "OIDCToken": token, "RoleSessionName": "work", **more})
        status, _, text = self.send("POST", query)
        return status, json.loads(text)

    def test_providers(self):
        ims = self.sdk("ims")
        pin = hashlib.sha1(b"a").hexdigest()
        made = ims.create_oidcprovider(ims_models.CreateOIDCProviderRequest(
            oidcprovider_name=self.provider, issuer_url="https://id.example.com/a~b",
            fingerprints=pin.upper(), client_ids="one,two", issuance_limit_time=12,
            description="größe")).body.oidcprovider
        self.assertEqual((made.arn, made.fingerprints, made.client_ids, made.issuance_limit_time),
                         (self.arn_of_provider, pin, "one,two", 12))
        name = {"OIDCProviderName": self.provider}
        self.ask("ims", "AddClientIdToOIDCProvider", **name, ClientId="three")
        self.ask("ims", "RemoveClientIdFromOIDCProvider", **name, ClientId="one")
        self.ask("ims", "AddFingerprintToOIDCProvider", **name, Fingerprint="0" * 40)
        self.ask("ims", "RemoveFingerprintFromOIDCProvider", **name, Fingerprint=pin)
        ims.update_oidcprovider(ims_models.UpdateOIDCProviderRequest(
            oidcprovider_name=self.provider, new_description="b", issuance_limit_time=1))
        found = ims.get_oidcprovider(ims_models.GetOIDCProviderRequest(
            oidcprovider_name=self.provider.lower())).body.oidcprovider
        self.assertEqual((found.client_ids, found.fingerprints, found.description,
                          found.issuance_limit_time), ("two,three", "0" * 40, "b", 1))
        rows = ims.list_oidcproviders(ims_models.ListOIDCProvidersRequest(
            max_items=100)).body.oidcproviders.oidcprovider
        self.assertIn(self.arn_of_provider, [row.arn for row in rows])
        create = {**name, "IssuerUrl": "https://id.example.com/c", "ClientIds": "one"}
        for status, code, more in (
                (409, "EntityAlreadyExists.OIDCProvider", {}),
                (409, "EntityAlreadyExists.OIDCProvider",
                 {"OIDCProviderName": "x" + self.provider,
                  "IssuerUrl": "https://id.example.com/a~b"}),
                (400, "InvalidParameter.OIDCProviderName.InvalidChars", {"OIDCProviderName": "a/b"}),
                (400, "InvalidParameter.IssuerUrl.InvalidChars", {"IssuerUrl": "http://a.example"}),
                (400, "InvalidParameter.IssuerUrl.InvalidChars", {"IssuerUrl": "https://a/?b"}),
                (400, "InvalidParameter.IssuerUrl.InvalidChars", {"IssuerUrl": "https://u@a/b"}),
                (400, "InvalidParameter.IssuerUrl.InvalidChars", {"IssuerUrl": "https://a:0/b"}),
                (400, "InvalidParameter.IssuerUrl.InvalidChars", {"IssuerUrl": "https://a/../b"}),
                (400, "InvalidParameter.Fingerprints.Length", {"Fingerprints": "00"}),
                (400, "InvalidParameter.ClientIds.InvalidChars", {"ClientIds": "a b"}),
                (400, "InvalidParameter.IssuanceLimitTime", {"IssuanceLimitTime": "169"}),
                (400, "MissingIssuerUrl", {"IssuerUrl": None})):
            with self.subTest(code=code, more=more):
                self.wrong(status, code, None, "ims", "CreateOIDCProvider", **{**create, **more})
        ims.delete_oidcprovider(ims_models.DeleteOIDCProviderRequest(
            oidcprovider_name=self.provider))
        self.wrong(404, "EntityNotExist.OIDCProvider", None, "ims", "GetOIDCProvider", **name)

    def test_a_role_is_assumed_with_a_token(self):
        self.provide()
        role = self.trusting()
        self.ask("ram", "AttachPolicyToRole", RoleName=role, PolicyType="System",
                 PolicyName="AliyunRAMReadOnlyAccess")
        status, made = self.assume(role, self.issuer.token())
        self.assertEqual(status, 200, made)
        info = made["OIDCTokenInfo"]
        self.assertEqual((info["Subject"], info["Issuer"], info["ClientIds"]),
                         ("system:serviceaccount:shop:cart", self.issuer.url, "cloud"))
        self.assertEqual(made["AssumedRoleUser"]["Arn"], f"{self.arn(role)}/work")
        keys = Keys(*(made["Credentials"][name] for name in
                      ("AccessKeyId", "AccessKeySecret", "SecurityToken")))
        self.ask_as(keys, "ram", "ListRoles")
        self.wrong(403, "NoPermission", None, "ram", "CreateGroup", keys, GroupName="x")
        asked = len(self.issuer.asked)
        self.assertEqual(self.assume(role, self.issuer.token())[0], 200)
        self.assertEqual(len(self.issuer.asked), asked, "keys are kept")
        events = self.ask("trail", "LookupEvents", **{
            "LookupAttribute.1.Key": "ResourceName", "LookupAttribute.1.Value": role})["Events"]
        event = [e for e in events if e["eventName"] == "AssumeRoleWithOIDC"][0]
        self.assertEqual(event["userIdentity"]["userName"], "system:serviceaccount:shop:cart")
        self.assertNotIn(made["Credentials"]["SecurityToken"], json.dumps(events))
        self.assertNotIn(self.issuer.token().split(".")[2][:20], json.dumps(events))
        # A session policy narrows; so does the shortest time.
        narrow = json.dumps({"Version": "1", "Statement": [{
            "Effect": "Allow", "Action": "ram:GetRole", "Resource": "*"}]})
        status, made = self.assume(role, self.issuer.token(), Policy=narrow, DurationSeconds="900")
        keys = Keys(*(made["Credentials"][name] for name in
                      ("AccessKeyId", "AccessKeySecret", "SecurityToken")))
        self.wrong(403, "NoPermission", None, "ram", "ListRoles", keys)

    def test_atk_e04_a_forged_or_foreign_token_is_refused(self):
        self.provide()
        role = self.trusting()
        token = self.issuer.token
        self.assertEqual(self.assume(role, token())[0], 200, "positive control")
        now = int(time.time())
        public = self.issuer.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        head, body, signature = token().split(".")
        confused = text64(b'{"alg":"HS256","kid":"k1"}') + "." + body
        mac = text64(hmac.new(public, confused.encode(), hashlib.sha256).digest())
        other = Issuer(self)
        for why, text in {
                "no algorithm": text64(b'{"alg":"none","kid":"k1"}') + f".{body}.",
                "the public key as a secret": f"{confused}.{mac}",
                "another key": token(key=other.key),
                "another issuer's": other.token(),
                "another issuer's name": token(iss=other.url),
                "a key id that is not published": token(header={"kid": "k2"}),
                "critical members": token(header={"crit": ["exp"]}),
                "another body": f"{head}.{text64(json.dumps({'sub': 'root'}).encode())}.{signature}",
                "for another client": token(aud="stranger"),
                "for several": token(aud=["cloud", "other"]),
                "for another party": token(azp="stranger"),
                "issued in the future": token(iat=now + 400),
                "not valid yet": token(nbf=now + 400),
                "without an end": token(exp=None),
                "without a subject": token(sub=None),
                "no token": "xxxx"}.items():
            with self.subTest(why):
                status, answer = self.assume(role, text)
                self.assertEqual((status, answer["Code"]), (400, INVALID), answer)
        status, answer = self.assume(role, token(exp=now - 400))
        self.assertEqual((status, answer["Code"]), (400, "AuthenticationFail.OIDCToken.Expired"))
        self.assertEqual(answer["Message"], "This JWT Token is expired.")

    def test_trust_alone_decides_and_strangers_learn_nothing(self):
        self.provide()
        token = self.issuer.token
        role = self.trusting()
        self.assertEqual(self.assume(role, token())[0], 200, "positive control")
        manifest = unseen()
        self.server.service(manifest)
        linked = self.ask("rm", "CreateServiceLinkedRole",
                          ServiceName=manifest["service"])["Role"]["RoleName"]
        answers = []
        for refused in (self.trusting(**{"oidc:sub": "other"}), self.trusting(**{"oidc:aud": "x"}),
                        self.trusting(**{"oidc:iss": "https://other.example.com"}),
                        self.role(), self.role({"RAM": [f"acs:ram::{self.home}:root"]}),
                        linked, "no-such-role"):
            status, answer = self.assume(refused, token())
            answers.append((status, answer["Code"], answer["Message"]))
        self.assertEqual(self.assume(self.trusting(**{"oidc:iss": self.issuer.url}), token())[0], 200)
        arn, self.arn_of_provider = self.arn_of_provider, self.arn_of_provider + "x"
        status, answer = self.assume(role, token())
        answers.append((status, answer["Code"], answer["Message"]))
        self.arn_of_provider = arn
        self.assertEqual(set(answers), {
            (403, NO, "This operation is forbidden by permission system.")})
        for more, code in (({"RoleArn": "x"}, "InvalidParameter.RoleArn"),
                           ({"OIDCProviderArn": "x"}, "InvalidParameter.OIDCProviderArn"),
                           ({"OIDCToken": ""}, "MissingOIDCToken")):
            self.assertEqual(self.assume(role, token(), **more)[1]["Code"], code)
        # A provider that no longer takes the client, and one that is gone.
        name = {"OIDCProviderName": self.provider}
        self.ask("ims", "RemoveClientIdFromOIDCProvider", **name, ClientId="cloud")
        self.assertEqual(self.assume(role, token())[1]["Code"], INVALID)
        self.ask("ims", "AddClientIdToOIDCProvider", **name, ClientId="cloud")
        self.assertEqual(self.assume(role, token())[0], 200)
        self.ask("ims", "UpdateOIDCProvider", **name, IssuanceLimitTime="1")
        old = token(iat=int(time.time()) - 2 * 3600)
        self.assertEqual(self.assume(role, old)[1]["Code"], "AuthenticationFail.OIDCToken.Expired")
        self.ask("ims", "DeleteOIDCProvider", **name)
        self.assertEqual(self.assume(role, token())[1]["Code"], NO)

    def test_atk_e07_an_issuer_leads_nowhere_else(self):
        role = None
        for why, change in {
                "another issuer in its document": lambda i: i.publish(issuer="https://x.example"),
                "keys without TLS": lambda i: i.publish(
                    keys_at=i.url.replace("https:", "http:") + "/keys"),
                "a redirect": lambda i: i.answers.update({"/realm/keys": (
                    302, {"location": i.url + "/keys2"}, b"")}),
                "a huge document": lambda i: i.answers.update({"/realm/keys": (
                    200, {}, b"{" + b" " * 70_000 + i.answers["/realm/keys"][2][1:])}),
                "no keys": lambda i: i.answers.update({"/realm/keys": (200, {}, b"[]")}),
                "an error": lambda i: i.answers.update({"/realm/keys": (500, {}, b"")}),
                "a key for encryption": lambda i: i.publish(use="enc"),
        }.items():
            with self.subTest(why):
                self.setUp()
                change(self.issuer)
                self.issuer.answers["/realm/keys2"] = self.issuer.answers["/realm/keys"]
                self.provide()
                role = self.trusting()
                status, answer = self.assume(role, self.issuer.token())
                self.assertEqual((status, answer["Code"]), (400, INVALID), answer)
                # A stranger cannot make it ask again and again.
                asked = len(self.issuer.asked)
                self.assume(role, self.issuer.token())
                self.assertEqual(len(self.issuer.asked), asked)
        for why, pin in (("another certificate", "0" * 40), ("no certificate of ours", "")):
            with self.subTest(why):
                self.setUp()
                self.provide(Fingerprints=pin)
                status, answer = self.assume(self.trusting(), self.issuer.token())
                self.assertEqual((status, answer["Code"]), (400, INVALID), answer)
                self.assertEqual(self.issuer.asked, [])

    def test_the_credentials_library_assumes_with_a_token(self):
        self.provide()
        role = self.trusting()
        self.ask("ram", "AttachPolicyToRole", RoleName=role, PolicyType="System",
                 PolicyName="AliyunRAMReadOnlyAccess")
        place = self.server.endpoint.removeprefix("http://")
        with tempfile.TemporaryDirectory() as folder:
            bundle, token = (os.path.join(folder, name) for name in ("bundle.pem", "token"))
            with open(bundle, "w") as whole:
                for part in (certifi.where(), self.server.exported["LINKROLE_CERTIFICATE"]):
                    with open(part) as text:
                        whole.write(text.read() + "\n")
            with open(token, "w") as file:
                file.write(self.issuer.token())
            with mock.patch("certifi.where", return_value=bundle):
                provider = Credentials(CredentialsConfig(
                    type="oidc_role_arn", role_arn=self.arn(role), role_session_name="library",
                    oidc_provider_arn=self.arn_of_provider, oidc_token_file_path=token,
                    sts_endpoint=place))
                self.assertTrue(provider.get_credential().access_key_id.startswith("STS."))
                ram = Ram(openapi.Config(credential=provider, endpoint=place, protocol="https"))
                rows = ram.list_roles(ram_models.ListRolesRequest()).body.roles.role
        self.assertIn(role, [row.role_name for row in rows])


class OfAServer(AlibabaCase):
    only = "disk"

    def test_atk_e07_private_addresses_are_not_reached_unless_the_operator_says_so(self):
        issuer = Issuer(self)
        name = "P" + secrets.token_hex(4)
        arn = f"acs:ram::{self.home}:oidc-provider/{name}"
        self.ask("ims", "CreateOIDCProvider", OIDCProviderName=name, IssuerUrl=issuer.url,
                 Fingerprints=issuer.fingerprint, ClientIds="cloud")
        role = self.role({"Federated": [arn]})
        query = urllib.parse.urlencode({
            "Action": "AssumeRoleWithOIDC", "Version": "2015-04-01", "RoleArn": self.arn(role),
            "OIDCProviderArn": arn, "OIDCToken": issuer.token(), "RoleSessionName": "work"})
        status, _, text = self.send("POST", query)
        self.assertEqual((status, json.loads(text)["Code"]), (400, INVALID))
        self.assertEqual(issuer.asked, [])
        self.server.kill()
        self.server.args = ("--private-issuers",)
        self.server.start()
        status, _, text = self.send("POST", query)
        self.assertEqual(status, 200, text)
        self.assertEqual(len(issuer.asked), 2)


if __name__ == "__main__":
    unittest.main()
