//! Asking a server in the RPC API of Alibaba Cloud's RAM, signed with version 1: everything is in the query.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use sdk::sign::percent_encode;
use sdk::{Call, Client, Credentials, Secret};
use serde_json::Value;
use std::collections::BTreeMap;

/// A server to ask, and what requests are signed with.
pub struct Ram {
    client: Client,
    credentials: Credentials,
    runtime: tokio::runtime::Runtime,
}

impl Ram {
    /// With the access key of the environment.
    pub fn signed(endpoint: &str) -> Result<Self, String> {
        let get = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let credentials = || {
            Some(Credentials {
                access_key_id: get("ALIBABA_CLOUD_ACCESS_KEY_ID")?,
                secret_access_key: Secret::new(get("ALIBABA_CLOUD_ACCESS_KEY_SECRET")?),
                session_token: get("ALIBABA_CLOUD_SECURITY_TOKEN").map(Secret::new),
            })
        };
        let credentials = credentials().ok_or(
            "no access key: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        )?;
        let client = super::remote::client(endpoint, None)?;
        Ok(Self { client, credentials, runtime: super::runtime()? })
    }

    /// Asks and waits for the answer.
    pub fn ask(&self, action: &str, params: &[(&str, &str)]) -> Result<Value, String> {
        let now_ms = crate::clock::Clock::system().now_ms();
        let (nonce, now) = (crate::clock::uuid(), wire::clock::iso_seconds(now_ms));
        let query = query(&self.credentials, action, &nonce, &now, params);
        let call = Call {
            method: "POST",
            path: "/",
            query: &query,
            content_type: None,
            body: b"",
            signing_name: "ram",
        };
        let answer = self.runtime.block_on(self.client.send(&call)).map_err(|e| e.to_string())?;
        let body = answer.success().map_err(|e| e.to_string())?;
        serde_json::from_slice(&body).map_err(|e| format!("{action}: the answer is no JSON: {e}"))
    }
}

/// The query of a request, with its signature.
fn query(
    credentials: &Credentials,
    action: &str,
    nonce: &str,
    now: &str,
    params: &[(&str, &str)],
) -> String {
    let mut all: BTreeMap<&str, &str> = params.iter().copied().collect();
    all.extend([
        ("AccessKeyId", credentials.access_key_id.as_str()),
        ("Action", action),
        ("Format", "JSON"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureNonce", nonce),
        ("SignatureVersion", "1.0"),
        ("Timestamp", now),
        ("Version", "2015-05-01"),
    ]);
    all.extend(credentials.session_token.iter().map(|token| ("SecurityToken", token.expose())));
    let pair = |(name, value): (&&str, &&str)| {
        format!("{}={}", percent_encode(name), percent_encode(value))
    };
    let query = all.iter().map(pair).collect::<Vec<_>>().join("&");
    let key = format!("{}&", credentials.secret_access_key.expose());
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    let text = format!("POST&%2F&{}", percent_encode(&query));
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    format!("{query}&Signature={}", percent_encode(&signature))
}
