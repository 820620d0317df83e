"""Real servers and unmodified clients for the tests in this folder.

Starts the binary that LINKROLE_TEST_BINARY names, in memory or on disk, and hands out boto3
clients, the operator's socket and the aws command line. Nothing here stands in for linkrole.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

BINARY = os.environ["LINKROLE_TEST_BINARY"]
REGION = "eu-test-1"


class OperatorConnection(http.client.HTTPConnection):
    """HTTP over the operator's Unix socket."""

    def __init__(self, path):
        super().__init__("operator")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


class Keys:
    def __init__(self, key, secret, token=None):
        self.key, self.secret, self.token = key, secret, token

    @classmethod
    def of(cls, made):
        return cls(made["AccessKeyId"], made["SecretAccessKey"], made.get("SessionToken"))


class Server:
    """A running server: `dev` in memory, or `serve` on disk after an `init`."""

    def __init__(self, kind, *args):
        self.kind = kind
        self.folder = tempfile.TemporaryDirectory()
        self.data = os.path.join(self.folder.name, "data")
        self.args = args
        self.env = {**os.environ, "XDG_RUNTIME_DIR": self.folder.name}
        for name in list(self.env):
            if name.startswith("AWS_") or name == "LINKROLE_SOCKET":
                del self.env[name]
        self.process = None
        if kind == "disk":
            done = subprocess.run([BINARY, "init", "--data-dir", self.data], env=self.env,
                                  capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        self.start()

    def start(self, listen="127.0.0.1:0"):
        listen = ["--listen", listen]
        if self.kind == "dev":
            command = [BINARY, "dev", *listen, *self.args]
        else:
            command = [BINARY, "serve", "--data-dir", self.data, *listen, *self.args]
        self.log = open(os.path.join(self.folder.name, "log"), "a")
        self.process = subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        exported = {}
        for line in self.process.stdout:
            words = line.split()
            if line.startswith("endpoint"):
                self.endpoint = words[1]
            if line.startswith("ready"):
                self.endpoint = words[1]
                break
            if line.startswith("export "):
                name, value = words[1].split("=", 1)
                exported[name] = value
            if line.startswith("In another shell"):
                break
        else:
            raise AssertionError("the server did not start: " + open(self.log.name).read())
        self.exported = exported
        if self.kind == "dev":
            self.admin = Keys(exported["AWS_ACCESS_KEY_ID"], exported["AWS_SECRET_ACCESS_KEY"])
            self.socket = exported["LINKROLE_SOCKET"]
        else:
            self.socket = os.path.join(self.data, "operator.sock")
            if not hasattr(self, "root"):
                self.root = self.root_keys()
                self.admin = self.make_admin()

    def root_keys(self):
        words = {}
        with open(os.path.join(self.data, "root-credentials")) as lines:
            for line in lines:
                if "=" in line:
                    name, value = line.split("=", 1)
                    words[name.strip()] = value.strip()
        return Keys(words["aws_access_key_id"], words["aws_secret_access_key"])

    def make_admin(self):
        iam = self.client("iam", self.root)
        iam.create_user(UserName="admin")
        iam.attach_user_policy(UserName="admin",
                               PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        return Keys.of(iam.create_access_key(UserName="admin")["AccessKey"])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def stop(self):
        """Ends the server in good order; it must say that it did."""
        self.process.terminate()
        code = self.process.wait(30)
        self.process.stdout.close()
        self.log.close()
        if self.kind == "disk":
            checked = subprocess.run([BINARY, "fsck", "--data-dir", self.data], env=self.env,
                                     capture_output=True, text=True)
            assert checked.returncode == 0, checked.stdout + checked.stderr
        with open(self.log.name) as written:
            log = written.read()
        self.folder.cleanup()
        assert code == 0, f"ended with {code}: {log}"
        assert "panicked" not in log, log

    def client(self, service, keys=None):
        keys = keys or self.admin
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION,
                            aws_access_key_id=keys.key, aws_secret_access_key=keys.secret,
                            aws_session_token=keys.token,
                            config=Config(retries={"max_attempts": 1}, parameter_validation=False))

    def operator(self, path, body=None):
        """Asks as the operator; answers the status and the document."""
        connection = OperatorConnection(self.socket)
        connection.request("POST", path, json.dumps(body or {}),
                           {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text)

    def must(self, path, body=None):
        status, answer = self.operator(path, body)
        assert status == 200, (path, status, answer)
        return answer

    def native(self, keys, path, body):
        """Asks in the native dialect, signed by botocore; answers the status and the document."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        text = json.dumps(body)
        request = AWSRequest("POST", self.endpoint + path, data=text,
                             headers={"content-type": "application/json"})
        SigV4Auth(Credentials(keys.key, keys.secret, keys.token), "iam", REGION).add_auth(request)
        return self.send(path, text, dict(request.headers))

    def send(self, path, text, headers, method="POST"):
        host = self.endpoint.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request(method, path, text, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, json.loads(body) if body.startswith(b"{") else body.decode()

    def user(self, name, policy=None):
        """A user with at most one inline policy; answers its keys."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if policy:
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        return Keys.of(iam.create_access_key(UserName=name)["AccessKey"])

    def service(self, manifest):
        """Registers a linked service by an enrolment token; answers its keys."""
        enrol = {"service": manifest["service"]}
        if "callback" in manifest:
            enrol["callback"] = manifest["callback"]["url"]
        token = self.must("/v1/services/enrol", enrol)["token"]
        body = json.dumps({"token": token, "manifest": manifest})
        status, made = self.send("/v1/services/register", body,
                                 {"content-type": "application/json"})
        assert status == 200, (status, made)
        return Keys(made["access_key_id"], made["secret_access_key"])

    def forwarded(self, keys, service, host, method="POST", path="/things", body=""):
        """The signed parts of a request of `keys` to `service`, as that service forwards them."""
        import hashlib
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        request = AWSRequest(method, f"http://{host}{path}", data=body)
        SigV4Auth(Credentials(keys.key, keys.secret, keys.token), service, REGION).add_auth(request)
        headers = [[name.lower(), value] for name, value in request.headers.items()]
        if not any(name == "host" for name, _ in headers):
            headers.append(["host", host])
        return {"method": method, "path": path, "query": "", "headers": headers,
                "body_sha256": hashlib.sha256(body.encode()).hexdigest()}

    def aws(self, *args, keys=None):
        """Runs the unmodified aws command line; answers its exit code, output and complaint."""
        keys = keys or self.admin
        env = {**self.env, "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": keys.key,
               "AWS_SECRET_ACCESS_KEY": keys.secret, "AWS_DEFAULT_REGION": REGION,
               "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": ""}
        if keys.token:
            env["AWS_SESSION_TOKEN"] = keys.token
        done = subprocess.run([sys.executable, "-m", "awscli", *args], env=env,
                              capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def linkrole(self, *args, keys=None):
        """Runs our own command line."""
        keys = keys or self.admin
        env = {**self.env, "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": keys.key,
               "AWS_SECRET_ACCESS_KEY": keys.secret, "LINKROLE_SOCKET": self.socket}
        done = subprocess.run([BINARY, *args], env=env, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def wait_deleted(self, iam, task):
        """Polls a deletion task until it is final; answers it."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            status = iam.get_service_linked_role_deletion_status(DeletionTaskId=task)
            if status["Status"] in ("SUCCEEDED", "FAILED"):
                return status
        raise AssertionError(f"{task} did not end")


class Case(unittest.TestCase):
    """A test against one server for the whole class."""

    kind = "dev"
    only = None
    args = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.only or os.environ.get("LINKROLE_TEST_KIND", cls.kind), *cls.args)
        cls.iam = cls.server.client("iam")
        cls.sts = cls.server.client("sts")
        cls.account = cls.sts.get_caller_identity()["Account"]

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def until(self, read, holds):
        """What is read, as soon as it holds; what the server does by itself it does within seconds."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = read()
            if holds(found):
                return found
        self.fail(f"never told: {found}")

    def refused(self, code, status, message, call, *args, **kwargs):
        """The call fails with exactly this code and status, and this text where one is given."""
        with self.assertRaises(ClientError) as caught:
            call(*args, **kwargs)
        error = caught.exception.response
        self.assertEqual(error["Error"]["Code"], code, error)
        self.assertEqual(error["ResponseMetadata"]["HTTPStatusCode"], status, error)
        if message is not None:
            self.assertEqual(error["Error"]["Message"], message)
        return error["Error"]["Message"]


def allow(*actions, resource="*", condition=None):
    """A policy of one Allow statement."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    if condition:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}
