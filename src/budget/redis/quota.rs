//! The limit that several processes share, and the times of the protocol.

use std::time::Duration;

use super::super::slots::{RELEASE_DELAY, WINDOW};

#[derive(Clone, Copy, Debug)]
pub struct SharedQuota {
    /// Requests of all processes in any 60 s, at least 1.
    pub limit: u32,
    /// How many may go out at once, `1..=limit`.
    pub burst: u32,
    /// Requests of this process in any 60 s while Redis is unavailable or its state is new.
    pub static_share: u32,
    /// The time between requests that go out evenly spread.
    pub interval: Duration,
    /// The longest time from taking a slot to the end of its request. The slot of a process that was killed
    /// is released this long and `release_delay` after it was taken.
    pub longest_request: Duration,
    /// The time from the end of a request to the release of its slot, and for which a process is silent
    /// after a loss.
    pub release_delay: Duration,
    /// Within this time all processes notice that Redis is lost, or back.
    pub margin: Duration,
    /// How long a process takes nothing from an epoch that is new to it: within this time all processes that
    /// used the preceding one contest it.
    pub grace: Duration,
}

impl SharedQuota {
    /// `limit` requests of all processes in any 60 s, `burst` of them at once, and `static_share` of this
    /// one while Redis is unavailable.
    #[must_use]
    pub fn new(limit: u32, burst: u32, static_share: u32, longest_request: Duration) -> Self {
        Self {
            limit,
            burst,
            static_share,
            interval: WINDOW / limit,
            longest_request,
            release_delay: RELEASE_DELAY,
            margin: Duration::from_secs(5),
            grace: Duration::from_secs(3),
        }
    }

    /// How long the slot of a request in flight is in use at most.
    pub(super) fn lease(&self) -> Duration {
        self.longest_request + self.release_delay
    }
}
