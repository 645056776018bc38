//! A caller's bytes, whichever way they come: TCP, TLS over it, or a Unix socket. One type for all of
//! them, so that what speaks HTTP is there once. Time limits belong in `timeout_stream.rs`.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::connection_state::GRACE;

/// The stream.
#[derive(Debug)]
pub(super) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Boxed, for it is large, and most callers have no use for it.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// Speaks TLS from now on, which the caller has to begin within `limit`, and after a stop within a
    /// grace. A Unix socket stays as it is: it leaves the machine by no wire.
    ///
    /// # Errors
    /// The caller does not speak TLS, does not trust the certificate, or takes too long.
    pub(super) async fn secure(
        self,
        config: Arc<ServerConfig>,
        limit: Duration,
        stop: &CancellationToken,
    ) -> io::Result<Self> {
        let Self::Tcp(stream) = self else {
            return Ok(self);
        };
        let handshake = async {
            tokio::select! {
                biased;
                stream = TlsAcceptor::from(config).accept(stream) => stream,
                () = time_is_up(limit, stop) => Err(io::ErrorKind::TimedOut.into()),
            }
        };
        // Boxed as well, lest every connection have room for it.
        let stream = Box::pin(handshake).await?;
        Ok(Self::Tls(Box::new(stream)))
    }
}

/// Waits for the limit, or for the stop and a grace.
async fn time_is_up(limit: Duration, stop: &CancellationToken) {
    if timeout(limit, stop.cancelled()).await.is_ok() {
        sleep(GRACE).await;
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
