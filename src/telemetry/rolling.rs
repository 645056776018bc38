//! Values of the last steps of time, for counts of the last minutes. Pure: the time is an argument.

use tokio::time::Instant;

/// The latest `STEPS` steps of `SECONDS` each, the one in progress included.
#[derive(Clone, Debug)]
pub(crate) struct Rolling<T, const STEPS: usize, const SECONDS: u64> {
    start: Instant,
    /// The number of the latest step since the start.
    latest: u64,
    /// A step is at its number modulo the length.
    steps: [T; STEPS],
}

impl<T: Copy + Default, const STEPS: usize, const SECONDS: u64> Rolling<T, STEPS, SECONDS> {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            start: now,
            latest: 0,
            steps: [T::default(); STEPS],
        }
    }

    /// The step in progress.
    pub(crate) fn current(&mut self, now: Instant) -> &mut T {
        self.advance(now);
        &mut self.steps[Self::place(self.latest)]
    }

    /// The step in progress, and those before it.
    pub(crate) fn latest_first(&mut self, now: Instant) -> impl Iterator<Item = &T> {
        self.advance(now);
        // The place after the latest is that of the oldest.
        let (newer, older) = self.steps.split_at(Self::place(self.latest) + 1);
        newer.iter().rev().chain(older.iter().rev())
    }

    fn advance(&mut self, now: Instant) {
        let now = now.saturating_duration_since(self.start).as_secs() / SECONDS;
        let first = now.saturating_sub(STEPS as u64 - 1).max(self.latest + 1);
        for step in first..=now {
            self.steps[Self::place(step)] = T::default();
        }
        self.latest = now.max(self.latest);
    }

    /// Below `STEPS`, whatever the step.
    fn place(step: u64) -> usize {
        (step % STEPS as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn steps_are_kept_in_order_until_they_are_too_old() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut rolling: Rolling<u32, 3, 10> = Rolling::new(start);
        let mut values = |second, added: u32| {
            *rolling.current(at(second)) += added;
            let all = rolling.latest_first(at(second));
            all.copied().collect::<Vec<_>>()
        };
        assert_eq!(values(0, 1), [1, 0, 0]);
        assert_eq!(values(9, 1), [2, 0, 0]);
        assert_eq!(values(10, 3), [3, 2, 0]);
        assert_eq!(values(29, 5), [5, 3, 2]);
        assert_eq!(values(30, 0), [0, 5, 3]);
        assert_eq!(values(50, 7), [7, 0, 0]);
        assert_eq!(values(45, 1), [8, 0, 0], "never back");
        assert_eq!(values(1_000_000, 0), [0, 0, 0]);
    }
}
