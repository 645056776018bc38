//! Connections to the old vendor, as the pooling client wants them, and their time limit: one on which
//! not a byte goes either way for too long is given up, as is one that nobody needs any more.

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

/// Opens connections, each to the one upstream there is.
pub(super) struct Connector<C> {
    pub(super) connect: Arc<C>,
    pub(super) idle_timeout: Duration,
}

impl<C> Clone for Connector<C> {
    fn clone(&self) -> Self {
        Self {
            connect: Arc::clone(&self.connect),
            idle_timeout: self.idle_timeout,
        }
    }
}

impl<C: Connect> Service<Uri> for Connector<C> {
    type Response = TokioIo<Limited>;
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
            let cut = Cut::default();
            Ok(TokioIo::new(Limited {
                stream: connect.connect().await?,
                idle_timeout,
                last: Instant::now(),
                timer: Timer::default(),
                opened: Opened(Instant::now()),
                is_cut: Box::pin(cut.0.clone().cancelled_owned()),
                cut,
            }))
        })
    }
}

/// Ends a connection, which hyper goes on with for as long as there is something to send. It is an
/// extension of the answers that come on the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Cut(CancellationToken);

impl Cut {
    pub(super) fn cut(&self) {
        self.0.cancel();
    }
}

/// When a connection was opened. It is an extension of the answers that come on the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened(Instant);

impl Opened {
    pub(super) fn is_too_old(self) -> bool {
        self.0.elapsed() >= MAX_CONNECTION_AGE
    }
}

/// A stream that fails where nothing moves on it for `idle_timeout`, or once it is cut.
pub(super) struct Limited {
    stream: Box<dyn Stream>,
    idle_timeout: Duration,
    /// When the last bytes went either way.
    last: Instant,
    timer: Timer,
    opened: Opened,
    cut: Cut,
    is_cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Limited {
    /// The result of a step that moves bytes.
    fn moved<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.last = Instant::now();
        }
        self.limited(result, context)
    }

    /// The result of any step. Each of them is limited, for hyper sends what it has before it closes.
    fn limited<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            return result;
        }
        if self.is_cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        ready!(self.timer.poll(self.last + self.idle_timeout, context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Connection for Limited {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.cut.clone()).extra(self.opened)
    }
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.moved(result, context)
    }
}

impl AsyncWrite for Limited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.moved(result, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.moved(result, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.limited(result, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.limited(result, context)
    }
}
