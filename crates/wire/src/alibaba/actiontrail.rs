//! The trail as ActionTrail tells it: what a look-up wants, and an event in the vendor's shape.
//!
//! [src: ALIBABA.md 14] Not here: where the trail is kept, and who may read it.

use super::fault::Fault;
use super::params::Params;
use crate::clock::{iso_seconds, parse_seconds};
use iam::audit::Event;
use iam::operations::Operation;
use policy::Dialect;
use policy::name::{self, Entity};
use serde_json::{Map, Value, json};

/// How far back a look-up reaches, in milliseconds.
const HISTORY_MS: i64 = 90 * 86_400_000;
/// How far back it reaches unless told, in milliseconds.
const DEFAULT_MS: i64 = 7 * 86_400_000;
/// Events in an answer unless told, and at most.
const PAGE: (u32, u32) = (20, 50);
/// Conditions of one look-up.
const ATTRIBUTES: usize = 2;

/// What a look-up wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Not before, in milliseconds since 1970.
    pub start_ms: i64,
    /// Not after, in milliseconds since 1970.
    pub end_ms: i64,
    /// Conditions, all of which hold.
    pub attributes: Vec<(Attribute, String)>,
    /// Events in the answer at most.
    pub limit: usize,
    /// Whether the oldest come first.
    pub is_forward: bool,
    /// Where the page before ended, as it was told.
    pub token: Option<String>,
}

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the vendor's")]
pub enum Attribute {
    ServiceName,
    EventName,
    User,
    EventId,
    ResourceType,
    ResourceName,
    EventRW,
    EventAccessKeyId,
}

const NAMES: &[(&str, Attribute)] = &[
    ("ServiceName", Attribute::ServiceName),
    ("EventName", Attribute::EventName),
    ("User", Attribute::User),
    ("EventId", Attribute::EventId),
    ("ResourceType", Attribute::ResourceType),
    ("ResourceName", Attribute::ResourceName),
    ("EventRW", Attribute::EventRW),
    ("EventAccessKeyId", Attribute::EventAccessKeyId),
];

/// Reads what a look-up wants.
pub(super) fn lookup(p: Params<'_>, now_ms: i64) -> Result<Lookup, Fault> {
    let time = |name: &str| -> Result<Option<i64>, Fault> {
        let Some(text) = p.raw(name) else { return Ok(None) };
        let seconds = parse_seconds(text).ok_or_else(|| Fault::format(name))?;
        Ok(Some(seconds.saturating_mul(1_000)))
    };
    let (start_ms, end_ms) = match (time("StartTime")?, time("EndTime")?) {
        (Some(start), end) => (start, end.unwrap_or(now_ms)),
        (None, None) => (now_ms.saturating_sub(DEFAULT_MS), now_ms),
        (None, Some(_)) => return Err(Fault::missing("StartTime")),
    };
    // A minute of grace for clients that ask for exactly the longest time.
    if start_ms < now_ms.saturating_sub(HISTORY_MS + 60_000) {
        return Err(Fault::incorrect("StartTime"));
    }
    if end_ms < start_ms {
        return Err(Fault::incorrect("EndTime"));
    }
    let is_forward = match p.raw("Direction") {
        None | Some("BACKWARD") => false,
        Some("FORWARD") => true,
        Some(_) => return Err(Fault::incorrect("Direction")),
    };
    let limit = p.number("MaxResults", 0, PAGE.1)?.filter(|n| *n > 0).unwrap_or(PAGE.0);
    Ok(Lookup {
        start_ms,
        // A second is over when the next begins.
        end_ms: end_ms.saturating_add(999),
        attributes: attributes(p)?,
        limit: usize::try_from(limit).unwrap_or(1),
        is_forward,
        token: p.raw("NextToken").map(str::to_owned),
    })
}

/// Conditions, numbered, or as one text of JSON.
fn attributes(p: Params<'_>) -> Result<Vec<(Attribute, String)>, Fault> {
    let mut all = Vec::new();
    for number in 1..=ATTRIBUTES + 1 {
        let key = p.raw(&format!("LookupAttribute.{number}.Key"));
        let value = p.raw(&format!("LookupAttribute.{number}.Value"));
        let (Some(key), Some(value)) = (key, value) else {
            if key.is_some() || value.is_some() {
                return Err(Fault::format("LookupAttribute"));
            }
            break;
        };
        all.push((attribute(key)?, value.to_owned()));
    }
    if let Some(text) = p.raw("LookupAttribute") {
        let list: Vec<Map<String, Value>> =
            serde_json::from_str(text).map_err(|_| Fault::format("LookupAttribute"))?;
        for item in list {
            let get = |name: &str| item.get(name).and_then(Value::as_str);
            let (Some(key), Some(value)) = (get("Key"), get("Value")) else {
                return Err(Fault::format("LookupAttribute"));
            };
            all.push((attribute(key)?, value.to_owned()));
        }
    }
    if all.len() > ATTRIBUTES {
        return Err(Fault::incorrect("LookupAttribute"));
    }
    Ok(all)
}

