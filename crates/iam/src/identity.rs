//! How a linked service proves who it is without a key that it keeps: by a token of an issuer, or by a certificate,
//! that its manifest names.
//!
//! What proves it is exchanged for a session of the service, which ends with the proof, and at once when the manifest
//! says something else. Not here: signatures and where an issuer's keys come from (the server).

use crate::caller::{Identity, IdentityKind};
use crate::error::Error;
use crate::limits;
use crate::output::Output;
use crate::seal;
use crate::service::{are_pins, invalid};
use crate::session::{self, Subject};
use crate::state::State;
use crate::text::*;
use crate::tx::Tx;
use policy::{Principal, PrincipalKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How far the clocks of an issuer and of this server may differ where a token begins, in milliseconds. Where it ends
/// none is given: a session ends with it.
const GRACE_MS: i64 = crate::caller::WEB_TOKEN_GRACE_S * 1_000;

/// Why what fits nothing that a manifest names is refused, also of a service that is not there.
const UNFIT: &str = "the manifest names nothing that it fits";

/// What proves a service, as its manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceIdentity {
    /// A token of an issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenIdentity>,
    /// A client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateIdentity>,
}

/// A certificate that proves a service: of an authority that the operator gave the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateIdentity {
    /// The name that it is for, byte for byte: an address as SPIFFE IDs are, or a DNS name.
    pub san: String,
}

/// A token that proves a service: a JWT-SVID, or another that an issuer gives to workloads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenIdentity {
    /// Who issues it, as `iss` says; its discovery document names the keys unless `keys` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<IssuerUrl>,
    /// Where the keys are: a set of JSON Web Keys, as SPIFFE's bundles are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<IssuerUrl>,
    /// Whom it speaks of.
    pub subject: String,
    /// For whom it is: its only audience.
    pub audience: String,
    /// SHA-256 fingerprints, in hexadecimal, of certificates of which one must stand in the chain of where the keys
    /// are; without any, the authorities that the server's machine trusts decide.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub certificates: BTreeSet<String>,
}

/// Who shows what proves a service, once its signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The service that it says it is.
    pub service: ServiceName,
    /// The digest of what the manifest said when the signature was checked.
    pub terms: String,
    /// What it shows.
    pub proof: Proof,
    /// When that ends, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// What proves a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// What a token says.
    Token {
        /// Who issued it, if it says so.
        issuer: Option<String>,
        /// Whom it speaks of.
        subject: String,
        /// Its only audience.
        audience: String,
        /// The later of when it was issued and of before when it does not count, in milliseconds since 1970; 0 if it
        /// says neither.
        begins_ms: i64,
    },
    /// A client certificate has this one name.
    Certificate {
        /// The name.
        san: String,
    },
}

impl Workload {
    /// The name by which the trail knows it: what it proved, not what it says it is.
    pub fn name(&self) -> &str {
        match &self.proof {
            Proof::Token { subject, .. } => subject,
            Proof::Certificate { san } => san,
        }
    }
}

impl ServiceIdentity {
    /// Whether something of it has this digest.
    pub fn has(&self, terms: &str) -> bool {
        let by_certificate = |part: &CertificateIdentity| part.terms() == terms;
        self.token.as_ref().is_some_and(|token| token.terms() == terms)
            || self.certificate.as_ref().is_some_and(by_certificate)
    }
}

impl TokenIdentity {
    /// A digest of all that it says: sessions hang on it.
    pub fn terms(&self) -> String {
        terms("token", self)
    }
}

impl CertificateIdentity {
    /// A digest of all that it says: sessions hang on it.
    pub fn terms(&self) -> String {
        terms("certificate", self)
    }
}

fn terms(kind: &str, part: &impl Serialize) -> String {
    seal::digest(&format!("{kind} {}", serde_json::to_string(part).unwrap_or_default()))
}

/// Checks what a manifest says of it.
///
/// Errors: `Invalid`; `Taken` for what proves another service.
pub fn check(tx: &Tx<'_>, service: &ServiceName, found: &ServiceIdentity) -> Result<(), Error> {
    if *found == ServiceIdentity::default() {
        let message = "expected `token`, `certificate` or both; found neither".to_owned();
        return Err(invalid("identity", message));
    }
    found.token.as_ref().map_or(Ok(()), check_token)?;
    found.certificate.as_ref().map_or(Ok(()), check_certificate)?;
    for other in tx.state().services().filter(|other| other.name != *service) {
        let Some(theirs) = &other.identity else { continue };
        if let (Some(theirs), Some(token)) = (&theirs.token, &found.token)
            && is_same(theirs, token)
        {
            return Err(Error::Taken { what: "subject", name: token.subject.clone() });
        }
        if let Some(certificate) = &found.certificate
            && theirs.certificate.as_ref() == Some(certificate)
        {
            return Err(Error::Taken { what: "san", name: certificate.san.clone() });
        }
    }
    Ok(())
}

/// Whether one token could prove two services: the same subject, by word of the same issuer or by the same keys.
fn is_same(one: &TokenIdentity, other: &TokenIdentity) -> bool {
    let shared = |a: &Option<IssuerUrl>, b: &Option<IssuerUrl>| a.is_some() && a == b;
    one.subject == other.subject
        && (shared(&one.issuer, &other.issuer) || shared(&one.keys, &other.keys))
}

