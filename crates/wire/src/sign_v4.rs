//! Verification of AWS Signature Version 4, in both of its carriers.
//!
//! Pure: reads one request and answers who it claims to be and whether the signature is that
//! claimant's. It looks up no key, reads no clock, signs nothing, and knows no operation. Every
//! refusal is a [`Fault`] with the code, status and text that AWS's services answer.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};
use zeroize::Zeroizing;

use crate::http::{Request, parse_form, percent_encode, push_encoded};
use crate::mac::{hex, hmac_sha256};

/// How far the time of a request may lie from the server's, in seconds.
pub const CLOCK_WINDOW_S: i64 = 15 * 60;
/// The longest life of a presigned request, in seconds.
pub const PRESIGNED_EXPIRES_MAX_S: u32 = 15 * 60;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
const NO_MATCH: &str = "The request signature we calculated does not match the signature you \
    provided. Check your AWS Secret Access Key and signing method. Consult the service \
    documentation for details.";

/// The query parameters that carry a signature, in their only accepted letter case.
const QUERY_NAMES: [&str; 8] = [
    "X-Amz-Algorithm",
    "X-Amz-Content-Sha256",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// A name that starts like an acted-on header but is added by proxies and never acted on.
const NEVER_ACTED_ON: [&str; 1] = ["x-amz-cf-id"];

/// A refusal, as the services of AWS word it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{code}: {message}")]
pub struct Fault {
    /// The error code.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The text.
    pub message: String,
}

impl Fault {
    /// No authentication material at all.
    #[must_use]
    pub fn missing_token() -> Self {
        let message = "Request is missing Authentication Token".to_owned();
        Self { code: "MissingAuthenticationToken", status: 403, message }
    }

    /// An access key that is unknown or inactive, or a token that does not belong to it.
    #[must_use]
    pub fn unknown_key() -> Self {
        let message = "The security token included in the request is invalid.".to_owned();
        Self { code: "InvalidClientTokenId", status: 403, message }
    }

    /// A session that has ended.
    #[must_use]
    pub fn expired_token() -> Self {
        let message = "The security token included in the request is expired".to_owned();
        Self { code: "ExpiredToken", status: 403, message }
    }

    /// A signature that is not the one the server calculates.
    #[must_use]
    pub fn no_match() -> Self {
        Self::refused(NO_MATCH.to_owned())
    }

    fn incomplete(message: String) -> Self {
        Self { code: "IncompleteSignature", status: 400, message }
    }

    fn refused(message: String) -> Self {
        Self { code: "SignatureDoesNotMatch", status: 403, message }
    }

    fn query(message: String) -> Self {
        Self { code: "InvalidQueryParameter", status: 400, message }
    }
}

/// Where a request carries its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// In the `Authorization` header.
    Header,
    /// In the query (a presigned request).
    Query,
}

/// What a request claims, well-formed but not yet believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Presented {
    /// Where the signature stands.
    pub carrier: Carrier,
    /// The access key id, byte for byte as sent.
    pub key_id: String,
    /// The day of the scope, `YYYYMMDD`; equal to that of the request's time.
    pub date: String,
    /// The region of the scope.
    pub region: String,
    /// The service of the scope.
    pub service: String,
    /// The names of the signed headers: lower-case, ascending, each present exactly once.
    pub signed_headers: Vec<String>,
    /// The signature.
    pub signature: [u8; 32],
    /// The time of `X-Amz-Date`, in seconds since 1970.
    pub time: i64,
    /// The session token.
    pub token: Option<String>,
    /// The life of a presigned request in seconds, if it states one.
    pub expires_s: Option<u32>,
    /// `X-Amz-Date` as sent.
    timestamp: String,
    /// The hash of the body that the request states, if it states one: 64 hexadecimal digits.
    stated_hash: Option<String>,
}

