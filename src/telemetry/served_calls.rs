//! The metric of served calls with the same labels.
//!
//! Those that went to the fallback are counted beside the durations, because a look-up by labels costs 200
//! instructions of each call (callgrind, thin LTO).

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric, histogram::Histogram},
};
use tokio::time::Instant;

/// The calls of clients with the same labels.
pub(super) struct ServedCalls {
    durations: Histogram,
    /// How many of them went to the fallback, and when the last of those ended.
    pub(super) forwarded: Option<(u64, Instant)>,
}

impl ServedCalls {
    pub(super) fn new(durations: Histogram) -> Self {
        Self {
            durations,
            forwarded: None,
        }
    }

    pub(super) fn add(&mut self, duration: Duration) {
        self.durations.observe(duration.as_secs_f64());
    }

    /// Counts a call that went to the fallback.
    pub(super) fn add_forwarded(&mut self, last: Instant) {
        let before = self.forwarded.map_or(0, |(count, _)| count);
        self.forwarded = Some((before + 1, last));
    }
}

impl EncodeMetric for ServedCalls {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.durations.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for ServedCalls {
    const TYPE: MetricType = Histogram::TYPE;
}
