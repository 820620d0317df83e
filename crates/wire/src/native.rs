//! The native dialect: JSON under `/v1/`, for the command line, the SDK and linked services.
//!
//! Every call is a POST with a JSON object; unknown members are errors. Errors are
//! `{"error":{"code","message"},"request_id"}` with the codes of the AWS fault table, so that
//! there is one table of texts. Not here: authentication, and what a command does.

use crate::aws::encode::task_handle;
use crate::aws::fault::{Fault, fault};
use crate::aws::params::parse_policy;
use crate::clock::iso_seconds;
use crate::http::{Request, Response};
use crate::manifest::{self, ManifestText};
use crate::native_services;
use iam::command::*;
use iam::error::Error;
use iam::operations::Operation;
use iam::output::*;
use iam::rows::*;
use iam::seal::Secret;
use iam::text::*;
use policy::{Dialect, Effect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The name that the scope of a native request's signature carries.
pub const SIGNING_NAMES: [&str; 1] = ["iam"];

/// The signed parts of a request that a linked service received.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forwarded {
    /// The method.
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// The query as it was sent, without the question mark.
    #[serde(default)]
    pub query: String,
    /// At least the signed headers and the authorization header.
    pub headers: Vec<(String, String)>,
    /// The hexadecimal SHA-256 of the body.
    pub body_sha256: String,
}

/// What a reader of the trail wants.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrailQuery {
    /// Entries before this position, newest first; from the end unless given.
    #[serde(default)]
    pub before: Option<u64>,
    /// Entries after this position, oldest first; instead of `before`.
    #[serde(default)]
    pub after: Option<u64>,
    /// At most so many entries.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Only this operation.
    #[serde(default)]
    pub operation: Option<String>,
    /// Only what this user, role or service did.
    #[serde(default)]
    pub operator: Option<String>,
    /// Only what was about this resource: its name, or its whole name as an ARN.
    #[serde(default)]
    pub resource: Option<String>,
    /// Only what was done with this access key.
    #[serde(default)]
    pub key: Option<String>,
    /// Only calls to this service: the prefix of their actions.
    #[serde(default)]
    pub service: Option<String>,
    /// Only the event with this id.
    #[serde(default)]
    pub id: Option<String>,
    /// Not before this time, in milliseconds since 1970.
    #[serde(default)]
    pub since: Option<i64>,
    /// Not after this time, in milliseconds since 1970.
    #[serde(default)]
    pub until: Option<i64>,
    /// Reads too.
    #[serde(default)]
    pub reads: bool,
}

/// A native request, decoded.
#[derive(Debug)]
pub struct Native {
    /// The command.
    pub command: Command,
    /// The caller's request that a service presents.
    pub forwarded: Option<Forwarded>,
    /// What is wanted of the trail.
    pub trail: Option<TrailQuery>,
    /// The token with which a service proves itself.
    pub token: Option<Secret>,
}

