"""Tags of roles, policies and users, with Alibaba Cloud's unmodified clients."""

import json
import secrets
import unittest

from alibabacloud_ims20190815 import models as ims_models
from alibabacloud_ram20150501 import models as ram_models

from alibaba import AlibabaCase, allow


class Tags(AlibabaCase):
    def test_tags(self):
        ram, ims = self.sdk("ram"), self.sdk("ims")
        word = "t" + secrets.token_hex(4)
        tag = ram_models.CreateRoleRequestTag(key="a", value="1")
        names = [word + "-1", word + "-2"]
        for name in names:
            ram.create_role(ram_models.CreateRoleRequest(
                role_name=name, assume_role_policy_document=self.trust(), tag=[tag]))
        ram.create_policy(ram_models.CreatePolicyRequest(
            policy_name=word, policy_document=json.dumps(allow("x:y")),
            tag=[ram_models.CreatePolicyRequestTag(key="a", value="2")]))
        ram.tag_resources(ram_models.TagResourcesRequest(
            resource_type="role", resource_names=names,
            tag=[ram_models.TagResourcesRequestTag(key=word, value="größe")]))
        listed = ram.list_tag_resources(ram_models.ListTagResourcesRequest(
            resource_type="role", resource_names=names)).body.tag_resources
        self.assertEqual([(t.resource_type, t.resource_name, t.tag_key, t.tag_value)
                          for t in listed],
                         [("role", name, *pair) for name in names
                          for pair in (("a", "1"), (word, "größe"))])
        # All that bear a tag, page by page.
        found, token = [], None
        while True:
            page = ram.list_tag_resources(ram_models.ListTagResourcesRequest(
                resource_type="role", page_size=1, next_token=token,
                tag=[ram_models.ListTagResourcesRequestTag(key=word)])).body
            found += [t.resource_name for t in page.tag_resources]
            token = page.next_token
            if not token:
                break
        self.assertEqual(found, names)
        rows = ram.list_roles(ram_models.ListRolesRequest(
            tag=[ram_models.ListRolesRequestTag(key=word, value="größe")])).body.roles.role
        self.assertEqual([row.role_name for row in rows], names)
        self.assertEqual({t.tag_key for t in rows[0].tags.tag}, {"a", word})
        rows = ram.list_policies(ram_models.ListPoliciesRequest(
            tag=[ram_models.ListPoliciesRequestTag(key="a", value="2")])).body.policies.policy
        self.assertIn(word, [row.policy_name for row in rows])
        ram.untag_resources(ram_models.UntagResourcesRequest(
            resource_type="role", resource_names=names[:1], all=True))
        ram.untag_resources(ram_models.UntagResourcesRequest(
            resource_type="role", resource_names=names[1:], tag_keys=["a"]))
        listed = ram.list_tag_resources(ram_models.ListTagResourcesRequest(
            resource_type="role", resource_names=names)).body.tag_resources
        self.assertEqual([(t.resource_name, t.tag_key) for t in listed], [(names[1], word)])
        # Users, in IMS.
        user = f"{word}@{self.home}.onaliyun.com"
        made = ims.create_user(ims_models.CreateUserRequest(
            user_principal_name=user,
            tag=[ims_models.CreateUserRequestTag(key="a", value="1")])).body.user
        ims.tag_resources(ims_models.TagResourcesRequest(
            resource_type="user", resource_principal_name=[user],
            tag=[ims_models.TagResourcesRequestTag(key="b", value="2")]))
        rows = ims.list_tag_resources(ims_models.ListTagResourcesRequest(
            resource_type="user", resource_principal_name=[user])).body.tag_resources.tag_resource
        self.assertEqual([(t.resource_id, t.tag_key, t.tag_value) for t in rows],
                         [(made.user_id, "a", "1"), (made.user_id, "b", "2")])
        ims.untag_resources(ims_models.UntagResourcesRequest(
            resource_type="user", resource_principal_name=[user], tag_key=["a"]))
        # What is refused, whole.
        here = {"ResourceType": "role", "ResourceNames": json.dumps([names[1]])}
        twenty = json.dumps([{"Key": f"k{n}", "Value": "v"} for n in range(20)])
        for status, code, more in (
                (409, "LimitExceeded.Tag", {**here, "Tag": twenty}),
                (400, "InvalidParameter.Tag.Format", {**here, "Tag": '[{"Key":"acs:x"}]'}),
                (400, "InvalidParameter.Tag.Format", {**here, "Tag": '[{"Key":"http://x"}]'}),
                (400, "InvalidParameter.Tag.Format", {**here, "Tag": "{}"}),
                (400, "InvalidParameter.Tag.Length", {**here, "Tag": twenty[:-1] + ',{"Key":"z"}]'}),
                (400, "MissingTag", here),
                (400, "MissingResourceNames", {"ResourceType": "role", "Tag": '[{"Key":"a"}]'}),
                (400, "InvalidParameter.ResourceType", {**here, "ResourceType": "ecs"}),
                (404, "EntityNotExist.Role", {"ResourceType": "role", "Tag": '[{"Key":"a"}]',
                                              "ResourceNames": json.dumps([names[1], "gone"])}),
                (400, "InvalidParameter.ResourceNames.Length", {
                    "ResourceType": "role", "Tag": '[{"Key":"a"}]',
                    "ResourceNames": json.dumps([f"n{n}" for n in range(51)])})):
            with self.subTest(code=code):
                self.wrong(status, code, None, "ram", "TagResources", **more)
        listed = ram.list_tag_resources(ram_models.ListTagResourcesRequest(
            resource_type="role", resource_names=names)).body.tag_resources
        self.assertEqual([(t.resource_name, t.tag_key) for t in listed], [(names[1], word)])


if __name__ == "__main__":
    unittest.main()
