"""The trail's evidence: signed checkpoints, in the data directory and outside, and what is found with them offline."""

import concurrent.futures
import fcntl
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from harness import BINARY, Keys, Server


def run(*args):
    done = subprocess.run([BINARY, *args], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


class Evidence(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.outside = os.path.join(self.folder.name, "outside")
        self.server = Server("disk", "--checkpoints", self.outside)
        self.data = self.server.data
        self.names = 0

    def work(self, count=5):
        iam = self.server.client("iam")
        for _ in range(count):
            self.names += 1
            iam.create_user(UserName=f"u{self.names}")

    def end(self):
        """Ends the server in good order and keeps what it leaves."""
        self.server.process.terminate()
        self.assertEqual(self.server.process.wait(30), 0)
        self.server.process.stdout.close()
        self.server.log.close()

    def verify(self, *args, outside=True):
        more = ["--checkpoints", self.outside] if outside else []
        return run("audit", "verify", "--data-dir", self.data, "--output", "json", *more, *args)

    def holds(self, args=(), **kwargs):
        code, out, err = self.verify(*args, **kwargs)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def fails(self, why, args=(), **kwargs):
        code, out, err = self.verify(*args, **kwargs)
        self.assertEqual((code, out), (1, ""), err)
        self.assertRegex(err, why)

    def does_not_start(self, why):
        done = subprocess.run([BINARY, "serve", "--data-dir", self.data, "--listen", "127.0.0.1:0",
                               *self.server.args], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertRegex(done.stderr, why)

    def put(self, file, lines):
        with open(file, "w") as text:
            text.writelines(lines)

    def lines(self, file):
        with open(file) as text:
            return text.read().splitlines(keepends=True)

    def test_feature_48_a_trail_is_verified_and_an_entry_proved_offline(self):
        self.work()
        trail = self.server.must("/v1/operator/trail", {"operation": "CreateUser"})["entries"]
        position = str(trail[-1]["position"])
        self.end()
        found = self.holds()
        self.assertEqual(found["entries"], found["vouched"])
        self.assertEqual(found["outside"]["vouched"], found["vouched"])
        self.assertEqual(found["outside"]["checkpoints"], found["checkpoints"])
        self.assertIsNone(self.holds(outside=False)["outside"])
        self.assertGreater(found["entries"], 5)
        self.assertEqual(os.listdir(self.folder.name), ["outside"])
        left = {name for name in os.listdir(self.data) if name.startswith(("audit", "check", ".un"))}
        self.assertEqual(left, {"audit-key", "audit-key.pub", "checkpoints"})
        self.assertEqual(os.stat(os.path.join(self.data, "audit-key")).st_mode & 0o777, 0o600)
        self.assertEqual(self.lines(self.outside), self.lines(os.path.join(self.data, "checkpoints")))
        code, out, err = run("audit", "prove", position, "--data-dir", self.data)
        self.assertEqual(code, 0, err)
        proof = os.path.join(self.folder.name, "proof")
        public = os.path.join(self.data, "audit-key.pub")

        def checked(changed=None):
            with open(proof, "w") as file:
                json.dump({**json.loads(out), **(changed or {})}, file)
            return run("audit", "verify", "--proof", proof, "--public-key", public, "--output", "json")

        code, shown, err = checked()
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(shown)["entry"]["operation"], "CreateUser", shown)
        for changed in ({"position": int(position) + 1}, {"path": []}, {"record": "e30="}):
            code, _, err = checked(changed)
            self.assertIn("does not lead to the checkpoint's root", err)
        # What was verified once is believed later: only what came behind it is read.
        verified = os.path.join(self.folder.name, "verified")
        shutil.copy(self.outside, verified)
        self.server.start()
        self.work()
        self.end()
        later = self.holds()
        self.assertGreater(later["entries"], found["entries"])
        since = self.holds(args=("--since", verified))
        self.assertEqual({**since, "checkpoints": None}, {**later, "checkpoints": None})
        self.assertEqual(since["checkpoints"], later["checkpoints"] - found["checkpoints"])
        with open(verified, "w") as file:
            file.writelines([self.lines(self.outside)[-1].replace('"at_ms":1', '"at_ms":2', 1)])
        self.fails("is not among those of", args=("--since", verified))
        os.remove(verified)
        code, _, err = run("audit", "prove", "9999", "--data-dir", self.data)
        self.assertIn("no checkpoint vouches for entry 9999", err)

    def test_atk_h13_what_was_changed_dropped_or_set_back_is_found(self):
        self.work()
        self.end()
        before = os.path.join(self.folder.name, "before")
        shutil.copytree(self.data, before)
        self.server.start()
        self.work()
        self.end()
        self.holds()
        after = os.path.join(self.folder.name, "after")
        shutil.copytree(self.data, after)

        def restored(source):
            shutil.rmtree(self.data)
            shutil.copytree(source, self.data)

        # An older state of everything fits itself; what was put away outside tells.
        restored(before)
        self.holds(outside=False)
        self.fails("was put away outside and is missing here: the trail was set back")
        # And such a server does not go on as if nothing had been.
        self.does_not_start("was set back")
        # An older store under the checkpoints of now.
        os.replace(os.path.join(self.folder.name, "after", "checkpoints"),
                   os.path.join(self.data, "checkpoints"))
        self.fails("is missing, and all after it")
        self.does_not_start("the store was set back")
        # A checkpoint dropped, changed, or of another time.
        shutil.copy(self.outside, os.path.join(after, "checkpoints"))
        for change, why in [
            (lambda lines: lines[:-1], "missing here"),
            (lambda lines: lines[1:], "does not follow the one before|another was put away"),
            (lambda lines: [lines[0].replace('"at_ms":1', '"at_ms":2', 1), *lines[1:]],
             "signature is not of this key"),
            (lambda lines: [*lines, lines[-1]], "does not follow the one before"),
        ]:
            restored(after)
            file = os.path.join(self.data, "checkpoints")
            self.put(file, change(self.lines(file)))
            self.fails(why)
        # All of them gone: nothing vouches for anything, and no start signs it as if nothing had been.
        for gone in (lambda: self.put(file, []), lambda: os.remove(file)):
            restored(after)
            gone()
            self.fails("expected signed checkpoints", outside=False)
            self.fails("expected signed checkpoints")
            outside, self.server.args = self.server.args, ()
            self.does_not_start("expected signed checkpoints")
            self.server.args = outside
            self.does_not_start("expected signed checkpoints")
        # They are outside, too: put back from there, they hold.
        shutil.copy(self.outside, file)
        self.holds()
        # The key gone with them: what was put away outside is of a key that is not there.
        for name in ("audit-key", "audit-key.pub", "checkpoints"):
            os.remove(os.path.join(self.data, name))
        self.fails("checkpoints were put away outside, and the data directory has none")
        public = os.path.join(after, "audit-key.pub")
        self.fails("expected signed checkpoints", args=("--public-key", public))
        # A word in an entry on the disk.
        restored(after)
        store = os.path.join(self.data, "linkrole.redb")
        with open(store, "rb") as file:
            content = file.read()
        self.assertIn(b'"CreateUser"', content)
        with open(store, "wb") as file:
            file.write(content.replace(b'"CreateUser"', b'"DeleteUser"', 1))
        self.fails("damaged|not the one that was there")
        restored(after)
        self.holds()

    def test_a_server_that_was_killed_goes_on_with_its_checkpoints(self):
        self.work()
        self.server.kill()
        with open(os.path.join(self.data, "checkpoints"), "a") as file:
            file.write('{"origin": "cut o')
        self.server.start()
        self.work()
        self.end()
        found = self.holds()
        self.assertEqual(found["entries"], found["vouched"])
        # Another installation's file is not taken for its own.
        other = Server("disk")
        other.process.terminate()
        other.process.wait(30)
        other.process.stdout.close()
        other.log.close()
        self.data = other.data
        self.does_not_start("signature is not of this key")

    def test_a_new_installation_is_verified_before_it_ever_served(self):
        self.end()
        self.data = os.path.join(self.folder.name, "new")
        code, out, err = run("init", "--data-dir", self.data)
        self.assertEqual(code, 0, err)
        found = self.holds(outside=False)
        self.assertEqual((found["entries"], found["vouched"], found["checkpoints"]), (1, 0, 0))
        self.fails("the data directory has none")

    def test_half_a_line_outside_is_completed_and_nothing_there_is_ever_cut(self):
        self.work()
        self.server.kill()
        # What cannot be written there is written later; half of it was.
        own = os.path.join(self.data, "checkpoints")
        lines = self.lines(own)
        self.assertGreater(len(lines), 1)
        whole = "".join(lines[:-1])
        self.put(self.outside, [whole, lines[-1][:150]])
        self.holds()
        before = os.stat(self.outside).st_ino
        self.server.start()
        self.work()
        self.end()
        self.assertEqual(self.lines(self.outside), self.lines(own))
        self.assertEqual(os.stat(self.outside).st_ino, before)
        # Another half line is not taken for ours, and stays for whoever is to look at it.
        self.put(self.outside, [whole, lines[-1][:150].replace('"size":', '"size":1')])
        put = self.lines(self.outside)
        self.fails("checkpoint 2: outside another was put away|checkpoint 3: outside another")
        self.does_not_start("another history was put away outside")
        self.assertEqual(self.lines(self.outside), put)

    def test_a_place_outside_that_hangs_holds_up_neither_start_nor_checkpoints_nor_end(self):
        self.end()
        own = os.path.join(self.data, "checkpoints")
        before = self.lines(self.outside)
        # Who opens a file under a lease waits until its holder gives it back, here longer than the server waits.
        held = os.open(self.outside, os.O_RDWR)
        self.addCleanup(os.close, held)
        self.addCleanup(signal.signal, signal.SIGIO, signal.signal(signal.SIGIO, signal.SIG_IGN))
        try:
            fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as why:
            self.skipTest(f"no leases here: {why}")
        self.server.start()
        self.work()
        self.end()
        self.assertGreater(len(self.lines(own)), len(before))
        with open(self.server.log.name) as log:
            self.assertRegex(log.read(), "does not answer(.|\n)*are not outside")
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        self.assertEqual(self.lines(self.outside), before)
        self.assertLess(self.holds()["outside"]["vouched"], self.holds()["vouched"])
        self.server.start()
        self.end()
        self.assertEqual(self.lines(self.outside), self.lines(own))

    def test_a_place_outside_that_cannot_be_written_holds_nothing_up(self):
        # From now on the place is a folder: whatever is written there fails.
        os.remove(self.outside)
        os.mkdir(self.outside)
        own = os.path.join(self.data, "checkpoints")
        before = len(self.lines(own))
        self.work()
        self.end()
        self.assertGreater(len(self.lines(own)), before)
        self.holds(outside=False)
        self.does_not_start("expected a file; found something else")
        os.rmdir(self.outside)
        self.server.start()
        self.end()
        self.assertEqual(self.lines(self.outside), self.lines(own))
        self.holds()

    def flood(self, count):
        """So many refused calls: one signed request, sent again and again on a few connections."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        keys = self.server.admin
        body = "Action=CreateUser&Version=2010-05-08&UserName=u1"
        request = AWSRequest("POST", self.server.endpoint + "/", data=body,
                             headers={"content-type": "application/x-www-form-urlencoded"})
        SigV4Auth(Credentials(keys.key, keys.secret), "iam", "us-east-1").add_auth(request)
        host = self.server.endpoint.removeprefix("http://")

        def send(number):
            connection = http.client.HTTPConnection(host, timeout=30)
            for _ in range(number):
                connection.request("POST", "/", body, dict(request.headers))
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 409, answer.status
            connection.close()

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(send, [count // 16 + 1] * 16))

    def test_old_entries_are_put_away_in_sealed_archives(self):
        archive = os.path.join(self.folder.name, "archive")
        self.work()
        first = self.server.must("/v1/operator/trail", {"after": 0, "limit": 1, "reads": True})
        first = first["entries"][0]["position"]
        self.flood(16_384)
        self.end()
        # Entries of today are not a day old: nothing happens to them.
        self.server.args = ("--checkpoints", self.outside, "--keep-trail", "1", "--archive", archive)
        self.server.start()
        self.end()
        self.assertFalse(os.path.exists(archive))
        self.server.args = ("--checkpoints", self.outside, "--keep-trail", "0", "--archive", archive)
        self.server.start()
        deadline = time.monotonic() + 60
        ask = {"after": 0, "limit": 1, "reads": True}
        while self.server.must("/v1/operator/trail", ask)["entries"][0]["position"] == first:
            self.assertLess(time.monotonic(), deadline)
        left = self.server.must("/v1/operator/trail", ask)["entries"][0]["position"]
        self.assertGreater(left, 16_384)
        # What is put away is found no more; what is there is found as before.
        trail = self.server.client("cloudtrail")
        look = lambda name: trail.lookup_events(LookupAttributes=[
            {"AttributeKey": "ResourceName", "AttributeValue": name}])["Events"]
        self.assertEqual(look("u2"), [])
        self.work(1)
        self.assertEqual([e["EventName"] for e in look(f"u{self.names}")], ["CreateUser"])
        self.end()
        code, out, err = run("fsck", "--data-dir", self.data)
        self.assertEqual(code, 0, out + err)
        name = "trail-00000000000000000001-00000000000000016384.jsonl"
        self.assertEqual(os.listdir(archive), [name])
        file = os.path.join(archive, name)
        self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
        lines = self.lines(file)
        self.assertEqual((json.loads(lines[0])["to"], len(lines)), (16_384, 16_385))
        put = [json.loads(line) for line in lines[1:]]
        self.assertIn("u2", [e.get("params", {}).get("userName") for e in put])
        text = "".join(lines)
        self.assertNotIn(self.server.root.secret, text)
        self.assertNotIn(self.server.admin.secret, text)
        # With the archive, all is vouched for; without, or with a changed one, it is said.
        self.fails("entries 1 to 16384 are no longer in the store")
        code, out, err = self.verify("--archive", archive)
        self.assertEqual(code, 0, err)
        found = json.loads(out)
        self.assertEqual((found["entries"], found["vouched"] > 16_384), (found["vouched"], True))
        code, out, err = run("audit", "prove", "7", "--data-dir", self.data, "--archive", archive)
        self.assertEqual((code, json.loads(out)["position"]), (0, 7), err)
        with open(file, "w") as changed:
            changed.writelines([*lines[:9], lines[9].replace("CreateUser", "DeleteUser"), *lines[10:]])
        self.fails_with("not those that were signed", "--archive", archive)
        os.remove(file)
        self.fails_with("are no longer in the store", "--archive", archive)

    def fails_with(self, why, *args):
        code, out, err = self.verify(*args)
        self.assertNotEqual(code, 0, out)
        self.assertRegex(err, why)

    def test_entries_are_looked_up_exported_and_followed(self):
        self.work(3)
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
        code, out, err = self.server.linkrole("audit", "lookup", "--resource", "u2", "--since", since,
                                              "--output", "json")
        self.assertEqual(code, 0, err)
        self.assertEqual([e["operation"] for e in json.loads(out)["entries"]], ["CreateUser"])
        code, out, err = self.server.linkrole("audit", "lookup", "--until", since, "--output", "json")
        self.assertEqual((code, json.loads(out)["entries"]), (0, []), err)
        code, _, err = self.server.linkrole("audit", "lookup", "--since", "yesterday")
        self.assertEqual(code, 2)
        self.assertIn("expected a time like", err)

        def exported(*args):
            code, out, err = self.server.linkrole("audit", "export", "--operation", "CreateUser", *args)
            self.assertEqual(code, 0, err)
            return [json.loads(line) for line in out.splitlines()]

        own = exported()
        self.assertEqual([e["params"]["userName"] for e in own], ["admin", "u1", "u2", "u3"])
        self.assertEqual(exported("--after", str(own[1]["position"])), own[2:])
        events = exported("--format", "cloudevents")
        self.assertEqual([e["data"] for e in events], own)
        for event, entry in zip(events, own):
            self.assertEqual((event["specversion"], event["id"], event["type"], event["time"]),
                             ("1.0", entry["id"], "linkrole.iam.CreateUser", entry["time"]))
            self.assertEqual(event["subject"], entry["resources"][0]["resource"])
            self.assertTrue(event["source"])
        records = exported("--format", "cloudtrail")
        self.assertEqual([r["eventID"] for r in records], [e["id"] for e in own])
        self.assertEqual({(r["eventSource"], r["eventType"]) for r in records},
                         {("iam.amazonaws.com", "AwsApiCall")})
        records = exported("--format", "actiontrail")
        self.assertEqual([r["eventId"] for r in records], [e["id"] for e in own])
        # An entry of two accounts is told to each as its own; the operator has it for both.
        made = self.server.must("/v1/accounts/create", {"dialect": "aws"})
        other = Keys(made["access_key_id"], made["secret_access_key"])
        theirs = self.server.client("iam", other)
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {
            "AWS": self.server.client("sts").get_caller_identity()["Account"]}}]}
        role = theirs.create_role(RoleName="shared", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        self.server.client("sts").assume_role(RoleArn=role, RoleSessionName="across")

        def recipients(keys, operator=False):
            args = ["audit", "export", "--operation", "AssumeRole", "--format", "cloudtrail"]
            if operator:
                done = subprocess.run([BINARY, *args], capture_output=True, text=True,
                                      env={**self.server.env, "LINKROLE_SOCKET": self.server.socket})
                code, out, err = done.returncode, done.stdout, done.stderr
            else:
                code, out, err = self.server.linkrole(*args, keys=keys)
            self.assertEqual(code, 0, err)
            return [json.loads(line) for line in out.splitlines()]

        mine = own[0]["accounts"][0]
        for keys, account in ((self.server.admin, mine), (other, made["account"])):
            self.assertEqual([r["recipientAccountId"] for r in recipients(keys)], [account])
        both = recipients(None, operator=True)
        self.assertEqual({r["recipientAccountId"] for r in both}, {mine, made["account"]})
        self.assertEqual(len({r["position"] for r in both}), 1, "where to go on is told in the vendors' forms, too")
        # Followed from the start: everything once, in order, also what comes later.
        env = {**self.server.env, "LINKROLE_SOCKET": self.server.socket}
        follow = subprocess.Popen([BINARY, "audit", "export", "--follow", "--operation", "CreateUser"],
                                  env=env, stdout=subprocess.PIPE, text=True)
        self.addCleanup(follow.stdout.close)
        self.addCleanup(follow.wait)
        self.addCleanup(follow.kill)
        seen = [json.loads(follow.stdout.readline()) for _ in own]
        self.work(2)
        seen += [json.loads(follow.stdout.readline()) for _ in range(2)]
        self.assertEqual([e["params"]["userName"] for e in seen], ["admin", "u1", "u2", "u3", "u4", "u5"])
        self.end()

    def test_who_follows_the_trail_is_not_told_of_his_own_questions(self):
        self.end()
        self.server.args = ("--record-reads",)
        self.server.start()
        follow = subprocess.Popen([BINARY, "audit", "export", "--follow", "--reads"], stdout=subprocess.PIPE, text=True,
                                  env={**self.server.env, "LINKROLE_SOCKET": self.server.socket})
        self.addCleanup(follow.stdout.close)
        self.addCleanup(follow.wait)
        self.addCleanup(follow.kill)
        # Somebody else's reading is told.
        self.server.must("/v1/operator/trail", {"id": "somebody else's"})
        told = []
        for name in ("first", "second", "third"):
            self.server.client("iam").create_user(UserName=name)
            while not told or told[-1]["params"].get("userName") != name:
                told.append(json.loads(follow.stdout.readline()))
        reads = [e for e in told if e["operation"] == "ReadTrail"]
        self.assertEqual([e["params"] for e in reads], [{}], "one was somebody else's, and told")
        self.end()


if __name__ == "__main__":
    unittest.main()
