//! The trail as ActionTrail tells it: what a look-up wants, and an event in the vendor's shape.
//!
//! [src: ALIBABA.md 14] Not here: where the trail is kept, and who may read it.

use super::Product;
use super::fault::Fault;
use super::params::Params;
use crate::clock::{iso_seconds, parse_seconds};
use crate::trail::{
    Attribute, Facet, LISTS, Put, Search, View, asked_action, is_read, own_name, task_handle,
    vendors_name, yes_or_no,
};
use iam::audit::Event;
use iam::operations::{Family, Operation};
use iam::text::AccountId;
use policy::Dialect;
use policy::name::{self, Entity};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How far back a look-up reaches, in milliseconds.
const HISTORY_MS: i64 = 90 * 86_400_000;
/// How far back it reaches unless told, in milliseconds.
const DEFAULT_MS: i64 = 7 * 86_400_000;
/// Events in an answer unless told, and at most.
const PAGE: (u32, u32) = (20, 50);
/// What the vendor calls the service at which people sign in.
const SIGN_IN: &str = "AasCustomer";
/// The business that an account belongs to. ours: nothing public tells what it stands for
const CALLER_BID: &str = "26842";
/// What stands in the place of a secret.
const MASKED: &str = "******";
/// Conditions of one look-up.
const ATTRIBUTES: usize = 2;

/// What a look-up wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Of all events.
    pub search: Search,
    /// Where the page before ended, as it was told.
    pub token: Option<String>,
}

const ATTRIBUTE_KEYS: &[(&str, Attribute)] = &[
    ("ServiceName", Attribute::Source),
    ("EventName", Attribute::Name),
    ("User", Attribute::User),
    ("EventId", Attribute::Id),
    ("ResourceType", Attribute::ResourceType),
    ("ResourceName", Attribute::ResourceName),
    ("EventRW", Attribute::ReadOnly),
    ("EventAccessKeyId", Attribute::Key),
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
    let search = Search {
        view: View::ActionTrail,
        start_ms,
        // A second is over when the next begins.
        end_ms: end_ms.saturating_add(999),
        facets: attributes(p)?,
        limit: usize::try_from(limit).unwrap_or(1),
        is_forward,
    };
    Ok(Lookup { search, token: p.raw("NextToken").map(str::to_owned) })
}

/// Conditions, numbered, or as one text of JSON.
fn attributes(p: Params<'_>) -> Result<Vec<Facet>, Fault> {
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
        all.push(facet(key, value)?);
    }
    if let Some(text) = p.raw("LookupAttribute") {
        let list: Vec<Map<String, Value>> =
            serde_json::from_str(text).map_err(|_| Fault::format("LookupAttribute"))?;
        for item in list {
            let get = |name: &str| item.get(name).and_then(Value::as_str);
            let (Some(key), Some(value)) = (get("Key"), get("Value")) else {
                return Err(Fault::format("LookupAttribute"));
            };
            all.push(facet(key, value)?);
        }
    }
    if all.len() > ATTRIBUTES {
        return Err(Fault::incorrect("LookupAttribute"));
    }
    Ok(all)
}

fn facet(key: &str, value: &str) -> Result<Facet, Fault> {
    let found = ATTRIBUTE_KEYS.iter().find(|(name, _)| *name == key);
    let (_, attribute) = found.ok_or_else(|| Fault::incorrect("LookupAttribute"))?;
    let value = match (attribute, value) {
        (Attribute::ReadOnly, "Read") => "true",
        (Attribute::ReadOnly, "Write") => "false",
        (Attribute::ReadOnly, _) => "neither",
        (_, value) => value,
    };
    Ok(Facet(*attribute, value.to_owned()))
}

impl Lookup {
    /// The event in the vendor's shape for the account that looks, if it is one that is wanted.
    pub fn shown(&self, account: &AccountId, event: &Event) -> Option<Value> {
        // Most of what is looked through is not wanted: only what is gets written out.
        self.search.wants(event).then(|| self::event(account, event))
    }
}

/// What ActionTrail finds an event by. An operator is a user by name, a role by its own name
/// whatever the session's, a service by its principal. [src: ALIBABA.md 14.2]
pub fn facets(event: &Event, put: Put<'_>) {
    let called = called(event);
    put(Attribute::Source, &called.service);
    put(Attribute::Name, called.name);
    put(Attribute::Id, &event.id);
    put(Attribute::ReadOnly, yes_or_no(is_read(event)));
    put(Attribute::User, &user_name(event));
    if let (Some(role), "AssumedRole") = (&event.actor.user_name, event.actor.kind.as_str()) {
        put(Attribute::User, role);
    }
    event.actor.key.iter().for_each(|key| put(Attribute::Key, key));
    for (kind, name) in named(event) {
        put(Attribute::ResourceType, &kind);
        put(Attribute::ResourceName, &name);
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
        let entity = name::parse_entity(resource)?;
        let kind = match entity {
            Entity::Role { .. } => "Role",
            Entity::User { .. } => "User",
            Entity::Policy { .. } => "Policy",
            Entity::Group { .. } => "Group",
            Entity::OidcProvider { .. } => "OIDCProvider",
            Entity::Root { .. } => "Account",
            Entity::AssumedRole { .. } => return None,
        };
        Some((format!("ACS::RAM::{kind}"), own_name(&entity).to_owned()))
    };
    let asked = asked_action(event).and_then(|_| event.params.get("resource"));
    let own = event.resources.iter().filter_map(|touched| of(&touched.resource));
    own.chain(asked.and_then(|resource| of_service(resource))).collect()
}

