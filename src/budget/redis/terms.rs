//! What processes share, and the times that make it exact. How they are kept belongs in `mod.rs`.

use std::time::Duration;

use super::super::slots::HOLD;

/// What is shared, and the times that make it exact.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Requests of all processes in any 60 s, at least 1.
    pub limit: u32,
    /// How many may go out at once before pacing sets in, `1..=limit`.
    pub burst: u32,
    /// Requests of this process in any 60 s while Redis is away.
    pub alone: u32,
    /// The pace: one request in this time on average.
    pub interval: Duration,
    /// The longest time from a slot's being taken to the end of its request. A slot whose process
    /// was killed comes back by itself this long and `hold` after it was taken.
    pub longest_request: Duration,
    /// How long a slot is not free after its request is over, and a process silent after a loss.
    pub hold: Duration,
    /// How much longer a process is silent that comes back from its static share, for those who
    /// see later that Redis is back.
    pub margin: Duration,
    /// How long a process without slots takes none from a Redis that has just started: until those
    /// who lost it have seen that it is back.
    pub grace: Duration,
}

impl Terms {
    /// `limit` requests of all processes in any 60 s, `burst` of them at once, and `alone` of this
    /// one while Redis is away.
    #[must_use]
    pub fn new(limit: u32, burst: u32, alone: u32, longest_request: Duration) -> Self {
        Self {
            limit,
            burst,
            alone,
            interval: Duration::from_secs(60) / limit,
            longest_request,
            hold: HOLD,
            margin: Duration::from_secs(5),
            grace: Duration::from_secs(3),
        }
    }

    /// How long the slot of a request in flight is taken.
    pub(super) fn lease(&self) -> Duration {
        self.longest_request + self.hold
    }
}
