//! One request of Alibaba Cloud's dialect: authenticated, taken once, run, answered.
//!
//! The counterpart of the AWS way in `server`. Not here: parsing and texts (`wire`), rules (`iam`).

use crate::issuers::{At, Published};
use crate::jwt::{KeySet, Token, Wrong};
use crate::look_up::look_up;
use crate::server::{Auth, Peer, Server, accepted, on_this_wire};
use iam::caller::{self, Api, Call, Caller, Once, WebToken};
use iam::command::Command;
use iam::error::Error;
use iam::operations::Operation;
use iam::output::Output;
use iam::text::{AccountId, NonceDigest};
use policy::Dialect;
use serde_json::{Map, Value, json};
use store::Store;
use wire::alibaba::actiontrail::Lookup;
use wire::alibaba::fault::{Fault, UNFIT, fault, refused_token, token_fault, wrong_token};
use wire::alibaba::{self, Asked, Home};
use wire::http::{Request, Response};
use wire::sign_acs::{self, Presented};

/// A request that reads.
struct Read {
    /// The caller's account.
    home: Option<Home>,
    command: Command,
    /// What the trail is asked, and from which position on.
    lookup: Option<(Lookup, Option<u64>)>,
}

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
        if self.inject.is_throttled() {
            return Err(Fault::throttled());
        }
        let (caller, nonce) = if asked.is_by_token() {
            (self.authenticate_token(asked).await?, None)
        } else {
            let presented =
                asked.presented.as_ref().ok_or_else(|| Fault::missing("AccessKeyId"))?;
            (self.authenticate_rpc(presented, asked, request)?, Some(presented.nonce_digest()))
        };
        let read = self.read_rpc(asked, &caller);
        let command = match (&read, asked.operation()) {
            (Ok(read), _) => read.command.clone(),
            // What does not read is kept, too: that it was tried is what the trail is asked about.
            (Err(_), Some(operation)) => Command::Unread(operation),
            (Err(fault), None) => return Err(fault.clone()),
        };
        let operation = command.operation();
        let mut call = self.call(caller, command, request, peer, id);
        call.source.region = asked.parameters.get("RegionId").cloned().unwrap_or_default();
        call.source.api = Some(Api {
            product: asked.product.name().to_owned(),
            version: asked.product.version().to_owned(),
            name: asked.action.to_owned(),
            host: asked.product.host().to_owned(),
        });
        if self.auth == Auth::Enforce
            && let Some(digest) = nonce
        {
            let digest = NonceDigest::parse(&digest);
            let digest = digest.map_err(|_| Fault::internal())?;
            let until_ms = self.engine.now_ms().saturating_add(sign_acs::NONCE_KEPT_S * 1_000);
            call.nonce = Some(Once { digest, until_ms });
        }
        let Read { home, lookup, .. } = match read {
            Ok(read) => read,
            Err(wrong) => return Err(self.refuse_rpc(call, operation, wrong).await),
        };
        let caller = call.caller.clone();
        let output = self.run(call).await.map_err(|error| {
            self.log(id, &error);
            let mut found = match caller {
                Caller::Federated(_) => token_fault(&error),
                _ => fault(operation, &error),
            };
            if let (Some(denial), Some(home)) = (&mut found.denial, &home) {
                let place = iam::authorize::diagnosis_place(&home.account);
                let text = denial.diagnosis.to_string();
                denial.encoded = self.engine.keyring().seal_marker(&text, &place);
            }
            found
        })?;
        if let Caller::Federated(token) = &caller {
            return Ok(asked.answer_by_token(&output, token, id));
        }
        match (&output, lookup) {
            (Output::Trail { account: Some(account) }, Some((wanted, from))) => {
                let members = self.look_up(account, &wanted, from).await?;
                Ok(asked.success(members, id))
            }
            _ => Ok(asked.answer(&output, home.as_ref(), id)),
        }
    }

    /// What a caller whose signature holds asks for.
    ///
    /// Errors: it is none of this wire's, or its request does not read.
    fn read_rpc(&self, asked: &Asked, caller: &Caller) -> Result<Read, Fault> {
        let told = |error: Error| fault(Operation::GetCallerIdentity, &error);
        let (state, now_ms) = (self.engine.state(), self.engine.now_ms());
        if self.auth == Auth::Enforce {
            on_this_wire(&state, caller, Dialect::Alibaba).map_err(told)?;
        }
        let me = caller::resolve(&state, caller, now_ms).map_err(told)?;
        let home = me.account.clone().map(|account| Home {
            alias: state.account(&account).and_then(|row| row.alias.clone()),
            account,
        });
        let command = asked.command(home.as_ref())?;
        // Events do not come before the last that was seen, even where the clock went back.
        let lookup = match asked.lookup(now_ms.max(state.clock_ms()))? {
            Some(wanted) => {
                let from = self.place_rpc(&wanted, home.as_ref())?;
                Some((wanted, from))
            }
            None => None,
        };
        Ok(Read { home, command, lookup })
    }

    /// Keeps what a known caller is refused before there is anything to run; answers with what to tell him.
    async fn refuse_rpc(&self, call: Call, operation: Operation, wrong: Fault) -> Fault {
        // A key of another dialect's account is told that it is none.
        let denied = wrong.status == 403 || wrong.code.starts_with("InvalidAccessKeyId");
        let id = call.request_id.clone();
        match self.keep_refusal(call, &wrong.code, &wrong.message, denied).await {
            Ok(()) => wrong,
            Err(error) => {
                self.log(&id, &error);
                fault(operation, &error)
            }
        }
    }

    /// Where a look-up goes on, by its token: one of the caller's own account.
    fn place_rpc(&self, wanted: &Lookup, home: Option<&Home>) -> Result<Option<u64>, Fault> {
        let Some(token) = &wanted.token else { return Ok(None) };
        let bound = ["LookupEvents", home.map_or("", |home| home.account.as_str())];
        let opened = self.engine.keyring().open_marker(token, &bound).ok();
        let place = opened.and_then(|text| text.parse().ok());
        place.map(Some).ok_or_else(|| Fault::incorrect("NextToken"))
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
                Ok(caller)
            }
            Err(error) => {
                // The same work as for a known key, so that time tells nothing.
                let _ = sign_acs::verify(presented, request, &asked.parameters, "");
                Err(told(&error))
            }
        }
    }

    /// Who holds a token, once its signature holds. [src: ALIBABA.md 4.4]
    ///
    /// Of a provider that is not there a stranger learns nothing: the answer is that of a role that does not trust.
    async fn authenticate_token(&self, asked: &Asked) -> Result<Caller, Fault> {
        let by_token = asked.by_token()?;
        let state = self.engine.state();
        let provider = state.oidc_provider(&by_token.account, &by_token.provider.folded()).cloned();
        let is_ours = |row: &std::sync::Arc<iam::rows::OidcProvider>| {
            caller::dialect(&state, &row.account) == Some(Dialect::Alibaba)
        };
        let provider = provider.filter(is_ours).ok_or_else(refused_token)?;
        let token = Token::parse(&by_token.token).map_err(told_token)?;
        let wanted = |keys: &KeySet| token.is_known(keys);
        let now_ms = self.engine.now_ms();
        let published = Published {
            at: At::Issuer(provider.issuer.as_str()),
            pins: provider.fingerprints.iter().map(|f| f.as_str()).collect(),
        };
        let keys = self.issuers.keys(&published, now_ms, wanted).await;
        let claims = token.verify(&keys).map_err(told_token)?;
        let latest_s = now_ms / 1_000 + caller::WEB_TOKEN_GRACE_S;
        if claims.not_before_s.is_some_and(|at| at > latest_s) {
            return Err(wrong_token(UNFIT));
        }
        let token = WebToken {
            account: provider.account.clone(),
            provider: provider.name.clone(),
            issuer: claims.issuer,
            subject: claims.subject,
            client: claims.client,
            issued_s: claims.issued_s,
            expires_s: claims.expires_s,
        };
        let caller = Caller::Federated(std::sync::Arc::new(token));
        // Issuer, client and age are held against the provider there.
        caller::resolve(&state, &caller, now_ms).map_err(|error| token_fault(&error))?;
        Ok(caller)
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
        Ok(caller)
    }

    /// A page of the trail of an account, with all that its answer says.
    async fn look_up(
        &self,
        account: &AccountId,
        wanted: &Lookup,
        from: Option<u64>,
    ) -> Result<Map<String, Value>, Fault> {
        let keyring = self.engine.keyring();
        let bound = ["LookupEvents", account.as_str()];
        let page = look_up(&self.engine, Some(account), &wanted.search, from, |_, event| {
            wanted.shown(account, event)
        });
        let found = page.await.map_err(|why| {
            tracing::error!(why, "the trail was not read");
            Fault::internal()
        })?;
        let time = |at_ms: i64| json!(wire::clock::iso_seconds(at_ms));
        let mut members = Map::new();
        members.insert("StartTime".to_owned(), time(wanted.search.start_ms));
        members.insert("EndTime".to_owned(), time(wanted.search.end_ms));
        members.insert("Events".to_owned(), Value::Array(found.entries));
        if let Some(position) = found.next {
            let marker = keyring.seal_marker(&position.to_string(), &bound);
            members.insert("NextToken".to_owned(), json!(marker));
        }
        Ok(members)
    }
}

/// What the holder of a token is told of it.
fn told_token(wrong: Wrong) -> Fault {
    match wrong {
        Wrong::Malformed(why) => wrong_token(why),
        Wrong::UnknownKey => wrong_token("the issuer publishes no key with its kid"),
        Wrong::Signature => wrong_token(UNFIT),
        Wrong::Claim(name) => wrong_token(&format!("expected the claim {name}")),
    }
}
