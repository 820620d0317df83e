//! Deleting roles: what is asked before, and how it goes on after. Of a service-linked role a task comes, which is kept
//! in view on every page until it is dismissed.

use super::desk::{Desk, status_of, status_word};
use super::page::{Frame, Refusal, page, read, see};
use super::roles::{last_used, line, link, target};
use super::sessions::Watched;
use askama::Template;
use iam::command::{Command, Paging};
use iam::output::{Output, RoleView};
use iam::rows::RoleKind;
use iam::text::RoleName;
use policy::Dialect;
use store::Store;
use wire::aws::encode::task_handle;
use wire::clock::iso_seconds;
use wire::http::Response;

/// Roles that one question is about.
const ROLES: usize = 50;
/// What is typed where several roles go.
const WORD: &str = "delete";

/// A role that is to go, with what stands in the way.
#[derive(Default)]
struct Going {
    name: String,
    link: String,
    is_linked: bool,
    trusted: String,
    last_used: String,
    /// In the order in which it is to be cleaned up.
    blocks: Vec<String>,
    refused: String,
    /// There is none any more.
    is_gone: bool,
}

#[derive(Template)]
#[template(path = "console/delete.html")]
struct Ask {
    frame: Frame,
    roles: Vec<Going>,
    word: String,
}

/// Asks before anything goes: when each was last used, and what stands in the way.
pub async fn ask<S: Store>(desk: &Desk<'_, S>) -> Result<Response, Refusal> {
    Ok(page(200, &question(desk).await?))
}

fn names<S: Store>(desk: &Desk<'_, S>) -> Result<Vec<RoleName>, Refusal> {
    let mut seen = std::collections::BTreeSet::new();
    let mut names = desk.form.all("role");
    names.retain(|name| seen.insert(name.clone()));
    if names.is_empty() {
        return Err(Refusal::Invalid("Choose at least one role to delete.".to_owned()));
    }
    if names.len() > ROLES {
        return Err(Refusal::Invalid(format!("Choose at most {ROLES} roles at a time.")));
    }
    names.iter().map(|name| read(name, "Role name")).collect()
}

async fn question<S: Store>(desk: &Desk<'_, S>) -> Result<Ask, Refusal> {
    let names = names(desk)?;
    let word = match names.as_slice() {
        [one] => one.to_string(),
        _ => WORD.to_owned(),
    };
    let mut roles = Vec::new();
    for name in names {
        roles.push(going(desk, name).await?);
    }
    let frame = desk.frame("Delete roles", "roles").await;
    Ok(Ask { frame, roles, word })
}

async fn found<S: Store>(desk: &Desk<'_, S>, name: &RoleName) -> Result<RoleView, Refusal> {
    match desk.ask(Command::GetRole { role: name.clone() }).await? {
        Output::Role(view) => Ok(view),
        _ => Err(Refusal::NotFound),
    }
}

async fn going<S: Store>(desk: &Desk<'_, S>, name: RoleName) -> Result<Going, Refusal> {
    let mut going = Going { name: name.to_string(), link: link(name.as_str()), ..Going::default() };
    // What is said of one role takes nothing from the others.
    let view = match found(desk, &name).await {
        Ok(view) => view,
        Err(Refusal::Told(status, code, message)) => {
            going.is_gone = status == 404;
            going.refused = format!("{code}: {message}");
            return Ok(going);
        }
        Err(other) => return Err(other),
    };
    let short = line(&view);
    going.is_linked = short.is_linked;
    going.trusted = short.trusted;
    going.last_used = last_used(&view);
    if !going.is_linked {
        return Ok(going);
    }
    match desk.ask(Command::PlanServiceLinkedRoleDeletion { role: name }).await {
        Ok(Output::Plan(plan)) => {
            for (region, resources) in &plan.usages {
                let names: Vec<&str> = resources.iter().map(|r| r.as_str()).collect();
                going.blocks.push(format!("Used in {region}: {}", names.join(", ")));
            }
            if let Some(until_ms) = plan.sessions_until_ms {
                going.blocks.push(format!(
                    "Its service has sessions until {}; only the service ends them sooner.",
                    iso_seconds(until_ms)
                ));
            }
            if plan.open.is_some() {
                going.blocks.push("A deletion of it is under way.".to_owned());
            }
        }
        Ok(_) => {}
        Err(Refusal::Told(_, code, message)) => going.refused = format!("{code}: {message}"),
        Err(other) => return Err(other),
    }
    Ok(going)
}

/// Deletes what was confirmed: each role by itself, so that one that stays keeps no other.
pub async fn delete<S: Store>(desk: &Desk<'_, S>) -> Result<Response, Refusal> {
    let names = names(desk)?;
    let word = match names.as_slice() {
        [one] => one.as_str(),
        _ => WORD,
    };
    // Trying again what a person has confirmed before asks for nothing more.
    let again = desk.form.text("again") == "yes" && names.len() == 1;
    if !again && desk.form.text("confirm").trim() != word {
        let mut ask = question(desk).await?;
        ask.frame.wrong = Some(format!("Nothing was deleted: type {word} to confirm."));
        return Ok(page(400, &ask));
    }
    let (mut gone, mut begun, mut stay) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        match remove(desk, &name).await {
            Ok(None) => gone.push(name.to_string()),
            Ok(Some(handle)) => {
                desk.watch(Watched { role: name.to_string(), handle, ended: None });
                begun.push(name.to_string());
            }
            Err(Refusal::Told(_, code, message)) => stay.push(format!("{name}: {code}: {message}")),
            Err(Refusal::NotFound) => stay.push(format!("{name}: there is no such role.")),
            Err(other) => return Err(other),
        }
    }
    let mut says = Vec::new();
    if !gone.is_empty() {
        says.push(format!("Deleted: {}.", gone.join(", ")));
    }
    if !begun.is_empty() {
        says.push(format!("The deletion has begun of: {}.", begun.join(", ")));
    }
    if !stay.is_empty() {
        says.push(format!("Not deleted: {}", stay.join(" ")));
    }
    desk.say(says.join(" "));
    Ok(see("/console/roles"))
}

