//! The trail as CloudTrail tells it: its JSON wire, what a look-up wants, an event in its shape.
//!
//! [src: AWS.md 8] Not here: where the trail is kept, and who may read it.

use super::fault::Fault;
use crate::clock::{iso_seconds, long_date};
use crate::http::{Request, Response};
use crate::trail::{
    Attribute, Facet, LISTS, Put, Search, View, asked_action, is_read, own_name, task_handle,
    vendors_name, yes_or_no,
};
use iam::audit::Event;
use iam::command::Command;
use iam::error::Error;
use iam::operations::{Family, Operation};
use iam::text::AccountId;
use policy::Dialect;
use policy::name::{self, Entity};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The name that a signature's scope carries.
pub const SIGNING_NAME: &str = "cloudtrail";
/// What the target of every operation begins with.
const TARGET: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.";
/// How far back a look-up reaches, in milliseconds.
const HISTORY_MS: i64 = 90 * 86_400_000;
/// Events in an answer at most, and unless told.
const PAGE: i64 = 50;
/// The service without a region of its own says this one.
const GLOBAL_REGION: &str = "us-east-1";
const EVENT_VERSION: &str = "1.11";

/// Whether a request speaks a wire of JSON, where a header names the operation.
pub fn is_ours(request: &Request) -> bool {
    request.headers_named("x-amz-target").next().is_some()
}

/// What a look-up wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Of all events.
    pub search: Search,
    /// Where the page before ended, as it was told.
    pub token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    #[serde(default)]
    lookup_attributes: Vec<Wanted>,
    #[serde(default)]
    start_time: Option<f64>,
    #[serde(default)]
    end_time: Option<f64>,
    #[serde(default)]
    event_category: Option<String>,
    #[serde(default)]
    max_results: Option<i64>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wanted {
    attribute_key: String,
    attribute_value: String,
}

/// The operation that a request names.
///
/// Errors: one that CloudTrail does not have, and one that linkrole does not have.
pub fn command(request: &Request) -> Result<Command, Fault> {
    let target = request.header("x-amz-target").unwrap_or_default();
    match target.strip_prefix(TARGET) {
        Some("LookupEvents") => Ok(Command::LookupEvents),
        Some(other) if super::known::CLOUDTRAIL.contains(&other) => {
            Err(super::not_implemented(other))
        }
        _ => Err(Fault::new("UnknownOperationException", 400, "")),
    }
}

/// Reads what a look-up wants.
///
/// Errors: the vendor's own for what does not fit. [src: AWS.md 8.2]
pub fn lookup(request: &Request, now_ms: i64) -> Result<Lookup, Fault> {
    let wrong = |code, text: &str| Fault::new(code, 400, text);
    let body = if request.body.is_empty() { b"{}".as_slice() } else { &request.body };
    let input: Input = serde_json::from_slice(body)
        .map_err(|error| Fault::new("SerializationException", 400, error.to_string()))?;
    if input.event_category.is_some() {
        let text = "There are no events of this category here; leave EventCategory out.";
        return Err(wrong("InvalidEventCategoryException", text));
    }
    let ms = |seconds: f64| (seconds * 1_000.0) as i64;
    let (start, end) = (input.start_time.map(ms), input.end_time.map(ms));
    if start.is_some_and(|start| end.is_some_and(|end| start > end) || start > now_ms) {
        let text = "The start time must be before the end time, and not in the future.";
        return Err(wrong("InvalidTimeRangeException", text));
    }
    let limit = input.max_results.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&limit) {
        let text = "MaxResults must be between 1 and 50.";
        return Err(wrong("InvalidMaxResultsException", text));
    }
    if input.lookup_attributes.len() > 1 {
        let text = "You can specify only one lookup attribute.";
        return Err(wrong("InvalidLookupAttributesException", text));
    }
    let facets = input.lookup_attributes.iter().map(facet).collect::<Result<Vec<_>, _>>()?;
    let search = Search {
        view: View::CloudTrail,
        start_ms: start.unwrap_or(i64::MIN).max(now_ms.saturating_sub(HISTORY_MS)),
        // What is asked for by the second means the whole of it.
        end_ms: end.unwrap_or(i64::MAX).saturating_add(999),
        facets,
        limit: usize::try_from(limit).unwrap_or(1),
        is_forward: false,
    };
    Ok(Lookup { search, token: input.next_token })
}

