//! The task that drains an instance's queue: acquires a permit, sends a batch, and completes its calls.
//! Once the queue is empty it waits for the next call, unless enough others do.

use std::{
    sync::{Arc, Weak},
    thread,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    Queues,
    batch::coalesce,
    directory::has_same_token,
    handle::QueueHandle,
    pending_call::PendingCall,
    retry::{self, Next},
    send::{Sender, is_about_token, label, rate_limit},
    state::Work,
    verdict::{Verdict, judge},
};
use crate::{
    budget::{Permit, Purpose, Refused, RefusedBy},
    privacy::{Failure, Limiter},
    ryze::{Error, Target},
};

pub(super) struct Worker {
    sender: Sender,
}

impl Worker {
    /// Serves an instance's queue until there are enough idle workers, or until `queues` is dropped.
    pub(super) async fn run(queues: Weak<Queues>, name: Arc<str>, changed: Arc<Notify>) {
        while let Some(queues) = queues.upgrade() {
            let queue = QueueHandle::new(queues, &name, &changed);
            let worker = Self {
                sender: Sender { queue },
            };
            if !worker.drain().await {
                return;
            }
            changed.notified().await;
        }
    }

    /// Drains the queue. Returns whether the worker waits for the next call.
    async fn drain(self) -> bool {
        let queue = &self.sender.queue;
        let mut next = Next::default();
        loop {
            let target = match queue.next_work() {
                Work::Request(target) => target,
                Work::Turn(turn) => {
                    turn.run().await;
                    continue;
                }
                Work::Wait => return true,
                Work::End => return false,
            };
            let permit = tokio::select! {
                biased;
                permit = self.acquire_permit(&target, &next) => permit,
                // The permit would have no call: the request for it is cancelled.
                () = queue.wait_while(|state| queue.is_next(&target, state)) => continue,
            };
            match permit {
                Ok(permit) => next = self.send_batch(permit, &target, next.failures).await,
                Err(refused) => {
                    self.fail_refused(refused, &target, next.was_throttled);
                    next = Next::default();
                }
            }
        }
    }

    async fn acquire_permit(&self, target: &Target, next: &Next) -> Result<Permit, Refused> {
        if let Some(time) = next.not_before {
            sleep_until(time).await;
        }
        let from_now = |time: Instant| time.saturating_duration_since(Instant::now());
        let max_wait = self.sender.queue.permit_deadline(target).map(from_now);
        self.sender
            .acquire_permit(target, Purpose::Call, max_wait)
            .await
    }

    /// Fails the queued calls of this token, which got no permit. After a 429 of Ryze the failure is
    /// Ryze's rate limit, not the budget.
    fn fail_refused(&self, refused: Refused, target: &Target, was_throttled: bool) {
        let retry_after = refused.retry_after;
        let by = if was_throttled {
            RefusedBy::Upstream
        } else {
            refused.by
        };
        let queue = &self.sender.queue;
        queue.queues.metrics.refused(label(by));
        let failure = match by {
            RefusedBy::Upstream => Failure::Throttled {
                by: Limiter::Upstream,
                retry_after,
            },
            RefusedBy::Budget => Failure::Budget { retry_after },
            RefusedBy::Redis => Failure::BudgetUnavailable { retry_after },
        };
        queue.fail_matching(&failure, |it| has_same_token(it, target));
    }

    /// Sends one request for the calls that may share it, and completes or requeues each.
    async fn send_batch(&self, permit: Permit, target: &Arc<Target>, failures: u32) -> Next {
        let queue = &self.sender.queue;
        let mut calls = queue.take_batch(target);
        if calls.is_empty() {
            return Next::default();
        }
        let update = coalesce(&calls);
        let traces = calls.iter().map(|it| &*it.trace);
        let result = self.sender.send(permit, target, &update, traces).await;
        if let Err(error @ Error::Unreachable(_)) = &result {
            return retry::after_unreachable(queue, calls, &error.failure(None), failures);
        }
        for call in &mut calls {
            call.give_up_at = None;
        }
        if let Err(error) = &result
            && is_about_token(error)
        {
            let is_renewed = |call: &mut PendingCall| {
                let state = queue.lock();
                !has_same_token(state.directory.current(&call.target), target)
            };
            let renewed: Vec<_> = calls.extract_if(.., is_renewed).collect();
            // Nothing was changed, so these may be sent with the new token at once.
            retry::requeue(queue, renewed, Instant::now(), &error.failure(None));
            if calls.is_empty() {
                return Next::default();
            }
        }
        if let Some((Limiter::Upstream, pause)) = rate_limit(&result) {
            return retry::after_rate_limit(queue, calls, pause);
        }
        for call in &mut calls {
            call.adopt_sent_value(&update);
        }
        if !update.is_empty() {
            let first_attempts = calls.iter().filter(|call| !call.was_sent_before());
            let coalesced = first_attempts.count().saturating_sub(1);
            queue.queues.metrics.coalesced(coalesced);
        }
        let fields = update.iter().count();
        let mut open = Vec::new();
        for call in calls {
            match judge(&result, call.operation, fields) {
                Verdict::Known(outcome) => call.complete(outcome),
                Verdict::Open(failure) => open.push((call, failure)),
            }
        }
        if !open.is_empty() {
            // Boxed, because it is large and rare.
            Box::pin(retry::resolve_open(&self.sender, open, &update, &result)).await;
        }
        Next::default()
    }
}

impl Drop for Worker {
    /// After a panic, fails the queued calls and lets the next call start a new worker.
    fn drop(&mut self) {
        if thread::panicking() {
            self.sender.queue.remove();
        }
    }
}
