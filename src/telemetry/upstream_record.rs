//! The calls to one upstream in the last five minutes: how many, how many failed, and how long they took.
//! For display only: no decision depends on it. Pure: the time is an argument.
//!
//! Durations are counted in buckets, and a quantile is interpolated within its bucket. Only answered calls
//! have one, because a refused connection is fast.

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::{reason::Reason, rolling::Rolling};

/// Upper bounds of the buckets in milliseconds. Longer durations count in the last.
const BOUNDS: [u32; 25] = [
    1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000,
    3_000, 5_000, 10_000, 30_000, 180_000,
];
const SECONDS_PER_STEP: u64 = 5;
const STEPS_OF_MINUTE: usize = 12;
const STEPS: usize = 5 * STEPS_OF_MINUTE;

#[derive(Clone, Copy, Debug, Default)]
struct Step {
    calls: u32,
    failed: u32,
    durations: [u32; BOUNDS.len()],
}

/// What came of a call to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Response {
    Success,
    /// Responded, but not with what was asked for.
    Failure(UpstreamFailure),
    /// No response.
    None(UpstreamFailure),
}

/// Why a call to the upstream failed: the status says it where the reason is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UpstreamFailure {
    pub(crate) reason: Option<Reason>,
    pub(crate) status: Option<StatusCode>,
}

#[derive(Debug)]
pub(super) struct UpstreamRecord {
    steps: Rolling<Step, STEPS, SECONDS_PER_STEP>,
    is_up: Option<bool>,
    last_failure: Option<(UpstreamFailure, Instant)>,
}

/// The record at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpstreamActivity {
    /// Whether the last call got a response; `None` before the first.
    pub(crate) is_up: Option<bool>,
    pub(crate) calls_last_minute: u32,
    pub(crate) calls: u32,
    pub(crate) failed: u32,
    /// Milliseconds; `None` if no call was answered.
    pub(crate) median: Option<u32>,
    /// Milliseconds that 95 % of the answered calls took at most.
    pub(crate) p95: Option<u32>,
    pub(crate) last_failure: Option<(UpstreamFailure, Instant)>,
}

impl UpstreamActivity {
    /// The time that its counts cover, except for `calls_last_minute`.
    pub(crate) const WINDOW: Duration = Duration::from_secs(STEPS as u64 * SECONDS_PER_STEP);
}

impl UpstreamRecord {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            steps: Rolling::new(now),
            is_up: None,
            last_failure: None,
        }
    }

    pub(super) fn add(&mut self, response: Response, duration: Duration, now: Instant) {
        let step = self.steps.current(now);
        step.calls += 1;
        if let Response::Failure(failure) | Response::None(failure) = response {
            step.failed += 1;
            self.last_failure = Some((failure, now));
        }
        self.is_up = Some(!matches!(response, Response::None(_)));
        if self.is_up == Some(true) {
            let is_within = |bound: &u32| duration <= Duration::from_millis((*bound).into());
            let bucket = BOUNDS.iter().position(is_within);
            step.durations[bucket.unwrap_or(BOUNDS.len() - 1)] += 1;
        }
    }

    pub(super) fn activity(&mut self, now: Instant) -> UpstreamActivity {
        let mut sum = Step::default();
        let mut calls_last_minute = 0;
        for (age, step) in self.steps.latest_first(now).enumerate() {
            sum.calls += step.calls;
            sum.failed += step.failed;
            for (sum, count) in sum.durations.iter_mut().zip(step.durations) {
                *sum += count;
            }
            if age < STEPS_OF_MINUTE {
                calls_last_minute += step.calls;
            }
        }
        UpstreamActivity {
            is_up: self.is_up,
            calls_last_minute,
            calls: sum.calls,
            failed: sum.failed,
            median: sum.quantile(50),
            p95: sum.quantile(95),
            last_failure: self.last_failure,
        }
    }
}

impl Step {
    fn quantile(&self, percent: u64) -> Option<u32> {
        let total: u64 = self.durations.iter().map(|count| u64::from(*count)).sum();
        // The number of the call, from 1, in hundredths.
        let wanted = (total * percent).max(100);
        let mut before = 0;
        for (bucket, count) in self.durations.iter().enumerate() {
            let in_bucket = u64::from(*count) * 100;
            if in_bucket > 0 && before + in_bucket >= wanted {
                let lower = if bucket == 0 { 0 } else { BOUNDS[bucket - 1] };
                let width = u64::from(BOUNDS[bucket] - lower);
                let within = (width * (wanted - before)).div_ceil(in_bucket);
                return Some(lower + u32::try_from(within).unwrap_or(u32::MAX));
            }
            before += in_bucket;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FAILURE: UpstreamFailure = UpstreamFailure {
        reason: Some(Reason::ConnectRefused),
        status: None,
    };

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn counts_are_of_the_last_minutes_and_the_last_call_says_whether_it_is_up() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut record = UpstreamRecord::new(start);
        assert_eq!(record.activity(start).is_up, None);
        record.add(Response::Success, milliseconds(10), at(0));
        record.add(Response::None(FAILURE), milliseconds(1), at(100));
        let activity = record.activity(at(101));
        assert_eq!(
            (activity.calls, activity.failed, activity.calls_last_minute),
            (2, 1, 1)
        );
        assert_eq!(activity.is_up, Some(false));
        assert_eq!(activity.last_failure, Some((FAILURE, at(100))));
        assert_eq!(activity.median, Some(10), "of what was answered");

        record.add(Response::Failure(FAILURE), milliseconds(10), at(200));
        assert_eq!(record.activity(at(200)).is_up, Some(true));
        let activity = record.activity(at(304));
        assert_eq!((activity.calls, activity.failed), (2, 2));
        let activity = record.activity(at(1_000));
        assert_eq!((activity.calls, activity.median), (0, None));
        assert_eq!(activity.last_failure, Some((FAILURE, at(200))));
    }

    #[test]
    fn quantiles_are_within_the_bucket_of_the_duration() {
        let start = Instant::now();
        let mut record = UpstreamRecord::new(start);
        for duration in 1..=1_000 {
            record.add(Response::Success, milliseconds(duration), start);
        }
        let activity = record.activity(start);
        let (median, p95) = (activity.median.unwrap(), activity.p95.unwrap());
        assert!((490..=510).contains(&median), "{median}");
        assert!((940..=960).contains(&p95), "{p95}");

        let mut record = UpstreamRecord::new(start);
        record.add(Response::Success, milliseconds(1_000_000), start);
        assert_eq!(record.activity(start).p95, Some(180_000));
    }
}