fn facet(wanted: &Wanted) -> Result<Facet, Fault> {
    let wrong = |text: &str| Fault::new("InvalidLookupAttributesException", 400, text);
    let attribute = match wanted.attribute_key.as_str() {
        "EventId" => Attribute::Id,
        "EventName" => Attribute::Name,
        "ReadOnly" => Attribute::ReadOnly,
        "Username" => Attribute::User,
        "ResourceType" => Attribute::ResourceType,
        "ResourceName" => Attribute::ResourceName,
        "EventSource" => Attribute::Source,
        "AccessKeyId" => Attribute::Key,
        _ => return Err(wrong("The lookup attribute is not one of those that CloudTrail has.")),
    };
    let value = wanted.attribute_value.as_str();
    if !(1..=2_000).contains(&value.chars().count()) {
        return Err(wrong("A lookup attribute's value has 1 to 2000 characters."));
    }
    if attribute == Attribute::ReadOnly && !["true", "false"].contains(&value) {
        return Err(wrong("The value of ReadOnly must be true or false."));
    }
    Ok(Facet(attribute, value.to_owned()))
}

impl Lookup {
    /// The event in the vendor's shape for the account that looks, if it is one that is wanted.
    pub fn shown(&self, account: &AccountId, event: &Event) -> Option<Value> {
        self.search.wants(event).then(|| listed(account, event))
    }
}

/// What CloudTrail finds an event by. The name of a role finds what its sessions did, too: that is ours.
pub fn facets(event: &Event, put: Put<'_>) {
    let operation = vendors_name(event);
    put(Attribute::Id, &event.id);
    put(Attribute::Name, event_name(event, operation));
    put(Attribute::Source, source(event, operation));
    put(Attribute::ReadOnly, yes_or_no(reads(event)));
    user_name(event).into_iter().for_each(|user| put(Attribute::User, user));
    if let (Some(role), "AssumedRole") = (&event.actor.user_name, event.actor.kind.as_str()) {
        put(Attribute::User, role);
    }
    event.actor.key.iter().for_each(|key| put(Attribute::Key, key));
    each_named(event, &mut |kind, name| {
        kind.into_iter().for_each(|kind| put(Attribute::ResourceType, kind));
        put(Attribute::ResourceName, name);
    });
}

/// The answer to a look-up.
pub fn answer(events: &[Value], next: Option<&str>, id: &str) -> Response {
    let mut body = json!({ "Events": events });
    if let (Some(next), Value::Object(members)) = (next, &mut body) {
        members.insert("NextToken".to_owned(), json!(next));
    }
    respond(200, &body, id)
}

/// A refusal, under the names that the wires of JSON have for what others call otherwise.
pub fn refusal(fault: &Fault, id: &str) -> Response {
    let code = match fault.code {
        "AccessDenied" => "AccessDeniedException",
        "InvalidClientTokenId" => "UnrecognizedClientException",
        "SignatureDoesNotMatch" => "InvalidSignatureException",
        "MissingAuthenticationToken" => "MissingAuthenticationTokenException",
        "IncompleteSignature" => "IncompleteSignatureException",
        "ExpiredToken" => "ExpiredTokenException",
        "Throttling" => "ThrottlingException",
        "ServiceFailure" => "InternalFailure",
        "NotImplemented" => "UnsupportedOperationException",
        other => other,
    };
    let mut body = json!({ "__type": code });
    if let (false, Value::Object(members)) = (fault.message.is_empty(), &mut body) {
        members.insert("message".to_owned(), json!(fault.message));
    }
    // Who may not is told so with the status of any other mistake.
    respond(if fault.status == 403 { 400 } else { fault.status }, &body, id)
}

/// The fault of an error of this wire.
pub fn fault(error: &Error) -> Fault {
    super::fault::fault(error)
}

/// The fault of a token that continues no look-up of this kind.
pub fn wrong_token() -> Fault {
    let text = "The NextToken is none of this account's for a look-up with these parameters.";
    Fault::new("InvalidNextTokenException", 400, text)
}

fn respond(status: u16, body: &Value, id: &str) -> Response {
    let headers = vec![
        ("content-type", "application/x-amz-json-1.1".to_owned()),
        ("x-amzn-requestid", id.to_owned()),
    ];
    Response { status, headers, body: body.to_string().into_bytes() }
}

