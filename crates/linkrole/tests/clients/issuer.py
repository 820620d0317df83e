"""An issuer of tokens for the tests: OpenID Connect over TLS, with keys and answers that can be changed."""

import base64
import http.server
import json
import ssl
import tempfile
import threading
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import certificates


def text64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number64(number):
    return text64(number.to_bytes((number.bit_length() + 7) // 8, "big"))


class Issuer:
    """An issuer of tokens with a certificate of its own authority, whose answers can be changed."""

    def __init__(self, case):
        folder = tempfile.TemporaryDirectory()
        case.addCleanup(folder.cleanup)
        made = certificates.chain(folder.name)
        self.fingerprint, self.pin = made.sha1, made.sha256
        self.key = rsa.generate_private_key(65537, 2048)
        self.asked = []
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append(self.path)
                status, headers, body = issuer.answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A client that does not trust us ends the connection; that is what some tests want.
        self.server.handle_error = lambda *_: None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.chain, made.private)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        case.addCleanup(self.server.server_close)
        case.addCleanup(self.server.shutdown)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}/realm"
        self.answers = {}
        self.publish()

    def publish(self, issuer=None, keys_at=None, **key):
        numbers = self.key.public_key().public_numbers()
        jwk = {"kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256",
               "n": number64(numbers.n), "e": number64(numbers.e), **key}
        found = {"issuer": issuer or self.url, "jwks_uri": keys_at or self.url + "/keys"}
        self.answers = {
            "/realm/.well-known/openid-configuration": (200, {}, json.dumps(found).encode()),
            "/realm/keys": (200, {}, json.dumps({"keys": [jwk]}).encode())}

    def token(self, header=None, key=None, **more):
        now = int(time.time())
        claims = {"iss": self.url, "sub": "system:serviceaccount:shop:cart", "aud": "cloud",
                  "iat": now, "exp": now + 600, **more}
        claims = {name: value for name, value in claims.items() if value is not None}
        parts = [{"alg": "RS256", "kid": "k1", **(header or {})}, claims]
        signed = ".".join(text64(json.dumps(part).encode()) for part in parts)
        signature = (key or self.key).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{text64(signature)}"
