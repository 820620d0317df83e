"""The edges of the server: raw sockets, limits, key files, what a stranger can reach."""

import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse

import alibaba
from harness import BINARY, Case, Keys, OperatorConnection, Server, allow


class Sockets(Case):
    kind = "disk"

    def raw(self, text, timeout=30):
        """Sends bytes as they are; answers what comes back until the server closes."""
        host, port = self.server.endpoint.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=timeout) as wire:
            wire.sendall(text)
            got = b""
            while True:
                try:
                    part = wire.recv(65536)
                except ConnectionResetError:
                    return got
                if not part:
                    return got
                got += part

    def status(self, text):
        answer = self.raw(text)
        return int(answer.split()[1]) if answer else 0

    def request(self, line="POST / HTTP/1.1", headers=(), body=b""):
        all_headers = ["host: x", "connection: close", f"content-length: {len(body)}", *headers]
        return (line + "\r\n" + "\r\n".join(all_headers) + "\r\n\r\n").encode() + body

    def test_atk_b05_limits_are_explicit(self):
        form = b"Action=GetCallerIdentity&Version=2011-06-15&x="
        fits = form + b"a" * (1_048_576 - len(form))
        self.assertEqual(self.status(self.request(body=fits)), 403, "positive control: unsigned")
        self.assertEqual(self.status(self.request(body=fits + b"a")), 413)
        self.assertEqual(self.status(
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000000\r\n\r\n"), 413)
        chunked = (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
                   + (b"10000\r\n" + b"a" * 65536 + b"\r\n") * 17 + b"0\r\n\r\n")
        self.assertEqual(self.status(chunked), 413)
        self.assertIn(self.status(self.request(headers=["x: " + "a" * 70_000])), (400, 431))
        many = [f"x-{n}: 1" for n in range(101)]
        self.assertIn(self.status(self.request(headers=many)), (400, 431))
        parameters = b"&".join(b"p%d=1" % n for n in range(1_001))
        self.assertEqual(self.status(self.request(body=parameters)), 400)

    def test_atk_b03_a_slow_head_is_cut_off(self):
        host, port = self.server.endpoint.removeprefix("http://").split(":")
        slow = [socket.create_connection((host, int(port)), timeout=20) for _ in range(50)]
        for wire in slow:
            wire.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nx-slow: ")
        self.sts.get_caller_identity()
        begun = time.monotonic()
        for wire in slow:
            try:
                while wire.recv(4096):
                    pass
            except ConnectionResetError:
                pass
            wire.close()
        self.assertLess(time.monotonic() - begun, 20, "the server, not this test, gave up")
        self.sts.get_caller_identity()

    def test_atk_b06_compressed_requests_are_refused(self):
        for coding in ("gzip", "br", "zstd"):
            self.assertEqual(self.status(self.request(
                headers=[f"content-encoding: {coding}"], body=b"x")), 415)

    def test_atk_a06_a08_targets(self):
        for target in ("http://other/", "//", "/./", "/%2F", "/v1/../v1/trail", "/v2/", "/v1/",
                       "/console", "/metrics", "/debug", "/%ff", "/v1/trail/"):
            with self.subTest(target):
                self.assertIn(self.status(self.request(f"POST {target} HTTP/1.1")),
                              (400, 403, 404))
        two = b"POST / HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n"
        self.assertEqual(self.status(two), 400)

    def test_atk_a17_d08_nothing_without_credentials(self):
        paths = ("authorize slr/ensure slr/list slr/show slr/create slr/delete slr/status "
                 "slr/release-sessions usage/list usage/register usage/deregister "
                 "usage/reconcile services/enrol services/list services/show accounts/create "
                 "accounts/list trail operator/trail").split()
        self.assertEqual(self.server.operator("/v1/accounts/list")[0], 200, "positive control")
        for path in paths:
            with self.subTest(path):
                status, _ = self.server.send("/v1/" + path, "{}", {})
                self.assertIn(status, (400, 403))
        body = json.dumps({"manifest": {"service": "x.example.com", "display_name": "X"}})
        self.assertEqual(self.server.send("/v1/services/register", body, {})[0], 403)
        for path in ("services/enrol", "accounts/create", "accounts/list", "operator/trail"):
            with self.subTest("as a user: " + path):
                ask = {"service": "x.example.com"} if path == "services/enrol" else {}
                self.assertEqual(self.server.native(self.server.admin, "/v1/" + path, ask)[0], 403)
        self.assertEqual(self.server.send("/_linkrole/reset", "", {})[0], 404)

    def test_a_stranger_leaves_nothing_in_the_trail(self):
        newest = lambda: self.server.must("/v1/operator/trail", {"limit": 1})["entries"][0]
        self.server.must("/v1/services/enrol", {"service": "stranger.example.com"})
        before = newest()
        body = json.dumps({"token": "0" * 64, "manifest": {
            "service": "stranger.example.com", "display_name": "S", "regions": ["r1"]}})
        for _ in range(3):
            status, _ = self.server.send("/v1/services/register", body,
                                         {"content-type": "application/json"})
            self.assertEqual(status, 403)
        self.assertEqual(newest()["position"], before["position"])
        self.refused("NoSuchEntity", 404, None, self.iam.delete_user, UserName="nobody")
        self.assertEqual(newest()["operation"], "DeleteUser", "a known caller's failure is kept")

    def test_atk_a10_a_name_in_query_and_body(self):
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        def send(path, text):
            request = AWSRequest("POST", self.server.endpoint + path, data=text, headers={
                "content-type": "application/x-www-form-urlencoded"})
            keys = self.server.admin
            SigV4Auth(Credentials(keys.key, keys.secret), "sts", "r").add_auth(request)
            return self.server.send(path, text, dict(request.headers))[0]
        form = "Action=GetCallerIdentity&Version=2011-06-15"
        self.assertEqual(send("/", form), 200, "positive control")
        self.assertEqual(send("/?Action=GetSessionToken", form), 400)
        self.assertEqual(send("/", form + "&Action=GetSessionToken"), 400)
        self.assertIn(send("/", form + "&action=GetSessionToken"), (200, 400))

    def test_an_alibaba_account_is_unknown_on_this_wire(self):
        made = self.server.must("/v1/accounts/create", {"dialect": "alibaba"})
        keys = Keys(made["access_key_id"], made["secret_access_key"])
        self.refused("InvalidClientTokenId", 403, None,
                     self.server.client("sts", keys).get_caller_identity)

    def test_atk_h05_h08_h09_no_secret_anywhere(self):
        # Another server than that of the other tests: it writes down all it does, and keeps reads as well.
        os.environ["LINKROLE_LOG"] = "trace"
        try:
            server = Server("disk", "--record-reads")
        finally:
            del os.environ["LINKROLE_LOG"]
        self.addCleanup(server.stop)
        self.no_secret_anywhere(server)

    def no_secret_anywhere(self, server):
        made = lambda answer: [answer["secret_access_key"], *filter(None, [answer.get("session_token")])]
        secrets_seen = [server.root.secret, server.admin.secret]
        host, service = "canary2.local", {
            "service": "canary2.example.com", "display_name": "C", "signing_names": ["canary"],
            "hosts": ["canary2.local"], "regions": ["r1"],
            "forward": {"policy": allow("iam:ListUsers")},
            "role": [{"name": "Canary", "policy_name": "CanaryServiceRolePolicy", "policy": allow("iam:ListUsers")}]}
        secrets_seen.append(server.must("/v1/services/enrol", {"service": "canary.example.com"})["token"])
        keys = server.service(service)
        secrets_seen.append(keys.secret)
        secrets_seen += made(server.must("/v1/services/new-key", {"service": service["service"]}))
        account = server.must("/v1/accounts/create", {"dialect": "alibaba"})
        secrets_seen += made(account)
        iam, sts = server.client("iam"), server.client("sts")
        user = server.user("canary")
        secrets_seen.append(user.secret)
        role = iam.create_service_linked_role(AWSServiceName=service["service"])["Role"]["Arn"]
        for got in (sts.get_session_token(),
                    server.client("sts", keys).assume_role(RoleArn=role, RoleSessionName="canary")):
            got = got["Credentials"]
            secrets_seen += [got["SecretAccessKey"], got["SessionToken"]]
            self.assertIn("Users", server.client("iam", Keys.of(got)).list_users())
        status, onward = server.native(keys, "/v1/forward-access", {
            "forwarded": server.forwarded(server.admin, "canary", host)})
        self.assertEqual(status, 200, onward)
        secrets_seen += made(onward)
        secrets_seen += self.alibaba_secrets(server, account)
        token = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImNhbmFyeSJ9.eyJpc3MiOiJodHRwczovL2lkLmludmFsaWQifQ.Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"
        status, _ = server.send("/v1/services/session", json.dumps({"service": service["service"], "token": token}),
                                {"content-type": "application/json"})
        self.assertIn(status, (400, 403))
        secrets_seen.append(token)
        # A secret where a name belongs, in what does not read.
        self.assertEqual(server.native(server.admin, "/v1/slr/create", {"nobody": "knows this"})[0], 400)
        everything = json.dumps(server.must("/v1/operator/trail", {"limit": 1000, "reads": True})).encode()
        for word in (b"GetSessionToken", b"AssumeRole", b"ForwardAccess", b"CreateServiceKey"):
            self.assertIn(word, everything, "positive control")
        for form in ("events", "cloudevents", "cloudtrail", "actiontrail"):
            code, out, err = server.linkrole("audit", "export", "--reads", "--format", form)
            self.assertEqual(code, 0, err)
            everything += out.encode()
        for shown in (["audit", "tail", "--reads"], ["slr", "list"], ["service", "list"]):
            code, out, err = server.linkrole(*shown)
            everything += out.encode() + err.encode()
        for folder, _, files in os.walk(server.data):
            for name in files:
                path = os.path.join(folder, name)
                if name != "root-credentials" and not name.endswith(".sock"):
                    with open(path, "rb") as file:
                        everything += file.read()
        with open(server.log.name, "rb") as file:
            log = file.read()
        self.assertIn(b'"message":"serving"', log, "positive control")
        everything += log
        self.assertIn(server.admin.key.encode(), everything, "positive control")
        self.assertGreater(len(secrets_seen), 14)
        for secret in secrets_seen:
            self.assertGreaterEqual(len(secret), 30, "it is no secret, so nothing is tested")
            for form in (secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode(),
                         json.dumps(secret)[1:-1]):
                self.assertNotIn(form.encode(), everything)

    def alibaba_secrets(self, server, account):
        """What an account of that dialect is handed: a key of a user, and a session of a role."""
        root = Keys(account["access_key_id"], account["secret_access_key"])

        def ask(keys, product, action, **more):
            form = urllib.parse.urlencode(alibaba.signed(keys, action, alibaba.VERSIONS[product], **more))
            status, answer = server.send("/", form, {"content-type": "application/x-www-form-urlencoded"})
            self.assertEqual(status, 200, answer)
            return answer

        ask(root, "ram", "CreateUser", UserName="canary")
        ask(root, "ram", "AttachPolicyToUser", UserName="canary", PolicyType="System", PolicyName="AdministratorAccess")
        key = ask(root, "ram", "CreateAccessKey", UserName="canary")["AccessKey"]
        mine = Keys(key["AccessKeyId"], key["AccessKeySecret"])
        trust = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {
            "RAM": [f"acs:ram::{account['account']}:root"]}}]}
        arn = ask(root, "ram", "CreateRole", RoleName="canary",
                  AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        session = ask(mine, "sts", "AssumeRole", RoleArn=arn, RoleSessionName="canary")["Credentials"]
        return [mine.secret, session["AccessKeySecret"], session["SecurityToken"]]

    def test_atk_h14_whatever_things_are_called_each_entry_is_one_line(self):
        odd = 'a\nb\r\n{"x": "\u202e\u2066" }\t"\\'
        self.iam.create_role(RoleName="odd", Description="a\n\t{\"x\":1}\r", AssumeRolePolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                                                    "Principal": {"AWS": self.account}}]}, indent=2))
        self.refused("NoSuchEntity", 404, None, self.iam.delete_role, RoleName="nobody")
        headers = lambda agent: {"content-type": "application/json", "user-agent": agent}
        for agent in ('x"}{"operation":"DeleteUser', "x\\", "\u202etxt".encode().decode("latin-1")):
            self.server.send("/v1/slr/create", json.dumps({"principal": odd}), headers(agent))
        # A service tells action and resource as it likes.
        keys = self.server.service({"service": "odd.example.com", "display_name": "Odd", "signing_names": ["odd"],
                                    "hosts": ["odd.local"], "regions": ["r1"]})
        for resource in (odd, "\x1b[2J\x7f\x9b31m", "\u2028\u2029"):
            status, answer = self.server.native(keys, "/v1/authorize", {
                "forwarded": self.server.forwarded(self.server.admin, "odd", "odd.local"),
                "action": "odd:PutThing", "resource": resource})
        entries, after = [], 0
        while True:
            wanted = {"after": after, "limit": 1000, "reads": True}
            page = self.server.native(self.server.admin, "/v1/trail", wanted)[1]
            entries += page["entries"]
            if page["next"] is None:
                break
            after = page["next"]
        self.assertIn("b\\r\\n{\\\"x\\\"", json.dumps(entries), "positive control")
        for form in ("events", "cloudevents"):
            code, out, err = self.server.linkrole("audit", "export", "--reads", "--format", form)
            self.assertEqual(code, 0, err)
            lines = out.removesuffix("\n").split("\n")
            told = [json.loads(line) for line in lines]
            told = told if form == "events" else [line["data"] for line in told]
            self.assertEqual(told[:len(entries)], entries)
            for acts in map(chr, [*range(10), *range(11, 32), *range(127, 160), 0x2028, 0x202e, 0x2066]):
                self.assertNotIn(acts, out, hex(ord(acts)))
        with open(self.server.log.name) as log:
            for line in log.read().split("\n"):
                self.assertIsInstance(json.loads(line or "{}"), dict, line)

    def test_modes_are_private(self):
        for name in ("master-key", "root-credentials", "linkrole.redb", "operator.sock"):
            mode = os.stat(os.path.join(self.server.data, name)).st_mode & 0o777
            self.assertEqual(mode, 0o600, name)


