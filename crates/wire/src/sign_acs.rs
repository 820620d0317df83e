//! The two signatures of Alibaba Cloud's clients: version 1 (RPC, HMAC-SHA1) and version 3
//! (ACS3-HMAC-SHA256), checked without a key first and with one then.
//!
//! [`parameters`] reads what a request asks, [`present`] what it claims, [`verify`] whether the
//! claim holds. What is signed is decoded and encoded again, never taken as it came over the wire:
//! clients write the same text in several ways. [src: ALIBABA.md 5 and 6] Not here: whose key it
//! is, and whether a nonce was used before.

use crate::clock;
use crate::http::{FormError, Request, parse_form, percent_encode};
use crate::mac::{hex, hmac_sha1, hmac_sha256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use subtle::ConstantTimeEq;
use thiserror::Error;

/// How far a request's time may be from the server's, in seconds.
pub const CLOCK_WINDOW_S: i64 = 900;
/// How long a nonce has to be remembered: nothing signed with it is accepted later.
pub const NONCE_KEPT_S: i64 = 2 * CLOCK_WINDOW_S + 60;

const ALGORITHM: &str = "ACS3-HMAC-SHA256";
/// What clients look for before they take the server's text out of the message. [src: ALIBABA.md 7]
const NO_MATCH: &str = "Specified signature is not matched with our calculation.";

/// The parameters of version 1 that are about the signature; written exactly so or not at all.
const V1_NAMES: [&str; 10] = [
    "AccessKeyId",
    "Action",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

/// A refusal, as the gateway of Alibaba Cloud words it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{code}: {message}")]
pub struct Fault {
    /// The code that clients act on.
    pub code: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// The text for a person.
    pub message: String,
}

impl Fault {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, status: 400, message: message.into() }
    }

    fn missing(code: &'static str, name: &str) -> Self {
        Self::new(code, format!("{name} is mandatory for this action."))
    }

    fn incomplete(why: impl fmt::Display) -> Self {
        let message = format!("The request signature does not conform to Aliyun standards. {why}");
        Self::new("IncompleteSignature", message)
    }

    fn method(found: &str) -> Self {
        let message = format!("Specified signature method is not valid: {found}.");
        Self::new("InvalidSignatureMethod", message)
    }

    fn malformed(error: FormError) -> Self {
        Self::new("InvalidParameter", format!("The parameters do not read: {error}."))
    }
}

/// Which signature a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Parameters, HMAC-SHA1.
    V1,
    /// Headers, HMAC-SHA256.
    V3,
}

/// What a request asks: query and form together, decoded, each name once.
pub type Parameters = BTreeMap<String, String>;

/// What a request claims, well-formed but not yet believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Presented {
    /// Which signature it carries.
    pub scheme: Scheme,
    /// The access key id, byte for byte as sent.
    pub key_id: String,
    /// The session token.
    pub token: Option<String>,
    /// When it was signed, in seconds since 1970.
    pub time: i64,
    /// What makes it one of a kind.
    nonce: String,
    /// The signature: 20 bytes in version 1, 32 in version 3.
    signature: Vec<u8>,
    /// The names of the signed headers: lower-case, ascending, each present once. Version 3 only.
    signed_headers: Vec<String>,
}

impl fmt::Debug for Presented {
    /// Leaves out signature, nonce and token, which would let a reader of a log replay them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("scheme", &self.scheme)
            .field("key_id", &self.key_id)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

impl Presented {
    /// What a nonce is remembered by: a digest of it and of the key it was used with.
    #[must_use]
    pub fn nonce_digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.key_id.as_bytes());
        hash.update([0]);
        hash.update(self.nonce.as_bytes());
        hex(&hash.finalize()).chars().take(32).collect()
    }
}

