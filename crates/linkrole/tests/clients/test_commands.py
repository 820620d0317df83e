"""Our own command line against the real server: results, exit codes, what it refuses."""

import json
import os
import secrets
import unittest

from harness import Case, Keys, allow


class Commands(Case):
    kind = "disk"

    def ok(self, *args, keys=None):
        code, out, err = self.server.linkrole("--output", "json", *args, keys=keys)
        self.assertEqual(code, 0, f"{args}: {err}")
        return json.loads(out)

    def no(self, *args, code=1):
        got, out, err = self.server.linkrole(*args)
        self.assertEqual(got, code, f"{args}: {out}{err}")
        return err

    def register(self):
        word = secrets.token_hex(3)
        manifest = {"service": f"{word}.example.com", "display_name": "C", "regions": ["r1"],
                    "role": [{"name": f"C{word}", "policy_name": f"C{word}P",
                              "suffix": "optional", "policy": allow("s3:Get*")}]}
        path = os.path.join(self.server.folder.name, word + ".json")
        with open(path, "w") as file:
            json.dump(manifest, file)
        made = self.ok("service", "register", "--manifest", path)
        return manifest, Keys(made["access_key_id"], made["secret_access_key"])

    def test_atk_h14_a_name_or_description_is_no_line_of_ours(self):
        description = "line\nAWSServiceRoleForForged  999  forged\tcell"
        self.iam.create_role(RoleName="h14", Description=description,
                             AssumeRolePolicyDocument=json.dumps({
                                 "Version": "2012-10-17", "Statement": [{
                                     "Effect": "Allow", "Action": "sts:AssumeRole",
                                     "Principal": {"AWS": self.account}}]}))
        self.assertEqual(self.iam.get_role(RoleName="h14")["Role"]["Description"], description)
        code, out, err = self.server.linkrole("audit", "tail", "--operation", "CreateRole",
                                              "--output", "json")
        self.assertEqual(code, 0, err)
        mine = [e for e in json.loads(out)["entries"] if e["params"].get("roleName") == "h14"]
        self.assertEqual(mine[0]["params"]["description"], description, "kept as it is")
        for output in ("table", "text"):
            code, out, err = self.server.linkrole("audit", "tail", "--operation", "CreateRole",
                                                  "--output", output)
            self.assertEqual(code, 0, err)
            self.assertFalse([line for line in out.splitlines() if line.startswith("AWSServiceRole")])

    def test_the_life_of_a_role(self):
        manifest, keys = self.register()
        principal = manifest["service"]
        name = "AWSServiceRoleFor" + manifest["role"][0]["name"]
        made = self.ok("slr", "create", principal, "--description", "by hand")["role"]
        self.assertEqual((made["name"], made["kind"]), (name, "service-linked"))
        self.assertIn("has been taken", self.no("slr", "create", principal))
        self.assertEqual(self.ok("slr", "ensure", principal)["role"]["id"], made["id"])
        other = self.ok("slr", "ensure", principal, "--suffix", "b")["role"]
        self.assertEqual(other["name"], name + "_b")
        self.assertIn(name, [r["name"] for r in self.ok("slr", "list")["roles"]])
        self.assertEqual(self.ok("slr", "show", name)["role"]["description"], "by hand")
        target = ("--account", self.account, name)
        status, answer = self.server.native(keys, "/v1/usage/register", {
            "account": self.account, "role": name, "region": "r1", "resource": "thing/1"})
        self.assertEqual(status, 200, answer)
        usage = self.ok("slr", "usage", *target, keys=keys)
        self.assertEqual(usage["usages"], [{"region": "r1", "resource": "thing/1"}])
        planned = self.ok("slr", "delete", name, "--plan")
        self.assertEqual((planned["deletable"], planned["uses"], planned["usages"]),
                         (False, 1, [{"region": "r1", "resources": ["thing/1"]}]))
        self.assertEqual(planned["steps"][-1], "delete the role")
        code, out, err = self.server.linkrole("--output", "text", "slr", "delete", name, "--plan")
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"1\. remove the 1 resources(.|\n)*r1\s+thing/1")
        self.ok("slr", "show", name)
        code, out, err = self.server.linkrole("slr", "delete", name, "--wait")
        self.assertEqual(code, 1, err)
        self.assertIn("thing/1", out)
        self.server.native(keys, "/v1/usage/deregister", {
            "account": self.account, "role": name, "region": "r1", "resource": "thing/1"})
        self.ok("slr", "release-sessions", *target, keys=keys)
        planned = self.ok("slr", "delete", name, "--plan")
        self.assertEqual((planned["deletable"], planned["steps"]), (True, ["delete the role"]))
        done = self.ok("slr", "delete", name, "--wait")
        self.assertEqual(done["status"], "succeeded")
        self.assertEqual(self.ok("slr", "status", done["task"])["status"], "succeeded")
        self.assertIn("cannot be found", self.no("slr", "show", name))
        self.assertIn("cannot be found", self.no("slr", "delete", name, "--plan"))
        code, out, err = self.server.linkrole("audit", "tail", "--operation",
                                              "DeleteServiceLinkedRole")
        self.assertIn(name, out, err)
        code, out, err = self.server.linkrole("--output", "text", "audit", "tail", "--limit", "1")
        self.assertEqual((code, len(out.strip().splitlines())), (0, 1), err)

    def test_accounts_and_services(self):
        made = self.ok("account", "create", "--role-quota", "5")
        listed = self.ok("account", "list")["accounts"]
        mine = [a for a in listed if a["account"] == made["account"]]
        self.assertEqual(mine[0]["role_quota"], 5)
        self.assertIn("already exists",
                      self.no("account", "create", "--account", made["account"]))
        self.assertIn("12 digits", self.no("account", "create", "--account", "1" * 16))
        manifest, _ = self.register()
        self.assertIn(manifest["service"],
                      [s["service"] for s in self.ok("service", "list")["services"]])
        path = os.path.join(self.server.folder.name, secrets.token_hex(3))
        code, out, err = self.server.linkrole("service", "enrol", "late.example.com",
                                              "--token-file", path)
        self.assertEqual(code, 0, err)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertIn("TOML", self.no("service", "register", "--manifest", path))

    def test_small_commands(self):
        code, out, err = self.server.linkrole("health", "--endpoint", self.server.endpoint)
        self.assertEqual((code, out), (0, "ready\n"), err)
        self.no("health", "--endpoint", "http://127.0.0.1:1")
        for shell in ("bash", "zsh", "fish", "powershell"):
            code, out, _ = self.server.linkrole("completions", shell)
            self.assertEqual((code, "linkrole" in out), (0, True))
        self.no("nonsense", code=2)
        self.no("slr", "create", code=2)
        self.assertIn("in use by another", self.no("fsck", "--data-dir", self.server.data))

    def test_policy_check(self):
        def check(text, *args):
            path = os.path.join(self.server.folder.name, secrets.token_hex(3))
            with open(path, "w") as file:
                file.write(text)
            return self.server.linkrole("--output", "json", "policy", "check", *args, path)
        code, out, err = check(json.dumps(allow("s3:GetObject")))
        self.assertEqual((code, json.loads(out)["findings"]), (0, []), err)
        code, out, err = check('{"Version": "2012-10-17",\n "Statement": [{"Effect": "allow"}]}')
        finding = json.loads(out)["findings"][0]
        self.assertEqual((code, finding["severity"], finding["line"]), (1, "error", 2), err)
        trust = {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
        code, out, err = check(json.dumps(trust), "--kind", "trust")
        self.assertEqual(code, 0, err)
        self.assertTrue(json.loads(out)["findings"], "a wildcard principal is a warning")


if __name__ == "__main__":
    unittest.main()