/// An event as a look-up lists it.
fn listed(account: &AccountId, event: &Event) -> Value {
    let operation = vendors_name(event);
    let resources: Vec<Value> = named(event)
        .into_iter()
        .map(|(kind, name)| match kind {
            Some(kind) => json!({ "ResourceType": kind, "ResourceName": name }),
            None => json!({ "ResourceName": name }),
        })
        .collect();
    let mut all = json!({
        "EventId": event.id,
        "EventName": event_name(event, operation),
        "ReadOnly": yes_or_no(reads(event)),
        "EventTime": event.at_ms.div_euclid(1_000),
        "EventSource": source(event, operation),
        "Resources": resources,
        "CloudTrailEvent": record(account, event).to_string(),
    });
    if let Value::Object(members) = &mut all {
        let key = event.actor.key.clone().filter(|_| event.actor.kind != "AWSService");
        key.map(|key| members.insert("AccessKeyId".to_owned(), json!(key)));
        user_name(event).map(|name| members.insert("Username".to_owned(), json!(name)));
    }
    all
}

/// An event as CloudTrail records it. [src: AWS.md 8.1]
pub fn record(account: &AccountId, event: &Event) -> Value {
    let (through, operation) = (acts_for_service(event), vendors_name(event));
    let from = |own: &str| through.map_or_else(|| own.to_owned(), str::to_owned);
    let mut all = json!({
        "eventVersion": EVENT_VERSION,
        "userIdentity": identity(event),
        "eventTime": iso_seconds(event.at_ms),
        "eventSource": source(event, operation),
        "eventName": event_name(event, operation),
        "awsRegion": region(event),
        "sourceIPAddress": from(&event.source_ip),
        "userAgent": from(&event.user_agent),
        "requestParameters": parameters(event),
        "responseElements": response(event),
        "requestID": event.request_id,
        "eventID": event.id,
        "readOnly": reads(event),
        "eventType": if is_sign_in(event) { "AwsConsoleSignIn" } else { "AwsApiCall" },
        "managementEvent": true,
        "recipientAccountId": account,
        "eventCategory": "Management",
    });
    let Value::Object(members) = &mut all else { return all };
    if let Some(error) = &event.error {
        let told = event.told.clone().unwrap_or_default();
        let code = if told.code.is_empty() { error } else { exception(&told.code) };
        members.insert("errorCode".to_owned(), json!(code));
        members.insert("errorMessage".to_owned(), json!(told.message));
    }
    if is_sign_in(event) {
        let how = json!({ "MobileVersion": "No", "MFAUsed": "No" });
        members.insert("additionalEventData".to_owned(), how);
    } else if event.console {
        members.insert("sessionCredentialFromConsole".to_owned(), json!("true"));
    }
    if is_assumption(event) && event.error.is_none() {
        let of = |touched: &iam::audit::Touched| json!({ "ARN": touched.resource, "accountId": touched.account, "type": ROLE });
        let roles: Vec<Value> = event.resources.iter().map(of).collect();
        members.insert("resources".to_owned(), json!(roles));
        if event.actor.kind == "AWSService" {
            members.insert("sharedEventID".to_owned(), json!(event.id));
        }
    }
    all
}

/// The name of the exception, which is what the trail says where the wire says only its code.
fn exception(code: &str) -> &str {
    match code {
        "NoSuchEntity" => "NoSuchEntityException",
        "EntityAlreadyExists" => "EntityAlreadyExistsException",
        "DeleteConflict" => "DeleteConflictException",
        "LimitExceeded" => "LimitExceededException",
        "InvalidInput" => "InvalidInputException",
        "MalformedPolicyDocument" => "MalformedPolicyDocumentException",
        "UnmodifiableEntity" => "UnmodifiableEntityException",
        "PolicyNotAttachable" => "PolicyNotAttachableException",
        "ServiceFailure" => "ServiceFailureException",
        "ValidationError" => "ValidationException",
        "PackedPolicyTooLarge" => "PackedPolicyTooLargeException",
        "ConcurrentModification" => "ConcurrentModificationException",
        other => other,
    }
}

fn event_name(event: &Event, operation: Option<Operation>) -> &str {
    match asked_action(event) {
        Some((_, name)) => name,
        None => operation.map_or(&event.operation, |o| o.name(Dialect::Aws)),
    }
}

