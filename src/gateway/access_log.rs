//! The log line of a request: what was asked for by its template, how it ended and who ended it. It
//! holds neither the path nor anything that the caller wrote. How a line looks belongs in `telemetry`.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderValue, Method, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::{
    privacy::{Change, Operation},
    ryze::Target,
    telemetry::{EndedBy, Metrics, OutcomeLabel, Served, Trace, method},
};

/// The line, written when it is dropped, also for a caller who hung up: it then has the status 0 if
/// there was no answer yet. The metrics are told with it.
pub(crate) struct Line {
    pub(crate) started: Instant,
    pub(crate) trace: Arc<Trace>,
    method: Method,
    pub(crate) route: &'static str,
    pub(crate) target: Option<Arc<Target>>,
    /// What was carried out for it, and since when.
    pub(crate) operation: Option<(Operation, Instant)>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) outcome: OutcomeLabel,
    is_success: bool,
    pub(crate) ended_by: EndedBy,
    metrics: Arc<Metrics>,
}

impl Line {
    pub(crate) fn begin(method: Method, trace: Arc<Trace>, metrics: Arc<Metrics>) -> Self {
        metrics.arrived();
        Self {
            started: Instant::now(),
            trace,
            method,
            route: "unknown",
            target: None,
            operation: None,
            status: None,
            outcome: OutcomeLabel::CallerLeft,
            is_success: false,
            ended_by: EndedBy::Caller,
            metrics,
        }
    }

    /// It was done, in this way.
    pub(crate) fn succeeded(&mut self, outcome: OutcomeLabel) {
        self.outcome = outcome;
        self.is_success = true;
    }

    /// It was not done, for this reason.
    pub(crate) fn failed(&mut self, outcome: OutcomeLabel) {
        self.outcome = outcome;
        self.is_success = false;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let now = Instant::now();
        let total = now - self.started;
        let usage = self.trace.usage(now);
        let in_lane = self.operation.map(|(_, since)| now - since);
        let waiting = in_lane.unwrap_or_default().saturating_sub(usage.upstream);
        match self.operation {
            Some((Operation::Change(Change { setting, .. }), _)) => {
                self.metrics.changed(setting, self.outcome);
            }
            Some((Operation::Read, _)) => self.metrics.read(self.outcome),
            None => (),
        }
        tracing::info!(
            request_id = text(self.trace.id()),
            trace_id = self.trace.trace_id(),
            method = method(&self.method),
            route = self.route,
            instance = self.target.as_deref().map_or("", |target| target.name()),
            status = self.status.map_or(0, |status| status.as_u16()),
            outcome = self.outcome.as_str(),
            ended_by = self.ended_by.as_str(),
            ryze_calls = usage.requests,
            sent_as = usage.sent_as.as_ref().map(text),
            waiting_ms = milliseconds(waiting),
            upstream_ms = milliseconds(usage.upstream),
            total_ms = milliseconds(total),
            "request"
        );
        self.metrics.served(Served {
            method: &self.method,
            route: self.route,
            status: self.status,
            error: (!self.is_success).then_some(self.outcome),
            duration: total,
        });
    }
}

fn text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or_default()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The body of an answer that is passed on, with the line that is written when it ends.
pub struct Logged<B> {
    body: B,
    line: Line,
}

impl<B: Body> Logged<B> {
    pub(crate) fn new(body: B, line: Line) -> Self {
        let mut logged = Self { body, line };
        if logged.body.is_end_stream() {
            logged.ends();
        }
        logged
    }

    /// All of it was passed on.
    fn ends(&mut self) {
        self.line.ended_by = EndedBy::Fallback;
        self.line.succeeded(OutcomeLabel::Forwarded);
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
            this.line.ended_by = EndedBy::Fallback;
            this.line.failed(OutcomeLabel::CutShort);
        } else if frame.is_none() || this.body.is_end_stream() {
            this.ends();
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
