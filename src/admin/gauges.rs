//! The present state of the gateway as gauges for Prometheus. Counters of requests are in
//! `telemetry/metrics.rs`.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::Unit,
};

use super::{
    overview::Overview,
    status::{Phase, Status},
};
use crate::{budget::redis::Mode, telemetry::dropped_lines};

/// Encodes the gauges when Prometheus scrapes.
pub(super) struct Gauges(pub(super) Arc<Overview>);

impl fmt::Debug for Gauges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Gauges")
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.0.status();
        let build = encoder.encode_descriptor("build", "The program", None, MetricType::Info)?;
        Info::new([("version", status.version)]).encode(build)?;
        for (name, help, value) in rows(&status) {
            value.encode(name, help, &mut encoder)?;
        }
        Ok(())
    }
}

enum Value {
    Gauge(i64),
    Seconds(i64),
    Counter(u64),
    /// A gauge for each value of one label.
    States(&'static str, Vec<(&'static str, i64)>),
    /// There is nothing to show now.
    Absent,
}

/// Name, help and value of each metric.
fn rows(status: &Status) -> [(&'static str, &'static str, Value); 19] {
    let Status {
        connections,
        configuration,
        budget,
        ..
    } = status;
    let certificate = status.certificate.as_ref().map(|it| it.not_after);
    let phases = Phase::ALL
        .iter()
        .map(|phase| (phase.as_str(), i64::from(*phase == status.phase)));
    let redis = Mode::ALL
        .iter()
        .map(|mode| (mode.as_str(), (budget.redis == Some(*mode)).into()));
    let held = ["throttled", "denied"].map(|cause| {
        let held = status.instances.iter().filter_map(|it| it.held.as_ref());
        (
            cause,
            signed(held.filter(|held| held.cause == cause).count() as u64),
        )
    });
    [
        (
            "uptime",
            "Since the process began to serve",
            Value::Seconds(signed(status.uptime_seconds)),
        ),
        (
            "drain_phase",
            "Where the process is in its life",
            Value::States("phase", phases.collect()),
        ),
        (
            "last_reload_applied",
            "Whether the last configuration that was loaded anew is in force; 1 before the first",
            configuration.last_reload_applied.into(),
        ),
        (
            "restart_pending",
            "Whether something in the configuration file waits for a restart",
            (!configuration.restart_pending.is_empty()).into(),
        ),
        (
            "connections",
            "Connections of callers",
            connections.open.into(),
        ),
        (
            "connections_limit",
            "How many there may be",
            connections.limit.into(),
        ),
        (
            "connections_turned_away",
            "Connections that came over the limit",
            Value::Counter(connections.turned_away),
        ),
        (
            "accept_errors",
            "Connections that the system could not hand over",
            Value::Counter(connections.accept_errors),
        ),
        (
            "log_lines_dropped",
            "Log lines that could not be written: stderr was not read, or failed",
            Value::Counter(dropped_lines()),
        ),
        (
            "certificate_expiry_timestamp",
            "When the first certificate of the chain that callers see expires, in Unix time",
            certificate.map_or(Value::Absent, |time| Value::Seconds(signed(time))),
        ),
        (
            "budget_limit",
            "Requests that may arrive at Ryze in any 60 s: this process's, or with Redis those of all",
            Value::Gauge(budget.limit.into()),
        ),
        (
            "budget_in_use",
            "Slots of this process that are taken, of the fullest budget: each until 61 s after its answer",
            budget.in_use.into(),
        ),
        (
            "budget_worst_window",
            "The most requests of one budget that this process has sent in any 60 s, by when they were over",
            Value::Gauge(budget.worst_window.into()),
        ),
        (
            "operations_waiting",
            "Callers who wait for their operation to be sent",
            budget.waiting.into(),
        ),
        (
            "ryze_rate_limit_remaining",
            "The least that Ryze said is left for a token, less what was sent since, until its reset",
            budget
                .remaining
                .map_or(Value::Absent, |left| Value::Gauge(signed(left))),
        ),
        (
            "redis_state",
            "How this process stands to the Redis of its budget",
            Value::States("state", redis.collect()),
        ),
        (
            "ryze_up",
            "Whether the last request to Ryze was answered, be it with a failure; 1 before the first",
            status.ryze.is_up.into(),
        ),
        (
            "instances",
            "Instances in the configuration",
            status.instances.len().into(),
        ),
        (
            "instances_held",
            "Instances that are left alone for a while",
            Value::States("cause", held.to_vec()),
        ),
    ]
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Gauge(flag.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Gauge(signed(number as u64))
    }
}

impl Value {
    fn encode(&self, name: &str, help: &str, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (kind, unit) = match self {
            Self::Gauge(_) | Self::States(..) => (MetricType::Gauge, None),
            Self::Seconds(_) => (MetricType::Gauge, Some(&Unit::Seconds)),
            Self::Counter(_) => (MetricType::Counter, None),
            Self::Absent => return Ok(()),
        };
        let mut metric = encoder.encode_descriptor(name, help, unit, kind)?;
        match self {
            Self::Gauge(value) | Self::Seconds(value) => ConstGauge::new(*value).encode(metric),
            Self::Counter(value) => ConstCounter::new(*value).encode(metric),
            Self::States(label, states) => states.iter().try_for_each(|(state, value)| {
                let labels = [(*label, *state)];
                ConstGauge::new(*value).encode(metric.encode_family(&labels)?)
            }),
            Self::Absent => Ok(()),
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
