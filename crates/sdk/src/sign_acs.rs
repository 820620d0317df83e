//! Signing: version 3 of Alibaba Cloud's signatures (ACS3-HMAC-SHA256), for requests in its RPC style.
//!
//! Pure: takes the time and the nonce as arguments and sends nothing. Not here: verification, which only
//! the server does, and version 1.

use crate::credentials::Credentials;
use crate::sign::{canonical_query, hmac_hex, sha256_hex};
use time::OffsetDateTime;

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// A request that is to be signed: a POST to `/` without a body, whose parameters are its query.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The host with its port, as the `host` header will say.
    pub host: &'a str,
    /// The version of the API, which also says whose it is.
    pub version: &'a str,
    /// The operation.
    pub action: &'a str,
    /// The query as it is sent, without the question mark.
    pub query: &'a str,
}

/// The headers that sign a request, all of them signed but `authorization`. No two requests of a key may
/// have the same nonce.
pub fn sign(
    request: &Request<'_>,
    credentials: &Credentials,
    time: OffsetDateTime,
    nonce: &str,
) -> Vec<(String, String)> {
    let time = time.to_offset(time::UtcOffset::UTC);
    let date = format!("{:04}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day());
    let stamp = format!("{date}T{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second());
    let body = sha256_hex(b"");
    let mut headers = vec![
        ("host".to_owned(), request.host.to_owned()),
        ("x-acs-action".to_owned(), request.action.to_owned()),
        ("x-acs-content-sha256".to_owned(), body.clone()),
        ("x-acs-date".to_owned(), stamp),
    ];
    if let Some(token) = &credentials.session_token {
        headers.push(("x-acs-security-token".to_owned(), token.expose().to_owned()));
    }
    headers.push(("x-acs-signature-nonce".to_owned(), nonce.to_owned()));
    headers.push(("x-acs-version".to_owned(), request.version.to_owned()));
    // They stand in the order of their names, as the signature wants them.
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical =
        format!("POST\n/\n{}\n{lines}\n{names}\n{body}", canonical_query(request.query));
    let text = format!("{ALGORITHM}\n{}", sha256_hex(canonical.as_bytes()));
    let secret = credentials.secret_access_key.expose();
    let signature = hmac_hex(secret.as_bytes(), text.as_bytes());
    let id = &credentials.access_key_id;
    let authorization =
        format!("{ALGORITHM} Credential={id},SignedHeaders={names},Signature={signature}");
    headers.push(("authorization".to_owned(), authorization));
    headers
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use crate::credentials::Secret;
    use time::macros::datetime;

    #[test]
    fn the_signature_is_the_one_that_the_rule_gives() {
        let credentials = Credentials {
            access_key_id: "LTAItestid000000000001".to_owned(),
            secret_access_key: Secret::new("testsecret0000000000000000000001".to_owned()),
            session_token: Some(Secret::new("token".to_owned())),
        };
        let request = Request {
            host: "127.0.0.1:34169",
            version: "2020-03-31",
            action: "CreateServiceLinkedRole",
            query: "ServiceName=config.aliyuncs.com&CustomSuffix=a+b%2A~",
        };
        let headers = sign(&request, &credentials, datetime!(2026-11-23 01:48:16 UTC), "n1");
        let (name, authorization) = headers.last().unwrap();
        assert_eq!(name, "authorization");
        // Computed apart from this code, by the rule of the vendor's documentation.
        assert_eq!(
            authorization,
            "ACS3-HMAC-SHA256 Credential=LTAItestid000000000001,SignedHeaders=host;x-acs-action;\
             x-acs-content-sha256;x-acs-date;x-acs-security-token;x-acs-signature-nonce;\
             x-acs-version,Signature=67fd555a2a11bc183d06768af72ea6d3662df429d073137cc4bc7c225a9f794f"
        );
    }
}
