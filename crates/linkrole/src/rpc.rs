//! One request of Alibaba Cloud's dialect: authenticated, taken once, run, answered.
//!
//! The counterpart of the AWS way in `server`. Not here: parsing and texts (`wire`), rules (`iam`).

use crate::server::{Auth, Peer, Server, accepted, on_this_wire};
use iam::caller::{self, Api, Caller, Once};
use iam::error::Error;
use iam::operations::Operation;
use iam::output::Output;
use iam::text::{AccountId, NonceDigest};
use policy::Dialect;
use serde_json::{Map, Value, json};
use store::{EntryQuery, Store};
use wire::alibaba::actiontrail::Lookup;
use wire::alibaba::fault::{Fault, fault};
use wire::alibaba::{self, Asked};
use wire::http::{Request, Response};
use wire::sign_acs::{self, Presented};

/// Entries of the trail read at most for one answer.
const TRAIL_SCAN: usize = 10_000;

impl<S: Store> Server<S> {
    /// Answers one request of this dialect.
    pub async fn rpc(&self, request: &Request, peer: &Peer, id: &str) -> Response {
        let asked = match Asked::of(request) {
            Ok(asked) => asked,
            Err(fault) => return alibaba::refusal(&fault, None, request, id),
        };
        match self.run_rpc(&asked, request, peer, id).await {
            Ok(response) => response,
            Err(fault) => alibaba::refusal(&fault, Some(&asked), request, id),
        }
    }

    async fn run_rpc(
        &self,
        asked: &Asked,
        request: &Request,
        peer: &Peer,
        id: &str,
    ) -> Result<Response, Fault> {
        let presented = asked.presented.as_ref().ok_or_else(|| Fault::missing("AccessKeyId"))?;
        let caller = self.authenticate_rpc(presented, asked, request)?;
        let state = self.engine.state();
        let told = |error: &Error| fault(Operation::GetCallerIdentity, error);
        let now_ms = self.engine.now_ms();
        let me = caller::resolve(&state, &caller, now_ms).map_err(|e| told(&e))?;
        let command = asked.command(me.account.as_ref())?;
        let lookup = asked.lookup(now_ms)?;
        let region = asked.parameters.get("RegionId").cloned().unwrap_or_default();
        self.note_use(&state, &caller, &region, asked.product.name());
        let operation = command.operation();
        let mut call = self.call(caller, command, request, peer, id);
        call.source.region = region;
        call.source.api = Some(Api {
            product: asked.product.name().to_owned(),
            version: asked.product.version().to_owned(),
            name: asked.action.to_owned(),
            host: asked.product.host().to_owned(),
        });
        if self.auth == Auth::Enforce {
            let digest = NonceDigest::parse(&presented.nonce_digest());
            let digest = digest.map_err(|_| Fault::internal())?;
            let until_ms = now_ms.saturating_add(sign_acs::NONCE_KEPT_S * 1_000);
            call.nonce = Some(Once { digest, until_ms });
        }
        let output = self.engine.call(call).await.map_err(|error| {
            self.log(id, &error);
            fault(operation, &error)
        })?;
        match (&output, lookup) {
            (Output::Trail { account: Some(account) }, Some(wanted)) => {
                let members = self.look_up(account, &wanted).await?;
                Ok(asked.success(members, id))
            }
            _ => Ok(asked.answer(&output, id)),
        }
    }

    /// Who signed a request, once the signature holds.
    fn authenticate_rpc(
        &self,
        presented: &Presented,
        asked: &Asked,
        request: &Request,
    ) -> Result<Caller, Fault> {
        let told = |error: &Error| fault(Operation::GetCallerIdentity, error);
        let token = presented.token.as_deref().filter(|token| !token.is_empty());
        if token.is_none() && presented.key_id.starts_with("STS.") {
            return Err(Fault::missing("SecurityToken"));
        }
        let state = self.engine.state();
        let known = caller::authenticate(
            &state,
            self.engine.keyring(),
            self.engine.now_ms(),
            &presented.key_id,
            token,
        );
        if let Auth::AcceptAny { alibaba, .. } = &self.auth {
            return Ok(accepted(&state, alibaba, known.map(|(caller, _)| caller)));
        }
        sign_acs::check_time(presented, self.engine.now_ms().div_euclid(1_000))?;
        match known {
            Ok((caller, secret)) => {
                sign_acs::verify(presented, request, &asked.parameters, secret.expose())?;
                on_this_wire(&state, &caller, Dialect::Alibaba).map_err(|e| told(&e))?;
                Ok(caller)
            }
            Err(error) => {
                // The same work as for a known key, so that time tells nothing.
                let _ = sign_acs::verify(presented, request, &asked.parameters, "");
                Err(told(&error))
            }
        }
    }

