//! The gateway's current state as gauges for Prometheus. Counters of requests are in
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
use crate::{budget::redis::Mode, telemetry::dropped_lines, version::COMMIT};

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
        let build = encoder.encode_descriptor(
            "build",
            "Version and commit of the gateway",
            None,
            MetricType::Info,
        )?;
        Info::new([("version", status.version), ("commit", COMMIT)]).encode(build)?;
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
    /// Not exported.
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
            "Time since the gateway began to serve",
            Value::Seconds(signed(status.uptime_seconds)),
        ),
        (
            "drain_phase",
            "Phase of the gateway: serving, or a step of its shutdown",
            Value::States("phase", phases.collect()),
        ),
        (
            "last_reload_applied",
            "Whether the last reload was applied; 1 before the first",
            configuration.last_reload_applied.into(),
        ),
        (
            "restart_pending",
            "Whether a changed key of the configuration takes effect only after a restart",
            (!configuration.restart_pending.is_empty()).into(),
        ),
        (
            "connections",
            "Open connections of clients",
            connections.open.into(),
        ),
        (
            "connections_limit",
            "Maximum number of open connections",
            connections.limit.into(),
        ),
        (
            "connections_turned_away",
            "Connections over the limit that were turned away",
            Value::Counter(connections.turned_away),
        ),
        (
            "accept_errors",
            "Failed accepts, usually for lack of file descriptors",
            Value::Counter(connections.accept_errors),
        ),
        (
            "log_lines_dropped",
            "Log lines dropped because stderr was not read in time, or failed",
            Value::Counter(dropped_lines()),
        ),
        (
            "certificate_expiry_timestamp",
            "Earliest expiry of the server's certificate chain, in Unix time",
            certificate.map_or(Value::Absent, |time| Value::Seconds(signed(time))),
        ),
        (
            "budget_limit",
            "Maximum number of requests that arrive at Ryze in any 60 s, of this process or, with Redis, of all",
            Value::Gauge(budget.limit.into()),
        ),
        (
            "budget_in_use",
            "Slots of this process in use, each until 61 s after its response; of the fullest budget",
            budget.in_use.into(),
        ),
        (
            "budget_worst_window",
            "Most requests of one budget that ended in any 60 s since the start of this process",
            Value::Gauge(budget.worst_window.into()),
        ),
        (
            "operations_waiting",
            "Operations that wait to be sent",
            budget.waiting.into(),
        ),
        (
            "ryze_rate_limit_remaining",
            "Requests that Ryze's headers leave a token until their reset, less those sent since; of the most limited token",
            budget
                .remaining
                .map_or(Value::Absent, |left| Value::Gauge(signed(left))),
        ),
        (
            "redis_state",
            "State of the budget that this process shares through Redis",
            Value::States("state", redis.collect()),
        ),
        (
            "ryze_up",
            "Whether the last request to Ryze got a response, even a failure; 1 before the first",
            status.ryze.is_up.into(),
        ),
        (
            "instances",
            "Configured instances",
            status.instances.len().into(),
        ),
        (
            "instances_held",
            "Suspended instances, by cause",
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
