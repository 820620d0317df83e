//! Roles: the list, one role with its tabs, and the one thing of a service-linked role that people write.

use super::desk::{Desk, status_word};
use super::page::{Frame, Refusal, encoded, page, read, see, set_out};
use super::trail::{EventLine, events};
use askama::Template;
use iam::command::{AccessOf, Command, Paging, PolicyOwner, PolicyTarget, Tagged};
use iam::output::{AttachedView, Output, PlanView, RoleView, TrustView};
use iam::rows::{Access, DeletionTask, RoleKind, RoleStatus};
use iam::text::{Description, PolicyName, RoleName, TagKey, TagValue};
use policy::Dialect;
use std::sync::Arc;
use store::Store;
use wire::aws::encode::task_handle;
use wire::clock::iso_seconds;
use wire::http::Response;
use wire::native::TrailQuery;

/// Roles on a page.
const PAGE: usize = 50;
/// Roles asked for at a time when names are searched, and how often at most.
const SEARCHED: (usize, usize) = (200, 25);
/// Policies and their likes shown of a role.
const LISTED: usize = 100;
/// Events shown of a role.
const EVENTS: usize = 50;

/// A role in the list.
pub struct Line {
    /// Its name.
    pub name: String,
    /// Where it is shown.
    pub link: String,
    /// Whether it is service-linked.
    pub is_linked: bool,
    /// Who may assume it.
    pub trusted: String,
    /// When it was made.
    pub created: String,
    /// When it was last used, and where.
    pub last_used: String,
    /// How a deletion stands that has not ended well.
    pub deletion: String,
    /// The same, to be looked at.
    pub deletion_link: String,
}

/// A role as the list shows it.
pub fn line(view: &RoleView) -> Line {
    let role = &view.role;
    let linked = match &role.kind {
        RoleKind::Linked(linked) => Some(linked),
        RoleKind::Own(_) => None,
    };
    let told = view.deletion.as_ref().filter(|task| status_word(task.status) != "SUCCEEDED");
    Line {
        name: role.name.to_string(),
        link: link(role.name.as_str()),
        is_linked: linked.is_some(),
        trusted: match &view.trust {
            TrustView::Linked(service) => service.to_string(),
            TrustView::Own(text) => trusted(text),
        },
        created: iso_seconds(role.created_ms),
        last_used: last_used(view),
        deletion: told.map_or(String::new(), |task| status_word(task.status).to_owned()),
        deletion_link: told.map_or(String::new(), |task| task_link(task)),
    }
}

/// Where a role is shown.
pub fn link(name: &str) -> String {
    format!("/console/roles/{}", encoded(name))
}

fn task_link(task: &DeletionTask) -> String {
    format!("/console/tasks/{}", task_handle(task))
}

/// When a role was last used, and where.
pub fn last_used(view: &RoleView) -> String {
    match &view.last_use {
        None => "never".to_owned(),
        Some(last) if last.region.is_empty() => iso_seconds(last.at_ms),
        Some(last) => format!("{} in {}", iso_seconds(last.at_ms), last.region),
    }
}

/// Whom a trust policy names, in short.
fn trusted(text: &str) -> String {
    let document: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let statements = match document.get("Statement") {
        Some(serde_json::Value::Array(all)) => all.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let mut named: Vec<String> = Vec::new();
    for principal in statements.iter().filter_map(|statement| statement.get("Principal")) {
        texts(principal, &mut named);
    }
    named.dedup();
    let more = named.len().saturating_sub(3);
    named.truncate(3);
    let listed = named.join(", ");
    if more == 0 { listed } else { format!("{listed} and {more} more") }
}

fn texts(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => found.push(text.clone()),
        serde_json::Value::Array(all) => all.iter().for_each(|one| texts(one, found)),
        serde_json::Value::Object(all) => all.values().for_each(|one| texts(one, found)),
        _ => {}
    }
}

#[derive(Template)]
#[template(path = "console/roles.html")]
struct Roles {
    frame: Frame,
    search: String,
    kind: String,
    lines: Vec<Line>,
    next: String,
    looked_at: usize,
}

