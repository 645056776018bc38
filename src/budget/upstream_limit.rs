//! The upstream's own rate limit of one token, as its response headers report it: other programs may use
//! the token too, and after a restart the headers are all that is known. It only holds requests back;
//! slots and pacer apply as well. Pure: the time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::upstream_window::{Allowance, UpstreamWindow};

/// How long to wait for the first response after a start before another request is sent.
const FIRST_RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A digest that identifies a token.
pub type TokenDigest = [u8; 32];

/// The upstream limit of one token.
#[derive(Debug)]
pub(super) struct UpstreamLimit {
    /// Requests permitted so far, which is the number of the latest one.
    permitted: u64,
    in_flight: u32,
    known: Known,
}

#[derive(Debug)]
enum Known {
    /// No response yet. When the latest request was permitted.
    Nothing {
        latest: Instant,
    },
    /// A response without a limit.
    NoLimit,
    Window(UpstreamWindow),
}

impl UpstreamLimit {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            permitted: 0,
            in_flight: 0,
            known: Known::Nothing { latest: now },
        }
    }

    /// When the next request is permitted. Before the first response one is in flight at a time, and if
    /// that takes long, one more every `interval`.
    pub(super) fn permits_at(&self, now: Instant, interval: Duration) -> Instant {
        match self.known {
            Known::Nothing { .. } if self.in_flight == 0 => now,
            Known::Nothing { latest } => latest + FIRST_RESPONSE_TIMEOUT.max(interval),
            _ => self.expected_at(now, 0),
        }
    }

    /// When a request is known to be permitted, if `ahead` other requests of the token go first.
    pub(super) fn expected_at(&self, now: Instant, ahead: u64) -> Instant {
        match &self.known {
            Known::Window(window) => window.permits_at(self.permitted + ahead + 1, now),
            _ => now,
        }
    }

    /// How many more the upstream allows, if it said so and that still holds.
    pub(super) fn remaining(&self, now: Instant) -> Option<u64> {
        match &self.known {
            Known::Window(window) => window.remaining(self.permitted, now),
            _ => None,
        }
    }

    /// Whether a limit still holds, or a request is in flight whose response may set one.
    pub(super) fn is_in_use(&self, now: Instant) -> bool {
        self.in_flight > 0 || self.remaining(now).is_some()
    }

    /// A request is permitted; returns its number.
    pub(super) fn record_permit(&mut self, now: Instant) -> u64 {
        self.permitted += 1;
        self.in_flight += 1;
        if let Known::Nothing { latest } = &mut self.known {
            *latest = now;
        }
        self.permitted
    }

    /// A request ended, with a response or without.
    pub(super) fn record_end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A request that was permitted was not sent: another may go in its place.
    pub(super) fn record_not_sent(&mut self, number: u64) {
        if let Known::Window(window) = &mut self.known {
            window.record_not_sent(number);
        }
    }

    /// The response to a request, with its limit if it had one.
    pub(super) fn record_response(
        &mut self,
        number: u64,
        allowance: Option<Allowance>,
        now: Instant,
    ) {
        let window = allowance.map(|allowance| UpstreamWindow::new(number, allowance, now));
        self.known = match (&self.known, window) {
            (Known::Window(known), Some(window)) => Known::Window(known.merge(window)),
            (_, Some(window)) => Known::Window(window),
            (Known::Nothing { .. }, None) => Known::NoLimit,
            (_, None) => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn allowance(remaining: u32, seconds: u32) -> Option<Allowance> {
        Some(Allowance {
            remaining,
            reset: SECOND * seconds,
        })
    }

    fn is_open(limit: &UpstreamLimit, now: Instant) -> bool {
        limit.permits_at(now, SECOND) <= now
    }

    #[test]
    fn before_the_first_response_one_request_is_in_flight_and_more_only_after_a_while() {
        let now = Instant::now();
        let mut limit = UpstreamLimit::new(now);
        assert!(is_open(&limit, now));
        limit.record_permit(now);
        assert_eq!(limit.permits_at(now, SECOND), now + SECOND * 2);
        assert_eq!(limit.permits_at(now, SECOND * 10), now + SECOND * 10);
        limit.record_end();
        assert!(is_open(&limit, now), "it failed, so another may find out");
        let number = limit.record_permit(now);
        limit.record_response(number, None, now);
        for _ in 0..10 {
            assert!(is_open(&limit, now));
            limit.record_permit(now);
        }
    }

    #[test]
    fn what_remains_is_counted_from_the_request_that_got_the_response() {
        let now = Instant::now();
        let mut limit = UpstreamLimit::new(now);
        let first = limit.record_permit(now);
        limit.record_permit(now);
        limit.record_response(first, allowance(3, 20), now);
        for _ in 0..2 {
            assert!(is_open(&limit, now), "one of the three is in flight");
            limit.record_permit(now);
        }
        assert_eq!(limit.permits_at(now, SECOND), now + SECOND * 20);
        assert!(is_open(&limit, now + SECOND * 20));
    }

    #[test]
    fn what_was_not_sent_does_not_count() {
        let now = Instant::now();
        let mut limit = UpstreamLimit::new(now);
        let numbers = [(); 3].map(|()| limit.record_permit(now));
        limit.record_response(numbers[1], allowance(1, 20), now);
        assert!(!is_open(&limit, now));
        limit.record_not_sent(numbers[0]);
        assert!(!is_open(&limit, now), "the response did not count it");
        limit.record_not_sent(numbers[2]);
        assert!(is_open(&limit, now));
        limit.record_permit(now);
        assert!(!is_open(&limit, now));
    }

    #[test]
    fn the_wait_before_the_first_response_begins_with_the_latest_request() {
        let now = Instant::now();
        let mut limit = UpstreamLimit::new(now);
        limit.record_permit(now);
        limit.record_permit(now + SECOND * 2);
        let open = limit.permits_at(now + SECOND * 2, SECOND);
        assert_eq!(open, now + SECOND * 4);
    }

    #[test]
    fn a_response_without_a_limit_does_not_end_one_that_holds() {
        let now = Instant::now();
        let mut limit = UpstreamLimit::new(now);
        let numbers = [limit.record_permit(now), limit.record_permit(now)];
        limit.record_response(numbers[0], allowance(0, 20), now);
        limit.record_response(numbers[1], None, now);
        assert!(!is_open(&limit, now));
    }
}
