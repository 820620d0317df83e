"""D04: nothing that a client sends fills a condition key of which the server knows better, whatever it is called and
wherever it stands."""

import json
import os
import re
import secrets
import urllib.parse
import unittest

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from alibaba import VERSIONS, AlibabaCase, signed
from alibaba import allow as ram_allow
from harness import REGION, Case, allow

SOURCES = os.path.join(os.path.dirname(__file__), "../../..")
BOOLEANS = {"SecureTransport", "MultiFactorAuthPresent", "MFAPresent", "ViaAWSService",
            "PrincipalIsAWSService"}
NUMBERS = {"EpochTime", "MultiFactorAuthAge"}
FORGED = "forged"
# Lists of a request that are sent at once.
HEADERS = 60


def known_keys(*prefixes):
    """Every condition key that the evaluators or the linter know, and names under the prefixes of tags."""
    keys = set()
    for path in ("policy/src/fact.rs", "policy/src/key.rs", "linkrole/src/cli/facts.rs"):
        with open(os.path.join(SOURCES, path)) as text:
            keys |= set(re.findall(r'"((?:aws|acs|iam|ram|sts|oidc):[A-Za-z0-9]+/?)"', text.read()))
    found = {key + "team" if key.endswith("/") else key for key in keys}
    return sorted(key for key in found if key.split(":")[0] in prefixes)


def name_of(key):
    return re.split("[:/]", key)[1]


def condition(key):
    """A condition that holds if the key has the forged value."""
    name = name_of(key)
    if name in BOOLEANS:
        return {"Bool": {key: "true"}}
    if name in NUMBERS:
        return {"NumericEquals": {key: "4102444800"}}
    if name in ("SourceIp", "VpcSourceIp"):
        return {"IpAddress": {key: "203.0.113.77/32"}}
    if name in ("CurrentTime", "TokenIssueTime"):
        return {"DateGreaterThan": {key: "2090-01-01T00:00:00Z"}}
    return {"StringEquals": {key: FORGED}}


def value(key):
    name = name_of(key)
    if name in BOOLEANS:
        return "true"
    if name in NUMBERS:
        return "4102444800"
    if name in ("SourceIp", "VpcSourceIp"):
        return "203.0.113.77"
    if name in ("CurrentTime", "TokenIssueTime"):
        return "2099-01-01T00:00:00Z"
    return FORGED


def spellings(key):
    """How headers could be called that somebody takes for a key."""
    prefix, name = key.replace("/", "-").split(":")
    dashed = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
    return {name.lower(), dashed, f"{prefix}-{dashed}", f"x-{dashed}", f"x-amz-{dashed}",
            f"x-{prefix}-{dashed}"} - {"user-agent", "host", "date", "content-type"}


def headers(keys):
    """Headers that name every key, and those by which proxies tell of a connection."""
    all_of_them = {name: value(key) for key in keys for name in spellings(key)}
    all_of_them.update({
        "x-forwarded-for": "203.0.113.77", "forwarded": "for=203.0.113.77;proto=https",
        "x-real-ip": "203.0.113.77", "client-ip": "203.0.113.77", "x-forwarded-proto": "https",
        "x-forwarded-ssl": "on", "x-identity-status": "Confirmed", "remote-user": FORGED})
    listed = sorted(all_of_them.items())
    return [dict(listed[at:at + HEADERS]) for at in range(0, len(listed), HEADERS)]


def parameters(keys):
    """Parameters that name every key in each form that an API has for such things."""
    found = {}
    for number, key in enumerate(keys, 1):
        found[key] = found[name_of(key)] = found[f"Context.{key}"] = value(key)
        found[f"ContextEntries.member.{number}.ContextKeyName"] = key
        found[f"ContextEntries.member.{number}.ContextKeyValues.member.1"] = value(key)
        found[f"ContextEntries.member.{number}.ContextKeyType"] = "string"
    return found


class Sources(Case):
    def test_atk_e13_a_service_says_for_whom_it_calls_and_only_a_service_does(self):
        word = "s" + secrets.token_hex(3)
        service = self.server.service({
            "service": f"{word}.example.com", "display_name": word, "signing_names": [word],
            "usage": "sessions", "hosts": []})
        condition = {"StringEquals": {"aws:SourceAccount": self.account},
                     "ArnLike": {"aws:SourceArn": f"arn:aws:{word}:*:{self.account}:thing/*"}}
        arns = {}
        for name, principal in (("for-service", {"Service": f"{word}.example.com"}),
                                ("for-users", {"AWS": self.account})):
            trust = {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole",
                "Condition": condition}]}
            made = self.iam.create_role(RoleName=f"{name}-{word}",
                                        AssumeRolePolicyDocument=json.dumps(trust))
            arns[name] = made["Role"]["Arn"]

        def assume(keys, role, account=None, arn=None):
            """As an unmodified client of a service calls: with two more headers, which it signs."""
            sts = self.server.client("sts", keys)

            def add(request, **_):
                for header, value in (("x-amz-source-account", account), ("x-amz-source-arn", arn)):
                    if value:
                        request.headers[header] = value

            sts.meta.events.register("before-sign.sts.AssumeRole", add)
            return sts.assume_role(RoleArn=arns[role], RoleSessionName="session")

        mine = f"arn:aws:{word}:r1:{self.account}:thing/1"
        other = f"arn:aws:{word}:r1:999999999999:thing/1"
        assume(service, "for-service", self.account, mine)
        for account, arn in ((None, None), (self.account, None), ("999999999999", other),
                             (self.account, other), ("999999999999", mine)):
            with self.subTest(account=account, arn=arn):
                self.refused("AccessDenied", 403, None, assume, service, "for-service", account, arn)
        self.refused("AccessDenied", 403, None, assume, self.server.admin, "for-users", self.account,
                     mine)


