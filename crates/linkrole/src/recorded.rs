//! What is in the trail of what came in: every operation of every wire, signed requests to a real server over a
//! store, and the entries counted there. As many requests by known callers, as many entries; whoever is
//! not known leaves none.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use crate::clock::Clock;
use crate::engine::{Engine, Recording};
use crate::inject::Inject;
use crate::issuers::Issuers;
use crate::outward::Outward;
use crate::seed::{CATALOGUE, KeyPair, Seed};
use crate::server::{Auth, Peer, Server};
use iam::audit::Event;
use iam::operations::{Access, Operation};
use iam::seal::Keyring;
use iam::text::AccountId;
use policy::{Dialect, name};
use sdk::{Credentials, Forwarded, Secret, sign, sign_acs};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{EntryQuery, Memory, Store};
use wire::alibaba::known;
use wire::aws::Query;
use wire::http::{Request, Response};
use wire::trail::is_noise;

const START_MS: i64 = 1_800_000_000_000;
const REGION: &str = "local-1";
const SERVICE_HOST: &str = "backup.example.com";

/// Where callers find what: each names things of its own.
struct Who {
    keys: Credentials,
    account: String,
}

struct World {
    server: Server<Memory>,
    store: Memory,
    clock: Arc<Clock>,
    /// Who may do everything, in an account of each dialect.
    aws: Who,
    alibaba: Who,
    /// The same in other accounts.
    neighbours: [Who; 2],
    /// Who may do nothing.
    bare: Credentials,
    bare_alibaba: Credentials,
    service: Credentials,
    nonces: AtomicU64,
}

fn credentials(pair: KeyPair) -> Credentials {
    Credentials {
        access_key_id: pair.id.to_string(),
        secret_access_key: Secret::new(pair.secret.expose().to_owned()),
        session_token: None,
    }
}

impl World {
    async fn start(recording: Recording) -> Self {
        let keyring = || Keyring::from_bytes(&[5; Keyring::LEN]).unwrap();
        let ring = keyring();
        let mut seed = Seed::begin(&ring);
        let id = |text: &str| Some(AccountId::parse(text).unwrap());
        let (aws, root) = seed.account(id("111122223333"), Dialect::Aws).unwrap();
        let (alibaba, other) = seed.account(id("1234567890123456"), Dialect::Alibaba).unwrap();
        let admin = credentials(seed.administrator(&root, "admin").unwrap());
        let other_admin = credentials(seed.administrator(&other, "admin").unwrap());
        let mut neighbour = |text: &str, dialect: Dialect| {
            let (account, root) = seed.account(id(text), dialect).unwrap();
            let keys = credentials(seed.administrator(&root, "admin").unwrap());
            Who { keys, account: account.to_string() }
        };
        let neighbours = [
            neighbour("999988887777", Dialect::Aws),
            neighbour("4444555566667777", Dialect::Alibaba),
        ];
        let bare = credentials(seed.nobody(&root, "bare").unwrap());
        let bare_alibaba = credentials(seed.nobody(&other, "bare").unwrap());
        let service = credentials(seed.service(CATALOGUE.first().unwrap()).unwrap());
        seed.vendors().unwrap();
        let store = Memory::new();
        crate::engine::install(&store, &seed.changes, seed.event.as_ref().unwrap()).await.unwrap();
        let clock = Arc::new(Clock::fixed(START_MS));
        let started = Engine::start(store.clone(), keyring(), clock.clone()).await;
        let (engine, _) = started.unwrap();
        engine.recording.set(recording).unwrap();
        let server = Server {
            engine,
            auth: Auth::Enforce,
            issuers: Issuers::new(Arc::new(Outward::default()), false),
            reset: None,
            inject: Inject::default(),
            sessions: crate::console::Sessions::default(),
        };
        let who = |keys, account: AccountId| Who { keys, account: account.to_string() };
        let (aws, alibaba) = (who(admin, aws), who(other_admin, alibaba));
        let nonces = AtomicU64::new(0);
        Self { server, store, clock, aws, alibaba, neighbours, bare, bare_alibaba, service, nonces }
    }

    fn now(&self) -> time::OffsetDateTime {
        time::OffsetDateTime::from_unix_timestamp(self.clock.now_ms() / 1_000).unwrap()
    }