impl fmt::Debug for Presented {
    /// Leaves out the signature and the token, which would let a reader of a log replay them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("carrier", &self.carrier)
            .field("key_id", &self.key_id)
            .field("date", &self.date)
            .field("region", &self.region)
            .field("service", &self.service)
            .field("signed_headers", &self.signed_headers)
            .field("timestamp", &self.timestamp)
            .field("expires_s", &self.expires_s)
            .finish_non_exhaustive()
    }
}

/// The parts of a claim as text, before they are checked.
struct Claim {
    carrier: Carrier,
    credential: String,
    signed_headers: String,
    signature: String,
    timestamp: String,
    token: Option<String>,
    expires_s: Option<u32>,
    stated_hash: Option<String>,
}

/// Reads the claim of a request; `None` when it carries no authentication material at all.
///
/// Checks everything that needs no key: one carrier, no duplicates, a known algorithm, the shape
/// of the scope, and that every header that could be acted on is signed.
pub fn present(request: &Request) -> Result<Option<Presented>, Fault> {
    request.check_lines(is_acted_on).map_err(|error| Fault::incomplete(error.to_string()))?;
    let query = parse_form(&request.query)
        .map_err(|error| Fault::query(format!("The query string is malformed: {error}.")))?;
    let in_query = check_auth_parameters(&query, "query string")?;
    check_auth_in_body(request)?;
    let claim = match (request.header("authorization"), in_query) {
        (None, false) => return Ok(None),
        (Some(_), true) => {
            return Err(Fault::incomplete(
                "Authentication must be in the Authorization header or in the query string, not \
                 in both."
                    .to_owned(),
            ));
        }
        (Some(authorization), false) => claim_of_header(request, authorization)?,
        (None, true) => claim_of_query(request, &query)?,
    };
    check_claim(request, claim).map(Some)
}

/// True for the headers that may change what a request means and so must be signed.
fn is_acted_on(name: &str) -> bool {
    (name.starts_with("x-amz-") || name.starts_with("x-linkrole-"))
        && !NEVER_ACTED_ON.contains(&name)
}

/// True when `parameters` carry a signature; an error when one does so twice or in another case.
fn check_auth_parameters(parameters: &[(String, String)], place: &str) -> Result<bool, Fault> {
    let mut seen = std::collections::BTreeSet::new();
    for (name, _) in parameters {
        let Some(known) = QUERY_NAMES.iter().find(|known| known.eq_ignore_ascii_case(name)) else {
            continue;
        };
        if name != known {
            return Err(Fault::incomplete(format!(
                "The {place} parameter '{known}' must be written exactly so."
            )));
        }
        if !seen.insert(known) {
            return Err(Fault::incomplete(format!(
                "The {place} parameter '{known}' stands more than once."
            )));
        }
    }
    Ok(!seen.is_empty())
}

/// Refuses authentication parameters in a form body, where no accepted request has them.
///
/// A body that does not parse as a form is left to its decoder.
fn check_auth_in_body(request: &Request) -> Result<(), Fault> {
    if !request.has_form() {
        return Ok(());
    }
    let parameters = str::from_utf8(&request.body).ok().and_then(|text| parse_form(text).ok());
    if check_auth_parameters(&parameters.unwrap_or_default(), "body")? {
        return Err(Fault::incomplete(
            "Authentication must be in the Authorization header or in the query string, not in \
             the body."
                .to_owned(),
        ));
    }
    Ok(())
}

