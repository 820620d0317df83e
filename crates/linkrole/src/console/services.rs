//! Linked services: which there are, and what their roles would be in this account.

use super::desk::Desk;
use super::page::{Frame, Refusal, encoded, page, set_out};
use super::roles::link;
use askama::Template;
use iam::command::Command;
use iam::output::Output;
use iam::rows::{DeletionRule, SuffixRule, UsageSource};
use iam::text::Description;
use store::Store;
use wire::http::Response;

/// Services on a page.
const PAGE: usize = 100;

/// A role that a service defines.
pub struct ServiceLine {
    /// The principal.
    pub principal: String,
    /// Where it is shown.
    pub link: String,
    /// The service's name for people.
    pub display_name: String,
    /// The role's name.
    pub role: String,
    /// Whether names of its roles may have a suffix.
    pub suffix: &'static str,
    /// When its roles go.
    pub deletion: &'static str,
}

#[derive(Template)]
#[template(path = "console/services.html")]
struct Services {
    frame: Frame,
    search: String,
    lines: Vec<ServiceLine>,
    more: usize,
}

fn suffix(rule: SuffixRule) -> &'static str {
    match rule {
        SuffixRule::Refused => "no",
        SuffixRule::Optional => "yes",
    }
}

fn deletion(rule: DeletionRule) -> &'static str {
    match rule {
        DeletionRule::Manual => "when asked for",
        DeletionRule::Automatic => "with its last use, or when asked for",
    }
}

/// The list, or what of it bears a name.
pub async fn list<S: Store>(desk: &Desk<'_, S>) -> Result<Response, Refusal> {
    let search = desk.form.text("search").trim().to_owned();
    let folded = search.to_lowercase();
    let command = Command::GetServiceLinkedRoleTemplate { principal: None };
    let Output::Templates(all) = desk.ask(command).await? else { return Err(Refusal::NotFound) };
    let mut lines: Vec<ServiceLine> = all
        .iter()
        .map(|(service, template)| ServiceLine {
            principal: template.principal.to_string(),
            link: format!("/console/services/{}", encoded(template.principal.as_str())),
            display_name: service.display_name.clone(),
            role: template.role_name(desk.dialect),
            suffix: suffix(template.suffix),
            deletion: deletion(template.deletion),
        })
        .filter(|line| {
            [&line.principal, &line.display_name, &line.role]
                .iter()
                .any(|text| text.to_lowercase().contains(&folded))
        })
        .collect();
    let more = lines.len().saturating_sub(PAGE);
    lines.truncate(PAGE);
    let frame = desk.frame("Services", "services").await;
    Ok(page(200, &Services { frame, search, lines, more }))
}

#[derive(Template)]
#[template(path = "console/service.html")]
struct One {
    frame: Frame,
    principal: String,
    display_name: String,
    role: String,
    role_link: String,
    exists: bool,
    suffix: &'static str,
    deletion: &'static str,
    usage: &'static str,
    policy: String,
    version: u32,
    document: String,
    description: String,
    ceiling: String,
    holds_updates: bool,
    requires_consent: bool,
}

/// One role that a service defines, as it would be here.
pub async fn show<S: Store>(desk: &Desk<'_, S>, principal: &str) -> Result<Response, Refusal> {
    let command =
        Command::PreviewServiceLinkedRole { principal: principal.to_owned(), suffix: None };
    let Output::Preview(view) = desk.ask(command).await? else { return Err(Refusal::NotFound) };
    let template = &view.template;
    let documents = template.versions.get(&template.version);
    let document = documents.and_then(|found| found.of(desk.dialect));
    let role = template.role_name(desk.dialect);
    let frame = desk.frame(principal, "services").await;
    let shown = One {
        frame,
        principal: principal.to_owned(),
        display_name: view.service.display_name.clone(),
        role_link: link(&role),
        role,
        exists: view.exists,
        suffix: suffix(template.suffix),
        deletion: deletion(template.deletion),
        usage: match view.service.usage {
            UsageSource::Registry => "the service tells of each use before it begins",
            UsageSource::Sessions => "by the role's sessions",
        },
        policy: template.policy.to_string(),
        version: template.version,
        document: document.map_or(String::new(), |document| set_out(document.text())),
        description: template.description.as_ref().map_or("", Description::as_str).to_owned(),
        ceiling: view.ceiling.as_ref().map_or(String::new(), |ceiling| set_out(ceiling.text())),
        holds_updates: view.terms.holds_updates,
        requires_consent: view.terms.requires_consent,
    };
    Ok(page(200, &shown))
}