    async fn send(&self, request: Request, operator: bool) -> Response {
        let ip = (!operator).then(|| [192, 0, 2, 1].into());
        let peer = Peer { ip, operator, tls: false, certificate: None };
        self.server.respond(request, &peer).await
    }

    /// The position of the newest entry.
    async fn newest(&self) -> u64 {
        let page = self.store.entries(&EntryQuery::backwards(u64::MAX, 1)).await.unwrap();
        page.entries.first().map_or(0, |entry| entry.position)
    }

    /// The entries behind a position, without those of the server's own upkeep.
    async fn entries(&self, after: u64) -> (Vec<Event>, u64) {
        let page = self.store.entries(&EntryQuery::forwards(after + 1, 100_000)).await.unwrap();
        let newest = page.entries.last().map_or(after, |entry| entry.position);
        let read = |record: &Vec<u8>| serde_json::from_slice::<Event>(record).unwrap();
        let all = page.entries.iter().map(|entry| read(&entry.record));
        (all.filter(|event| !is_noise(event)).collect(), newest)
    }

    /// A request of the Query protocol.
    fn query(&self, by: &Credentials, service: &str, form: String) -> Request {
        let form_type = "application/x-www-form-urlencoded";
        let given = vec![("content-type".to_owned(), form_type.to_owned())];
        self.signed(by, service, "localhost", "/", given, form.into_bytes())
    }