/// The service that was called, by its principal.
fn source(event: &Event, operation: Option<Operation>) -> &str {
    if let Some(service) = &event.asked_by {
        return service;
    }
    if is_sign_in(event) {
        return "signin.amazonaws.com";
    }
    match operation.map(|operation| operation.facts().family) {
        Some(Family::Iam) => "iam.amazonaws.com",
        Some(Family::Sts) => "sts.amazonaws.com",
        Some(Family::Trail) => "cloudtrail.amazonaws.com",
        // No service of the vendor's has it.
        Some(Family::Linkrole) | None => "linkrole",
    }
}

fn region(event: &Event) -> &str {
    let is_global = event.asked_by.is_none() && event.service != "cloudtrail";
    if is_global || event.region.is_empty() { GLOBAL_REGION } else { &event.region }
}

/// CloudTrail counts what hands out credentials among what reads.
fn reads(event: &Event) -> bool {
    is_read(event) || is_sts(event)
}

fn is_sts(event: &Event) -> bool {
    event.service == Family::Sts.prefix(Dialect::Aws)
}

fn is_assumption(event: &Event) -> bool {
    event.operation == Operation::AssumeRole.facts().name
}

/// Whether somebody signed in to the console. [src: the vendor's page on sign-in events]
fn is_sign_in(event: &Event) -> bool {
    event.operation == Operation::ConsoleLogin.facts().name
}

/// The service that acts here, itself or through its role; its callers are others.
fn acts_for_service(event: &Event) -> Option<&str> {
    let acts = match event.actor.kind.as_str() {
        "AWSService" => true,
        "AssumedRole" => event.actor.invoked_by.is_some(),
        _ => false,
    };
    event.actor.invoked_by.as_deref().filter(|_| acts)
}

/// A role's session by its own name; a service has none.
fn user_name(event: &Event) -> Option<&str> {
    let actor = &event.actor;
    match actor.kind.as_str() {
        "Root" => Some("root"),
        "AssumedRole" => actor.id.split_once(':').map(|(_, session)| session),
        "AWSService" => None,
        _ => actor.user_name.as_deref(),
    }
}

const ROLE: &str = "AWS::IAM::Role";
const KEY: &str = "AWS::IAM::AccessKey";

