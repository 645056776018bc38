//! A window of the upstream's rate limit: how many requests it allows until its reset. Pure: the time is an
//! argument.

use std::time::Duration;

use tokio::time::Instant;

/// Resets that are at most this far apart belong to the same window: they come in whole seconds, and
/// responses take their time.
const RESET_TOLERANCE: Duration = Duration::from_millis(1500);

/// What a response of the upstream allows its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests after the one that got the response.
    pub remaining: u32,
    /// How long this holds, from the response; at most about a minute.
    pub reset: Duration,
}

/// Requests are numbered in the order in which they were permitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct UpstreamWindow {
    /// The latest request that the limit counts.
    answered: u64,
    /// The last request that is permitted before `reset`.
    last: u64,
    reset: Instant,
}

impl UpstreamWindow {
    /// The window that the response to a request shows.
    pub(super) fn new(number: u64, allowance: Allowance, now: Instant) -> Self {
        Self {
            answered: number,
            last: number + u64::from(allowance.remaining),
            reset: now + allowance.reset,
        }
    }

    /// The window after another response: a later window replaces this one, an earlier one is ignored. Of
    /// one window the smaller limit holds, because responses can overtake each other.
    pub(super) fn merge(&self, other: Self) -> Self {
        if other.reset + RESET_TOLERANCE < self.reset {
            return *self;
        }
        if other.reset > self.reset + RESET_TOLERANCE {
            return other;
        }
        Self {
            answered: self.answered.max(other.answered),
            last: self.last.min(other.last),
            reset: self.reset.max(other.reset),
        }
    }

    /// When the request of this number is permitted.
    pub(super) fn permits_at(&self, number: u64, now: Instant) -> Instant {
        if number > self.last {
            self.reset.max(now)
        } else {
            now
        }
    }

    /// How many more are permitted after the first `permitted`, until the reset.
    pub(super) fn remaining(&self, permitted: u64, now: Instant) -> Option<u64> {
        (now < self.reset).then(|| self.last.saturating_sub(permitted))
    }

    /// A request was not sent: one more may go, unless the limit does not count it anyway.
    pub(super) fn record_not_sent(&mut self, number: u64) {
        if number > self.answered {
            self.last += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window of `remaining` requests after the one of this number, with a reset in so many milliseconds.
    fn window(now: Instant, number: u64, remaining: u32, reset: u64) -> UpstreamWindow {
        let reset = Duration::from_millis(reset);
        UpstreamWindow::new(number, Allowance { remaining, reset }, now)
    }

    #[test]
    fn of_one_window_the_smaller_limit_and_the_later_reset_hold() {
        let now = Instant::now();
        for (first, second) in [(20_000, 21_500), (21_500, 20_000), (20_000, 20_001)] {
            // The second response is that of the earlier request: it was overtaken.
            let merged = window(now, 2, 1, first).merge(window(now, 1, 90, second));
            assert_eq!(merged.remaining(2, now), Some(1), "{first} and {second}");
            let later = Duration::from_millis(first.max(second));
            assert_eq!(merged.permits_at(4, now), now + later);
            assert_eq!(merged.permits_at(3, now), now);
        }
    }

    #[test]
    fn a_later_window_replaces_an_earlier_one() {
        let now = Instant::now();
        let (earlier, later) = (window(now, 1, 0, 20_000), window(now, 1, 5, 21_501));
        assert_eq!(earlier.merge(later).remaining(1, now), Some(5));
        let (earlier, later) = (window(now, 1, 5, 20_000), window(now, 1, 0, 21_501));
        assert_eq!(later.merge(earlier).remaining(1, now), Some(0));
    }

    #[test]
    fn an_unsent_request_that_the_newest_response_did_not_count_changes_nothing() {
        let now = Instant::now();
        let mut merged = window(now, 3, 0, 20_000).merge(window(now, 1, 5, 20_000));
        merged.record_not_sent(2);
        assert_eq!(merged.remaining(3, now), Some(0));
    }
}