/// The parameters of a request, out of its query and, for a `POST`, its form.
///
/// Errors: a method other than `GET` and `POST`; what does not decode; a name that stands twice,
/// also where only the case of its letters differs between query and body; a body that is no form.
pub fn parameters(request: &Request) -> Result<Parameters, Fault> {
    let is_post = match request.method.as_str() {
        "POST" => true,
        "GET" => false,
        _ => {
            let message = "Expected the method GET or POST.";
            return Err(Fault::new("UnsupportedHTTPMethod", message));
        }
    };
    let mut all = parse_form(&request.query).map_err(Fault::malformed)?;
    if !request.body.is_empty() {
        if !is_post || !request.has_form() {
            let message = "Expected a body only with POST, and only a form.";
            return Err(Fault::new("InvalidParameter", message));
        }
        let body =
            str::from_utf8(&request.body).map_err(|_| Fault::malformed(FormError::NotUtf8))?;
        let form = parse_form(body).map_err(Fault::malformed)?;
        let folded = |(name, _): &(String, String)| name.to_ascii_lowercase();
        let in_query: BTreeSet<String> = all.iter().map(folded).collect();
        if form.iter().any(|pair| in_query.contains(&folded(pair))) {
            return Err(Fault::malformed(FormError::InQueryAndBody));
        }
        all.extend(form);
    }
    let mut parameters = Parameters::new();
    for (name, value) in all {
        let known = V1_NAMES.iter().find(|known| known.eq_ignore_ascii_case(&name));
        if known.is_some_and(|known| *known != name) {
            let message = format!("The parameter `{name}` is not written as expected.");
            return Err(Fault::new("InvalidParameter", message));
        }
        if let Some(twice) = parameters.insert(name.clone(), value) {
            drop(twice);
            let message = format!("The parameter `{name}` is given twice.");
            return Err(Fault::new("InvalidParameter", message));
        }
    }
    Ok(parameters)
}

/// Reads the claim of a request; `None` when it carries no signature at all.
///
/// Checks all that needs no key: one carrier, no duplicates, a known algorithm, and that every
/// header that could be acted on is signed.
pub fn present(request: &Request, parameters: &Parameters) -> Result<Option<Presented>, Fault> {
    request.check_lines(is_acted_on).map_err(Fault::incomplete)?;
    let in_parameters = ["Signature", "AccessKeyId", "SignatureMethod", "SignatureNonce"]
        .iter()
        .any(|name| parameters.contains_key(*name));
    match (request.header("authorization"), in_parameters) {
        (None, false) => Ok(None),
        (Some(_), true) => Err(Fault::incomplete(
            "It must be in the Authorization header or in the parameters, not in both.",
        )),
        (Some(authorization), false) => present_v3(request, authorization).map(Some),
        (None, true) => present_v1(parameters).map(Some),
    }
}

/// Whether the `Authorization` header is one of version 3.
pub fn is_v3(request: &Request) -> bool {
    let authorization = request.header("authorization").unwrap_or_default();
    authorization.split_once(' ').is_some_and(|(algorithm, _)| algorithm == ALGORITHM)
}

/// Reads the claim of a request of version 3 that another service received and forwarded in parts.
/// In version 1 nothing binds a request to who received it, so none is taken.
pub fn present_forwarded(request: &Request) -> Result<Presented, Fault> {
    request.check_lines(is_acted_on).map_err(Fault::incomplete)?;
    present_v3(request, request.header("authorization").unwrap_or_default())
}

/// Headers that may change what a request means: they must be signed.
fn is_acted_on(name: &str) -> bool {
    name.starts_with("x-acs-") || name.starts_with("x-linkrole-")
}

fn present_v1(parameters: &Parameters) -> Result<Presented, Fault> {
    let get = |name: &str| parameters.get(name).map(String::as_str);
    // Other carriers of identity are not built, so they are refused: bearer tokens, private keys.
    if let Some(other) = get("SignatureType").filter(|text| !text.is_empty()) {
        return Err(Fault::method(other));
    }
    match get("SignatureMethod") {
        Some("HMAC-SHA1") => {}
        Some(other) => return Err(Fault::method(other)),
        None => return Err(Fault::missing("MissingSignatureMethod", "SignatureMethod")),
    }
    if get("SignatureVersion") != Some("1.0") {
        return Err(Fault::incomplete("Expected SignatureVersion 1.0."));
    }
    let key_id = get("AccessKeyId").filter(|text| !text.is_empty());
    let key_id = key_id.ok_or_else(|| Fault::missing("MissingAccessKeyId", "AccessKeyId"))?;
    let nonce = get("SignatureNonce").filter(|text| !text.is_empty());
    let nonce = nonce.ok_or_else(|| Fault::missing("MissingSignatureNonce", "SignatureNonce"))?;
    let time = get("Timestamp").filter(|text| !text.is_empty());
    let time = time.ok_or_else(|| Fault::missing("MissingTimestamp", "Timestamp"))?;
    let signature = get("Signature").filter(|text| !text.is_empty());
    let signature = signature.ok_or_else(|| Fault::missing("MissingSignature", "Signature"))?;
    Ok(Presented {
        scheme: Scheme::V1,
        key_id: key_id.to_owned(),
        token: get("SecurityToken").map(str::to_owned),
        time: parse_time(time)?,
        nonce: nonce.to_owned(),
        signature: STANDARD.decode(signature).unwrap_or_default(),
        signed_headers: Vec::new(),
    })
}

