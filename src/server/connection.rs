//! One caller's connection: hyper reads its requests and a [`Handler`] answers them. Accepting
//! connections belongs in `listener.rs`.

use std::{
    convert::Infallible,
    future::Future,
    mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    head::AmbiguousLength,
    stream::{Progress, Timeouts, Watched},
};
use crate::{alarm::Alarm, zapi::response::Answer};

/// Bytes of a request's head; hyper answers a longer one with 431.
const LARGEST_HEAD: usize = 32 * 1024;

/// Answers the requests of callers.
pub trait Handler: Send + Sync + 'static {
    /// Answers one. Its body is read only if the handler reads it. The alarm is for the time limits
    /// of this request, and stays with its connection.
    fn answer(
        &self,
        request: Request<&mut CallerBody>,
        alarm: &mut Alarm,
    ) -> impl Future<Output = Answer> + Send;
}

/// The body of a request, which remembers whether it was read to its end.
#[derive(Debug)]
pub struct CallerBody {
    incoming: Incoming,
    has_ended: bool,
}

impl Body for CallerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        self.has_ended |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Serves a connection until the caller or a time limit ends it, or `stop` is ready and what was
/// begun is answered.
pub(super) async fn serve<S, H>(
    stream: S,
    handler: Arc<H>,
    timeouts: Timeouts,
    stop: impl Future<Output = ()>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Handler,
{
    let progress = Progress::new();
    let alarm = Arc::new(Mutex::new(Alarm::default()));
    let io = TokioIo::new(Watched::new(stream, progress.clone(), timeouts));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let handler = Arc::clone(&handler);
        let progress = progress.clone();
        let shared_alarm = Arc::clone(&alarm);
        async move {
            if progress.begin() {
                request.extensions_mut().insert(AmbiguousLength);
            }
            let (parts, incoming) = request.into_parts();
            let mut body = CallerBody {
                incoming,
                has_ended: false,
            };
            let mut alarm = mem::take(&mut *lock(&shared_alarm));
            let request = Request::from_parts(parts, &mut body);
            let answer = handler.answer(request, &mut alarm).await;
            *lock(&shared_alarm) = alarm;
            let has_unread = !body.is_end_stream();
            progress.end(has_unread);
            Ok::<_, Infallible>(if has_unread { close(answer) } else { answer })
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
        () = stop => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

fn lock(alarm: &Mutex<Alarm>) -> MutexGuard<'_, Alarm> {
    alarm.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the caller, and hyper, that this was the last answer of the connection.
pub(super) fn close(mut answer: Answer) -> Answer {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(header::CONNECTION, close);
    answer
}
