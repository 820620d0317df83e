//! One request: found its dialect, authenticated, run, answered. The edge between bytes and `iam`.
//!
//! Not here: sockets and time limits (`listener`), parsing and texts (`wire`), rules (`iam`).

use crate::console::{self, Sessions};
use crate::engine::{Engine, is_known};
use crate::inject::Inject;
use crate::issuers::Issuers;
use crate::look_up::look_up;
use iam::audit::Event;
use iam::caller::{self, Call, Caller, MadeFor, Refusal, Source};
use iam::command::Command;
use iam::error::Error;
use iam::output::Output;
use iam::rows::Row;
use iam::state::State;
use iam::text::{AccountId, KeyId};
use policy::{Dialect, name};
use std::sync::Arc;
use store::Store;
use wire::alibaba;
use wire::aws::{self, Query, cloudtrail, fault::Fault};
use wire::description;
use wire::http::{Request, Response};
use wire::native::{self, Forwarded, TrailQuery};
use wire::sign_acs;
use wire::sign_v4::{self, Carrier, Presented};
use wire::trail::native_search;

/// How credentials are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Only real ones.
    Enforce,
    /// Any well-formed request is the built-in administrator's of the account of its dialect.
    AcceptAny {
        /// The account of requests in the AWS dialect, and in the native one.
        aws: AccountId,
        /// The account of requests in the Alibaba dialect.
        alibaba: AccountId,
    },
}

/// Where a request came in.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address; the operator's socket has none.
    pub ip: Option<std::net::IpAddr>,
    /// Whether it came by the operator's own socket.
    pub operator: bool,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The certificate that the client showed, which one of the clients' authorities vouches for.
    pub certificate: Option<Arc<[u8]>>,
}

/// The server behind its listeners.
pub struct Server<S> {
    /// The state.
    pub engine: Arc<Engine<S>>,
    /// How credentials are taken.
    pub auth: Auth,
    /// The keys of providers of identities.
    pub issuers: Issuers,
    /// What a reset leaves; only `dev` has one.
    pub reset: Option<Vec<Row>>,
    /// Faults that are shown on demand; only `dev` has any.
    pub inject: Inject,
    /// Who is signed in at the console.
    pub sessions: Sessions,
}

/// Entries of the trail in one answer unless the reader says otherwise, and at most.
const TRAIL_PAGE: (usize, usize) = (50, 1_000);

impl<S: Store> Server<S> {
    /// Answers one request.
    pub async fn respond(&self, request: Request, peer: &Peer) -> Response {
        let id = crate::clock::uuid();
        match request.path.as_str() {
            "/livez" => plain(200, "ok\n"),
            "/readyz" if self.engine.is_sound() => plain(200, "ok\n"),
            "/readyz" => plain(503, "the store is in doubt; restart to reload it\n"),
            "/_linkrole/reset" => self.reset(&request).await,
            path if console::is_ours(path) && !peer.operator => {
                self.console(&request, peer, &id).await
            }
            path if native::is_native(path) => self.native(&request, peer, &id).await,
            "/" if !peer.operator && alibaba::is_ours(&request) => {
                self.rpc(&request, peer, &id).await
            }
            "/" if !peer.operator && cloudtrail::is_ours(&request) => {
                self.cloudtrail(&request, peer, &id).await
            }
            "/" if !peer.operator => self.query(&request, peer, &id).await,
            _ => plain(404, "there is nothing here\n"),
        }
    }

    async fn query(&self, request: &Request, peer: &Peer, id: &str) -> Response {
        let query = match Query::of(request) {
            Ok(query) => query,
            Err(fault) => return aws::refusal(&fault, None, id),
        };
        match self.run_query(&query, request, peer, id).await {
            Ok(output) => query.answer(&output, id),
            Err(fault) => aws::refusal(&fault, Some(&query), id),
        }
    }