fn present_v3(request: &Request, authorization: &str) -> Result<Presented, Fault> {
    let (algorithm, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if algorithm != ALGORITHM {
        return Err(Fault::method(algorithm));
    }
    let mut parts: BTreeMap<&str, &str> = BTreeMap::new();
    for pair in rest.split(',').map(str::trim) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let known = ["Credential", "SignedHeaders", "Signature"].contains(&name);
        if !known || value.is_empty() || parts.insert(name, value).is_some() {
            return Err(Fault::incomplete(
                "Expected Credential, SignedHeaders and Signature, each once.",
            ));
        }
    }
    let (Some(key_id), Some(signed), Some(signature)) =
        (parts.get("Credential"), parts.get("SignedHeaders"), parts.get("Signature"))
    else {
        return Err(Fault::incomplete("Expected Credential, SignedHeaders and Signature."));
    };
    let header = |name: &str| request.header(name).filter(|text| !text.is_empty());
    let time = header("x-acs-date").ok_or_else(|| Fault::missing("MissingDate", "x-acs-date"))?;
    let nonce = header("x-acs-signature-nonce")
        .ok_or_else(|| Fault::missing("MissingSignatureNonce", "x-acs-signature-nonce"))?;
    if header("x-acs-accesskey-id").is_some_and(|stated| stated != *key_id) {
        return Err(Fault::incomplete("Credential and x-acs-accesskey-id differ."));
    }
    Ok(Presented {
        scheme: Scheme::V3,
        key_id: (*key_id).to_owned(),
        token: header("x-acs-security-token").map(str::to_owned),
        time: parse_time(time)?,
        nonce: nonce.to_owned(),
        signature: unhex(signature),
        signed_headers: signed_headers(request, signed)?,
    })
}

/// The names of the signed headers: lower-case, ascending, each there once, none left out that
/// could be acted on.
fn signed_headers(request: &Request, text: &str) -> Result<Vec<String>, Fault> {
    let names: Vec<&str> = text.split(';').collect();
    if !names.is_sorted_by(|a, b| a < b) || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(Fault::incomplete("Expected SignedHeaders in order, in small letters, once."));
    }
    if let Some(absent) = names.iter().find(|name| request.headers_named(name).count() != 1) {
        return Err(Fault::incomplete(format!("The signed header '{absent}' is not there once.")));
    }
    let present = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
    let mut must = present.filter(|name| is_acted_on(name)).chain(["host".to_owned()]);
    if let Some(unsigned) = must.find(|name| !names.contains(&name.as_str())) {
        return Err(Fault::incomplete(format!("The header '{unsigned}' must be signed.")));
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

fn parse_time(text: &str) -> Result<i64, Fault> {
    let message = "Specified time stamp or date value is not well formatted.";
    clock::parse_seconds(text).ok_or_else(|| Fault::new("InvalidTimeStamp.Format", message))
}

/// The bytes of a signature; nothing for a text that is none, which then matches no signature.
fn unhex(text: &str) -> Vec<u8> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.unwrap_or_default();
    let byte = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high << 4 | low).ok(),
        _ => None,
    };
    digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>().unwrap_or_default()
}

/// Checks that the request is of about now.
pub fn check_time(p: &Presented, now_s: i64) -> Result<(), Fault> {
    if p.time.abs_diff(now_s) <= CLOCK_WINDOW_S.unsigned_abs() {
        return Ok(());
    }
    let message = "Specified time stamp or date value is expired.";
    Err(Fault::new("InvalidTimeStamp.Expired", message))
}

