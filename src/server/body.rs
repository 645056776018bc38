//! Request and response bodies that report to the [`ConnectionState`](super::connection_state) when
//! they are done.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use pin_project_lite::pin_project;

use super::connection_state::BodyGuard;

/// The body of a request. Dropping it stops reading it.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    has_ended: bool,
    guard: BodyGuard,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, guard: BodyGuard) -> Self {
        Self {
            incoming,
            has_ended: false,
            guard,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        // Trailers are the last frame.
        let is_trailers = matches!(&frame, Some(Ok(frame)) if frame.is_trailers());
        self.has_ended |= is_trailers || frame.is_none();
        if is_trailers {
            // hyper parses the end of trailers leniently, so they may hide another request: the
            // connection is not reused.
            self.guard.mark_unread();
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

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.is_end_stream() {
            self.guard.mark_unread();
        }
    }
}

pin_project! {
    pub(super) struct ResponseBody<B> {
        #[pin]
        body: B,
        guard: BodyGuard,
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn new(body: B, guard: BodyGuard) -> Self {
        Self { body, guard }
    }
}

impl<B: Body> Body for ResponseBody<B> {
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
