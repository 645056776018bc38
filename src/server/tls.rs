//! Server side of the TLS handshake.

use std::{io, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{connection_state::STOP_GRACE, first_byte::first_byte};
use crate::net::Stream;

/// The protocol that a client speaks.
pub(super) enum Accepted {
    /// That of the port.
    Expected(Box<dyn Stream>),
    /// HTTP on a port with TLS: the first byte is a letter, as in every method and in no TLS record.
    PlainHttp(Box<dyn Stream>),
}

/// Runs the handshake, which must end within `limit`, and after a stop within the grace period.
///
/// # Errors
/// The client speaks neither TLS nor HTTP, rejects the certificate, or takes too long.
pub(super) async fn accept(
    stream: Box<dyn Stream>,
    config: Arc<ServerConfig>,
    limit: Duration,
    stop: &CancellationToken,
) -> io::Result<Accepted> {
    let accepted = async {
        let (byte, stream) = first_byte(stream).await?;
        if byte.is_ascii_alphabetic() {
            return Ok(Accepted::PlainHttp(Box::new(stream)));
        }
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        Ok(Accepted::Expected(Box::new(stream)))
    };
    tokio::select! {
        biased;
        accepted = accepted => accepted,
        () = limit_or_stop(limit, stop) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Waits for the limit, or after a stop for the grace period.
pub(super) async fn limit_or_stop(limit: Duration, stop: &CancellationToken) {
    if timeout(limit, stop.cancelled()).await.is_ok() {
        sleep(STOP_GRACE).await;
    }
}
