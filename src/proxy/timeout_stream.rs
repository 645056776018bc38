//! The byte stream of a connection to the fallback. An operation fails if no byte moves in either direction
//! for the idle timeout.

use std::{
    io, mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::{net::Stream, timer::Timer};

pub(super) struct TimeoutStream {
    stream: Box<dyn Stream>,
    idle_timeout: Duration,
    /// When the last bytes moved in either direction.
    last_moved: Instant,
    timer: Timer,
    /// Bytes have been received since the last write.
    is_answered: bool,
    unanswered: Arc<AtomicBool>,
}

impl TimeoutStream {
    /// Sets `unanswered` while a request after the first has been sent, and no byte received since.
    pub(super) fn new(
        stream: Box<dyn Stream>,
        idle_timeout: Duration,
        unanswered: Arc<AtomicBool>,
    ) -> Self {
        Self {
            stream,
            idle_timeout,
            last_moved: Instant::now(),
            timer: Timer::default(),
            is_answered: false,
            unanswered,
        }
    }

    fn begin_write(&mut self) {
        if mem::take(&mut self.is_answered) {
            self.unanswered.store(true, Ordering::Relaxed);
        }
    }

    /// Limits a read or a write, which restarts the idle timeout.
    fn limit_transfer<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.last_moved = Instant::now();
        }
        self.limit(result, context)
    }

    /// Limits any operation: a flush or a shutdown can block as well.
    fn limit<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            return result;
        }
        ready!(
            self.timer
                .poll(self.last_moved + self.idle_timeout, context)
        );
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for TimeoutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.is_answered = true;
            self.unanswered.store(false, Ordering::Relaxed);
        }
        self.limit_transfer(result, context)
    }
}

impl AsyncWrite for TimeoutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.begin_write();
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.limit_transfer(result, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.begin_write();
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.limit_transfer(result, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.limit(result, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.limit(result, context)
    }
}
