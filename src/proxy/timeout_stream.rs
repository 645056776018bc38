//! Connections to the fallback for hyper-util's pooling client.
//!
//! A connection fails if no byte moves in either direction for the idle timeout, or if it is aborted.

use std::{
    future::Future,
    io, mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tower_service::Service;

use crate::{
    net::{Connect, MAX_CONNECTION_AGE, Stream},
    timer::Timer,
};

/// Opens connections to the fallback, whatever the URI.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) connect: Arc<dyn Connect>,
    pub(super) idle_timeout: Duration,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TimeoutStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self {
            connect,
            idle_timeout,
        } = self.clone();
        Box::pin(async move {
            let stream = connect.connect().await?;
            let handle = Handle::new();
            Ok(TokioIo::new(TimeoutStream {
                stream,
                idle_timeout,
                last_moved: Instant::now(),
                timer: Timer::default(),
                is_answered: false,
                aborted: Box::pin(handle.aborted.clone().cancelled_owned()),
                handle,
            }))
        })
    }
}

/// A connection. hyper-util adds it to the extensions of each response on the connection.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    opened: Instant,
    aborted: CancellationToken,
    unanswered: Arc<AtomicBool>,
}

impl Handle {
    fn new() -> Self {
        Self {
            opened: Instant::now(),
            aborted: CancellationToken::new(),
            unanswered: Arc::default(),
        }
    }

    /// Closes the connection, which hyper would keep open as long as there is something to send.
    pub(super) fn abort(&self) {
        self.aborted.cancel();
    }

    pub(super) fn is_too_old(&self) -> bool {
        self.opened.elapsed() >= MAX_CONNECTION_AGE
    }

    /// Whether a request after the first has been sent, and no byte received since.
    pub(super) fn is_unanswered(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed)
    }
}

/// A stream whose operations fail if no byte moves for `idle_timeout`, or after an abort.
pub(super) struct TimeoutStream {
    stream: Box<dyn Stream>,
    idle_timeout: Duration,
    /// When the last bytes moved in either direction.
    last_moved: Instant,
    timer: Timer,
    /// Bytes have been received since the last write.
    is_answered: bool,
    handle: Handle,
    aborted: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl TimeoutStream {
    fn begin_write(&mut self) {
        if mem::take(&mut self.is_answered) {
            self.handle.unanswered.store(true, Ordering::Relaxed);
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
        if self.aborted.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        ready!(
            self.timer
                .poll(self.last_moved + self.idle_timeout, context)
        );
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Connection for TimeoutStream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.handle.clone())
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
            self.handle.unanswered.store(false, Ordering::Relaxed);
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
