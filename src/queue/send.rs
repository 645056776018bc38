//! One request for an instance: acquires a permit, sends the request, and updates the rate limit, the
//! suspension, health and metrics from the response.

use std::time::Duration;

use http::Method;
use tokio::time::Instant;

use super::{directory::has_same_token, handle::QueueHandle};
use crate::{
    budget::{Allowance, Permit, Purpose, Refused, RefusedBy},
    privacy::{Failure, Limiter, Settings},
    ryze::{Error, Progress, RateLimit, Reply, Target},
    telemetry::{self, Called, OutcomeLabel, Reason, Trace, Upstream, WaitPurpose},
};

pub(super) struct Sender {
    pub(super) queue: QueueHandle,
}

impl Sender {
    /// Waits for a permit of the target's token, for `max_wait` at most, or as long as the budget allows.
    pub(super) async fn acquire_permit(
        &self,
        target: &Target,
        purpose: Purpose,
        max_wait: Option<Duration>,
    ) -> Result<Permit, Refused> {
        let budget = &self.queue.queues.budget;
        let started = Instant::now();
        let token = target.token_digest();
        let permit = match max_wait {
            None => budget.acquire(token).await,
            Some(max_wait) => budget.acquire_within(token, purpose, max_wait).await,
        };
        let purpose = match purpose {
            Purpose::Call => WaitPurpose::Call,
            Purpose::ReadBack => WaitPurpose::ReadBack,
        };
        if permit.is_ok() {
            self.queue.queues.metrics.waited(purpose, started.elapsed());
        }
        permit
    }

    /// Sends an update, or a read if the update is empty. `traces` are those of all calls in the request;
    /// it is sent under the ids of the first.
    pub(super) async fn send<'t>(
        &self,
        mut permit: Permit,
        target: &Target,
        update: &Settings,
        traces: impl Iterator<Item = &'t Trace> + Clone,
    ) -> Result<Settings, Error> {
        let carrier = traces.clone().next();
        let started = Instant::now();
        for trace in traces.clone() {
            trace.request_started(carrier.unwrap_or(trace), started);
        }
        permit.mark_sent();
        let client = &self.queue.queues.client;
        let is_update = !update.is_empty();
        let mut reply = if is_update {
            client.update(target, update, carrier).await
        } else {
            // After a whole deadline no call can still wait for this read, and a read changes nothing.
            let timeout = self.queue.queues.deadline;
            client.read(target, timeout, carrier).await
        };
        match reply.result {
            Err(Error::Unreachable(_) | Error::Untrusted(_)) => permit.mark_not_sent(),
            Err(Error::Unknown(_)) => (),
            Ok(_) | Err(Error::Answered { .. }) => permit.record_response(allowance(&reply)),
        }
        drop(permit);
        self.record(&reply, is_update, started, traces);
        match &mut reply.result {
            Ok(_) => {
                let mut state = self.queue.lock();
                state.suspensions.record_success(target, is_update);
            }
            Err(Error::Answered { failure, .. }) => self.suspend(target, failure),
            Err(_) => (),
        }
        reply.result
    }

    /// Records a request in traces, metrics and health.
    fn record<'t>(
        &self,
        reply: &Reply,
        is_update: bool,
        started: Instant,
        traces: impl Iterator<Item = &'t Trace>,
    ) {
        let now = Instant::now();
        let error = reply.result.as_ref().err();
        for trace in traces {
            trace.request_ended(error.is_none_or(Error::was_sent), now);
        }
        self.queue.queues.metrics.called(Called {
            upstream: Upstream::Ryze,
            method: if is_update {
                &Method::POST
            } else {
                &Method::GET
            },
            status: reply.status,
            error: error.map(Error::label),
            reason: error.map(Error::reason),
            time: now,
            duration: now - started,
        });
        let mut health = self.queue.queues.lock_health();
        match error {
            None | Some(Error::Answered { .. }) => health.record_response(now),
            Some(error) => health.record_failure(error.to_string()),
        }
    }

    /// Suspends the instance if the failure is WhatsApp's rate limit or a denial, and fails the queued
    /// calls. A denial holds for the token that the request had: with another one the queue continues.
    fn suspend(&self, target: &Target, failure: &mut Failure) {
        let now = Instant::now();
        let mut state = self.queue.lock();
        let (is_of_account, report) = match failure {
            Failure::Throttled {
                by: Limiter::WhatsApp,
                retry_after,
            } => {
                *retry_after = state.suspensions.throttle(target, now);
                (true, None)
            }
            Failure::Denied { .. } if state.directory.is_replaced(target) => return,
            Failure::Denied { report, .. } => {
                let report = report.to_string();
                state.suspensions.deny(target, now, failure.clone());
                (false, Some(report))
            }
            _ => return,
        };
        drop(state);
        tracing::warn!(
            instance = &**target.name(),
            zapi_instance = &**target.entry(),
            outcome = OutcomeLabel::from(&*failure).as_str(),
            reason = Reason::from(&*failure).as_str(),
            failure = report,
            "instance suspended"
        );
        let matches = |it: &Target| is_of_account || has_same_token(it, target);
        self.queue.fail_matching(failure, matches);
    }
}

/// How many requests the token has left: none after Ryze's 429, else what its headers say.
fn allowance(reply: &Reply) -> Option<Allowance> {
    if let Some((Limiter::Upstream, reset)) = rate_limit(&reply.result) {
        return Some(Allowance {
            remaining: 0,
            reset,
        });
    }
    let RateLimit { remaining, reset } = reply.limit?;
    Some(Allowance { remaining, reset })
}

/// The rate limit that a request exceeded, and the time to its reset.
pub(super) fn rate_limit(result: &Result<Settings, Error>) -> Option<(Limiter, Duration)> {
    match result {
        Err(Error::Answered {
            failure: Failure::Throttled { by, retry_after },
            ..
        }) => Some((*by, *retry_after)),
        _ => None,
    }
}

/// The metric label of what refused a permit.
pub(super) fn label(by: RefusedBy) -> telemetry::RefusedBy {
    match by {
        RefusedBy::Budget => telemetry::RefusedBy::Budget,
        RefusedBy::Upstream => telemetry::RefusedBy::Ryze,
        RefusedBy::Redis => telemetry::RefusedBy::Redis,
    }
}

/// Whether Ryze rejected a request for its token, before it changed anything: the instance is denied to
/// the token, or the token's rate limit is exceeded.
pub(super) fn is_about_token(error: &Error) -> bool {
    matches!(
        error,
        Error::Answered {
            failure: Failure::Denied { .. }
                | Failure::Throttled {
                    by: Limiter::Upstream,
                    ..
                },
            progress: Progress::NotStarted,
            ..
        }
    )
}