/// The list, or what of it bears a name.
pub async fn list<S: Store>(desk: &Desk<'_, S>) -> Result<Response, Refusal> {
    let search = desk.form.text("search").trim().to_owned();
    let kind = desk.form.text("kind").to_owned();
    let folded = search.to_lowercase();
    let prefix = if kind == "linked" { iam::linked::RESERVED_PATH } else { "" };
    let wanted = |view: &RoleView| {
        let is_linked = matches!(view.role.kind, RoleKind::Linked(_));
        (kind != "own" || !is_linked) && view.role.name.as_str().to_lowercase().contains(&folded)
    };
    let (limit, rounds) = match search.is_empty() && kind != "own" {
        true => (PAGE, 1),
        false => SEARCHED,
    };
    let mut marker = desk.form.filled("next").map(str::to_owned);
    let (mut lines, mut looked_at) = (Vec::new(), 0);
    for _ in 0..rounds {
        let paging = Paging { marker: marker.take(), limit: Some(limit), page: None };
        let command = Command::ListRoles { prefix: prefix.to_owned(), with: Vec::new(), paging };
        let Output::Roles(found) = desk.ask(command).await? else { return Err(Refusal::NotFound) };
        looked_at += found.items.len();
        lines.extend(found.items.iter().filter(|view| wanted(view)).map(line));
        marker = found.next;
        if marker.is_none() || lines.len() >= PAGE {
            break;
        }
    }
    let next = marker.map_or(String::new(), |marker| {
        format!(
            "/console/roles?search={}&kind={}&next={}",
            encoded(&search),
            encoded(&kind),
            encoded(&marker)
        )
    });
    let frame = desk.frame("Roles", "roles").await;
    Ok(page(200, &Roles { frame, search, kind, lines, next, looked_at }))
}

/// A policy that says what a role may do.
struct PolicyText {
    name: String,
    arn: String,
    kind: &'static str,
    document: String,
}

/// What a service was asked for, by action.
struct ServiceLine {
    service: String,
    last: String,
    actions: Vec<(String, String)>,
}

/// Uses in one region.
struct RegionLine {
    region: String,
    resources: Vec<String>,
}

#[derive(Template)]
#[template(path = "console/role.html")]
struct One {
    frame: Frame,
    tab: &'static str,
    name: String,
    arn: String,
    link: String,
    is_linked: bool,
    service: String,
    created: String,
    last_used: String,
    description: String,
    max_session_s: u32,
    is_fenced: bool,
    deletion: String,
    deletion_link: String,
    refused: String,
    trust: String,
    trusted: String,
    policies: Vec<PolicyText>,
    boundary: String,
    version: String,
    sessions: String,
    services: Vec<ServiceLine>,
    uses: Vec<RegionLine>,
    use_count: usize,
    sessions_until: String,
    events: Vec<EventLine>,
    may_describe: bool,
    /// Characters of a description, at most.
    longest: usize,
    tags: Vec<(String, String)>,
}

const TABS: [&str; 5] = ["permissions", "trust", "activity", "uses", "trail"];

/// One role.
pub async fn show<S: Store>(
    desk: &Desk<'_, S>,
    name: &str,
    tab: &str,
) -> Result<Response, Refusal> {
    let tab = TABS.into_iter().find(|known| *known == tab).ok_or(Refusal::NotFound)?;
    let role: RoleName = read(name, "Role name")?;
    let found = desk.ask(Command::GetRole { role: role.clone() }).await?;
    let Output::Role(view) = found else { return Err(Refusal::NotFound) };
    let mut one = header(desk, &view, tab).await;
    let filled = match tab {
        "permissions" => permissions(desk, &view, &mut one).await,
        "trust" => {
            one.trust = set_out(&trust(&view.trust, desk.dialect));
            Ok(())
        }
        "activity" => activity(desk, &role, &mut one).await,
        "uses" => uses(desk, &role, &mut one).await,
        _ => trail(desk, name, &mut one).await,
    };
    // What of it may not be seen does not take the rest away.
    match filled {
        Ok(()) => {}
        Err(Refusal::Told(_, code, message)) => one.refused = format!("{code}: {message}"),
        Err(other) => return Err(other),
    }
    Ok(page(200, &one))
}