fn attribute(key: &str) -> Result<Attribute, Fault> {
    let found = NAMES.iter().find(|(name, _)| *name == key);
    found.map(|(_, attribute)| *attribute).ok_or_else(|| Fault::incorrect("LookupAttribute"))
}

impl Lookup {
    /// The event in the vendor's shape, if it is one that is wanted.
    pub fn shown(&self, event: &Event) -> Option<Value> {
        if !(self.start_ms..=self.end_ms).contains(&event.at_ms) {
            return None;
        }
        let wanted = self.attributes.iter().all(|(attribute, value)| match attribute {
            Attribute::ServiceName => called(event).service == value,
            Attribute::EventName => called(event).name == value,
            Attribute::EventId => event.id == *value,
            Attribute::EventRW => read_or_write(event) == value,
            Attribute::EventAccessKeyId => event.actor.key.as_ref() == Some(value),
            Attribute::User => is_operator(event, value),
            Attribute::ResourceType => named(event).iter().any(|(kind, _)| kind == value),
            Attribute::ResourceName => {
                named(event).iter().any(|(_, name)| name.eq_ignore_ascii_case(value))
            }
        });
        // Most of what is looked through is not wanted: only what is gets written out.
        wanted.then(|| self::event(event))
    }
}

/// Whether an event is one of an operator: a user by name, a role by its own name whatever the
/// session's, a service by its principal. [src: ALIBABA.md 14.2]
fn is_operator(event: &Event, wanted: &str) -> bool {
    let actor = &event.actor;
    match actor.kind.as_str() {
        "Root" => wanted == "root",
        "AssumedRole" => {
            actor.user_name.as_ref().is_some_and(|role| role.eq_ignore_ascii_case(wanted))
                || user_name(event) == wanted
        }
        "AWSService" => actor.name == wanted,
        _ => actor.user_name.as_deref() == Some(wanted),
    }
}

fn user_name(event: &Event) -> String {
    let actor = &event.actor;
    let own = || actor.user_name.clone().unwrap_or_else(|| actor.name.clone());
    match actor.kind.as_str() {
        "Root" => "root".to_owned(),
        "AssumedRole" => match actor.id.split_once(':') {
            Some((_, session)) => format!("{}:{session}", own()),
            None => own(),
        },
        _ => own(),
    }
}

/// The types and names of the resources of an event.
fn named(event: &Event) -> Vec<(String, String)> {
    let of = |resource: &str| {
        let (kind, name) = match name::parse_entity(resource)? {
            Entity::Role { name, .. } => ("Role", name),
            Entity::User { name, .. } => ("User", name),
            Entity::Policy { name, .. } => ("Policy", name),
            Entity::Group { name, .. } => ("Group", name),
            Entity::OidcProvider { name, .. } => ("OIDCProvider", name),
            Entity::Root { account } => ("Account", account),
            Entity::AssumedRole { .. } => return None,
        };
        Some((format!("ACS::RAM::{kind}"), name))
    };
    event.resources.iter().filter_map(|touched| of(&touched.resource)).collect()
}

/// An event in the vendor's shape. [src: ALIBABA.md 14.2]
fn event(event: &Event) -> Value {
    let Called { service, version, name, host } = called(event);
    let mut parameters: Map<String, Value> =
        event.params.iter().map(|(name, value)| (parameter(name), json!(value))).collect();
    parameters.insert("RequestId".to_owned(), json!(event.request_id.to_ascii_uppercase()));
    parameters.insert("AcsProduct".to_owned(), json!(service));
    parameters.insert("AcsHost".to_owned(), json!(host));
    parameters.insert("HostId".to_owned(), json!(host));
    parameters.insert("RegionId".to_owned(), json!(event.region));
    if event.actor.kind == "AssumedRole" {
        let principal = user_name(event).replacen(':', "/", 1);
        parameters.insert("stsTokenPrincipalName".to_owned(), json!(principal));
    }
    let resources = named(event);
    let mut referenced: Map<String, Value> = Map::new();
    for (kind, name) in &resources {
        let names = referenced.entry(kind.clone()).or_insert_with(|| json!([]));
        if let Value::Array(names) = names {
            names.push(json!(name));
        }
    }
    let mut all = json!({
        "eventId": event.id,
        "requestId": event.request_id.to_ascii_uppercase(),
        "eventVersion": "1",
        "eventCategory": "Management",
        "eventType": "ApiCall",
        "eventName": name,
        "serviceName": service,
        "apiVersion": version,
        "eventSource": host,
        "eventTime": iso_seconds(event.at_ms),
        "eventRW": read_or_write(event),
        "acsRegion": event.region,
        "isGlobal": true,
        "recipientAccountId": event.accounts.first(),
        "vpcId": "",
        "sourceIpAddress": event.source_ip,
        "userAgent": event.user_agent,
        "requestParameterJson": Value::Object(parameters.clone()).to_string(),
        "requestParameters": parameters,
        "responseElements": response(event),
        "resourceType": joined(&resources, |(kind, _)| kind),
        "resourceName": joined(&resources, |(_, name)| name),
        "referencedResources": referenced,
        "additionalEventData": {"Scheme": if event.tls { "https" } else { "http" }},
        "eventAttributes": {},
        "userIdentity": identity(event),
    });
    if let (Some(error), Value::Object(members)) = (&event.error, &mut all) {
        members.insert("errorCode".to_owned(), json!(code(error)));
        members.insert("errorMessage".to_owned(), json!(error));
    }
    all
}

