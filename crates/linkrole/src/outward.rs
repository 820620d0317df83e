//! Requests that the server itself makes: to identity providers for their keys, to linked services about their roles.
//!
//! Each goes to one address that is looked up once and checked when it is connected to, so a name that points elsewhere
//! a moment later gains nothing. No redirect is followed, an answer has a limit on time and size, and no credential
//! travels that the caller does not put there.

use crate::jwt;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::HeaderMap;
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// One request.
pub struct Request<'a> {
    /// The method.
    pub method: &'static str,
    /// The address: `https://`, or `http://` to this machine itself.
    pub url: &'a str,
    /// Headers beside `host`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Fingerprints of certificates of which one must stand in the chain; none for what this machine trusts.
    pub pins: &'a [&'a str],
    /// Longest time from the look-up of the host to the last byte.
    pub time: Duration,
    /// Largest answer, in bytes.
    pub limit: usize,
    /// Whether `http://` to this machine itself is taken.
    pub allows_plain: bool,
}

impl<'a> Request<'a> {
    /// A request for a document.
    pub fn get(url: &'a str, pins: &'a [&'a str], time: Duration, limit: usize) -> Self {
        let headers = vec![("accept".to_owned(), "application/json".to_owned())];
        let (method, body) = ("GET", Bytes::new());
        Self { method, url, headers, body, pins, time, limit, allows_plain: false }
    }
}

/// An answer of status 200.
pub struct Got {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

type Found = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// Makes requests.
pub struct Outward {
    /// Read when it is first needed: most servers start without ever fetching anything.
    trust: OnceLock<Arc<RootCertStore>>,
    look_up: fn(String, u16) -> Found,
}

impl Default for Outward {
    fn default() -> Self {
        Self { trust: OnceLock::new(), look_up }
    }
}

/// The addresses that the system knows a host by.
fn look_up(host: String, port: u16) -> Found {
    Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), port)).await?.collect()) })
}

impl Outward {
    /// Asks another than the system where hosts are.
    #[cfg(test)]
    pub fn looking_up(look_up: fn(String, u16) -> Found) -> Self {
        Self { look_up, ..Self::default() }
    }

    fn trust(&self) -> &Arc<RootCertStore> {
        self.trust.get_or_init(|| {
            let mut trust = RootCertStore::empty();
            trust.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(trust)
        })
    }

    /// Sends a request to an address that `may_reach` lets through.
    ///
    /// Errors: a sentence; any status but 200 is one.
    pub async fn send(
        &self,
        request: &Request<'_>,
        may_reach: impl Fn(SocketAddr) -> Result<(), String>,
    ) -> Result<Got, String> {
        match tokio::time::timeout(request.time, self.send_slowly(request, may_reach)).await {
            Ok(done) => done,
            Err(_) => Err(format!("it took longer than {} s", request.time.as_secs())),
        }
    }

    async fn send_slowly(
        &self,
        request: &Request<'_>,
        may_reach: impl Fn(SocketAddr) -> Result<(), String>,
    ) -> Result<Got, String> {
        let uri: hyper::Uri = request.url.parse().map_err(|_| "it is no address".to_owned())?;
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().filter(|_| is_tls || uri.scheme_str() == Some("http"));
        let host = host.ok_or("expected an address with `https://` and a host")?;
        let bare = host.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = self.connect(bare.clone(), port, |address| {
            if !(is_tls || request.allows_plain && address.ip().is_loopback()) {
                return Err("expected an address with `https://`".to_owned());
            }
            may_reach(address)
        });
        let stream = stream.await?;
        let authority = uri.authority().map_or(host, |a| a.as_str());
        let mut parts = hyper::Request::builder()
            .method(request.method)
            .uri(uri.path_and_query().map_or("/", |p| p.as_str()))
            .header("host", authority);
        for (name, value) in request.headers.iter().filter(|(name, _)| name != "host") {
            parts = parts.header(name, value);
        }
        let parts = parts.body(Full::new(request.body.clone())).map_err(|e| e.to_string())?;
        if !is_tls {
            return exchange(stream, parts, request.limit).await;
        }
        let tls = Arc::new(client(self.trust(), request.pins)?);
        let name = ServerName::try_from(bare).map_err(|e| e.to_string())?;
        let stream =
            TlsConnector::from(tls).connect(name, stream).await.map_err(|e| e.to_string())?;
        exchange(stream, parts, request.limit).await
    }

    /// Connects to an address that may be reached: the check is on what is connected to.
    async fn connect(
        &self,
        host: String,
        port: u16,
        may_reach: impl Fn(SocketAddr) -> Result<(), String>,
    ) -> Result<TcpStream, String> {
        let mut last = "its host has no address".to_owned();
        for address in (self.look_up)(host, port).await.map_err(|e| e.to_string())? {
            if let Err(why) = may_reach(address) {
                last = why;
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

/// Sends a request over a connection of its own and reads the answer.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: hyper::Request<Full<Bytes>>,
    limit: usize,
) -> Result<Got, String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    // It ends with this function, whatever comes: nothing is left behind at a peer that hangs.
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
    if answer.status() != hyper::StatusCode::OK {
        return Err(format!("it answered {}; redirects are not followed", answer.status()));
    }
    let headers = answer.headers().clone();
    let body = Limited::new(answer.into_body(), limit).collect().await;
    let body = body.map_err(|e| format!("it was not read, or is above {limit} bytes: {e}"))?;
    Ok(Got { headers, body: body.to_bytes() })
}

/// Whether an address is one of the open Internet. [src: IANA's registries of special-purpose addresses]
pub fn is_public(ip: IpAddr) -> bool {
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

impl Pinned {
    /// A pin is a SHA-256 or, as identity providers are pinned, a SHA-1 of the certificate.
    fn fits(&self, certificate: &CertificateDer<'_>) -> bool {
        let sha1 = jwt::fingerprint(certificate);
        let sha256 = sdk::sign::sha256_hex(certificate);
        self.pins.iter().any(|pin| *pin == sha1 || *pin == sha256)
    }
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
        for certificate in shown.filter(|c| self.fits(c)) {
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
}
