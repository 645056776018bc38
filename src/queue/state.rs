//! The queued calls of all instances, and what decides which token they are sent with and whether
//! their instance is suspended. All of it is behind one lock.

use std::{collections::VecDeque, mem, sync::Arc};

use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

use super::{
    directory::Directory, pending_call::PendingCall, suspension::Suspensions, turn::PendingTurn,
};
use crate::{configured_map::ConfiguredMap, privacy::Failure, ryze::Target};

/// Workers that wait for the next call of their instances. Each takes 2 KiB, and saves 2,500 instructions of
/// a call that would start a worker (callgrind, thin LTO).
const MAX_IDLE_WORKERS: usize = 64;

/// Bounded: each call belongs to a client connection and is removed with it.
#[derive(Default)]
pub(super) struct State {
    /// By the instance's name. An instance without a worker has no queue.
    pub(super) queues: ConfiguredMap<Arc<str>, Queue>,
    pub(super) idle_workers: usize,
    /// Whether a worker ends once its queue is empty.
    pub(super) is_closing: bool,
    pub(super) calls_so_far: u64,
    pub(super) directory: Directory,
    pub(super) suspensions: Suspensions,
}

pub(super) struct Queue {
    /// In the order of arrival.
    pub(super) calls: Vec<PendingCall>,
    /// In the order of arrival.
    pub(super) turns: VecDeque<PendingTurn>,
    /// Whether the worker waits for a call.
    has_idle_worker: bool,
    /// Notified when a call is cancelled, when one arrives for an idle worker, when the configured targets are
    /// replaced, and when the queue is dropped.
    pub(super) changed: Arc<Notify>,
    /// A permit for each call that may be queued or in flight.
    pub(super) capacity: Arc<Semaphore>,
}

/// What a worker does next.
pub(super) enum Work {
    /// Sends a request to this target.
    Request(Arc<Target>),
    Turn(PendingTurn),
    /// Waits until its queue changes.
    Wait,
    /// Ends; the queue is removed.
    End,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            calls: Vec::new(),
            turns: VecDeque::new(),
            has_idle_worker: false,
            changed: Arc::default(),
            capacity: Arc::new(Semaphore::new(capacity)),
        }
    }

    /// Has an idle worker, one of so many, go on.
    pub(super) fn wake_worker(&mut self, idle_workers: &mut usize) {
        if mem::take(&mut self.has_idle_worker) {
            *idle_workers -= 1;
            self.changed.notify_one();
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

    /// The first call, unless a turn is next.
    fn next_call(&self) -> Option<&PendingCall> {
        let first = self.calls.first()?;
        let is_next = self.first_turn().is_none_or(|turn| first.number < turn);
        is_next.then_some(first)
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

impl Drop for Queue {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

impl State {
    /// Has every worker look at its queue again, because what is true for all has changed.
    pub(super) fn notify_workers(&self) {
        for queue in self.queues.values() {
            queue.changed.notify_one();
        }
    }

    /// What the worker of the instance does next.
    pub(super) fn next_work(&mut self, name: &str) -> Work {
        let Some(queue) = self.queues.get_mut(name) else {
            return Work::End;
        };
        if let Some(call) = queue.next_call() {
            return Work::Request(Arc::clone(self.directory.current(&call.target)));
        }
        if let Some(turn) = queue.turns.pop_front() {
            return Work::Turn(turn);
        }
        let may_wait = if queue.has_idle_worker {
            // Woken without a call, as by a reload, which may have removed the instance.
            self.directory.has_name(name)
        } else {
            self.idle_workers < MAX_IDLE_WORKERS
        };
        if may_wait && !self.is_closing {
            self.idle_workers += usize::from(!queue.has_idle_worker);
            queue.has_idle_worker = true;
            return Work::Wait;
        }
        if let Some(removed) = self.queues.remove(name) {
            self.idle_workers -= usize::from(removed.has_idle_worker);
        }
        Work::End
    }

    /// The target of the next request of the instance. `None` if its queue is empty or a turn is next.
    pub(super) fn next_target(&self, name: &str) -> Option<&Arc<Target>> {
        let call = self.queues.get(name)?.next_call()?;
        Some(self.directory.current(&call.target))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Secret;

    fn directory(names: impl Iterator<Item = usize>) -> Directory {
        let base_url = "http://ryze.test".parse().unwrap();
        let target = |name: usize| {
            let name = name.to_string();
            Arc::new(Target::new(&base_url, &*name, &*name, &Secret::new("token")).unwrap())
        };
        Directory::new(&names.map(target).collect::<Vec<_>>())
    }

    #[test]
    fn a_worker_waits_for_the_next_call_unless_enough_others_do_or_the_queues_close() {
        let mut state = State::default();
        let next = |state: &mut State, name: usize| {
            let queue = state.queues.entry(name.to_string().into());
            queue.or_insert_with(|| Queue::new(1));
            let work = state.next_work(&name.to_string());
            (matches!(work, Work::Wait), state.queues.len())
        };
        let (first, last) = (0, MAX_IDLE_WORKERS);
        state.directory = directory(first..=last);
        for name in first..last {
            assert_eq!(next(&mut state, name), (true, name + 1));
        }
        assert_eq!(next(&mut state, last), (false, last));
        // Woken for nothing, it goes on waiting.
        assert_eq!(next(&mut state, first), (true, last));
        assert_eq!(next(&mut state, last), (false, last));
        let (queues, idle_workers) = (&mut state.queues, &mut state.idle_workers);
        if let Some(queue) = queues.get_mut("0") {
            queue.wake_worker(idle_workers);
            queue.wake_worker(idle_workers);
        }
        assert_eq!(next(&mut state, last), (true, last + 1));
        assert_eq!(next(&mut state, first), (false, last));
        // The place of an instance that is not configured any more is free.
        state.directory = directory(first..last);
        assert_eq!(next(&mut state, last), (false, last - 1));
        assert_eq!(next(&mut state, first), (true, last));
        state.is_closing = true;
        for name in first..last {
            assert_eq!(next(&mut state, name), (false, last - name - 1));
        }
        assert_eq!(state.idle_workers, 0);
    }
}
