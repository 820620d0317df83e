//! The signed parts of a request that a service received, to be shown to linkrole. The service
//! itself neither checks the signature nor could: it knows no caller's key.

use crate::error::Error;
use crate::sign::sha256_hex;
use serde::Serialize;
use std::fmt;

/// The signed parts of a received request.
///
/// It proves its caller for minutes only and for this service alone; it is not to be stored.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Forwarded {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body_sha256: String,
}

impl Forwarded {
    /// Takes from a request what its signature covers: method, raw path, raw query, the signed
    /// headers, and the hash of the whole body. Of all other headers linkrole learns nothing.
    ///
    /// Every line of a signed header is taken, so that a double one is refused by linkrole.
    ///
    /// Errors: [`Error::Unsigned`] when there is no signature in the headers.
    pub fn new(
        method: &str,
        path: &str,
        query: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Self, Error> {
        let named = |wanted: &str| {
            headers
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.as_str())
                .collect::<Vec<_>>()
        };
        let lines = named("authorization");
        let authorization = lines.first().ok_or(Error::Unsigned("none"))?;
        let signed = part(authorization, "SignedHeaders")
            .ok_or(Error::Unsigned("one without SignedHeaders"))?;
        let mut taken = Vec::new();
        for name in signed.split(';').filter(|name| *name != "authorization") {
            let values = named(name).into_iter();
            taken.extend(values.map(|value| (name.to_ascii_lowercase(), value.to_owned())));
        }
        taken.extend(lines.into_iter().map(|line| ("authorization".to_owned(), line.to_owned())));
        Ok(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: taken,
            body_sha256: sha256_hex(body),
        })
    }
}

impl fmt::Debug for Forwarded {
    /// Leaves out the headers, which would let a reader of a log replay the request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// One of the parts of an `Authorization` header.
fn part<'a>(authorization: &'a str, name: &str) -> Option<&'a str> {
    let (_, parts) = authorization.split_once(' ')?;
    parts.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    fn headers(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=AKID/20260314/local-1/shelf/aws4_request, \
        SignedHeaders=host;x-amz-date, Signature=00";

    #[test]
    fn only_the_signed_headers_and_the_authorization_are_taken() {
        let sent = headers(&[
            ("Host", "127.0.0.1:9"),
            ("cookie", "private"),
            ("X-Amz-Date", "20260314T150926Z"),
            ("x-forwarded-for", "10.0.0.1"),
            ("Authorization", AUTHORIZATION),
        ]);
        let forwarded = Forwarded::new("PUT", "/a%2Fb", "x=1", &sent, b"data").unwrap();
        assert_eq!(
            serde_json::to_value(&forwarded).unwrap(),
            serde_json::json!({
                "method": "PUT",
                "path": "/a%2Fb",
                "query": "x=1",
                "headers": [
                    ["host", "127.0.0.1:9"],
                    ["x-amz-date", "20260314T150926Z"],
                    ["authorization", AUTHORIZATION],
                ],
                "body_sha256": "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7",
            })
        );
        assert!(!format!("{forwarded:?}").contains("Signature"));
    }

    #[test]
    fn double_lines_are_shown_as_they_came() {
        let sent = headers(&[
            ("host", "a"),
            ("host", "b"),
            ("authorization", AUTHORIZATION),
            ("authorization", "other"),
        ]);
        let forwarded = Forwarded::new("GET", "/", "", &sent, b"").unwrap();
        let names: Vec<&str> = forwarded.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["host", "host", "authorization", "authorization"]);
    }

    #[test]
    fn requests_of_alibaba_clouds_clients_are_taken_too() {
        let signature =
            "ACS3-HMAC-SHA256 Credential=LTAI1,SignedHeaders=host;x-acs-date,Signature=00";
        let sent = headers(&[
            ("host", "a"),
            ("x-acs-date", "2026-03-14T15:09:26Z"),
            ("x-acs-more", "1"),
            ("authorization", signature),
        ]);
        let forwarded = Forwarded::new("POST", "/", "", &sent, b"").unwrap();
        let names: Vec<&str> = forwarded.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["host", "x-acs-date", "authorization"]);
    }

    #[test]
    fn an_unsigned_request_is_not_forwarded() {
        let sent = headers(&[("host", "a")]);
        let error = Forwarded::new("GET", "/", "", &sent, b"").unwrap_err();
        assert_eq!(error, Error::Unsigned("none"));
        let sent = headers(&[("authorization", "Bearer x")]);
        assert!(Forwarded::new("GET", "/", "", &sent, b"").is_err());
    }
}
