//! The keys of providers of identities: fetched from the issuer, and kept for a while.
//!
//! A tenant writes an issuer's address, so a fetch goes where a tenant points: to public addresses only unless the
//! operator says otherwise (checked on the address that is connected to), over TLS, without redirects, with a limit
//! on time and size. Not here: tokens (`jwt`), and who trusts them.

use crate::jwt::{self, KeySet};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use iam::rows::OidcProvider;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

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
    /// Read when it is first needed: most servers start without ever fetching anything.
    trust: OnceLock<Arc<RootCertStore>>,
    allows_private: bool,
    held: Mutex<HashMap<String, Arc<Mutex<Held>>>>,
}

impl Issuers {
    /// Trusts what this machine trusts. `allows_private` lets fetches reach addresses that are not public.
    pub fn new(allows_private: bool) -> Self {
        Self { trust: OnceLock::new(), allows_private, held: Mutex::default() }
    }

    fn trust(&self) -> &Arc<RootCertStore> {
        self.trust.get_or_init(|| {
            let mut trust = RootCertStore::empty();
            trust.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(trust)
        })
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
        let config = Arc::new(client(self.trust(), &pins)?);
        let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let (document, _) = self.get(&place, config.clone()).await?;
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
        let (keys, kept_ms) = self.get(&discovery.jwks_uri, config).await?;
        let keys = KeySet::parse(&keys)
            .ok_or_else(|| format!("{}: expected a set of keys", discovery.jwks_uri))?;
        Ok((keys, kept_ms))
    }

    /// One document, and for how many milliseconds it may be kept.
    async fn get(&self, url: &str, tls: Arc<ClientConfig>) -> Result<(Bytes, i64), String> {
        match tokio::time::timeout(FETCH, self.get_slowly(url, tls)).await {
            Ok(done) => done.map_err(|why| format!("{url}: {why}")),
            Err(_) => Err(format!("{url}: it took longer than {} s", FETCH.as_secs())),
        }
    }

    async fn get_slowly(&self, url: &str, tls: Arc<ClientConfig>) -> Result<(Bytes, i64), String> {
        let uri: hyper::Uri = url.parse().map_err(|_| "it is no address".to_owned())?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("https"));
        let host = host.ok_or("expected an address with `https://` and a host")?;
        let stream = self.connect(host, uri.port_u16().unwrap_or(443)).await?;
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|e| e.to_string())?;
        let stream =
            TlsConnector::from(tls).connect(name, stream).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
                .await
                .map_err(|e| e.to_string())?;
        let driver = tokio::spawn(connection);
        let request = hyper::Request::get(uri.path_and_query().map_or("/", |p| p.as_str()))
            .header("host", uri.authority().map_or(host, |a| a.as_str()))
            .header("accept", "application/json")
            .body(Empty::new())
            .map_err(|e| e.to_string())?;
        let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
        if answer.status() != hyper::StatusCode::OK {
            return Err(format!("it answered {}; redirects are not followed", answer.status()));
        }
        let control = answer.headers().get("cache-control").and_then(|v| v.to_str().ok());
        let kept_ms = kept_ms(control.unwrap_or_default());
        let body = Limited::new(answer.into_body(), DOCUMENT).collect().await;
        driver.abort();
        let body =
            body.map_err(|e| format!("it was not read, or is above {DOCUMENT} bytes: {e}"))?;
        Ok((body.to_bytes(), kept_ms))
    }

    /// Connects to an address that may be reached: the check is on what is connected to, so a name that points
    /// elsewhere by then gains nothing.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, String> {
        let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
        let mut last = "its host has no address".to_owned();
        for address in found.map_err(|e| e.to_string())? {
            if !self.allows_private && !is_public(address.ip()) {
                last = format!("{} is no public address; see `--private-issuers`", address.ip());
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error.to_string(),
            }
        }
        Err(last)
    }
}

/// What `max-age` says, within our limits.
fn kept_ms(control: &str) -> i64 {
    let age = control.split(',').find_map(|part| part.trim().strip_prefix("max-age="));
    let seconds: i64 = age.and_then(|text| text.parse().ok()).unwrap_or(0);
    seconds.saturating_mul(1_000).clamp(KEPT_MS.0, KEPT_MS.1)
}

/// Whether an address is one of the open Internet. [src: IANA's registries of special-purpose addresses]
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let special = v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || matches!((a, b, c), (0 | 240.., _, _) | (100, 64..=127, _) | (192, 0, 0))
                || matches!((a, b, c), (198, 18 | 19, _) | (192, 88, 99));
            !special
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            // Global unicast is 2000::/3; of it, tunnels and documentation lead elsewhere or nowhere.
            let tunnels = matches!((a, b), (0x2001, 0..=0x1ff | 0xdb8) | (0x2002, _) | (0x3fff, _));
            a & 0xe000 == 0x2000 && !tunnels
        }
    }
}

/// A client that trusts what the machine trusts or, where certificates are pinned, only chains with one of them.
fn client(trust: &Arc<RootCertStore>, pins: &[&str]) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    if pins.is_empty() {
        return Ok(builder.with_root_certificates(trust.clone()).with_no_client_auth());
    }
    let pins = pins.iter().map(|&pin| pin.to_owned()).collect();
    let verifier = Arc::new(Pinned { pins, provider });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Takes a chain in which a pinned certificate stands, with that one as its only anchor: names, times and signatures
/// are checked like in any other.
#[derive(Debug)]
struct Pinned {
    pins: Vec<String>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut anchors = RootCertStore::empty();
        let shown = std::iter::once(end_entity).chain(intermediates);
        for certificate in shown.filter(|c| self.pins.contains(&jwt::fingerprint(c))) {
            anchors.add(certificate.clone().into_owned())?;
        }
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(anchors), self.provider.clone())
                .build()
                .map_err(|_| rustls::CertificateError::UnknownIssuer)?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_e07_only_addresses_of_the_open_internet_are_reached() {
        let parse = |text: &str| text.parse::<IpAddr>();
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "100::1",
        ] {
            assert_eq!(parse(text).map(is_public), Ok(false), "{text}");
        }
        for text in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert_eq!(parse(text).map(is_public), Ok(true), "{text}");
        }
    }

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
