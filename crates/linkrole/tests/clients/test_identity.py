"""A linked service proves who it is without a key that it keeps, against a real issuer over TLS."""

import base64
import calendar
import copy
import hashlib
import hmac
import http.client
import json
import os
import secrets
import ssl
import subprocess
import tempfile
import time
import unittest

import boto3
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

import certificates
from harness import BINARY, Case, Keys, OperatorConnection, allow
from issuer import Issuer, text64

PATH = "/v1/services/session"
UNSIGNED = "no key that the service's manifest names signed this token"


class Proved(Case):
    """Services that the operator registers with what proves them."""

    only = "disk"
    args = ("--private-issuers",)

    def setUp(self):
        self.issuer = Issuer(self)
        self.shown = []

    def manifest(self, **token):
        word = "i" + secrets.token_hex(4)
        subject = f"spiffe://example.org/svc/{word}"
        named = {"issuer": self.issuer.url, "subject": subject, "audience": "linkrole",
                 "certificates": [self.issuer.pin], **token}
        return {
            "service": f"{word}.example.com", "display_name": word, "signing_names": [word],
            "hosts": [f"{word}.local"], "regions": ["r1"],
            "identity": {"token": {name: value for name, value in named.items()
                                   if value is not None}},
            "role": [{"name": f"I{word}", "policy_name": f"I{word}P",
                      "policy": allow("iam:ListUsers")}]}

    def registered(self, **token):
        manifest = self.manifest(**token)
        self.server.must("/v1/services/register", {"manifest": manifest})
        return manifest

    def token(self, manifest, **more):
        named = manifest["identity"]["token"]
        token = self.issuer.token(**{
            "iss": named.get("issuer"), "sub": named["subject"], "aud": named["audience"], **more})
        self.shown.append(token)
        return token

    def show(self, manifest, token, **more):
        body = json.dumps({"service": manifest["service"], "token": token, **more})
        return self.server.send(PATH, body, {"content-type": "application/json"})

    def session(self, manifest, **more):
        status, made = self.show(manifest, self.token(manifest, **more))
        self.assertEqual(status, 200, made)
        self.shown += [made["secret_access_key"], made["session_token"]]
        return Keys(made["access_key_id"], made["secret_access_key"], made["session_token"])

    def works(self, keys):
        status, answer = self.server.native(keys, "/v1/services/list", {})
        if status != 200:
            self.assertEqual((status, answer["error"]["code"]), (403, "InvalidClientTokenId"))
        return status == 200

    def unproved(self, why, answer):
        status, answer = answer
        self.assertEqual((status, answer["error"]["code"]), (403, "IdentityRefused"), answer)
        self.assertIn(why, answer["error"]["message"])

    def test_feature_26_a_session_does_what_the_key_does(self):
        manifest = self.registered()
        service = manifest["service"]
        keys = self.session(manifest)
        word = manifest["signing_names"][0]
        user = self.server.user("u" + word, allow(f"{word}:*", "iam:CreateServiceLinkedRole"))
        forwarded = self.server.forwarded(user, word, manifest["hosts"][0])
        status, made = self.server.native(keys, "/v1/slr/ensure",
                                          {"forwarded": forwarded, "principal": service})
        self.assertEqual((status, made.get("created")), (200, True), made)
        role = made["role"]
        status, decision = self.server.native(keys, "/v1/authorize", {
            "forwarded": self.server.forwarded(user, word, manifest["hosts"][0]),
            "action": f"{word}:Make"})
        self.assertEqual((status, decision.get("allowed")), (200, True), decision)
        use = {"account": self.account, "role": role["id"], "region": "r1", "resource": "one"}
        for path in ("/v1/usage/register", "/v1/usage/deregister"):
            self.assertEqual(self.server.native(keys, path, use)[0], 200)
        assumed = self.server.client("sts", keys).assume_role(
            RoleArn=role["arn"], RoleSessionName="work")["Credentials"]
        self.server.client("iam", Keys.of(assumed)).list_users()
        # It is no key: nothing longer comes of it, and another service's role is not its own.
        other = self.registered()
        linked = self.iam.create_service_linked_role(AWSServiceName=other["service"])["Role"]["Arn"]
        self.refused("AccessDenied", 403, None, self.server.client("sts", keys).assume_role,
                     RoleArn=linked, RoleSessionName="work")
        self.refused("AccessDenied", 403, None, self.server.client("sts", keys).get_session_token)
        status, answer = self.server.native(keys, PATH, {
            "service": service, "token": self.token(manifest)})
        self.assertEqual((status, answer["error"]["code"]), (403, "AccessDenied"))

    def test_atk_e02_a_session_ends_with_its_token(self):
        manifest = self.registered()
        now = int(time.time())
        for lives, longest in ((40, 40), (7_200, 3_600)):
            status, made = self.show(manifest, self.token(manifest, exp=now + lives))
            self.assertEqual(status, 200, made)
            ends = time.strptime(made["expires"], "%Y-%m-%dT%H:%M:%SZ")
            left = calendar.timegm(ends) - now
            self.assertTrue(longest - 5 <= left <= longest + 60 and left <= lives, left)

    def test_atk_e04_atk_e06_a_token_that_proves_nothing(self):
        manifest = self.registered()
        other = self.registered()
        token = lambda **more: self.token(manifest, **more)
        self.session(manifest)
        now = int(time.time())
        public = self.issuer.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        body = token().split(".")[1]
        confused = text64(b'{"alg":"HS256","kid":"k1"}') + "." + body
        mac = text64(hmac.new(public, confused.encode(), hashlib.sha256).digest())
        stranger = rsa.generate_private_key(65537, 2048)
        for why, text in {
                "alg none": text64(b'{"alg":"none","kid":"k1"}') + f".{body}.",
                "the public key as a secret": f"{confused}.{mac}",
                "no token": "xxxx", "too long": "a" * 30_000, "empty": ""}.items():
            with self.subTest(why):
                self.unproved("", self.show(manifest, text))
        for why, text in {
                "another key": token(key=stranger), "no such key": token(header={"kid": "k2"}),
                "its own key": token(key=stranger, header={"jwk": {"kty": "RSA"}})}.items():
            with self.subTest(why):
                self.unproved(UNSIGNED, self.show(manifest, text))
        for why, text in {
                "`aud`": token(aud="linkrole2"), "one claim `aud`": token(aud=["linkrole", "b"]),
                "expected one claim `aud`": token(aud=None), "`sub`": token(sub="spiffe://e/x"),
                "`iss`": token(iss="https://other.example.com"), "claim `exp`": token(exp=None),
                "its `aud` is not": token(aud="cloud", azp="linkrole"),
                "ended": token(exp=now - 1), "not valid yet": token(iat=now + 400),
                "valid yet": token(nbf=now + 400),
                # A token of one service is none of another.
                "its `sub` is not": self.token(other)}.items():
            with self.subTest(why):
                self.unproved(why, self.show(manifest, text))
        self.session(other)
        # Services that take no tokens, and such that are not there, are told apart by nobody.
        plain = self.manifest()
        del plain["identity"]
        self.server.must("/v1/services/register", {"manifest": plain})
        for name in (plain["service"], "none.example.com"):
            self.unproved(UNSIGNED, self.show({"service": name}, token()))
        self.unproved("expected `token`", self.server.send(
            PATH, json.dumps({"service": manifest["service"]}), {}))
        for text in ({"token": token()}, {"service": manifest["service"], "token": token(), "x": 1}):
            status, answer = self.server.send(PATH, json.dumps(text), {})
            self.assertEqual((status, answer["error"]["code"]), (400, "ValidationError"))

    def test_replaced_keys(self):
        manifest = self.registered()
        old = self.session(manifest)
        # The issuer has a new key, under a new id: seen at once or after a pause, never the old one again.
        self.issuer.key = rsa.generate_private_key(65537, 2048)
        self.issuer.publish(kid="k2")
        deadline = time.monotonic() + 30
        while self.show(manifest, self.token(manifest, header={"kid": "k2"}))[0] != 200:
            self.assertLess(time.monotonic(), deadline)
        self.unproved(UNSIGNED, self.show(manifest, self.token(manifest)))
        self.assertTrue(self.works(old), "a session ends with its own token")

    def test_keys_named_without_an_issuer(self):
        """As SPIRE publishes a bundle: no discovery, keys marked for JWT-SVIDs, tokens that may say no issuer."""
        self.issuer.publish(use="jwt-svid", alg=None)
        manifest = self.registered(issuer=None, keys=self.issuer.url + "/keys")
        self.session(manifest, iat=None)
        self.session(manifest, iss="https://whoever.example.com")
        self.assertEqual(self.issuer.asked, ["/realm/keys"])
        both = self.registered(keys=self.issuer.url + "/keys")
        self.session(both)
        self.unproved("`iss`", self.show(both, self.token(both, iss=None)))

    def test_atk_e08_a_changed_identity_ends_living_sessions(self):
        manifest = self.registered()
        keys = self.session(manifest)
        self.assertTrue(self.works(keys), "positive control")
        same = {**copy.deepcopy(manifest), "display_name": "Renamed"}
        self.server.must("/v1/services/update", {"manifest": same})
        self.assertTrue(self.works(keys))
        changed = copy.deepcopy(manifest)
        changed["identity"]["token"]["audience"] = "other"
        self.server.must("/v1/services/update", {"manifest": changed})
        self.assertFalse(self.works(keys))
        keys = self.session(changed)
        bare = {name: value for name, value in manifest.items() if name != "identity"}
        change = self.server.must("/v1/services/update", {"manifest": bare})
        self.assertEqual([s["name"] for s in change["settings"]], ["identity"])
        self.assertFalse(self.works(keys))
        self.unproved(UNSIGNED, self.show(manifest, self.token(manifest)))
        self.server.must("/v1/services/update", {"manifest": manifest})
        keys = self.session(manifest)
        self.server.must("/v1/services/remove", {"service": manifest["service"]})
        self.assertFalse(self.works(keys))
        self.server.must("/v1/services/register", {"manifest": manifest})
        self.assertFalse(self.works(keys), "a service made again is another one")

    def test_atk_e07_only_the_operator_says_where_keys_are(self):
        manifest = self.manifest()
        token = self.server.must("/v1/services/enrol", {"service": manifest["service"]})["token"]
        status, answer = self.server.send("/v1/services/register", json.dumps(
            {"token": token, "manifest": manifest}), {})
        self.assertEqual((status, answer["error"]["code"]), (400, "ValidationError"), answer)
        self.assertIn("operator", answer["error"]["message"])
        bare = {name: value for name, value in manifest.items() if name != "identity"}
        status, made = self.server.send("/v1/services/register", json.dumps(
            {"token": token, "manifest": bare}), {})
        self.assertEqual(status, 200, made)
        keys = Keys(made["access_key_id"], made["secret_access_key"])
        status, answer = self.server.native(keys, "/v1/services/update", {"manifest": manifest})
        self.assertEqual((status, answer["error"]["code"]), (403, "AccessDenied"))
        self.assertEqual(self.issuer.asked, [])
        self.server.must("/v1/services/update", {"manifest": manifest})
        self.session(manifest)
        for why, named in {
                "no TLS": {"issuer": "http://id.example.com"},
                "a query": {"keys": "https://id.example.com/keys?a"},
                "somebody else's": {"subject": manifest["identity"]["token"]["subject"]},
                "no subject": {"subject": ""}, "unknown": {"more": "x"}}.items():
            with self.subTest(why):
                status, _ = self.server.operator("/v1/services/register",
                                                 {"manifest": self.manifest(**named)})
                self.assertIn(status, (400, 409))

    def test_atk_e07_an_issuer_leads_nowhere_else(self):
        for why, change in {
                "another issuer's document": lambda i: i.publish(issuer="https://x.example"),
                "keys without TLS": lambda i: i.publish(
                    keys_at=i.url.replace("https:", "http:") + "/keys"),
                "a redirect": lambda i: i.answers.update({"/realm/keys": (
                    302, {"location": i.url + "/keys2"}, b"")}),
                "a key for certificates": lambda i: i.publish(use="x509-svid")}.items():
            with self.subTest(why):
                self.setUp()
                change(self.issuer)
                self.issuer.answers["/realm/keys2"] = self.issuer.answers["/realm/keys"]
                manifest = self.registered()
                self.unproved(UNSIGNED, self.show(manifest, self.token(manifest)))
                asked = len(self.issuer.asked)
                self.unproved(UNSIGNED, self.show(manifest, self.token(manifest)))
                self.assertEqual(len(self.issuer.asked), asked, "a stranger cannot make it ask again")
        self.setUp()
        manifest = self.registered(certificates=["0" * 64])
        self.unproved(UNSIGNED, self.show(manifest, self.token(manifest)))
        self.assertEqual(self.issuer.asked, [])

    def test_feature_60_an_agent_without_a_key(self):
        manifest = self.registered()
        role = self.iam.create_service_linked_role(AWSServiceName=manifest["service"])["Role"]["Arn"]
        file = os.path.join(self.server.folder.name, secrets.token_hex(4))
        env = {name: value for name, value in self.server.env.items() if not name.startswith("AWS_")}

        def once(token, *more):
            with open(file, "w") as text:
                text.write(token + "\n")
            done = subprocess.run(
                [BINARY, "agent", "--role", role, "--once", "--endpoint", self.server.endpoint,
                 "--identity-token", file, *more], env=env, capture_output=True, text=True)
            return done.returncode, done.stdout, done.stderr

        own = ("--service", manifest["service"])
        code, out, err = once(self.token(manifest), *own)
        self.assertEqual(code, 0, err)
        self.server.client("iam", Keys.of(json.loads(out))).list_users()
        code, out, err = once(self.token(manifest, aud="other"), *own)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("IdentityRefused", err)
        code, _, err = once(self.token(manifest))
        self.assertEqual(code, 2)
        self.assertIn("--service", err)

    def test_the_trail_names_who_proved_what_and_no_secret(self):
        manifest = self.registered()
        keys = self.session(manifest)
        self.server.native(keys, "/v1/slr/introduce", {
            "account": self.account, "principal": manifest["service"]})
        self.unproved("`aud`", self.show(manifest, self.token(manifest, aud="x")))
        self.unproved(UNSIGNED, self.show(manifest, self.token(
            manifest, key=rsa.generate_private_key(65537, 2048))))
        trail = self.server.must("/v1/operator/trail", {"limit": 1000, "reads": True})["entries"]
        event = [e for e in trail if e["operation"] == "CreateServiceSession"
                 and e["params"]["service"] == manifest["service"]]
        self.assertEqual(len(event), 1, "what proves nothing fills no trail")
        named = manifest["identity"]["token"]
        self.assertEqual((event[0]["actor"]["kind"], event[0]["actor"]["name"]),
                         ("Workload", named["subject"]))
        self.assertEqual((event[0]["response"]["issuer"], event[0]["response"]["accessKeyId"]),
                         (named["issuer"], keys.key))
        used = [e for e in trail if e["actor"].get("key") == keys.key]
        self.assertEqual({e["actor"]["name"] for e in used}, {manifest["service"]})
        with open(self.server.log.name) as log:
            written = json.dumps(trail) + log.read()
        self.assertIn(keys.key, written, "positive control")
        for secret in self.shown:
            for form in (secret, secret.split(".")[-1], base64.b64encode(secret.encode()).decode()):
                self.assertNotIn(form, written)


