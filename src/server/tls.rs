//! Server side of the TLS handshake.

use std::{io, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::connection_state::STOP_GRACE;
use crate::net::Stream;

/// Runs the handshake, which must end within `limit`, and after a stop within the grace period.
///
/// # Errors
/// The client does not speak TLS, rejects the certificate, or takes too long.
pub(super) async fn handshake(
    stream: Box<dyn Stream>,
    config: Arc<ServerConfig>,
    limit: Duration,
    stop: &CancellationToken,
) -> io::Result<Box<dyn Stream>> {
    tokio::select! {
        biased;
        stream = TlsAcceptor::from(config).accept(stream) => Ok(Box::new(stream?)),
        () = limit_or_stop(limit, stop) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn limit_or_stop(limit: Duration, stop: &CancellationToken) {
    if timeout(limit, stop.cancelled()).await.is_ok() {
        sleep(STOP_GRACE).await;
    }
}
