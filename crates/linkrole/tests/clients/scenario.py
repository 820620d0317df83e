"""Runs a scenario file (corpus/scenario/README.md) with the vendor's unmodified client against real processes.

Calls go through the vendor's client of the product where it is installed and knows the operation, else through the runtime
beneath all of them. Nothing here stands in for linkrole or for a service.
"""

import importlib
import json
import os
import pathlib
import re
import socket
import subprocess
import time
import tomllib

import boto3
from alibabacloud_tea_openapi import models as openapi
from alibabacloud_tea_openapi.client import Client
from alibabacloud_tea_util.models import RuntimeOptions
from botocore import xform_name
from botocore.exceptions import ClientError
from Tea.exceptions import TeaException

from harness import BINARY, Keys, Server

CORPUS = pathlib.Path(__file__).resolve().parents[4] / "corpus/scenario"
SERVICES = tomllib.loads((CORPUS / "services.toml").read_text())


def names():
    return sorted(path.stem for path in CORPUS.glob("*.toml") if path.stem != "services")


def program():
    """The demo cloud's program, built with what is tested where cargo runs the tests."""
    if "CARGO" in os.environ:
        subprocess.run([os.environ["CARGO"], "build", "--quiet", "--package", "example-cloud"], check=True)
    return str(pathlib.Path(BINARY).with_name("example-cloud"))


class Process:
    """A service of the demo cloud; it keeps its port and its data from one start to the next."""

    def __init__(self, cloud, name):
        self.cloud, self.name = cloud, name
        self.listed = SERVICES[name]
        self.data = os.path.join(cloud.server.folder.name, name)
        self.token = self.data + ".token"
        enrolled = cloud.server.must("/v1/services/enrol", {"service": self.listed["principal"]})
        pathlib.Path(self.token).write_text(enrolled["token"])
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.host = "127.0.0.1:%d" % taken.getsockname()[1]
        self.start()

    def start(self):
        peers = ",".join(f"{peer}=http://{self.cloud.running[peer].host}" for peer in self.listed.get("peers", []))
        self.process = subprocess.Popen(
            [self.cloud.program, self.name, "--listen", self.host, "--linkrole", self.cloud.server.endpoint,
             "--data", self.data, "--token-file", self.token, "--peers", peers],
            stdout=subprocess.PIPE, stderr=self.cloud.server.log, text=True)
        line = self.process.stdout.readline()
        assert line == f"ready http://{self.host}\n", (self.name, line)

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def keys(self):
        told = json.loads(pathlib.Path(self.data, "credentials.json").read_text())
        return Keys(told["access_key_id"], told["secret_access_key"])


class Cloud:
    """linkrole on disk, an account of the Alibaba dialect with its users, and the services of a scenario."""

    dialect = "alibaba"

    def __init__(self, services, users=(), records_reads=False):
        self.program = program()
        self.server = Server("disk", *["--record-reads"] * records_reads)
        self.running = {}
        for name in services:
            self.running[name] = Process(self, name)
        made = self.server.must("/v1/accounts/create", {"dialect": self.dialect})
        self.account = made["account"]
        self.identities = {"root": Keys(made["access_key_id"], made["secret_access_key"])}
        for name, process in self.running.items():
            self.identities[f"service:{name}"] = process.keys()
        for user in [{"name": "admin", "policies": ["AdministratorAccess"]}, *users]:
            self.user(**user)

    def user(self, name, allow=(), policies=()):
        self.must("root", "ram", "CreateUser", UserName=name)
        attached = [("System", policy) for policy in policies]
        if allow:
            document = {"Version": "1", "Statement": [{"Effect": "Allow", **statement} for statement in allow]}
            self.must("root", "ram", "CreatePolicy", PolicyName=name, PolicyDocument=json.dumps(document))
            attached.append(("Custom", name))
        for kind, policy in attached:
            self.must("root", "ram", "AttachPolicyToUser", UserName=name, PolicyType=kind, PolicyName=policy)
        self.identify(name, self.must("root", "ram", "CreateAccessKey", UserName=name))

    def identify(self, name, answer):
        made = answer.get("Credentials") or answer["AccessKey"]
        self.identities[name] = Keys(made["AccessKeyId"], made["AccessKeySecret"], made.get("SecurityToken"))

    def must(self, who, service, action, **given):
        error, answer = self.call(who, service, action, given)
        assert error is None, (action, answer)
        return answer

    def call(self, who, service, action, given):
        """Answers the code of a refusal, or none, and the document."""
        keys = self.identities[who]
        host = self.running[service].host if service in self.running else \
            self.server.endpoint.removeprefix("http://")
        config = openapi.Config(access_key_id=keys.key, access_key_secret=keys.secret, security_token=keys.token,
                                endpoint=host, protocol="http", region_id="cn-hangzhou")
        listed = SERVICES[service]
        try:
            return None, product(listed, config, action, given) or runtime(listed, config, action, given)
        except TeaException as error:
            if not error.data:
                # No answer at all.
                raise
            return error.code, error.data

    def kill(self, name):
        """kill -9 of a service, or of linkrole, and its next start on the same port and data."""
        if name == "linkrole":
            listen = self.server.endpoint.removeprefix("http://")
            self.server.kill()
            self.server.start(listen)
        else:
            self.running[name].kill()
            self.running[name].start()

    def stop(self):
        for process in self.running.values():
            process.process.terminate()
            assert process.process.wait(30) == 0, process.name
            process.process.stdout.close()
        self.server.stop()