class Aws(Case):
    def ask(self, keys, extra_headers, extra, sign_all=True):
        """ListRoles of IAM with more headers and parameters; answers the status."""
        body = urllib.parse.urlencode({"Action": "ListRoles", "Version": "2010-05-08", **extra})
        kind = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        request = AWSRequest("POST", self.server.endpoint + "/", data=body,
                             headers={**kind, **(extra_headers if sign_all else {})})
        SigV4Auth(Credentials(keys.key, keys.secret), "iam", REGION).add_auth(request)
        sent = dict(request.headers) if sign_all else {**extra_headers, **dict(request.headers)}
        return self.server.send("/", body, sent)

    def granted(self, *conditions):
        """The keys of a user who may list roles under each of some conditions."""
        name = "c" + secrets.token_hex(4)
        keys = self.server.user(name)
        for number, each in enumerate(conditions):
            self.iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=json.dumps(
                allow("iam:ListRoles", condition=each)))
            if number % 9 == 8:
                name = "c" + secrets.token_hex(4)
                yield keys
                keys = self.server.user(name)
        yield keys

    def test_atk_d04_no_header_and_no_parameter_fills_a_key(self):
        keys = known_keys("aws", "iam", "sts")
        self.assertGreater(len(keys), 40)
        forged, said = headers(keys), parameters(keys)
        tried = 0
        for user in self.granted(*[condition(key) for key in keys]):
            for extra in forged:
                for sign_all in (True, False):
                    status, answer = self.ask(user, extra, {}, sign_all)
                    # What is not signed is ignored, or refused for that.
                    codes = ("AccessDenied",) if sign_all else ("AccessDenied", "SignedHeader")
                    self.assertEqual((status, any(code in answer for code in codes)), (403, True),
                                     answer)
                    tried += 1
            status, answer = self.ask(user, {}, said)
            self.assertEqual((status, "AccessDenied" in answer), (403, True), answer)
        self.assertGreater(tried, 20)
        # The same request of who is allowed by what is so: the forged names are ignored, not refused.
        for true in ({"IpAddress": {"aws:SourceIp": "127.0.0.1"}},
                     {"Bool": {"aws:SecureTransport": "false"}},
                     {"StringEquals": {"aws:PrincipalAccount": self.account}}):
            [user] = self.granted(true)
            for extra, more in [(extra, {}) for extra in forged] + [({}, said)]:
                status, answer = self.ask(user, extra, more)
                self.assertEqual(status, 200, answer)

    def test_atk_d04_the_native_api_takes_no_member_it_does_not_know(self):
        keys = known_keys("aws", "iam", "sts")
        list_them = "/v1/slr/list"
        status, answer = self.server.native(self.server.admin, list_them, {})
        self.assertEqual(status, 200, answer)
        for key in keys:
            for name in (key, name_of(key)):
                status, answer = self.server.native(self.server.admin, list_them,
                                                    {name: value(key)})
                self.assertEqual(status, 400, (name, answer))


class Ram(AlibabaCase):
    def list_roles(self, keys, extra_headers, **more):
        query = urllib.parse.urlencode(signed(keys, "ListRoles", VERSIONS["ram"], **more))
        return self.send("POST", query, headers=extra_headers)[::2]

    def test_atk_d04_no_header_and_no_parameter_fills_a_key(self):
        keys = known_keys("acs", "ram", "sts", "oidc")
        self.assertGreater(len(keys), 10)
        forged, said = headers(keys), parameters(keys)
        for key in keys:
            _, user = self.user(ram_allow("ram:ListRoles", condition=condition(key)))
            for extra, more in [(extra, {}) for extra in forged] + [({}, said)]:
                status, answer = self.list_roles(user, extra, **more)
                self.assertEqual((status, "NoPermission" in answer), (403, True), (key, answer))
        for true in ({"IpAddress": {"acs:SourceIp": "127.0.0.1"}},
                     {"Bool": {"acs:SecureTransport": "false"}}):
            _, user = self.user(ram_allow("ram:ListRoles", condition=true))
            for extra, more in [(extra, {}) for extra in forged] + [({}, said)]:
                status, answer = self.list_roles(user, extra, **more)
                self.assertEqual(status, 200, answer)


if __name__ == "__main__":
    unittest.main()
