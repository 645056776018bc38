//! The two bodies of a request that is passed on: the caller's on its way up, the upstream's on its
//! way down. Neither is gathered; each piece is asked for when there is room for it.

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
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::connector::Cut;

/// How long an upstream may take to ask for a body that waits for it, before the body is sent unasked
/// (RFC 9110, 10.1.1, leaves the time to the sender; it is curl's).
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// Whatever broke a body.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// What the two bodies of one request know of each other. Clones are of the same request.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange {
    /// The upstream asked for the caller's body.
    continues: CancellationToken,
    flags: Arc<Flags>,
}

#[derive(Debug, Default)]
struct Flags {
    /// There is an answer.
    answered: AtomicBool,
    /// The next piece of the caller's body has not come.
    waits_for_caller: AtomicBool,
    /// The caller's body broke.
    broken: AtomicBool,
    /// All of the caller's body went up.
    sent: AtomicBool,
}

impl Exchange {
    /// The upstream asked for the body.
    pub(super) fn proceed(&self) {
        self.continues.cancel();
    }

    /// The upstream answered. Tells whether it has all of the caller's body.
    pub(super) fn answer(&self) -> bool {
        self.flags.answered.store(true, Ordering::Relaxed);
        self.is_sent()
    }

    /// Whether all of the caller's body went up.
    fn is_sent(&self) -> bool {
        self.flags.sent.load(Ordering::Relaxed)
    }

    /// Whether it is the caller who keeps the upstream waiting.
    pub(super) fn waits_for_caller(&self) -> bool {
        self.flags.waits_for_caller.load(Ordering::Relaxed)
    }

    /// Whether the caller's body broke.
    pub(super) fn is_broken(&self) -> bool {
        self.flags.broken.load(Ordering::Relaxed)
    }
}

/// A caller's body on its way to the upstream.
pub(super) struct Upload {
    body: UnsyncBoxBody<Bytes, BoxError>,
    exchange: Exchange,
    /// Until the upstream wants the body.
    expects: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Upload {
    /// The body of a request with these headers.
    pub(super) fn new<B>(body: B, headers: &HeaderMap, exchange: Exchange) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let is_expected =
            |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        let expects = headers.get(header::EXPECT).is_some_and(is_expected);
        let expects = expects.then(|| {
            let continues = exchange.continues.clone();
            Box::pin(async move {
                let _ = timeout(CONTINUE_TIMEOUT, continues.cancelled()).await;
            }) as Pin<Box<dyn Future<Output = ()> + Send>>
        });
        let sent = body.is_end_stream();
        exchange.flags.sent.store(sent, Ordering::Relaxed);
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
        let flags = Arc::clone(&this.exchange.flags);
        if let Some(expects) = &mut this.expects {
            if flags.answered.load(Ordering::Relaxed) {
                // The answer came in place of the word to go on, so the caller keeps its body, and
                // the connection is cut in the end.
                return Poll::Pending;
            }
            ready!(expects.as_mut().poll(context));
            this.expects = None;
        }
        let frame = Pin::new(&mut this.body).poll_frame(context);
        let set = |flag: &AtomicBool, value| flag.store(value, Ordering::Relaxed);
        set(&flags.waits_for_caller, frame.is_pending());
        let frame = ready!(frame);
        set(&flags.broken, matches!(frame, Some(Err(_))));
        set(&flags.sent, frame.is_none() || this.body.is_end_stream());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The upstream's body on its way to the caller. Dropping it ends the upstream's connection, unless
/// both bodies are complete.
#[derive(Debug)]
pub struct Download {
    body: Incoming,
    /// hyper leaves the length out where there is no body at all, but that of a 304 is the length that
    /// a 200 would have.
    has_length_alone: bool,
    exchange: Exchange,
    cut: Cut,
}

impl Download {
    pub(super) fn new(
        body: Incoming,
        status: StatusCode,
        headers: &HeaderMap,
        exchange: Exchange,
        cut: Cut,
    ) -> Self {
        let has_length_alone =
            status == StatusCode::NOT_MODIFIED && headers.contains_key(header::CONTENT_LENGTH);
        Self {
            body,
            has_length_alone,
            exchange,
            cut,
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // hyper itself sees to an answer that is not complete.
        if !self.exchange.is_sent() {
            self.cut.cut();
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
        Pin::new(&mut self.body).poll_frame(context)
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
