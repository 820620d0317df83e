//! The keys of providers of identities: fetched from the issuer, and kept for a while.
//!
//! A tenant or the operator writes an issuer's address, so a fetch goes where a tenant points: to public addresses only unless the
//! operator says otherwise (checked on the address that is connected to), over TLS, without redirects, with a limit
//! on time and size. Not here: tokens (`jwt`), and who trusts them.

use crate::jwt::KeySet;
use crate::outward::{Outward, Request, is_public};
use bytes::Bytes;
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

/// Where keys are published.
pub enum At<'a> {
    /// Where the discovery document of this issuer says.
    Issuer(&'a str),
    /// At this very address.
    Keys(&'a str),
}

/// What to fetch, and how its host is known.
pub struct Published<'a> {
    /// Where it is.
    pub at: At<'a>,
    /// Fingerprints of certificates of which one must stand in the chain; none for what this machine trusts.
    pub pins: Vec<&'a str>,
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

    /// The keys that are published at a place. `wanted` tells whether a set will do; one that will not is fetched again, if
    /// that was not done just now. What could not be fetched is an empty set; the log has the reason.
    pub async fn keys(
        &self,
        of: &Published<'_>,
        now_ms: i64,
        wanted: impl Fn(&KeySet) -> bool,
    ) -> Arc<KeySet> {
        // Pinned certificates are part of what makes keys an issuer's: others see other keys.
        let (kind, url) = match of.at {
            At::Issuer(url) => ("issuer", url),
            At::Keys(url) => ("keys", url),
        };
        let place = format!("{kind} {url} {}", of.pins.join(","));
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
            let (keys, kept_ms) = match self.fetch(of).await {
                Ok((keys, kept_ms)) => (Arc::new(keys), kept_ms),
                Err(why) => {
                    tracing::warn!(issuer = url, why, "keys of an issuer were not fetched");
                    // Keys that were good a moment ago stay so while the issuer cannot be reached.
                    let keys = if fresh { held.keys.clone() } else { Arc::default() };
                    (keys, PAUSE_MS)
                }
            };
            *held = Held { keys, fetched_ms: now_ms, until_ms: now_ms.saturating_add(kept_ms) };
        }
        held.keys.clone()
    }

    async fn fetch(&self, of: &Published<'_>) -> Result<(KeySet, i64), String> {
        let pins = of.pins.as_slice();
        match of.at {
            At::Keys(url) => self.fetch_keys(url, pins).await,
            At::Issuer(issuer) => {
                let url = self.discover(issuer, pins).await?;
                self.fetch_keys(&url, pins).await
            }
        }
    }

    /// Where the discovery document of an issuer says that its keys are.
    async fn discover(&self, issuer: &str, pins: &[&str]) -> Result<String, String> {
        let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let (document, _) = self.get(&place, pins).await?;
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
        Ok(discovery.jwks_uri)
    }

    async fn fetch_keys(&self, url: &str, pins: &[&str]) -> Result<(KeySet, i64), String> {
        let (keys, kept_ms) = self.get(url, pins).await?;
        let keys = KeySet::parse(&keys).ok_or_else(|| format!("{url}: expected a set of keys"))?;
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
