//! A snapshot of the gateway for the operator, gathered from its components. `status.rs` has its form;
//! the admin listener shows it as JSON and as gauges.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use super::{
    activity, host,
    status::{Certificate, Configuration, InstanceStatus, Phase, Status},
};
use crate::{
    config::{self, Config},
    gateway::{Gateway, Instance, Recorded},
    queue::Queues,
    server::Occupancy,
    sync::lock,
    telemetry::{Metrics, Reloaded},
    version::VERSION,
};

/// The components that a snapshot is gathered from.
pub struct Overview {
    started: Instant,
    gateway: Arc<Gateway>,
    queues: Arc<Queues>,
    metrics: Arc<Metrics>,
    connections: Occupancy,
    host: String,
    lifecycle: Mutex<Lifecycle>,
}

/// What `app` reports while the gateway runs.
struct Lifecycle {
    phase: Phase,
    config: Arc<Config>,
    /// Changed keys that take effect only after a restart.
    restart_pending: Vec<&'static str>,
    was_last_reload_applied: bool,
}

impl Overview {
    /// The uptime counts from here.
    pub fn new(
        gateway: Arc<Gateway>,
        queues: Arc<Queues>,
        metrics: Arc<Metrics>,
        connections: Occupancy,
        config: Config,
    ) -> Self {
        Self {
            started: Instant::now(),
            gateway,
            queues,
            metrics,
            connections,
            host: host::name(),
            lifecycle: Mutex::new(Lifecycle {
                phase: Phase::Serving,
                config: Arc::new(config),
                restart_pending: Vec::new(),
                was_last_reload_applied: true,
            }),
        }
    }

    pub fn enter(&self, phase: Phase) {
        lock(&self.lifecycle).phase = phase;
    }

    pub fn phase(&self) -> Phase {
        lock(&self.lifecycle).phase
    }

    /// Records that a reload was applied, and the changed keys that take effect only after a restart.
    pub fn applied(&self, config: Arc<Config>, restart_pending: Vec<&'static str>) {
        let mut lifecycle = lock(&self.lifecycle);
        lifecycle.config = config;
        lifecycle.restart_pending = restart_pending;
        lifecycle.was_last_reload_applied = true;
        self.metrics().reloaded(Reloaded::Applied);
    }

    /// Records that a reload was rejected.
    pub fn refused(&self) {
        lock(&self.lifecycle).was_last_reload_applied = false;
        self.metrics().reloaded(Reloaded::Refused);
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&lock(&self.lifecycle).config)
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes a snapshot.
    pub fn status(&self) -> Status {
        let now = Instant::now();
        let rules = self.gateway.rules();
        let instances = rules.instances().iter();
        let lifecycle = lock(&self.lifecycle);
        let tls = lifecycle.config.server.tls.as_ref();
        Status {
            version: VERSION,
            uptime_seconds: (now - self.started).as_secs(),
            phase: lifecycle.phase,
            configuration: Configuration {
                reloads_applied: self.metrics().reloads(Reloaded::Applied),
                reloads_refused: self.metrics().reloads(Reloaded::Refused),
                last_reload_applied: lifecycle.was_last_reload_applied,
                restart_pending: lifecycle.restart_pending.clone(),
            },
            connections: self.connections.snapshot(),
            budget: self.queues.budget(),
            ryze: self.queues.health(),
            forwarded: activity::forwarded(&lifecycle.config, &self.metrics, now),
            certificate: tls.map(|tls| Certificate {
                not_after: tls.not_after,
            }),
            instances: instances.map(|it| self.instance(it, now)).collect(),
            host: self.host.clone(),
            upstreams: activity::upstreams(&lifecycle.config, &self.metrics, now),
            recent_calls: activity::recent_calls(&self.metrics, now),
        }
    }

    fn instance(&self, instance: &Instance, now: Instant) -> InstanceStatus {
        let Recorded {
            last,
            observed,
            recent,
        } = instance.recorded(now);
        let (waiting, held) = self.queues.instance_status(instance.target());
        InstanceStatus {
            name: instance.target().name().to_string(),
            zapi_instance: instance.target().entry().to_string(),
            mode: match instance.mode() {
                config::Mode::Translate => "translate",
                config::Mode::Observe => "observe",
            },
            observed: (instance.mode() == config::Mode::Observe).then_some(observed),
            outcome: last.map(|last| last.outcome),
            seconds_ago: last.map(|last| (now - last.time).as_secs()),
            waiting,
            held,
            failing: recent.is_failing,
            last_10_minutes: activity::counts(&recent),
            last_failure: activity::last_failure(&recent, now),
        }
    }
}
