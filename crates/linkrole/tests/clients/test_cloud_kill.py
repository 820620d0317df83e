"""kill -9 of the demo cloud's services, and of linkrole: nothing that was answered is lost, and nothing is left half done.

LINKROLE_KILLS sets the rounds of the test under load, LINKROLE_SEED the dice.
"""

import json
import os
import random
import threading
import unittest

from scenario import Cloud, Scenario, names

ROUNDS = int(os.environ.get("LINKROLE_KILLS", "8"))
ROLE = "AliyunServiceRoleForKMSSecretsManagerForRDS"


class Kill(unittest.TestCase):
    def test_every_scenario_holds_with_a_kill_before_each_step(self):
        for name in names():
            with self.subTest(name):
                scenario = Scenario(name)
                self.addCleanup(scenario.cloud.server.folder.cleanup)
                victims = ["linkrole", *reversed(scenario.told["services"])]
                scenario.run(lambda cloud, number: cloud.kill(victims[number % len(victims)]))
                scenario.cloud.stop()

    def test_secrets_and_their_role_stay_together_whenever_kms_is_killed(self):
        seed = int(os.environ.get("LINKROLE_SEED", random.randrange(1 << 32)))
        cloud = Cloud(["ecs", "rds", "redis", "kms"])
        self.addCleanup(cloud.server.folder.cleanup)
        load = Load(cloud, seed)
        dice = random.Random(seed)
        for round_ in range(ROUNDS):
            threads = [threading.Thread(target=load.work, args=(number, round_)) for number in range(3)]
            for thread in threads:
                thread.start()
            # The moment of the kill: when so many requests of this round have been answered.
            load.wait(dice.randrange(1, 12))
            cloud.running["kms"].kill()
            load.stop.set()
            for thread in threads:
                thread.join()
            load.stop.clear()
            cloud.running["kms"].start()
            with self.subTest(seed=seed, round=round_):
                self.assertEqual(load.refused, [])
                self.together(cloud, load)
        self.assertGreater(load.answered, ROUNDS, "the load did something")
        self.assertGreater(load.unanswered, 0, "and a kill cut something off")
        for name in list(load.secrets()):
            cloud.must("admin", "kms", "DeleteSecret", SecretName=name, ForceDeleteWithoutRecovery="true")
        self.gone(cloud)
        cloud.stop()

    def together(self, cloud, load):
        """What was answered is so; every password opens its database; the uses are the secrets, and the role is there for them."""
        there = load.secrets()
        for name, exists in load.sure.items():
            self.assertEqual(name in there, exists, name)
        for name in there:
            data = json.loads(cloud.must("admin", "kms", "GetSecretValue", SecretName=name)["SecretData"])
            cloud.must("admin", "rds", "Login", DBInstanceId=load.database[name], AccountName=data["AccountName"],
                       Password=data["AccountPassword"])
        load.sure = dict.fromkeys(there, True)
        if not there:
            self.gone(cloud)
            return
        role = cloud.must("admin", "resourcemanager", "GetRole", RoleName=ROLE)["Role"]
        status, uses = cloud.server.native(cloud.identities["service:kms"], "/v1/usage/list", {
            "account": cloud.account, "role": role["RoleId"]})
        self.assertEqual(status, 200, uses)
        self.assertEqual({use["resource"].rsplit("/", 1)[1] for use in uses["usages"]}, set(there))

    def gone(self, cloud):
        for _ in range(2000):
            error, _ = cloud.call("admin", "resourcemanager", "GetRole", {"RoleName": ROLE})
            if error == "EntityNotExist.Role":
                return
        self.fail("nothing uses the role, and it is there")


class Load:
    """Users who create, rotate and delete secrets, and note what they were answered."""

    def __init__(self, cloud, seed):
        self.cloud, self.seed = cloud, seed
        self.stop, self.counted = threading.Event(), threading.Condition()
        self.answered, self.round_answered, self.unanswered = 0, 0, 0
        self.refused = []
        # Of each secret whether it is there; none of those whose last request was not answered.
        self.sure, self.database = {}, {}
        self.instances = []
        for number in range(3):
            made = cloud.must("admin", "rds", "CreateDBInstance", RegionId="cn-hangzhou", Engine="MySQL")
            self.instances.append(made["DBInstanceId"])
            cloud.must("admin", "rds", "CreateAccount", DBInstanceId=made["DBInstanceId"], AccountName="app",
                       AccountPassword="first")

    def secrets(self):
        rows = self.cloud.must("admin", "kms", "ListSecrets")["SecretList"]["Secret"]
        return {row["SecretName"] for row in rows}

    def wait(self, count):
        with self.counted:
            self.round_answered = 0
            self.counted.wait_for(lambda: self.round_answered >= count or self.stop.is_set(), 30)

    def ask(self, name, action, exists, **given):
        """One request about a secret; until it is answered, nothing is sure of it."""
        self.sure.pop(name, None)
        self.cloud.must("admin", "kms", action, SecretName=name, **given)
        self.sure[name] = exists
        with self.counted:
            self.answered += 1
            self.round_answered += 1
            self.counted.notify_all()

    def work(self, number, round_):
        dice = random.Random(f"{self.seed} {number} {round_}")
        instance, n = self.instances[number], 0
        # One secret at a time looks after a database's account.
        present = [name for name in list(self.sure) if self.database[name] == instance]
        while not self.stop.is_set():
            n += 1
            try:
                if not present:
                    name = f"s{number}-{round_}-{n}"
                    self.database[name] = instance
                    accounts = [{"AccountName": "app", "AccountPassword": f"given-{n}"}]
                    self.ask(name, "CreateSecret", True, SecretType="RDS", VersionId="v1",
                             SecretData=json.dumps({"Accounts": accounts}),
                             ExtendedConfig={"SecretSubType": "SingleUser", "DBInstanceId": instance})
                    present = [name]
                elif dice.random() < 0.5:
                    self.ask(present[0], "RotateSecret", True, VersionId=f"v{round_}-{n}")
                else:
                    self.ask(present[0], "DeleteSecret", False, ForceDeleteWithoutRecovery="true")
                    present = []
            except AssertionError as error:
                self.refused.append(error)
                return
            except Exception:
                # No answer: the process is gone.
                self.unanswered += 1
                return


if __name__ == "__main__":
    unittest.main()