/// Deletes one role; of a service-linked one it answers the task's handle.
async fn remove<S: Store>(desk: &Desk<'_, S>, name: &RoleName) -> Result<Option<String>, Refusal> {
    let view = found(desk, name).await?;
    if matches!(view.role.kind, RoleKind::Linked(_)) {
        let command = Command::DeleteServiceLinkedRole { role: name.clone() };
        return match desk.ask(command).await? {
            Output::Task(view) => Ok(Some(task_handle(&view.task))),
            _ => Err(Refusal::NotFound),
        };
    }
    // Whether it may go at all is asked first; only if its policies are in the way they are taken off it, as the
    // vendors' consoles do.
    match desk.ask(Command::DeleteRole { role: name.clone() }).await {
        Err(Refusal::Told(_, code, _)) if code.starts_with("DeleteConflict") => {
            strip(desk, name).await?;
        }
        other => return other.map(|_| None),
    }
    desk.ask(Command::DeleteRole { role: name.clone() }).await.map(|_| None)
}

/// Takes all policies off a role.
async fn strip<S: Store>(desk: &Desk<'_, S>, name: &RoleName) -> Result<(), Refusal> {
    let paging = || Paging { limit: Some(1_000), ..Paging::default() };
    let role = || name.clone();
    let prefix = String::new();
    let attached = Command::ListAttachedRolePolicies { role: role(), prefix, paging: paging() };
    if let Output::Attached(found) = desk.ask(attached).await? {
        for policy in &found.items {
            desk.ask(Command::DetachRolePolicy { role: role(), policy: target(policy) }).await?;
        }
    }
    // RAM knows no inline policies of roles.
    if desk.dialect == Dialect::Alibaba {
        return Ok(());
    }
    let inline = Command::ListRolePolicies { role: role(), paging: paging() };
    if let Output::Names(found) = desk.ask(inline).await? {
        for name in found.items {
            desk.ask(Command::DeleteRolePolicy { role: role(), name }).await?;
        }
    }
    Ok(())
}

#[derive(Template)]
#[template(path = "console/tasks.html")]
struct Tasks {
    frame: Frame,
}

/// The deletions that were asked for here.
pub async fn tasks<S: Store>(desk: &Desk<'_, S>) -> Result<Response, Refusal> {
    Ok(page(200, &Tasks { frame: desk.frame("Deletions", "tasks").await }))
}

#[derive(Template)]
#[template(path = "console/drawer.html")]
struct Drawer {
    frame: Frame,
}

/// The same as a part of other pages, for their script.
pub async fn drawer<S: Store>(desk: &Desk<'_, S>) -> Result<Response, Refusal> {
    let shown = Drawer { frame: desk.frame("", "").await };
    Ok(page(200, &shown))
}

/// Forgets what has ended.
pub async fn dismiss<S: Store>(desk: &Desk<'_, S>) -> Result<Response, Refusal> {
    // How the open ones stand is found out first.
    desk.tasks().await;
    desk.server.sessions.dismiss(&desk.visitor);
    Ok(see("/console/roles"))
}

/// What uses a role in one region.
struct RegionLine {
    region: String,
    resources: Vec<String>,
}

#[derive(Template)]
#[template(path = "console/task.html")]
struct One {
    frame: Frame,
    role: String,
    role_link: String,
    arn: String,
    status: &'static str,
    is_failed: bool,
    reason: String,
    submitted: String,
    ended: String,
    uses: Vec<RegionLine>,
    vendor_command: String,
}

/// One deletion: how it stands, and if the role stays, why.
pub async fn task<S: Store>(
    desk: &Desk<'_, S>,
    principal: &str,
    role: &str,
    task: &str,
) -> Result<Response, Refusal> {
    let handle = format!("task/aws-service-role/{principal}/{role}/{task}");
    let command = status_of(&handle).ok_or(Refusal::NotFound)?;
    let Output::Task(view) = desk.ask(command).await? else { return Err(Refusal::NotFound) };
    let task = &view.task;
    let uses = task.usages.iter().map(|(region, resources)| RegionLine {
        region: region.to_string(),
        resources: resources.iter().map(ToString::to_string).collect(),
    });
    let status = status_word(task.status);
    let vendor_command = match desk.dialect {
        Dialect::Aws => {
            format!("aws iam get-service-linked-role-deletion-status --deletion-task-id {handle}")
        }
        Dialect::Alibaba => format!(
            "aliyun resourcemanager GetServiceLinkedRoleDeletionStatus --DeletionTaskId {handle}"
        ),
    };
    let shown = One {
        frame: desk.frame("Deletion", "tasks").await,
        role: task.role_name.to_string(),
        role_link: link(task.role_name.as_str()),
        arn: view.role_arn.clone(),
        status,
        is_failed: status == "FAILED",
        reason: task.reason.clone().unwrap_or_default(),
        submitted: iso_seconds(task.submitted_ms),
        ended: task.ended_ms.map_or(String::new(), iso_seconds),
        uses: uses.collect(),
        vendor_command,
    };
    Ok(page(200, &shown))
}