async fn header<S: Store>(desk: &Desk<'_, S>, view: &RoleView, tab: &'static str) -> One {
    let role = &view.role;
    let short = line(view);
    let (is_fenced, is_linked) = match &role.kind {
        RoleKind::Linked(linked) => (matches!(linked.status, RoleStatus::Deleting { .. }), true),
        RoleKind::Own(_) => (false, false),
    };
    One {
        frame: desk.frame(role.name.as_str(), "roles").await,
        tab,
        name: role.name.to_string(),
        arn: view.arn.clone(),
        link: short.link,
        is_linked,
        service: if is_linked { short.trusted.clone() } else { String::new() },
        created: short.created,
        last_used: short.last_used,
        description: role.description.as_ref().map_or("", Description::as_str).to_owned(),
        max_session_s: role.max_session_s,
        is_fenced,
        deletion: short.deletion,
        deletion_link: short.deletion_link,
        refused: String::new(),
        trust: String::new(),
        trusted: short.trusted,
        policies: Vec::new(),
        boundary: view.boundary.clone().unwrap_or_default(),
        version: view.template_version.map_or(String::new(), |version| version.to_string()),
        sessions: String::new(),
        services: Vec::new(),
        uses: Vec::new(),
        use_count: 0,
        sessions_until: String::new(),
        events: Vec::new(),
        may_describe: tab == "permissions",
        longest: longest(desk.dialect),
        tags: role.tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
    }
}

/// A role's trust as its vendor writes it.
pub fn trust(view: &TrustView, dialect: Dialect) -> String {
    match dialect {
        Dialect::Aws => wire::aws::encode::shown_trust(view),
        Dialect::Alibaba => wire::alibaba::encode::trust(view),
    }
}

async fn permissions<S: Store>(
    desk: &Desk<'_, S>,
    view: &RoleView,
    one: &mut One,
) -> Result<(), Refusal> {
    let role = view.role.name.clone();
    let paging = Paging { limit: Some(LISTED), ..Paging::default() };
    let attached = Command::ListAttachedRolePolicies {
        role: role.clone(),
        prefix: String::new(),
        paging: paging.clone(),
    };
    if let Output::Attached(found) = desk.ask(attached).await? {
        for policy in &found.items {
            one.policies.push(managed(desk, policy).await?);
        }
    }
    // RAM knows no inline policies of roles.
    if one.is_linked || desk.dialect == Dialect::Alibaba {
        return Ok(());
    }
    let listed = desk.ask(Command::ListRolePolicies { role: role.clone(), paging }).await?;
    if let Output::Names(found) = listed {
        for name in found.items {
            let shown = desk.ask(Command::GetRolePolicy { role: role.clone(), name }).await?;
            if let Output::Inline { name, document, .. } = shown {
                one.policies.push(PolicyText {
                    name: name.to_string(),
                    arn: String::new(),
                    kind: "inline",
                    document: set_out(&document),
                });
            }
        }
    }
    Ok(())
}

/// A managed policy as a command names it.
pub fn target(policy: &AttachedView) -> PolicyTarget {
    named(&policy.arn, policy.is_system, policy.path.clone(), policy.name.clone())
}

/// The same, of its parts.
pub fn named(arn: &str, is_system: bool, path: iam::text::Path, name: PolicyName) -> PolicyTarget {
    let owner = if is_system { PolicyOwner::System } else { PolicyOwner::Own };
    PolicyTarget { text: arn.to_owned(), owner, path, name }
}

async fn managed<S: Store>(
    desk: &Desk<'_, S>,
    policy: &AttachedView,
) -> Result<PolicyText, Refusal> {
    let found = desk
        .ask(Command::GetPolicyVersion { policy: target(policy), version: policy.default_version })
        .await;
    let document = match found {
        Ok(Output::Version(version)) => set_out(&version.document),
        Err(Refusal::Told(_, code, message)) => format!("{code}: {message}"),
        Ok(_) => String::new(),
        Err(other) => return Err(other),
    };
    let kind = if policy.is_system { "managed by its service" } else { "of this account" };
    Ok(PolicyText { name: policy.name.to_string(), arn: policy.arn.clone(), kind, document })
}