fn claim_of_header(request: &Request, authorization: &str) -> Result<Claim, Fault> {
    let (algorithm, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if algorithm != ALGORITHM {
        return Err(Fault::incomplete(format!("Unsupported AWS 'algorithm': '{algorithm}'")));
    }
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for pair in rest.split(',').map(|pair| pair.trim_matches([' ', '\t'])) {
        if pair.is_empty() && rest.trim().is_empty() {
            break;
        }
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Fault::incomplete(format!(
                "'{pair}' not a valid key=value pair (missing equal-sign) in Authorization \
                 header: '{authorization}'."
            )));
        };
        let slot = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            other => {
                return Err(Fault::incomplete(format!(
                    "'{other}' is not a parameter of the Authorization header."
                )));
            }
        };
        if slot.replace(value.to_owned()).is_some() {
            return Err(Fault::incomplete(format!(
                "'{name}' stands more than once in the Authorization header."
            )));
        }
    }
    let timestamp = request.header("x-amz-date").map(str::to_owned);
    let (Some(credential), Some(signed_headers), Some(signature), Some(timestamp)) =
        (&credential, &signed_headers, &signature, &timestamp)
    else {
        let mut message = String::new();
        for (name, part) in [
            ("Credential", &credential),
            ("Signature", &signature),
            ("SignedHeaders", &signed_headers),
        ] {
            if part.is_none() {
                message.push_str(&format!("Authorization header requires '{name}' parameter. "));
            }
        }
        if timestamp.is_none() {
            message.push_str(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' \
                 header. ",
            );
        }
        message.push_str(&format!("Authorization={authorization}"));
        return Err(Fault::incomplete(message));
    };
    Ok(Claim {
        carrier: Carrier::Header,
        credential: credential.clone(),
        signed_headers: signed_headers.clone(),
        signature: signature.clone(),
        timestamp: timestamp.clone(),
        token: request.header("x-amz-security-token").map(str::to_owned),
        expires_s: None,
        stated_hash: request.header("x-amz-content-sha256").map(str::to_owned),
    })
}

fn claim_of_query(request: &Request, query: &[(String, String)]) -> Result<Claim, Fault> {
    let value = |wanted: &str| {
        query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
    };
    for header in ["x-amz-security-token", "x-amz-date", "x-amz-content-sha256"] {
        if request.header(header).is_some() {
            return Err(Fault::incomplete(format!(
                "The header '{header}' cannot stand beside authentication in the query string."
            )));
        }
    }
    let algorithm = value("X-Amz-Algorithm");
    let credential = value("X-Amz-Credential");
    let signature = value("X-Amz-Signature");
    let signed_headers = value("X-Amz-SignedHeaders");
    let timestamp = value("X-Amz-Date");
    let (Some(algorithm), Some(credential), Some(signature), Some(signed_headers), Some(timestamp)) =
        (&algorithm, &credential, &signature, &signed_headers, &timestamp)
    else {
        let mut message = String::new();
        for (name, part) in [
            ("X-Amz-Algorithm", &algorithm),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Signature", &signature),
            ("X-Amz-SignedHeaders", &signed_headers),
            ("X-Amz-Date", &timestamp),
        ] {
            if part.is_none() {
                message.push_str(&format!("AWS query-string parameters must include '{name}'. "));
            }
        }
        message.push_str("Re-examine the query-string parameters.");
        return Err(Fault::incomplete(message));
    };
    if algorithm != ALGORITHM {
        return Err(Fault::incomplete(format!("Unsupported AWS 'algorithm': '{algorithm}'")));
    }
    let expires_s = match value("X-Amz-Expires") {
        None => None,
        Some(text) => Some(parse_expires(&text).ok_or_else(|| {
            Fault::query(format!(
                "X-Amz-Expires must be between 1 and {PRESIGNED_EXPIRES_MAX_S} seconds."
            ))
        })?),
    };
    Ok(Claim {
        carrier: Carrier::Query,
        credential: credential.clone(),
        signed_headers: signed_headers.clone(),
        signature: signature.clone(),
        timestamp: timestamp.clone(),
        token: value("X-Amz-Security-Token"),
        expires_s,
        stated_hash: value("X-Amz-Content-Sha256"),
    })
}

/// The stated life of a presigned request: plain digits, no sign, no leading zero, in range.
fn parse_expires(text: &str) -> Option<u32> {
    if text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|seconds| (1..=PRESIGNED_EXPIRES_MAX_S).contains(seconds))
}

