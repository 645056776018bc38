//! A body that is copied while it is forwarded, up to `server.max_body`.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::{sync::lock, zapi::request::Limits};

/// The copy of a body.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub(super) bytes: Vec<u8>,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Also the last state of a body that breaks off.
    #[default]
    Incomplete,
    Complete,
    TooLarge,
    TooSlow,
}

/// A body that is copied while it is read. Its frames, length and end are those of the body itself.
pub(crate) struct Tee<B> {
    body: B,
    copied: Arc<Mutex<Copied>>,
    limits: Limits,
    /// When the first frame was asked for.
    begun: Option<Instant>,
}

impl<B: Body> Tee<B> {
    pub(super) fn new(body: B, copied: Arc<Mutex<Copied>>, limits: &Limits) -> Self {
        {
            let mut copied = lock(&copied);
            if body.is_end_stream() {
                copied.state = State::Complete;
            } else if body.size_hint().lower() > limits.max_body as u64 {
                copied.state = State::TooLarge;
            }
        }
        Self {
            body,
            copied,
            limits: *limits,
            begun: None,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Tee<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let begun = *this.begun.get_or_insert_with(Instant::now);
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        let copied = &mut *lock(&this.copied);
        if copied.state != State::Incomplete {
            return Poll::Ready(frame);
        }
        let data = match &frame {
            Some(Ok(frame)) => frame.data_ref(),
            Some(Err(_)) => return Poll::Ready(frame),
            None => None,
        };
        let data = data.map_or(&[][..], |data| data);
        if data.len() > this.limits.max_body - copied.bytes.len() {
            copied.bytes = Vec::new();
            copied.state = State::TooLarge;
        } else {
            copied.bytes.extend_from_slice(data);
            if frame.is_none() || this.body.is_end_stream() {
                let is_slow = begun.elapsed() > this.limits.body_timeout;
                copied.state = if is_slow {
                    State::TooSlow
                } else {
                    State::Complete
                };
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