/// Kind and name of a resource at a linked service, out of its whole name: the service is its third
/// part, kind and name are its last.
fn of_service(resource: &str) -> Option<(String, String)> {
    let mut parts = resource.splitn(5, ':').skip(1);
    let service = parts.next()?.to_ascii_uppercase();
    let (kind, name) = parts.nth(2)?.split_once('/').filter(|(_, name)| *name != "*")?;
    Some((format!("ACS::{service}::{}", capital(kind)), name.to_owned()))
}

/// An event in the vendor's shape. [src: ALIBABA.md 14.2]
pub fn event(account: &AccountId, event: &Event) -> Value {
    let Called { service, version, name, host } = called(event);
    let called_name = name.to_owned();
    let mut parameters: Map<String, Value> =
        event.params.iter().map(|(name, text)| parameter(&called_name, name, text)).collect();
    parameters.insert("RequestId".to_owned(), json!(event.request_id.to_ascii_uppercase()));
    parameters.insert("AcsProduct".to_owned(), json!(service));
    parameters.insert("AcsHost".to_owned(), json!(host));
    parameters.insert("HostId".to_owned(), json!(host));
    parameters.insert("RegionId".to_owned(), json!(event.region));
    if event.actor.kind == "AssumedRole" {
        let principal = user_name(event).replacen(':', "/", 1);
        parameters.insert("stsTokenPrincipalName".to_owned(), json!(principal));
        // ours: nothing public tells whose id it is
        parameters.insert("stsTokenPlayerUid".to_owned(), json!(event.actor.role_id));
    }
    let mut referenced: Referenced = Vec::new();
    for (kind, name) in named(event) {
        match referenced.iter_mut().find(|(of, _)| *of == kind) {
            Some((_, names)) => names.push(name),
            None => referenced.push((kind, vec![name])),
        }
    }
    let mut all = json!({
        "eventId": event.id,
        "requestId": event.request_id.to_ascii_uppercase(),
        "eventVersion": "1",
        "eventCategory": "Management",
        "eventType": event_type(event),
        "eventName": name,
        "serviceName": service,
        "apiVersion": version,
        "eventSource": host,
        "eventTime": iso_seconds(event.at_ms),
        "eventRW": read_or_write(event),
        "acsRegion": event.region,
        "isGlobal": true,
        "recipientAccountId": account,
        "vpcId": "",
        "sourceIpAddress": event.source_ip,
        "userAgent": event.user_agent,
        "requestParameterJson": Value::Object(parameters.clone()).to_string(),
        "requestParameters": parameters,
        "responseElements": response(event),
        "resourceType": joined(&referenced, |kind, _| kind.to_owned()),
        "resourceName": joined(&referenced, |_, names| names.join(",")),
        "referencedResources": referenced.iter().cloned().collect::<BTreeMap<_, _>>(),
        "additionalEventData": additional(event),
        "eventAttributes": {},
        "userIdentity": identity(event),
    });
    if let (Some(error), Value::Object(members)) = (&event.error, &mut all) {
        let told = event.told.clone().unwrap_or_default();
        let code = if told.code.is_empty() { denied_or(error) } else { &told.code };
        members.insert("errorCode".to_owned(), json!(code));
        members.insert("errorMessage".to_owned(), json!(told.message));
    }
    all
}

fn additional(event: &Event) -> Value {
    let scheme = if event.tls { "https" } else { "http" };
    match vendors_name(event) {
        Some(Operation::ConsoleLogin) => json!({
            "Scheme": scheme,
            "CallerBid": CALLER_BID,
            "loginAccount": user_name(event),
            "isMFAChecked": "false",
        }),
        _ => json!({ "Scheme": scheme, "CallerBid": CALLER_BID }),
    }
}

/// The interface that a call came on.
struct Called<'a> {
    service: Cow<'a, str>,
    version: &'a str,
    name: &'a str,
    host: &'a str,
}

fn called(event: &Event) -> Called<'_> {
    if let (Some((prefix, name)), Some(host)) = (asked_action(event), &event.asked_by) {
        return Called { service: capital(prefix).into(), version: "", name, host };
    }
    match &event.api {
        Some(api) => Called {
            service: api.product.as_str().into(),
            version: &api.version,
            name: &api.name,
            host: &api.host,
        },
        None => unsaid(event),
    }
}

