"""kill -9 at random moments under a write load from 8 clients, on the embedded engine.

After each kill the store is checked, the server restarted, and what was acknowledged looked for:
none lost, none half applied, every open deletion task final. LINKROLE_KILLS sets the rounds.
"""

import os
import random
import subprocess
import threading
import time
import unittest

from botocore.exceptions import BotoCoreError, ClientError
from harness import BINARY, Server, allow

ROUNDS = int(os.environ.get("LINKROLE_KILLS", "12"))
CLIENTS = 8
SERVICE = "kill.example.com"


class Kill(unittest.TestCase):
    def setUp(self):
        self.server = Server("disk")
        self.service = self.server.service({
            "service": SERVICE, "display_name": "Kill", "regions": ["r1"], "role": [{
                "name": "Kill", "policy_name": "KillPolicy", "suffix": "optional",
                "policy": allow("s3:*")}]})
        self.account = self.server.client("sts").get_caller_identity()["Account"]
        # One port for all rounds, so that clients live on.
        self.port = self.server.endpoint.rsplit(":", 1)[1]
        self.clients = [self.server.client("iam") for _ in range(CLIENTS)]
        self.sts = self.server.client("sts", self.service)
        self.lock = threading.Lock()
        self.present, self.absent, self.tasks = {}, set(), []
        self.seed = int(os.environ.get("LINKROLE_SEED", random.randrange(1 << 32)))
        self.counts = {"writes": 0, "in flight": 0, "tasks": 0, "assumed": 0}

    def restart(self):
        server = self.server
        server.kill()
        done = subprocess.run([BINARY, "fsck", "--data-dir", server.data], env=server.env,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, f"seed {self.seed}: {done.stdout}{done.stderr}")
        command = [BINARY, "serve", "--data-dir", server.data, "--listen",
                   f"127.0.0.1:{self.port}"]
        server.log = open(os.path.join(server.folder.name, "log"), "a")
        server.process = subprocess.Popen(command, env=server.env, stdout=subprocess.PIPE,
                                          stderr=server.log, text=True)
        line = server.process.stdout.readline()
        self.assertTrue(line.startswith("ready"), f"seed {self.seed}: {line}")

    def write(self, number, round_, stop):
        iam, n = self.clients[number], 0
        dice = random.Random(f"{self.seed} {round_} {number}")
        while not stop.is_set():
            n += 1
            name = f"k{round_}-{number}-{n}"
            try:
                if dice.random() < 0.6:
                    iam.create_user(UserName=name, Tags=[{"Key": "n", "Value": name}])
                    self.did(name, "user")
                    if dice.random() < 0.4:
                        self.doing(name)
                        iam.delete_user(UserName=name)
                        with self.lock:
                            self.absent.add(name)
                else:
                    role = iam.create_service_linked_role(
                        AWSServiceName=SERVICE, CustomSuffix=name)["Role"]
                    self.did(role["RoleName"], "role")
                    if number == 0:
                        self.sts.assume_role(RoleArn=role["Arn"], RoleSessionName="kill")
                        self.counts["assumed"] += 1
                    self.doing(role["RoleName"])
                    task = iam.delete_service_linked_role(RoleName=role["RoleName"])
                    with self.lock:
                        self.tasks.append((task["DeletionTaskId"], role["RoleName"]))
            except (BotoCoreError, ClientError) as error:
                if isinstance(error, ClientError) and not stop.is_set():
                    raise
                self.counts["in flight"] += 1
                return

    def did(self, name, kind):
        with self.lock:
            self.present[name] = kind
            self.counts["writes"] += 1

    def doing(self, name):
        """From here on the thing may be gone."""
        with self.lock:
            self.present.pop(name)

    def check(self):
        iam = self.clients[0]
        users = {u["UserName"]: u for page in iam.get_paginator("list_users").paginate()
                 for u in page["Users"]}
        roles = {r["RoleName"] for page in iam.get_paginator("list_roles").paginate()
                 for r in page["Roles"]}
        for name, kind in self.present.items():
            self.assertIn(name, users if kind == "user" else roles,
                          f"seed {self.seed}: acknowledged and lost")
        self.assertFalse(self.absent & set(users), f"seed {self.seed}: deleted and back")
        limit = time.monotonic() + 10
        for task, role in self.tasks:
            while True:
                status = iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"]
                if status in ("SUCCEEDED", "FAILED"):
                    break
                self.assertLess(time.monotonic(), limit, f"seed {self.seed}: {task} is stuck")
            self.counts["tasks"] += 1
            gone = status == "SUCCEEDED"
            try:
                iam.get_role(RoleName=role)
                self.assertFalse(gone, f"seed {self.seed}: {role} outlived its deletion")
            except iam.exceptions.NoSuchEntityException:
                self.assertTrue(gone, f"seed {self.seed}: {role} went without its task")
        # What is clean now starts the next round.
        for name in list(users):
            if name.startswith("k"):
                iam.delete_user(UserName=name)
        for name in roles:
            self.clean(iam, name)
        self.present, self.absent, self.tasks = {}, set(), []

    def clean(self, iam, name):
        """Deletes a role that a kill left over, for the cap on roles of one service."""
        try:
            task = iam.delete_service_linked_role(RoleName=name)["DeletionTaskId"]
            if self.server.wait_deleted(iam, task)["Status"] == "FAILED":
                self.server.native(self.service, "/v1/slr/release-sessions",
                                   {"account": self.account, "role": name})
                task = iam.delete_service_linked_role(RoleName=name)["DeletionTaskId"]
                self.assertEqual(self.server.wait_deleted(iam, task)["Status"], "SUCCEEDED")
        except iam.exceptions.NoSuchEntityException:
            pass

    def test_atk_x02_kill_at_random_moments(self):
        dice = random.Random(self.seed)
        for round_ in range(ROUNDS):
            stop = threading.Event()
            threads = [threading.Thread(target=self.write, args=(n, round_, stop))
                       for n in range(CLIENTS)]
            [t.start() for t in threads]
            # The moment of the kill is the point of the test, so here time itself is the input.
            stop.wait(dice.uniform(0.02, 0.25))
            stop_at = time.monotonic()
            self.server.process.kill()
            stop.set()
            [t.join() for t in threads]
            self.assertLess(time.monotonic() - stop_at, 60)
            self.restart()
            self.check()
        print(f"{ROUNDS} kills, seed {self.seed}: {self.counts}")
        self.assertGreater(self.counts["writes"], 0)
        self.assertGreater(self.counts["tasks"], 0)
        self.server.stop()


if __name__ == "__main__":
    unittest.main()
