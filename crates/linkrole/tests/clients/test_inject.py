"""Faults on demand: what clients meet in clouds on a bad day, from a `dev` that is asked for it."""

import secrets
import unittest

import boto3
from botocore.config import Config

from alibaba import AlibabaCase
from harness import REGION, Keys, Server, allow


class Bad(AlibabaCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("dev", "--inject-propagation", "3600", "--inject-throttle", "5",
                            "--inject-usages", "1")
        cls.admin = Keys(cls.server.exported["ALIBABA_CLOUD_ACCESS_KEY_ID"],
                         cls.server.exported["ALIBABA_CLOUD_ACCESS_KEY_SECRET"])

    def client(self, service, keys=None, attempts=1):
        keys = keys or self.server.admin
        return boto3.client(service, endpoint_url=self.server.endpoint, region_name=REGION,
                            aws_access_key_id=keys.key, aws_secret_access_key=keys.secret,
                            config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}))

    def test_feature_55_every_fifth_request_is_throttled_and_clients_retry(self):
        once, patient = self.client("sts"), self.client("sts", attempts=3)
        codes = []
        for _ in range(10):
            try:
                once.get_caller_identity()
                codes.append("ok")
            except once.exceptions.ClientError as error:
                codes.append(error.response["Error"]["Code"])
        self.assertEqual((codes.count("ok"), codes.count("Throttling")), (8, 2), codes)
        for _ in range(10):
            patient.get_caller_identity()
        seen = [self.raw(self.admin, "sts", "GetCallerIdentity")[1].get("Code") for _ in range(10)]
        self.assertEqual(seen.count("Throttling.User"), 2, seen)

    def test_feature_55_a_new_role_cannot_be_assumed_yet_and_uses_are_told_in_part(self):
        word = "b" + secrets.token_hex(3)
        keys = self.server.service({
            "service": f"{word}.example.com", "display_name": "B", "regions": ["r1", "r2"],
            "role": [{"name": f"B{word}", "policy_name": f"B{word}P", "policy": allow("s3:Get*")}]})
        iam = self.client("iam", attempts=5)
        account = self.client("sts", attempts=5).get_caller_identity()["Account"]
        role = iam.create_service_linked_role(AWSServiceName=f"{word}.example.com")["Role"]
        with self.assertRaises(Exception) as caught:
            self.client("sts", keys, 5).assume_role(RoleArn=role["Arn"], RoleSessionName="early")
        self.assertIn("is not authorized to perform: sts:AssumeRole", str(caught.exception))
        for region, thing in (("r1", "a"), ("r1", "b"), ("r2", "c")):
            status = 400
            while status == 400:
                status, answer = self.server.native(keys, "/v1/usage/register", {
                    "account": account, "role": role["RoleName"], "region": region,
                    "resource": thing})
            self.assertEqual(status, 200, answer)
        task = iam.delete_service_linked_role(RoleName=role["RoleName"])["DeletionTaskId"]
        done = self.server.wait_deleted(iam, task)
        self.assertEqual((done["Status"], done["Reason"]["RoleUsageList"]),
                         ("FAILED", [{"Region": "r1", "Resources": ["a"]}]))


if __name__ == "__main__":
    unittest.main()
