//! The pacer: governor's GCRA spreads requests over the minute, so that the slots are not all spent in its
//! first second. The promise of the budget rests on `slots.rs` alone.

use std::{mem, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use tokio::time::Instant;

/// tokio's clock as governor reads it, so that tests can pause it.
#[derive(Clone, Debug)]
struct TokioClock {
    origin: Instant,
}

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A rate limiter, and a copy of its state for forecasts.
#[derive(Debug)]
pub(super) struct Pacer {
    limiter: RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>,
    clock: TokioClock,
    forecast: Forecast,
}

impl Pacer {
    /// `per_minute` requests a minute, `burst` of them at once. A rate of 0 is taken for 1.
    pub(super) fn new(per_minute: u32, burst: u32) -> Self {
        let per_minute = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_minute(per_minute).allow_burst(burst);
        let clock = TokioClock {
            origin: Instant::now(),
        };
        Self {
            forecast: Forecast {
                interval: quota.replenish_interval(),
                tolerance: quota.replenish_interval() * (burst.get() - 1),
                arrival: clock.origin,
                has_spare: false,
            },
            limiter: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
        }
    }

    /// Permits one request at `now`, the present time, or returns when to ask again.
    pub(super) fn check(&mut self, now: Instant) -> Result<(), Instant> {
        if mem::take(&mut self.forecast.has_spare) {
            return Ok(());
        }
        match self.limiter.check() {
            Ok(()) => {
                self.forecast.next(now);
                Ok(())
            }
            Err(not_until) => {
                let now = self.clock.now();
                let wait = not_until.wait_time_from(now);
                Err(self.clock.origin + now + wait.max(Duration::from_nanos(1)))
            }
        }
    }

    /// Keeps the turn of a permitted request that was not sent for the next one. At most one turn is kept,
    /// because saved turns would be a burst.
    pub(super) fn return_turn(&mut self) {
        self.forecast.has_spare = true;
    }

    /// The forecast from here on.
    pub(super) fn forecast(&self) -> Forecast {
        self.forecast
    }
}

/// GCRA's state, which governor does not expose, and a returned turn: for forecasts of waits alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forecast {
    interval: Duration,
    tolerance: Duration,
    /// The theoretical arrival time of the next request.
    arrival: Instant,
    has_spare: bool,
}

impl Forecast {
    /// When the next request that asks at `from` would be permitted; counts it.
    pub(super) fn next(&mut self, from: Instant) -> Instant {
        if mem::take(&mut self.has_spare) {
            return from;
        }
        let earliest = self.arrival.checked_sub(self.tolerance).unwrap_or(from);
        let out = earliest.max(from);
        self.arrival = self.arrival.max(out) + self.interval;
        out
    }
}
