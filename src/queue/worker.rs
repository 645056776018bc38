//! What a lane does: it waits for the budget, folds who waits into one request, sends it and judges
//! the answer, until nobody waits any more. One request by itself belongs in `exchange.rs`, what is done
//! where an answer leaves something open in `recover.rs`, what an answer means in `verdict.rs`.

use std::{sync::Arc, thread};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    Caller, Lane, Lanes, Waiting,
    batch::Company,
    directory::has_same_token,
    send::{is_about_token, limiter},
    verdict::{Verdict, judge},
};
use crate::{
    budget::{Permit, Purpose, Refused, RefusedBy},
    net::Connect,
    privacy::{Failure, Limiter, Settings},
    ryze::{Error, Target},
    telemetry,
};

/// A lane at work. It ends when nobody waits in it.
pub(super) struct Running<C> {
    pub(super) lanes: Arc<Lanes<C>>,
    /// Of the instance.
    pub(super) name: Arc<str>,
    /// That of the lane.
    changed: Arc<Notify>,
}

/// How the lane goes on.
#[derive(Debug, Default)]
pub(super) struct Next {
    /// Nothing is sent before.
    pub(super) not_before: Option<Instant>,
    /// Whether it is because of Ryze's limit.
    pub(super) was_throttled: bool,
    /// How often in a row Ryze could not be reached.
    pub(super) failures: u32,
}

impl<C: Connect> Running<C> {
    pub(super) fn new(lanes: Arc<Lanes<C>>, name: &Arc<str>, changed: Arc<Notify>) -> Self {
        Self {
            lanes,
            name: Arc::clone(name),
            changed,
        }
    }

    pub(super) async fn run(self) {
        let mut next = Next::default();
        while let Some(target) = self.goes_on() {
            tokio::select! {
                biased;
                permit = self.permit(&target, &next) => match permit {
                    Ok(permit) => next = self.send(permit, &target, next.failures).await,
                    Err(refused) => {
                        self.refuse(refused, &target, next.was_throttled);
                        next = Next::default();
                    }
                },
                () = self.until_changed(|waiting| self.is_next(&target, waiting)) => (),
            }
        }
    }

    async fn permit(&self, target: &Target, next: &Next) -> Result<Permit, Refused> {
        if let Some(time) = next.not_before {
            sleep_until(time).await;
        }
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        let longest = self.permit_deadline(target).map(left);
        self.leave(target, Purpose::Call, longest).await
    }

    /// Until when a permit for this token may be waited for, in place of the budget's own longest wait,
    /// where a call was put back.
    fn permit_deadline(&self, target: &Target) -> Option<Instant> {
        let waiting = self.lanes.lock();
        let put_back = waiting.lanes.get(&self.name)?.callers.iter().filter(|it| {
            it.was_put_back && has_same_token(waiting.directory.current(&it.target), target)
        });
        put_back.map(|caller| caller.latest).max()
    }

    /// Refuses who waits to be sent with this token. Who was sent away by Ryze before hears of its limit,
    /// not of the budget.
    fn refuse(&self, refused: Refused, target: &Target, was_throttled: bool) {
        let retry_after = refused.retry_after;
        let by = if was_throttled {
            RefusedBy::Upstream
        } else {
            refused.by
        };
        self.lanes.metrics.refused(label(by));
        let failure = match by {
            RefusedBy::Upstream => Failure::Throttled {
                by: Limiter::Upstream,
                retry_after,
            },
            RefusedBy::Budget => Failure::Budget { retry_after },
            RefusedBy::Redis => Failure::BudgetUnavailable { retry_after },
        };
        self.refuse_all(&failure, |it| has_same_token(it, target));
    }

    /// Refuses all who wait and whose request would be sent to a target like that.
    pub(super) fn refuse_all(&self, failure: &Failure, is_meant: impl Fn(&Target) -> bool) {
        let mut waiting = self.lanes.lock();
        let Waiting {
            lanes, directory, ..
        } = &mut *waiting;
        let lane = lanes.get_mut(&self.name);
        for caller in lane.into_iter().flat_map(|lane| {
            let is_meant = |caller: &mut Caller| is_meant(directory.current(&caller.target));
            lane.callers.extract_if(.., is_meant)
        }) {
            caller.refuse(failure.clone());
        }
    }

    /// What the first of those who wait is sent with, or none where the lane ends: nobody waits, and it
    /// is removed under the same lock.
    fn goes_on(&self) -> Option<Arc<Target>> {
        let mut waiting = self.lanes.lock();
        let next = waiting.next_target(&self.name).map(Arc::clone);
        if next.is_none() {
            waiting.lanes.remove(&self.name);
        }
        next
    }