/// The interface that a call came on.
struct Called<'a> {
    service: &'a str,
    version: &'a str,
    name: &'a str,
    host: &'a str,
}

fn called(event: &Event) -> Called<'_> {
    match &event.api {
        Some(api) => Called {
            service: &api.product,
            version: &api.version,
            name: &api.name,
            host: &api.host,
        },
        None => Called {
            service: &event.service,
            version: "",
            name: own_name(event),
            host: &event.service,
        },
    }
}

fn read_or_write(event: &Event) -> &'static str {
    if event.read_only { "Read" } else { "Write" }
}

/// What a call is named that came on no interface of the vendor. A linked service makes and deletes
/// roles by calls of linkrole's own; to their account these are the vendor's two events.
fn own_name(event: &Event) -> &str {
    let Some(operation) = Operation::named(&event.operation) else { return &event.operation };
    let made = event.response.contains_key("roleId") || event.error.is_some();
    let began = event.response.contains_key("deletionTaskId");
    match operation {
        Operation::EnsureServiceLinkedRole if made => "CreateServiceLinkedRole",
        Operation::RetireServiceLinkedRole => "DeleteServiceLinkedRole",
        Operation::DeregisterUsage | Operation::ReconcileUsage if began => {
            "DeleteServiceLinkedRole"
        }
        other => other.name(Dialect::Alibaba),
    }
}

/// Names or types: `;` stands between the types.
fn joined(resources: &[(String, String)], part: impl Fn(&(String, String)) -> &String) -> String {
    resources.iter().map(|pair| part(pair).as_str()).collect::<Vec<_>>().join(";")
}

fn response(event: &Event) -> Value {
    let members = event.response.iter().map(|(name, value)| (parameter(name), json!(value)));
    let mut all: Map<String, Value> = members.collect();
    all.insert("RequestId".to_owned(), json!(event.request_id.to_ascii_uppercase()));
    Value::Object(all)
}

/// `roleName` as `RoleName`.
fn parameter(name: &str) -> String {
    if name == "aWSServiceName" {
        return "ServiceName".to_owned();
    }
    let mut chars = name.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

fn identity(event: &Event) -> Value {
    let actor = &event.actor;
    let (kind, principal) = match actor.kind.as_str() {
        "Root" => ("root-account", actor.id.clone()),
        "IAMUser" => ("ram-user", actor.id.clone()),
        "AssumedRole" => ("assumed-role", actor.id.clone()),
        // ours: no public sample tells the vendor's [ALIBABA.md 17]
        _ => ("system", actor.name.clone()),
    };
    let mut all = json!({
        "type": kind,
        "principalId": principal,
        "accountId": actor.account.as_ref().map_or("", |a| a.as_str()),
        "userName": user_name(event),
        "accessKeyId": actor.key.as_deref().unwrap_or(""),
    });
    if let (Some(issued_ms), Value::Object(members)) = (actor.issued_ms, &mut all) {
        let attributes = json!({
            "creationDate": iso_seconds(issued_ms),
            "mfaAuthenticated": "false",
        });
        members.insert("sessionContext".to_owned(), json!({"attributes": attributes}));
    }
    all
}

/// The code of a kind of error, as far as the kind tells it.
fn code(kind: &str) -> &str {
    match kind {
        "AccessDenied" | "AssumeRoleDenied" | "RootMayNotAssume" => "NoPermission",
        "NoSuchEntity" => "EntityNotExist",
        "NoRoleToAssume" => "EntityNotExist.Role",
        "UnknownServicePrincipal" => "EntityNotExist.Service",
        "AlreadyExists" => "EntityAlreadyExists",
        "RoleNameTaken" => "EntityAlreadyExists.Role",
        "QuotaExceeded" => "LimitExceeded",
        "ProtectedRole" | "ProtectedDuration" | "ReservedName" | "PolicyNotAttachable" => {
            super::fault::PROTECTED
        }
        "MalformedPolicy" | "InvalidPrincipal" => "MalformedPolicyDocument",
        "NonceUsed" => "SignatureNonceUsed",
        other => other,
    }
}
