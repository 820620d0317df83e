"""Writes requests signed by the unmodified botocore, as they would leave for the network.

Run `python3 corpus/sign/generate.py`; it rewrites `botocore.json` beside this file. The clock is
frozen and the keys are fixed, so the output changes only with botocore. It sends nothing: a hook
takes each request just before it would be sent.
"""

import datetime
import json
import pathlib
from unittest import mock
from urllib.parse import urlsplit

import botocore.auth
import botocore.session
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 3, 14, 15, 9, 26, tzinfo=datetime.timezone.utc)
# The example key that the AWS documentation of Signature Version 4 publishes.
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//////////+token/with=odd+chars=="

cases = []


def clock():
    return NOW.replace(tzinfo=None)


def record(name, service, region, token, method, url, headers, body):
    parts = urlsplit(url)
    lines = {}
    for key, value in headers.items():
        value = value.decode() if isinstance(value, bytes) else str(value)
        lines[key.lower()] = value
    lines.setdefault("host", parts.netloc)
    body = body or b""
    body = body.encode() if isinstance(body, str) else body
    cases.append(
        {
            "name": name,
            "service": service,
            "region": region,
            "token": token,
            "method": method,
            "path": parts.path or "/",
            "query": parts.query,
            "headers": sorted(lines.items()),
            "body": body.decode("utf-8"),
        }
    )


def client(service, region, token, endpoint):
    session = botocore.session.get_session()
    session.set_credentials(KEY, SECRET, token)
    config = Config(
        user_agent="botocore", retries={"max_attempts": 1, "mode": "standard"}, signature_version="v4"
    )
    return session.create_client(service, region_name=region, endpoint_url=endpoint, config=config)


def call(name, service, operation, region="us-east-1", token=None, endpoint="http://127.0.0.1:8080", **parameters):
    made = client(service, region, token, endpoint)
    taken = []

    def take(request, **_):
        taken.append(request)
        return AWSResponse(request.url, 200, {}, Raw())

    made.meta.events.register("before-send", take)
    # The invocation id is random; fix it so that the output is stable.
    with mock.patch("uuid.uuid4", return_value="11111111-2222-4333-8444-555555555555"):
        try:
            getattr(made, operation)(**parameters)
        except Exception:  # the empty answer does not parse; only the request matters
            if not taken:
                raise
    request = taken[0]
    record(name, service, region, token, request.method, request.url, request.headers, request.body)


class Raw:
    """An empty answer."""

    def stream(self, **_):
        yield b""

    def read(self, *_):
        return b""


def presign(name, region="us-east-1", token=None, expires=60, endpoint="https://sts.example.test"):
    made = client("sts", region, token, endpoint)
    url = made.generate_presigned_url("get_caller_identity", ExpiresIn=expires, HttpMethod="GET")
    record(name, "sts", region, token, "GET", url, {}, b"")


def raw(name, service, method, url, params=None, headers=None, body=b"", region="us-east-1", token=None, auth=None):
    request = AWSRequest(method=method, url=url, params=params, headers=headers, data=body)
    request.context["payload_signing_enabled"] = True
    signer = auth or botocore.auth.SigV4Auth
    signer(Credentials(KEY, SECRET, token), service, region).add_auth(request)
    sent = request.prepare()
    record(name, service, region, token, sent.method, sent.url, sent.headers, sent.body)


