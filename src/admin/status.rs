//! The form of a snapshot of the gateway: the fields of `/status`, which `docs/operations.md` describes.
//! `overview.rs` and `activity.rs` fill them in.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    budget,
    gateway::Observed,
    queue::{Health, Suspended},
    server::Connections,
    telemetry::{CallResult, EndedBy, OutcomeLabel, Reason, words},
};

words! {
    /// Whether the gateway serves, or how far its shutdown has come.
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

/// A snapshot of the gateway.
#[derive(Debug, Serialize)]
pub struct Status {
    pub version: &'static str,
    /// Since the gateway began to serve.
    pub uptime_seconds: u64,
    pub phase: Phase,
    pub configuration: Configuration,
    /// Connections of clients.
    pub connections: Connections,
    pub budget: budget::Snapshot,
    pub ryze: Health,
    pub forwarded: Forwarded,
    /// The server's certificate; null without TLS.
    pub certificate: Option<Certificate>,
    /// In the order of the configuration.
    pub instances: Vec<InstanceStatus>,
    /// The name of the machine; empty if it is not known.
    pub host: String,
    /// How the calls to each upstream went.
    pub upstreams: Upstreams,
    /// The latest calls of clients, the latest first.
    pub recent_calls: Vec<RecentCall>,
}

/// Reloads of the configuration file since the start.
#[derive(Debug, Serialize)]
pub struct Configuration {
    pub reloads_applied: u64,
    pub reloads_refused: u64,
    /// `true` before the first reload.
    pub last_reload_applied: bool,
    /// Changed keys that take effect only after a restart.
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
    /// Calls since the start.
    pub total: u64,
    /// `total` by class of status: `2xx` to `5xx`, `other`, or `none` if the client disconnected.
    pub statuses: BTreeMap<&'static str, u64>,
    /// Since the last of these calls ended.
    pub seconds_ago: u64,
}

#[derive(Debug, Serialize)]
pub struct Certificate {
    /// The time of expiry, in seconds of Unix time.
    pub not_after: u64,
}

/// A configured instance.
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
    /// The outcome of its last call.
    pub outcome: Option<OutcomeLabel>,
    /// Since that call ended.
    pub seconds_ago: Option<u64>,
    /// Calls that wait to be sent.
    pub waiting: usize,
    /// Its suspension; null if it is not suspended.
    pub held: Option<Suspended>,
    /// Whether a call failed in the last ten minutes and none was carried out since.
    pub failing: bool,
    /// Its calls of the last ten minutes.
    pub last_10_minutes: Counts,
    /// The last call that failed, unless the client was the cause.
    pub last_failure: Option<LastFailure>,
}

/// How calls ended.
#[derive(Debug, Serialize)]
pub struct Counts {
    pub done: u32,
    pub failed: u32,
    /// Mistakes of clients, and clients that disconnected.
    pub client_errors: u32,
}

/// The last failure of an instance.
#[derive(Debug, Serialize)]
pub struct LastFailure {
    pub outcome: OutcomeLabel,
    pub reason: Option<Reason>,
    pub seconds_ago: u64,
}

/// The upstreams.
#[derive(Debug, Serialize)]
pub struct Upstreams {
    pub ryze: UpstreamStatus,
    /// Null without a fallback.
    pub fallback: Option<UpstreamStatus>,
}

/// How the calls to one upstream went.
#[derive(Debug, Serialize)]
pub struct UpstreamStatus {
    /// Whether the last call got a response; null before the first.
    pub up: Option<bool>,
    pub calls_last_minute: u32,
    /// What the following numbers cover.
    pub window_seconds: u64,
    pub calls: u32,
    pub failed: u32,
    /// Of the answered calls; null if there was none.
    pub p50_ms: Option<u32>,
    pub p95_ms: Option<u32>,
    /// Of any time.
    pub last_failure: Option<UpstreamFailure>,
}

/// The last failed call to an upstream.
#[derive(Debug, Serialize)]
pub struct UpstreamFailure {
    pub reason: Option<Reason>,
    /// Of the response, if there was one.
    pub status: Option<u16>,
    pub seconds_ago: u64,
}

/// A client's call, as in the log.
#[derive(Debug, Serialize)]
pub struct RecentCall {
    pub request_id: String,
    pub seconds_ago: u64,
    pub method: &'static str,
    pub route: &'static str,
    /// Null if the credentials are wrong, or name no instance.
    pub instance: Option<String>,
    pub zapi_instance: Option<String>,
    /// Null if the client disconnected before the response.
    pub status: Option<u16>,
    pub result: CallResult,
    pub outcome: OutcomeLabel,
    pub reason: Option<Reason>,
    pub ended_by: EndedBy,
    pub total_ms: u64,
}
