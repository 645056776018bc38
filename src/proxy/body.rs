//! The two bodies of a forwarded request: the client's upload and the upstream's download.
//!
//! Both are streamed with backpressure: a frame is polled only when the other side has room for it.

use std::{
    error::Error,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{sync::Notify, time::timeout};

use super::{connection::Connection, headers, pool::Pool};

/// How long to wait for `100 Continue` before the body is sent without it. RFC 9110, 10.1.1, leaves
/// the time to the sender; this is curl's.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// The state that the two bodies of one request share. Clones share it too.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Notified when the upstream sends `100 Continue`.
    continues: Notify,
    /// The upstream sent more interim responses than are accepted.
    endless: AtomicBool,
    /// The head of the final response was received.
    responded: AtomicBool,
    /// The upload waits for the client's next frame.
    waits_for_client: AtomicBool,
    /// Reading the client's body failed.
    broken: AtomicBool,
    /// The whole upload was handed to the upstream's connection.
    sent: AtomicBool,
}

impl Exchange {
    /// The upstream sent `100 Continue`.
    pub(super) fn proceed(&self) {
        self.0.continues.notify_one();
    }

    /// The upstream sent more interim responses than are accepted.
    pub(super) fn set_endless(&self) {
        self.0.endless.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_endless(&self) -> bool {
        self.0.endless.load(Ordering::Relaxed)
    }

    /// The head of the response was received. Returns whether the whole upload was sent before it.
    pub(super) fn response_received(&self) -> bool {
        self.0.responded.store(true, Ordering::Relaxed);
        self.is_sent()
    }

    fn is_sent(&self) -> bool {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// Whether the upload waits for the client, and not for the upstream.
    pub(super) fn waits_for_client(&self) -> bool {
        self.0.waits_for_client.load(Ordering::Relaxed)
    }

    /// Whether reading the client's body failed.
    pub(super) fn is_broken(&self) -> bool {
        self.0.broken.load(Ordering::Relaxed)
    }
}

/// A client's body on its way to the upstream.
pub(super) struct Upload {
    body: UnsyncBoxBody<Bytes, BoxError>,
    exchange: Exchange,
    /// Ends when the body may be sent; `None` without `Expect: 100-continue`, and afterwards.
    expects: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Upload {
    /// Wraps the body of a request with these headers.
    pub(super) fn new<B>(body: B, headers: &HeaderMap, exchange: Exchange) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let is_expected =
            |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        let expects = headers.get(header::EXPECT).is_some_and(is_expected);
        let expects = expects.then(|| {
            let state = Arc::clone(&exchange.0);
            Box::pin(async move {
                let _ = timeout(CONTINUE_TIMEOUT, state.continues.notified()).await;
            }) as Pin<Box<dyn Future<Output = ()> + Send>>
        });
        let sent = body.is_end_stream();
        exchange.0.sent.store(sent, Ordering::Relaxed);
        Self {
            body: body.map_err(Into::into).boxed_unsync(),
            expects,
            exchange,
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let flags = Arc::clone(&this.exchange.0);
        if let Some(expects) = &mut this.expects {
            if flags.responded.load(Ordering::Relaxed) {
                // A final response came instead of `100 Continue`: the body is not sent, and the
                // connection is aborted when the response ends.
                return Poll::Pending;
            }
            ready!(expects.as_mut().poll(context));
            this.expects = None;
        }
        let frame = Pin::new(&mut this.body).poll_frame(context);
        let set = |flag: &AtomicBool, value| flag.store(value, Ordering::Relaxed);
        set(&flags.waits_for_client, frame.is_pending());
        let frame = ready!(frame);
        set(&flags.broken, matches!(frame, Some(Err(_))));
        set(&flags.sent, frame.is_none() || this.body.is_end_stream());
        Poll::Ready(frame.map(to_be_forwarded))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A frame without hop-by-hop fields, if it is a trailer section.
fn to_be_forwarded<E>(mut frame: Result<Frame<Bytes>, E>) -> Result<Frame<Bytes>, E> {
    if let Some(trailers) = frame.as_mut().ok().and_then(Frame::trailers_mut) {
        headers::remove_hop_by_hop(trailers);
    }
    frame
}

/// The upstream's body on its way to the client. Dropping it closes the upstream's connection, unless
/// both bodies are complete; then it goes back to the pool.
#[derive(Debug)]
pub struct Download {
    body: Incoming,
    /// The response is a 304 with `Content-Length`, which is the length that a 200 would have. hyper
    /// would remove it, because there is no body.
    has_length_alone: bool,
    exchange: Exchange,
    /// `None` once it is dropped.
    connection: Option<Connection>,
    pool: Arc<Pool>,
}

impl Download {
    pub(super) fn new(
        body: Incoming,
        status: StatusCode,
        headers: &HeaderMap,
        exchange: Exchange,
        connection: Connection,
        pool: Arc<Pool>,
    ) -> Self {
        let has_length_alone =
            status == StatusCode::NOT_MODIFIED && headers.contains_key(header::CONTENT_LENGTH);
        Self {
            body,
            has_length_alone,
            exchange,
            connection: Some(connection),
            pool,
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        // hyper closes the connection itself if the response is not complete.
        if self.exchange.is_sent() {
            self.pool.put(connection);
        } else {
            connection.abort();
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.has_length_alone = false;
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(to_be_forwarded))
    }

    fn is_end_stream(&self) -> bool {
        !self.has_length_alone && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.has_length_alone {
            SizeHint::default()
        } else {
            self.body.size_hint()
        }
    }
}