impl From<Command> for Native {
    fn from(command: Command) -> Self {
        Self { command, forwarded: None, trail: None, token: None }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorize {
    forwarded: Forwarded,
    action: String,
    #[serde(default)]
    resource: Option<String>,
    #[serde(default)]
    account: Option<AccountId>,
    #[serde(default)]
    context: BTreeMap<String, OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ensure {
    forwarded: Forwarded,
    principal: String,
    #[serde(default)]
    suffix: Option<Suffix>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyForwarded {
    forwarded: Forwarded,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Introduce {
    account: AccountId,
    principal: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    account: AccountId,
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Use {
    account: AccountId,
    role: String,
    region: Region,
    resource: ResourceName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reconcile {
    account: AccountId,
    role: String,
    region: Region,
    after_version: u64,
    resources: BTreeSet<ResourceName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enrol {
    service: ServiceName,
    #[serde(default)]
    callback: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    #[serde(default)]
    token: Option<String>,
    manifest: ManifestText,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowService {
    service: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenSession {
    service: ServiceName,
    #[serde(default)]
    token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateAccount {
    #[serde(default)]
    id: Option<AccountId>,
    #[serde(default = "aws")]
    dialect: Dialect,
    #[serde(default)]
    role_quota: Option<u32>,
}

fn aws() -> Dialect {
    Dialect::Aws
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateLinked {
    principal: String,
    #[serde(default)]
    suffix: Option<Suffix>,
    #[serde(default)]
    description: Option<Description>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleOnly {
    pub(crate) role: RoleName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListLinked {
    #[serde(default)]
    marker: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskOnly {
    task: String,
}

/// Whether a path belongs to this dialect.
pub fn is_native(path: &str) -> bool {
    path.starts_with("/v1/")
}

/// Reads a request.
///
/// Errors: 404 for an unknown path, 405 for another method, 400 for a body that does not read.
pub fn decode(request: &Request) -> Result<Native, Fault> {
    if operation(&request.path).is_none() {
        let text =
            format!("There is nothing at {}; see the reference of the native API.", request.path);
        return Err(Fault::new("NotFound", 404, text));
    }
    if request.method != "POST" {
        let text = format!("Expected POST; found {}.", request.method);
        return Err(Fault::new("MethodNotAllowed", 405, text));
    }
    if !request.query.is_empty() {
        return Err(Fault::new(
            "ValidationError",
            400,
            "Expected no query; all goes into the body.",
        ));
    }
    let body = request.body.as_slice();
    if native_services::PATHS.iter().any(|(path, _)| *path == request.path) {
        return Ok(native_services::decode(&request.path, body)?.into());
    }
    Ok(match request.path.as_str() {
        "/v1/authorize" => {
            let ask: Authorize = read(body)?;
            let context = ask.context.into_iter().map(|(key, value)| match value {
                OneOrMany::One(one) => (key, vec![one]),
                OneOrMany::Many(many) => (key, many),
            });
            let question = Question {
                action: ask.action,
                resource: ask.resource,
                account: ask.account,
                context: context.collect(),
            };
            Native {
                forwarded: Some(ask.forwarded),
                ..Command::AuthorizeRequest(Box::new(question)).into()
            }
        }
        "/v1/slr/ensure" => {
            let ask: Ensure = read(body)?;
            let (principal, suffix) = (ask.principal, ask.suffix);
            Native {
                forwarded: Some(ask.forwarded),
                ..Command::EnsureServiceLinkedRole { principal, suffix }.into()
            }
        }
        "/v1/forward-access" => {
            let OnlyForwarded { forwarded } = read(body)?;
            Native { forwarded: Some(forwarded), ..Command::ForwardAccess.into() }
        }
        "/v1/slr/introduce" => {
            let Introduce { account, principal } = read(body)?;
            Command::IntroduceServiceLinkedRole { account, principal }.into()
        }
        "/v1/slr/list" => {
            let ask: ListLinked = read(body)?;
            let limit = ask.limit.map(|n| n.clamp(1, 1_000));
            let paging = Paging { marker: ask.marker, limit, page: None };
            Command::ListRoles {
                prefix: iam::linked::RESERVED_PATH.to_owned(),
                with: Vec::new(),
                paging,
            }
            .into()
        }
        "/v1/slr/show" => Command::GetRole { role: read::<RoleOnly>(body)?.role }.into(),
        "/v1/slr/plan" => {
            let RoleOnly { role } = read(body)?;
            Command::PlanServiceLinkedRoleDeletion { role }.into()
        }
        "/v1/slr/create" => {
            let ask: CreateLinked = read(body)?;
            Command::CreateServiceLinkedRole {
                principal: ask.principal,
                suffix: ask.suffix,
                description: ask.description,
            }
            .into()
        }
        "/v1/slr/delete" => {
            Command::DeleteServiceLinkedRole { role: read::<RoleOnly>(body)?.role }.into()
        }
        "/v1/slr/status" => status(&read::<TaskOnly>(body)?.task)?.into(),
        "/v1/slr/release-sessions" => Command::ReleaseSessions { target: target(body)? }.into(),
        "/v1/slr/retire" => Command::RetireServiceLinkedRole { target: target(body)? }.into(),
        "/v1/usage/list" => Command::ListUsage { target: target(body)? }.into(),
        "/v1/usage/register" => {
            let Use { account, role, region, resource } = read(body)?;
            let target = LinkedTarget { account, role };
            Command::RegisterUsage { target, region, resource }.into()
        }
        "/v1/usage/deregister" => {
            let Use { account, role, region, resource } = read(body)?;
            let target = LinkedTarget { account, role };
            Command::DeregisterUsage { target, region, resource }.into()
        }
        "/v1/usage/reconcile" => {
            let Reconcile { account, role, region, after_version, resources } = read(body)?;
            let target = LinkedTarget { account, role };
            Command::ReconcileUsage { target, region, after_version, resources }.into()
        }
        "/v1/services/enrol" => {
            let Enrol { service, callback } = read(body)?;
            Command::EnrolService { service, callback }.into()
        }
        "/v1/services/register" => {
            let ask: Register = read(body)?;
            let manifest = manifest::check(&ask.manifest)
                .map_err(|text| Fault::new("ValidationError", 400, text))?;
            Command::RegisterService { token: ask.token, manifest: Box::new(manifest) }.into()
        }
        "/v1/services/session" => {
            let OpenSession { service, token } = read(body)?;
            let token = token.map(Secret::new);
            Native { token, ..Command::CreateServiceSession { service }.into() }
        }
        "/v1/services/list" => {
            read::<Nothing>(body)?;
            Command::ListServices.into()
        }
        "/v1/services/show" => {
            Command::GetService { service: read::<ShowService>(body)?.service }.into()
        }
        "/v1/accounts/create" => {
            let CreateAccount { id, dialect, role_quota } = read(body)?;
            Command::CreateAccount { id, dialect, role_quota }.into()
        }
        "/v1/accounts/list" => {
            read::<Nothing>(body)?;
            Command::ListAccounts.into()
        }
        "/v1/trail" => {
            Native { trail: Some(read::<TrailQuery>(body)?), ..Command::LookupEvents.into() }
        }
        _ => Native { trail: Some(read::<TrailQuery>(body)?), ..Command::ReadTrail.into() },
    })
}

/// Every path of the dialect.
pub fn paths() -> impl Iterator<Item = &'static str> {
    PATHS.iter().chain(native_services::PATHS).map(|(path, _)| *path)
}

/// The operation that a path asks for.
pub fn operation(path: &str) -> Option<Operation> {
    let found = PATHS.iter().chain(native_services::PATHS).find(|(of, _)| *of == path);
    found.map(|(_, operation)| *operation)
}

const PATHS: &[(&str, Operation)] = &[
    ("/v1/authorize", Operation::AuthorizeRequest),
    ("/v1/forward-access", Operation::ForwardAccess),
    ("/v1/slr/ensure", Operation::EnsureServiceLinkedRole),
    ("/v1/slr/introduce", Operation::IntroduceServiceLinkedRole),
    ("/v1/slr/list", Operation::ListRoles),
    ("/v1/slr/show", Operation::GetRole),
    ("/v1/slr/plan", Operation::PlanServiceLinkedRoleDeletion),
    ("/v1/slr/create", Operation::CreateServiceLinkedRole),
    ("/v1/slr/delete", Operation::DeleteServiceLinkedRole),
    ("/v1/slr/status", Operation::GetServiceLinkedRoleDeletionStatus),
    ("/v1/slr/release-sessions", Operation::ReleaseSessions),
    ("/v1/slr/retire", Operation::RetireServiceLinkedRole),
    ("/v1/usage/list", Operation::ListUsage),
    ("/v1/usage/register", Operation::RegisterUsage),
    ("/v1/usage/deregister", Operation::DeregisterUsage),
    ("/v1/usage/reconcile", Operation::ReconcileUsage),
    ("/v1/services/enrol", Operation::EnrolService),
    ("/v1/services/register", Operation::RegisterService),
    ("/v1/services/session", Operation::CreateServiceSession),
    ("/v1/services/list", Operation::ListServices),
    ("/v1/services/show", Operation::GetService),
    ("/v1/accounts/create", Operation::CreateAccount),
    ("/v1/accounts/list", Operation::ListAccounts),
    ("/v1/trail", Operation::LookupEvents),
    ("/v1/operator/trail", Operation::ReadTrail),
];

pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|e| Fault::new("ValidationError", 400, format!("The body does not read: {e}")))
}

fn target(body: &[u8]) -> Result<LinkedTarget, Fault> {
    let Target { account, role } = read(body)?;
    Ok(LinkedTarget { account, role })
}

/// Reads a task's handle: `task/aws-service-role/PRINCIPAL/ROLE/UUID`.
fn status(handle: &str) -> Result<Command, Fault> {
    let parts: Vec<&str> = handle.split('/').collect();
    if let ["task", "aws-service-role", principal, role, id] = parts.as_slice()
        && let Ok(task) = TaskId::parse(id)
    {
        return Ok(Command::GetServiceLinkedRoleDeletionStatus {
            task,
            principal: (*principal).to_owned(),
            role: (*role).to_owned(),
        });
    }
    Err(Fault::new("InvalidInput", 400, "Invalid task id"))
}

/// A session policy's or boundary's ARN, for callers of this crate.
pub fn policy_target(arn: &str) -> Option<PolicyTarget> {
    parse_policy(arn)
}

/// The answer to a request.
pub fn answer(output: &Output, request_id: &str) -> Response {
    respond(200, &body(output).to_string(), request_id)
}

/// Entries of the trail, as they are stored.
pub fn trail(
    account: Option<&AccountId>,
    entries: &[Value],
    next: Option<u64>,
    request_id: &str,
) -> Response {
    let body = json!({
        "account": account, "entries": entries, "next": next, "request_id": request_id,
    });
    respond(200, &body.to_string(), request_id)
}

/// A refusal in the dialect.
pub fn refusal(fault: &Fault, request_id: &str) -> Response {
    let body = json!({
        "error": { "code": fault.code, "message": fault.message },
        "request_id": request_id,
    });
    respond(fault.status, &body.to_string(), request_id)
}

/// Turns an error into the dialect's own.
pub fn fault_of(error: &Error) -> Fault {
    fault(error)
}

pub(crate) fn respond(status: u16, body: &str, request_id: &str) -> Response {
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-request-id", request_id.to_owned()),
    ];
    Response { status, headers, body: body.as_bytes().to_vec() }
}

pub(crate) fn role(view: &RoleView) -> Value {
    let row = &view.role;
    let mut shown = json!({
        "arn": view.arn,
        "name": row.name.as_str(),
        "id": row.id.as_str(),
        "account": row.account.as_str(),
        "path": row.path.as_str(),
        "created": iso_seconds(row.created_ms),
        "description": row.description.as_ref().map(Description::as_str),
        "max_session_s": row.max_session_s,
        "last_used": view.last_use.as_ref().map(|l| json!({
            "at": iso_seconds(l.at_ms), "region": l.region,
        })),
    });
    if let (RoleKind::Linked(linked), Some(object)) = (&row.kind, shown.as_object_mut()) {
        object.insert("kind".into(), json!("service-linked"));
        object.insert("service".into(), json!(linked.template.service.as_str()));
        object.insert("principal".into(), json!(linked.template.principal.as_str()));
        object.insert("suffix".into(), json!(linked.suffix.as_ref().map(Suffix::as_str)));
        object.insert("template_version".into(), json!(view.template_version));
        let deleting = matches!(linked.status, RoleStatus::Deleting { .. });
        object.insert("deleting".into(), json!(deleting));
        object.insert("epoch".into(), json!(linked.status.epoch()));
    } else if let Some(object) = shown.as_object_mut() {
        object.insert("kind".into(), json!("own"));
    }
    shown
}

/// What blocks a deletion, and what to do about it in which order.
fn plan(view: &PlanView) -> Value {
    let mut steps = Vec::new();
    if view.count > 0 {
        steps.push(format!(
            "remove the {} resources that use the role, or switch their use off in the service",
            view.count
        ));
    }
    if let Some(until_ms) = view.sessions_until_ms {
        steps.push(format!(
            "have the service release its sessions, or wait until {}",
            iso_seconds(until_ms)
        ));
    }
    if view.open.is_none() {
        steps.push("delete the role".to_owned());
    }
    let usages: Vec<Value> = view
        .usages
        .iter()
        .map(|(region, resources)| json!({"region": region, "resources": resources}))
        .collect();
    json!({
        "role": role(&view.role),
        "deletable": view.count == 0 && view.sessions_until_ms.is_none(),
        "uses": view.count,
        "usages": usages,
        "sessions_until": view.sessions_until_ms.map(iso_seconds),
        "open_task": view.open,
        "steps": steps,
    })
}

fn task(view: &TaskView) -> Value {
    let task = &view.task;
    json!({
        "task": task_handle(task),
        "role_arn": view.role_arn,
        "status": task.status,
        "reason": task.reason,
        "usages": task.usages.iter().map(|(region, resources)| json!({
            "region": region.as_str(),
            "resources": resources.iter().map(ResourceName::as_str).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "submitted": iso_seconds(task.submitted_ms),
        "ended": task.ended_ms.map(iso_seconds),
    })
}

fn caller(view: &CallerView) -> Value {
    json!({
        "arn": view.arn,
        "id": view.id,
        "account": view.account.as_ref().map(AccountId::as_str),
        "kind": view.kind,
    })
}

fn body(output: &Output) -> Value {
    if let Some(body) = native_services::body(output) {
        return body;
    }
    match output {
        Output::Done => json!({}),
        Output::Roles(page) => json!({
            "roles": page.items.iter().map(role).collect::<Vec<_>>(),
            "next": page.next,
        }),
        Output::Task(view) => task(view),
        Output::Ensured { role: view, created } => {
            json!({ "role": role(view), "created": created })
        }
        Output::Authorized { decision, ensure, caller: view, account_dialect, message } => json!({
            "allowed": decision.allowed(),
            "decision": match decision.effect {
                Effect::Allow => "Allow",
                Effect::ImplicitDeny => "ImplicitDeny",
                Effect::ExplicitDeny => "ExplicitDeny",
            },
            "layer": format!("{:?}", decision.layer).to_lowercase(),
            "blocked_by": decision.blocked_by.iter()
                .map(|l| format!("{l:?}").to_lowercase()).collect::<Vec<_>>(),
            "matched": decision.matched.iter().map(|m| json!({
                "policy": m.policy, "statement": m.statement, "sid": m.sid,
                "effect": format!("{:?}", m.effect),
            })).collect::<Vec<_>>(),
            "message": message,
            "ensure": ensure,
            "caller": caller(view),
            "dialect": account_dialect,
        }),
        Output::Plan(view) => plan(view),
        Output::Usage { role: view, version, changed, ended_deletion, began_deletion } => json!({
            "role": role(view),
            "version": version,
            "changed": changed,
            "ended_deletion": ended_deletion.as_ref().map(TaskId::as_str),
            "began_deletion": began_deletion.as_ref().map(TaskId::as_str),
        }),
        Output::UsageList { role: view, usages, versions, last_session_end_ms } => json!({
            "role": role(view),
            "usages": usages.iter().map(|(region, resource)| json!({
                "region": region.as_str(), "resource": resource.as_str(),
            })).collect::<Vec<_>>(),
            "versions": versions.iter()
                .map(|(region, version)| (region.to_string(), json!(version)))
                .collect::<serde_json::Map<_, _>>(),
            "last_session_end": (*last_session_end_ms > 0).then(|| iso_seconds(*last_session_end_ms)),
        }),
        Output::Released { role: view, not_before_ms } => json!({
            "role": role(view),
            "not_before": iso_seconds(*not_before_ms),
        }),
        Output::Enrolment { service, token, expires_ms } => json!({
            "service": service.as_str(),
            "token": token.expose(),
            "expires": iso_seconds(*expires_ms),
        }),
        Output::Registered { service, key, secret } => json!({
            "service": manifest::show(service),
            "access_key_id": key.id.as_str(),
            "secret_access_key": secret.expose(),
        }),
        Output::Services(all) => json!({
            "services": all.iter().map(|s| manifest::show(s)).collect::<Vec<_>>(),
        }),
        Output::Service(service) => json!({ "service": manifest::show(service) }),
        Output::Account { account, key, secret } => json!({
            "account": account.id.as_str(),
            "dialect": account.dialect,
            "access_key_id": key.id.as_str(),
            "secret_access_key": secret.expose(),
        }),
        Output::Accounts(all) => json!({
            "accounts": all.iter().map(|a| json!({
                "account": a.id.as_str(),
                "dialect": a.dialect,
                "created": iso_seconds(a.created_ms),
                "role_quota": a.role_quota,
            })).collect::<Vec<_>>(),
        }),
        Output::Caller(view) => caller(view),
        Output::Session { credentials, .. } => json!({
            "access_key_id": credentials.key.as_str(),
            "secret_access_key": credentials.secret.expose(),
            "session_token": credentials.token,
            "expires": iso_seconds(credentials.expires_ms),
        }),
        Output::Trail { .. } | Output::Step { .. } | Output::Swept { .. } => json!({}),
        // Those before, and the rest that has no path in this dialect.
        Output::Role(_)
        | Output::Access(_)
        | Output::AccessJob(_)
        | Output::AccessReport(_)
        | Output::AccessEntities { .. }
        | Output::GrantingPolicies(_)
        | Output::Preview(_)
        | Output::Catalog { .. }
        | Output::Terms(_)
        | Output::ServiceChange(_)
        | Output::User(_)
        | Output::Users(_)
        | Output::Policy(_)
        | Output::Policies(_)
        | Output::Version(_)
        | Output::Versions(_)
        | Output::Inline { .. }
        | Output::Names(_)
        | Output::Attached(_)
        | Output::Templates(_)
        | Output::Group(_)
        | Output::Groups(_)
        | Output::Members { .. }
        | Output::Referrers(_)
        | Output::Tags(_)
        | Output::Diagnosis(_)
        | Output::Alias(_)
        | Output::Attachments(_)
        | Output::OidcProvider { .. }
        | Output::OidcProviders(_)
        | Output::NoProfiles
        | Output::Key { .. }
        | Output::Keys { .. }
        | Output::KeyUse { .. }
        | Output::KeyAccount(_) => json!({}),
    }
}
