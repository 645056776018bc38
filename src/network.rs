//! The way to an upstream: name, address, TCP and TLS, whichever vendor is at its end. What is said on
//! a connection belongs in the vendors' modules.

use std::{future::Future, io, sync::Arc, time::Duration};

use http::{Uri, uri::Scheme};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

/// A byte stream, plain or with TLS, or a pipe in a test.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// Opens streams to an upstream.
pub trait Connect: Send + Sync + 'static {
    /// Opens one. Dropping the future abandons it.
    ///
    /// # Errors
    /// Whatever kept it from being opened: `NotFound` a host that has no address, `InvalidData` a
    /// broken TLS handshake.
    fn connect(&self) -> impl Future<Output = io::Result<Box<dyn Stream>>> + Send;
}

/// Opens TCP connections, with TLS where the base URL says `https`.
pub struct Network {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The name to expect in the certificate, and how to check it.
    pub tls: Option<(ServerName<'static>, Arc<ClientConfig>)>,
    /// Time to connect, TLS included.
    pub timeout: Duration,
}

/// The configuration does not lead to a connection.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The base URL has no host, or one that cannot be in a certificate.
    #[error("base_url: the host is not a name or an address")]
    Host,
    /// The certificates or the protocol versions are not usable.
    #[error("ca_file: {0}")]
    Config(#[from] rustls::Error),
}

impl Network {
    /// The way to the host of a base URL. The bundled Mozilla roots are trusted, or in their place
    /// these certificates.
    ///
    /// # Errors
    /// The host is not one, or a certificate cannot be used.
    pub fn new(
        base_url: &Uri,
        timeout: Duration,
        trusted: Option<&[CertificateDer<'static>]>,
    ) -> Result<Self, NetworkError> {
        let host = base_url.host().ok_or(NetworkError::Host)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let secure = base_url.scheme() == Some(&Scheme::HTTPS);
        let tls = if secure {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| NetworkError::Host)?;
            Some((name, Arc::new(client_config(trusted)?)))
        } else {
            None
        };
        Ok(Self {
            host: host.to_owned(),
            port: base_url.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            tls,
            timeout,
        })
    }

    /// Tries the host's addresses one after the other. Each gets its part of the time, so that one
    /// that does not answer does not use up all of it.
    async fn dial(&self) -> io::Result<TcpStream> {
        let deadline = Instant::now() + self.timeout;
        let unknown_host = || io::Error::from(io::ErrorKind::NotFound);
        let addresses: Vec<_> = lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|_| unknown_host())?
            .collect();
        let mut last = unknown_host();
        for (tried, address) in addresses.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let part = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            match timeout(part, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }
}

impl Connect for Network {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let connect = async {
            let stream = self.dial().await?;
            stream.set_nodelay(true)?;
            // Closing throws away what was not delivered: else the system would go on delivering a
            // request that was given up. Nobody closes a connection with a request that is wanted.
            stream.set_zero_linger()?;
            Ok(match &self.tls {
                None => Box::new(stream) as Box<dyn Stream>,
                Some((name, config)) => {
                    let connector = TlsConnector::from(Arc::clone(config));
                    Box::new(connector.connect(name.clone(), stream).await?)
                }
            })
        };
        timeout(self.timeout, connect)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

fn client_config(
    trusted: Option<&[CertificateDer<'static>]>,
) -> Result<ClientConfig, NetworkError> {
    let mut roots = RootCertStore::empty();
    match trusted {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(certificates) => {
            for certificate in certificates {
                roots.add(certificate.clone())?;
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
