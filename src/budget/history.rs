//! The history of sent requests, recorded apart from slots and pacer: the operator's proof of the promise.
//! No decision rests on it. Pure: the time is an argument.

use std::{collections::VecDeque, time::Duration};

use serde::Serialize;
use tokio::time::Instant;

use super::slots::WINDOW;

/// Steps that make a [`WINDOW`].
const STEPS_OF_WINDOW: usize = 12;
/// Points of the history: ten minutes, both ends included.
const POINTS: usize = 121;
/// Steps that are kept: those that count in the first point too.
const STEPS: usize = POINTS + STEPS_OF_WINDOW - 1;

/// The time between two points of the history.
const STEP: Duration = Duration::from_secs(5);

/// The requests of the last ten minutes.
#[derive(Clone, Debug, Serialize)]
pub struct Points {
    pub seconds_per_point: u64,
    /// How many requests were sent in the minute before each point, the latest last. A minute counts in
    /// whole steps.
    pub sent_in_last_minute: Vec<u32>,
}

/// When the requests of the last 60 s ended. Never longer than there are slots.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<Instant>);

impl Window {
    /// Records the end of a sent request at `now`. Returns how many ended in the 60 s until then.
    pub(super) fn add(&mut self, now: Instant) -> u32 {
        while self.0.front().is_some_and(|time| *time + WINDOW <= now) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}

/// The requests that a process has sent, in all budgets.
#[derive(Debug)]
pub(super) struct History {
    start: Instant,
    /// Requests in each step, indexed by its number modulo the length.
    counts: [u32; STEPS],
    /// The number of the latest step.
    latest: u64,
    worst_window: u32,
}

impl History {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            start: now,
            counts: [0; STEPS],
            latest: 0,
            worst_window: 0,
        }
    }

    /// Records the end of a request. `in_window` requests of its budget ended in the last 60 s.
    pub(super) fn add(&mut self, now: Instant, in_window: u32) {
        self.advance(now);
        *self.count(self.latest) += 1;
        self.worst_window = self.worst_window.max(in_window);
    }

    /// The most of one budget in any 60 s.
    pub(super) fn worst_window(&self) -> u32 {
        self.worst_window
    }

    pub(super) fn points(&mut self, now: Instant) -> Points {
        self.advance(now);
        let first = self.latest.saturating_sub(POINTS as u64 - 1);
        let points = (first..=self.latest).map(|point| {
            let begin = point.saturating_sub(STEPS_OF_WINDOW as u64 - 1);
            (begin..=point).map(|step| *self.count(step)).sum()
        });
        Points {
            seconds_per_point: STEP.as_secs(),
            sent_in_last_minute: points.collect(),
        }
    }

    fn advance(&mut self, now: Instant) {
        let steps = (now - self.start).as_millis() / STEP.as_millis();
        let now = u64::try_from(steps).unwrap_or(u64::MAX);
        // At most all steps have to be cleared.
        let first = now.saturating_sub(STEPS as u64 - 1).max(self.latest + 1);
        for step in first..=now {
            *self.count(step) = 0;
        }
        self.latest = now.max(self.latest);
    }

    fn count(&mut self, step: u64) -> &mut u32 {
        // The remainder is below the length, whatever the step.
        &mut self.counts[(step % STEPS as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sent(history: &mut History, now: Instant) -> Vec<u32> {
        history.points(now).sent_in_last_minute
    }

    #[test]
    fn a_window_is_sixty_seconds_wherever_it_begins() {
        let start = Instant::now();
        let mut window = Window::default();
        assert_eq!(window.add(start), 1);
        assert_eq!(window.add(start + SECOND * 30), 2);
        assert_eq!(window.add(start + SECOND * 59), 3);
        assert_eq!(window.add(start + SECOND * 60), 3);
        assert_eq!(window.add(start + SECOND * 200), 1);
    }

    #[test]
    fn the_history_counts_the_minute_before_each_point_and_forgets_after_ten() {
        let start = Instant::now();
        let mut history = History::new(start);
        assert_eq!(sent(&mut history, start), [0]);
        for second in [0, 4, 7, 31] {
            history.add(start + SECOND * second, 1);
        }
        assert_eq!(
            sent(&mut history, start + SECOND * 31),
            [2, 3, 3, 3, 3, 3, 4]
        );
        let later = sent(&mut history, start + SECOND * 90);
        assert_eq!(later[11..], [4, 2, 1, 1, 1, 1, 1, 0]);
        let all = sent(&mut history, start + SECOND * 640);
        assert_eq!(all.len(), POINTS);
        assert_eq!(all[..6], [4, 4, 4, 4, 2, 1], "from the fortieth second on");
        assert_eq!(sent(&mut history, start + SECOND * 1_000_000), [0; POINTS]);
    }

    #[test]
    fn the_worst_window_stays() {
        let mut history = History::new(Instant::now());
        for in_window in [3, 9, 2] {
            history.add(Instant::now(), in_window);
        }
        assert_eq!(history.worst_window(), 9);
    }

    #[test]
    fn a_long_pause_leaves_no_count_of_the_time_before() {
        for pause in [STEPS as u32, STEPS as u32 + 1, 2 * STEPS as u32 - 1] {
            let start = Instant::now();
            let mut history = History::new(start);
            for step in 0..STEPS as u32 {
                history.add(start + STEP * step, 1);
            }
            let later = start + STEP * (STEPS as u32 - 1 + pause);
            assert_eq!(sent(&mut history, later), [0; POINTS], "{pause}");
        }
    }
}
