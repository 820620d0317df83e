//! Signing in: with an access key, or with a session's credentials.

use super::assets::{SCRIPT, STYLE};
use super::page::{Form, headers, page, see};
use crate::server::{Auth, Peer, Server, accepted};
use askama::Template;
use iam::caller::{Caller, authenticate};
use iam::command::Command;
use iam::output::Output;
use iam::seal::equal;
use store::Store;
use wire::http::{Request, Response};

/// The cookie, over TLS and without; the first is one that no other host or path can set.
const COOKIES: [&str; 2] = ["__Host-linkrole", "linkrole"];

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct SignIn<'a> {
    wrong: &'a str,
    key: &'a str,
}

impl SignIn<'_> {
    fn style(&self) -> &'static str {
        &STYLE.path
    }
    fn script(&self) -> &'static str {
        &SCRIPT.path
    }
}

/// The value of this console's cookie.
pub fn cookie(request: &Request) -> Option<&str> {
    let all = request.headers_named("cookie").flat_map(|line| line.split(';'));
    let mut pairs = all.filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| COOKIES.contains(name)).map(|(_, value)| value)
}

/// Whether the browser speaks TLS, to us or to a proxy before us that says so. Who lies about it only hides the
/// cookie from himself.
fn is_encrypted(request: &Request, peer: &Peer) -> bool {
    peer.tls || request.header("x-forwarded-proto") == Some("https")
}

fn set_cookie(request: &Request, peer: &Peer, value: &str, more: &str) -> (&'static str, String) {
    let [strict, plain] = COOKIES;
    let (name, secure) = match is_encrypted(request, peer) {
        true => (strict, "; Secure"),
        false => (plain, ""),
    };
    ("set-cookie", format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}"))
}

/// Takes the cookie away and asks to sign in.
pub fn again(request: &Request, peer: &Peer) -> Response {
    let mut response = see("/console/sign-in");
    response.headers.push(set_cookie(request, peer, "", "; Max-Age=0"));
    response
}

/// The page, or what comes of its form.
pub async fn answer<S: Store>(
    server: &Server<S>,
    request: &Request,
    peer: &Peer,
    id: &str,
    posted: bool,
    form: &Form,
) -> Response {
    let key = form.text("key").trim();
    let refuse = |status, wrong: &str| page(status, &SignIn { wrong, key });
    if !posted {
        return refuse(200, "");
    }
    let now_ms = server.engine.now_ms();
    if !server.sessions.may_try(peer.ip, now_ms) {
        let mut response =
            refuse(429, "There were too many attempts from here. Try again in a minute.");
        response.headers.push(("retry-after", "60".to_owned()));
        return response;
    }
    let Some(caller) = caller(server, key, form) else {
        server.sessions.failed(peer.ip, now_ms);
        return refuse(403, "These are no credentials of an account here, or they are not active.");
    };
    let mut call = server.call(caller.clone(), Command::ConsoleLogin, request, peer, id);
    call.source.console = true;
    match server.run(call).await {
        Ok(Output::Caller(_)) => {}
        Ok(_) | Err(_) => {
            return refuse(
                403,
                "The console is for users, roles and the root of an account; a linked service has none.",
            );
        }
    }
    // Who was signed in under this browser's cookie is so no more.
    if let Some(old) = cookie(request).and_then(|value| server.sessions.find(value, now_ms)) {
        server.sessions.end(&old);
    }
    let value = server.sessions.begin(caller, now_ms);
    let mut response = Response { status: 303, headers: headers(), body: Vec::new() };
    response.headers.push(("location", "/console".to_owned()));
    response.headers.push(set_cookie(request, peer, &value, ""));
    response
}

/// Whose the credentials are.
fn caller<S: Store>(server: &Server<S>, key: &str, form: &Form) -> Option<Caller> {
    let state = server.engine.state();
    let token = form.filled("token").map(str::trim);
    let known = authenticate(&state, server.engine.keyring(), server.engine.now_ms(), key, token);
    if let Auth::AcceptAny { aws, .. } = &server.auth {
        return Some(accepted(&state, aws, known.map(|(caller, _)| caller)));
    }
    let given = form.text("secret").trim();
    match known {
        Ok((caller, secret)) => equal(secret.expose(), given).then_some(caller),
        Err(_) => None,
    }
}
