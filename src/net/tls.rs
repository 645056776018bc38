//! The TLS client configuration of all connections to upstreams: TLS 1.2 and 1.3 by rustls with ring.

use std::sync::Arc;

use rustls::{ClientConfig, Error, RootCertStore, crypto::ring, pki_types::CertificateDer};

/// The root store: `trusted`, or else the bundled Mozilla roots.
///
/// # Errors
/// A certificate cannot be used.
pub fn roots(trusted: Option<&[CertificateDer<'static>]>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    match trusted {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(certificates) => {
            for certificate in certificates {
                roots.add(certificate.clone())?;
            }
        }
    }
    Ok(roots)
}

/// A client configuration with these roots and without a client certificate.
///
/// # Errors
/// The protocol versions are not usable.
pub fn client(roots: RootCertStore) -> Result<Arc<ClientConfig>, Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
