//! Whom a client believes to be a server: the authorities that this machine trusts, or those in a file.

use crate::error::Error;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// Trusts the certificates in a PEM file; without one, what the machine trusts (`SSL_CERT_FILE` names another file).
///
/// Errors: [`Error::File`]; [`Error::Argument`] when nothing is there to trust.
pub(crate) fn config(file: Option<&Path>) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(path) => {
            let read = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|e| Error::file(path, &format!("expected PEM text; {e}")))?;
            roots.add_parsable_certificates(read);
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        let place = file.map_or("this machine".to_owned(), |path| path.display().to_string());
        return Err(Error::Argument(format!(
            "{place}: expected certificates to trust; found none"
        )));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| Error::Argument(format!("TLS is not there: {e}")))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