class Shown(unittest.TestCase):
    """Certificates of clients, at a server that was given their authority."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        folder = cls.folder.name
        cls.data = os.path.join(folder, "data")
        subprocess.run([BINARY, "init", "--data-dir", cls.data], check=True, capture_output=True)
        cls.made = certificates.chain(folder)
        cls.authority, cls.stranger = (certificates.Authority(folder, word)
                                       for word in ("clients", "strangers"))
        cls.process = subprocess.Popen(
            [BINARY, "serve", "--data-dir", cls.data, "--listen", "127.0.0.1:0",
             "--tls-certificate", cls.made.chain, "--tls-key", cls.made.private,
             "--client-authorities", cls.authority.file],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        cls.endpoint = cls.process.stdout.readline().split()[1]

    @classmethod
    def tearDownClass(cls):
        cls.process.terminate()
        code = cls.process.wait(30)
        cls.process.stdout.close()
        cls.folder.cleanup()
        assert code == 0

    def operator(self, path, body):
        connection = OperatorConnection(os.path.join(self.data, "operator.sock"))
        connection.request("POST", path, json.dumps(body))
        answer = connection.getresponse()
        document = json.loads(answer.read())
        connection.close()
        self.assertEqual(answer.status, 200, document)
        return document

    def registered(self, san, **more):
        word = "c" + secrets.token_hex(4)
        manifest = {"service": f"{word}.example.com", "display_name": word, "regions": ["r1"],
                    "identity": {"certificate": {"san": san}, **more},
                    "role": [{"name": f"C{word}", "policy_name": f"C{word}P",
                              "policy": allow("iam:ListUsers")}]}
        self.operator("/v1/services/register", {"manifest": manifest})
        return manifest

    def send(self, path, body, client=None, headers=None):
        """Asks over TLS, with a client's certificate or without; answers the status and the text."""
        context = ssl.create_default_context(cafile=self.made.chain)
        if client:
            context.load_cert_chain(*client)
        connection = http.client.HTTPSConnection(self.endpoint.removeprefix("https://"),
                                                 context=context, timeout=30)
        try:
            text = body if isinstance(body, str) else json.dumps(body)
            connection.request("POST", path, text, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def show(self, manifest, client=None, **more):
        status, text = self.send(PATH, {"service": manifest["service"], **more}, client)
        return status, json.loads(text)

    def unproved(self, why, answer):
        status, answer = answer
        self.assertEqual((status, answer["error"]["code"]), (403, "IdentityRefused"), answer)
        self.assertIn(why, answer["error"]["message"])

    def sts(self, made):
        return boto3.client("sts", endpoint_url=self.endpoint, region_name="r1",
                            aws_access_key_id=made["access_key_id"],
                            aws_secret_access_key=made["secret_access_key"],
                            aws_session_token=made["session_token"], verify=self.made.chain)

    def test_feature_26_a_certificate_opens_a_session(self):
        for san in (f"spiffe://example.org/{secrets.token_hex(4)}",
                    f"{secrets.token_hex(4)}.example.org"):
            manifest = self.registered(san)
            status, made = self.show(manifest, self.authority.client(san, lives=120))
            self.assertEqual(status, 200, made)
            left = calendar.timegm(time.strptime(made["expires"], "%Y-%m-%dT%H:%M:%SZ")) - time.time()
            self.assertTrue(0 < left <= 120, left)
            # The session is signed with, over connections without a certificate too.
            sts = self.sts(made)
            self.assertEqual(sts.get_caller_identity()["Arn"], manifest["service"])
            account = self.operator("/v1/accounts/create", {})
            iam = boto3.client("iam", endpoint_url=self.endpoint, region_name="r1",
                               aws_access_key_id=account["access_key_id"],
                               aws_secret_access_key=account["secret_access_key"],
                               verify=self.made.chain)
            role = iam.create_service_linked_role(AWSServiceName=manifest["service"])["Role"]["Arn"]
            sts.assume_role(RoleArn=role, RoleSessionName="work")
            trail = self.operator("/v1/operator/trail", {"operator": manifest["service"]})["entries"]
            event = [e for e in trail if e["operation"] == "CreateServiceSession"][0]
            self.assertEqual((event["actor"]["name"], event["response"]["san"]), (san, san))
            # Another name in the manifest, and the session is over.
            changed = {**manifest, "identity": {"certificate": {"san": "x-" + san.split("/")[-1] + ".org"}}}
            self.operator("/v1/services/update", {"manifest": changed})
            with self.assertRaises(ClientError) as caught:
                sts.get_caller_identity()
            self.assertEqual(caught.exception.response["Error"]["Code"], "InvalidClientTokenId")

    def test_atk_e19_a_certificate_that_proves_nothing(self):
        san = f"spiffe://example.org/{secrets.token_hex(4)}"
        host = f"{secrets.token_hex(4)}.example.org"
        manifest, by_host = self.registered(san), self.registered(host)
        good = self.authority.client(san)
        self.assertEqual(self.show(manifest, good)[0], 200, "positive control")
        self.assertEqual(self.show(by_host, self.authority.client(host))[0], 200)
        client = self.authority.client
        unfit, names = "the manifest names nothing that it fits", "one URI among its names"
        server = ExtendedKeyUsageOID.SERVER_AUTH
        both = (server, ExtendedKeyUsageOID.CLIENT_AUTH)
        self.assertEqual(self.show(manifest, client(san, usages=both))[0], 200)
        self.assertEqual(self.show(manifest, client(san, host))[0], 200, "an address goes before hosts")
        for why, of, shown, reason in (
                ("another service's", manifest, client(host), unfit),
                ("another name", manifest, client(san + "/more"), unfit),
                ("another spelling", manifest, client(san.upper().replace("SPIFFE", "spiffe")), unfit),
                ("two addresses", manifest, client(san, "spiffe://example.org/b"), names),
                ("a host beside an address", by_host, client(san, host), unfit),
                ("two hosts", by_host, client(host, "b.example.org"), names),
                ("a wildcard", by_host, client("*.example.org"), unfit),
                ("for no use", manifest, client(san, usages=()), "usage of clients"),
                ("no certificate", manifest, None, "expected `token`"),
                ("no such service", {"service": "none.example.com"}, good, unfit)):
            with self.subTest(why):
                self.unproved(reason, self.show(of, shown))
        for why, shown in (
                ("another authority", self.stranger.client(san)), ("ended", client(san, lives=-60)),
                ("for servers", client(san, usages=(server,)))):
            with self.subTest(why), self.assertRaises((OSError, http.client.HTTPException)):
                self.show(manifest, shown)
        # A token that proves nothing is not made good by a certificate.
        self.unproved("three parts", self.show(manifest, good, token="x"))

    def test_atk_a17_a_certificate_is_good_for_that_one_call(self):
        san = f"spiffe://example.org/{secrets.token_hex(4)}"
        manifest = self.registered(san)
        client = self.authority.client(san)
        self.assertEqual(self.show(manifest, client)[0], 200, "positive control")
        for path, body in (("/v1/services/list", {}), ("/v1/services/update", {"manifest": manifest}),
                           ("/v1/usage/list", {"account": "1" * 12, "role": "x"}),
                           ("/v1/slr/introduce", {"account": "1" * 12, "principal": manifest["service"]})):
            status, text = self.send(path, body, client)
            self.assertEqual((status, json.loads(text)["error"]["code"]),
                             (403, "MissingAuthenticationToken"), path)
        status, text = self.send("/", "Action=GetCallerIdentity&Version=2011-06-15", client,
                                 {"content-type": "application/x-www-form-urlencoded"})
        self.assertEqual(status, 403, text)
        self.assertIn("MissingAuthenticationToken", text)
        # What a proxy would say of a certificate is nothing here.
        with open(client[0]) as file:
            told = file.read().replace("\n", " ")
        for name in ("x-forwarded-client-cert", "x-ssl-client-cert", "client-cert"):
            status, text = self.send(PATH, {"service": manifest["service"]}, None, {name: told})
            self.assertIn("expected `token`", text)

    def test_authorities_need_tls_and_a_file_that_reads(self):
        serve = [BINARY, "serve", "--data-dir", self.data, "--listen", "127.0.0.1:0"]
        tls = ["--tls-certificate", self.made.chain, "--tls-key", self.made.private]
        for args, why in ((["--client-authorities", self.authority.file], "--tls-certificate"),
                          ([*tls, "--client-authorities", self.made.private], "expected PEM text"),
                          ([*tls, "--client-authorities", "/nowhere"], "/nowhere")):
            done = subprocess.run([*serve, *args], capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(why, done.stderr)


class Private(Case):
    only = "disk"

    def test_atk_e07_private_addresses_are_not_reached_unless_the_operator_says_so(self):
        issuer = Issuer(self)
        manifest = {"service": "private.example.com", "display_name": "P", "regions": ["r1"],
                    "identity": {"token": {
                        "issuer": issuer.url, "subject": "a", "audience": "b",
                        "certificates": [issuer.pin]}}}
        self.server.must("/v1/services/register", {"manifest": manifest})
        body = json.dumps({"service": manifest["service"],
                           "token": issuer.token(sub="a", aud="b")})
        self.assertEqual(self.server.send(PATH, body, {})[0], 403)
        self.assertEqual(issuer.asked, [])
        self.server.kill()
        self.server.args = ("--private-issuers",)
        self.server.start()
        status, answer = self.server.send(PATH, body, {})
        self.assertEqual(status, 200, answer)


if __name__ == "__main__":
    unittest.main()