class Aws(Cloud):
    """The same of AWS's kind: calls of IAM and STS go through the aws command line, all others through boto3."""

    dialect = "aws"

    def user(self, name, allow=(), policies=()):
        self.must("root", "aws-iam", "CreateUser", UserName=name)
        if allow:
            document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in allow]}
            self.must("root", "aws-iam", "PutUserPolicy", UserName=name, PolicyName=name,
                      PolicyDocument=json.dumps(document))
        for policy in policies:
            self.must("root", "aws-iam", "AttachUserPolicy", UserName=name,
                      PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
        self.identify(name, self.must("root", "aws-iam", "CreateAccessKey", UserName=name))

    def identify(self, name, answer):
        self.identities[name] = Keys.of(answer.get("Credentials") or answer["AccessKey"])

    def call(self, who, service, action, given):
        keys, name = self.identities[who], SERVICES[service]["aws"]["name"]
        if service in self.running:
            endpoint = "http://" + self.running[service].host
            client = boto3.client(name, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=keys.key,
                                  aws_secret_access_key=keys.secret, aws_session_token=keys.token)
            try:
                answer = client._make_api_call(action, given)
            except ClientError as error:
                return error.response["Error"]["Code"], error.response["Error"]
            answer.pop("ResponseMetadata")
            return None, json.loads(json.dumps(answer, default=str))
        code, out, complaint = self.server.aws(name, xform_name(action, "-"), "--cli-input-json", json.dumps(given),
                                               "--output", "json", "--region", "us-east-1", keys=keys)
        if code == 0:
            return None, json.loads(out or "{}")
        told = re.search(r"An error occurred \((\w+)\) when calling the \w+ operation: (.*)", complaint, re.S)
        assert told, complaint
        return told[1], {"Code": told[1], "Message": told[2]}


def product(listed, config, action, given):
    """The call through the product's own client; none where there is none or it does not know the operation."""
    if "python" not in listed:
        return None
    client = importlib.import_module(listed["python"] + ".client").Client(config)
    named = [name for name in dir(client) if name.replace("_", "") == action.lower()]
    if not named:
        return None
    call = getattr(client, named[0])
    request = getattr(importlib.import_module(listed["python"] + ".models"), action + "Request", None)
    # An operation without parameters takes no request.
    answer = call(request().from_map(given)) if request else call()
    return answer.body.to_map() if hasattr(answer.body, "to_map") else answer.body


def runtime(listed, config, action, given):
    query = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in given.items()}
    from alibabacloud_tea_openapi.utils import Utils
    answer = Client(config).call_api(
        openapi.Params(action=action, version=listed["version"], protocol="HTTP", method="POST", pathname="/",
                       auth_type="AK", style="RPC", req_body_type="formData", body_type="json"),
        openapi.OpenApiRequest(query=Utils.query(query)), RuntimeOptions())
    return answer["body"]


class Scenario:
    """One file, run step by step; the first step that does not hold ends it."""

    def __init__(self, name):
        self.told = tomllib.loads((CORPUS / f"{name}.toml").read_text())
        kind = {"alibaba": Cloud, "aws": Aws}[self.told.get("dialect", "alibaba")]
        self.cloud = kind(self.told["services"], self.told.get("user", ()), self.told.get("records_reads", False))
        self.kept = {"account": self.cloud.account}

    def run(self, between=lambda cloud, number: None):
        """Runs every step; `between` is called before each."""
        for number, step in enumerate(self.told["step"]):
            between(self.cloud, number)
            self.step(step)

    def step(self, step):
        given = self.filled(step.get("with", {}))
        deadline = time.monotonic() + step.get("within_s", 0)
        while True:
            error, answer = self.cloud.call(step["as"], step["at"], step["do"], given)
            wrong = self.wrong(step, error, answer)
            if not wrong:
                break
            assert time.monotonic() < deadline, f"{step['shows']} ({step['as']} {step['at']}:{step['do']}): {wrong}: {answer}"
        for name, place in step.get("keep", {}).items():
            self.kept[name] = plain(at(answer, self.filled(place)))
        if "identity" in step:
            self.cloud.identify(step["identity"], answer)

    def wrong(self, step, error, answer):
        """The first thing that is not as the step says, or none."""
        if error != step.get("error"):
            return f"expected {step.get('error') or 'success'}; found {error or 'success'}"
        for place, value in self.filled(step.get("expect", {})).items():
            found = at(answer, place)
            if found != value:
                return f"expected {value!r} at {place}; found {found!r}"
        for member, wanted in ("holds", True), ("lacks", False):
            for place, texts in self.filled(step.get(member, {})).items():
                found = plain(at(answer, place))
                for text in [texts] if isinstance(texts, str) else texts:
                    if (text in found) != wanted:
                        return f"expected {'' if wanted else 'no '}{text!r} at {place}"
        return None

    def filled(self, value):
        if isinstance(value, str):
            return re.sub(r"\{\{(.*?)\}\}", lambda name: self.kept[name[1]], value)
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if isinstance(value, dict):
            return {self.filled(name): self.filled(item) for name, item in value.items()}
        return value


def at(answer, place):
    """What stands at a place of an answer; none where there is nothing."""
    for part in filter(None, place.split(".")):
        member, _, wanted = part.partition("[")
        if isinstance(answer, str):
            try:
                answer = json.loads(answer)
            except ValueError:
                return None
        if member == "#":
            answer = len(answer)
        elif member:
            try:
                answer = answer[int(member) if isinstance(answer, list) else member]
            except (KeyError, IndexError, TypeError, ValueError):
                return None
        if wanted:
            name, text = wanted.removesuffix("]").split("=", 1)
            answer = next((item for item in answer or [] if plain(item.get(name)) == text), None)
    return answer


def plain(value):
    """A value as text: a text as it is, all else as compact JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
