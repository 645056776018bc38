//! What a lane does: it waits for the budget, folds who waits into one update, sends it and judges
//! the answer, until nobody waits any more.

use std::{mem, sync::Arc, thread, time::Duration};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{Caller, Lanes};
use crate::{
    budget::{Allowance, Permit, Refused},
    network::Connect,
    privacy::{Failure, Limiter, Operation, Outcome, Settings},
    ryze::{Error, RateLimit, Reply, Target},
};

/// A lane at work. It ends when nobody waits in it.
pub(super) struct Running<C> {
    lanes: Arc<Lanes<C>>,
    target: Arc<Target>,
}

impl<C: Connect> Running<C> {
    pub(super) fn new(lanes: Arc<Lanes<C>>, target: Arc<Target>) -> Self {
        Self { lanes, target }
    }

    pub(super) async fn run(self) {
        let mut longest_wait = None;
        while let Some(left) = self.goes_on() {
            tokio::select! {
                biased;
                permit = self.permit(longest_wait) => match permit {
                    Ok(permit) => longest_wait = self.send(permit).await,
                    Err(refused) => self.refuse(refused, longest_wait.is_some()),
                },
                () = self.nobody_to_send(&left) => self.refuse_late(),
            }
        }
    }

    async fn permit(&self, longest_wait: Option<Duration>) -> Result<Permit, Refused> {
        let token = self.target.token_digest();
        match longest_wait {
            None => self.lanes.budget.permit(token).await,
            Some(longest) => self.lanes.budget.permit_within(token, longest).await,
        }
    }

    /// Refuses who waits. Who was sent away by Ryze before hears of its limit, not of the budget.
    fn refuse(&self, refused: Refused, was_sent_away: bool) {
        let retry_after = refused.retry_after;
        let failure = if refused.by_upstream || was_sent_away {
            Failure::Throttled {
                by: Limiter::Upstream,
                retry_after,
            }
        } else {
            Failure::Budget { retry_after }
        };
        for caller in self.take_callers() {
            caller.answer(Err(failure.clone()));
        }
    }

    /// The lane's notice of who left, or none where it ends: nobody waits, and it is taken away in
    /// the same moment.
    fn goes_on(&self) -> Option<Arc<Notify>> {
        let mut waiting = self.lanes.lock();
        let lane = waiting.lanes.get(&self.target)?;
        if lane.callers.is_empty() {
            waiting.lanes.remove(&self.target);
            return None;
        }
        Some(Arc::clone(&lane.left))
    }

    /// Waits until there is nobody whom a permit would be for, so that none is asked for in vain.
    async fn nobody_to_send(&self, left: &Notify) {
        loop {
            let latest = {
                let waiting = self.lanes.lock();
                let lane = waiting.lanes.get(&self.target);
                lane.and_then(|lane| lane.callers.iter().map(|caller| caller.latest).max())
            };
            match latest {
                Some(latest) if Instant::now() <= latest => tokio::select! {
                    () = sleep_until(latest + Duration::from_millis(1)) => (),
                    () = left.notified() => (),
                },
                _ => return,
            }
        }
    }

    fn take_callers(&self) -> Vec<Caller> {
        let mut waiting = self.lanes.lock();
        let lane = waiting.lanes.get_mut(&self.target);
        lane.map(|lane| mem::take(&mut lane.callers))
            .unwrap_or_default()
    }

    /// Answers those who are too late to be sent.
    fn refuse_late(&self) {
        let now = Instant::now();
        let mut waiting = self.lanes.lock();
        let lane = waiting.lanes.get_mut(&self.target);
        for late in lane
            .into_iter()
            .flat_map(|lane| lane.callers.extract_if(.., |caller| caller.latest < now))
        {
            late.answer(Err(Failure::NotSent));
        }
    }

    /// Those whom the next request is for: all who want what the first of them wants, a change or to
    /// read.
    fn take_next(&self) -> Vec<Caller> {
        let mut waiting = self.lanes.lock();
        let Some(lane) = waiting.lanes.get_mut(&self.target) else {
            return Vec::new();
        };
        let reads = |caller: &Caller| caller.operation == Operation::Read;
        let Some(first_reads) = lane.callers.first().map(reads) else {
            return Vec::new();
        };
        let next = lane
            .callers
            .extract_if(.., |caller| reads(caller) == first_reads);
        next.collect()
    }

