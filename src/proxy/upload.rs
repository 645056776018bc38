//! The client's body on its way to the upstream, and what the two bodies of a request share.
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
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use hyper::body::{Body, Frame, SizeHint};
use tokio::{sync::Notify, time::timeout};

use super::headers;

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

    pub(super) fn is_sent(&self) -> bool {
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
        Poll::Ready(frame.map(headers::of_frame))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
