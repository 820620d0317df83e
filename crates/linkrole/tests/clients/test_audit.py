"""The trail's evidence: signed checkpoints, in the data directory and outside, and what is found with them offline."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

from harness import BINARY, Server


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

    def holds(self, **kwargs):
        code, out, err = self.verify(**kwargs)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def fails(self, why, **kwargs):
        code, out, err = self.verify(**kwargs)
        self.assertNotEqual(code, 0, out)
        self.assertRegex(err, why)

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
        self.assertGreater(found["entries"], 5)
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
        done = subprocess.run([BINARY, "serve", "--data-dir", self.data, "--listen", "127.0.0.1:0",
                               "--checkpoints", self.outside], capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("was set back", done.stderr)
        # An older store under the checkpoints of now.
        os.replace(os.path.join(self.folder.name, "after", "checkpoints"),
                   os.path.join(self.data, "checkpoints"))
        self.fails("is missing, and all after it")
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
            changed = change(self.lines(file))
            with open(file, "w") as text:
                text.writelines(changed)
            self.fails(why)
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
        done = subprocess.run([BINARY, "serve", "--data-dir", other.data, "--listen", "127.0.0.1:0",
                               "--checkpoints", self.outside], capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("signature is not of this key", done.stderr)


if __name__ == "__main__":
    unittest.main()
