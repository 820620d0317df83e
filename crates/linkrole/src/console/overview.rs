//! The first page: who is signed in where, and what of the account's service-linked roles wants to be looked at.

use super::desk::Desk;
use super::page::{Frame, Refusal, page};
use super::roles::{Line, line};
use askama::Template;
use iam::command::{Command, Paging};
use iam::output::Output;
use iam::rows::TaskStatus;
use store::Store;
use wire::http::Response;

/// Roles that are looked through.
const LOOKED_AT: usize = 1_000;
/// Roles shown of a kind.
const SHOWN: usize = 10;

#[derive(Template)]
#[template(path = "console/overview.html")]
struct Overview {
    frame: Frame,
    kind: &'static str,
    roles: u32,
    quota: u32,
    linked: usize,
    more: bool,
    refused: String,
    unused: Vec<Line>,
    failed: Vec<Line>,
}

/// The page.
pub async fn show<S: Store>(desk: &Desk<'_, S>) -> Result<Response, Refusal> {
    let paging = Paging { limit: Some(LOOKED_AT), ..Paging::default() };
    let prefix = iam::linked::RESERVED_PATH.to_owned();
    let listed = desk.ask(Command::ListRoles { prefix, with: Vec::new(), paging }).await;
    let (views, more, refused) = match listed {
        Ok(Output::Roles(found)) => (found.items, found.next.is_some(), String::new()),
        Ok(_) => (Vec::new(), false, String::new()),
        // Who may not list roles still sees who they are.
        Err(Refusal::Told(_, code, message)) => (Vec::new(), false, format!("{code}: {message}")),
        Err(other) => return Err(other),
    };
    let state = desk.server.engine.state();
    let account = state.account(&desk.account);
    let has_failed =
        |task: &std::sync::Arc<iam::rows::DeletionTask>| task.status == TaskStatus::Failed;
    let unused =
        views.iter().filter(|view| view.last_use.is_none()).take(SHOWN).map(line).collect();
    let failed = views
        .iter()
        .filter(|view| view.deletion.as_ref().is_some_and(has_failed))
        .take(SHOWN)
        .map(line)
        .collect();
    let shown = Overview {
        kind: desk.who.kind,
        // How many roles there are is told only to who may list them.
        roles: if refused.is_empty() { state.role_count(&desk.account) } else { 0 },
        quota: account.map_or(0, |account| account.role_quota),
        linked: views.len(),
        more,
        refused,
        unused,
        failed,
        frame: desk.frame("Overview", "overview").await,
    };
    Ok(page(200, &shown))
}
