"""Alibaba Cloud's unmodified clients for the tests, and requests signed by hand for what no client sends."""

import base64
import hashlib
import hmac
import http.client
import json
import secrets
import time
import unittest
import urllib.parse

from alibabacloud_actiontrail20200706.client import Client as ActionTrail
from alibabacloud_ims20190815.client import Client as Ims
from alibabacloud_ram20150501.client import Client as Ram
from alibabacloud_resourcemanager20200331.client import Client as ResourceManager
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi import models as openapi

from harness import Case, Keys

CLIENTS = {"ram": Ram, "rm": ResourceManager, "sts": Sts, "ims": Ims, "trail": ActionTrail}
VERSIONS = {"ram": "2015-05-01", "rm": "2020-03-31", "sts": "2015-04-01", "ims": "2019-08-15",
            "trail": "2020-07-06"}


def encode(text):
    return urllib.parse.quote(text, safe="-_.~")


def signed(keys, action, version, method="POST", **more):
    """The parameters of a request of version 1, with their signature."""
    values = {"AccessKeyId": keys.key, "Action": action, "Format": "JSON", "Version": version,
              "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0",
              "SignatureNonce": secrets.token_hex(16),
              "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **more}
    if keys.token:
        values["SecurityToken"] = keys.token
    values = {name: value for name, value in values.items() if value is not None}
    pairs = "&".join(f"{encode(k)}={encode(v)}" for k, v in sorted(values.items()))
    text = f"{method}&%2F&{encode(pairs)}"
    mac = hmac.new((keys.secret + "&").encode(), text.encode(), hashlib.sha1)
    values["Signature"] = base64.b64encode(mac.digest()).decode()
    return values


class AlibabaCase(Case):
    """A test in an account of the Alibaba dialect."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        server = cls.server
        if server.kind == "dev":
            cls.root = None
            cls.admin = Keys(server.exported["ALIBABA_CLOUD_ACCESS_KEY_ID"],
                             server.exported["ALIBABA_CLOUD_ACCESS_KEY_SECRET"])
        else:
            made = server.must("/v1/accounts/create", {"dialect": "alibaba"})
            cls.root = Keys(made["access_key_id"], made["secret_access_key"])
            cls.ask_as(cls.root, "ram", "CreateUser", UserName="admin")
            cls.ask_as(cls.root, "ram", "AttachPolicyToUser", UserName="admin",
                       PolicyType="System", PolicyName="AdministratorAccess")
            cls.admin = cls.keys_for(cls.root, "admin")
        me = cls.ask_as(cls.admin, "sts", "GetCallerIdentity")
        cls.home = me["AccountId"]

    @classmethod
    def keys_for(cls, keys, user):
        made = cls.ask_as(keys, "ram", "CreateAccessKey", UserName=user)["AccessKey"]
        return Keys(made["AccessKeyId"], made["AccessKeySecret"])

    @classmethod
    def sdk(cls, product, keys=None):
        """The vendor's new client, which signs with version 3."""
        keys = keys or cls.admin
        host = cls.server.endpoint.removeprefix("http://")
        return CLIENTS[product](openapi.Config(
            access_key_id=keys.key, access_key_secret=keys.secret, security_token=keys.token,
            endpoint=host, protocol="http"))

    @classmethod
    def send(cls, method, query, body=b"", headers=None):
        """A raw request; answers status, content type and text."""
        host = cls.server.endpoint.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request(method, "/?" + query, body, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.getheader("content-type"), text

    @classmethod
    def raw(cls, keys, product, action, **more):
        """A request of version 1; answers status and document."""
        values = signed(keys, action, VERSIONS[product], **more)
        status, kind, text = cls.send("POST", urllib.parse.urlencode(values))
        assert kind == "application/json;charset=utf-8", kind
        return status, json.loads(text)

    @classmethod
    def ask_as(cls, keys, product, action, **more):
        status, answer = cls.raw(keys, product, action, **more)
        assert status == 200, (action, status, answer)
        return answer

    def ask(self, product, action, **more):
        return self.ask_as(self.admin, product, action, **more)

    def wrong(self, status, code, message, product, action, keys=None, **more):
        """The request fails with exactly this status, code and, where one is given, text."""
        found, answer = self.raw(keys or self.admin, product, action, **more)
        self.assertEqual((found, answer.get("Code")), (status, code), answer)
        for member in ("RequestId", "HostId", "Code", "Message", "Recommend"):
            self.assertIsInstance(answer[member], str)
        if message is not None:
            self.assertEqual(answer["Message"], message)
        return answer

    def user(self, policy=None):
        """A user with at most one policy of her own; answers her name and keys."""
        name = "u" + secrets.token_hex(4)
        self.ask("ram", "CreateUser", UserName=name)
        if policy:
            self.ask("ram", "CreatePolicy", PolicyName=name, PolicyDocument=json.dumps(policy))
            self.ask("ram", "AttachPolicyToUser", UserName=name, PolicyType="Custom",
                     PolicyName=name)
        return name, self.keys_for(self.admin, name)

    def role(self, principal=None):
        name = "R" + secrets.token_hex(4)
        self.ask("ram", "CreateRole", RoleName=name,
                 AssumeRolePolicyDocument=self.trust(principal))
        return name

    def trust(self, principal=None):
        """A trust policy: of the own account unless another principal is given."""
        return json.dumps({"Version": "1", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": principal or {"RAM": [f"acs:ram::{self.home}:root"]}}]})

    def arn(self, role):
        return f"acs:ram::{self.home}:role/{role.lower()}"

    def wait(self, task):
        """Polls a deletion task until it is final; answers it."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = self.ask("rm", "GetServiceLinkedRoleDeletionStatus", DeletionTaskId=task)
            if found["Status"] in ("SUCCEEDED", "FAILED", "INTERNAL_ERROR"):
                return found
        raise AssertionError(f"{task} did not end")


def allow(*actions, resource="*", condition=None):
    """A policy of RAM with one Allow statement."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    if condition:
        statement["Condition"] = condition
    return {"Version": "1", "Statement": [statement]}


def unseen(suffix="optional"):
    """A manifest that no binary can know: every name is drawn here."""
    word = secrets.token_hex(4)
    service = f"{word}.unseen.test"
    return {
        "service": service, "display_name": f"Unseen {word}",
        "signing_names": [f"sn-{word}"], "hosts": [f"{word}.unseen.test:8443"],
        "regions": ["cn-hangzhou", "cn-beijing"], "usage": "registry",
        "role": [{"name": f"Unseen{word}", "policy_name": f"AliyunServiceRolePolicyForUnseen{word}",
                  "suffix": suffix, "description": f"For Unseen {word}.",
                  "ram_policy": {"Version": "1", "Statement": [{
                      "Effect": "Allow", "Action": f"sn-{word}:Read*", "Resource": "*"}]}}],
    }


__all__ = ["AlibabaCase", "allow", "signed", "unseen", "unittest"]
