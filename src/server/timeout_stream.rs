//! A caller's byte stream with the time limits that hyper does not keep: one for a request's head,
//! one for the pause between requests, one for a caller who does not read its answer. It also ends
//! gently where a body was left unread, lest the answer be lost with it (RFC 9112, 9.6). The time
//! limits of bodies and answers belong in `zapi::request` and `lane`.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::connection_state::Progress;
use crate::timer::Timer;

/// Reads of a caller that is not listened to any more, before others have their turn.
const READS_AT_ONCE: usize = 16;

/// How long a caller may take over what is its part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// Over a request's head, and over what nobody reads of a body.
    pub(crate) header: Duration,
    /// Between requests, and while the caller does not read its answer.
    pub(crate) idle: Duration,
}

/// The stream.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    progress: Progress,
    timeouts: Timeouts,
    timer: Timer,
    /// Since when the caller takes nothing more of its answer.
    blocked: Option<Instant>,
    /// Until when what the caller still sends is thrown away.
    lingers: Option<Instant>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, progress: Progress, timeouts: Timeouts) -> Self {
        Self {
            stream,
            progress,
            timeouts,
            timer: Timer::default(),
            blocked: None,
            lingers: None,
        }
    }

    /// Ends a write that is blocked for too long.
    fn watch_write<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.blocked = None;
            return result;
        }
        let since = *self.blocked.get_or_insert_with(Instant::now);
        ready!(self.timer.poll(since + self.timeouts.idle, context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            this.progress.read();
            return Poll::Ready(result);
        }
        let Some(deadline) = this.progress.deadline(&this.timeouts, context) else {
            return Poll::Pending;
        };
        // Read as the caller's end, so that the connection is closed in order.
        this.timer.poll(deadline, context).map(Ok)
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Throws away what the caller still sends, until it ends or its time is up: closed over unread
    /// bytes, the connection would be reset and the answer lost.
    fn linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let limit = self.timeouts.header;
        let deadline = *self.lingers.get_or_insert_with(|| Instant::now() + limit);
        let mut bytes = [0; 4096];
        for _ in 0..READS_AT_ONCE {
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
        // Others have their turn.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch_write(result, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.watch_write(result, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        ready!(self.watch_write(result, context))?;
        if self.progress.has_unread() {
            return self.linger(context);
        }
        Poll::Ready(Ok(()))
    }
}
