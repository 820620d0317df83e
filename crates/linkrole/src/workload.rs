//! A linked service that proves who it is: what it shows is checked here, and what that is worth in `iam::identity`.

use crate::issuers::{At, Published};
use crate::jwt::{KeySet, Token, Wrong};
use crate::server::Server;
use iam::caller::{self, Caller};
use iam::command::Command;
use iam::error::Error;
use iam::identity::{self, Proof, TokenIdentity, Workload};
use iam::seal::Secret;
use store::Store;
use wire::aws::fault::Fault;
use wire::native;

/// What a stranger learns of a service that is not there, takes no tokens, or whose keys did not sign this one.
const UNSIGNED: &str = "no key that the service's manifest names signed this token";

impl<S: Store> Server<S> {
    /// Who holds a token, once its signature holds.
    pub async fn workload_by_token(
        &self,
        command: &Command,
        token: &Secret,
    ) -> Result<Caller, Fault> {
        let told = |error: Error| native::fault_of(&error);
        let Command::CreateServiceSession { service } = command else {
            return Err(Fault::internal());
        };
        let wrong = |wrong: Wrong| {
            told(identity::refused(&match wrong {
                Wrong::Malformed(why) => why.to_owned(),
                Wrong::UnknownKey | Wrong::Signature => UNSIGNED.to_owned(),
                Wrong::Claim(name) => format!("expected one claim `{name}`"),
            }))
        };
        let parsed = Token::parse(token.expose()).map_err(wrong)?;
        let state = self.engine.state();
        let found = state.service(service).and_then(|row| row.identity.as_ref()?.token.clone());
        let found = found.ok_or_else(|| told(identity::refused(UNSIGNED)))?;
        let wanted = |keys: &KeySet| parsed.is_known(keys);
        let now_ms = self.engine.now_ms();
        let published = published(&found).ok_or_else(Fault::internal)?;
        let keys = self.issuers.keys(&published, now_ms, wanted).await;
        let claims = parsed.verify_workload(&keys).map_err(wrong)?;
        let shown = Workload {
            service: service.clone(),
            terms: found.terms(),
            proof: Proof::Token {
                issuer: claims.issuer,
                subject: claims.subject,
                audience: claims.audience,
                begins_ms: claims.begins_s.saturating_mul(1_000),
            },
            expires_ms: claims.expires_s.saturating_mul(1_000),
        };
        let caller = Caller::Workload(std::sync::Arc::new(shown));
        // Held against the manifest here, so that what proves nothing leaves no trace that a stranger could fill a
        // disk with.
        caller::resolve(&self.engine.state(), &caller, self.engine.now_ms()).map_err(told)?;
        Ok(caller)
    }
}

/// Where the keys for a service's tokens are.
fn published(of: &TokenIdentity) -> Option<Published<'_>> {
    let at = match (&of.keys, &of.issuer) {
        (Some(keys), _) => At::Keys(keys.as_str()),
        (None, Some(issuer)) => At::Issuer(issuer.as_str()),
        (None, None) => return None,
    };
    Some(Published { at, pins: of.certificates.iter().map(String::as_str).collect() })
}