    async fn run_query(
        &self,
        query: &Query,
        request: &Request,
        peer: &Peer,
        id: &str,
    ) -> Result<Output, Fault> {
        if self.inject.is_throttled() {
            return Err(Fault::new("Throttling", 400, "Rate exceeded"));
        }
        let presented = sign_v4::present(request)?.ok_or_else(sign_v4::Fault::missing_token)?;
        if matches!(presented.carrier, Carrier::Query) && !query.allows_presigned() {
            let text = "Only GetCallerIdentity can be asked with a presigned URL.";
            return Err(Fault::new("AccessDenied", 403, text));
        }
        let caller = self.authenticate(&presented, request, &[query.signing_name()])?;
        // What does not read is kept, too: that it was tried is what the trail is asked about.
        let (command, wrong) = match query.command() {
            Ok(command) => (command, None),
            Err(fault) => (Command::Unread(query.operation()), Some(fault)),
        };
        let mut call = self.call(caller, command, request, peer, id);
        self.seen(&mut call, &presented, request);
        self.check_wire(&call, Dialect::Aws, wrong).await?;
        self.run(call).await.map_err(|e| self.told(id, &e, query.fault(&e)))
    }

    async fn cloudtrail(&self, request: &Request, peer: &Peer, id: &str) -> Response {
        match self.run_cloudtrail(request, peer, id).await {
            Ok(response) => response,
            Err(fault) => cloudtrail::refusal(&fault, id),
        }
    }

    async fn run_cloudtrail(
        &self,
        request: &Request,
        peer: &Peer,
        id: &str,
    ) -> Result<Response, Fault> {
        if self.inject.is_throttled() {
            return Err(Fault::new("Throttling", 400, "Rate exceeded"));
        }
        let presented = sign_v4::present(request)?.ok_or_else(sign_v4::Fault::missing_token)?;
        if matches!(presented.carrier, Carrier::Query) {
            let text = "A look-up cannot be asked with a presigned URL.";
            return Err(Fault::new("AccessDenied", 403, text));
        }
        let names = [cloudtrail::SIGNING_NAME];
        let caller = self.authenticate(&presented, request, &names)?;
        let command = cloudtrail::command(request)?;
        // Events do not come before the last that was seen, even where the clock went back.
        let now_ms = self.engine.now_ms().max(self.engine.state().clock_ms());
        let wanted = cloudtrail::lookup(request, now_ms);
        let from = wanted.as_ref().map_err(Clone::clone).and_then(|w| self.place(&caller, w));
        let mut call = self.call(caller, command, request, peer, id);
        self.seen(&mut call, &presented, request);
        self.check_wire(&call, Dialect::Aws, from.as_ref().err().cloned()).await?;
        let output = self.run(call).await.map_err(|e| self.told(id, &e, cloudtrail::fault(&e)))?;
        let Output::Trail { account: Some(account) } = output else {
            return Err(Fault::internal());
        };
        let (wanted, from) = (wanted?, from?);
        let page = look_up(&self.engine, Some(&account), &wanted.search, from, |_, event| {
            wanted.shown(&account, event)
        });
        let found = page.await.map_err(|why| {
            tracing::error!(why, "the trail was not read");
            Fault::internal()
        })?;
        let facets = format!("{:?}", wanted.search.facets);
        let bound = ["CloudTrail", account.as_str(), &facets];
        let seal = |at: u64| self.engine.keyring().seal_marker(&at.to_string(), &bound);
        let next = found.next.map(seal);
        Ok(cloudtrail::answer(&found.entries, next.as_deref(), id))
    }

    /// Where a look-up goes on, by its token: one of the caller's own account, for the same look-up.
    fn place(&self, caller: &Caller, wanted: &cloudtrail::Lookup) -> Result<Option<u64>, Fault> {
        let Some(token) = &wanted.token else { return Ok(None) };
        let identity = caller::resolve(&self.engine.state(), caller, self.engine.now_ms());
        let account = identity.ok().and_then(|me| me.account.clone());
        let account = account.ok_or_else(cloudtrail::wrong_token)?;
        let facets = format!("{:?}", wanted.search.facets);
        let bound = ["CloudTrail", account.as_str(), &facets];
        let opened = self.engine.keyring().open_marker(token, &bound).ok();
        opened.and_then(|text| text.parse().ok()).map(Some).ok_or_else(cloudtrail::wrong_token)
    }

