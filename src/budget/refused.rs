//! The refusal of a request that would wait too long.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The earliest time from now at which, without further requests, one would be admitted.
    pub retry_after: Duration,
    pub by: RefusedBy,
}

/// What a refused request would have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedBy {
    /// Slots or pacer: the budget is used up.
    Budget,
    /// The upstream's own limit.
    Upstream,
    /// Redis is unavailable, or the state of the shared budget in it is lost.
    Redis,
}
