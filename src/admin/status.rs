//! What is told of a gateway at one moment: the fields of `/status`, as `docs/operations.md` has them.
//! Where they come from belongs in `mod.rs`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    budget,
    gateway::Observed,
    queue::{Health, Suspended},
    server::Connections,
    telemetry::{OutcomeLabel, words},
};

words! {
    /// The phase of the gateway's life.
    pub enum Phase {
        /// Ready.
        Serving = "serving",
        /// Not ready, still accepting connections (`server.drain.delay`).
        Delaying = "delaying",
        /// Finishing requests in flight.
        Draining = "draining",
        /// Aborting what is still in flight.
        Aborted = "cut",
    }
}

/// A gateway at one moment.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Of the program.
    pub version: &'static str,
    /// Since it began to serve.
    pub uptime_seconds: u64,
    /// Where it is in its life.
    pub phase: Phase,
    /// What became of its file.
    pub configuration: Configuration,
    /// Callers' connections.
    pub connections: Connections,
    /// What may be sent, and what was.
    pub budget: budget::Snapshot,
    /// Whether the upstream answers.
    pub ryze: Health,
    /// The calls that Z-API answered.
    pub forwarded: Forwarded,
    /// That callers see, where they are served with TLS.
    pub certificate: Option<Certificate>,
    /// In the order of the configuration.
    pub instances: Vec<InstanceStatus>,
}

/// What became of the configuration file.
#[derive(Debug, Serialize)]
pub struct Configuration {
    /// How often the file was taken over.
    pub reloads_applied: u64,
    /// How often it was refused.
    pub reloads_refused: u64,
    /// How it went the last time; `true` before the first.
    pub last_reload_applied: bool,
    /// Keys of the file that wait for a restart.
    pub restart_pending: Vec<&'static str>,
}

/// The calls that went to the fallback.
#[derive(Debug, Serialize)]
pub struct Forwarded {
    /// The fallback; null without one.
    pub base_url: Option<String>,
    /// The most frequent first.
    pub calls: Vec<ForwardedCall>,
}

/// The calls with one method and one route.
#[derive(Debug, Serialize)]
pub struct ForwardedCall {
    pub method: &'static str,
    /// The route's template, or `other` for a call that Z-API does not document.
    pub route: &'static str,
    /// Since the start.
    pub total: u64,
    /// The same by class of status: `2xx` to `5xx`, `other`, or `none` if the client disconnected.
    pub statuses: BTreeMap<&'static str, u64>,
    /// Since the last of them.
    pub seconds_ago: u64,
}

/// A certificate.
#[derive(Debug, Serialize)]
pub struct Certificate {
    /// When it expires, in seconds of Unix time.
    pub not_after: u64,
}

/// An instance.
#[derive(Debug, Serialize)]
pub struct InstanceStatus {
    /// Its name at the upstream.
    pub name: String,
    /// Its id at Z-API.
    pub zapi_instance: String,
    /// `translate` or `observe`.
    pub mode: &'static str,
    /// What would have happened to its privacy calls since the start, if they are observed.
    pub observed: Option<Observed>,
    /// How its last call ended.
    pub outcome: Option<OutcomeLabel>,
    /// Since then.
    pub seconds_ago: Option<u64>,
    /// Calls that wait to be sent.
    pub waiting: usize,
    /// Why it is suspended, if it is.
    pub held: Option<Suspended>,
}
