// Alibaba Cloud's unmodified clients for Node, against the server that test_node.py has started.
//
// Every step is done with the old core (signature version 1) and with the new runtime (version 3);
// a step that does not hold ends the program with the reason.

"use strict";

const assert = require("node:assert/strict");
const { randomBytes } = require("node:crypto");
const { RPCClient } = require("@alicloud/pop-core");
const { Config } = require("@alicloud/openapi-core").$OpenApiUtil;
const ram = require("@alicloud/ram20150501");
const manager = require("@alicloud/resourcemanager20200331");
const sts = require("@alicloud/sts20150401");
const ims = require("@alicloud/ims20190815");

const given = JSON.parse(process.env.LINKROLE_TEST_GIVEN);
const VERSIONS = { ram: "2015-05-01", rm: "2020-03-31", sts: "2015-04-01", ims: "2019-08-15", trail: "2020-07-06" };
const NEW = { ram, rm: manager, sts, ims };
const admin = { key: given.key, secret: given.secret };
const word = () => randomBytes(4).toString("hex");
const pause = () => new Promise((done) => setTimeout(done, 50));

/** The old core. `method` is GET or POST; the latter has everything in the form. */
function old(product, keys = admin, method = "POST") {
  const client = new RPCClient({
    endpoint: given.endpoint,
    apiVersion: VERSIONS[product],
    accessKeyId: keys.key,
    accessKeySecret: keys.secret,
    securityToken: keys.token,
  });
  return (action, parameters = {}) => client.request(action, parameters, { method });
}

/** The new runtime: `call("ram", "getRole", {roleName})`; answers the body. */
function fresh(keys = admin) {
  return async (product, operation, parameters = {}) => {
    const client = new NEW[product].default(new Config({
      endpoint: given.endpoint.replace("http://", ""),
      protocol: "http",
      accessKeyId: keys.key,
      accessKeySecret: keys.secret,
      securityToken: keys.token,
    }));
    const name = operation[0].toUpperCase() + operation.slice(1) + "Request";
    const Request = NEW[product][name];
    return (await (Request ? client[operation](new Request(parameters)) : client[operation]())).body;
  };
}

/** The call fails with exactly this code and status. */
async function refused(code, status, call) {
  try {
    await call;
  } catch (error) {
    assert.equal(error.code, code, error.message);
    const told = error.statusCode ?? error.entry?.response?.statusCode;
    assert.equal(told, status, "the status of " + code);
    return error;
  }
  assert.fail(`expected ${code}, and the call was answered`);
}

async function users() {
  const name = "n." + word();
  const odd = "张三 +/~*'()! &=%";
  const made = (await old("ram")("CreateUser", { UserName: name, DisplayName: odd })).User;
  assert.equal(made.DisplayName, odd);
  const seen = await fresh()("ram", "getUser", { userName: name });
  assert.deepEqual([seen.user.userId, seen.user.displayName], [made.UserId, odd]);
  const named = `${name}@${given.account}.onaliyun.com`;
  const other = await fresh()("ims", "getUser", { userPrincipalName: named });
  assert.equal(other.user.userId, made.UserId);
  const key = (await fresh()("ims", "createAccessKey", { userPrincipalName: named })).accessKey;
  const mine = { key: key.accessKeyId, secret: key.accessKeySecret };
  for (const method of ["GET", "POST"]) {
    const me = await old("sts", mine, method)("GetCallerIdentity");
    assert.deepEqual([me.IdentityType, me.UserId], ["RAMUser", made.UserId]);
    assert.equal((await old("ram", admin, method)("GetUser", { UserName: name })).User.UserId, made.UserId);
  }
  assert.equal((await fresh(mine)("sts", "getCallerIdentity")).userId, made.UserId);
  await refused("NoPermission", 403, old("ram", mine)("ListUsers"));
  await refused("NoPermission", 403, fresh(mine)("ram", "listUsers"));
  const wrong = { ...mine, secret: mine.secret.slice(0, -1) + "x" };
  await refused("SignatureDoesNotMatch", 400, old("sts", wrong)("GetCallerIdentity"));
  await refused("SignatureDoesNotMatch", 400, fresh(wrong)("sts", "getCallerIdentity"));
  await refused("InvalidAccessKeyId.NotFound", 400, old("sts", { ...mine, key: "LTAIno" })("GetCallerIdentity"));
  await refused("EntityNotExist.User", 404, old("ram")("GetUser", { UserName: "nobody" }));
  await refused("EntityNotExist.User", 404, fresh()("ram", "getUser", { userName: "nobody" }));
  await refused("MissingUserName", 400, old("ram")("GetUser"));
  await refused("InvalidApi.NotFound", 404, old("ram")("NoSuchOperation"));
}