    /// Sends one request for as many as wait for the same. Where Ryze throttled it and there are
    /// callers with time for another try, it returns how long the next permit may be waited for.
    async fn send(&self, mut permit: Permit) -> Option<Duration> {
        self.refuse_late();
        let callers = self.take_next();
        let changes = |caller: &Caller| match caller.operation {
            Operation::Change(change) => Some(change),
            Operation::Read => None,
        };
        let update: Settings = callers.iter().filter_map(changes).collect();
        let client = &self.lanes.client;
        let Reply { result, limit } = if callers.is_empty() {
            return None;
        } else if update.is_empty() {
            permit.sent();
            client.read(&self.target).await
        } else {
            permit.sent();
            client.update(&self.target, &update).await
        };
        match result {
            Err(Error::Unreachable(_)) => permit.not_sent(),
            Err(Error::Unknown(_)) => (),
            Ok(_) | Err(Error::Answered { .. }) => permit.answered(allowance(&result, limit)),
        }
        drop(permit);
        let mut pause = None;
        match limiter(&result) {
            Some((Limiter::Upstream, until)) => return self.put_back(callers, until),
            Some((Limiter::WhatsApp, _)) => pause = Some(self.pause()),
            // A read need not have reached WhatsApp.
            None if result.is_ok() && !update.is_empty() => self.end_pause(),
            None => (),
        }
        for caller in callers {
            let mut outcome = judge(&result, &update, caller.operation);
            if let (Some(pause), Err(Failure::Throttled { retry_after, .. })) =
                (pause, &mut outcome)
            {
                *retry_after = pause;
            }
            caller.answer(outcome);
        }
        None
    }

    /// Ryze sent them away for `pause`: who has the time waits again, in its old place. Returns how
    /// long they may wait.
    fn put_back(&self, callers: Vec<Caller>, pause: Duration) -> Option<Duration> {
        let now = Instant::now();
        let (again, late): (Vec<_>, Vec<_>) = callers
            .into_iter()
            .filter(|caller| !caller.outcome.is_closed())
            .partition(|caller| now + pause <= caller.latest);
        for caller in late {
            caller.answer(Err(Failure::Throttled {
                by: Limiter::Upstream,
                retry_after: pause,
            }));
        }
        let latest = again.iter().map(|caller| caller.latest).max()?;
        let mut waiting = self.lanes.lock();
        let lane = waiting.lanes.entry(Arc::clone(&self.target)).or_default();
        lane.callers.extend(again);
        lane.callers.sort_unstable_by_key(|caller| caller.number);
        Some(latest - now)
    }

    /// WhatsApp throttles the account: nobody else is sent until the pause, which is returned, is
    /// over.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        let retry_after = self.lanes.lock().pauses.begin(&self.target, now);
        for caller in self.take_callers() {
            caller.answer(Err(Failure::Throttled {
                by: Limiter::WhatsApp,
                retry_after,
            }));
        }
        retry_after
    }

    fn end_pause(&self) {
        self.lanes.lock().pauses.end(&self.target);
    }
}

impl<C> Drop for Running<C> {
    /// Who waits in the lane of a task that panics is answered, and the next one starts anew.
    fn drop(&mut self) {
        if thread::panicking() {
            self.lanes.lock().lanes.remove(&self.target);
        }
    }
}

/// What is left for the token: nothing where Ryze refused for its limit, else what it says.
fn allowance(result: &Result<Settings, Error>, limit: Option<RateLimit>) -> Option<Allowance> {
    if let Some((Limiter::Upstream, reset)) = limiter(result) {
        return Some(Allowance {
            remaining: 0,
            reset,
        });
    }
    limit.map(|RateLimit { remaining, reset }| Allowance { remaining, reset })
}

/// Whose limit an update met, and for how long.
fn limiter(result: &Result<Settings, Error>) -> Option<(Limiter, Duration)> {
    match result {
        Err(Error::Answered {
            failure: Failure::Throttled { by, retry_after },
            ..
        }) => Some((*by, *retry_after)),
        _ => None,
    }
}

/// What an answer means for one of those whom the request was for. The value that was sent counts,
/// not the caller's own: where they differ, a later caller replaced it while both were under way, and
/// both orders are true.
fn judge(result: &Result<Settings, Error>, update: &Settings, operation: Operation) -> Outcome {
    let setting = match operation {
        Operation::Change(change) => Some(change.setting),
        Operation::Read => None,
    };
    let settings = result.as_ref().map_err(|error| error.failure(setting))?;
    match setting {
        Some(setting) if settings.get(setting) != update.get(setting) => Err(Failure::Upstream {
            reason: "Ryze did not confirm the change".into(),
        }),
        _ => Ok(*settings),
    }
}