def main():
    tags = [{"Key": "team", "Value": "a b+c&d=e"}, {"Key": "naïve/ключ", "Value": "日本語 🙂"}]
    document = json.dumps({"Version": "2012-10-17", "Statement": []}, indent=2)
    call("caller identity", "sts", "get_caller_identity")
    call("caller identity, token", "sts", "get_caller_identity", token=TOKEN)
    call("caller identity, other region", "sts", "get_caller_identity", region="eu-central-1")
    call("caller identity, china", "sts", "get_caller_identity", region="cn-north-1")
    call("caller identity, default port", "sts", "get_caller_identity", endpoint="https://sts.example.test")
    call("caller identity, ipv6", "sts", "get_caller_identity", endpoint="http://[::1]:9000")
    call("create linked role", "iam", "create_service_linked_role", AWSServiceName="backup.example.test")
    call("create linked role, description", "iam", "create_service_linked_role",
         AWSServiceName="backup.example.test", Description="a b  c: 100% (ü) ~tilde_under-dash.dot*star")
    call("create linked role, suffix, token", "iam", "create_service_linked_role", token=TOKEN,
         AWSServiceName="backup.example.test", CustomSuffix="x_+=,.@-y")
    call("delete linked role", "iam", "delete_service_linked_role", RoleName="AWSServiceRoleForExampleBackup")
    call("deletion status", "iam", "get_service_linked_role_deletion_status",
         DeletionTaskId="task/aws-service-role/backup.example.test/AWSServiceRoleForExampleBackup/0f0f")
    call("get role", "iam", "get_role", RoleName="R+o=l,e.@-_")
    call("create role, path and tags", "iam", "create_role", RoleName="app", Path="/a/b/",
         AssumeRolePolicyDocument=document, Tags=tags)
    call("create role, empty tags", "iam", "create_role", RoleName="app", AssumeRolePolicyDocument=document, Tags=[])
    call("put role policy, line breaks", "iam", "put_role_policy", RoleName="app", PolicyName="p",
         PolicyDocument=document.replace("  ", "\t") + "\r\n")
    call("put role policy, long", "iam", "put_role_policy", RoleName="app", PolicyName="p",
         PolicyDocument=document + " " * 5000)
    call("list roles", "iam", "list_roles", PathPrefix="/aws-service-role/", MaxItems=7)
    call("list roles, marker", "iam", "list_roles", Marker="AAAA/BBBB+CCCC==")
    call("tag role, unicode", "iam", "tag_role", RoleName="app", Tags=tags)
    call("tag role, quotes", "iam", "tag_role", RoleName="app",
         Tags=[{"Key": "q", "Value": "'single' \"double\" `back` \\ | ; : ? # [ ] { } < > ^ $ !"}])
    call("untag role", "iam", "untag_role", RoleName="app", TagKeys=["a b", "c/d", "e%f"])
    call("update description, empty", "iam", "update_role_description", RoleName="app", Description="")
    call("get user", "iam", "get_user")
    call("create access key", "iam", "create_access_key", UserName="someone@example.test")
    call("assume role", "sts", "assume_role", RoleArn="arn:aws:iam::123456789012:role/app", RoleSessionName="session")
    call("assume role, session policy", "sts", "assume_role", RoleArn="arn:aws:iam::123456789012:role/app",
         RoleSessionName="s=,.@-", Policy=document, DurationSeconds=900, ExternalId="e:x/t=1", Tags=tags,
         TransitiveTagKeys=["team"], SourceIdentity="who")
    call("assume role, token", "sts", "assume_role", token=TOKEN,
         RoleArn="arn:aws:iam::123456789012:role/app", RoleSessionName="chained")
    call("session token", "sts", "get_session_token", DurationSeconds=1800)
    call("decode message", "sts", "decode_authorization_message", EncodedMessage="e30=" * 40)
    call("lookup events, json", "cloudtrail", "lookup_events",
         LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateServiceLinkedRole"}])
    call("lookup events, token", "cloudtrail", "lookup_events", token=TOKEN, MaxResults=5)
    presign("presigned")
    presign("presigned, token", token=TOKEN)
    presign("presigned, longest", expires=900)
    presign("presigned, one second", expires=1)
    presign("presigned, region and port", region="ap-southeast-2", endpoint="http://localhost:4566")
    base = "http://127.0.0.1:8080"
    raw("get query", "iam", "GET", base + "/", params={"Action": "GetUser", "Version": "2010-05-08"})
    raw("get query, odd values", "iam", "GET", base + "/",
        params={"Action": "X", "a b": "c d", "plus": "1+1", "slash": "a/b", "uni": "ü日🙂", "tilde": "~-_.", "pct": "100%"})
    raw("get query, repeated order", "iam", "GET", base + "/",
        params={"b": "2", "a": "9", "B": "1", "a1": "0", "a-": "3", "empty": ""})
    raw("get query, escapes in the url", "iam", "GET", base + "/?k=a%2Fb%20c%2Bd&k2=%E2%82%AC&z=%25")
    raw("get query, token", "iam", "GET", base + "/", params={"Action": "GetUser"}, token=TOKEN)
    json_type = {"Content-Type": "application/json"}
    raw("native, json", "iam", "POST", base + "/v1/authorize", headers=json_type,
        body='{"action":"backup:Start","text":"ü + %2F \\u0041"}')
    raw("native, token", "iam", "POST", base + "/v1/authorize", headers=json_type, body="{}", token=TOKEN)
    raw("native, acted-on header", "iam", "POST", base + "/v1/authorize", body="{}",
        headers={**json_type, "X-Linkrole-Service": "backup", "X-Amz-Target": "a.b"})
    raw("native, get", "iam", "GET", base + "/v1/services", params={"after": "x/y z"})
    raw("native, delete", "iam", "DELETE", base + "/v1/tasks/0f0f")
    raw("native, put without body", "iam", "PUT", base + "/v1/x", headers=json_type)
    raw("path, escaped slash", "storage", "GET", base + "/bucket/a%2Fb")
    raw("path, escaped escape", "storage", "GET", base + "/bucket/a%252Fb")
    raw("path, reserved", "storage", "GET", base + "/bucket/a+b=c@d:e,f;g!h$i&j'k(l)m*n~o")
    raw("path, escaped unicode", "storage", "PUT", base + "/bucket/%C3%BC%20x/", body="data")
    raw("header, inner spaces", "storage", "GET", base + "/x", headers={"X-Amz-Meta-A": "  a   b  c  "})
    raw("header, stated hash", "storage", "PUT", base + "/x", body="data", headers={
        "X-Amz-Content-SHA256": "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"})
    raw("presigned by hand, more parameters", "sts", "GET", base + "/",
        params={"Action": "GetCallerIdentity", "Version": "2011-06-15", "x y": "a+b/c"},
        auth=lambda c, s, r: botocore.auth.SigV4QueryAuth(c, s, r, expires=60))
    raw("presigned by hand, signed header", "sts", "GET", base + "/?Action=GetCallerIdentity&Version=2011-06-15",
        headers={"x-k8s-aws-id": "cluster-1"}, token=TOKEN,
        auth=lambda c, s, r: botocore.auth.SigV4QueryAuth(c, s, r, expires=60))


if __name__ == "__main__":
    with mock.patch("botocore.auth.get_current_datetime", side_effect=clock):
        main()
    here = pathlib.Path(__file__).parent / "botocore.json"
    lines = [json.dumps(case, ensure_ascii=False, sort_keys=True) for case in cases]
    here.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(len(cases), "cases")