class Keyfiles(unittest.TestCase):
    def run_(self, *args):
        done = subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout + done.stderr

    def test_atk_h01_h02_h03_h07_refuses_to_start_without_what_it_needs(self):
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(folder, "data")
            serve = ("serve", "--data-dir", data, "--listen", "127.0.0.1:0")
            code, text = self.run_(*serve)
            self.assertEqual(code, 1)
            self.assertIn("linkrole init", text)
            self.assertEqual(self.run_("init", "--data-dir", data)[0], 0)
            code, text = self.run_("init", "--data-dir", data)
            self.assertEqual(code, 1)
            self.assertIn("holds a linkrole store already", text)
            key = os.path.join(data, "master-key")
            os.chmod(key, 0o644)
            code, text = self.run_(*serve)
            self.assertEqual((code, "chmod 600" in text), (1, True), text)
            os.chmod(key, 0o600)
            shutil.copy(key, key + ".kept")
            os.remove(key)
            code, text = self.run_(*serve)
            self.assertEqual((code, "master key" in text), (1, True), text)
            self.assertFalse(os.path.exists(key), "a lost key is never made anew")
            other = os.path.join(folder, "other")
            self.assertEqual(self.run_("init", "--data-dir", other)[0], 0)
            shutil.copy(os.path.join(other, "master-key"), key)
            code, text = self.run_(*serve)
            self.assertEqual((code, "not the one" in text), (1, True), text)
            shutil.copy(key + ".kept", key)
            code, text = self.run_("serve", "--data-dir", data, "--listen", "0.0.0.0:0")
            self.assertEqual((code, "TLS" in text), (1, True), text)
            code, text = self.run_("dev", "--listen", "0.0.0.0:0")
            self.assertEqual((code, "loopback" in text), (1, True), text)

    def test_a_second_process_is_told_who_has_the_store(self):
        server = Server("disk")
        try:
            code, text = self.run_("serve", "--data-dir", server.data, "--listen", "127.0.0.1:0")
            self.assertEqual(code, 1)
            self.assertIn("in use by another linkrole process", text)
        finally:
            server.stop()

    def test_no_key_is_in_the_binary(self):
        made = []
        for _ in range(2):
            server = Server("dev")
            made.append(server.admin)
            server.stop()
        self.assertNotEqual(made[0].key, made[1].key)
        with open(BINARY, "rb") as file:
            text = file.read()
        for keys in made:
            self.assertNotIn(keys.secret.encode(), text)


