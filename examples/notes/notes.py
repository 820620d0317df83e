"""The example service `notes.example.com`: keeps notes for the users of an account. Python, boto3, and no Rust.

It shows the whole life of a service-linked role: made in a caller's name with the first note, held by a registered
use for each note, used for the service's own work, let go with the last note. What a request asks for is what the
model says that boto3 reads (`models/`); `linkrole.py` calls linkrole.
"""

import argparse
import hashlib
import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
from botocore.exceptions import ClientError, HTTPClientError
from linkrole import Linkrole, Refused

HERE = Path(__file__).parent
PRINCIPAL, REGION = "notes.example.com", "local-1"
MODEL = json.loads((HERE / "models/notes/2026-01-01/service-2.json").read_text())
BODY_MAX = 65_536


def keep(path, value):
    """Writes a file that only this user reads: whole, or not at all."""
    beside = path.with_suffix(".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def own_key(endpoint, data, token_file, host):
    """The service's key: from the registration at the first start, which is told once, and from the file later."""
    path = data / "credentials.json"
    if not path.exists():
        manifest = json.loads((HERE / "manifest.json").read_text())
        manifest["hosts"] = [host]
        token = Path(token_file).read_text().strip()
        made = Linkrole(endpoint)("RegisterService", manifest=manifest, token=token)
        keep(path, {"key": made["access_key_id"], "secret": made["secret_access_key"]})
    return json.loads(path.read_text())


class Notes:
    """The notes of all accounts, in one file, and the role that each account's notes use."""

    def __init__(self, endpoint, data, key):
        self.linkrole = Linkrole(endpoint, **key)
        self.at = {"endpoint_url": endpoint, "region_name": "us-east-1"}
        self.sts = boto3.client("sts", aws_access_key_id=key["key"], aws_secret_access_key=key["secret"], **self.at)
        self.path = data / "notes.json"
        self.accounts = json.loads(self.path.read_text()) if self.path.exists() else {}

    def settle(self):
        """Tells linkrole which notes there really are: a crash may have left a use without its note."""
        for account, kept in self.accounts.items():
            role = {"account": account, "role": kept["role"]["id"]}
            uses = [arn(account, name) for name in kept["notes"]]
            try:
                version = self.linkrole("ListUsage", **role)["versions"].get(REGION, 0)
                self.linkrole("ReconcileUsage", **role, region=REGION, after_version=version, resources=uses)
            except Refused as refused:
                unless_gone(refused)

    def answer(self, operation, name, forwarded, body):
        """Has linkrole decide about the caller's request, each time anew, and does it."""
        asked = {"forwarded": forwarded, "action": f"notes:{operation}"}
        # Whose the notes are is known once linkrole has proved the caller; then the whole name is asked about.
        account = self.linkrole("AuthorizeRequest", **asked)["caller"]["account"]
        if account is None:
            raise Refused(403, "AccessDenied", "The caller has no account, so no notes.")
        decided = self.linkrole("AuthorizeRequest", **asked, resource=arn(account, name or "*"), account=account)
        if not decided["allowed"]:
            raise Refused(403, "AccessDenied", decided["message"])
        if operation == "PutNote":
            return self.put(account, name, forwarded, body)
        if operation == "ListNotes":
            return {"Names": sorted(self.accounts.get(account, {}).get("notes", {}))}
        if operation == "ListPeople":
            pages = self.session(account).get_paginator("list_users").paginate()
            return {"Names": [user["UserName"] for page in pages for user in page["Users"]]}
        if operation == "RemovePerson":
            return self.remove_person(account, name)
        if name not in self.accounts.get(account, {}).get("notes", {}):
            raise Refused(404, "NoSuchNote", f"There is no note {name}.")
        if operation == "GetNote":
            return {"Text": self.accounts[account]["notes"][name]}
        return self.delete(account, name)

    def put(self, account, name, forwarded, body):
        """The role first, in the caller's name, then the use, then the note: in this order nothing is half made."""
        text = body.get("Text")
        if not isinstance(text, str):
            raise Refused(400, "InvalidNote", "Expected the member `Text`, a text; found none.")
        made = self.linkrole("EnsureServiceLinkedRole", forwarded=forwarded, principal=PRINCIPAL)
        kept = self.accounts.setdefault(account, {"notes": {}})
        kept["role"] = {"id": made["role"]["id"], "arn": made["role"]["arn"]}
        # Kept before there is a use, so that a start after a crash knows where to look for one.
        keep(self.path, self.accounts)
        self.use("RegisterUsage", account, name)
        kept["notes"][name] = text
        keep(self.path, self.accounts)
        return {"Arn": arn(account, name), "RoleCreated": made["created"]}

    def delete(self, account, name):
        """The note first, then its use; with the last note the role's sessions, so that the role can go at once."""
        kept = self.accounts[account]
        del kept["notes"][name]
        keep(self.path, self.accounts)
        try:
            self.use("DeregisterUsage", account, name)
            if not kept["notes"]:
                self.linkrole("ReleaseSessions", account=account, role=kept["role"]["id"])
        except Refused as refused:
            unless_gone(refused)
        return {}

    def use(self, operation, account, name):
        self.linkrole(operation, account=account, role=self.accounts[account]["role"]["id"], region=REGION,
                      resource=arn(account, name))

    def session(self, account):
        """IAM of the account, for whoever has this service's role there: it can do what the role's policy says."""
        text = "This account has no role of this service; put a note to have it made."
        missing = Refused(409, "ServiceLinkedRoleMissing", text)
        role = self.accounts.get(account, {}).get("role")
        if role is None:
            raise missing
        try:
            answer = self.sts.assume_role(RoleArn=role["arn"], RoleSessionName="notes", DurationSeconds=900)
        except ClientError as error:
            # STS says the same of a role that is missing and of one that is refused; the list of uses does not.
            try:
                self.linkrole("ListUsage", account=account, role=role["id"])
            except Refused as refused:
                unless_gone(refused)
                raise missing from error
            raise
        made = answer["Credentials"]
        return boto3.client("iam", aws_access_key_id=made["AccessKeyId"], aws_session_token=made["SessionToken"],
                            aws_secret_access_key=made["SecretAccessKey"], **self.at)

    def remove_person(self, account, name):
        """Tries on purpose what the role's policy does not allow, and answers what linkrole said."""
        try:
            self.session(account).delete_user(UserName=name)
        except ClientError as error:
            return {"Code": error.response["Error"]["Code"], "Message": error.response["Error"]["Message"]}
        return {"Code": "None", "Message": "The role may do more than it should."}


def arn(account, name):
    return f"arn:aws:notes:{REGION}:{account}:note/{name}"


def unless_gone(refused):
    """What is to be undone of a role that is gone is undone."""
    if refused.code != "NoSuchEntity":
        raise refused


def operation_of(method, path):
    """The operation of the model that a request asks for, and the name in its path."""
    for operation, model in MODEL["operations"].items():
        pattern = model["http"]["requestUri"].replace("{Name}", "([A-Za-z0-9][A-Za-z0-9_.-]{0,63})")
        found = re.fullmatch(pattern, path)
        if found and model["http"]["method"] == method:
            return operation, found[1] if found.groups() else None
    raise Refused(404, "NotFound", "Expected an operation of models/notes; found another method or path.")


class Handler(BaseHTTPRequestHandler):
    timeout = 10

    def respond(self):
        try:
            self.send(200, self.server.notes.answer(*self.asked()))
        except Refused as refused:
            self.send(refused.status, {"code": refused.code, "message": refused.message})
        except (HTTPClientError, ClientError) as error:
            # Without an answer of linkrole nothing is done.
            self.log_error("%s", error)
            self.send(503, {"code": "ServiceUnavailable", "message": "linkrole did not answer; try again."})

    def asked(self):
        """What the request asks for, and its signed parts for linkrole, which knows the caller's key."""
        path, _, query = self.path.partition("?")
        operation, name = operation_of(self.command, path)
        length = self.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_MAX or "transfer-encoding" in self.headers:
            raise Refused(413, "InvalidBody", f"Expected a body of at most {BODY_MAX} bytes, and its length.")
        body = self.rfile.read(int(length))
        forwarded = {"method": self.command, "path": path, "query": query,
                     "headers": [[header.lower(), value] for header, value in self.headers.items()],
                     "body_sha256": hashlib.sha256(body).hexdigest()}
        try:
            return operation, name, forwarded, dict(json.loads(body)) if body else {}
        except (ValueError, TypeError, RecursionError):
            raise Refused(400, "InvalidBody", "Expected a JSON object; found something else.") from None

    do_GET = do_PUT = do_DELETE = respond

    def send(self, status, answer):
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def main():
    parser = argparse.ArgumentParser(description="Keeps notes for the users of accounts of linkrole.")
    parser.add_argument("--linkrole", required=True, help="where linkrole is: http://127.0.0.1:4680")
    parser.add_argument("--listen", default="127.0.0.1:9300", help="where to serve, as callers write it")
    parser.add_argument("--data", required=True, type=Path, help="a directory for the key and the notes")
    parser.add_argument("--token-file", help="the operator's one-time token, for the first start")
    wanted = parser.parse_args()
    wanted.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    host, _, port = wanted.listen.rpartition(":")
    # One request at a time, so that no note comes or goes under another's steps.
    server = HTTPServer((host, int(port)), Handler)
    key = own_key(wanted.linkrole, wanted.data, wanted.token_file, wanted.listen)
    server.notes = Notes(wanted.linkrole, wanted.data, key)
    server.notes.settle()
    print(f"ready http://{wanted.listen}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
