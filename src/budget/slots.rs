//! Slots keep the promise: at most `limit` requests arrive at the upstream in any 60 s.
//!
//! A request takes a slot before it is sent and gives it back [`HOLD`] after its answer is in or
//! its connection is closed. So a request that arrived at time *a* holds its slot from before *a*
//! until after *a* + 60 s, every request that arrived in the last 60 s holds one, and there are
//! only `limit` of them. Pure: the time is an argument. Pacing belongs in `pace.rs`.

use std::{collections::VecDeque, iter::repeat_n, time::Duration};

use tokio::time::Instant;

/// How long a slot is held after its request is over: the 60 s of the promise, and 1 s of guard
/// for what the network may still deliver from a connection that was closed.
pub(super) const HOLD: Duration = Duration::from_secs(61);

/// The slots of one budget.
#[derive(Debug)]
pub(super) struct Slots {
    limit: usize,
    in_flight: usize,
    /// When each held slot is free again, the earliest first. Never longer than `limit`.
    held: VecDeque<Instant>,
}

impl Slots {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit: limit as usize,
            in_flight: 0,
            held: VecDeque::new(),
        }
    }

    /// Whether a slot is free at `now`.
    pub(super) fn is_free(&mut self, now: Instant) -> bool {
        while self.held.front().is_some_and(|release| *release <= now) {
            self.held.pop_front();
        }
        self.in_flight + self.held.len() < self.limit
    }

    /// Whether no slot is taken at `now`.
    pub(super) fn are_all_free(&mut self, now: Instant) -> bool {
        self.is_free(now) && self.in_flight == 0 && self.held.is_empty()
    }

    /// Takes a slot that [`is_free`](Self::is_free) has just seen.
    pub(super) fn take(&mut self) {
        debug_assert!(self.in_flight + self.held.len() < self.limit);
        self.in_flight += 1;
    }

    /// Gives a slot back at once: nothing was sent.
    pub(super) fn give_back(&mut self) {
        self.in_flight -= 1;
    }

    /// Holds a slot whose request was over at `now`, which must not go backwards from call to call.
    pub(super) fn hold(&mut self, now: Instant) {
        self.in_flight -= 1;
        self.held.push_back(now + HOLD);
    }

    /// When the next held slot is free, if one is held.
    pub(super) fn next_release(&self) -> Option<Instant> {
        self.held.front().copied()
    }

    /// The earliest time at which each slot is free, in order: `now` for those that are free already.
    /// A request that is in flight gives its slot back after `now + HOLD` at the earliest, and is
    /// counted so.
    pub(super) fn releases(&self, now: Instant) -> impl Iterator<Item = Instant> + '_ {
        let free = self.limit - self.in_flight - self.held.len();
        repeat_n(now, free)
            .chain(self.held.iter().copied())
            .chain(repeat_n(now + HOLD, self.in_flight))
    }
}