class AcceptAny(Case):
    only = "dev"
    args = ("--auth", "accept-any")

    def test_any_credentials_are_the_administrators_and_linked_roles_hold(self):
        nobody = Keys("AKIAIOSFODNN7EXAMPLE", "anything")
        iam, sts = self.server.client("iam", nobody), self.server.client("sts", nobody)
        self.assertEqual(sts.get_caller_identity()["Account"], self.account)
        iam.create_service_linked_role(AWSServiceName="backup.example.com")
        self.assertNotIn("linkrole-builtin", [u["UserName"] for u in iam.list_users()["Users"]])
        name = "AWSServiceRoleForExampleBackup"
        self.refused("UnmodifiableEntity", 400, None, iam.delete_role, RoleName=name)
        arn = iam.get_role(RoleName=name)["Role"]["Arn"]
        self.refused("AccessDenied", 403, None, sts.assume_role, RoleArn=arn,
                     RoleSessionName="me")
        trust = json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": self.account}, "Action": "sts:AssumeRole"}]})
        plain = iam.create_role(RoleName="plain", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        sts.assume_role(RoleArn=plain, RoleSessionName="me")
        status, _ = self.server.send("/_linkrole/reset", "", {"origin": "http://evil"})
        self.assertEqual(status, 405)
        self.assertEqual(self.server.send("/_linkrole/reset", "", {})[0], 200)
        self.assertEqual(iam.list_roles()["Roles"], [])
        iam.create_service_linked_role(AWSServiceName="backup.example.com")


if __name__ == "__main__":
    unittest.main()
