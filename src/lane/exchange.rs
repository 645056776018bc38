//! One request of a lane: leave of the budget for it, the request itself, and what is learned from it
//! of the token, of the instance and of the upstream. What it means for those whom it was for belongs
//! in `verdict.rs`, what is sent in `run.rs` and `recover.rs`.

use std::{sync::Arc, time::Duration};

use http::Method;
use tokio::time::Instant;

use super::run::Running;
use crate::{
    budget::{Allowance, Permit, Purpose, Refused},
    network::Connect,
    privacy::{Failure, Limiter, Settings},
    ryze::{Error, RateLimit, Reply},
    telemetry::{Called, Trace, Upstream, WaitPurpose},
};

impl<C: Connect> Running<C> {
    /// Waits for the budget, for `longest` at most, or with none for as long as it has itself.
    pub(super) async fn leave(
        &self,
        purpose: Purpose,
        longest: Option<Duration>,
    ) -> Result<Permit, Refused> {
        let budget = &self.lanes.budget;
        let asked = Instant::now();
        let permit = loop {
            let token = self.target.token_digest();
            let permit = match longest {
                None => budget.permit(token).await,
                Some(longest) => budget.permit_within(token, purpose, longest).await,
            };
            // It is for a token that was changed meanwhile: that of another is to be asked for.
            if permit.is_err() || self.target.token_digest() == token {
                break permit;
            }
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
            client.update(&self.target, update, carrier).await
        } else {
            // Whoever asked for it is gone by then, and nothing is lost with it.
            let longest = self.lanes.deadline;
            client.read(&self.target, longest, carrier).await
        };
        match reply.result {
            Err(Error::Unreachable(_) | Error::Untrusted) => permit.not_sent(),
            Err(Error::Unknown(_)) => (),
            Ok(_) | Err(Error::Answered { .. }) => permit.answered(allowance(&reply)),
        }
        drop(permit);
        self.note(&reply, is_update, begun, traces);
        match &mut reply.result {
            Ok(_) => self.lanes.lock().holds.succeeded(&self.target, is_update),
            Err(Error::Answered { failure, .. }) => self.hold(failure),
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

    /// Leaves the instance alone where that is what the failure asks for, and refuses who waits.
    fn hold(&self, failure: &mut Failure) {
        let now = Instant::now();
        match failure {
            Failure::Throttled {
                by: Limiter::WhatsApp,
                retry_after,
            } => *retry_after = self.lanes.lock().holds.throttled(&self.target, now),
            Failure::Denied { .. } => {
                let mut waiting = self.lanes.lock();
                waiting.holds.denied(&self.target, now, failure.clone());
            }
            _ => return,
        }
        tracing::warn!(
            instance = self.target.name(),
            ?failure,
            "an instance is held"
        );
        self.refuse_all(failure);
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