fn check_claim(request: &Request, claim: Claim) -> Result<Presented, Fault> {
    let parts: Vec<&str> = claim.credential.split('/').collect();
    let [key_id, date, region, service, terminator] = parts.as_slice() else {
        return Err(Fault::incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/term, got '{}'",
            claim.credential
        )));
    };
    let time = parse_timestamp(&claim.timestamp).ok_or_else(|| {
        Fault::incomplete(format!(
            "Date must be in ISO-8601 'basic format'. Got '{}'. See \
             http://en.wikipedia.org/wiki/ISO_8601",
            claim.timestamp
        ))
    })?;
    let signature = parse_signature(&claim.signature).ok_or_else(Fault::no_match)?;
    if let Some(stated) = &claim.stated_hash
        && !is_hash(stated)
    {
        return Err(Fault::incomplete(format!(
            "x-amz-content-sha256 must be the hash of the body in hexadecimal digits, got '{stated}'"
        )));
    }
    let signed_headers = check_signed_headers(request, &claim)?;
    let mut message = String::new();
    if *terminator != TERMINATOR {
        message.push_str(&format!(
            "Credential should be scoped with a valid terminator: '{TERMINATOR}', not \
             '{terminator}'. "
        ));
    }
    if claim.timestamp.get(..8) != Some(*date) {
        message.push_str(&format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
             HTTP: '{date}' != '{}', from '{}'. ",
            claim.timestamp.get(..8).unwrap_or_default(),
            claim.timestamp
        ));
    }
    if !message.is_empty() {
        return Err(Fault::refused(message.trim_end().to_owned()));
    }
    Ok(Presented {
        carrier: claim.carrier,
        key_id: (*key_id).to_owned(),
        date: (*date).to_owned(),
        region: (*region).to_owned(),
        service: (*service).to_owned(),
        signed_headers,
        signature,
        time,
        token: claim.token,
        expires_s: claim.expires_s,
        timestamp: claim.timestamp,
        stated_hash: claim.stated_hash,
    })
}

