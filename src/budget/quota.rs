//! The rate of a budget.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Requests in any 60 s, at least 1.
    pub share: u32,
    /// How many of them may go out at once, `1..=share`.
    pub burst: u32,
    /// A request that would wait longer is refused.
    pub max_wait: Duration,
}
