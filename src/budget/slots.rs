//! Slots keep the promise: at most `limit` requests arrive at the upstream in any [`WINDOW`].
//!
//! A request takes a slot before it is sent and releases it [`RELEASE_DELAY`] after its response is
//! received or its connection is closed. So a request that arrived at time *a* holds its slot from before
//! *a* until after *a* + 60 s, every request that arrived in the last 60 s holds one, and there are only
//! `limit` of them. Pure: the time is an argument.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The length of the promise.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// For what the network may still deliver from a connection that was closed.
const GUARD: Duration = Duration::from_secs(1);
/// The time from the end of a request to the release of its slot.
pub(super) const RELEASE_DELAY: Duration = WINDOW.saturating_add(GUARD);

/// Slots reserved for read-backs, so that the outcome of a sent update can be learned however many calls
/// wait. None are reserved if the limit is below [`MIN_LIMIT_TO_RESERVE`].
const RESERVED: u32 = 2;
const MIN_LIMIT_TO_RESERVE: u32 = 10;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    Call,
    /// A read-back, to learn the outcome of an update. It goes before all calls.
    ReadBack,
}

impl Purpose {
    /// How many of `limit` slots are reserved for other purposes.
    pub(super) fn reserved(self, limit: u32) -> u32 {
        match self {
            Self::Call if limit >= MIN_LIMIT_TO_RESERVE => RESERVED,
            Self::Call | Self::ReadBack => 0,
        }
    }
}

/// The slots of one budget.
#[derive(Debug)]
pub(super) struct Slots {
    limit: u32,
    in_flight: usize,
    /// When the slots of ended requests are released, the earliest first. Never longer than `limit`.
    releases: VecDeque<Instant>,
}

impl Slots {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit,
            in_flight: 0,
            releases: VecDeque::new(),
        }
    }

    /// Whether a slot is free at `now` for a request of this purpose.
    pub(super) fn is_free(&mut self, now: Instant, purpose: Purpose) -> bool {
        self.in_use(now) < self.available(purpose)
    }

    /// How many slots are in use at `now`.
    pub(super) fn in_use(&mut self, now: Instant) -> usize {
        while self.releases.front().is_some_and(|time| *time <= now) {
            self.releases.pop_front();
        }
        self.in_flight + self.releases.len()
    }

    /// How many slots may be in use by the requests of this purpose and others together.
    fn available(&self, purpose: Purpose) -> usize {
        (self.limit - purpose.reserved(self.limit)) as usize
    }

    /// Takes a slot. The caller has just checked [`is_free`](Self::is_free).
    pub(super) fn take(&mut self) {
        debug_assert!(self.in_flight + self.releases.len() < self.limit as usize);
        self.in_flight += 1;
    }

    /// Releases a slot at once: nothing was sent.
    pub(super) fn release(&mut self) {
        self.in_flight -= 1;
    }

    /// Releases the slot of a request that ended at `now` after [`RELEASE_DELAY`]. `now` must not go
    /// backwards from call to call.
    pub(super) fn release_later(&mut self, now: Instant) {
        self.in_flight -= 1;
        self.releases.push_back(now + RELEASE_DELAY);
    }

    /// When enough slots are released for a request of this purpose, if none [`is_free`](Self::is_free)
    /// now. `None` if that depends on a request in flight.
    pub(super) fn next_release(&self, purpose: Purpose) -> Option<Instant> {
        let in_use = self.in_flight + self.releases.len();
        let first = in_use.saturating_sub(self.available(purpose));
        self.releases.get(first).copied()
    }

    /// The earliest time at which a request of this purpose may take a slot after `granted` other
    /// requests took theirs: `now` if enough are free. A request in flight is assumed to end now.
    ///
    /// # Errors
    /// It depends on the slot of one of those other requests: the index of that request.
    pub(super) fn expected_release(
        &self,
        now: Instant,
        granted: usize,
        purpose: Purpose,
    ) -> Result<Instant, usize> {
        let limit = self.limit as usize;
        let needed = granted + purpose.reserved(self.limit) as usize;
        if let Some(index) = needed.checked_sub(limit) {
            return Err(index);
        }
        let free = limit - self.in_flight - self.releases.len();
        Ok(match needed.checked_sub(free) {
            None => now,
            Some(index) => self
                .releases
                .get(index)
                .copied()
                .unwrap_or(now + RELEASE_DELAY),
        })
    }
}