fn check_token(token: &TokenIdentity) -> Result<(), Error> {
    let wrong = |message: &str| Err(invalid("identity.token", message.to_owned()));
    match (&token.issuer, &token.keys) {
        (None, None) => return wrong("expected `issuer`, `keys` or both; found neither"),
        // Without an issuer nothing but the subject says whose word it is: it must be of a trust domain.
        (None, Some(_)) if !token.subject.starts_with("spiffe://") => {
            return wrong("expected `issuer` beside `keys`, or a `subject` that is a SPIFFE ID");
        }
        _ => {}
    }
    for (name, text) in [("subject", &token.subject), ("audience", &token.audience)] {
        let plain = text.bytes().all(|b| b.is_ascii_graphic());
        if text.is_empty() || text.len() > limits::IDENTITY_NAME || !plain {
            let longest = limits::IDENTITY_NAME;
            return wrong(&format!(
                "`{name}`: expected 1 to {longest} visible ASCII characters; found `{text}`"
            ));
        }
    }
    are_pins("identity.token", &token.certificates)
}

/// A name is an address, or a DNS name in small letters that stands for itself alone.
fn check_certificate(certificate: &CertificateIdentity) -> Result<(), Error> {
    let san = &certificate.san;
    let label = |text: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !text.is_empty() && text.bytes().all(plain)
    };
    let fits = match san.split_once("://") {
        Some((scheme, rest)) => {
            !scheme.is_empty() && !rest.is_empty() && san.bytes().all(|b| b.is_ascii_graphic())
        }
        None => san.contains('.') && san.split('.').all(label),
    };
    if fits && san.len() <= limits::IDENTITY_NAME {
        return Ok(());
    }
    let message = format!(
        "`san`: expected an address like spiffe://example.org/svc/backup, or a DNS name in lower case without `*`; found `{san}`"
    );
    Err(invalid("identity.certificate", message))
}

/// The service that a workload proves, if it still does on this state.
///
/// Errors: `IdentityRefused`.
pub fn prove(state: &State, shown: &Arc<Workload>, now_ms: i64) -> Result<Identity, Error> {
    let found = state.service(&shown.service).and_then(|service| service.identity.as_ref());
    let found = found.filter(|identity| identity.has(&shown.terms));
    let found = found.ok_or_else(|| refused(UNFIT))?;
    match &shown.proof {
        Proof::Token { issuer, subject, audience, begins_ms } => {
            let token = found.token.as_ref().ok_or_else(|| refused(UNFIT))?;
            let other = token
                .issuer
                .as_ref()
                .is_some_and(|named| Some(named.as_str()) != issuer.as_deref());
            for (differs, name) in [
                (other, "iss"),
                (*subject != token.subject, "sub"),
                (*audience != token.audience, "aud"),
            ] {
                if differs {
                    return Err(refused(&format!(
                        "its `{name}` is not the one that the manifest names"
                    )));
                }
            }
            if *begins_ms > now_ms.saturating_add(GRACE_MS) {
                return Err(refused("it is not valid yet"));
            }
        }
        Proof::Certificate { san } => {
            if found.certificate.as_ref().is_none_or(|named| named.san != *san) {
                return Err(refused(UNFIT));
            }
        }
    }
    if shown.expires_ms <= now_ms {
        return Err(refused("it has ended"));
    }
    Ok(Identity {
        kind: IdentityKind::Workload(shown.clone()),
        principal: Principal::new(PrincipalKind::Anonymous),
        account: None,
        key: None,
        session: None,
    })
}

/// A refusal of what was shown, with the reason.
pub fn refused(why: &str) -> Error {
    Error::IdentityRefused(why.to_owned())
}

/// Issues a session of the service that a workload proves: for an hour, and no longer than the proof counts.
///
/// Errors: `IdentityRefused` for another service than the proved one.
pub fn open(tx: &mut Tx<'_>, me: &Identity, service: &ServiceName) -> Result<Output, Error> {
    let IdentityKind::Workload(shown) = &me.kind else {
        return Err(Error::Internal("not an operation of workloads"));
    };
    let row = tx.state().service(service).filter(|_| shown.service == *service);
    let made_ms = row.ok_or_else(|| refused("it is of another service"))?.created_ms;
    let subject = Subject::Service { service: service.clone(), terms: shown.terms.clone() };
    let length_ms = limits::SERVICE_SESSION_MS.min(shown.expires_ms.saturating_sub(tx.now()));
    let mut claims = session::plain(tx, None, subject, length_ms)?;
    // A session issued in the very millisecond of the registration would be born dead.
    claims.issued_ms = claims.issued_ms.max(made_ms.saturating_add(1));
    // A service that is made again must never be dated before a session that dies with the old one.
    tx.stamp();
    match &shown.proof {
        Proof::Token { issuer, subject, .. } => {
            issuer.iter().for_each(|issuer| tx.note("issuer", issuer.clone()));
            tx.note("subject", subject.clone());
        }
        Proof::Certificate { san } => tx.note("san", san.clone()),
    }
    let (credentials, _) = session::issue(tx, &claims)?;
    Ok(Output::Session { credentials, assumed: None, packed_percent: None, source_identity: None })
}
