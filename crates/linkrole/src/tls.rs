//! TLS of the listener: certificates of files, or made for a `dev`.
//!
//! The first byte of a connection tells whether it speaks TLS, so one port serves both where both are
//! wanted. Not here: sockets and limits (`listener`).

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

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
    allows_plain: bool,
) -> Result<Tls, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| format!("certificate and key do not go together: {e}"))?;
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), allows_plain })
}

/// TLS with a certificate chain and a key in PEM files; plain connections are not taken.
///
/// Errors: a sentence for the operator.
pub fn of_files(chain: &Path, key: &Path) -> Result<Tls, String> {
    let wrong = |file: &Path, e: &dyn std::fmt::Display| {
        format!("{}: expected PEM text; {e}", file.display())
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong(chain, &e))?;
    if certificates.is_empty() {
        return Err(wrong(chain, &"there is no certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong(key, &e))?;
    tls(certificates, private, false)
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
    let tls = tls(vec![leaf.der().clone()], private, true)?;
    Ok((tls, root.pem()))
}