    fn signed(
        &self,
        by: &Credentials,
        service: &str,
        host: &str,
        path: &str,
        mut given: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Request {
        let request =
            sign::Request { method: "POST", host, path, query: "", headers: &given, body: &body };
        let added = sign::sign(&request, by, REGION, service, self.now());
        given.extend(added);
        let (method, path) = ("POST".to_owned(), path.to_owned());
        Request { method, path, query: String::new(), headers: given, body }
    }

    fn rpc(&self, by: &Credentials, version: &str, action: &str, query: String) -> Request {
        let nonce = self.nonces.fetch_add(1, Ordering::Relaxed).to_string();
        let request = sign_acs::Request { host: "localhost", version, action, query: &query };
        let headers = sign_acs::sign(&request, by, self.now(), &nonce);
        let method = "POST".to_owned();
        Request { method, path: "/".to_owned(), query, headers, body: Vec::new() }
    }

    fn native(&self, by: Option<&Credentials>, path: &str, body: &Value) -> Request {
        let json_type = ("content-type".to_owned(), "application/json".to_owned());
        let body = body.to_string().into_bytes();
        match by {
            Some(by) => self.signed(by, "iam", "localhost", path, vec![json_type], body),
            None => Request {
                method: "POST".to_owned(),
                path: path.to_owned(),
                headers: vec![json_type],
                body,
                ..Request::default()
            },
        }
    }

    fn cloudtrail(&self, by: &Credentials, body: &Value) -> Request {
        const TARGET: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
        let given = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", TARGET)];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let body = body.to_string().into_bytes();
        self.signed(by, "cloudtrail", "localhost", "/", given, body)
    }

    /// A caller's request that the service received, as it presents it.
    fn forwarded(&self, by: &Credentials, host: &str) -> Value {
        let request = self.signed(by, "backup", host, "/", Vec::new(), b"body".to_vec());
        let parts = Forwarded::new("POST", "/", "", &request.headers, b"body").unwrap();
        serde_json::to_value(parts).unwrap()
    }
}

/// Arguments that some operation has, for all of them: each takes those that it knows.
fn arguments(account: &str, dialect: Dialect) -> Vec<(&'static str, String)> {
    let version = if dialect == Dialect::Aws { "2012-10-17" } else { "1" };
    let document = format!(
        r#"{{"Version":"{version}","Statement":[{{"Effect":"Allow","Action":"backup:Get*","Resource":"*"}}]}}"#
    );
    let principal = match dialect {
        Dialect::Aws => format!(r#"{{"AWS":"{account}"}}"#),
        Dialect::Alibaba => format!(r#"{{"RAM":["{}"]}}"#, name::root(dialect, account)),
    };
    let trust = format!(
        r#"{{"Version":"{version}","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{principal}}}]}}"#
    );
    let mut all = vec![
        ("UserName", "thing".to_owned()),
        ("GroupName", "group".to_owned()),
        ("RoleName", "role".to_owned()),
        ("PolicyName", "policy".to_owned()),
        ("PolicyArn", name::policy(dialect, account, "/", "policy")),
        ("PolicyType", "Custom".to_owned()),
        ("PolicyDocument", document),
        ("AssumeRolePolicyDocument", trust),
        ("PermissionsBoundary", name::policy(Dialect::Aws, "aws", "/", "ReadOnlyAccess")),
        ("VersionId", "v1".to_owned()),
        ("Description", "words".to_owned()),
        ("AWSServiceName", "backup.example.com".to_owned()),
        ("ServiceName", "tag.aliyuncs.com".to_owned()),
        ("RoleArn", name::role(dialect, account, "/", "role")),
        ("RoleSessionName", "session".to_owned()),
        ("AccountAlias", "an-alias".to_owned()),
        ("Arn", name::user(dialect, account, "/", "thing")),
        ("ServiceNamespaces.member.1", "iam".to_owned()),
        ("Tags.member.1.Key", "a".to_owned()),
        ("Tags.member.1.Value", "b".to_owned()),
        ("TagKeys.member.1", "a".to_owned()),
        ("PrincipalName", format!("thing@{account}.onaliyun.com")),
        ("UserPrincipalName", format!("thing@{account}.onaliyun.com")),
        ("PrincipalType", "IMSUser".to_owned()),
        ("ResourceGroupId", account.to_owned()),
        ("ResourceType", "user".to_owned()),
        ("ResourceNames.1", "thing".to_owned()),
        ("Tag.1.Key", "a".to_owned()),
        ("Tag.1.Value", "b".to_owned()),
        ("TagKey.1", "a".to_owned()),
        ("NewDescription", "other words".to_owned()),
        ("OIDCProviderName", "provider".to_owned()),
        ("IssuerUrl", "https://id.example.com".to_owned()),
        ("ClientIds", "client".to_owned()),
        ("ClientId", "other-client".to_owned()),
        ("Fingerprints", "0123456789abcdef0123456789abcdef01234567".to_owned()),
        ("Fingerprint", "1123456789abcdef0123456789abcdef01234567".to_owned()),
        ("InstanceProfileName", "profile".to_owned()),
        ("AccessKeyId", "AKIA0000000000000000".to_owned()),
        ("UserAccessKeyId", "LTAI0000000000000000".to_owned()),
        ("Status", "Active".to_owned()),
        ("JobId", "01234567-89ab-cdef-0123-456789abcdef".to_owned()),
        ("ServiceNamespace", "iam".to_owned()),
        (
            "DeletionTaskId",
            "task/aws-service-role/a.example.com/Role/01234567-89ab-cdef-0123-456789abcdef"
                .to_owned(),
        ),
        ("EncodedDiagnosticMessage", "none of ours".to_owned()),
        ("ResourcePrincipalName.1", format!("thing@{account}.onaliyun.com")),
    ];
    // In a request of the other dialect this one claims who signed it.
    let foreign = if dialect == Dialect::Aws { "ServiceName" } else { "AccessKeyId" };
    all.retain(|(name, _)| *name != foreign);
    all
}

fn form(arguments: &[(&str, String)]) -> String {
    let pairs = arguments.iter().map(|(k, v)| format!("{k}={}", sdk::sign::percent_encode(v)));
    pairs.collect::<Vec<_>>().join("&")
}

/// What makes comes before what takes away.
fn takes_away(name: &str) -> bool {
    ["Delete", "Remove", "Detach", "Untag", "Clear"].iter().any(|verb| name.starts_with(verb))
}

/// Requests that were sent, and what was counted.
#[derive(Default)]
struct Counted {
    requests: usize,
    succeeded: usize,
    denied: usize,
    misread: usize,
    wrong: Vec<String>,
}

/// One request, and the entries that it made.
async fn one(
    world: &World,
    counted: &mut Counted,
    operation: Operation,
    request: Request,
    operator: bool,
) {
    let before = world.newest().await;
    let response = world.send(request, operator).await;
    let (entries, _) = world.entries(before).await;
    let body = String::from_utf8_lossy(&response.body).into_owned();
    let facts = operation.facts();
    let reads = facts.access == Access::Read;
    let refused = response.status == 403
        || body.contains("AccessDenied</Code>")
        || body.contains("AccessDeniedException")
        || body.contains("\"allowed\":false");
    let wanted = match world.server.engine.recording() {
        Recording::Reads => 1,
        _ => usize::from(!reads || refused),
    };
    counted.requests += 1;
    counted.succeeded += usize::from(response.status == 200);
    counted.denied += usize::from(refused);
    let mut wrong = |what: &str| {
        counted.wrong.push(format!("{}: {what}: {} {body}", facts.name, response.status));
    };
    if entries.len() != wanted {
        wrong(&format!("{} entries instead of {wanted}", entries.len()));
    }
    for event in &entries {
        let failed = response.status != 200 || refused;
        if event.error.is_some() != failed {
            wrong("the entry says otherwise");
        }
        // One row of the table may be several on a wire, told apart by their arguments.
        let same = event.service == facts.family.prefix(Dialect::Aws);
        if event.operation != facts.name && !same {
            wrong(&format!("told as {}", event.operation));
        }
        if let (true, Some(told)) = (response.status != 200, &event.told) {
            counted.misread += usize::from(event.error.as_deref() == Some("Invalid"));
            if !body.contains(&told.code) {
                wrong(&format!("told {told:?}"));
            }
        }
    }
}

/// Every operation of the Query wire, with these arguments.
async fn all_of_query(
    world: &World,
    by: &Credentials,
    given: &[(&'static str, String)],
    counted: &mut Counted,
) {
    let mut operations: Vec<Operation> = Operation::ALL.to_vec();
    operations.sort_by_key(|o| takes_away(o.facts().name));
    for operation in operations {
        for version in ["2010-05-08", "2011-06-15"] {
            let name = operation.facts().name;
            let all = [("Action", name.to_owned()), ("Version", version.to_owned())];
            let mut given = given.to_vec();
            match operation {
                // It takes less than any other that makes a role, and refuses the rest.
                Operation::CreateServiceLinkedRole => given.retain(|(n, _)| *n == "AWSServiceName"),
                Operation::UpdateAssumeRolePolicy => {
                    let trust = given.iter().find(|(n, _)| *n == "AssumeRolePolicyDocument");
                    let trust = trust.map(|(_, text)| text.clone()).unwrap_or_default();
                    given.retain(|(n, _)| *n != "PolicyDocument");
                    given.push(("PolicyDocument", trust));
                }
                _ => {}
            }
            let form = form(&[all.as_slice(), &given].concat());
            let service = operation.facts().family.prefix(Dialect::Aws);
            let request = world.query(by, service, form);
            if Query::of(&request).is_ok() {
                one(world, counted, operation, request, false).await;
            }
        }
    }
}

/// Every operation of the RPC wire.
async fn all_of_rpc(
    world: &World,
    by: &Credentials,
    given: &[(&'static str, String)],
    counted: &mut Counted,
) {
    let mut all: Vec<(&str, &str)> = Vec::new();
    for (product, names) in known::DONE {
        all.extend(names.iter().map(|name| (product.version(), *name)));
    }
    all.sort_by_key(|(_, name)| takes_away(name));
    // By token no known caller comes in; the clients' tests have one.
    for (version, name) in all.into_iter().filter(|(_, name)| *name != "AssumeRoleWithOIDC") {
        let request = world.rpc(by, version, name, form(given));
        one(world, counted, known::operation(name).unwrap(), request, false).await;
    }
}

/// A body for every path of the native wire, and whose it is to call.
fn natives(world: &World) -> Vec<(&'static str, Value, By)> {
    use By::{Account, Operator, Service};
    let held = || world.forwarded(&world.aws.keys, SERVICE_HOST);
    let account = world.aws.account.as_str();
    let name = "AWSServiceRoleForExampleBackup";
    let role = || json!({ "account": account, "role": name });
    let used = || json!({ "account": account, "role": name, "region": "local-1", "resource": "r" });
    let principal = "backup.example.com";
    let manifest: toml::Value = toml::from_str(CATALOGUE.first().unwrap()).unwrap();
    let manifest = || serde_json::to_value(&manifest).unwrap();
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:*","Resource":"*"}]}"#;
    vec![
        ("/v1/slr/preview", json!({ "principal": principal }), Account),
        ("/v1/slr/create", json!({ "principal": principal }), Account),
        ("/v1/slr/list", json!({}), Account),
        ("/v1/slr/show", json!({ "role": name }), Account),
        ("/v1/slr/plan", json!({ "role": name }), Account),
        ("/v1/slr/accept-update", json!({ "role": name }), Account),
        ("/v1/terms/show", json!({}), Account),
        ("/v1/terms/update", json!({ "holds_updates": false }), Account),
        ("/v1/terms/put-ceiling", json!({ "principal": principal, "policy": document }), Account),
        ("/v1/terms/delete-ceiling", json!({ "principal": principal }), Account),
        ("/v1/access/show", json!({ "kind": "role", "name": name }), Account),
        ("/v1/trail", json!({}), Account),
        ("/v1/services/list", json!({}), Account),
        ("/v1/services/show", json!({ "service": principal }), Account),
        (
            "/v1/authorize",
            json!({ "forwarded": held(), "action": "backup:GetVault", "resource": "*" }),
            Service,
        ),
        ("/v1/forward-access", json!({ "forwarded": held() }), Service),
        ("/v1/slr/ensure", json!({ "forwarded": held(), "principal": principal }), Service),
        ("/v1/slr/introduce", json!({ "account": account, "principal": principal }), Service),
        ("/v1/usage/register", used(), Service),
        ("/v1/usage/list", role(), Service),
        ("/v1/usage/deregister", used(), Service),
        (
            "/v1/usage/reconcile",
            json!({ "account": account, "role": name, "region": "local-1", "after_version": 2, "resources": [] }),
            Service,
        ),
        ("/v1/slr/release-sessions", role(), Service),
        ("/v1/slr/retire", role(), Service),
        ("/v1/slr/delete", json!({ "role": name }), Account),
        (
            "/v1/slr/status",
            json!({ "task": format!("task/aws-service-role/{principal}/{name}/1b2c") }),
            Account,
        ),
        ("/v1/services/diff", json!({ "manifest": manifest() }), Operator),
        ("/v1/services/update", json!({ "manifest": manifest() }), Operator),
        (
            "/v1/services/import-policy",
            json!({ "dialect": "aws", "policy": "NoSuchPolicy", "document": document, "source": "a page" }),
            Operator,
        ),
        ("/v1/services/export", json!({}), Operator),
        ("/v1/services/new-key", json!({ "service": principal }), Operator),
        ("/v1/services/enrol", json!({ "service": "new.example.com" }), Operator),
        ("/v1/services/register", json!({ "manifest": manifest() }), Operator),
        ("/v1/accounts/create", json!({ "dialect": "aws" }), Operator),
        ("/v1/accounts/list", json!({}), Operator),
        ("/v1/operator/trail", json!({}), Operator),
        ("/v1/operator/force-delete", json!({ "account": account, "role": name }), Operator),
        ("/v1/services/session", json!({ "service": principal }), Operator),
        ("/v1/services/remove", json!({ "service": principal }), Operator),
    ]
}

#[derive(Clone, Copy, PartialEq)]
enum By {
    Account,
    Service,
    Operator,
}

/// Every path of the native wire, by whom it is for, and by who may not.
async fn all_of_native(world: &World, spoiled: bool, counted: &mut Counted) {
    let all = natives(world);
    let paths: Vec<&str> = all.iter().map(|(path, ..)| *path).collect();
    assert!(wire::native::paths().all(|path| paths.contains(&path)), "a path has no sample");
    for (path, mut body, by) in all {
        if spoiled {
            body = json!({ "nobody": "knows this member" });
        }
        let operation = wire::native::operation(path).unwrap();
        let bare = world.native(Some(&world.bare), path, &body);
        one(world, counted, operation, bare, false).await;
        let (by, operator) = match by {
            By::Account => (Some(&world.aws.keys), false),
            By::Service => (Some(&world.service), false),
            By::Operator => (None, true),
        };
        let request = world.native(by, path, &body);
        one(world, counted, operation, request, operator).await;
    }
}

/// All there is, on all wires, allowed and denied, with arguments and without.
async fn everything(world: &World) -> Counted {
    let mut counted = Counted::default();
    let aws = arguments(&world.aws.account, Dialect::Aws);
    let alibaba = arguments(&world.alibaba.account, Dialect::Alibaba);
    for (given, ram) in [(aws.as_slice(), alibaba.as_slice()), (&[], &[])] {
        all_of_query(world, &world.bare, given, &mut counted).await;
        all_of_query(world, &world.aws.keys, given, &mut counted).await;
        all_of_rpc(world, &world.bare_alibaba, ram, &mut counted).await;
        all_of_rpc(world, &world.alibaba.keys, ram, &mut counted).await;
    }
    for spoiled in [true, false] {
        all_of_native(world, spoiled, &mut counted).await;
    }
    for body in [
        json!({}),
        json!({ "NextToken": "none of ours" }),
        json!({ "MaxResults": 51 }),
        json!({ "LookupAttributes": [{ "AttributeKey": "ReadOnly", "AttributeValue": "no" }] }),
    ] {
        for by in [&world.aws.keys, &world.bare] {
            let request = world.cloudtrail(by, &body);
            one(world, &mut counted, Operation::LookupEvents, request, false).await;
        }
    }
    // A key of an account of one dialect on the other's wire: known here, and told that it is none.
    for (by, wire) in [(&world.aws.keys, Dialect::Alibaba), (&world.alibaba.keys, Dialect::Aws)] {
        let operation = Operation::CreateUser;
        let request = match wire {
            Dialect::Aws => {
                let form = "Action=CreateUser&Version=2010-05-08&UserName=stray".to_owned();
                world.query(by, "iam", form)
            }
            Dialect::Alibaba => world.rpc(by, "2015-05-01", "CreateUser", "UserName=stray".into()),
        };
        one(world, &mut counted, operation, request, false).await;
    }
    counted
}

#[tokio::test]
async fn atk_h15_as_many_entries_as_requests_on_every_wire() {
    for recording in [Recording::Reads, Recording::Changes] {
        let world = World::start(recording).await;
        let counted = everything(&world).await;
        assert!(
            counted.wrong.is_empty(),
            "{} of {} with {recording:?}:\n{}",
            counted.wrong.len(),
            counted.requests,
            counted.wrong.join("\n")
        );
        // The control: of each kind there were many.
        let kinds = [counted.succeeded, counted.denied, counted.misread];
        assert!(counted.requests > 700, "{} requests", counted.requests);
        assert!(kinds.iter().all(|count| *count > 100), "{kinds:?}");
        world.server.engine.stop().await;
    }
}

#[tokio::test]
async fn atk_h15_who_is_not_known_fills_no_disk() {
    let world = World::start(Recording::Reads).await;
    let before = world.newest().await;
    let forged = Credentials {
        access_key_id: world.aws.keys.access_key_id.clone(),
        secret_access_key: Secret::new("not the secret of this key".to_owned()),
        session_token: None,
    };
    let forged_alibaba =
        Credentials { access_key_id: world.alibaba.keys.access_key_id.clone(), ..forged.clone() };
    let form = "Action=PutRolePolicy&Version=2010-05-08&PolicyDocument={".to_owned();
    let body =
        json!({ "forwarded": world.forwarded(&world.aws.keys, "elsewhere"), "action": "backup:X" });
    for request in [
        world.query(&forged, "iam", form.clone()),
        Request { headers: Vec::new(), ..world.query(&forged, "iam", form.clone()) },
        world.rpc(&forged_alibaba, "2015-05-01", "CreateRole", String::new()),
        world.cloudtrail(&forged, &json!({ "MaxResults": 51 })),
        world.native(Some(&forged), "/v1/authorize", &body),
        world.native(None, "/v1/authorize", &body),
        world.native(None, "/v1/slr/create", &json!({ "nobody": "knows this" })),
        world.native(None, "/v1/services/session", &json!({ "nobody": "knows this" })),
        world.native(None, "/v1/services/register", &json!({ "nobody": "knows this" })),
    ] {
        let path = request.path.clone();
        let response = world.send(request, false).await;
        assert!(response.status >= 400, "{path}");
    }
    assert_eq!(world.entries(before).await.0, []);
    // The control: by whom it says it is, the same leaves an entry.
    let response = world.send(world.query(&world.aws.keys, "iam", form), false).await;
    assert_eq!((response.status, world.entries(before).await.0.len()), (400, 1));
    world.server.engine.stop().await;
}

#[tokio::test]
async fn atk_f34_atk_h15_a_request_that_does_not_hold_is_in_the_trail_of_who_presents_it() {
    let world = World::start(Recording::Changes).await;
    let good = world.forwarded(&world.aws.keys, SERVICE_HOST);
    let mut altered = good.clone();
    *altered.pointer_mut("/path").unwrap() = json!("/other");
    let mut other_body = good.clone();
    *other_body.pointer_mut("/body_sha256").unwrap() = json!(sdk::sign::sha256_hex(b"other"));
    let unknown =
        Credentials { access_key_id: "AKIA0000000000000000".into(), ..world.bare.clone() };
    let stolen = world.forwarded(&world.aws.keys, "elsewhere.example.com");
    let unknown = world.forwarded(&unknown, SERVICE_HOST);
    let service = world.service.clone();
    let calls = |forwarded: &Value| {
        [
            (
                "/v1/authorize",
                json!({ "forwarded": forwarded, "action": "backup:DeleteVault", "resource": "vault" }),
            ),
            (
                "/v1/slr/ensure",
                json!({ "forwarded": forwarded, "principal": "backup.example.com" }),
            ),
            ("/v1/forward-access", json!({ "forwarded": forwarded })),
        ]
    };
    let mut before = world.newest().await;
    let mut attacks = vec![
        ("altered", &altered, &service),
        ("another body", &other_body, &service),
        ("sent to another host", &stolen, &service),
        ("of an unknown key", &unknown, &service),
        ("by no service", &good, &world.aws.keys),
    ];
    for round in 0..2 {
        if round == 1 {
            world.clock.set(START_MS + 3_600_000);
            attacks = vec![("expired", &good, &service)];
        }
        for (attack, forwarded, by) in &attacks {
            for (path, body) in calls(forwarded) {
                let response = world.send(world.native(Some(*by), path, &body), false).await;
                let answer: Value = serde_json::from_slice(&response.body).unwrap();
                let (entries, newest) = world.entries(before).await;
                before = newest;
                let [event] = entries.as_slice() else { panic!("{attack} {path}: {entries:?}") };
                let told = event.told.clone().unwrap();
                let words = |at: &str| answer.pointer(at).unwrap().as_str().unwrap().to_owned();
                assert_eq!(told.code, words("/error/code"), "{attack} {path}");
                assert_eq!(told.message, words("/error/message"), "{attack} {path}");
                assert_eq!(event.request_id, words("/request_id"));
                assert!(event.denied && event.error.is_some(), "{attack} {path}: {event:?}");
                let who = if by.access_key_id == service.access_key_id {
                    "AWSService"
                } else {
                    "IAMUser"
                };
                assert_eq!((event.actor.kind.as_str(), event.asked_by.as_ref()), (who, None));
                if path == "/v1/authorize" {
                    assert_eq!(event.params.get("action").unwrap(), "backup:DeleteVault");
                }
            }
        }
    }
    // The control: one that holds is asked about, and told of the caller.
    let fresh = world.forwarded(&world.aws.keys, SERVICE_HOST);
    for (path, body) in calls(&fresh) {
        let response = world.send(world.native(Some(&service), path, &body), false).await;
        // Its manifest has no onward calls: that, too, is told of the caller.
        let wanted = if path == "/v1/forward-access" { 400 } else { 200 };
        assert_eq!(response.status, wanted, "{}", String::from_utf8_lossy(&response.body));
        let (entries, newest) = world.entries(before).await;
        before = newest;
        let [event] = entries.as_slice() else { panic!("{path}: {entries:?}") };
        assert_eq!((event.actor.kind.as_str(), event.denied), ("IAMUser", false), "{path}");
    }
    world.server.engine.stop().await;
}

/// What an account is shown of its trail, in each view that it has: as texts.
async fn seen(world: &World, who: &Who, dialect: Dialect) -> Vec<String> {
    let lookup = [("MaxResults", "50".to_owned())];
    let vendors = match dialect {
        Dialect::Aws => world.cloudtrail(&who.keys, &json!({})),
        Dialect::Alibaba => world.rpc(&who.keys, "2020-07-06", "LookupEvents", form(&lookup)),
    };
    // `linkrole audit lookup` asks the same.
    let own = world.native(Some(&who.keys), "/v1/trail", &json!({ "reads": true, "limit": 1_000 }));
    let mut all = Vec::new();
    for request in [vendors, own] {
        let response = world.send(request, false).await;
        assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
        all.push(String::from_utf8(response.body).unwrap());
    }
    all
}

#[tokio::test]
async fn atk_g02_of_what_concerns_many_accounts_each_is_shown_its_own_part() {
    let world = World::start(Recording::Changes).await;
    let tenants = [
        (&world.aws, Dialect::Aws),
        (&world.neighbours[0], Dialect::Aws),
        (&world.alibaba, Dialect::Alibaba),
        (&world.neighbours[1], Dialect::Alibaba),
    ];
    let vendors = ["acm.amazonaws.com", "actiontrail.aliyuncs.com"];
    let vendors_policy =
        ["CertificateManagerServiceRolePolicy", "AliyunServiceRolePolicyForActionTrail"];
    for (who, dialect) in tenants {
        // Each has two roles and an offered policy of those that change.
        let at = usize::from(dialect == Dialect::Alibaba);
        for principal in ["backup.example.com", vendors[at]] {
            let body = json!({ "principal": principal });
            let made = world.native(Some(&who.keys), "/v1/slr/create", &body);
            assert_eq!(world.send(made, false).await.status, 200, "{principal} in {}", who.account);
        }
        let attach = match dialect {
            Dialect::Aws => {
                let arn = "arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FExampleBackupFullAccess";
                let form = format!(
                    "Action=AttachUserPolicy&Version=2010-05-08&UserName=admin&PolicyArn={arn}"
                );
                world.query(&who.keys, "iam", form)
            }
            Dialect::Alibaba => {
                let query = "UserName=admin&PolicyType=System&PolicyName=ExampleBackupFullAccess";
                world.rpc(&who.keys, "2015-05-01", "AttachPolicyToUser", query.into())
            }
        };
        let response = world.send(attach, false).await;
        assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    }
    // The permissions of the role and of the policy change, and those of the vendors' roles.
    let changed = CATALOGUE.first().unwrap().replace("storage:GetObject", "storage:GetObjects");
    let changed = changed.replace("\"backup:*\"", "[\"backup:*\", \"backup:Get*\"]");
    let manifest: toml::Value = toml::from_str(&changed).unwrap();
    let mut operators = vec![("/v1/services/update", json!({ "manifest": manifest }))];
    for (at, (dialect, version)) in [("aws", "2012-10-17"), ("alibaba", "1")].iter().enumerate() {
        let document = format!(
            r#"{{"Version":"{version}","Statement":[{{"Effect":"Allow","Action":"a:Get*","Resource":"*"}}]}}"#
        );
        let body = json!({ "dialect": dialect, "policy": vendors_policy[at], "document": document, "source": "a page" });
        operators.push(("/v1/services/import-policy", body));
    }
    for (path, body) in &operators {
        let response = world.send(world.native(None, path, body), true).await;
        assert_eq!(response.status, 200, "{path} {}", String::from_utf8_lossy(&response.body));
    }
    for (who, dialect) in tenants {
        for text in seen(&world, who, dialect).await {
            for name in ["UpdateService", "ImportServicePolicy"] {
                assert!(text.contains(name), "{} is not told of {name}: {text}", who.account);
            }
            assert!(text.contains("ExampleBackupFullAccess"), "nor of the policy");
            for (other, _) in tenants.iter().filter(|(other, _)| other.account != who.account) {
                assert!(
                    !text.contains(&other.account),
                    "{} in {}: {text}",
                    other.account,
                    who.account
                );
                assert!(!text.contains(&other.keys.access_key_id));
            }
            assert!(!text.contains("concerned"), "how many others there are: {text}");
        }
    }
    // The control: the operator sees the call with its counts, and that each was told.
    let wanted = json!({ "operation": "UpdateService" });
    let response = world.send(world.native(None, "/v1/operator/trail", &wanted), true).await;
    let found: Value = serde_json::from_slice(&response.body).unwrap();
    let entries = found.pointer("/entries").unwrap().as_array().unwrap();
    assert_eq!(entries.len(), 1 + tenants.len());
    let own = entries.iter().find(|e| e.pointer("/accounts/0").is_none()).unwrap();
    assert_eq!(own.pointer("/response/concernedAccounts").unwrap(), "4");
    assert_eq!(own.pointer("/response/concernedResources").unwrap(), "8");
    world.server.engine.stop().await;
}
