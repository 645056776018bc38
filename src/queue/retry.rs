//! What a lane does where a request was in vain or its answer leaves something open. What was not sent
//! is sent later. What was sent is read back: what is there is a success, what is not is sent once
//! more, for values are absolute and a repeat is safe. Whoever has no time left hears what is known.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    Caller, Tried, Waiting,
    backoff::backoff,
    directory::has_same_token,
    send::is_about_token,
    verdict::{shows, shows_other},
    worker::{Next, Running, label},
};
use crate::{
    budget::Purpose,
    net::Connect,
    privacy::{Failure, Limiter, Setting, Settings},
    ryze::{Error, wire::comes_before},
};

/// How long Ryze may stay out of reach before its callers hear of it. They have a use for a short
/// interruption to pass unseen, and none for waiting in vain.
const LONGEST_OUTAGE: Duration = Duration::from_secs(10);

impl<C: Connect> Running<C> {
    /// Not a byte was sent: tries again soon.
    pub(super) fn wait_for_ryze(
        &self,
        mut callers: Vec<Caller>,
        failure: &Failure,
        failures: u32,
    ) -> Next {
        let now = Instant::now();
        for caller in &mut callers {
            caller.gives_up.get_or_insert(now + LONGEST_OUTAGE);
            if let Tried::Nothing = caller.tried {
                caller.tried = Tried::Unsent(failure.clone());
            }
        }
        let not_before = now + backoff(failures, fastrand::f32());
        self.put_back(callers, not_before, failure);
        Next {
            not_before: Some(not_before),
            failures: failures + 1,
            ..Next::default()
        }
    }

    /// Ryze sent them away for `pause`.
    pub(super) fn wait_for_reset(&self, callers: Vec<Caller>, pause: Duration) -> Next {
        let throttled = Failure::Throttled {
            by: Limiter::Upstream,
            retry_after: pause,
        };
        self.put_back(callers, Instant::now() + pause, &throttled);
        Next {
            was_throttled: true,
            ..Next::default()
        }
    }

    /// Finds out what became of operations whose request was sent and neither confirmed nor refused
    /// them; each comes with what its caller hears if that cannot be found out.
    pub(super) async fn make_sure(
        &self,
        mut open: Vec<(Caller, Failure)>,
        update: &Settings,
        result: &Result<Settings, Error>,
    ) {
        if open.is_empty() {
            return;
        }
        let is_last = open.iter().all(|(caller, _)| caller.was_sent_before());
        let settings = match result {
            // A read has nothing to be made sure of.
            _ if update.is_empty() => None,
            // Another look shows what an answer to a repeat shows.
            Ok(settings) if is_last => Some(*settings),
            _ => match self.read_back(&mut open).await {
                Some(settings) => Some(settings),
                None => {
                    for (caller, failure) in open {
                        caller.answer(Err(failure));
                    }
                    return;
                }
            },
        };
        let first = open.first().map(|(caller, _)| &caller.target);
        let held = first.map_or(Ok(()), |target| self.lanes.lock().check(target));
        let is_folded = update.iter().nth(1).is_some();
        let named = named(result).filter(|setting| update.get(*setting).is_some());
        let is_definite = is_definite(result);
        let mut again = Vec::new();
        for (mut caller, failure) in open {
            let is_there = |settings: &Settings| shows(settings, caller.operation);
            let own = caller.operation.setting();
            let is_named = named.is_some() && own == named;
            let was_skipped = named
                .zip(own)
                .is_some_and(|(it, own)| comes_before(it, own));
            let ended = is_definite || named.is_some() && !is_named;
            let is_other = settings.is_some_and(|it| shows_other(&it, caller.operation));
            let not_applied = was_skipped || ended && is_other;
            if let Some(settings) = settings.filter(is_there) {
                caller.answer(Ok(settings));
            } else if let Err(held) = &held {
                // It promises that nothing was changed.
                let is_true = not_applied || update.is_empty();
                caller.answer(Err(if is_true { held.clone() } else { failure }));
            } else if caller.was_sent_before() || (is_named && is_folded) {
                caller.answer(Err(failure));
            } else {
                let is_unnamed = named.is_none() && failure != Failure::Unknown;
                caller.tried = Tried::Sent {
                    failure,
                    alone: is_folded && is_unnamed,
                    not_applied,
                };
                again.push(caller);
            }
        }
        self.put_back(again, Instant::now(), &Failure::Unknown);
    }

    /// The settings as they are, if that can be learned while somebody waits for it.
    async fn read_back(&self, open: &mut [(Caller, Failure)]) -> Option<Settings> {
        let latest = open.iter().map(|(caller, _)| caller.latest).max()?;
        let target = Arc::clone(&open.first()?.0.target);
        let mut not_before = Instant::now();
        let give_up = latest.min(not_before + LONGEST_OUTAGE);
        let traces: Vec<_> = open.iter().map(|(it, _)| Arc::clone(&it.trace)).collect();
        for failures in 0.. {
            let current = Arc::clone(self.lanes.lock().directory.current(&target));
            let permit = async {
                sleep_until(not_before).await;
                let longest = latest.saturating_duration_since(Instant::now());
                let permit = self.leave(&current, Purpose::ReadBack, Some(longest)).await;
                permit
                    .inspect_err(|refused| self.lanes.metrics.refused(label(refused.by)))
                    .ok()
            };
            let is_current =
                |waiting: &Waiting| has_same_token(waiting.directory.current(&target), &current);
            let permit = tokio::select! {
                biased;
                () = all_gone(open) => return None,
                permit = permit => permit?,
                () = self.until_changed(is_current) => continue,
            };
            let read = Settings::default();
            match self.exchange(permit, &current, &read, &traces).await {
                Err(Error::Unreachable(_)) => (),
                Err(error) if is_about_token(&error) && !is_current(&self.lanes.lock()) => continue,
                result => return result.ok(),
            }
            not_before = Instant::now() + backoff(failures, fastrand::f32());
            if not_before > give_up {
                break;
            }
        }
        None
    }

    /// Lets callers wait again, in their old places, until they may be sent at `time`. Whoever has not
    /// that much time hears of the failure.
    pub(super) fn put_back(&self, callers: Vec<Caller>, time: Instant, failure: &Failure) {
        let callers = callers.into_iter().filter(|caller| !caller.is_gone());
        let (mut again, late): (Vec<_>, Vec<_>) = callers.partition(|caller| {
            time <= caller.latest && caller.gives_up.is_none_or(|until| time <= until)
        });
        for caller in late {
            caller.refuse(failure.clone());
        }
        for caller in &mut again {
            caller.was_put_back = true;
        }
        let mut waiting = self.lanes.lock();
        if let Some(lane) = waiting.lanes.get_mut(&self.name) {
            lane.callers.extend(again);
            lane.callers.sort_unstable_by_key(|caller| caller.number);
        }
    }
}

/// Waits until none of the callers waits any more.
async fn all_gone(callers: &mut [(Caller, Failure)]) {
    for (caller, _) in callers {
        caller.outcome.closed().await;
    }
}

/// Whether Ryze has answered with a failure that leaves nothing open of the field that failed: it has
/// ended the update, and what is not there by then was not applied.
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
