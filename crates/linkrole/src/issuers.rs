//! The keys of providers of identities: fetched from the issuer, and kept for a while.
//!
//! A tenant writes an issuer's address, so a fetch goes where a tenant points: to public addresses only unless the
//! operator says otherwise (checked on the address that is connected to), over TLS, without redirects, with a limit
//! on time and size. Not here: tokens (`jwt`), and who trusts them.

use crate::jwt::KeySet;
use crate::outward::{Outward, Request, is_public};
use bytes::Bytes;
use iam::rows::OidcProvider;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Longest time that a document may take, from the look-up of its host to its last byte.
const FETCH: Duration = Duration::from_secs(3);
/// Largest document, in bytes.
const DOCUMENT: usize = 65_536;
/// How long keys are kept at least, unless a token names another key, and at most, in milliseconds.
const KEPT_MS: (i64, i64) = (60_000, 3_600_000);
/// How long after a fetch, good or bad, none is made for the same issuer, in milliseconds.
const PAUSE_MS: i64 = 10_000;
/// Issuers whose keys are kept; beyond it the ones that ended give way.
const ISSUERS: usize = 4_096;

/// What is known of one issuer's keys.
#[derive(Clone, Default)]
struct Held {
    keys: Arc<KeySet>,
    fetched_ms: i64,
    until_ms: i64,
}

/// Fetches and keeps keys.
pub struct Issuers {
    outward: Arc<Outward>,
    allows_private: bool,
    held: Mutex<HashMap<String, Arc<Mutex<Held>>>>,
}

impl Issuers {
    /// `allows_private` lets fetches reach addresses that are not public.
    pub fn new(outward: Arc<Outward>, allows_private: bool) -> Self {
        Self { outward, allows_private, held: Mutex::default() }
    }

    /// The keys of a provider's issuer. `wanted` tells whether a set will do; one that will not is fetched again, if
    /// that was not done just now. What could not be fetched is an empty set; the log has the reason.
    pub async fn keys(
        &self,
        provider: &OidcProvider,
        now_ms: i64,
        wanted: impl Fn(&KeySet) -> bool,
    ) -> Arc<KeySet> {
        // Pinned certificates are part of what makes keys an issuer's: others see other keys.
        let pins: Vec<&str> = provider.fingerprints.iter().map(|f| f.as_str()).collect();
        let place = format!("{} {}", provider.issuer, pins.join(","));
        let held = {
            let mut all = self.held.lock().await;
            if all.len() >= ISSUERS {
                all.retain(|_, held| held.try_lock().map_or(true, |held| held.until_ms > now_ms));
            }
            all.entry(place).or_default().clone()
        };
        // Whoever comes while keys are fetched waits for them.
        let mut held = held.lock().await;
        let rested = now_ms.saturating_sub(held.fetched_ms) >= PAUSE_MS;
        let fresh = held.until_ms > now_ms;
        if rested && !(fresh && wanted(&held.keys)) {
            let (keys, kept_ms) = match self.fetch(provider).await {
                Ok((keys, kept_ms)) => (Arc::new(keys), kept_ms),
                Err(why) => {
                    tracing::warn!(issuer = %provider.issuer, why, "keys of an issuer were not fetched");
                    // Keys that were good a moment ago stay so while the issuer cannot be reached.
                    let keys = if fresh { held.keys.clone() } else { Arc::default() };
                    (keys, PAUSE_MS)
                }
            };
            *held = Held { keys, fetched_ms: now_ms, until_ms: now_ms.saturating_add(kept_ms) };
        }
        held.keys.clone()
    }

    async fn fetch(&self, provider: &OidcProvider) -> Result<(KeySet, i64), String> {
        let issuer = provider.issuer.as_str();
        let pins: Vec<&str> = provider.fingerprints.iter().map(|f| f.as_str()).collect();
        let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let (document, _) = self.get(&place, &pins).await?;
        #[derive(serde::Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        let discovery: Discovery = serde_json::from_slice(&document)
            .map_err(|_| format!("{place}: expected `issuer` and `jwks_uri`"))?;
        if discovery.issuer != issuer {
            return Err(format!("{place}: it is of another issuer, {}", discovery.issuer));
        }
        let (keys, kept_ms) = self.get(&discovery.jwks_uri, &pins).await?;
        let keys = KeySet::parse(&keys)
            .ok_or_else(|| format!("{}: expected a set of keys", discovery.jwks_uri))?;
        Ok((keys, kept_ms))
    }

    /// One document, and for how many milliseconds it may be kept.
    async fn get(&self, url: &str, pins: &[&str]) -> Result<(Bytes, i64), String> {
        let request = Request::get(url, pins, FETCH, DOCUMENT);
        let got = self.outward.send(&request, |address| self.may_reach(address)).await;
        let got = got.map_err(|why| format!("{url}: {why}"))?;
        let control = got.headers.get("cache-control").and_then(|v| v.to_str().ok());
        Ok((got.body, kept_ms(control.unwrap_or_default())))
    }

    fn may_reach(&self, address: SocketAddr) -> Result<(), String> {
        if self.allows_private || is_public(address.ip()) {
            return Ok(());
        }
        Err(format!("{} is no public address; see `--private-issuers`", address.ip()))
    }
}

/// What `max-age` says, within our limits.
fn kept_ms(control: &str) -> i64 {
    let age = control.split(',').find_map(|part| part.trim().strip_prefix("max-age="));
    let seconds: i64 = age.and_then(|text| text.parse().ok()).unwrap_or(0);
    seconds.saturating_mul(1_000).clamp(KEPT_MS.0, KEPT_MS.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_as_long_as_the_issuer_says_within_limits() {
        for (control, kept) in [
            ("", 60_000),
            ("no-store", 60_000),
            ("max-age=0", 60_000),
            ("public, max-age=600", 600_000),
            ("max-age=99999999999", 3_600_000),
            ("max-age=-5", 60_000),
            ("max-age=x", 60_000),
        ] {
            assert_eq!(kept_ms(control), kept, "{control}");
        }
    }
}
