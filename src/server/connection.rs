//! One caller's connection: hyper reads its requests and a [`Handler`] answers them. Accepting
//! connections belongs in `listener.rs`.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{
    connection_state::{Half, Progress},
    timeout_stream::{Timeouts, Watched},
};

/// Bytes of a request's head; hyper answers a longer one with 431. Also the most that is read ahead of
/// a body.
const LARGEST_HEAD: usize = 32 * 1024;

/// Answers the requests of callers.
pub trait Handler: Send + Sync + 'static {
    /// What its answers carry.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;

    /// Answers one. Its body is read only if the handler reads it, which may go on after the answer
    /// has begun.
    fn answer(
        &self,
        request: Request<CallerBody>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// The response to a client over the connection limit.
    fn overloaded(&self) -> Response<Self::Body>;
}

/// Whether a connection is within the limit. One that is not gets [`Handler::overloaded`] and is closed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Admission {
    Granted,
    Refused,
}

/// The body of a request. Dropping it ends the reading of it.
#[derive(Debug)]
pub struct CallerBody {
    incoming: Incoming,
    has_ended: bool,
    half: Half,
}

impl Body for CallerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        // Nothing comes after trailers.
        let is_trailers = matches!(&frame, Some(Ok(frame)) if frame.is_trailers());
        self.has_ended |= is_trailers || frame.is_none();
        if is_trailers {
            // hyper is not strict about where they end: they may have a request in them.
            self.half.leaves_unread();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for CallerBody {
    fn drop(&mut self) {
        if !self.is_end_stream() {
            self.half.leaves_unread();
        }
    }
}

pin_project! {
    /// The body of an answer.
    struct AnswerBody<B> {
        #[pin]
        body: B,
        half: Half,
    }
}

impl<B: Body> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves a connection until the caller or a time limit ends it. From `stop` on its next answer is the
/// last one, and without a request it is closed after a grace.
pub(crate) async fn serve<S, H>(
    stream: S,
    handler: Arc<H>,
    admission: Admission,
    timeouts: Timeouts,
    stop: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Handler,
{
    let progress = Progress::new();
    let io = TokioIo::new(Watched::new(stream, progress.clone(), timeouts));
    let watched = progress.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = Arc::clone(&handler);
        let progress = watched.clone();
        async move {
            let [of_request, of_answer] = progress.begin();
            let request = request.map(|incoming| CallerBody {
                incoming,
                has_ended: false,
                half: of_request,
            });
            let mut answer = match admission {
                Admission::Granted => handler.answer(request).await,
                Admission::Refused => handler.overloaded(),
            };
            let is_refused = matches!(admission, Admission::Refused);
            if is_refused || progress.has_unread() || stop.is_cancelled() {
                // hyper closes the connection after it.
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(answer.map(|body| AnswerBody {
                body,
                half: of_answer,
            }))
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(LARGEST_HEAD)
            // Answers are small: one copy costs less than a gathering write.
            .writev(false)
            .serve_connection(io, service)
    );
    // How a connection ends is the caller's affair: what it asked for is logged by the handler.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = stop.cancelled() => progress.stop(),
    }
    let _ = connection.await;
}
