//! Slots keep the promise: at most `limit` requests arrive at the upstream in any 60 s.
//!
//! A request takes a slot before it is sent and gives it back [`HOLD`] after its answer is in or
//! its connection is closed. So a request that arrived at time *a* holds its slot from before *a*
//! until after *a* + 60 s, every request that arrived in the last 60 s holds one, and there are
//! only `limit` of them. Pure: the time is an argument.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// How long a slot is held after its request is over: the 60 s of the promise, and 1 s of guard
/// for what the network may still deliver from a connection that was closed.
pub(super) const HOLD: Duration = Duration::from_secs(61);

/// Slots reserved for read-backs, if there are at least [`ENOUGH`] slots: the outcome of a sent update can
/// be learned however many calls wait.
const KEPT: u32 = 2;
const ENOUGH: u32 = 10;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// A call.
    Call,
    /// A read-back, to learn the outcome of an update. It goes before all calls.
    ReadBack,
}

impl Purpose {
    /// How many of `limit` slots are reserved for other purposes.
    pub(super) fn leaves(self, limit: u32) -> u32 {
        match self {
            Self::Call if limit >= ENOUGH => KEPT,
            Self::Call | Self::ReadBack => 0,
        }
    }
}

/// The slots of one budget.
#[derive(Debug)]
pub(super) struct Slots {
    limit: u32,
    in_flight: usize,
    /// When each held slot is free again, the earliest first. Never longer than `limit`.
    held: VecDeque<Instant>,
}

impl Slots {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit,
            in_flight: 0,
            held: VecDeque::new(),
        }
    }

    /// Whether a slot is free at `now` for a request of this purpose.
    pub(super) fn is_free(&mut self, now: Instant, purpose: Purpose) -> bool {
        self.taken(now) < self.open_to(purpose)
    }

    /// How many slots are taken at `now`.
    pub(super) fn taken(&mut self, now: Instant) -> usize {
        while self.held.front().is_some_and(|release| *release <= now) {
            self.held.pop_front();
        }
        self.in_flight + self.held.len()
    }

    /// How many may be taken when a request of this purpose has one.
    fn open_to(&self, purpose: Purpose) -> usize {
        (self.limit - purpose.leaves(self.limit)) as usize
    }

    /// Takes a slot that [`is_free`](Self::is_free) has just seen.
    pub(super) fn take(&mut self) {
        debug_assert!(self.in_flight + self.held.len() < self.limit as usize);
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

    /// When enough held slots are free for a request of this purpose, if those that are held are
    /// enough. None [`is_free`](Self::is_free) now.
    pub(super) fn next_release(&self, purpose: Purpose) -> Option<Instant> {
        let taken = self.in_flight + self.held.len();
        let first = taken.saturating_sub(self.open_to(purpose));
        self.held.get(first).copied()
    }

    /// The earliest time at which a request of this purpose may take a slot, `granted` others having
    /// taken theirs after `now`: `now` if enough are free already. A request that is in flight gives
    /// its slot back after `now + HOLD` at the earliest, and is counted so.
    ///
    /// # Errors
    /// It has to be one that one of those others gives back: the number of that one.
    pub(super) fn release(
        &self,
        now: Instant,
        granted: usize,
        purpose: Purpose,
    ) -> Result<Instant, usize> {
        let limit = self.limit as usize;
        let number = granted + purpose.leaves(self.limit) as usize;
        if let Some(again) = number.checked_sub(limit) {
            return Err(again);
        }
        let free = limit - self.in_flight - self.held.len();
        Ok(match number.checked_sub(free) {
            None => now,
            Some(taken) => self.held.get(taken).copied().unwrap_or(now + HOLD),
        })
    }
}
