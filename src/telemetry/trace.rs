//! The trace of one request: its ids, and the requests and the time that it has cost at the upstreams.

use std::{sync::Mutex, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use tokio::time::Instant;

use super::{
    labels::Upstream,
    request_id::{self, ContainsCredentials},
};
use crate::sync::lock;

/// The id of a request, the same for the client, the gateway and the upstream.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The client's trace context (W3C Trace Context).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

#[derive(Debug)]
pub struct Trace {
    id: HeaderValue,
    parent: Option<HeaderValue>,
    usage: Mutex<Usage>,
}

/// What a call has cost at the upstreams.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Requests to Ryze that were sent for it, alone or coalesced with others.
    pub requests: u32,
    /// Time in which a request for it was in flight, to Ryze or, in its turn, to the fallback.
    pub upstream: Duration,
    /// The id under which it was sent, if it was coalesced into another call's request.
    pub sent_as: Option<HeaderValue>,
    /// When the request in flight was sent, and where to.
    since: Option<(Instant, Upstream)>,
}

impl Default for Trace {
    /// The trace of a request without a client.
    fn default() -> Self {
        Self {
            id: request_id::random(),
            parent: None,
            usage: Mutex::default(),
        }
    }
}

impl Trace {
    /// The trace of a client's request. Reuses the client's ids if they are valid and contain no
    /// credential of the request.
    #[must_use]
    pub fn of(parts: &Parts, contains_credentials: ContainsCredentials) -> Self {
        let id = request_id::from_client(parts, &X_REQUEST_ID, contains_credentials);
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

    /// The id of the client's own trace.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.parent.as_ref()?.to_str().ok()?.split('-').nth(1)
    }

    /// Adds the client's own trace to the headers of a request to Ryze. `tracestate` is not forwarded: it
    /// belongs to the client's own systems.
    pub fn propagate_parent(&self, headers: &mut HeaderMap) {
        if let Some(parent) = &self.parent {
            headers.insert(TRACEPARENT, parent.clone());
        }
    }

    /// Records that a request for it is in flight, under the id of `carrier`.
    pub(crate) fn request_started(&self, carrier: &Self, now: Instant) {
        let mut usage = lock(&self.usage);
        usage.since = Some((now, Upstream::Ryze));
        usage.sent_as = (carrier.id != self.id).then(|| carrier.id.clone());
    }

    /// Records that a request to the fallback is in flight, in the turn of its instance.
    pub(crate) fn request_to_fallback_started(&self, now: Instant) {
        lock(&self.usage).since = Some((now, Upstream::Fallback));
    }

    /// Records the end of that request, which counts if any byte of it was sent.
    pub(crate) fn request_ended(&self, was_sent: bool, now: Instant) {
        let mut usage = lock(&self.usage);
        if was_sent {
            usage.add_in_flight(now);
        }
        usage.since = None;
    }

    /// The usage so far, including the request in flight.
    #[must_use]
    pub fn usage(&self, now: Instant) -> Usage {
        let mut usage = lock(&self.usage).clone();
        usage.add_in_flight(now);
        usage
    }
}

impl Usage {
    fn add_in_flight(&mut self, now: Instant) {
        if let Some((since, upstream)) = self.since.take() {
            self.requests += u32::from(upstream == Upstream::Ryze);
            self.upstream += now - since;
        }
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
        trace.request_started(&trace, start);
        trace.request_ended(false, start + second);
        assert_eq!(trace.usage(start + second).requests, 0);
        trace.request_started(&carrier, start + second);
        assert_eq!(trace.usage(start + second * 3).upstream, second * 2);
        trace.request_ended(true, start + second * 4);
        trace.request_started(&carrier, start + second * 5);
        let usage = trace.usage(start + second * 6);
        assert_eq!((usage.requests, usage.upstream), (2, second * 4));
        assert_eq!(usage.sent_as.as_ref(), Some(carrier.id()));
    }
}
