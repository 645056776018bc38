//! How one request is followed: the ids that are told of it on all sides, and what it used of Ryze
//! so far. Which ids of a caller are taken over is in `request_id.rs`; what is done with all this belongs in
//! `access_log.rs` and `lane`.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use tokio::time::Instant;

use super::request_id::{self, ContainsCredentials};

/// The id under which callers, gateway and upstream speak of a request.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The caller's place in its own trace (W3C Trace Context).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The trace of one request.
#[derive(Debug)]
pub struct Trace {
    id: HeaderValue,
    parent: Option<HeaderValue>,
    usage: Mutex<Usage>,
}

/// What a request used of Ryze.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Requests that were sent for it, alone or with others.
    pub requests: u32,
    /// For how long it was with Ryze.
    pub upstream: Duration,
    /// The id under which it was sent, where that is another's.
    pub sent_as: Option<HeaderValue>,
    /// Since when it is with Ryze again.
    since: Option<Instant>,
}

impl Default for Trace {
    /// That of a request without a caller.
    fn default() -> Self {
        Self {
            id: request_id::random(),
            parent: None,
            usage: Mutex::default(),
        }
    }
}

impl Trace {
    /// The trace of a caller's request. Reuses the caller's ids if they are valid and show no credential
    /// of the request.
    #[must_use]
    pub fn of(parts: &Parts, contains_credentials: ContainsCredentials) -> Self {
        let id = request_id::from_caller(parts, &X_REQUEST_ID, contains_credentials);
        Self {
            id: id.unwrap_or_else(request_id::random),
            parent: request_id::traceparent(parts, &TRACEPARENT, contains_credentials),
            usage: Mutex::default(),
        }
    }

    /// The id, in visible ASCII.
    #[must_use]
    pub fn id(&self) -> &HeaderValue {
        &self.id
    }

    /// The id of the trace that the caller is in.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.parent.as_ref()?.to_str().ok()?.split('-').nth(1)
    }

    /// Adds to the headers of a request to Ryze what is to be told there. `tracestate` is not: it is
    /// of the caller's own systems.
    pub fn propagate(&self, headers: &mut HeaderMap) {
        headers.insert(X_REQUEST_ID, self.id.clone());
        if let Some(parent) = &self.parent {
            headers.insert(TRACEPARENT, parent.clone());
        }
    }

    /// A request for it goes out, under the id of `carrier`.
    pub(crate) fn departs(&self, carrier: &Self, now: Instant) {
        let mut usage = self.lock();
        usage.since = Some(now);
        usage.sent_as = (carrier.id != self.id).then(|| carrier.id.clone());
    }

    /// That request is over. It counts if any of it was sent.
    pub(crate) fn returns(&self, was_sent: bool, now: Instant) {
        let mut usage = self.lock();
        if let (Some(since), true) = (usage.since.take(), was_sent) {
            usage.requests += 1;
            usage.upstream += now - since;
        }
    }

    /// What it used so far, with what is under way.
    #[must_use]
    pub fn usage(&self, now: Instant) -> Usage {
        let mut usage = self.lock().clone();
        if let Some(since) = usage.since.take() {
            usage.requests += 1;
            usage.upstream += now - since;
        }
        usage
    }

    /// Every change of it is one step.
    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_sent_is_not_used() {
        let (trace, carrier) = (Trace::default(), Trace::default());
        let start = Instant::now();
        let second = Duration::from_secs(1);
        trace.departs(&trace, start);
        trace.returns(false, start + second);
        assert_eq!(trace.usage(start + second).requests, 0);
        trace.departs(&carrier, start + second);
        assert_eq!(trace.usage(start + second * 3).upstream, second * 2);
        trace.returns(true, start + second * 4);
        trace.departs(&carrier, start + second * 5);
        let usage = trace.usage(start + second * 6);
        assert_eq!((usage.requests, usage.upstream), (2, second * 4));
        assert_eq!(usage.sent_as.as_ref(), Some(carrier.id()));
    }
}
