//! Connections to the host of a base URL: name resolution, then each address with TCP and TLS.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use http::{Uri, uri::Scheme};
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, ServerName},
};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::{Connect, Opening, Resolver, Stream, TcpConnection, tls};

/// Opens TCP connections, with TLS if the base URL is `https`.
pub struct Network {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The server name and the client configuration; `None` for `http`.
    pub tls: Option<(ServerName<'static>, Arc<ClientConfig>)>,
    /// Limit for TCP and TLS over all addresses. Name resolution has its own.
    pub timeout: Duration,
    /// Resolves the host.
    pub resolver: Resolver,
}

/// The configuration cannot be used to connect.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The base URL has no host, or one that is not valid in a certificate.
    #[error("base_url: the host is not a name or an address")]
    Host,
    /// The certificates or the protocol versions are not usable.
    #[error("ca_file: {0}")]
    Config(#[from] rustls::Error),
}

impl Network {
    /// Connects to the host of a base URL. Trusts the bundled Mozilla roots, or `trusted` instead.
    ///
    /// # Errors
    /// The host is not valid, or a certificate cannot be used.
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
            Some((name, tls::client(tls::roots(trusted)?)?))
        } else {
            None
        };
        Ok(Self {
            host: host.to_owned(),
            port: base_url.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            tls,
            timeout,
            resolver: Resolver::system(),
        })
    }

    async fn open(&self, mut address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        address.set_port(self.port);
        let stream = TcpConnection::open(address).await?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some((name, config)) => {
                let connector = TlsConnector::from(Arc::clone(config));
                Box::new(connector.connect(name.clone(), stream).await?)
            }
        })
    }
}

impl Connect for Network {
    fn connect(&self) -> Opening<'_> {
        Box::pin(async {
            let addresses = self.resolver.resolve(&self.host).await?;
            let opened = first_that_opens(&addresses, self.timeout, |it| self.open(it)).await;
            if opened.is_err() {
                self.resolver.distrust(&self.host);
            }
            opened
        })
    }
}

/// Tries the addresses one after the other. Each gets an equal part of the remaining time, so that an
/// unresponsive address does not use up the whole limit. Returns the error of the last address.
pub(super) async fn first_that_opens<T, F>(
    addresses: &[SocketAddr],
    limit: Duration,
    open: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let deadline = Instant::now() + limit;
    let mut last = io::ErrorKind::NotFound.into();
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let part = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match timeout(part, open(*address)).await {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::pending;

    use super::*;

    fn addresses(number: u8) -> Vec<SocketAddr> {
        let address = |last| ([192, 0, 2, last], 0).into();
        (0..number).map(address).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_unresponsive_address_uses_its_part_of_the_limit_only() {
        let begun = Instant::now();
        let addresses = addresses(3);
        let opened = first_that_opens(&addresses, Duration::from_secs(3), async |address| {
            if address == addresses[2] {
                return Ok(begun.elapsed().as_secs());
            }
            pending().await
        });
        assert_eq!(opened.await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_address_gets_the_remaining_time() {
        let begun = Instant::now();
        let limit = Duration::from_secs(3);
        let addresses = addresses(3);
        let opened = first_that_opens(&addresses, limit, async |address| {
            if address == addresses[0] {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            pending::<io::Result<()>>().await
        });
        assert_eq!(opened.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), limit);
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_is_that_of_the_last_address() {
        let kinds = [io::ErrorKind::InvalidData, io::ErrorKind::ConnectionRefused];
        for [first, last] in [kinds, [kinds[1], kinds[0]]] {
            let addresses = addresses(2);
            let opened = first_that_opens(&addresses, Duration::from_secs(1), async |address| {
                let kind = if address == addresses[0] { first } else { last };
                Err::<(), _>(kind.into())
            });
            assert_eq!(opened.await.unwrap_err().kind(), last);
        }
        let none = first_that_opens(&[], Duration::from_secs(1), async |_| Ok(()));
        assert_eq!(none.await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
