//! The access log entry of a request: its route's template, its outcome, what ended it, and its times.
//! It has neither the path nor any other text of the client.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderValue, Method, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::{
    observation::Observation,
    rules::{Last, SharedRecord},
};
use crate::{
    privacy::{Change, Operation},
    ryze::Target,
    sync::lock,
    telemetry::{
        CallResult, EndedBy, Metrics, OutcomeLabel, Reason, RecentCall, Served, Trace, method,
    },
};

/// Written to log and metrics when it is dropped, so also if the client disconnects; the status is 0 if
/// there was no response yet.
pub(crate) struct AccessLogEntry {
    pub(crate) started: Instant,
    pub(crate) trace: Arc<Trace>,
    method: Method,
    pub(crate) route: &'static str,
    /// Whether it goes to the fallback.
    pub(crate) is_forwarded: bool,
    pub(crate) target: Option<Arc<Target>>,
    /// The target whose id is in the path, also if the credentials are wrong.
    pub(crate) named: Option<Arc<Target>>,
    /// Of the named instance.
    pub(crate) record: Option<SharedRecord>,
    /// The translated operation, and when it was queued.
    pub(crate) operation: Option<(Operation, Instant)>,
    /// The observation of a call of an observed instance, with the instance's record.
    pub(crate) observation: Option<(Box<Observation>, Option<SharedRecord>)>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) outcome: OutcomeLabel,
    /// `None` for a success.
    reason: Option<Reason>,
    pub(crate) ended_by: EndedBy,
    /// Whether it is a call to a translated instance that has its answer, the last one of the instance.
    pub(crate) is_answered: bool,
    metrics: Arc<Metrics>,
}

impl AccessLogEntry {
    pub(crate) fn begin(method: Method, trace: Arc<Trace>, metrics: Arc<Metrics>) -> Self {
        metrics.arrived();
        Self {
            started: Instant::now(),
            trace,
            method,
            route: "unknown",
            is_forwarded: false,
            target: None,
            named: None,
            record: None,
            operation: None,
            observation: None,
            status: None,
            outcome: OutcomeLabel::CallerLeft,
            reason: Some(Reason::CallerLeft),
            ended_by: EndedBy::Caller,
            is_answered: false,
            metrics,
        }
    }

    pub(crate) fn succeeded(&mut self, outcome: OutcomeLabel) {
        self.outcome = outcome;
        self.reason = None;
    }

    pub(crate) fn failed(&mut self, outcome: OutcomeLabel, reason: Reason) {
        self.outcome = outcome;
        self.reason = Some(reason);
    }
}

impl Drop for AccessLogEntry {
    fn drop(&mut self) {
        let now = Instant::now();
        let total = now - self.started;
        let usage = self.trace.usage(now);
        let in_queue = self.operation.map(|(_, since)| now - since);
        let waiting = in_queue.unwrap_or_default().saturating_sub(usage.upstream);
        match self.operation {
            Some((Operation::Change(Change { setting, .. }), _)) => {
                self.metrics.changed(setting, self.outcome);
            }
            Some((Operation::Read, _)) => self.metrics.read(self.outcome),
            None => (),
        }
        let verdict = self.observation.as_ref().map(|(observation, record)| {
            let verdict = observation.verdict();
            self.metrics.observed(verdict.label, verdict.reason);
            if let Some(record) = record {
                lock(record).observed.count(verdict);
            }
            verdict
        });
        tracing::info!(
            message = "request",
            request_id = text(self.trace.id()),
            trace_id = self.trace.trace_id(),
            method = method(&self.method),
            route = self.route,
            instance = self.target.as_deref().map_or("", |target| target.name()),
            zapi_instance = self.named.as_deref().map_or("", |target| target.entry()),
            status = self.status.map_or(0, |status| status.as_u16()),
            outcome = self.outcome.as_str(),
            reason = self.reason.map(Reason::as_str),
            ended_by = self.ended_by.as_str(),
            observed = verdict.map(|it| it.label.as_str()),
            observed_reason = verdict.and_then(|it| it.reason).map(OutcomeLabel::as_str),
            ryze_calls = usage.requests,
            sent_as = usage.sent_as.as_ref().map(text),
            waiting_ms = milliseconds(waiting),
            upstream_ms = milliseconds(usage.upstream),
            total_ms = milliseconds(total)
        );
        let result = CallResult::of(self.outcome, self.status);
        // Calls that the fallback answers, observed ones too, say nothing of the instance.
        let is_of_instance = !self.is_forwarded || self.operation.is_some();
        if let Some(record) = self.record.as_ref().filter(|_| is_of_instance) {
            let record = &mut *lock(record);
            record.tally.count(result, self.outcome, self.reason, now);
            if self.is_answered {
                record.last = Some(Last {
                    outcome: self.outcome,
                    time: now,
                });
            }
        }
        self.metrics.ended(RecentCall {
            time: now,
            request_id: self.trace.id().clone(),
            method: method(&self.method),
            route: self.route,
            instance: self.target.as_deref().map(|it| Arc::clone(it.name())),
            zapi_instance: self.named.as_deref().map(|it| Arc::clone(it.entry())),
            status: self.status,
            result,
            outcome: self.outcome,
            reason: self.reason,
            ended_by: self.ended_by,
            duration: total,
        });
        self.metrics.served(Served {
            method: &self.method,
            route: self.route,
            is_forwarded: self.is_forwarded,
            status: self.status,
            error: self.reason.map(|_| self.outcome),
            time: now,
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

/// A response body of the fallback with its log entry, which is written when the body ends.
pub struct Logged<B> {
    body: B,
    entry: AccessLogEntry,
}

impl<B: Body> Logged<B> {
    pub(crate) fn new(body: B, entry: AccessLogEntry) -> Self {
        let mut logged = Self { body, entry };
        // hyper does not poll the body of a 304, whose `Content-Length` is that of another response.
        let has_no_body = logged.entry.status == Some(StatusCode::NOT_MODIFIED);
        if has_no_body || logged.body.is_end_stream() {
            logged.complete();
        }
        logged
    }

    /// The whole body was forwarded.
    fn complete(&mut self) {
        self.entry.ended_by = EndedBy::Fallback;
        self.entry.succeeded(OutcomeLabel::Forwarded);
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
            this.entry.ended_by = EndedBy::Fallback;
            this.entry.failed(OutcomeLabel::CutShort, Reason::CutShort);
        } else if frame.is_none() || this.body.is_end_stream() {
            this.complete();
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
