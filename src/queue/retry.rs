//! Retries and read-backs, within the time that each call has left.
//!
//! A request that was not sent is retried after a backoff. One that was sent and neither confirmed nor
//! refused is followed by a read-back: a value that is there is a success, one that is not is sent once
//! more. A repeat is safe because values are absolute.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    directory::has_same_token,
    handle::QueueHandle,
    pending_call::{Attempt, PendingCall},
    send::{Sender, is_about_token, label},
    state::State,
    verdict::{shows, shows_other},
};
use crate::{
    budget::Purpose,
    privacy::{Failure, Limiter, NoAnswer, Setting, Settings},
    ryze::{Error, wire::comes_before},
};

/// How long Ryze may stay unreachable before calls fail: long enough to hide a short interruption.
const MAX_OUTAGE: Duration = Duration::from_secs(10);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// When and how the worker sends its next request.
#[derive(Debug, Default)]
pub(super) struct Next {
    pub(super) not_before: Option<Instant>,
    /// Whether the last request was rejected by Ryze's rate limit.
    pub(super) was_throttled: bool,
    /// Consecutive failures to reach Ryze.
    pub(super) failures: u32,
}

/// Requeues calls whose request could not be sent, after a backoff.
pub(super) fn after_unreachable(
    queue: &QueueHandle,
    mut calls: Vec<PendingCall>,
    failure: &Failure,
    failures: u32,
) -> Next {
    let now = Instant::now();
    for call in &mut calls {
        call.give_up_at.get_or_insert(now + MAX_OUTAGE);
        if let Attempt::NotMade = call.attempt {
            call.attempt = Attempt::Unsent(failure.clone());
        }
    }
    let not_before = now + backoff(failures, fastrand::f32());
    requeue(queue, calls, not_before, failure);
    Next {
        not_before: Some(not_before),
        failures: failures + 1,
        ..Next::default()
    }
}

/// Requeues calls whose request Ryze rejected for its rate limit, until the reset.
pub(super) fn after_rate_limit(
    queue: &QueueHandle,
    calls: Vec<PendingCall>,
    pause: Duration,
) -> Next {
    let throttled = Failure::Throttled {
        by: Limiter::Upstream,
        retry_after: pause,
    };
    requeue(queue, calls, Instant::now() + pause, &throttled);
    Next {
        was_throttled: true,
        ..Next::default()
    }
}

/// Resolves calls whose request was sent and neither confirmed nor refused: completes them, or requeues
/// them for a retry. Each comes with its failure in case the outcome stays unknown.
pub(super) async fn resolve_open(
    sender: &Sender,
    mut open: Vec<(PendingCall, Failure)>,
    update: &Settings,
    result: &Result<Settings, Error>,
) {
    let is_last = open.iter().all(|(call, _)| call.was_sent_before());
    let settings = match result {
        // A read needs no read-back.
        _ if update.is_empty() => None,
        // The response to a retry shows the same as a read-back would.
        Ok(settings) if is_last => Some(*settings),
        _ => match read_back(sender, &mut open).await {
            Some(settings) => Some(settings),
            None => {
                for (call, failure) in open {
                    call.complete(Err(failure));
                }
                return;
            }
        },
    };
    let first = open.first().map(|(call, _)| &call.target);
    let suspended = first.map_or(Ok(()), |target| sender.queue.lock().check(target));
    let is_coalesced = update.iter().nth(1).is_some();
    let named = named(result).filter(|setting| update.get(*setting).is_some());
    let is_definite = is_definite(result);
    let mut retried = Vec::new();
    for (mut call, failure) in open {
        let is_applied = |settings: &Settings| shows(settings, call.operation);
        let own = call.operation.setting();
        let is_named = named.is_some() && own == named;
        let was_skipped = named
            .zip(own)
            .is_some_and(|(it, own)| comes_before(it, own));
        let has_ended = is_definite || named.is_some() && !is_named;
        let is_other = settings.is_some_and(|it| shows_other(&it, call.operation));
        let not_applied = was_skipped || has_ended && is_other;
        if let Some(settings) = settings.filter(is_applied) {
            call.complete(Ok(settings));
        } else if let Err(suspended) = &suspended {
            // The suspension's failure promises that nothing was changed.
            let is_unchanged = not_applied || update.is_empty();
            call.complete(Err(if is_unchanged {
                suspended.clone()
            } else {
                failure
            }));
        } else if call.was_sent_before() || (is_named && is_coalesced) {
            call.complete(Err(failure));
        } else {
            let is_unnamed = named.is_none() && !failure.is_unknown();
            call.attempt = Attempt::Sent {
                failure,
                isolated: is_coalesced && is_unnamed,
                not_applied,
            };
            retried.push(call);
        }
    }
    requeue(
        &sender.queue,
        retried,
        Instant::now(),
        &Failure::Unknown(NoAnswer::TimedOut),
    );
}

