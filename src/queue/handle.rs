//! A worker's access to the queue of its instance.

use std::sync::{Arc, MutexGuard};

use tokio::{sync::Notify, time::Instant};

use super::{
    Queues, batch,
    directory::has_same_token,
    pending_call::PendingCall,
    state::{State, Work},
};
use crate::{privacy::Failure, ryze::Target};

pub(super) struct QueueHandle {
    pub(super) queues: Arc<Queues>,
    /// Of the instance.
    name: Arc<str>,
    changed: Arc<Notify>,
}

impl QueueHandle {
    pub(super) fn new(queues: Arc<Queues>, name: &Arc<str>, changed: &Arc<Notify>) -> Self {
        Self {
            queues,
            name: Arc::clone(name),
            changed: Arc::clone(changed),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.queues.lock()
    }

    /// What the worker does next.
    pub(super) fn next_work(&self) -> Work {
        self.lock().next_work(&self.name)
    }

    /// Whether the next request would have this token.
    pub(super) fn is_next(&self, target: &Target, state: &State) -> bool {
        let next = state.next_target(&self.name);
        next.is_some_and(|next| has_same_token(next, target))
    }

    /// Until when to wait for a permit of this token, in place of the budget's own maximum, if a requeued
    /// call waits for it.
    pub(super) fn permit_deadline(&self, target: &Target) -> Option<Instant> {
        let state = self.lock();
        let calls = state.queues.get(&self.name)?.calls.iter();
        let requeued = calls.filter(|it| {
            it.was_requeued && has_same_token(state.directory.current(&it.target), target)
        });
        requeued.map(|call| call.send_by).max()
    }

    /// Waits until a condition is false. It may change when a call is cancelled or the configured
    /// targets are replaced.
    pub(super) async fn wait_while(&self, condition: impl Fn(&State) -> bool) {
        while condition(&self.lock()) {
            self.changed.notified().await;
        }
    }

    /// Fails the calls whose request would have a matching target.
    pub(super) fn fail_matching(&self, failure: &Failure, matches: impl Fn(&Target) -> bool) {
        let mut state = self.lock();
        let State {
            queues, directory, ..
        } = &mut *state;
        let queue = queues.get_mut(&self.name);
        for call in queue.into_iter().flat_map(|queue| {
            let matches = |call: &mut PendingCall| matches(directory.current(&call.target));
            queue.calls.extract_if(.., matches)
        }) {
            call.fail_unsent(failure.clone());
        }
    }

    /// Removes the calls of the next request with this token. Fails those whose time to be sent is over.
    pub(super) fn take_batch(&self, target: &Target) -> Vec<PendingCall> {
        let mut state = self.lock();
        let State {
            queues, directory, ..
        } = &mut *state;
        let Some(queue) = queues.get_mut(&self.name) else {
            return Vec::new();
        };
        let now = Instant::now();
        let is_late = |call: &mut PendingCall| call.send_by < now;
        for late in queue.calls.extract_if(.., is_late) {
            late.fail_unsent(Failure::NotSent);
        }
        let turn = queue.first_turn();
        batch::take(&mut queue.calls, |call| {
            turn.is_some_and(|turn| turn < call.number)
                || !has_same_token(directory.current(&call.target), target)
        })
    }

    /// Puts calls back in the places that they had.
    pub(super) fn requeue(&self, calls: Vec<PendingCall>) {
        if calls.is_empty() {
            return;
        }
        let mut state = self.lock();
        if let Some(queue) = state.queues.get_mut(&self.name) {
            queue.calls.extend(calls);
            queue.calls.sort_unstable_by_key(|call| call.number);
        }
    }

    /// Removes the queue; its calls end with [`Failure::Unknown`].
    pub(super) fn remove(&self) {
        self.lock().queues.remove(&self.name);
    }
}
