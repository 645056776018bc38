//! How to reach Ryze: plain or with TLS, and whose certificates are trusted.

use std::sync::Arc;

use http::uri::Scheme;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem, pem::PemObject as _},
};

use super::connection::Network;
use crate::config::Ryze;

/// The configuration does not lead to a connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The base URL has no host, or one that cannot be in a certificate.
    #[error("ryze.base_url: the host is not a name or an address")]
    Host,
    /// The file of certificates cannot be read.
    #[error("ryze.ca_file: {0}")]
    CaFile(#[from] pem::Error),
    /// The certificates or the protocol versions are not usable.
    #[error("ryze.ca_file: {0}")]
    Config(#[from] rustls::Error),
}

/// The way to the Ryze of the configuration. The bundled Mozilla roots are trusted, or in their
/// place the certificates of `ca_file`.
///
/// # Errors
/// The host is not one, or `ca_file` cannot be used.
pub fn network(config: &Ryze) -> Result<Network, TlsError> {
    let host = config.base_url.host().ok_or(TlsError::Host)?;
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let secure = config.base_url.scheme() == Some(&Scheme::HTTPS);
    let tls = if secure {
        let name = ServerName::try_from(host.clone()).map_err(|_| TlsError::Host)?;
        Some((name, Arc::new(client_config(config)?)))
    } else {
        None
    };
    Ok(Network {
        host,
        port: config
            .base_url
            .port_u16()
            .unwrap_or(if secure { 443 } else { 80 }),
        tls,
        timeout: config.connect_timeout,
    })
}

fn client_config(config: &Ryze) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    match &config.ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            for certificate in CertificateDer::pem_file_iter(file)? {
                roots.add(certificate?)?;
            }
        }
    }
    Ok(
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth(),
    )
}
