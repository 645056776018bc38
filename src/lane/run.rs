//! What a lane does: it waits for the budget, folds who waits into one request, sends it and judges
//! the answer, until nobody waits any more. One request by itself belongs in `exchange.rs`, what is done
//! where an answer leaves something open in `recover.rs`, what an answer means in `verdict.rs`.

use std::{mem, sync::Arc, thread, time::Duration};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    Caller, Lanes,
    company::Company,
    exchange::limiter,
    verdict::{Verdict, judge},
};
use crate::{
    budget::{Permit, Purpose, Refused, RefusedBy},
    network::Connect,
    privacy::{Failure, Limiter, Settings},
    ryze::{Error, Target},
};

/// A lane at work. It ends when nobody waits in it.
pub(super) struct Running<C> {
    pub(super) lanes: Arc<Lanes<C>>,
    pub(super) target: Arc<Target>,
}

/// How the lane goes on.
#[derive(Debug, Default)]
pub(super) struct Next {
    /// Nothing is sent before.
    pub(super) not_before: Option<Instant>,
    /// Until then the budget may be waited for, in place of its own longest wait: somebody was put
    /// back who had waited for it once.
    pub(super) until: Option<Instant>,
    /// Whether that was for Ryze's limit.
    pub(super) was_throttled: bool,
    /// How often in a row Ryze could not be reached.
    pub(super) failures: u32,
}

impl<C: Connect> Running<C> {
    pub(super) fn new(lanes: Arc<Lanes<C>>, target: Arc<Target>) -> Self {
        Self { lanes, target }
    }

    pub(super) async fn run(self) {
        let mut next = Next::default();
        while let Some(left) = self.goes_on() {
            tokio::select! {
                biased;
                permit = self.permit(&next) => match permit {
                    Ok(permit) => next = self.send(permit, next.failures).await,
                    Err(refused) => {
                        self.refuse(refused, next.was_throttled);
                        next = Next::default();
                    }
                },
                () = self.nobody_to_send(&left) => self.refuse_late(),
            }
        }
    }

    async fn permit(&self, next: &Next) -> Result<Permit, Refused> {
        if let Some(time) = next.not_before {
            sleep_until(time).await;
        }
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        self.leave(Purpose::Call, next.until.map(left)).await
    }

    /// Refuses who waits. Who was sent away by Ryze before hears of its limit, not of the budget.
    fn refuse(&self, refused: Refused, was_throttled: bool) {
        let retry_after = refused.retry_after;
        let by = if was_throttled {
            RefusedBy::Upstream
        } else {
            refused.by
        };
        self.lanes.metrics.refused(label(by));
        self.refuse_all(&match by {
            RefusedBy::Upstream => Failure::Throttled {
                by: Limiter::Upstream,
                retry_after,
            },
            RefusedBy::Budget => Failure::Budget { retry_after },
            RefusedBy::Redis => Failure::BudgetUnavailable { retry_after },
        });
    }

    pub(super) fn refuse_all(&self, failure: &Failure) {
        let callers = {
            let mut waiting = self.lanes.lock();
            let lane = waiting.lanes.get_mut(&self.target);
            lane.map(|lane| mem::take(&mut lane.callers))
        };
        for caller in callers.into_iter().flatten() {
            caller.refuse(failure.clone());
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

    /// Answers those who are too late to be sent.
    fn refuse_late(&self) {
        let now = Instant::now();
        let mut waiting = self.lanes.lock();
        let lane = waiting.lanes.get_mut(&self.target);
        for late in lane
            .into_iter()
            .flat_map(|lane| lane.callers.extract_if(.., |caller| caller.latest < now))
        {
            late.refuse(Failure::NotSent);
        }
    }

    /// Those whom the next request is for: all who can go with the first of them.
    fn take_next(&self) -> Vec<Caller> {
        let mut waiting = self.lanes.lock();
        let Some(lane) = waiting.lanes.get_mut(&self.target) else {
            return Vec::new();
        };
        let Some(first) = lane.callers.first().map(Company::of) else {
            return Vec::new();
        };
        let next = lane
            .callers
            .extract_if(.., |caller| Company::of(caller) == first);
        next.collect()
    }

    /// Sends one request for as many as can go together, and sees to what becomes of each.
    async fn send(&self, permit: Permit, failures: u32) -> Next {
        self.refuse_late();
        let mut callers = self.take_next();
        if callers.is_empty() {
            return Next::default();
        }
        let update: Settings = callers
            .iter()
            .filter_map(|caller| caller.operation.change())
            .collect();
        let traces: Vec<_> = callers.iter().map(|it| Arc::clone(&it.trace)).collect();
        let result = self.exchange(permit, &update, &traces).await;
        if let Err(error @ Error::Unreachable(_)) = &result {
            return self.wait_for_ryze(callers, &error.failure(None), failures);
        }
        for caller in &mut callers {
            caller.gives_up = None;
        }
        if let Some((Limiter::Upstream, pause)) = limiter(&result) {
            return self.wait_for_reset(callers, pause);
        }
        let newcomers = callers.iter().filter(|caller| !caller.was_sent_before());
        if !update.is_empty() {
            self.lanes
                .metrics
                .folded(newcomers.count().saturating_sub(1));
        }
        let mut open = Vec::new();
        for caller in callers {
            match judge(&result, &update, caller.operation) {
                Verdict::Known(outcome) => caller.answer(outcome),
                Verdict::Open(failure) => open.push((caller, failure)),
            }
        }
        self.make_sure(open, &update, &result).await
    }
}

/// The word of the metrics for what refused a request.
pub(super) fn label(by: RefusedBy) -> &'static str {
    match by {
        RefusedBy::Budget => "budget",
        RefusedBy::Upstream => "ryze",
        RefusedBy::Redis => "redis",
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
