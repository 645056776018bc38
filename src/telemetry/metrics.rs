//! Counters and histograms. Names and labels of HTTP metrics are OpenTelemetry's. Gauges of the current
//! state, such as the budget in use, are in `admin/gauges.rs`.

use std::{sync::Mutex, time::Duration};

use http::{Method, StatusCode};
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio::time::Instant;

use super::{
    called::Called,
    family::Family,
    forwarded::Forwarded,
    labels::{
        self, ChangeLabels, ClientLabels, ObservedLabel, ObservedLabels, RefusedBy, Reloaded,
        ServerLabels, Upstream, WaitPurpose, method, status,
    },
    outcome_label::{CountedIn, OBSERVED_REASONS, OutcomeLabel},
    recent::{RecentCall, RecentCalls},
    served_calls::ServedCalls,
    upstream_record::{UpstreamActivity, UpstreamRecord},
};
use crate::{privacy::Setting, sync::lock};

/// Upper bounds in seconds: those that OpenTelemetry advises for HTTP, extended for long deadlines and
/// slow upstreams.
const BUCKETS: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 30.0,
    60.0, 180.0,
];

type Durations<L> = Family<L, Histogram>;
/// Counters by a single label.
type Counters<L> = Family<[(&'static str, L); 1], Counter>;

#[derive(Debug)]
pub struct Metrics {
    served: Family<ServerLabels, ServedCalls>,
    active: Gauge,
    called: Durations<ClientLabels>,
    changes: Family<ChangeLabels, Counter>,
    reads: Counters<OutcomeLabel>,
    coalesced: Counter,
    unsupported: Counters<OutcomeLabel>,
    observed: Family<ObservedLabels, Counter>,
    waits: Durations<[(&'static str, WaitPurpose); 1]>,
    refused: Counters<RefusedBy>,
    reloads: Counters<Reloaded>,
    recent: RecentCalls,
    ryze: Mutex<UpstreamRecord>,
    fallback: Mutex<UpstreamRecord>,
}

/// A completed request of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served<'r> {
    pub(crate) method: &'r Method,
    /// The template of its path, `other` or `unknown`.
    pub(crate) route: &'static str,
    /// Whether it went to the fallback.
    pub(crate) is_forwarded: bool,
    /// `None` if the client disconnected before the response.
    pub(crate) status: Option<StatusCode>,
    pub(crate) error: Option<OutcomeLabel>,
    /// When it ended.
    pub(crate) time: Instant,
    pub(crate) duration: Duration,
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram = || Histogram::new(BUCKETS);
        let upstream = || Mutex::new(UpstreamRecord::new(Instant::now()));
        let metrics = Self {
            served: Family::new(|| ServedCalls::new(Histogram::new(BUCKETS))),
            active: Gauge::default(),
            called: Family::new(histogram),
            changes: Family::default(),
            reads: Family::default(),
            coalesced: Counter::default(),
            unsupported: Family::default(),
            observed: Family::default(),
            waits: Family::new(histogram),
            refused: Family::default(),
            reloads: Family::default(),
            recent: RecentCalls::default(),
            ryze: upstream(),
            fallback: upstream(),
        };
        metrics.begin();
        metrics
    }
}

impl Metrics {
    /// Exports every counter as 0 from the start, so that its first event is an increase.
    fn begin(&self) {
        for outcome in OutcomeLabel::ALL.iter().copied() {
            let (in_changes, in_reads) = match outcome.counted_in() {
                CountedIn::ChangesAndReads => (true, true),
                CountedIn::Changes => (true, false),
                CountedIn::Reads => (false, true),
                CountedIn::Unsupported => {
                    self.unsupported.create(&[("kind", outcome)]);
                    continue;
                }
                CountedIn::Requests => continue,
            };
            for setting in Setting::ALL.into_iter().filter(|_| in_changes) {
                self.changes.create(&change(setting, outcome));
            }
            if in_reads {
                self.reads.create(&[("outcome", outcome)]);
            }
        }
        for verdict in ObservedLabel::ALL.iter().copied() {
            let reasons: &[_] = match verdict {
                ObservedLabel::Refused => &OBSERVED_REASONS.map(Some),
                _ => &[None],
            };
            for reason in reasons.iter().copied() {
                let labels = ObservedLabels { verdict, reason };
                self.observed.create(&labels);
            }
        }
        for purpose in WaitPurpose::ALL {
            self.waits.create(&[("purpose", *purpose)]);
        }
        for by in RefusedBy::ALL {
            self.refused.create(&[("by", *by)]);
        }
        for result in Reloaded::ALL {
            self.reloads.create(&[("result", *result)]);
        }
    }

    /// Counts a client's request as in flight, until [`served`](Self::served).
    pub(crate) fn arrived(&self) {
        self.active.inc();
    }

    /// Records a completed request of a client.
    pub(crate) fn served(&self, served: Served<'_>) {
        self.active.dec();
        let labels = ServerLabels {
            http_request_method: method(served.method),
            http_route: served.route,
            http_response_status_code: served.status.map(status),
            error_type: served.error,
        };
        self.served.with(&labels, |calls| {
            calls.add(served.duration);
            if served.is_forwarded {
                calls.add_forwarded(served.time);
            }
        });
    }

    /// The calls that went to the fallback.
    pub(crate) fn forwarded(&self) -> Forwarded {
        Forwarded(self.served.clone())
    }

    /// Records a completed request to an upstream.
    pub(crate) fn called(&self, called: Called<'_>) {
        let labels = ClientLabels {
            upstream: called.upstream,
            http_request_method: method(called.method),
            http_response_status_code: called.status.map(status),
            error_type: called.error,
        };
        let seconds = called.duration.as_secs_f64();
        self.called.with(&labels, |it| it.observe(seconds));
        if let Some(response) = called.response() {
            let mut record = lock(self.upstream(called.upstream));
            record.add(response, called.duration, called.time);
        }
    }

    fn upstream(&self, upstream: Upstream) -> &Mutex<UpstreamRecord> {
        match upstream {
            Upstream::Ryze => &self.ryze,
            Upstream::Fallback => &self.fallback,
        }
    }

    /// The calls to an upstream in the last minutes.
    pub(crate) fn activity(&self, upstream: Upstream, now: Instant) -> UpstreamActivity {
        lock(self.upstream(upstream)).activity(now)
    }

    /// A client's call ended.
    pub(crate) fn ended(&self, call: RecentCall) {
        self.recent.add(call);
    }

    /// The latest calls of clients, the latest first.
    pub(crate) fn recent_calls(&self) -> Vec<RecentCall> {
        self.recent.all()
    }

    /// Counts a completed change.
    pub(crate) fn changed(&self, setting: Setting, outcome: OutcomeLabel) {
        self.changes.with(&change(setting, outcome), |it| it.inc());
    }

    /// Counts a completed read.
    pub(crate) fn read(&self, outcome: OutcomeLabel) {
        self.reads.with(&[("outcome", outcome)], |it| it.inc());
    }

    /// Counts changes coalesced into another call's request.
    pub(crate) fn coalesced(&self, changes: usize) {
        self.coalesced.inc_by(changes as u64);
    }

    /// Counts a call that Ryze has no counterpart for.
    pub(crate) fn unsupported(&self, kind: OutcomeLabel) {
        self.unsupported.with(&[("kind", kind)], |it| it.inc());
    }

    /// Counts a privacy call of an observed instance, which the fallback answered.
    pub(crate) fn observed(&self, verdict: ObservedLabel, reason: Option<OutcomeLabel>) {
        let labels = ObservedLabels { verdict, reason };
        self.observed.with(&labels, |it| it.inc());
    }

    /// Records how long a request waited for its permit.
    pub(crate) fn waited(&self, purpose: WaitPurpose, wait: Duration) {
        let labels = [("purpose", purpose)];
        self.waits
            .with(&labels, |it| it.observe(wait.as_secs_f64()));
    }

    /// Counts a request that a rate limit refused.
    pub(crate) fn refused(&self, by: RefusedBy) {
        self.refused.with(&[("by", by)], |it| it.inc());
    }

    /// Counts a reload of the configuration.
    pub(crate) fn reloaded(&self, result: Reloaded) {
        self.reloads.with(&[("result", result)], |it| it.inc());
    }

    /// Reloads with this result so far.
    pub(crate) fn reloads(&self, result: Reloaded) -> u64 {
        self.reloads.with(&[("result", result)], |it| it.get())
    }

    /// The registry that Prometheus scrapes.
    #[must_use]
    pub fn registry(&self) -> Registry {
        let mut all = Registry::default();
        all.register_with_unit(
            "http_server_request_duration",
            "Duration of clients' requests, from the head to the end of the response",
            Unit::Seconds,
            self.served.clone(),
        );
        all.register(
            "http_server_active_requests",
            "Clients' requests in flight",
            self.active.clone(),
        );
        all.register_with_unit(
            "http_client_request_duration",
            "Duration of requests to an upstream, to the end of Ryze's response or the head of the fallback's",
            Unit::Seconds,
            self.called.clone(),
        );
        let own = all.sub_registry_with_prefix("zapi_to_ryze");
        own.register(
            "changes",
            "Changes that clients requested",
            self.changes.clone(),
        );
        own.register("reads", "Reads that clients requested", self.reads.clone());
        own.register(
            "changes_folded",
            "Changes coalesced into another change's request",
            self.coalesced.clone(),
        );
        own.register(
            "unsupported",
            "Calls that Ryze has no counterpart for",
            self.unsupported.clone(),
        );
        own.register(
            "observed",
            "Privacy calls of observed instances, by what would have happened to them",
            self.observed.clone(),
        );
        own.register_collector(Box::new(self.forwarded()));
        own.register_with_unit(
            "budget_wait",
            "How long requests waited for a permit of the budget",
            Unit::Seconds,
            self.waits.clone(),
        );
        own.register(
            "budget_refused",
            "Requests refused by the budget, by Ryze's limit, or because Redis is unavailable",
            self.refused.clone(),
        );
        own.register(
            "reloads",
            "Reloads of the configuration",
            self.reloads.clone(),
        );
        all
    }
}

fn change(setting: Setting, outcome: OutcomeLabel) -> ChangeLabels {
    ChangeLabels {
        setting: labels::setting(setting),
        outcome,
    }
}
