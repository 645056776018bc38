//! A client's byte stream with the timeouts that hyper does not have: for a request head, between
//! requests, and for a client that does not read its response.
//!
//! If a request body was not read to its end, shutdown discards the rest first (a lingering close,
//! RFC 9112, 9.6): closing a socket with unread bytes resets the connection, and the client loses the
//! response.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    connection_state::{ConnectionState, Wait},
    limits::Timeouts,
};
use crate::timer::Timer;

/// Reads of a lingering close before other tasks have their turn.
const MAX_LINGER_READS: usize = 16;

#[derive(Debug)]
pub(super) struct TimeoutStream<S> {
    stream: S,
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
                self.state.write_resumed();
            }
            return result;
        }
        let blocked_at = *self.write_blocked_at.get_or_insert_with(Instant::now);
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
        let filled = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            this.state.received(buffer.filled().len() == filled);
            return Poll::Ready(result);
        }
        let is_write_blocked = this.write_blocked_at.is_some();
        // A timeout reads as the end of the stream, so that hyper closes the connection in order.
        match this.state.wait(&this.timeouts, is_write_blocked, context) {
            Wait::Until(deadline) => this.timer.poll(deadline, context).map(Ok),
            Wait::Unlimited => Poll::Pending,
            Wait::Over => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncRead + Unpin> TimeoutStream<S> {
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
