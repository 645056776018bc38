//! TCP connections to an upstream, and how the death of a peer that sends no more packets is noticed.
//!
//! Keep-alive probes find it while nothing is outstanding, `TCP_USER_TIMEOUT` while sent data is not
//! acknowledged. Both take about 10 s, and neither ends a connection whose peer acknowledges and takes
//! its time to answer. Linux (tcp_probe_timer) applies the user timeout also to a peer that
//! acknowledges and has no room for more: that is a slow reader of a large body, so the timeout is
//! lifted for good once more was sent without an answer than a receive window always has room for.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// How long sent data may be unacknowledged, and keep-alive probes.
pub const USER_TIMEOUT: Duration = Duration::from_secs(10);
/// The user timeout ends a connection at the first unanswered probe that is due after it, so three
/// probes are to have been lost by then.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(4);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_PROBES: u32 = 3;
/// Bytes that any receive window has room for.
const SMALL: usize = 16 * 1024;

/// A TCP connection.
#[derive(Debug)]
pub struct TcpConnection {
    stream: TcpStream,
    /// Bytes that were sent since something was received.
    sent: usize,
    has_user_timeout: bool,
}

impl TcpConnection {
    /// Opens one. Closing it throws away what was not delivered: else the system would go on
    /// delivering a request that was given up.
    ///
    /// # Errors
    /// The system's.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.set_zero_linger()?;
        let socket = SockRef::from(&stream);
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        Ok(Self {
            stream,
            sent: 0,
            has_user_timeout: true,
        })
    }

    fn count(&mut self, sent: &Poll<io::Result<usize>>) {
        let Poll::Ready(Ok(sent)) = sent else {
            return;
        };
        self.sent = self.sent.saturating_add(*sent);
        if self.sent > SMALL && self.has_user_timeout {
            self.has_user_timeout = false;
            // It can only fail on a socket that is closed, which the next step on it tells.
            #[cfg(target_os = "linux")]
            let _ = SockRef::from(&self.stream).set_tcp_user_timeout(None);
        }
    }
}

impl AsRef<TcpStream> for TcpConnection {
    fn as_ref(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsyncRead for TcpConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if result.is_ready() {
            self.sent = 0;
        }
        result
    }
}

impl AsyncWrite for TcpConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(&sent);
        sent
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.count(&sent);
        sent
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