/// The current settings, or `None` if they cannot be read while a call waits for them.
async fn read_back(sender: &Sender, open: &mut [(PendingCall, Failure)]) -> Option<Settings> {
    let send_by = open.iter().map(|(call, _)| call.send_by).max()?;
    let target = Arc::clone(&open.first()?.0.target);
    let mut not_before = Instant::now();
    let give_up_at = send_by.min(not_before + MAX_OUTAGE);
    for failures in 0.. {
        let current = Arc::clone(sender.queue.lock().directory.current(&target));
        let permit = async {
            sleep_until(not_before).await;
            let max_wait = send_by.saturating_duration_since(Instant::now());
            let permit = sender.acquire_permit(&current, Purpose::ReadBack, Some(max_wait));
            permit
                .await
                .inspect_err(|refused| sender.queue.queues.metrics.refused(label(refused.by)))
                .ok()
        };
        let is_current = |state: &State| has_same_token(state.directory.current(&target), &current);
        let permit = tokio::select! {
            biased;
            () = all_cancelled(open) => return None,
            permit = permit => permit?,
            () = sender.queue.wait_while(is_current) => continue,
        };
        let traces = open.iter().map(|(it, _)| &*it.trace);
        match sender
            .send(permit, &current, &Settings::default(), traces)
            .await
        {
            Err(Error::Unreachable(_)) => (),
            Err(error) if is_about_token(&error) && !is_current(&sender.queue.lock()) => continue,
            result => return result.ok(),
        }
        not_before = Instant::now() + backoff(failures, fastrand::f32());
        if not_before > give_up_at {
            break;
        }
    }
    None
}

/// Requeues calls that are to be sent at `time` at the earliest. Those that may not be sent that late
/// fail.
pub(super) fn requeue(
    queue: &QueueHandle,
    calls: Vec<PendingCall>,
    time: Instant,
    failure: &Failure,
) {
    let calls = calls.into_iter().filter(|call| !call.is_cancelled());
    let (mut retried, late): (Vec<_>, Vec<_>) = calls.partition(|call| {
        time <= call.send_by && call.give_up_at.is_none_or(|give_up_at| time <= give_up_at)
    });
    for call in late {
        call.fail_unsent(failure.clone());
    }
    for call in &mut retried {
        call.was_requeued = true;
    }
    queue.requeue(retried);
}

async fn all_cancelled(calls: &mut [(PendingCall, Failure)]) {
    for (call, _) in calls {
        call.outcome.closed().await;
    }
}

/// The pause after so many consecutive failures before this one: exponential, less up to half of it by
/// `jitter`, from 0 to 1, so that instances that lost Ryze together do not retry together.
fn backoff(failures: u32, jitter: f32) -> Duration {
    let pause = FIRST_BACKOFF
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(MAX_BACKOFF);
    pause.mul_f32(1.0 - jitter / 2.0)
}

/// Whether Ryze's failure is definite for the field that failed: the update has ended, and a value that
/// is not there by now was not applied.
fn is_definite(result: &Result<Settings, Error>) -> bool {
    matches!(result, Err(Error::Answered { failure, .. }) if !failure.leaves_open())
}

/// The setting that Ryze names as the one at fault.
fn named(result: &Result<Settings, Error>) -> Option<Setting> {
    match result {
        Err(Error::Answered { setting, .. }) => *setting,
        _ => None,
    }
}