    /// Whether somebody waits, and the next request goes out with this token.
    fn is_next(&self, target: &Target, waiting: &Waiting) -> bool {
        let next = waiting.next_target(&self.name);
        next.is_some_and(|next| has_same_token(next, target))
    }

    /// Waits until something does not hold any more, which can change when a caller leaves or the
    /// configured targets are replaced.
    pub(super) async fn until_changed(&self, holds: impl Fn(&Waiting) -> bool) {
        while holds(&self.lanes.lock()) {
            self.changed.notified().await;
        }
    }

    /// Answers those who are too late to be sent.
    fn refuse_late(&self) {
        let now = Instant::now();
        let mut waiting = self.lanes.lock();
        let lane = waiting.lanes.get_mut(&self.name);
        for late in lane
            .into_iter()
            .flat_map(|lane| lane.callers.extract_if(.., |caller| caller.latest < now))
        {
            late.refuse(Failure::NotSent);
        }
    }

    /// Those whom the next request, with this token, is for: all who can go with the first of them, up to
    /// the first of another token. A value behind that one must not overtake it.
    fn take_next(&self, target: &Target) -> Vec<Caller> {
        let mut waiting = self.lanes.lock();
        let Waiting {
            lanes, directory, ..
        } = &mut *waiting;
        let Some(Lane { callers, .. }) = lanes.get_mut(&self.name) else {
            return Vec::new();
        };
        let is_other = |it: &Caller| !has_same_token(directory.current(&it.target), target);
        let end = callers.iter().position(is_other).unwrap_or(callers.len());
        let Some(first) = callers[..end].first().map(Company::of) else {
            return Vec::new();
        };
        let next = callers.extract_if(..end, |caller| Company::of(caller) == first);
        next.collect()
    }

    /// Sends one request for as many as can go together, and sees to what becomes of each.
    async fn send(&self, permit: Permit, target: &Arc<Target>, failures: u32) -> Next {
        self.refuse_late();
        let mut callers = self.take_next(target);
        if callers.is_empty() {
            return Next::default();
        }
        let update: Settings = callers
            .iter()
            .filter_map(|caller| caller.operation.change())
            .collect();
        let traces: Vec<_> = callers.iter().map(|it| Arc::clone(&it.trace)).collect();
        let result = self.exchange(permit, target, &update, &traces).await;
        if let Err(error @ Error::Unreachable(_)) = &result {
            return self.wait_for_ryze(callers, &error.failure(None), failures);
        }
        for caller in &mut callers {
            caller.gives_up = None;
        }
        if let Err(error) = &result
            && is_about_token(error)
        {
            let is_renewed = |caller: &mut Caller| {
                let waiting = self.lanes.lock();
                !has_same_token(waiting.directory.current(&caller.target), target)
            };
            let renewed: Vec<_> = callers.extract_if(.., is_renewed).collect();
            // It was refused before anything was changed, and may go out with the new token at once.
            self.put_back(renewed, Instant::now(), &error.failure(None));
            if callers.is_empty() {
                return Next::default();
            }
        }
        if let Some((Limiter::Upstream, pause)) = limiter(&result) {
            return self.wait_for_reset(callers, pause);
        }
        for caller in &mut callers {
            caller.adopt_sent_value(&update);
        }
        let newcomers = callers.iter().filter(|caller| !caller.was_sent_before());
        if !update.is_empty() {
            self.lanes
                .metrics
                .folded(newcomers.count().saturating_sub(1));
        }
        let fields = update.iter().count();
        let mut open = Vec::new();
        for caller in callers {
            match judge(&result, caller.operation, fields) {
                Verdict::Known(outcome) => caller.answer(outcome),
                Verdict::Open(failure) => open.push((caller, failure)),
            }
        }
        self.make_sure(open, &update, &result).await;
        Next::default()
    }
}

/// The label of the metrics for what refused a request.
pub(super) fn label(by: RefusedBy) -> telemetry::RefusedBy {
    match by {
        RefusedBy::Budget => telemetry::RefusedBy::Budget,
        RefusedBy::Upstream => telemetry::RefusedBy::Ryze,
        RefusedBy::Redis => telemetry::RefusedBy::Redis,
    }
}

impl<C> Drop for Running<C> {
    /// Who waits in the lane of a task that panics is answered, and the next one starts anew.
    fn drop(&mut self) {
        if thread::panicking() {
            self.lanes.lock().lanes.remove(&self.name);
        }
    }
}
