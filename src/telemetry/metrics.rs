//! What is counted while requests go by, and what is shown of it to Prometheus. Names and labels of
//! HTTP are OpenTelemetry's; every label has few values, whatever callers send. What there is at the
//! moment, such as the budget in use, is in `admin`.

use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::labels::{self, ClientLabels, Label, ServerLabels, method, status};
use crate::privacy::{Failure, Setting};

/// Upper bounds in seconds: those that OpenTelemetry advises for HTTP, and on to what a caller's
/// deadline and an upstream's answer may come to.
const BUCKETS: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 30.0,
    60.0, 180.0,
];

type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// The counters and histograms.
#[derive(Debug)]
pub struct Metrics {
    served: Durations<ServerLabels>,
    active: Gauge,
    called: Durations<ClientLabels>,
    changes: Family<[Label; 2], Counter>,
    reads: Family<[Label; 1], Counter>,
    folded: Counter,
    unsupported: Family<[Label; 1], Counter>,
    waits: Durations<[Label; 1]>,
    refused: Family<[Label; 1], Counter>,
    reloads: Family<[Label; 1], Counter>,
}

/// A caller's request that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served<'r> {
    pub(crate) method: &'r Method,
    /// A route's template, or another of a few words.
    pub(crate) route: &'static str,
    /// None where the caller left before its answer.
    pub(crate) status: Option<StatusCode>,
    /// What went wrong, in one of a few words, or nothing.
    pub(crate) error: &'static str,
    pub(crate) duration: Duration,
}

/// A request to an upstream that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called<'r> {
    pub(crate) upstream: &'static str,
    pub(crate) method: &'r Method,
    pub(crate) status: Option<StatusCode>,
    /// What went wrong where there is no status, in one of a few words.
    pub(crate) error: &'static str,
    pub(crate) duration: Duration,
}

/// How loading a configuration anew went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reloaded {
    Applied,
    Refused,
}

impl Reloaded {
    fn label(self) -> [Label; 1] {
        [match self {
            Self::Applied => ("result", "applied"),
            Self::Refused => ("result", "refused"),
        }]
    }
}

/// Whose doing it is that the budget refuses a request.
const REFUSED_BY: [&str; 3] = ["budget", "ryze", "redis"];

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let metrics = Self {
            served: Family::new_with_constructor(histogram),
            active: Gauge::default(),
            called: Family::new_with_constructor(histogram),
            changes: Family::default(),
            reads: Family::default(),
            folded: Counter::default(),
            unsupported: Family::default(),
            waits: Family::new_with_constructor(histogram),
            refused: Family::default(),
            reloads: Family::default(),
        };
        metrics.begin();
        metrics
    }
}

impl Metrics {
    /// What can be counted is shown from the start as 0, so that the first of it is a rise.
    fn begin(&self) {
        for setting in Setting::ALL {
            for outcome in Failure::KINDS
                .into_iter()
                .chain(["confirmed", "caller_left"])
            {
                drop(self.changes.get_or_create(&change(setting, outcome)));
            }
        }
        for outcome in Failure::KINDS.into_iter().chain(["read", "caller_left"]) {
            drop(self.reads.get_or_create(&[("outcome", outcome)]));
        }
        for kind in ["contacts_list", "no_counterpart", "unknown_path"] {
            drop(self.unsupported.get_or_create(&[("kind", kind)]));
        }
        for purpose in ["call", "read_back"] {
            drop(self.waits.get_or_create(&[("purpose", purpose)]));
        }
        for by in REFUSED_BY {
            drop(self.refused.get_or_create(&[("by", by)]));
        }
        for result in [Reloaded::Applied, Reloaded::Refused] {
            self.reloads(result);
        }
    }

    /// A caller's request has come.
    pub(crate) fn arrived(&self) {
        self.active.inc();
    }

