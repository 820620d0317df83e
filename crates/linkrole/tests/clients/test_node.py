"""Alibaba Cloud's unmodified clients for Node: the steps are in node/alibaba.js."""

import json
import os
import subprocess
import unittest

from alibaba import AlibabaCase, unseen

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node")


class Node(AlibabaCase):
    def test_old_and_new_clients(self):
        modules = os.environ.get("LINKROLE_TEST_NODE_MODULES")
        self.assertTrue(modules, "the clients for Node are not there; run `cargo xtask test`")
        manifest = unseen()
        self.server.service(manifest)
        given = {"endpoint": self.server.endpoint, "account": self.home,
                 "key": self.admin.key, "secret": self.admin.secret,
                 "service": manifest["service"]}
        done = subprocess.run(["node", "alibaba.js"], cwd=FOLDER, capture_output=True, text=True,
                              env={**os.environ, "NODE_PATH": modules,
                                   "LINKROLE_TEST_GIVEN": json.dumps(given)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("held:"), 4)


if __name__ == "__main__":
    unittest.main()
