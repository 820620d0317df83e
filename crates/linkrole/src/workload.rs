//! A linked service that proves who it is: what it shows is checked here, and what that is worth in `iam::identity`.

use crate::issuers::{At, Published};
use crate::jwt::{KeySet, Token, Wrong};
use crate::server::{Peer, Server};
use iam::caller::{self, Caller};
use iam::error::Error;
use iam::identity::{self, Proof, TokenIdentity, Workload};
use iam::seal::Secret;
use iam::text::ServiceName;
use std::sync::Arc;
use store::Store;
use wire::aws::fault::Fault;
use wire::native;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What a stranger learns of a service that is not there, takes no tokens, or whose keys did not sign this one.
const UNSIGNED: &str = "no key that the service's manifest names signed this token";

impl<S: Store> Server<S> {
    /// Who shows what may prove a service: a token, or else the certificate of the connection.
    pub async fn workload(
        &self,
        service: &ServiceName,
        token: Option<&Secret>,
        peer: &Peer,
    ) -> Result<Caller, Fault> {
        let shown = match (token, &peer.certificate) {
            (Some(token), _) => self.by_token(service, token).await,
            (None, Some(certificate)) => self.by_certificate(service, certificate),
            (None, None) => Err(identity::refused(
                "expected `token`, or a connection with a client's certificate",
            )),
        };
        let told = |error: Error| native::fault_of(&error);
        let caller = Caller::Workload(Arc::new(shown.map_err(told)?));
        // Held against the manifest here, so that what proves nothing leaves no trace that a stranger could fill a
        // disk with.
        caller::resolve(&self.engine.state(), &caller, self.engine.now_ms()).map_err(told)?;
        Ok(caller)
    }

    /// What a token says, once its signature holds.
    async fn by_token(&self, service: &ServiceName, token: &Secret) -> Result<Workload, Error> {
        let wrong = |wrong: Wrong| {
            identity::refused(&match wrong {
                Wrong::Malformed(why) => why.to_owned(),
                Wrong::UnknownKey | Wrong::Signature => UNSIGNED.to_owned(),
                Wrong::Claim(name) => format!("expected one claim `{name}`"),
            })
        };
        let parsed = Token::parse(token.expose()).map_err(wrong)?;
        let state = self.engine.state();
        let found = state.service(service).and_then(|row| row.identity.as_ref()?.token.clone());
        let found = found.ok_or_else(|| identity::refused(UNSIGNED))?;
        let wanted = |keys: &KeySet| parsed.is_known(keys);
        let now_ms = self.engine.now_ms();
        let published = published(&found).ok_or(Error::Internal("no place of keys"))?;
        let keys = self.issuers.keys(&published, now_ms, wanted).await;
        let claims = parsed.verify_workload(&keys).map_err(wrong)?;
        Ok(Workload {
            service: service.clone(),
            terms: found.terms(),
            proof: Proof::Token {
                issuer: claims.issuer,
                subject: claims.subject,
                audience: claims.audience,
                begins_ms: claims.begins_s.saturating_mul(1_000),
            },
            expires_ms: claims.expires_s.saturating_mul(1_000),
        })
    }

    /// What a certificate says, which TLS has verified.
    fn by_certificate(&self, service: &ServiceName, shown: &[u8]) -> Result<Workload, Error> {
        let (san, expires_ms) = named(shown).map_err(identity::refused)?;
        let state = self.engine.state();
        let found =
            state.service(service).and_then(|row| row.identity.as_ref()?.certificate.clone());
        // Of a service that is not there, or takes none, a stranger learns what one of another name is told.
        let terms = found.map(|named| named.terms()).unwrap_or_default();
        Ok(Workload {
            service: service.clone(),
            terms,
            proof: Proof::Certificate { san },
            expires_ms,
        })
    }
}

/// The one name that a client's certificate is for, and when it ends, in milliseconds since 1970.
///
/// An address counts before DNS names, as SPIFFE has it; two of the kind that counts, or a name that does not read, are
/// none. Errors: why there is none.
fn named(certificate: &[u8]) -> Result<(String, i64), &'static str> {
    const WRONG: &str = "the certificate does not read";
    let (rest, read) = X509Certificate::from_der(certificate).map_err(|_| WRONG)?;
    let usage = read.extended_key_usage().map_err(|_| WRONG)?;
    if !rest.is_empty() || !usage.is_some_and(|usage| usage.value.client_auth) {
        return Err("expected a certificate with the extended usage of clients");
    }
    let names = read.subject_alternative_name().map_err(|_| WRONG)?;
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let (mut addresses, mut hosts) = (Vec::new(), Vec::new());
    for name in names {
        match name {
            GeneralName::URI(text) => addresses.push(*text),
            GeneralName::DNSName(text) => hosts.push(*text),
            GeneralName::Invalid(..) => return Err(WRONG),
            _ => {}
        }
    }
    let kind = if addresses.is_empty() { hosts } else { addresses };
    let [one] = kind.as_slice() else {
        return Err(
            "expected a certificate with one URI among its names or, without any, one DNS name",
        );
    };
    Ok(((*one).to_owned(), read.validity().not_after.timestamp().saturating_mul(1_000)))
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