/// Checks the signature of a whole request, with the body that really came.
///
/// `p` must come from [`present`] on this request. The compare takes constant time. In version 1
/// the refusal tells the text that the server signed: clients find their mistake by it, and tell a
/// wrong secret from a wrong text. [src: ALIBABA.md 7]
pub fn verify(
    p: &Presented,
    request: &Request,
    parameters: &Parameters,
    secret: &str,
) -> Result<(), Fault> {
    match p.scheme {
        Scheme::V1 => {
            let text = string_to_sign(&request.method, parameters);
            let expected = hmac_sha1(format!("{secret}&").as_bytes(), text.as_bytes());
            if bool::from(expected.as_slice().ct_eq(&p.signature)) {
                return Ok(());
            }
            let message = format!("{NO_MATCH} server string to sign is:{text}");
            Err(Fault::new("SignatureDoesNotMatch", message))
        }
        Scheme::V3 => verify_forwarded(p, request, &hex(&Sha256::digest(&request.body)), secret),
    }
}

/// Signs a request of version 3 with all headers it has; what comes back is its `authorization`. The headers must be
/// there already: `host`, `x-acs-action`, `x-acs-version`, `x-acs-date`, `x-acs-signature-nonce` and
/// `x-acs-content-sha256`. Nothing for a request without a canonical form.
pub fn sign(request: &Request, key_id: &str, secret: &str) -> Option<String> {
    let mut names: Vec<String> =
        request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    let signed = names.join(";");
    let p = Presented {
        scheme: Scheme::V3,
        key_id: key_id.to_owned(),
        token: None,
        time: 0,
        nonce: String::new(),
        signature: Vec::new(),
        signed_headers: names,
    };
    let canonical = canonical_request(&p, request, &hex(&Sha256::digest(&request.body)))?;
    let text = format!("{ALGORITHM}\n{}", hex(&Sha256::digest(&canonical)));
    let signature = hex(&hmac_sha256(secret.as_bytes(), text.as_bytes()));
    Some(format!("{ALGORITHM} Credential={key_id},SignedHeaders={signed},Signature={signature}"))
}

/// Checks the signature of a request of version 3 by the hash of its body: of a request that
/// another service received and forwarded in parts, the hash which that service took of it.
pub fn verify_forwarded(
    p: &Presented,
    request: &Request,
    body_sha256: &str,
    secret: &str,
) -> Result<(), Fault> {
    let stated = request.header("x-acs-content-sha256");
    let canonical = canonical_request(p, request, body_sha256);
    let digest = hex(&Sha256::digest(canonical.as_deref().unwrap_or_default()));
    let text = format!("{ALGORITHM}\n{digest}");
    let expected = hmac_sha256(secret.as_bytes(), text.as_bytes());
    let equal = bool::from(expected.as_slice().ct_eq(&p.signature));
    // A request without a canonical form is refused only here, after the same work.
    if equal && stated == Some(body_sha256) && canonical.is_some() {
        return Ok(());
    }
    Err(Fault::new("SignatureDoesNotMatch", NO_MATCH))
}

/// What version 1 signs: all parameters but the signature, sorted by name.
fn string_to_sign(method: &str, parameters: &Parameters) -> String {
    let signed = parameters.iter().filter(|(name, _)| *name != "Signature");
    let pairs: Vec<String> = signed
        .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
        .collect();
    format!("{method}&%2F&{}", percent_encode(&pairs.join("&")))
}

/// The canonical form of a request of version 3; `None` when it has none.
fn canonical_request(p: &Presented, request: &Request, body_hash: &str) -> Option<String> {
    let mut query = parse_form(&request.query).ok()?;
    query.sort();
    let query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
        .collect();
    let mut text = format!("{}\n{}\n{}\n", request.method, request.path, query.join("&"));
    for name in &p.signed_headers {
        let value = request.header(name)?;
        text.push_str(&format!("{name}:{}\n", value.trim()));
    }
    text.push_str(&format!("\n{}\n{body_hash}", p.signed_headers.join(";")));
    Some(text)
}
