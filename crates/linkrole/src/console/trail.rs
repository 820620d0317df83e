//! The trail of the account, as its people look things up in it.

use super::desk::Desk;
use super::page::{Form, Frame, Refusal, encoded, page, set_out};
use crate::look_up::look_up;
use askama::Template;
use iam::audit::Event;
use iam::command::Command;
use policy::Dialect;
use store::Store;
use wire::clock::{iso_seconds, parse_seconds};
use wire::http::Response;
use wire::native::TrailQuery;
use wire::trail::{Search, native_search};

/// Events on a page.
const PAGE: usize = 50;
/// Look-ups for one page; each looks at a bounded number of entries.
const ROUNDS: usize = 4;

/// An event in short.
pub struct EventLine {
    /// When.
    pub time: String,
    /// What was called.
    pub name: String,
    /// At which service.
    pub source: String,
    /// Who called.
    pub who: String,
    /// What it was about.
    pub resource: String,
    /// What went wrong.
    pub error: String,
    /// Where it is shown whole.
    pub link: String,
}

fn line(event: &Event) -> EventLine {
    let asked = wire::trail::asked_action(event);
    let actor = &event.actor;
    let through = actor.invoked_by.as_ref().filter(|service| **service != actor.name);
    EventLine {
        time: iso_seconds(event.at_ms),
        name: asked.map_or_else(|| event.operation.clone(), |(_, name)| name.to_owned()),
        source: event.asked_by.clone().unwrap_or_else(|| event.service.clone()),
        who: match through {
            Some(service) => format!("{} via {service}", actor.name),
            None => actor.name.clone(),
        },
        resource: match (asked, event.resources.first()) {
            (Some(_), _) => event.params.get("resource").cloned().unwrap_or_default(),
            (None, Some(touched)) => touched.resource.clone(),
            (None, None) => String::new(),
        },
        error: match (&event.told, &event.error) {
            (Some(told), _) => told.code.clone(),
            (None, Some(error)) => error.clone(),
            (None, None) => String::new(),
        },
        link: format!("/console/trail/{}", encoded(&event.id)),
    }
}

/// Events that a look-up finds, newest first, and where it goes on.
pub async fn events<S: Store>(
    desk: &Desk<'_, S>,
    query: &TrailQuery,
    limit: usize,
) -> Result<(Vec<EventLine>, Option<u64>), Refusal> {
    let (found, next) = look(desk, query, limit).await?;
    Ok((found.iter().map(line).collect(), next))
}

async fn look<S: Store>(
    desk: &Desk<'_, S>,
    query: &TrailQuery,
    limit: usize,
) -> Result<(Vec<Event>, Option<u64>), Refusal> {
    desk.ask(Command::LookupEvents).await?;
    let search = native_search(query, limit);
    let engine = &desk.server.engine;
    let mut from = query.before;
    let mut all = Vec::new();
    // Much may be looked at and little found; then the reader decides whether to go on.
    for _ in 0..ROUNDS {
        let wanted = Search { limit: limit - all.len(), ..search.clone() };
        let found = look_up(engine, Some(&desk.account), &wanted, from, |_, event| {
            search.wants(event).then(|| event.clone())
        });
        let found = found.await.map_err(|why| {
            tracing::error!(why, "the trail was not read");
            Refusal::Told(500, "ServiceFailure".to_owned(), "The trail was not read.".to_owned())
        })?;
        all.extend(found.entries);
        from = found.next;
        if from.is_none() || all.len() >= limit {
            break;
        }
    }
    Ok((all, from))
}

#[derive(Template)]
#[template(path = "console/trail.html")]
struct Trail {
    frame: Frame,
    asked: Form,
    events: Vec<EventLine>,
    next: String,
}

/// The page on which things are looked up.
pub async fn list<S: Store>(desk: &Desk<'_, S>) -> Result<Response, Refusal> {
    let form = &desk.form;
    let text = |name: &str| form.filled(name).map(|text| text.trim().to_owned());
    let query = TrailQuery {
        before: form.filled("next").and_then(|at| at.parse().ok()),
        operation: text("name"),
        operator: text("user"),
        resource: text("resource"),
        key: text("key"),
        service: text("source"),
        since: time(form, "since")?,
        until: time(form, "until")?.map(|at| at.saturating_add(59_999)),
        reads: form.text("reads") == "yes",
        ..TrailQuery::default()
    };
    let (events, next) = events(desk, &query, PAGE).await?;
    let next = next.map_or(String::new(), |next| {
        let kept = form.0.iter().filter(|(name, value)| name != "next" && !value.is_empty());
        let kept: String = kept.map(|(n, v)| format!("{}={}&", encoded(n), encoded(v))).collect();
        format!("/console/trail?{kept}next={next}")
    });
    let frame = desk.frame("Trail", "trail").await;
    Ok(page(200, &Trail { frame, asked: form.clone(), events, next }))
}

/// A time as a browser's field gives it: to the minute, in UTC.
fn time(form: &Form, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = form.filled(name) else { return Ok(None) };
    let whole = match text.len() {
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    };
    let seconds = parse_seconds(&whole).ok_or_else(|| {
        Refusal::Invalid(format!("{name}: expected a time like 2026-01-31T12:00, in UTC."))
    })?;
    Ok(Some(seconds.saturating_mul(1_000)))
}

#[derive(Template)]
#[template(path = "console/event.html")]
struct One {
    frame: Frame,
    line: EventLine,
    vendors: String,
    own: String,
}

/// One event, as the vendor records it and as linkrole does.
pub async fn show<S: Store>(desk: &Desk<'_, S>, id: &str) -> Result<Response, Refusal> {
    let query = TrailQuery { id: Some(id.to_owned()), reads: true, ..TrailQuery::default() };
    let (found, _) = look(desk, &query, 1).await?;
    let event = found.first().ok_or(Refusal::NotFound)?;
    let vendors = match desk.dialect {
        Dialect::Aws => wire::aws::cloudtrail::record(&desk.account, event),
        Dialect::Alibaba => wire::alibaba::actiontrail::event(&desk.account, event),
    };
    let own = serde_json::to_string(event).unwrap_or_default();
    let frame = desk.frame("Event", "trail").await;
    let (vendors, own) = (set_out(&vendors.to_string()), set_out(&own));
    Ok(page(200, &One { frame, line: line(event), vendors, own }))
}
