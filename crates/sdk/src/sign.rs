//! Signing: AWS Signature Version 4 in the headers of a request.
//!
//! Pure: takes the time as an argument and sends nothing. Not here: verification, which only the
//! server does, and presigned addresses, which prove no caller to it.

use crate::credentials::{Credentials, Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use zeroize::{Zeroize, Zeroizing};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
/// What is added by signing, so never taken from the given headers.
const ADDED: [&str; 4] = ["authorization", "host", "x-amz-date", "x-amz-security-token"];

/// A request that is to be signed. All of it is signed: leave out of the headers what a hop on
/// the way may change.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The host with its port, as the `host` header will say.
    pub host: &'a str,
    /// The path as it is sent, percent-encoded, without `.`, `..` and `//`.
    pub path: &'a str,
    /// The query as it is sent, without the question mark.
    pub query: &'a str,
    /// Headers beside `host`.
    pub headers: &'a [(String, String)],
    /// The body.
    pub body: &'a [u8],
}

/// The headers that sign a request: `host`, `x-amz-date`, for a session `x-amz-security-token`,
/// and `authorization`. Send them and exactly the given ones along with it.
pub fn sign(
    request: &Request<'_>,
    credentials: &Credentials,
    region: &str,
    service: &str,
    time: OffsetDateTime,
) -> Vec<(String, String)> {
    let time = time.to_offset(time::UtcOffset::UTC);
    let date = format!("{:04}{:02}{:02}", time.year(), u8::from(time.month()), time.day());
    let stamp = format!("{date}T{:02}{:02}{:02}Z", time.hour(), time.minute(), time.second());
    let mut added = vec![
        ("host".to_owned(), request.host.to_owned()),
        ("x-amz-date".to_owned(), stamp.clone()),
    ];
    if let Some(token) = &credentials.session_token {
        added.push(("x-amz-security-token".to_owned(), token.expose().to_owned()));
    }

    let given = request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let given = given.filter(|(name, _)| !ADDED.contains(&name.as_str()));
    let mut headers: Vec<(String, String)> = given
        .chain(added.iter().map(|(name, value)| (name.clone(), value)))
        .map(|(name, value)| (name, collapsed(value)))
        .collect();
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{}",
        request.method,
        canonical_path(request.path),
        canonical_query(request.query),
        sha256_hex(request.body),
    );

    let scope = format!("{date}/{region}/{service}/{TERMINATOR}");
    let text = format!("{ALGORITHM}\n{stamp}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
    let key = signing_key(&credentials.secret_access_key, &date, region, service);
    let signature = hex(&hmac(key.as_slice(), text.as_bytes()));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        credentials.access_key_id
    );
    added.push(("authorization".to_owned(), authorization));
    added
}

/// The lower-case hexadecimal SHA-256 of bytes.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The lower-case hexadecimal HMAC-SHA256 of bytes.
pub(crate) fn hmac_hex(key: &[u8], bytes: &[u8]) -> String {
    hex(&hmac(key, bytes))
}

/// Percent-encodes text for one segment of a path or one part of a query: letters, digits and
/// `-._~` stay, all else becomes `%XX`.
pub fn percent_encode(text: &str) -> String {
    encode(text.as_bytes())
}

/// The text behind percent-encoded text; `None` for a broken escape and for what is not UTF-8.
/// A plus sign stays one.
pub fn percent_decode(text: &str) -> Option<String> {
    String::from_utf8(decode(text, false)?).ok()
}

fn signing_key(secret: &Secret, date: &str, region: &str, service: &str) -> Zeroizing<[u8; 32]> {
    let secret = secret.expose().as_bytes();
    let mut key = Zeroizing::new(Vec::with_capacity(secret.len().saturating_add(4)));
    key.extend_from_slice(b"AWS4");
    key.extend_from_slice(secret);
    let mut key = Zeroizing::new(hmac(&key, date.as_bytes()));
    for part in [region, service, TERMINATOR] {
        key = Zeroizing::new(hmac(key.as_slice(), part.as_bytes()));
    }
    key
}