async fn activity<S: Store>(
    desk: &Desk<'_, S>,
    role: &RoleName,
    one: &mut One,
) -> Result<(), Refusal> {
    let found = desk.ask(Command::GetAccess { of: AccessOf::Role(role.clone()) }).await?;
    let Output::Access(view) = found else { return Ok(()) };
    one.sessions = match &view.sessions {
        Some(sessions) => {
            format!("{}, the last one {}", sessions.opened, iso_seconds(sessions.last_ms))
        }
        None => "none".to_owned(),
    };
    let mut services: Vec<&Arc<Access>> = view.services.iter().collect();
    services.sort_by_key(|access| std::cmp::Reverse(access.last.at_ms));
    one.services = services.iter().map(|access| tried(access)).collect();
    Ok(())
}

fn tried(access: &Access) -> ServiceLine {
    let when = |seen: &iam::rows::Seen| match seen.region.as_str() {
        "" => iso_seconds(seen.at_ms),
        region => format!("{} in {region}", iso_seconds(seen.at_ms)),
    };
    ServiceLine {
        service: access.service.to_string(),
        last: when(&access.last),
        actions: access.actions.iter().map(|(a, seen)| (a.to_string(), when(seen))).collect(),
    }
}

async fn uses<S: Store>(desk: &Desk<'_, S>, role: &RoleName, one: &mut One) -> Result<(), Refusal> {
    if !one.is_linked {
        return Ok(());
    }
    let found = desk.ask(Command::PlanServiceLinkedRoleDeletion { role: role.clone() }).await?;
    if let Output::Plan(plan) = found {
        (one.uses, one.use_count, one.sessions_until) = blocks(&plan);
    }
    Ok(())
}

fn blocks(plan: &PlanView) -> (Vec<RegionLine>, usize, String) {
    let uses = plan.usages.iter().map(|(region, resources)| RegionLine {
        region: region.to_string(),
        resources: resources.iter().map(ToString::to_string).collect(),
    });
    (uses.collect(), plan.count, plan.sessions_until_ms.map_or(String::new(), iso_seconds))
}

async fn trail<S: Store>(desk: &Desk<'_, S>, name: &str, one: &mut One) -> Result<(), Refusal> {
    let query = TrailQuery { operator: Some(name.to_owned()), ..TrailQuery::default() };
    (one.events, _) = events(desk, &query, EVENTS).await?;
    Ok(())
}

/// Characters of a description, at most.
pub fn longest(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Aws => iam::text::LATIN_DESCRIPTION.max,
        Dialect::Alibaba => Description::RULE.max,
    }
}

/// Puts a tag on a role, or takes one off it.
pub async fn tag<S: Store>(desk: &Desk<'_, S>, name: &str) -> Result<Response, Refusal> {
    let on = Tagged::Roles(vec![read(name, "Role name")?]);
    let key: TagKey = read(desk.form.text("key"), "Key")?;
    let says = match desk.form.text("off") {
        "yes" => {
            let keys = vec![key.clone()];
            desk.ask(Command::Untag { on, keys, all: false }).await?;
            format!("The tag {key} is taken off {name}.")
        }
        _ => {
            let value: TagValue = read(desk.form.text("value"), "Value")?;
            desk.ask(Command::Tag { on, tags: vec![(key.clone(), value)] }).await?;
            format!("{name} has the tag {key}.")
        }
    };
    desk.say(says);
    Ok(see(&link(name)))
}

/// Writes a role's description.
pub async fn describe<S: Store>(desk: &Desk<'_, S>, name: &str) -> Result<Response, Refusal> {
    let role: RoleName = read(name, "Role name")?;
    // A browser ends lines with two characters; people mean one.
    let text = desk.form.text("description").replace("\r\n", "\n");
    let description: Description = read(&text, "Description")?;
    if desk.dialect == Dialect::Aws && iam::text::LATIN_DESCRIPTION.check(&text).is_err() {
        return Err(Refusal::Invalid(
            "Description: expected at most 1000 characters of Latin script.".to_owned(),
        ));
    }
    desk.ask(Command::UpdateRoleDescription { role, description }).await?;
    desk.say(format!("The description of {name} is changed."));
    Ok(see(&link(name)))
}
