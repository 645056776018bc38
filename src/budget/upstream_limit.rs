//! The upstream's own rate limit of one token, as its response headers report it: other programs may use
//! the token too, and after a restart the headers are all that is known. It only holds requests back;
//! slots and pacer apply as well. Pure: the time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// How long to wait for the first response after a start before another request is sent.
const FIRST_RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Resets that are at most this far apart belong to the same window.
const SAME_WINDOW: Duration = Duration::from_millis(1500);

/// The upstream limit of one token.
#[derive(Debug)]
pub(super) struct UpstreamLimit {
    /// Requests permitted so far, which is the number of the latest one.
    permitted: u64,
    /// How many of them are in flight.
    in_flight: u32,
    known: Known,
}

#[derive(Debug)]
enum Known {
    /// No response yet. When the latest request was permitted.
    Nothing { latest: Instant },
    /// No limit but those that are over.
    NoLimit,
    /// By the answer to the request of the number `answered`: until `reset` no request beyond the
    /// number `last` may go out.
    Limit {
        answered: u64,
        last: u64,
        reset: Instant,
    },
}

impl UpstreamLimit {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            permitted: 0,
            in_flight: 0,
            known: Known::Nothing { latest: now },
        }
    }

    /// When the next request may go out. Before the first answer one is in flight at a time, and
    /// where that takes long, one more every `interval`.
    pub(super) fn permits_at(&self, now: Instant, interval: Duration) -> Instant {
        match self.known {
            Known::Nothing { .. } if self.in_flight == 0 => now,
            Known::Nothing { latest } => latest + FIRST_RESPONSE_TIMEOUT.max(interval),
            _ => self.expected_at(now, 0),
        }
    }

    /// When it is known to open, if `ahead` other requests of the token go first.
    pub(super) fn expected_at(&self, now: Instant, ahead: u64) -> Instant {
        match self.known {
            Known::Limit { last, reset, .. } if self.permitted + ahead >= last => reset.max(now),
            _ => now,
        }
    }

    /// How many more the upstream allows, if it said so and that still holds.
    pub(super) fn remaining(&self, now: Instant) -> Option<u64> {
        match self.known {
            Known::Limit { last, reset, .. } if now < reset => {
                Some(last.saturating_sub(self.permitted))
            }
            _ => None,
        }
    }

    /// Whether a limit still holds, or a request is in flight whose answer may set one.
    pub(super) fn is_in_use(&self, now: Instant) -> bool {
        self.in_flight > 0 || self.remaining(now).is_some()
    }

    /// A request goes out; this is its number.
    pub(super) fn record_permit(&mut self, now: Instant) -> u64 {
        self.permitted += 1;
        self.in_flight += 1;
        if let Known::Nothing { latest } = &mut self.known {
            *latest = now;
        }
        self.permitted
    }

    /// The request of this number was permitted and not sent: another may go in its place.
    pub(super) fn record_not_sent(&mut self, number: u64) {
        if let Known::Limit { answered, last, .. } = &mut self.known
            && number > *answered
        {
            *last += 1;
        }
    }

    /// A request is over, answered or not.
    pub(super) fn record_end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The answer to a request: until `reset`, `remaining` more than its number may go out.
    pub(super) fn record_response(
        &mut self,
        number: u64,
        allowance: Option<Allowance>,
        now: Instant,
    ) {
        let Some(Allowance { remaining, reset }) = allowance else {
            if let Known::Nothing { .. } = self.known {
                self.known = Known::NoLimit;
            }
            return;
        };
        let mut answered = number;
        let (mut last, mut reset) = (number + u64::from(remaining), now + reset);
        if let Known::Limit {
            answered: known_answered,
            last: known_last,
            reset: known_reset,
        } = self.known
        {
            if reset + SAME_WINDOW < known_reset {
                return;
            }
            // Answers overtake each other: of one window, the one that allows less is the later.
            if reset <= known_reset + SAME_WINDOW {
                (last, reset) = (last.min(known_last), reset.max(known_reset));
                answered = answered.max(known_answered);
            }
        }
        self.known = Known::Limit {
            answered,
            last,
            reset,
        };
    }
}