fn collapsed(value: &str) -> String {
    let words: Vec<&str> = value.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// The path as sent, encoded once more, slashes kept.
fn canonical_path(path: &str) -> String {
    let segments: Vec<String> = path.split('/').map(percent_encode).collect();
    if path.is_empty() { "/".to_owned() } else { segments.join("/") }
}

/// The parameters decoded, encoded again in the one way, and sorted.
pub(crate) fn canonical_query(query: &str) -> String {
    let again = |text: &str| match decode(text, true) {
        Some(bytes) => encode(&bytes),
        None => percent_encode(text),
    };
    let parts = query.split('&').filter(|part| !part.is_empty());
    let mut pairs: Vec<(String, String)> = parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (again(name), again(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn decode(text: &str, plus_is_space: bool) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            b'+' if plus_is_space => b' ',
            plain => plain,
        });
    }
    Some(decoded)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// HMAC-SHA256. The key fills a block by hand, as RFC 2104 says, so that nothing can fail.
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        let hashed: [u8; 32] = Sha256::digest(key).into();
        block.iter_mut().zip(hashed).for_each(|(slot, byte)| *slot = byte);
    } else {
        block.iter_mut().zip(key).for_each(|(slot, byte)| *slot = *byte);
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    block.zeroize();
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use serde_json::Value;
    use time::macros::datetime;

    fn credentials(token: Option<&str>) -> Credentials {
        Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            session_token: token.map(|token| Secret::new(token.to_owned())),
        }
    }

    fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
        headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// Every request of the corpus that botocore signed in its headers gets the very same
    /// `authorization` here.
    #[test]
    fn botocore_signs_the_same() {
        let corpus = include_str!("../../../corpus/sign/botocore.json");
        let corpus: Vec<Value> = serde_json::from_str(corpus).unwrap();
        let mut compared = 0;
        for case in &corpus {
            let text = |name: &str| case.get(name).and_then(Value::as_str).unwrap_or_default();
            let all: Vec<(String, String)> =
                serde_json::from_value(case.get("headers").unwrap().clone()).unwrap();
            let Some(expected) = header(&all, "authorization") else { continue };
            let (_, signed) = expected.split_once("SignedHeaders=").unwrap();
            let signed: Vec<&str> = signed.split(',').next().unwrap().split(';').collect();
            let headers: Vec<(String, String)> =
                all.iter().filter(|(name, _)| signed.contains(&name.as_str())).cloned().collect();
            let request = Request {
                method: text("method"),
                host: header(&all, "host").unwrap(),
                path: text("path"),
                query: text("query"),
                headers: &headers,
                body: text("body").as_bytes(),
            };
            let credentials = credentials(case.get("token").and_then(Value::as_str));
            let at = datetime!(2026-03-14 15:09:26 UTC);
            let added = sign(&request, &credentials, text("region"), text("service"), at);
            assert_eq!(header(&added, "authorization"), Some(expected), "{}", text("name"));
            assert_eq!(header(&added, "x-amz-date"), Some("20260314T150926Z"));
            compared += 1;
        }
        assert!(compared > 40, "only {compared} cases were compared");
    }

    #[test]
    fn what_signing_adds_is_not_taken_from_the_given_headers() {
        let headers = [
            ("X-Amz-Date".to_owned(), "19700101T000000Z".to_owned()),
            ("Host".to_owned(), "elsewhere".to_owned()),
        ];
        let request = Request {
            method: "GET",
            host: "here",
            path: "/",
            query: "",
            headers: &headers,
            body: b"",
        };
        let at = datetime!(2026-03-14 16:09:26 +1);
        let added = sign(&request, &credentials(None), "local-1", "iam", at);
        let bare = Request { headers: &[], ..request };
        assert_eq!(added, sign(&bare, &credentials(None), "local-1", "iam", at));
        assert_eq!(header(&added, "host"), Some("here"));
        assert_eq!(header(&added, "x-amz-date"), Some("20260314T150926Z"));
    }

    #[test]
    fn percent_text_goes_both_ways() {
        assert_eq!(percent_encode("a/ü ~"), "a%2F%C3%BC%20~");
        assert_eq!(percent_decode("a%2F%C3%BC%20~+").as_deref(), Some("a/ü ~+"));
        assert_eq!(percent_decode("%2"), None);
        assert_eq!(percent_decode("%FF"), None);
    }
}
