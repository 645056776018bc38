//! The log line of a request: what was asked for by its template, how it ended and who ended it. It
//! holds neither the path nor anything that the caller wrote. How a line looks belongs in `telemetry`.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::ryze::Target;

/// The line, written when it is dropped, also for a caller who hung up: it then has the status 0 if
/// there was no answer yet.
pub(crate) struct Line {
    pub(crate) started: Instant,
    pub(crate) route: &'static str,
    pub(crate) target: Option<Arc<Target>>,
    pub(crate) status: u16,
    pub(crate) ended_by: &'static str,
}

impl Line {
    pub(crate) fn begin() -> Self {
        Self {
            started: Instant::now(),
            route: "unknown",
            target: None,
            status: 0,
            ended_by: "caller",
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        tracing::info!(
            route = self.route,
            instance = self.target.as_deref().map_or("", Target::name),
            status = self.status,
            ended_by = self.ended_by,
            milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
    }
}

/// A body that is passed on, with the line that is written when it ends.
pub struct Logged<B> {
    body: B,
    /// Who ends it, if not the caller by leaving, and what is said of a source that breaks it off.
    source: &'static str,
    cut_by: &'static str,
    line: Line,
}

impl<B: Body> Logged<B> {
    pub(crate) fn new(body: B, [source, cut_by]: [&'static str; 2], mut line: Line) -> Self {
        line.ended_by = if body.is_end_stream() {
            source
        } else {
            "caller"
        };
        Self {
            body,
            source,
            cut_by,
            line,
        }
    }
}

impl<B: Body + Unpin> Body for Logged<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        if let Some(Err(_)) = frame {
            this.line.ended_by = this.cut_by;
        } else if frame.is_none() || this.body.is_end_stream() {
            this.line.ended_by = this.source;
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
