//! The limiter of one budget, as its dispatcher and its permits share it: the state under a lock, and
//! the limiter in Redis if several processes share the budget. The latter then has slots and pacer.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::{sync::Notify, time::Instant};

use super::{history::History, quota::Quota, redis::SharedLimiter, state::State};
use crate::sync::lock;

#[derive(Debug)]
pub(super) struct Limiter {
    pub(super) shared: Option<SharedLimiter>,
    state: Mutex<State>,
    history: Arc<Mutex<History>>,
    /// Wakes the dispatcher after a change that it could not foresee: a slot was released, or an upstream
    /// limit changed.
    pub(super) changed: Notify,
}

impl Limiter {
    pub(super) fn new(
        quota: Quota,
        shared: Option<SharedLimiter>,
        history: Arc<Mutex<History>>,
    ) -> Self {
        Self {
            shared,
            state: Mutex::new(State::new(quota)),
            history,
            changed: Notify::new(),
        }
    }

    /// Whether no request is in flight and no slot is in use.
    pub(super) fn is_idle(&self) -> bool {
        let is_shared_idle = self.shared.as_ref().is_none_or(SharedLimiter::is_idle);
        is_shared_idle && self.lock().slots.in_use(Instant::now()) == 0
    }

    /// How many slots are in use.
    pub(super) fn in_use(&self, now: Instant) -> usize {
        let own = self.lock().slots.in_use(now);
        self.shared.as_ref().map_or(own, SharedLimiter::in_use)
    }

    /// Records that a request that was sent has ended.
    pub(super) fn record_sent(&self, state: &mut State, now: Instant) {
        let in_window = state.window.add(now);
        lock(&self.history).add(now, in_window);
    }

    /// A panic elsewhere leaves no wrong count: every change of the state is complete before anything that
    /// could panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