    /// The caller whose request of version 3 a linked service presents; that it was sent to this
    /// service is known by the host, which is signed.
    pub fn forwarded_rpc(
        &self,
        parts: &Request,
        body_sha256: &str,
    ) -> Result<Caller, wire::aws::fault::Fault> {
        let refused =
            |f: sign_acs::Fault| wire::aws::fault::Fault::new(f.code, 403, f.message.clone());
        let state = self.engine.state();
        let presented = sign_acs::present_forwarded(parts).map_err(refused)?;
        let known = caller::authenticate(
            &state,
            self.engine.keyring(),
            self.engine.now_ms(),
            &presented.key_id,
            presented.token.as_deref().filter(|token| !token.is_empty()),
        );
        if let Auth::AcceptAny { alibaba, .. } = &self.auth {
            return Ok(accepted(&state, alibaba, known.map(|(caller, _)| caller)));
        }
        let now_s = self.engine.now_ms().div_euclid(1_000);
        sign_acs::check_time(&presented, now_s).map_err(refused)?;
        let told = |error: &Error| wire::aws::fault::fault(error);
        let (caller, secret) = known.map_err(|error| told(&error))?;
        sign_acs::verify_forwarded(&presented, parts, body_sha256, secret.expose())
            .map_err(refused)?;
        on_this_wire(&state, &caller, Dialect::Alibaba).map_err(|error| told(&error))?;
        self.note_use(&state, &caller, "", "");
        Ok(caller)
    }

    /// A page of the trail of an account, with all that its answer says.
    async fn look_up(
        &self,
        account: &AccountId,
        wanted: &Lookup,
    ) -> Result<Map<String, Value>, Fault> {
        let keyring = self.engine.keyring();
        let bound = ["LookupEvents", account.as_str()];
        let mut from = match &wanted.token {
            None if wanted.is_forward => 0,
            None => u64::MAX,
            Some(token) => keyring
                .open_marker(token, &bound)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| Fault::incorrect("NextToken"))?,
        };
        let mut found: Vec<Value> = Vec::new();
        let mut next = None;
        let mut scanned = 0;
        'pages: loop {
            let query = EntryQuery { from, limit: 500, backwards: !wanted.is_forward };
            let page = self.engine.entries(&query).await.map_err(|why| {
                tracing::error!(why, "the trail was not read");
                Fault::internal()
            })?;
            for stored in &page.entries {
                scanned += 1;
                if found.len() == wanted.limit || scanned > TRAIL_SCAN {
                    next = Some(stored.position);
                    break 'pages;
                }
                let Ok(event) = serde_json::from_slice::<iam::audit::Event>(&stored.record) else {
                    continue;
                };
                if event.accounts.contains(account) && !is_ours(&event.operation) {
                    found.extend(wanted.shown(&event));
                }
            }
            match page.next {
                Some(at) => from = at,
                None => break,
            }
        }
        let time = |at_ms: i64| json!(wire::clock::iso_seconds(at_ms));
        let mut members = Map::new();
        members.insert("StartTime".to_owned(), time(wanted.start_ms));
        members.insert("EndTime".to_owned(), time(wanted.end_ms));
        members.insert("Events".to_owned(), Value::Array(found));
        if let Some(position) = next {
            let marker = keyring.seal_marker(&position.to_string(), &bound);
            members.insert("NextToken".to_owned(), json!(marker));
        }
        Ok(members)
    }
}

/// Work of the server itself, which no account asked for.
fn is_ours(operation: &str) -> bool {
    let own = [Operation::RecordUse, Operation::Sweep, Operation::StepDeletion];
    own.iter().any(|o| o.facts().name == operation)
}
