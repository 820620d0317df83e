//! Signing in: with an access key, or with a session's credentials.

use super::assets::{SCRIPT, STYLE};
use super::page::{Form, encoded, headers, page, see};
use crate::server::{Auth, Peer, Server, accepted, on_this_wire};
use askama::Template;
use iam::caller::{Caller, authenticate};
use iam::command::Command;
use iam::seal::equal;
use policy::Dialect;
use store::Store;
use wire::http::{Request, Response};

/// The cookie over TLS: one that no other host or path can set.
const COOKIE: &str = "__Host-linkrole";

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct SignIn<'a> {
    wrong: &'a str,
    key: &'a str,
    next: &'a str,
}

impl SignIn<'_> {
    fn style(&self) -> &'static str {
        &STYLE.path
    }
    fn script(&self) -> &'static str {
        &SCRIPT.path
    }
}

/// A way on for who came from elsewhere: browsers keep the cookie to themselves on the way here.
#[derive(Template)]
#[template(path = "console/continue.html")]
struct Continue<'a> {
    place: &'a str,
}

/// The value of this console's cookie, and of no other that somebody may have set beside it.
pub fn cookie(request: &Request, peer: &Peer) -> Option<String> {
    let name = cookie_name(request, peer);
    let all = request.headers_named("cookie").flat_map(|line| line.split(';'));
    let mut pairs = all.filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

/// Whether the browser speaks TLS, to us or to a proxy before us that says so. Who lies about it only hides the
/// cookie from himself.
fn is_encrypted(request: &Request, peer: &Peer) -> bool {
    peer.tls || request.header("x-forwarded-proto") == Some("https")
}

/// Without TLS the name has the port in it, since to cookies all ports of a host are one.
fn cookie_name(request: &Request, peer: &Peer) -> String {
    if is_encrypted(request, peer) {
        return COOKIE.to_owned();
    }
    let host = request.header("host").unwrap_or_default();
    let port = host.rsplit_once(':').map(|(_, port)| port);
    let port = port.filter(|port| port.len() < 6 && port.bytes().all(|b| b.is_ascii_digit()));
    format!("linkrole-{}", port.unwrap_or("80"))
}

fn set_cookie(request: &Request, peer: &Peer, value: &str, more: &str) -> (&'static str, String) {
    let name = cookie_name(request, peer);
    let secure = if is_encrypted(request, peer) { "; Secure" } else { "" };
    ("set-cookie", format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}"))
}

/// Takes the cookie away, which is worth nothing any more, and asks to sign in.
pub fn again(request: &Request, peer: &Peer) -> Response {
    let mut response = see("/console/sign-in");
    response.headers.push(set_cookie(request, peer, "", "; Max-Age=0"));
    response
}

/// Asks to sign in, for where somebody wanted to go. Who comes by a link from elsewhere may well be signed in: the
/// browser only did not say so.
pub fn first(request: &Request, peer: &Peer) -> Response {
    if cookie(request, peer).is_some() {
        return again(request, peer);
    }
    let place = match request.query.as_str() {
        "" => request.path.clone(),
        query => format!("{}?{query}", request.path),
    };
    if request.method != "GET" {
        return see("/console/sign-in");
    }
    match request.header("sec-fetch-site") {
        Some("cross-site" | "same-site") => page(200, &Continue { place: &place }),
        _ if request.path.trim_end_matches('/') == super::HOME => see("/console/sign-in"),
        _ => see(&format!("/console/sign-in?next={}", encoded(&place))),
    }
}

/// Where to go once signed in: somewhere in the console.
fn next(form: &Form) -> &str {
    let wanted = form.text("next");
    let path = wanted.split('?').next().unwrap_or_default();
    let is_plain = wanted.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'\\');
    if super::is_ours(path) && is_plain { wanted } else { super::HOME }
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
    let refuse = |status, wrong: &str| page(status, &SignIn { wrong, key, next: next(form) });
    if !posted {
        return refuse(200, "");
    }
    let now_ms = server.engine.now_ms();
    let Some(caller) = caller(server, key, form) else {
        if !server.sessions.may_try(peer.ip, now_ms) {
            let wrong = "There were too many attempts from here. Try again in a minute.";
            let mut response = refuse(429, wrong);
            response.headers.push(("retry-after", "60".to_owned()));
            return response;
        }
        server.sessions.failed(peer.ip, now_ms);
        return refuse(403, "These are no credentials of an account here, or they are not active.");
    };
    let mut call = server.call(caller.clone(), Command::ConsoleLogin, request, peer, id);
    call.source.console = true;
    match server.run(call).await {
        Ok(_) => {}
        Err(error) if error.is_denial() => {
            let wrong = "The console is for users, roles and the root of an account; a linked service has none.";
            return refuse(403, wrong);
        }
        Err(error) => {
            server.log(id, &error);
            return refuse(
                500,
                "Nobody can sign in at the moment: the server cannot write its trail.",
            );
        }
    }
    // Who was signed in under this browser's cookie is so no more.
    let old = cookie(request, peer).and_then(|value| server.sessions.find(&value, now_ms, true));
    if let Some(old) = old {
        server.sessions.end(&old);
    }
    let value = server.sessions.begin(caller, now_ms);
    let mut response = Response { status: 303, headers: headers(), body: Vec::new() };
    response.headers.push(("location", next(form).to_owned()));
    response.headers.push(set_cookie(request, peer, &value, ""));
    response
}

/// Whose the credentials are.
fn caller<S: Store>(server: &Server<S>, key: &str, form: &Form) -> Option<Caller> {
    let state = server.engine.state();
    let token = form.filled("token").map(str::trim);
    let known = authenticate(&state, server.engine.keyring(), server.engine.now_ms(), key, token);
    if let Auth::AcceptAny { aws, alibaba } = &server.auth {
        let of_alibaba =
            |found: &(Caller, _)| on_this_wire(&state, &found.0, Dialect::Aws).is_err();
        let account = if known.as_ref().is_ok_and(of_alibaba) { alibaba } else { aws };
        return Some(accepted(&state, account, known.map(|(caller, _)| caller)));
    }
    let given = form.text("secret").trim();
    match known {
        Ok((caller, secret)) if equal(secret.expose(), given) => Some(caller),
        Ok(_) => {
            tracing::warn!(key, "somebody tried to sign in at the console with a wrong secret");
            None
        }
        Err(_) => None,
    }
}