    /// Whether a caller is one of this wire, and whether the request reads.
    ///
    /// Errors: the fault, once it is in the trail.
    async fn check_wire(
        &self,
        call: &Call,
        wire: Dialect,
        wrong: Option<Fault>,
    ) -> Result<(), Fault> {
        let of_wire = match &self.auth {
            Auth::Enforce => on_this_wire(&self.engine.state(), &call.caller, wire),
            Auth::AcceptAny { .. } => Ok(()),
        };
        let wrong = of_wire.err().map(|e| aws::fault::fault(&e)).or(wrong);
        match wrong {
            None => Ok(()),
            Some(fault) => Err(self.refuse(call.clone(), fault).await),
        }
    }

    /// Keeps what a known caller is refused before there is anything to run; answers with what to tell him.
    async fn refuse(&self, call: Call, fault: Fault) -> Fault {
        let denied = fault.status == 403;
        let id = call.request_id.clone();
        match self.keep_refusal(call, fault.code, &fault.message, denied).await {
            Ok(()) => fault,
            Err(error) => self.told(&id, &error, aws::fault::fault(&error)),
        }
    }

    /// Keeps a refusal.
    ///
    /// Errors: it was not kept, or something else came first.
    pub async fn keep_refusal(
        &self,
        call: Call,
        code: &str,
        message: &str,
        denied: bool,
    ) -> Result<(), Error> {
        if !is_known(&call.caller) {
            return Ok(());
        }
        let refusal = Refusal { denied, code: code.to_owned(), message: message.to_owned() };
        match self.engine.call(Call { refusal: Some(refusal), ..call }).await {
            Ok(_) | Err(Error::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Runs a call, with the faults that are to be shown.
    pub async fn run(&self, call: Call) -> Result<Output, Error> {
        let state = self.engine.state();
        if let Some(error) = self.inject.too_early(&state, &call, self.engine.now_ms()) {
            let told = wire::trail::told(&call, None, &error);
            self.keep_refusal(call, &told.code, &told.message, true).await?;
            return Err(error);
        }
        self.engine.call(call).await.map(|output| self.inject.shown(output))
    }

    async fn native(&self, request: &Request, peer: &Peer, id: &str) -> Response {
        // Before any authentication: what the API is, is no secret.
        if let Some(document) = description::answer(request, id) {
            return document;
        }
        match self.run_native(request, peer, id).await {
            Ok(response) => response,
            Err(fault) => native::refusal(&fault, id),
        }
    }

    async fn run_native(
        &self,
        request: &Request,
        peer: &Peer,
        id: &str,
    ) -> Result<Response, Fault> {
        if !peer.operator && self.inject.is_throttled() {
            return Err(Fault::new("Throttling", 400, "Rate exceeded"));
        }
        let presented = sign_v4::present(request)?;
        let caller = match &presented {
            Some(p) if matches!(p.carrier, Carrier::Query) => {
                let text = "A presigned URL is not taken here; sign the request in its headers.";
                return Err(Fault::new("AccessDenied", 403, text));
            }
            // It belongs to no cloud: accounts of both dialects call it.
            Some(p) => self.authenticate(p, request, &native::SIGNING_NAMES)?,
            None if peer.operator => Caller::Operator,
            None => Caller::Anonymous,
        };
        let decoded = match native::decode(request) {
            Ok(decoded) => decoded,
            Err(fault) => {
                return Err(self
                    .unread(caller, presented.as_ref(), fault, request, peer, id)
                    .await);
            }
        };
        let caller = match (caller, &decoded.command) {
            (Caller::Anonymous, Command::CreateServiceSession { service }) => {
                self.workload(service, decoded.token.as_ref(), peer).await?
            }
            (caller, _) => caller,
        };
        let enrols = matches!(decoded.command, Command::RegisterService { .. });
        if caller == Caller::Anonymous && !enrols {
            return Err(sign_v4::Fault::missing_token().into());
        }
        let mut call = self.call(caller, decoded.command, request, peer, id);
        if let Some(presented) = &presented {
            self.seen(&mut call, presented, request);
        }
        if let Some(forwarded) = &decoded.forwarded {
            match self.forwarded(&call.caller, forwarded) {
                Ok((caller, region)) => {
                    call.on_behalf = Some(caller);
                    call.source.region = region;
                }
                Err(fault) => return Err(self.refuse(call, fault).await),
            }
            if let Err(fault) = self.name_account(&mut call) {
                return Err(self.refuse(call, fault).await);
            }
        }
        let both = |wanted: &TrailQuery| wanted.before.is_some() && wanted.after.is_some();
        if decoded.trail.as_ref().is_some_and(both) {
            let text = "Give `before` or `after`, not both.";
            return Err(self.refuse(call, Fault::new("ValidationError", 400, text)).await);
        }
        let told = |e: Error| self.told(id, &e, native::fault_of(&e));
        match (self.run(call).await.map_err(told)?, decoded.trail) {
            (Output::Trail { account }, Some(wanted)) => {
                let (entries, next) = self.trail(account.as_ref(), &wanted).await?;
                Ok(native::trail(account.as_ref(), &entries, next, id))
            }
            (output, _) => Ok(native::answer(&output, id)),
        }
    }

    /// Puts the caller's account into the name of a resource that leaves it open, so that a service
    /// need not know the account before it asks.
    fn name_account(&self, call: &mut Call) -> Result<(), Fault> {
        let (Command::AuthorizeRequest(question), Some(caller)) =
            (&mut call.command, &call.on_behalf)
        else {
            return Ok(());
        };
        let Some(resource) = &question.resource else { return Ok(()) };
        if name::account_of(resource) != Some(name::OWN_ACCOUNT) {
            return Ok(());
        }
        let state = self.engine.state();
        let identity = caller::resolve(&state, caller, self.engine.now_ms());
        let identity = identity.map_err(|e| aws::fault::fault(&e))?;
        let Some(account) = &identity.account else {
            let text = "The caller has no account, so no resource is its own.";
            return Err(Fault::new("AccessDenied", 403, text));
        };
        question.resource = name::of_account(resource, account.as_str());
        Ok(())
    }

    /// Keeps that a request of this dialect does not read.
    async fn unread(
        &self,
        caller: Caller,
        presented: Option<&Presented>,
        fault: Fault,
        request: &Request,
        peer: &Peer,
        id: &str,
    ) -> Fault {
        let Some(operation) = native::operation(&request.path) else { return fault };
        let mut call = self.call(caller, Command::Unread(operation), request, peer, id);
        if let Some(presented) = presented {
            self.seen(&mut call, presented, request);
        }
        self.refuse(call, fault).await
    }

    /// Who signed a request, once the signature holds. [src: AWS.md 4.4]
    fn authenticate(
        &self,
        presented: &Presented,
        request: &Request,
        services: &[&str],
    ) -> Result<Caller, Fault> {
        sign_v4::check_scope(presented, services)?;
        let state = self.engine.state();
        let known = self.known_caller(&state, presented);
        if let Auth::AcceptAny { aws: account, .. } = &self.auth {
            return Ok(accepted(&state, account, known.map(|(caller, _)| caller)));
        }
        sign_v4::check_time(presented, self.engine.now_ms().div_euclid(1_000))?;
        match known {
            Ok((caller, secret)) => {
                let key = signing_key(presented, secret.expose());
                sign_v4::verify(presented, request, &key)?;
                Ok(caller)
            }
            Err(error) => {
                // The same work as for a known key, so that time tells nothing.
                let _ = sign_v4::verify(presented, request, &sign_v4::dummy_key());
                Err(aws::fault::fault(&error))
            }
        }
    }

    fn known_caller(
        &self,
        state: &State,
        presented: &Presented,
    ) -> Result<(Caller, iam::seal::Secret), Error> {
        let token = presented.token.as_deref();
        caller::authenticate(
            state,
            self.engine.keyring(),
            self.engine.now_ms(),
            &presented.key_id,
            token,
        )
    }

    /// The caller whose request a linked service presents: signed for this very service, at one of
    /// its hosts, and of late; and the region it was signed for.
    fn forwarded(
        &self,
        service: &Caller,
        forwarded: &Forwarded,
    ) -> Result<(Caller, String), Fault> {
        let state = self.engine.state();
        let identity = caller::resolve(&state, service, self.engine.now_ms())
            .map_err(|e| aws::fault::fault(&e))?;
        let Some(service) = identity.service() else {
            let text = "Only a linked service presents a request that it received.";
            return Err(Fault::new("AccessDenied", 403, text));
        };
        let parts = Request {
            method: forwarded.method.clone(),
            path: forwarded.path.clone(),
            query: forwarded.query.clone(),
            headers: forwarded
                .headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                .collect(),
            body: Vec::new(),
        };
        let host = parts.header("host").unwrap_or_default();
        if !service.hosts.contains(host) {
            let text = format!(
                "The request was sent to `{host}`, which is no host of {}; nobody presents a request that was sent to another.",
                service.name
            );
            return Err(Fault::new("AccessDenied", 403, text));
        }
        if sign_acs::is_v3(&parts) {
            let caller = self.forwarded_rpc(&parts, &forwarded.body_sha256)?;
            return Ok((caller, String::new()));
        }
        let presented = sign_v4::present(&parts)?.ok_or_else(sign_v4::Fault::missing_token)?;
        if matches!(presented.carrier, Carrier::Query) {
            let text = "A presigned URL proves no caller here.";
            return Err(Fault::new("AccessDenied", 403, text));
        }
        let names: Vec<&str> = service.signing_names.iter().map(String::as_str).collect();
        sign_v4::check_scope(&presented, &names)?;
        let known = self.known_caller(&state, &presented);
        if let Auth::AcceptAny { aws: account, .. } = &self.auth {
            let caller = accepted(&state, account, known.map(|(caller, _)| caller));
            return Ok((caller, presented.region.clone()));
        }
        sign_v4::check_time(&presented, self.engine.now_ms().div_euclid(1_000))?;
        let (caller, secret) = known.map_err(|e| aws::fault::fault(&e))?;
        let key = signing_key(&presented, secret.expose());
        sign_v4::verify_forwarded(
            &presented,
            &parts.method,
            &parts.path,
            &parts.query,
            &parts.headers,
            &forwarded.body_sha256,
            &key,
        )?;
        on_this_wire(&state, &caller, Dialect::Aws).map_err(|e| aws::fault::fault(&e))?;
        Ok((caller, presented.region.clone()))
    }

    /// Notes what the scope of a signature tells, and what is signed of whom the call is for.
    fn seen(&self, call: &mut Call, presented: &Presented, request: &Request) {
        // Headers of this class do not come unsigned; what is longer is the name of nothing.
        let word =
            |name: &str| request.header(name).filter(|t| t.len() <= 2_048).map(str::to_owned);
        call.source.made_for =
            MadeFor { account: word("x-amz-source-account"), arn: word("x-amz-source-arn") };
        call.source.region.clone_from(&presented.region);
    }

    /// A call that came in here.
    pub fn call(
        &self,
        caller: Caller,
        command: Command,
        request: &Request,
        peer: &Peer,
        id: &str,
    ) -> Call {
        let agent = request.header("user-agent").unwrap_or_default();
        Call {
            caller,
            on_behalf: None,
            nonce: None,
            refusal: None,
            command,
            source: Source {
                ip: peer.ip.map(|ip| ip.to_canonical().to_string()).unwrap_or_default(),
                user_agent: agent.chars().filter(|c| !c.is_control()).take(512).collect(),
                region: String::new(),
                tls: peer.tls,
                console: false,
                made_for: MadeFor::default(),
                api: None,
            },
            request_id: id.to_owned(),
        }
    }

    /// Writes what a caller is not told into the log.
    fn told(&self, id: &str, error: &Error, fault: Fault) -> Fault {
        self.log(id, error);
        fault
    }

    /// Writes a fault of ours into the log.
    pub fn log(&self, id: &str, error: &Error) {
        if let Error::Internal(why) = error {
            tracing::error!(request = id, why, "a request failed");
        }
    }

    /// Entries of the trail of one account or of all, newest first unless asked otherwise.
    async fn trail(
        &self,
        account: Option<&AccountId>,
        wanted: &TrailQuery,
    ) -> Result<(Vec<serde_json::Value>, Option<u64>), Fault> {
        let limit = wanted.limit.unwrap_or(TRAIL_PAGE.0).clamp(1, TRAIL_PAGE.1);
        let search = native_search(wanted, limit);
        let from = match (wanted.after, wanted.before) {
            (Some(after), _) => Some(after.saturating_add(1)),
            (None, Some(0)) => return Ok((Vec::new(), None)),
            (None, Some(before)) => Some(before.saturating_sub(1)),
            (None, None) => None,
        };
        let page = look_up(&self.engine, account, &search, from, |stored, event| {
            search.wants(event).then(|| shown(stored, event))?
        });
        let found = page.await.map_err(|why| {
            tracing::error!(why, "the trail was not read");
            Fault::internal()
        })?;
        // The reader gives it back as `before`, or as `after`, which exclude it.
        let next = found.next.map(|at| match search.is_forward {
            true => at.saturating_sub(1),
            false => at.saturating_add(1),
        });
        Ok((found.entries, next))
    }

    async fn reset(&self, request: &Request) -> Response {
        let Some(rows) = &self.reset else { return plain(404, "there is nothing here\n") };
        // A page in a browser must not be able to do this.
        if request.method != "POST" || request.headers_named("origin").next().is_some() {
            return plain(405, "expected a POST that no web page sent\n");
        }
        match self.engine.reset(rows.clone()).await {
            Ok(()) => plain(200, "reset\n"),
            Err(why) => plain(500, &format!("{why}\n")),
        }
    }
}

/// An entry as a reader sees it.
fn shown(stored: &store::StoredEntry, event: &Event) -> Option<serde_json::Value> {
    let mut value = serde_json::to_value(event).ok()?;
    let object = value.as_object_mut()?;
    object.insert("position".into(), stored.position.into());
    object.insert("time".into(), wire::clock::iso_seconds(event.at_ms).into());
    Some(value)
}

fn signing_key(presented: &Presented, secret: &str) -> sign_v4::SigningKey {
    sign_v4::signing_key(secret, &presented.date, &presented.region, &presented.service)
}

/// Of a `dev` that accepts anything: a service and a session stay who they are, since rules about
/// them hold; everybody else is the built-in administrator.
pub fn accepted(state: &State, account: &AccountId, known: Result<Caller, Error>) -> Caller {
    match known {
        Ok(caller @ Caller::Session(_)) => caller,
        Ok(Caller::Key(key)) if is_service_key(state, &key) => Caller::Key(key),
        _ => Caller::Builtin(account.clone()),
    }
}

fn is_service_key(state: &State, key: &KeyId) -> bool {
    state.key(key).is_some_and(|row| matches!(row.owner, iam::rows::KeyOwner::Service(_)))
}

/// A key of an account of another dialect is unknown on this wire.
pub fn on_this_wire(state: &State, caller: &Caller, wire: Dialect) -> Result<(), Error> {
    let identity = caller::resolve(state, caller, state.clock_ms())?;
    let home = identity.account.as_ref().and_then(|account| caller::dialect(state, account));
    if home.is_some_and(|dialect| dialect != wire) {
        return Err(Error::InvalidCredentials);
    }
    Ok(())
}

fn plain(status: u16, text: &str) -> Response {
    Response {
        status,
        headers: vec![("content-type", "text/plain; charset=utf-8".to_owned())],
        body: text.as_bytes().to_vec(),
    }
}
