//! The queued calls of all instances, and what decides which token they are sent with and whether
//! their instance is suspended. All of it is behind one lock.

use std::{collections::VecDeque, sync::Arc};

use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

use super::{
    directory::Directory, pending_call::PendingCall, suspension::Suspensions, turn::PendingTurn,
};
use crate::{configured_map::ConfiguredMap, privacy::Failure, ryze::Target};

/// Bounded: each call belongs to a client connection and is removed with it.
#[derive(Default)]
pub(super) struct State {
    /// By the instance's name. An instance without a worker has no queue.
    pub(super) queues: ConfiguredMap<Arc<str>, Queue>,
    pub(super) calls_so_far: u64,
    pub(super) directory: Directory,
    pub(super) suspensions: Suspensions,
}

pub(super) struct Queue {
    /// In the order of arrival.
    pub(super) calls: Vec<PendingCall>,
    /// In the order of arrival.
    pub(super) turns: VecDeque<PendingTurn>,
    /// Notified when a call is cancelled and when the configured targets are replaced.
    pub(super) changed: Arc<Notify>,
    /// A permit for each call that may be queued or in flight.
    pub(super) capacity: Arc<Semaphore>,
}

/// What a queue does next.
pub(super) enum Work {
    /// A request to this target.
    Request(Arc<Target>),
    Turn(PendingTurn),
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            calls: Vec::new(),
            turns: VecDeque::new(),
            changed: Arc::default(),
            capacity: Arc::new(Semaphore::new(capacity)),
        }
    }

    /// How many calls and turns are waited for, not counting those in flight.
    pub(super) fn waiting(&self) -> usize {
        self.calls.len() + self.turns.len()
    }

    /// The number of the first turn. Calls with a higher one wait for it.
    pub(super) fn first_turn(&self) -> Option<u64> {
        self.turns.front().map(|turn| turn.number)
    }

    /// Removes a call or a turn that is not in flight, and returns its failure.
    pub(super) fn cancel(&mut self, number: u64) -> Option<Failure> {
        if let Ok(place) = self.calls.binary_search_by_key(&number, |it| it.number) {
            let call = self.calls.remove(place);
            return Some(call.failure_unless_sent(Failure::NotSent));
        }
        let turn = self.turns.binary_search_by_key(&number, |it| it.number);
        self.turns.remove(turn.ok()?);
        Some(Failure::NotSent)
    }
}

impl State {
    /// The target of the next request of the instance. `None` if its queue is empty or a turn is next.
    pub(super) fn next_target(&self, name: &str) -> Option<&Arc<Target>> {
        let queue = self.queues.get(name)?;
        let first = queue.calls.first()?;
        let is_next = queue.first_turn().is_none_or(|turn| first.number < turn);
        is_next.then(|| self.directory.current(&first.target))
    }

    /// Fails while the instance is suspended for its current token.
    pub(super) fn check(&self, target: &Arc<Target>) -> Result<(), Failure> {
        // Usually, and then the current target need not be looked up.
        if self.suspensions.is_empty() {
            return Ok(());
        }
        let target = self.directory.current(target);
        self.suspensions.check(target, Instant::now())
    }
}
