//! The clock of the Redis server, compared with this process's own. Slots are scored by the server's clock,
//! so a step of it releases them too early or too late. Two answers show a step if the server measured
//! another time between them than this process did, beyond what the round trips explain.

use std::time::Duration;

use tokio::time::Instant;

/// How far both clocks may diverge within two windows. Redis keeps each slot [`SLACK`] longer.
pub(super) const SKEW: Duration = Duration::from_millis(250);
/// [`SKEW`], the drift of two windows, and two short round trips.
pub(super) const SLACK: Duration = Duration::from_millis(500);
/// Ordinary clocks drift by less than one part in this many.
const DRIFT: u32 = 2_000;

/// The latest observations of the server's clock.
#[derive(Debug)]
pub(super) struct ServerClock {
    origin: Instant,
    window: Duration,
    /// Two references, so that the older one is at least one window old and at most about two: a clock
    /// that is slewed quickly shows as well as one that is stepped.
    current: Option<Observation>,
    previous: Option<Observation>,
}

/// The server's time less the time of this process since `origin`, in microseconds: somewhere from
/// `least` to `most`, depending on when in the round trip the server read its clock.
#[derive(Clone, Copy, Debug)]
struct Observation {
    at: Instant,
    least: i128,
    most: i128,
}

impl ServerClock {
    pub(super) fn new(now: Instant, window: Duration) -> Self {
        Self {
            origin: now,
            window,
            current: None,
            previous: None,
        }
    }

    /// Forgets the observations: the next answer is the first of another server or epoch.
    pub(super) fn reset(&mut self) {
        (self.current, self.previous) = (None, None);
    }

    /// Whether `server_time`, in an answer that was asked for at `asked` and came at `now`, agrees with
    /// the answers before it.
    pub(super) fn agrees(&mut self, asked: Instant, now: Instant, server_time: Duration) -> bool {
        let since_origin = |time: Instant| micros(time.saturating_duration_since(self.origin));
        let seen = Observation {
            at: asked,
            least: micros(server_time) - since_origin(now),
            most: micros(server_time) - since_origin(asked),
        };
        let known = self.previous.iter().chain(&self.current);
        if !known.into_iter().all(|known| known.agrees_with(&seen)) {
            return false;
        }
        match &mut self.current {
            Some(current) if now < current.at + self.window => {
                // A shorter round trip is more exact.
                if seen.width() < current.width() && now < current.at + self.window / 2 {
                    *current = Observation {
                        at: current.at,
                        ..seen
                    };
                }
            }
            current => self.previous = current.replace(seen),
        }
        true
    }
}

impl Observation {
    fn width(&self) -> i128 {
        self.most - self.least
    }

    fn agrees_with(&self, later: &Self) -> bool {
        let drift = later.at.saturating_duration_since(self.at) / DRIFT;
        let apart = (later.least - self.most).max(self.least - later.most);
        apart <= micros(SKEW + drift)
    }
}

/// A time span of any length fits.
fn micros(time: Duration) -> i128 {
    time.as_micros().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);
    const WINDOW: Duration = Duration::from_secs(61);

    /// Answers in 2 ms, of a server whose clock is at `offset` when this process starts.
    fn answer(clock: &mut ServerClock, after: Duration, offset: Duration) -> bool {
        let asked = clock.origin + after;
        clock.agrees(asked, asked + MILLISECOND * 2, after + offset + MILLISECOND)
    }

    #[test]
    fn a_step_either_way_shows_in_the_next_answer() {
        let offset = Duration::from_secs(1_000_000);
        for step in [2_i32, -2, 3600, -3600] {
            let mut clock = ServerClock::new(Instant::now(), WINDOW);
            for second in 0..200 {
                let after = Duration::from_secs(second);
                assert!(answer(&mut clock, after, offset), "{second}");
            }
            let size = Duration::from_secs(step.unsigned_abs().into());
            let stepped = if step > 0 {
                offset + size
            } else {
                offset - size
            };
            assert!(!answer(&mut clock, Duration::from_secs(201), stepped));
            clock.reset();
            assert!(answer(&mut clock, Duration::from_secs(202), stepped));
        }
    }

    #[test]
    fn an_ordinary_drift_is_none() {
        let mut clock = ServerClock::new(Instant::now(), WINDOW);
        for second in 0..5_000_u32 {
            let offset = Duration::from_secs(1_000) + Duration::from_micros(100) * second;
            assert!(answer(
                &mut clock,
                Duration::from_secs(second.into()),
                offset
            ));
        }
    }

    #[test]
    fn a_quick_slew_shows_before_a_window_is_over() {
        let mut clock = ServerClock::new(Instant::now(), WINDOW);
        let slewed = |second: u32| Duration::from_secs(1_000) + MILLISECOND * 20 * second;
        let noticed = (0..61).find(|&second| {
            !answer(
                &mut clock,
                Duration::from_secs(second.into()),
                slewed(second),
            )
        });
        assert!(noticed.is_some_and(|second| second < 20), "{noticed:?}");
    }

    #[test]
    fn a_slow_answer_is_no_step() {
        let mut clock = ServerClock::new(Instant::now(), WINDOW);
        let start = clock.origin;
        let offset = Duration::from_secs(50);
        let ms = |time| MILLISECOND * time;
        assert!(clock.agrees(start, start + ms(900), offset + ms(880)));
        assert!(clock.agrees(start + ms(1_000), start + ms(1_002), offset + ms(1_001)));
        assert!(clock.agrees(start + ms(2_000), start + ms(2_900), offset + ms(2_001)));
    }
}