/// Kinds and names of what an event was about: each under every form that is known. Of what only
/// read there are none. [src: AWS.md 8.1]
fn named(event: &Event) -> Vec<(Option<&'static str>, String)> {
    let mut all: Vec<(Option<&'static str>, String)> = Vec::new();
    each_named(event, &mut |kind, name| {
        if !all.iter().any(|(of, known)| *of == kind && known == name) {
            all.push((kind, name.to_owned()));
        }
    });
    all
}

/// As [`named`], some of it more than once.
fn each_named(event: &Event, put: &mut dyn FnMut(Option<&'static str>, &str)) {
    if event.asked_by.is_some() {
        let resource = event.params.get("resource").filter(|resource| *resource != "*");
        resource.into_iter().for_each(|resource| put(None, resource));
        return;
    }
    if event.read_only {
        return;
    }
    let mut put = |kind, name: &str| put(Some(kind), name);
    let answered = |name: &str| event.response.get(name);
    for touched in &event.resources {
        let Some(entity) = name::parse_entity(&touched.resource) else { continue };
        let (kind, id) = match &entity {
            Entity::User { .. } => ("AWS::IAM::User", "userId"),
            Entity::Role { .. } => (ROLE, "roleId"),
            Entity::Policy { .. } => ("AWS::IAM::Policy", "policyId"),
            Entity::Group { .. } => ("AWS::IAM::Group", "groupId"),
            Entity::OidcProvider { .. } => ("AWS::IAM::OIDCProvider", ""),
            Entity::Root { .. } | Entity::AssumedRole { .. } => continue,
        };
        put(kind, own_name(&entity));
        put(kind, &touched.resource);
        answered(id).into_iter().for_each(|id| put(kind, id));
    }
    let keys = [answered("accessKeyId"), event.params.get("accessKeyId")];
    keys.into_iter().flatten().for_each(|key| put(KEY, key));
    if let Some(session) = answered("assumedRoleId") {
        put("AWS::STS::AssumedRole", session);
    }
}

fn identity(event: &Event) -> Value {
    let actor = &event.actor;
    let mut all = Map::new();
    let mut put = |name: &str, value: Option<&str>| {
        value.map(|value| all.insert(name.to_owned(), json!(value)));
    };
    let kind = match actor.kind.as_str() {
        "Operator" | "System" | "Anonymous" | "Workload" => "Unknown",
        known => known,
    };
    put("type", Some(kind));
    if kind != "AWSService" {
        put("principalId", Some(&actor.id));
        put("arn", Some(&actor.name).filter(|name| name.contains(':')).map(String::as_str));
        put("accountId", actor.account.as_ref().map(|account| account.as_str()));
        put("accessKeyId", actor.key.as_deref());
    }
    if matches!(kind, "IAMUser" | "WebIdentityUser") {
        put("userName", actor.user_name.as_deref());
    }
    put("invokedBy", actor.invoked_by.as_deref());
    let mut session = Map::new();
    if let Some(role) = &actor.role_arn {
        session.insert(
            "sessionIssuer".to_owned(),
            json!({
                "type": "Role",
                "principalId": actor.role_id,
                "arn": role,
                "accountId": actor.account,
                "userName": actor.user_name,
            }),
        );
    }
    if let Some(issued_ms) = actor.issued_ms {
        let attributes =
            json!({ "creationDate": iso_seconds(issued_ms), "mfaAuthenticated": "false" });
        session.insert("attributes".to_owned(), attributes);
        all.insert("sessionContext".to_owned(), Value::Object(session));
    }
    Value::Object(all)
}

/// What was asked for; lists, numbers and yes or no as such.
fn parameters(event: &Event) -> Value {
    if event.params.is_empty() {
        return Value::Null;
    }
    let of = |(name, text): (&String, &String)| {
        let plain = match name.as_str() {
            "durationSeconds" | "maxSessionDuration" => text.parse::<u64>().ok().map(Value::from),
            "setAsDefault" => text.parse::<bool>().ok().map(Value::from),
            name if LISTS.contains(&name) => serde_json::from_str(text).ok(),
            _ => None,
        };
        (name.clone(), plain.unwrap_or_else(|| json!(text)))
    };
    Value::Object(event.params.iter().map(of).collect())
}

/// What was answered, in the members that the vendor has; nothing for what only reads or answers nothing.
fn response(event: &Event) -> Value {
    let given = &event.response;
    if is_sign_in(event) {
        let came_in = if event.error.is_none() { "Success" } else { "Failure" };
        return json!({ "ConsoleLogin": came_in });
    }
    if event.error.is_some() || given.is_empty() || event.read_only {
        return Value::Null;
    }
    let get = |name: &str| given.get(name);
    if is_sts(event) {
        let ends = get("expirationMs").and_then(|text| text.parse().ok()).map(long_date);
        let credentials = json!({ "accessKeyId": get("accessKeyId"), "expiration": ends });
        let mut all = json!({ "credentials": credentials });
        if let (Some(id), Value::Object(members)) = (get("assumedRoleId"), &mut all) {
            let arn = assumed(event, id);
            members
                .insert("assumedRoleUser".to_owned(), json!({ "assumedRoleId": id, "arn": arn }));
        }
        return all;
    }
    if let Some(task) = get("deletionTaskId") {
        return json!({ "deletionTaskId": task_handle(event, task) });
    }
    let first = event.resources.first().map(|touched| touched.resource.as_str());
    let entity = first.and_then(name::parse_entity);
    let made = |member: &str, names: &str, id: &str| json!({ member: { names: entity.as_ref().map(own_name), id: get(id), "arn": first } });
    if given.contains_key("accessKeyId") {
        let user = entity.as_ref().map(own_name);
        return json!({ "accessKey": { "accessKeyId": get("accessKeyId"), "userName": user, "status": "Active" } });
    }
    for (id, member, names) in [
        ("roleId", "role", "roleName"),
        ("userId", "user", "userName"),
        ("groupId", "group", "groupName"),
        ("policyId", "policy", "policyName"),
    ] {
        if given.contains_key(id) {
            return made(member, names, id);
        }
    }
    Value::Object(given.iter().map(|(name, text)| (name.clone(), json!(text))).collect())
}

/// The name of a session that was opened.
fn assumed(event: &Event, id: &str) -> Option<String> {
    let touched = event.resources.first()?;
    let Entity::Role { account, name, .. } = name::parse_entity(&touched.resource)? else {
        return None;
    };
    let (_, session) = id.split_once(':')?;
    Some(name::assumed_role(Dialect::Aws, &account, &name, session))
}
