"""A linked service that is asked about its roles, written from the contract alone; it can misbehave.

It keeps its fences in a file before it answers, knows linkrole by its own key, and proves each answer.
"""

import hashlib
import hmac
import http.server
import json
import os
import ssl
import tempfile
import threading
import time
from urllib.parse import parse_qsl, urlsplit


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def sigv4(secret, method, path, headers, names, body, scope, stamp):
    """The signature that a request with these headers must have."""
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    canonical = "\n".join([method, path, "", lines, ";".join(names),
                           hashlib.sha256(body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, "/".join(scope),
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in scope:
        key = mac(key, part)
    return mac(key, text).hex()


class Asked:
    """The service's side: what it was told, and what it says. `bend` is the behaviour, None for a good one."""

    def __init__(self, regions=("r1", "r2"), context=None):
        self.regions = list(regions)
        self.bend = None
        self.keys = None
        self.resources = {}
        self.told = []
        self.bad_signatures = 0
        self.last = None
        self.release = threading.Event()
        self.file = tempfile.NamedTemporaryFile(delete=False).name
        self.lock = threading.Lock()
        handler = type("Handler", (Handler,), {"service": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        # Whoever hangs up on a service that hangs does what these tests want.
        self.server.handle_error = lambda *_: None
        scheme = "http"
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}/linkrole"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
        os.unlink(self.file)

    # -- duties

    def fences(self):
        with open(self.file) as held:
            text = held.read()
        return json.loads(text) if text else {}

    def keep(self, fences):
        """On disk before the answer."""
        with open(self.file + ".new", "w") as file:
            json.dump(fences, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.file + ".new", self.file)

    def may_create(self, role):
        with self.lock:
            return self.fences().get(role, {}).get("fence", 0) == 0

    def take(self, ask):
        role, epoch, phase = ask["role_id"], ask["epoch"], ask["phase"]
        with self.lock:
            self.told.append((phase, role, epoch))
            fences = self.fences()
            held = fences.setdefault(role, {"fence": 0, "cancelled": 0, "gone": False})
            if phase == "prepare" and epoch > held["cancelled"]:
                held["fence"] = max(held["fence"], epoch)
            if phase == "cancel":
                held["cancelled"] = max(held["cancelled"], epoch)
                if held["fence"] <= epoch and not held["gone"]:
                    held["fence"] = 0
            if phase == "committed":
                held["gone"], held["fence"] = True, max(held["fence"], epoch)
            self.keep(fences)
            uses = self.resources.get(role, {})
            return {"epoch": epoch, "in_use": any(uses.values()),
                    "fenced_epoch": held["fence"] or None,
                    "regions_complete": [ask["region"]] if "region" in ask else self.regions,
                    "usages": [{"region": r, "resources": list(n)} for r, n in uses.items() if n],
                    "sessions_released": False}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        try:
            self.answer()
        except (BrokenPipeError, ConnectionResetError, FileNotFoundError, ssl.SSLError):
            self.close_connection = True

    def signature(self, body):
        """The signature that the request has and must have, or None."""
        words = dict(part.strip().split("=", 1) for part in
                     self.headers["authorization"].split(" ", 1)[1].split(","))
        key, *scope = words["Credential"].split("/")
        headers = {name.lower(): value for name, value in self.headers.items()}
        names = words["SignedHeaders"].split(";")
        expected = sigv4(self.service.keys.secret, "POST", self.path, headers, names, body, scope,
                         self.headers["x-amz-date"])
        good = (key == self.service.keys.key and scope[2] == "linkrole-callback"
                and "host" in names and hmac.compare_digest(expected, words["Signature"]))
        return words["Signature"] if good else None

    def answer(self):
        service = self.service
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if "x-acs-action" in self.headers:
            return self.answer_rpc(body)
        signature = self.signature(body)
        if signature is None:
            service.bad_signatures += 1
            return self.say(403, b"who is it?")
        ask = json.loads(body)
        bend = service.bend if ask["phase"] in ("check", "prepare") else None
        if bend == "hangs":
            service.release.wait()
            return None
        if bend == "fails":
            return self.say(503, b"later")
        if bend == "redirects":
            return self.say(307, b"", location=service.url + "/elsewhere")
        if bend == "late" and ask["phase"] == "prepare":
            service.resources[ask["role_id"]] = {"r1": ["vault/late"]}
        reply = service.take(ask)
        if bend == "lies":
            reply["in_use"], reply["usages"] = False, [{"region": "r1", "resources": ["r/1"]}]
        if bend == "partial":
            reply["regions_complete"] = reply["regions_complete"][:1]
        if bend == "stale":
            reply["epoch"] = reply["epoch"] + 1 if reply["epoch"] == 0 else reply["epoch"] - 1
        text = json.dumps(reply).encode()
        if bend == "garbage":
            text = b"<html>all is well</html>"
        if bend == "oversize":
            text = text[:-1] + b', "usages": [' + b" " * (2 << 20) + b"]}"
        proof = mac(service.keys.secret.encode(), "\n".join(
            ["linkrole-callback", signature, hashlib.sha256(text).hexdigest()])).hex()
        if bend == "forged":
            proof = mac(b"another's", "anything").hex()
        if bend == "duplicate":
            service.last = service.last or (text, proof)
            text, proof = service.last if service.last[0] != text else (text, "0" * 64)
        service.last = service.last or (text, proof)
        if bend == "drips":
            return self.drip(text, proof)
        return self.say(200, text, **{"x-linkrole-answer": proof})

    def drip(self, text, proof):
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.send_header("x-linkrole-answer", proof)
        self.end_headers()
        for byte in text:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.service.release.wait(0.4):
                return

    def answer_rpc(self, body):
        """The contract of Alibaba Cloud's own services."""
        service = self.service
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query))
        words = dict(part.strip().split("=", 1) for part in
                     self.headers["authorization"].split(" ", 1)[1].split(","))
        names = words["SignedHeaders"].split(";")
        lines = "".join(f"{name}:{self.headers[name].strip()}\n" for name in names)
        canonical = "\n".join(["POST", address.path, address.query, lines, ";".join(names),
                               hashlib.sha256(body).hexdigest()])
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        if not hmac.compare_digest(mac(service.keys.secret.encode(), text).hex(), words["Signature"]):
            service.bad_signatures += 1
            return self.say(403, b"who is it?")
        service.told.append((self.headers["x-acs-action"], query))
        uses = service.resources.get(query["RoleArn"], {})
        mine = uses.get(query["SPIRegionId"], [])
        reply = {"RequestId": "1", "Deletable": not mine,
                 "RoleUsages": [{"Region": query["SPIRegionId"], "Resources": mine}] if mine else []}
        return self.say(200, json.dumps(reply).encode())

    def say(self, status, text, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
