//! The console: pages for people, made on the server, by the same operations as every other interface.
//!
//! A request is held against its session and, if it changes something, against what only a page of that session
//! knows; then it becomes commands that run as whoever is signed in ([`desk`]). Pages work without scripts. Not
//! here: what anybody may do.

mod assets;
mod create;
mod delete;
mod desk;
mod overview;
mod page;
mod roles;
mod services;
mod sessions;
mod sign_in;
mod trail;

pub use sessions::Sessions;

use crate::server::{Auth, Peer, Server};
use askama::Template;
use desk::Desk;
use page::{Form, Frame, Refusal, page};
use store::Store;
use wire::http::{Request, Response, parse_form, percent_decode_strict};

/// Where the console is.
const HOME: &str = "/console";

/// Whether a path belongs to the console.
pub fn is_ours(path: &str) -> bool {
    path == HOME || path.starts_with("/console/")
}

/// A page that says no to somebody who is not signed in.
#[derive(Template)]
#[template(path = "console/stranger.html")]
struct Stranger<'a> {
    says: &'a str,
}

/// A page that says no.
#[derive(Template)]
#[template(path = "console/refusal.html")]
struct Refused {
    frame: Frame,
    code: String,
    says: String,
}

impl<S: Store> Server<S> {
    /// Answers one request to the console.
    pub async fn console(&self, request: &Request, peer: &Peer, id: &str) -> Response {
        if let Some(file) = assets::answer(&request.path) {
            return file;
        }
        let posted = match request.method.as_str() {
            "GET" => false,
            "POST" => true,
            _ => return stranger(405, "Expected a page to be asked for, or a form to be sent."),
        };
        if matches!(self.auth, Auth::AcceptAny { .. }) && !is_of_this_machine(request) {
            let says =
                "A server that takes any credentials shows its console at a loopback address only.";
            return stranger(403, says);
        }
        if posted && !is_of_this_place(request) {
            return stranger(
                403,
                "The form did not come from this console. Open the console and send it from there.",
            );
        }
        let text =
            if posted { str::from_utf8(&request.body).ok() } else { Some(request.query.as_str()) };
        let Some(form) = text.and_then(|text| parse_form(text).ok()).map(Form) else {
            return stranger(400, "The form does not read.");
        };
        let place = request.path.trim_end_matches('/').strip_prefix(HOME).unwrap_or_default();
        if place == "/sign-in" {
            return sign_in::answer(self, request, peer, id, posted, &form).await;
        }
        let by_itself = place == "/tasks/drawer";
        let visitor = sign_in::cookie(request, peer)
            .and_then(|value| self.sessions.find(&value, self.engine.now_ms(), by_itself));
        let Some(visitor) = visitor else { return sign_in::first(request, peer) };
        if posted && !iam::seal::equal(form.text("forgery"), &visitor.forgery) {
            return stranger(
                403,
                "The form is not of this session. Go back, load the page again and send it anew.",
            );
        }
        if posted && place == "/sign-out" {
            self.sessions.end(&visitor);
            return sign_in::again(request, peer);
        }
        let Ok(desk) = Desk::open(self, visitor, request, peer, id, form) else {
            return sign_in::again(request, peer);
        };
        match route(&desk, posted, place).await {
            Ok(response) => response,
            Err(refusal) => say_no(&desk, refusal).await,
        }
    }
}

/// Which page it is.
async fn route<S: Store>(
    desk: &Desk<'_, S>,
    posted: bool,
    place: &str,
) -> Result<Response, Refusal> {
    let parts: Result<Vec<String>, _> =
        place.split('/').skip(1).map(|part| percent_decode_strict(part, false)).collect();
    let parts = parts.map_err(|_| Refusal::NotFound)?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (posted, parts.as_slice()) {
        (false, []) => overview::show(desk).await,
        (false, ["roles"]) => roles::list(desk).await,
        (false, ["roles", name]) => roles::show(desk, name, "permissions").await,
        (false, ["roles", name, tab]) => roles::show(desk, name, tab).await,
        (true, ["roles", name, "description"]) => roles::describe(desk, name).await,
        (true, ["roles", name, "tags"]) => roles::tag(desk, name).await,
        (false, ["create-role"]) => create::step(desk, "service").await,
        (false, ["create-role", step]) => create::step(desk, step).await,
        (true, ["create-role"]) => create::create(desk).await,
        (false, ["delete-roles"]) => delete::ask(desk).await,
        (true, ["delete-roles"]) => delete::delete(desk).await,
        (false, ["tasks"]) => delete::tasks(desk).await,
        (false, ["tasks", "drawer"]) => delete::drawer(desk).await,
        (true, ["tasks", "dismiss"]) => delete::dismiss(desk).await,
        (false, ["tasks", "task", "aws-service-role", principal, role, task]) => {
            delete::task(desk, principal, role, task).await
        }
        (false, ["services"]) => services::list(desk).await,
        (false, ["services", principal]) => services::show(desk, principal).await,
        (false, ["trail"]) => trail::list(desk).await,
        (false, ["trail", event]) => trail::show(desk, event).await,
        _ => Err(Refusal::NotFound),
    }
}

async fn say_no<S: Store>(desk: &Desk<'_, S>, refusal: Refusal) -> Response {
    let (status, code, says) = match refusal {
        Refusal::SignedOut => {
            desk.end();
            return sign_in::again(desk.request, desk.peer);
        }
        Refusal::NotFound => (404, "Not found".to_owned(), "There is nothing here.".to_owned()),
        Refusal::Told(status, code, says) => (status, code, says),
        Refusal::Invalid(says) => (400, "Not taken".to_owned(), says),
    };
    let frame = desk.frame(&code, "").await;
    page(status, &Refused { frame, code, says })
}

fn stranger(status: u16, says: &str) -> Response {
    page(status, &Stranger { says })
}

/// Whether the browser was sent to an address of this machine, and not to a name that somebody else says is one.
fn is_of_this_machine(request: &Request) -> bool {
    let host = request.header("host").unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

/// Whether a form was sent by a page of this very place. Every browser says where a form comes from.
fn is_of_this_place(request: &Request) -> bool {
    let site = request.header("sec-fetch-site");
    if request.headers_named("sec-fetch-site").count() > 1
        || site.is_some_and(|site| site != "same-origin")
    {
        return false;
    }
    let host = request.header("host").unwrap_or_default();
    let origin = request.header("origin").and_then(|origin| origin.split_once("://"));
    !host.is_empty() && origin.is_some_and(|(_, from)| from.eq_ignore_ascii_case(host))
}
