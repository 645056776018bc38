//! A client's byte stream with a timeout that hyper does not have: for a client that does not read its
//! response. When its connection has to close, the stream ends.
//!
//! If a request body was not read to its end, shutdown discards the rest first (a lingering close,
//! RFC 9112, 9.6): closing a socket with unread bytes resets the connection, and the client loses the
//! response.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{connection_state::ConnectionState, limits::Timeouts};
use crate::timer::Timer;

/// Bytes that are read ahead: as many as hyper asks for at first.
const MAX_AHEAD: usize = 8 * 1024;
/// Reads of a lingering close before other tasks have their turn.
const MAX_LINGER_READS: usize = 16;

#[derive(Debug)]
pub(super) struct TimeoutStream<S> {
    stream: S,
    /// Bytes that are read before those of the stream.
    ahead: Bytes,
    state: ConnectionState,
    timeouts: Timeouts,
    timer: Timer,
    /// When the client stopped taking bytes.
    write_blocked_at: Option<Instant>,
    /// When the lingering close ends.
    linger_deadline: Option<Instant>,
}

impl<S> TimeoutStream<S> {
    pub(super) fn new(stream: S, state: ConnectionState, timeouts: Timeouts) -> Self {
        Self {
            stream,
            ahead: Bytes::new(),
            state,
            timeouts,
            timer: Timer::default(),
            write_blocked_at: None,
            linger_deadline: None,
        }
    }

    /// Fails a write that is blocked for longer than the idle timeout.
    fn limit_write<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            if self.write_blocked_at.take().is_some() {
                self.state.set_write_blocked(false);
            }
            return result;
        }
        let blocked_at = *self.write_blocked_at.get_or_insert_with(Instant::now);
        self.state.set_write_blocked(true);
        ready!(self.timer.poll(blocked_at + self.timeouts.idle, context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S> Drop for TimeoutStream<S> {
    fn drop(&mut self) {
        self.state.closed();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimeoutStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.ahead.is_empty() {
            let length = this.ahead.len().min(buffer.remaining());
            buffer.put_slice(&this.ahead.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let filled = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            this.state.received(buffer.filled().len() == filled);
            return Poll::Ready(result);
        }
        if this.state.read_blocked() {
            // It reads as the end of the stream, so that hyper closes the connection in order.
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> TimeoutStream<S> {
    /// Waits for bytes, and keeps them to be read; `false` at the end of the stream.
    pub(super) fn poll_arrival(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut bytes = [const { MaybeUninit::uninit() }; MAX_AHEAD];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut *self).poll_read(context, &mut buffer))?;
        self.put_back(Bytes::copy_from_slice(buffer.filled()));
        Poll::Ready(Ok(!self.ahead.is_empty()))
    }

    /// Bytes that were read, and are read again.
    pub(super) fn put_back(&mut self, bytes: Bytes) {
        // Without bytes it may still hold a buffer of hyper.
        if !bytes.is_empty() {
            self.ahead = bytes;
        }
    }

    /// Discards what the client sends, until it closes its side or the header timeout expires.
    fn linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let limit = self.timeouts.header;
        let deadline = *self
            .linger_deadline
            .get_or_insert_with(|| Instant::now() + limit);
        let mut bytes = [0; 4096];
        for _ in 0..MAX_LINGER_READS {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => (),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return self.timer.poll(deadline, context).map(Ok),
            }
        }
        if deadline <= Instant::now() {
            return Poll::Ready(Ok(()));
        }
        // Yields to other tasks.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TimeoutStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.limit_write(result, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.limit_write(result, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        ready!(self.limit_write(result, context))?;
        if self.state.has_unread_body() {
            return self.linger(context);
        }
        Poll::Ready(Ok(()))
    }
}