/// What an answer of the upstream allows its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests after the one that was answered.
    pub remaining: u32,
    /// How long this holds, from the answer; at most about a minute.
    pub reset: Duration,
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
    fn before_the_first_answer_one_request_is_in_flight_and_more_only_after_a_while() {
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
    fn what_remains_is_counted_from_the_request_that_was_answered() {
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
        assert!(!is_open(&limit, now), "the answer did not count it");
        limit.record_not_sent(numbers[2]);
        assert!(is_open(&limit, now));
        limit.record_permit(now);
        assert!(!is_open(&limit, now));
    }

    #[test]
    fn of_one_window_the_smaller_allowance_counts_and_a_later_window_replaces_it() {
        let now = Instant::now();
        let mut limit = UpstreamLimit::new(now);
        let numbers = [limit.record_permit(now), limit.record_permit(now)];
        limit.record_response(numbers[1], allowance(1, 20), now);
        limit.record_response(numbers[0], allowance(90, 20), now);
        limit.record_response(numbers[0], allowance(90, 5), now);
        limit.record_permit(now);
        assert!(!is_open(&limit, now));
        limit.record_response(numbers[1], allowance(5, 60), now);
        assert!(is_open(&limit, now));
        limit.record_response(numbers[1], allowance(0, 60), now);
        assert!(!is_open(&limit, now));
    }

    /// Resets come in whole seconds, and answers take their time.
    #[test]
    fn answers_of_one_window_are_known_by_resets_that_are_close() {
        let now = Instant::now();
        for (first, second) in [(20_000, 21_500), (21_500, 20_000), (20_000, 20_001)] {
            let mut limit = UpstreamLimit::new(now);
            let numbers = [limit.record_permit(now), limit.record_permit(now)];
            let answer = |remaining, millis| {
                let reset = Duration::from_millis(millis);
                Some(Allowance { remaining, reset })
            };
            limit.record_response(numbers[1], answer(1, first), now);
            limit.record_response(numbers[0], answer(90, second), now);
            limit.record_permit(now);
            assert!(!is_open(&limit, now), "{first} and {second}");
            // The later of them holds.
            assert!(
                !is_open(&limit, now + Duration::from_millis(21_499)) || first.max(second) < 21_500
            );
        }
        let mut limit = UpstreamLimit::new(now);
        let number = limit.record_permit(now);
        limit.record_response(number, allowance(0, 20), now);
        limit.record_response(number, allowance(5, 22), now);
        assert!(is_open(&limit, now), "another window");
    }

    #[test]
    fn the_wait_before_the_first_answer_begins_with_the_latest_request() {
        let now = Instant::now();
        let mut limit = UpstreamLimit::new(now);
        limit.record_permit(now);
        limit.record_permit(now + SECOND * 2);
        let open = limit.permits_at(now + SECOND * 2, SECOND);
        assert_eq!(open, now + SECOND * 4);
    }

    #[test]
    fn an_older_answer_that_comes_late_does_not_count_an_unsent_request_again() {
        let now = Instant::now();
        let mut limit = UpstreamLimit::new(now);
        let numbers = [(); 3].map(|()| limit.record_permit(now));
        limit.record_response(numbers[2], allowance(0, 20), now);
        limit.record_response(numbers[0], allowance(5, 20), now);
        limit.record_not_sent(numbers[1]);
        assert!(!is_open(&limit, now), "the newest answer did not count it");
    }

    #[test]
    fn an_answer_without_a_limit_does_not_end_one_that_holds() {
        let now = Instant::now();
        let mut limit = UpstreamLimit::new(now);
        let numbers = [limit.record_permit(now), limit.record_permit(now)];
        limit.record_response(numbers[0], allowance(0, 20), now);
        limit.record_response(numbers[1], None, now);
        assert!(!is_open(&limit, now));
    }
}
