//! One request of a lane: leave of the budget for it, the request itself, and what is learned from it
//! of the token, of the instance and of the upstream. What it means for those whom it was for belongs
//! in `verdict.rs`, what is sent in `run.rs` and `recover.rs`.

use std::{sync::Arc, time::Duration};

use http::Method;
use tokio::time::Instant;

use super::{directory::has_same_token, worker::Running};
use crate::{
    budget::{Allowance, Permit, Purpose, Refused},
    net::Connect,
    privacy::{Failure, Limiter, Settings},
    ryze::{Error, Progress, RateLimit, Reply, Target},
    telemetry::{Called, Trace, Upstream, WaitPurpose},
};

impl<C: Connect> Running<C> {
    /// Waits for the budget of a target's token, for `longest` at most, or with none for as long as it has
    /// itself.
    pub(super) async fn leave(
        &self,
        target: &Target,
        purpose: Purpose,
        longest: Option<Duration>,
    ) -> Result<Permit, Refused> {
        let budget = &self.lanes.budget;
        let asked = Instant::now();
        let token = target.token_digest();
        let permit = match longest {
            None => budget.permit(token).await,
            Some(longest) => budget.permit_within(token, purpose, longest).await,
        };
        let purpose = match purpose {
            Purpose::Call => WaitPurpose::Call,
            Purpose::ReadBack => WaitPurpose::ReadBack,
        };
        if permit.is_ok() {
            self.lanes.metrics.waited(purpose, asked.elapsed());
        }
        permit
    }

    /// Sends an update, or with nothing in it reads, and takes note of what the answer says of the
    /// token and of the instance. It goes out under the ids of the first of the traces, which are those
    /// of all whom it is for.
    pub(super) async fn exchange(
        &self,
        mut permit: Permit,
        target: &Target,
        update: &Settings,
        traces: &[Arc<Trace>],
    ) -> Result<Settings, Error> {
        let carrier = traces.first().map(|trace| &**trace);
        let begun = Instant::now();
        for trace in traces {
            trace.departs(carrier.unwrap_or(trace), begun);
        }
        permit.sent();
        let client = &self.lanes.client;
        let is_update = !update.is_empty();
        let mut reply = if is_update {
            client.update(target, update, carrier).await
        } else {
            // Whoever asked for it is gone by then, and nothing is lost with it.
            let longest = self.lanes.deadline;
            client.read(target, longest, carrier).await
        };
        match reply.result {
            Err(Error::Unreachable(_) | Error::Untrusted) => permit.not_sent(),
            Err(Error::Unknown(_)) => (),
            Ok(_) | Err(Error::Answered { .. }) => permit.answered(allowance(&reply)),
        }
        drop(permit);
        self.note(&reply, is_update, begun, traces);
        match &mut reply.result {
            Ok(_) => self.lanes.lock().holds.succeeded(target, is_update),
            Err(Error::Answered { failure, .. }) => self.hold(target, failure),
            Err(_) => (),
        }
        reply.result
    }

    /// Tells those who watch.
    fn note(&self, reply: &Reply, is_update: bool, begun: Instant, traces: &[Arc<Trace>]) {
        let now = Instant::now();
        let error = reply.result.as_ref().err();
        for trace in traces {
            trace.returns(error.is_none_or(Error::was_sent), now);
        }
        self.lanes.metrics.called(Called {
            upstream: Upstream::Ryze,
            method: if is_update {
                &Method::POST
            } else {
                &Method::GET
            },
            status: reply.status,
            error: error.map(Error::label),
            duration: now - begun,
        });
        let mut health = self.lanes.lock_health();
        match error {
            None | Some(Error::Answered { .. }) => health.answered(now),
            Some(error) => health.failed(error.to_string()),
        }
    }

    /// Holds the instance where that is what the failure asks for, and refuses who waits. A denial is of
    /// the token that the request had: with another one the instance goes on.
    fn hold(&self, target: &Target, failure: &mut Failure) {
        let now = Instant::now();
        let mut waiting = self.lanes.lock();
        let is_of_account = match failure {
            Failure::Throttled {
                by: Limiter::WhatsApp,
                retry_after,
            } => {
                *retry_after = waiting.holds.throttle(target, now);
                true
            }
            Failure::Denied { .. } if waiting.directory.is_replaced(target) => return,
            Failure::Denied { .. } => {
                waiting.holds.deny(target, now, failure.clone());
                false
            }
            _ => return,
        };
        drop(waiting);
        tracing::warn!(instance = &**target.name(), ?failure, "an instance is held");
        self.refuse_all(failure, |it| is_of_account || has_same_token(it, target));
    }
}

/// What is left for the token: nothing where Ryze refused for its limit, else what it says.
fn allowance(reply: &Reply) -> Option<Allowance> {
    if let Some((Limiter::Upstream, reset)) = limiter(&reply.result) {
        return Some(Allowance {
            remaining: 0,
            reset,
        });
    }
    let RateLimit { remaining, reset } = reply.limit?;
    Some(Allowance { remaining, reset })
}

/// Whose limit a request met, and for how long.
pub(super) fn limiter(result: &Result<Settings, Error>) -> Option<(Limiter, Duration)> {
    match result {
        Err(Error::Answered {
            failure: Failure::Throttled { by, retry_after },
            ..
        }) => Some((*by, *retry_after)),
        _ => None,
    }
}

/// Whether Ryze refused a request for its token, before it did anything: the instance is denied to it, or
/// its limit is used up.
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
