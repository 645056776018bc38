//! The gateway at the moment when Prometheus looks. What is counted while requests go by belongs in
//! `telemetry`.

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
use crate::telemetry::{Label, dropped_lines};

/// Shows the moment of an overview.
pub(super) struct Moment(pub(super) Arc<Overview>);

impl fmt::Debug for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Moment")
    }
}

impl Collector for Moment {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.0.status();
        let mut page = Page(encoder);
        page.life(&status)?;
        page.budget(&status)?;
        page.instances(&status)
    }
}

struct Page<'e>(DescriptorEncoder<'e>);

impl Page<'_> {
    fn life(&mut self, status: &Status) -> fmt::Result {
        let connections = &status.connections;
        let configuration = &status.configuration;
        let kind = MetricType::Info;
        let build = self
            .0
            .encode_descriptor("build", "The program", None, kind)?;
        Info::new([("version", status.version)]).encode(build)?;
        let uptime = signed(status.uptime_seconds);
        self.seconds("uptime", "Since the process began to serve", uptime)?;
        let phases = [
            (Phase::Serving, "serving"),
            (Phase::Delaying, "delaying"),
            (Phase::Draining, "draining"),
            (Phase::Cut, "cut"),
        ]
        .map(|(phase, name)| (("phase", name), (status.phase == phase).into()));
        self.states("drain_phase", "Where the process is in its life", &phases)?;
        self.gauge(
            "last_reload_applied",
            "Whether the last configuration that was loaded anew is in force; 1 before the first",
            configuration.last_reload_applied.into(),
        )?;
        self.gauge(
            "restart_pending",
            "Whether something in the configuration file waits for a restart",
            (!configuration.restart_pending.is_empty()).into(),
        )?;
        self.gauge(
            "connections",
            "Connections of callers",
            signed(connections.open as u64),
        )?;
        self.gauge(
            "connections_limit",
            "How many there may be",
            signed(connections.limit as u64),
        )?;
        self.counter(
            "connections_turned_away",
            "Connections that came over the limit",
            connections.turned_away,
        )?;
        self.counter(
            "accept_errors",
            "Connections that the system could not hand over",
            connections.accept_errors,
        )?;
        self.counter(
            "log_lines_dropped",
            "Log lines that nobody read in time",
            dropped_lines(),
        )?;
        if let Some(certificate) = &status.certificate {
            self.seconds(
                "certificate_expiry_timestamp",
                "When the first certificate of the chain that callers see expires, in Unix time",
                signed(certificate.not_after),
            )?;
        }
        Ok(())
    }

    fn budget(&mut self, status: &Status) -> fmt::Result {
        let budget = &status.budget;
        self.gauge(
            "budget_limit",
            "Requests that may arrive at Ryze in any 60 s: this process's, or with Redis those of all",
            budget.limit.into(),
        )?;
        self.gauge(
            "budget_in_use",
            "Slots of this process that are taken, of the fullest budget: each until 61 s after its answer",
            signed(budget.in_use as u64),
        )?;
        self.gauge(
            "budget_worst_window",
            "The most requests of one budget that this process has sent in any 60 s, by when they were over",
            budget.worst_window.into(),
        )?;
        self.gauge(
            "operations_waiting",
            "Callers who wait for their operation to be sent",
            signed(budget.waiting as u64),
        )?;
        if let Some(remaining) = budget.remaining_at_ryze {
            self.gauge(
                "ryze_rate_limit_remaining",
                "The least that Ryze said is left for a token, less what was sent since, until its reset",
                signed(remaining),
            )?;
        }
        let states = ["shared", "alone", "silent"]
            .map(|state| (("state", state), (budget.redis == Some(state)).into()));
        let help = "How this process stands to the Redis of its budget";
        self.states("redis_state", help, &states)
    }

    fn instances(&mut self, status: &Status) -> fmt::Result {
        self.gauge(
            "ryze_up",
            "Whether the last request to Ryze was answered, be it with a failure; 1 before the first",
            status.ryze.up.into(),
        )?;
        let all = signed(status.instances.len() as u64);
        self.gauge("instances", "Instances in the configuration", all)?;
        let held = ["throttled", "denied"].map(|cause| {
            let held = status.instances.iter().filter_map(|it| it.held.as_ref());
            let count = held.filter(|held| held.cause == cause).count();
            (("cause", cause), signed(count as u64))
        });
        let help = "Instances that are left alone for a while";
        self.states("instances_held", help, &held)
    }

    fn gauge(&mut self, name: &str, help: &str, value: i64) -> fmt::Result {
        let kind = MetricType::Gauge;
        let metric = self.0.encode_descriptor(name, help, None, kind)?;
        ConstGauge::new(value).encode(metric)
    }

    fn seconds(&mut self, name: &str, help: &str, value: i64) -> fmt::Result {
        let (unit, kind) = (Unit::Seconds, MetricType::Gauge);
        let metric = self.0.encode_descriptor(name, help, Some(&unit), kind)?;
        ConstGauge::new(value).encode(metric)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let kind = MetricType::Counter;
        let metric = self.0.encode_descriptor(name, help, None, kind)?;
        ConstCounter::new(value).encode(metric)
    }

    /// A gauge with one label.
    fn states(&mut self, name: &str, help: &str, values: &[(Label, i64)]) -> fmt::Result {
        let kind = MetricType::Gauge;
        let mut metric = self.0.encode_descriptor(name, help, None, kind)?;
        for (label, value) in values {
            let of_label = [*label];
            let family = metric.encode_family(&of_label)?;
            ConstGauge::new(*value).encode(family)?;
        }
        Ok(())
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