/// The interface of a call that came from the console or on linkrole's own: the vendor's that has such a call.
fn unsaid(event: &Event) -> Called<'_> {
    let operation = vendors_name(event);
    let name = operation.map_or(event.operation.as_str(), |o| o.name(Dialect::Alibaba));
    // [src: the vendor's page on logon events]
    if operation == Some(Operation::ConsoleLogin) {
        return Called { service: SIGN_IN.into(), version: "", name, host: "signin.aliyun.com" };
    }
    let product = match (operation, operation.map(|o| o.facts().family)) {
        (Some(Operation::CreateServiceLinkedRole | Operation::DeleteServiceLinkedRole), _) => {
            Product::ResourceManager
        }
        (_, Some(Family::Iam)) => Product::Ram,
        (_, Some(Family::Sts)) => Product::Sts,
        (_, Some(Family::Trail)) => Product::ActionTrail,
        // No product of the vendor's has it.
        (_, Some(Family::Linkrole) | None) => {
            let service = event.service.as_str();
            return Called { service: service.into(), version: "", name, host: service };
        }
    };
    Called {
        service: product.name().into(),
        version: product.version(),
        name,
        host: product.host(),
    }
}

/// What kind of event it is. [src: ALIBABA.md 14.2]
fn event_type(event: &Event) -> &'static str {
    match vendors_name(event) {
        Some(Operation::ConsoleLogin) => "ConsoleSignin",
        _ if event.console => "ConsoleOperation",
        _ => "ApiCall",
    }
}

fn read_or_write(event: &Event) -> &'static str {
    if is_read(event) { "Read" } else { "Write" }
}

/// Resources by their types, both in the order in which they were named.
type Referenced = Vec<(String, Vec<String>)>;

/// Names or types: `;` stands between the types, `,` within one.
fn joined(resources: &Referenced, part: impl Fn(&str, &[String]) -> String) -> String {
    resources.iter().map(|(kind, names)| part(kind, names)).collect::<Vec<_>>().join(";")
}

/// What was answered, in the members that the vendor has, as far as the trail knows them; secrets are masked.
fn response(event: &Event) -> Value {
    let mut all: Map<String, Value> = Map::new();
    all.insert("RequestId".to_owned(), json!(event.request_id.to_ascii_uppercase()));
    let get = |name: &str| event.response.get(name);
    let first = event.resources.first().map(|touched| touched.resource.as_str());
    let name = first.and_then(name::parse_entity).map(|entity| own_name(&entity).to_owned());
    if let Some(key) = get("accessKeyId") {
        let ends = get("expirationMs").and_then(|text| text.parse().ok()).map(iso_seconds);
        let (member, mut given) = match &ends {
            Some(ends) => ("Credentials", json!({ "Expiration": ends, "SecurityToken": MASKED })),
            None => ("AccessKey", json!({ "Status": "Active" })),
        };
        if let Value::Object(given) = &mut given {
            given.insert("AccessKeyId".to_owned(), json!(key));
            given.insert("AccessKeySecret".to_owned(), json!(MASKED));
        }
        all.insert(member.to_owned(), given);
    }
    if let Some((id, session)) =
        get("assumedRoleId").and_then(|id| Some((id, id.split_once(':')?.1)))
    {
        let arn = match first.and_then(name::parse_entity) {
            Some(Entity::Role { account, name, .. }) => {
                Some(name::assumed_role(Dialect::Alibaba, &account, &name, session))
            }
            _ => None,
        };
        all.insert("AssumedRoleUser".to_owned(), json!({ "AssumedRoleId": id, "Arn": arn }));
    }
    for (id, member) in [("roleId", "Role"), ("userId", "User"), ("groupId", "Group")] {
        if let Some(value) = get(id) {
            let names = format!("{member}Name");
            all.insert(member.to_owned(), json!({ names: name, capital(id): value, "Arn": first }));
        }
    }
    if get("policyId").is_some() {
        all.insert("Policy".to_owned(), json!({ "PolicyName": name, "PolicyType": "Custom" }));
    }
    if let Some(task) = get("deletionTaskId") {
        all.insert("DeletionTaskId".to_owned(), json!(task_handle(event, task)));
    }
    Value::Object(all)
}

/// An argument under the name that the vendor has for it.
fn parameter(operation: &str, name: &str, text: &str) -> (String, Value) {
    let shown = match (operation, name) {
        (_, "aWSServiceName") => "ServiceName".to_owned(),
        (_, "accessKeyId") => "UserAccessKeyId".to_owned(),
        // What is changed has a name of its own there.
        ("UpdateRole", "assumeRolePolicyDocument" | "policyDocument") => {
            "NewAssumeRolePolicyDocument".to_owned()
        }
        ("UpdateRole", "description" | "maxSessionDuration") => format!("New{}", capital(name)),
        ("UpdatePolicyDescription", "description") => "NewDescription".to_owned(),
        (_, "tags") => "Tag".to_owned(),
        (_, "tagKeys") => "TagKey".to_owned(),
        _ => capital(name),
    };
    let list = LISTS.contains(&name).then(|| serde_json::from_str(text).ok()).flatten();
    (shown, list.unwrap_or_else(|| json!(text)))
}

fn capital(name: &str) -> String {
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

/// The code of what a linked service refused, since linkrole said no.
fn denied_or(error: &str) -> &str {
    if error == "AccessDenied" { "NoPermission" } else { error }
}
