//! Connections to the fallback for hyper-util's pooling client.
//!
//! A connection fails if no byte moves in either direction for the idle timeout, or if it is aborted.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
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
            let abort = Abort::default();
            Ok(TokioIo::new(TimeoutStream {
                stream: connect.connect().await?,
                idle_timeout,
                last_moved: Instant::now(),
                timer: Timer::default(),
                opened: Opened(Instant::now()),
                aborted: Box::pin(abort.0.clone().cancelled_owned()),
                abort,
            }))
        })
    }
}

/// Aborts a connection that hyper would keep open as long as there is something to send. hyper-util
/// adds it to the extensions of each response on the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Abort(CancellationToken);

impl Abort {
    pub(super) fn abort(&self) {
        self.0.cancel();
    }
}

/// When a connection was opened; an extension of its responses, as [`Abort`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened(Instant);

impl Opened {
    pub(super) fn is_too_old(self) -> bool {
        self.0.elapsed() >= MAX_CONNECTION_AGE
    }
}

/// A stream whose operations fail if no byte moves for `idle_timeout`, or after an abort.
pub(super) struct TimeoutStream {
    stream: Box<dyn Stream>,
    idle_timeout: Duration,
    /// When the last bytes moved in either direction.
    last_moved: Instant,
    timer: Timer,
    opened: Opened,
    abort: Abort,
    aborted: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl TimeoutStream {
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
        Connected::new()
            .extra(self.abort.clone())
            .extra(self.opened)
    }
}

impl AsyncRead for TimeoutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.limit_transfer(result, context)
    }
}

impl AsyncWrite for TimeoutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.limit_transfer(result, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
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
