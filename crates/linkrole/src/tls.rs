//! TLS of the listener: certificates of files, or made for a `dev`.
//!
//! The first byte of a connection tells whether it speaks TLS, so one port serves both where both are
//! wanted. Not here: sockets and limits (`listener`).

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The first byte of every connection that speaks TLS: the type of a handshake's record.
pub const FIRST_BYTE: u8 = 0x16;

/// How a listener speaks TLS.
#[derive(Clone)]
pub struct Tls {
    /// Takes connections.
    pub acceptor: TlsAcceptor,
    /// Whether plain connections are taken too.
    pub allows_plain: bool,
}

fn tls(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Option<RootCertStore>,
    allows_plain: bool,
) -> Result<Tls, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        // Who has no certificate is served too; who shows one that they do not vouch for is not.
        Some(roots) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|e| format!("the clients' authorities are of no use: {e}"))?,
        ),
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|e| format!("certificate and key do not go together: {e}"))?;
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), allows_plain })
}

/// TLS with a certificate chain and a key in PEM files; plain connections are not taken. With `authorities`, a PEM file
/// too, clients are asked for certificates of theirs.
///
/// Errors: a sentence for the operator.
pub fn of_files(chain: &Path, key: &Path, authorities: Option<&Path>) -> Result<Tls, String> {
    let wrong = |file: &Path, e: &dyn std::fmt::Display| {
        format!("{}: expected PEM text; {e}", file.display())
    };
    let certificates = |file: &Path| {
        let found = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| wrong(file, &e))?;
        match found.is_empty() {
            true => Err(wrong(file, &"there is no certificate in it")),
            false => Ok(found),
        }
    };
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong(key, &e))?;
    let roots = |file: &Path| {
        let mut roots = RootCertStore::empty();
        for authority in certificates(file)? {
            roots.add(authority).map_err(|e| wrong(file, &e))?;
        }
        Ok::<_, String>(roots)
    };
    tls(certificates(chain)?, private, authorities.map(roots).transpose()?, false)
}

/// The certificate that a client showed, once TLS has verified it.
pub fn client_certificate<T>(stream: &TlsStream<T>) -> Option<Arc<[u8]>> {
    let (_, connection) = stream.get_ref();
    connection.peer_certificates()?.first().map(|certificate| Arc::from(certificate.as_ref()))
}

/// TLS for this machine's own names, and the certificate to trust for it, as PEM text; made anew each time.
///
/// Errors: a sentence for the operator.
pub fn for_loopback() -> Result<(Tls, String), String> {
    let made = |e: rcgen::Error| format!("the certificate was not made: {e}");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "linkrole dev");
    let authority_key = KeyPair::generate().map_err(made)?;
    let root = authority.self_signed(&authority_key).map_err(made)?;
    let issuer = Issuer::new(authority, authority_key);
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let mut own = CertificateParams::new(names).map_err(made)?;
    own.distinguished_name.push(DnType::CommonName, "localhost");
    let key = KeyPair::generate().map_err(made)?;
    let leaf = own.signed_by(&key, &issuer).map_err(made)?;
    let private = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|e| format!("the certificate's key does not read: {e}"))?;
    let tls = tls(vec![leaf.der().clone()], private, None, true)?;
    Ok((tls, root.pem()))
}