    /// It is over.
    pub(crate) fn served(&self, served: Served<'_>) {
        self.active.dec();
        let labels = ServerLabels {
            http_request_method: method(served.method),
            http_route: served.route,
            http_response_status_code: served.status.map(status),
            error_type: served.error,
        };
        let durations = self.served.get_or_create(&labels);
        durations.observe(served.duration.as_secs_f64());
    }

    /// A request to an upstream is over.
    pub(crate) fn called(&self, called: Called<'_>) {
        let labels = ClientLabels {
            upstream: called.upstream,
            http_request_method: method(called.method),
            http_response_status_code: called.status.map(status),
            error_type: called.error,
        };
        let durations = self.called.get_or_create(&labels);
        durations.observe(called.duration.as_secs_f64());
    }

    /// A change came to its end, which is told in one of a few words.
    pub(crate) fn changed(&self, setting: Setting, outcome: &'static str) {
        self.changes.get_or_create(&change(setting, outcome)).inc();
    }

    /// As [`changed`](Self::changed), of a reading.
    pub(crate) fn read(&self, outcome: &'static str) {
        self.reads.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// So many changes went along in the request of another.
    pub(crate) fn folded(&self, changes: usize) {
        self.folded.inc_by(changes as u64);
    }

    /// A call asked for what the upstream cannot do.
    pub(crate) fn unsupported(&self, kind: &'static str) {
        self.unsupported.get_or_create(&[("kind", kind)]).inc();
    }

    /// The budget let a request out after this wait.
    pub(crate) fn waited(&self, purpose: &'static str, wait: Duration) {
        let waits = self.waits.get_or_create(&[("purpose", purpose)]);
        waits.observe(wait.as_secs_f64());
    }

    /// A request was refused, because of one of [`REFUSED_BY`].
    pub(crate) fn refused(&self, by: &'static str) {
        self.refused.get_or_create(&[("by", by)]).inc();
    }

    /// A configuration was loaded anew.
    pub(crate) fn reloaded(&self, result: Reloaded) {
        self.reloads.get_or_create(&result.label()).inc();
    }

    /// How often that went so.
    pub(crate) fn reloads(&self, result: Reloaded) -> u64 {
        self.reloads.get_or_create(&result.label()).get()
    }

    /// Everything that is counted, to be shown to Prometheus.
    #[must_use]
    pub fn registry(&self) -> Registry {
        let mut all = Registry::default();
        all.register_with_unit(
            "http_server_request_duration",
            "How long callers' requests took, from their heads to the ends of their answers",
            Unit::Seconds,
            self.served.clone(),
        );
        all.register(
            "http_server_active_requests",
            "Callers' requests that are under way",
            self.active.clone(),
        );
        all.register_with_unit(
            "http_client_request_duration",
            "How long requests to an upstream took, to the end of Ryze's answer or the head of the fallback's",
            Unit::Seconds,
            self.called.clone(),
        );
        let own = all.sub_registry_with_prefix("zapi_to_ryze");
        own.register(
            "changes",
            "Changes that callers asked for",
            self.changes.clone(),
        );
        own.register(
            "reads",
            "Readings that callers asked for",
            self.reads.clone(),
        );
        own.register(
            "changes_folded",
            "Changes that went along in another's request",
            self.folded.clone(),
        );
        own.register(
            "unsupported",
            "Calls for what Ryze cannot do",
            self.unsupported.clone(),
        );
        own.register_with_unit(
            "budget_wait",
            "How long requests waited for the budget before it let them out",
            Unit::Seconds,
            self.waits.clone(),
        );
        own.register(
            "budget_refused",
            "Requests that would have waited too long",
            self.refused.clone(),
        );
        own.register(
            "reloads",
            "Configurations that were loaded anew",
            self.reloads.clone(),
        );
        all
    }
}

fn change(setting: Setting, outcome: &'static str) -> [Label; 2] {
    [("setting", labels::setting(setting)), ("outcome", outcome)]
}