/** A service-linked role from its creation to its end, with one client or the other. */
async function linked(create, show, change, remove, status) {
  const made = await create();
  assert.equal(made.arn, `acs:ram::${given.account}:role/${made.name.toLowerCase()}`);
  assert.equal(made.isLinked, true);
  const again = await create().then(() => undefined, (error) => error.code);
  assert.equal(again, "EntityAlreadyExists.Role");
  assert.equal((await show(made.name)).arn, made.arn);
  assert.equal(await change(made.name).then(() => "", (error) => error.code), "NoPermission.ServiceLinkedRole");
  const task = await remove(made.name);
  assert.match(task, new RegExp(`^task/acs-service-role/${given.service}/${made.name}/`));
  let found = await status(task);
  while (["NOT_STARTED", "IN_PROGRESS"].includes(found)) {
    await pause();
    found = await status(task);
  }
  assert.equal(found, "SUCCEEDED");
  assert.equal(await show(made.name).then(() => "", (error) => error.code), "EntityNotExist.Role");
}

async function oldLinked() {
  const call = old("rm");
  const role = ({ Role: r }) => ({ name: r.RoleName, arn: r.Arn, isLinked: r.IsServiceLinkedRole });
  await linked(
    async () => role(await call("CreateServiceLinkedRole", { ServiceName: given.service })),
    async (name) => role(await call("GetRole", { RoleName: name })),
    (name) => old("ram")("AttachPolicyToRole", {
      RoleName: name, PolicyType: "System", PolicyName: "AdministratorAccess" }),
    async (name) => (await call("DeleteServiceLinkedRole", { RoleName: name })).DeletionTaskId,
    async (task) => (await call("GetServiceLinkedRoleDeletionStatus", { DeletionTaskId: task })).Status,
  );
}

async function newLinked() {
  const call = fresh();
  const role = ({ role: r }) => ({ name: r.roleName, arn: r.arn, isLinked: r.isServiceLinkedRole });
  await linked(
    async () => role(await call("rm", "createServiceLinkedRole", { serviceName: given.service })),
    async (name) => role(await call("rm", "getRole", { roleName: name })),
    (name) => call("ram", "attachPolicyToRole", {
      roleName: name, policyType: "System", policyName: "AdministratorAccess" }),
    async (name) => (await call("rm", "deleteServiceLinkedRole", { roleName: name })).deletionTaskId,
    async (task) => (await call("rm", "getServiceLinkedRoleDeletionStatus", { deletionTaskId: task })).status,
  );
}

async function sessions() {
  const name = "Node" + word();
  const trust = JSON.stringify({ Version: "1", Statement: [{
    Effect: "Allow", Action: "sts:AssumeRole", Principal: { RAM: [`acs:ram::${given.account}:root`] } }] });
  await fresh()("ram", "createRole", { roleName: name, assumeRolePolicyDocument: trust });
  await old("ram")("AttachPolicyToRole", {
    RoleName: name, PolicyType: "System", PolicyName: "AliyunRAMReadOnlyAccess" });
  const arn = `acs:ram::${given.account}:role/${name.toLowerCase()}`;
  const policy = JSON.stringify({ Version: "1", Statement: [{
    Effect: "Allow", Action: "ram:ListUsers", Resource: "*" }] });
  const a = (await old("sts")("AssumeRole", { RoleArn: arn, RoleSessionName: "old", Policy: policy })).Credentials;
  const b = (await fresh()("sts", "assumeRole", { roleArn: arn, roleSessionName: "new", policy })).credentials;
  for (const keys of [
    { key: a.AccessKeyId, secret: a.AccessKeySecret, token: a.SecurityToken },
    { key: b.accessKeyId, secret: b.accessKeySecret, token: b.securityToken },
  ]) {
    assert.match(keys.key, /^STS\./);
    const me = await old("sts", keys)("GetCallerIdentity");
    assert.equal(me.IdentityType, "AssumedRoleUser");
    assert.equal((await fresh(keys)("sts", "getCallerIdentity")).arn, me.Arn);
    assert.ok((await old("ram", keys)("ListUsers")).Users.User.length > 0);
    assert.ok((await fresh(keys)("ram", "listUsers")).users.user.length > 0);
    await refused("NoPermission", 403, old("ram", keys)("ListRoles"));
    await refused("NoPermission", 403, fresh(keys)("ram", "listRoles"));
  }
  const seen = await old("trail")("LookupEvents", {
    "LookupAttribute.1.Key": "EventName", "LookupAttribute.1.Value": "AssumeRole", MaxResults: "50" });
  const names = seen.Events.map((event) => event.requestParameters.RoleSessionName);
  assert.ok(names.includes("old") && names.includes("new"), JSON.stringify(names));
}

async function main() {
  for (const step of [users, oldLinked, newLinked, sessions]) {
    await step();
    console.log("held:", step.name);
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
