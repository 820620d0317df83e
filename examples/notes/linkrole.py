"""linkrole for a Python program: the operations that its OpenAPI document describes, signed by botocore."""

import json

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session


class Refused(Exception):
    """An answer that is no success: its status, its code for programs, and its text for people."""

    def __init__(self, status, code, message):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message


class Linkrole:
    """Calls operations by their names: `linkrole("ListUsage", account=…, role=…)` answers what the document says."""

    def __init__(self, endpoint, key=None, secret=None):
        self.endpoint = endpoint.rstrip("/")
        self.credentials = Credentials(key, secret) if key else None
        self.http = URLLib3Session(timeout=10)
        document = self._send(AWSRequest("GET", self.endpoint + "/v1/openapi.json"))
        posts = ((path, item["post"]) for path, item in document["paths"].items() if "post" in item)
        self.operations = {post["operationId"]: (path, post.get("security")) for path, post in posts}

    def __call__(self, operation, **body):
        path, security = self.operations[operation]
        request = AWSRequest("POST", self.endpoint + path, data=json.dumps(body),
                             headers={"content-type": "application/json"})
        if security != []:
            # The name is the same whatever is called, and any region does.
            SigV4Auth(self.credentials, "iam", "us-east-1").add_auth(request)
        return self._send(request)

    def _send(self, request):
        answer = self.http.send(request.prepare())
        if answer.status_code == 200:
            return json.loads(answer.content)
        try:
            error = json.loads(answer.content)["error"]
        except (ValueError, KeyError, TypeError):
            error = {"code": "Unreadable", "message": answer.text}
        raise Refused(answer.status_code, error["code"], error["message"])
