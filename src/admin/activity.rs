//! The parts of `/status` that are about recent calls, from the records in `telemetry`.

use tokio::time::Instant;

use super::status::{
    Counts, Forwarded, ForwardedCall, LastFailure, RecentCall, UpstreamFailure, UpstreamStatus,
    Upstreams,
};
use crate::{
    config::Config,
    gateway::Recent,
    telemetry::{self, Metrics, Upstream, UpstreamActivity},
};

pub(super) fn upstreams(config: &Config, metrics: &Metrics, now: Instant) -> Upstreams {
    let of = |upstream| status(metrics.activity(upstream, now), now);
    Upstreams {
        ryze: of(Upstream::Ryze),
        fallback: config.fallback.as_ref().map(|_| of(Upstream::Fallback)),
    }
}

fn status(activity: UpstreamActivity, now: Instant) -> UpstreamStatus {
    UpstreamStatus {
        up: activity.is_up,
        calls_last_minute: activity.calls_last_minute,
        window_seconds: UpstreamActivity::WINDOW.as_secs(),
        calls: activity.calls,
        failed: activity.failed,
        p50_ms: activity.median,
        p95_ms: activity.p95,
        last_failure: activity
            .last_failure
            .map(|(failure, time)| UpstreamFailure {
                reason: failure.reason,
                status: failure.status.map(|status| status.as_u16()),
                seconds_ago: (now - time).as_secs(),
            }),
    }
}

pub(super) fn recent_calls(metrics: &Metrics, now: Instant) -> Vec<RecentCall> {
    let calls = metrics.recent_calls().into_iter();
    let status = |call: telemetry::RecentCall| RecentCall {
        request_id: call.request_id.to_str().unwrap_or_default().to_owned(),
        seconds_ago: (now - call.time).as_secs(),
        method: call.method,
        route: call.route,
        instance: call.instance.as_deref().map(str::to_owned),
        zapi_instance: call.zapi_instance.as_deref().map(str::to_owned),
        status: call.status.map(|status| status.as_u16()),
        result: call.result,
        outcome: call.outcome,
        reason: call.reason,
        ended_by: call.ended_by,
        total_ms: u64::try_from(call.duration.as_millis()).unwrap_or(u64::MAX),
    };
    calls.map(status).collect()
}

pub(super) fn counts(recent: &Recent) -> Counts {
    Counts {
        done: recent.done,
        failed: recent.failed,
        client_errors: recent.client_errors,
    }
}

pub(super) fn last_failure(recent: &Recent, now: Instant) -> Option<LastFailure> {
    recent.last_failure.map(|last| LastFailure {
        outcome: last.outcome,
        reason: last.reason,
        seconds_ago: (now - last.time).as_secs(),
    })
}

pub(super) fn forwarded(config: &Config, metrics: &Metrics, now: Instant) -> Forwarded {
    let calls = metrics.forwarded().calls().into_iter();
    let status = |call: telemetry::ForwardedCall| ForwardedCall {
        method: call.method,
        route: call.route,
        total: call.total(),
        statuses: call
            .by_class
            .iter()
            .map(|(class, count)| (class.as_str(), *count))
            .collect(),
        seconds_ago: (now - call.last).as_secs(),
    };
    Forwarded {
        base_url: config.fallback.as_ref().map(|it| it.base_url.to_string()),
        calls: calls.map(status).collect(),
    }
}
