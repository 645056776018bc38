//! TCP connections to an upstream, with detection of a dead peer.
//!
//! Keep-alive probes detect it on an idle connection, `TCP_USER_TIMEOUT` while sent data is
//! unacknowledged. Both take about 10 s, and neither closes a connection whose peer acknowledges and is
//! slow to respond. Linux (`tcp_probe_timer`) applies the user timeout also to a peer that acknowledges
//! with a zero window, as a slow reader of a large body does. So the timeout is removed for good once
//! more bytes were sent without a response than any receive window holds.

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

/// How long sent data and keep-alive probes may be unacknowledged.
pub const USER_TIMEOUT: Duration = Duration::from_secs(10);
/// Linux closes the connection at the first unanswered probe after the user timeout; by then three
/// probes are lost.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(4);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_PROBES: u32 = 3;
/// Bytes that any receive window holds.
const MIN_WINDOW: usize = 16 * 1024;

/// A TCP connection.
#[derive(Debug)]
pub struct TcpConnection {
    stream: TcpStream,
    /// Bytes sent since the last read.
    sent: usize,
    has_user_timeout: bool,
}

impl TcpConnection {
    /// Opens a connection with zero linger: closing it discards unsent data, so that the system does not
    /// deliver a request that was cancelled.
    ///
    /// # Errors
    /// The system's error.
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
        if self.sent > MIN_WINDOW && self.has_user_timeout {
            self.has_user_timeout = false;
            // Fails only on a closed socket, which the next operation reports.
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