/// The list of signed headers, once it is canonical and covers whatever could be acted on.
fn check_signed_headers(request: &Request, claim: &Claim) -> Result<Vec<String>, Fault> {
    let names: Vec<&str> = claim.signed_headers.split(';').collect();
    let canonical = names.iter().zip(names.iter().skip(1)).all(|(a, b)| a < b)
        && names.iter().all(|name| is_lower_token(name));
    if !canonical {
        return Err(Fault::incomplete(format!(
            "SignedHeaders must be lower-case header names in ascending order, got '{}'",
            claim.signed_headers
        )));
    }
    if !names.contains(&"host") {
        return Err(Fault::refused(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
        ));
    }
    for name in &names {
        if request.header(name).is_none() {
            return Err(if request.headers_named(name).next().is_some() {
                Fault::incomplete(format!(
                    "The header '{name}' stands more than once in the request."
                ))
            } else {
                Fault::refused(format!("The signed header '{name}' is not in the request."))
            });
        }
    }
    for (name, _) in &request.headers {
        let name = name.to_ascii_lowercase();
        // A form type may stay unsigned (`curl --aws-sigv4` leaves out the one it adds itself):
        // the body is signed, and a form cannot be read as anything else.
        let must = is_acted_on(&name) || (name == "content-type" && !request.has_form());
        if must && !names.contains(&name.as_str()) {
            return Err(Fault::refused(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            )));
        }
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

fn is_lower_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn parse_signature(text: &str) -> Option<[u8; 32]> {
    if !is_hash(text) {
        return None;
    }
    let mut signature = [0; 32];
    let mut digits = text.chars().map_while(|c| c.to_digit(16));
    for byte in &mut signature {
        *byte = u8::try_from(digits.next()? << 4 | digits.next()?).ok()?;
    }
    Some(signature)
}

/// The seconds since 1970 of `YYYYMMDDTHHMMSSZ`, the only accepted form.
fn parse_timestamp(text: &str) -> Option<i64> {
    let day = text.strip_suffix('Z')?;
    let (day, clock) = day.split_once('T')?;
    let number = |text: &str, from: usize, to: usize| -> Option<u16> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    let small = |text, from| number(text, from, from + 2).and_then(|n| u8::try_from(n).ok());
    if day.len() != 8 || clock.len() != 6 {
        return None;
    }
    let month = Month::try_from(small(day, 4)?).ok()?;
    let date =
        Date::from_calendar_date(i32::from(number(day, 0, 4)?), month, small(day, 6)?).ok()?;
    let time = Time::from_hms(small(clock, 0)?, small(clock, 2)?, small(clock, 4)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp())
}

/// Seconds since 1970 as `YYYYMMDDTHHMMSSZ`; for texts only.
fn timestamp(seconds: i64) -> String {
    let Ok(at) = OffsetDateTime::from_unix_timestamp(seconds) else {
        return seconds.to_string();
    };
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// Checks that the request is of about now: within 15 minutes, and for a presigned one not past
/// its stated life (15 minutes if it states none).
pub fn check_time(p: &Presented, now_s: i64) -> Result<(), Fault> {
    let back_s = match p.carrier {
        Carrier::Header => CLOCK_WINDOW_S,
        Carrier::Query => p.expires_s.map_or(CLOCK_WINDOW_S, i64::from),
    };
    let earliest = now_s.saturating_sub(back_s);
    let latest = now_s.saturating_add(CLOCK_WINDOW_S);
    if p.time < earliest {
        let span = if back_s % 60 == 0 {
            format!("{} min.", back_s / 60)
        } else {
            format!("{back_s} sec.")
        };
        return Err(Fault::refused(format!(
            "Signature expired: {} is now earlier than {} ({} - {span})",
            p.timestamp,
            timestamp(earliest),
            timestamp(now_s),
        )));
    }
    if p.time > latest {
        return Err(Fault::refused(format!(
            "Signature not yet current: {} is still later than {} ({} + 15 min.)",
            p.timestamp,
            timestamp(latest),
            timestamp(now_s),
        )));
    }
    Ok(())
}

/// Checks that the scope names a region-shaped region and one of `services`.
///
/// Any region is fine; the first of `services` is the one the refusal names.
pub fn check_scope(p: &Presented, services: &[&str]) -> Result<(), Fault> {
    let mut message = String::new();
    let region_ok = (1..=32).contains(&p.region.len())
        && p.region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !region_ok {
        message.push_str("Credential should be scoped to a valid region. ");
    }
    if !services.contains(&p.service.as_str()) {
        let wanted = services.first().copied().unwrap_or_default();
        message.push_str(&format!("Credential should be scoped to correct service: '{wanted}'. "));
    }
    if message.is_empty() { Ok(()) } else { Err(Fault::refused(message)) }
}

/// A day's signing key, wiped when dropped.
pub type SigningKey = Zeroizing<[u8; 32]>;

/// Derives the signing key of one secret for one day, region and service.
#[must_use]
pub fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> SigningKey {
    let mut long = Zeroizing::new(Vec::with_capacity(secret.len() + 4));
    long.extend_from_slice(b"AWS4");
    long.extend_from_slice(secret.as_bytes());
    let date_key = Zeroizing::new(hmac_sha256(&long, date.as_bytes()));
    let region_key = Zeroizing::new(hmac_sha256(date_key.as_slice(), region.as_bytes()));
    let service_key = Zeroizing::new(hmac_sha256(region_key.as_slice(), service.as_bytes()));
    Zeroizing::new(hmac_sha256(service_key.as_slice(), TERMINATOR.as_bytes()))
}

/// The key to verify with when the access key is unknown, so that the answer costs the same.
///
/// The caller refuses such a request whatever [`verify`] says: this key is no secret.
#[must_use]
pub fn dummy_key() -> [u8; 32] {
    Sha256::digest(b"linkrole: no such access key").into()
}

/// Checks the signature of a whole request, with the hash of the body that really came.
///
/// `p` must come from [`present`] on this request. The compare takes constant time.
pub fn verify(p: &Presented, request: &Request, key: &[u8; 32]) -> Result<(), Fault> {
    let body_hash = hex(&Sha256::digest(&request.body));
    check(p, &request.method, &request.path, &request.query, &request.headers, &body_hash, key)
}

/// Checks the signature of a request that another service received and forwarded in parts.
///
/// `headers` hold at least the signed ones; `body_sha256` is the hash the service took of the
/// body it received, 64 lower-case hexadecimal digits.
pub fn verify_forwarded(
    p: &Presented,
    method: &str,
    path: &str,
    query: &str,
    headers: &[(String, String)],
    body_sha256: &str,
    key: &[u8; 32],
) -> Result<(), Fault> {
    if !is_hash(body_sha256) {
        return Err(Fault::no_match());
    }
    check(p, method, path, query, headers, body_sha256, key)
}

fn check(
    p: &Presented,
    method: &str,
    path: &str,
    query: &str,
    headers: &[(String, String)],
    body_hash: &str,
    key: &[u8; 32],
) -> Result<(), Fault> {
    let canonical = canonical_request(p, method, path, query, headers, body_hash);
    let text = format!(
        "{ALGORITHM}\n{}\n{}/{}/{}/{TERMINATOR}\n{}",
        p.timestamp,
        p.date,
        p.region,
        p.service,
        hex(&Sha256::digest(canonical.as_deref().unwrap_or_default()))
    );
    let expected = hmac_sha256(key, text.as_bytes());
    let equal = bool::from(expected.ct_eq(&p.signature));
    let hash_ok = p.stated_hash.as_deref().is_none_or(|stated| stated == body_hash);
    // A request without a canonical form is refused only here, after the same work.
    if equal && hash_ok && canonical.is_some() { Ok(()) } else { Err(Fault::no_match()) }
}

/// The canonical form of a request; `None` when it has none.
fn canonical_request(
    p: &Presented,
    method: &str,
    path: &str,
    query: &str,
    headers: &[(String, String)],
    body_hash: &str,
) -> Option<String> {
    let mut text = String::new();
    text.push_str(method);
    text.push('\n');
    text.push_str(&canonical_path(path)?);
    text.push('\n');
    text.push_str(&canonical_query(p.carrier, query)?);
    text.push('\n');
    for name in &p.signed_headers {
        let mut lines = headers.iter().filter(|(held, _)| held.eq_ignore_ascii_case(name));
        let (_, value) = lines.next()?;
        if lines.next().is_some() {
            return None;
        }
        text.push_str(name);
        text.push(':');
        let words: Vec<&str> = value.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        text.push_str(&words.join(" "));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&p.signed_headers.join(";"));
    text.push('\n');
    text.push_str(body_hash);
    Some(text)
}

/// The path as sent, encoded once more, `/` kept.
///
/// Signers resolve `.`, `..` and `//` before they sign, so two raw paths would share a signature;
/// a path that holds one of them has no canonical form here.
fn canonical_path(path: &str) -> Option<String> {
    let path = if path.is_empty() { "/" } else { path };
    let rest = path.strip_prefix('/')?;
    if rest.split('/').any(|segment| matches!(segment, "." | "..")) || path.contains("//") {
        return None;
    }
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte == b'/' {
            text.push('/');
        } else {
            push_encoded(&mut text, byte);
        }
    }
    Some(text)
}

/// The parameters decoded, encoded again and sorted by their encoded bytes; a presigned request's
/// signature left out.
fn canonical_query(carrier: Carrier, query: &str) -> Option<String> {
    let mut pairs: Vec<(String, String)> = parse_form(query)
        .ok()?
        .iter()
        .filter(|(name, _)| carrier == Carrier::Header || name != "X-Amz-Signature")
        .map(|(name, value)| (percent_encode(name), percent_encode(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Some(pairs.join("&"))
}
