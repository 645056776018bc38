//! Timers that stay registered between uses.
//!
//! Registering a new tokio timer for each request wakes the runtime through an `eventfd`, because the
//! new timer is often the earliest one. Moving a registered timer further into the future does not.
//! The deadlines that a connection or a queue sets only grow, so each owner keeps its timers.
//!
//! A kept timer is moved when it fires, or if the new deadline is earlier than the one at which it is
//! registered. So it may wake the task that last polled it at an old deadline, once.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Mutex,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::sync::lock;

/// A timer for one deadline at a time.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready once `deadline` has passed; until then the task is woken at the deadline, or earlier.
    pub(crate) fn poll(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        ready!(sleep.as_mut().poll(context));
        if sleep.deadline() < deadline {
            sleep.as_mut().reset(deadline);
            return sleep.as_mut().poll(context);
        }
        Poll::Ready(())
    }

    /// Runs `future`; `None` if `deadline` passes before it is ready.
    pub(crate) async fn timeout_at<F: Future>(
        &mut self,
        deadline: Instant,
        future: F,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll(deadline, context).map(|()| None),
        })
        .await
    }
}

/// Timers for futures that run at the same time: never more than there were of these at once.
#[derive(Debug, Default)]
pub(crate) struct TimerPool(Mutex<Vec<Timer>>);

impl TimerPool {
    /// Runs `future`; `None` if `deadline` passes before it is ready.
    pub(crate) async fn timeout_at<F: Future>(
        &self,
        deadline: Instant,
        future: F,
    ) -> Option<F::Output> {
        let timer = self.with(Vec::pop).unwrap_or_default();
        let mut lease = Lease { pool: self, timer };
        lease.timer.timeout_at(deadline, future).await
    }

    fn with<T>(&self, change: impl FnOnce(&mut Vec<Timer>) -> T) -> T {
        change(&mut lock(&self.0))
    }
}

/// A timer in use. It returns to its pool when its future is done or dropped.
struct Lease<'p> {
    pool: &'p TimerPool,
    timer: Timer,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let timer = std::mem::take(&mut self.timer);
        self.pool.with(|timers| timers.push(timer));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{future::pending, time::Duration};

    use tokio::{task::yield_now, time::timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_kept_timer_keeps_to_each_new_deadline() {
        let mut timer = Timer::default();
        for seconds in [10, 30, 5] {
            // Registered for a later deadline than the next.
            let later = Instant::now() + 60 * SECOND;
            assert_eq!(timer.timeout_at(later, yield_now()).await, Some(()));
            let deadline = Instant::now() + seconds * SECOND;
            assert_eq!(timer.timeout_at(deadline, pending::<()>()).await, None);
            let late = Instant::now() - deadline;
            assert!(late <= Duration::from_millis(1), "{late:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_has_a_timer_for_each_that_runs_and_takes_all_back() {
        let pool = TimerPool::default();
        let start = Instant::now();
        for _ in 0..3 {
            let limited = |seconds| pool.timeout_at(start + seconds * SECOND, pending::<()>());
            // Dropped before its deadline.
            let dropped = timeout(SECOND / 2, limited(90)).await;
            assert!(dropped.is_err());
            tokio::join!(limited(20), limited(10));
        }
        assert_eq!(pool.with(|timers| timers.len()), 2);
        assert!(start.elapsed() < 23 * SECOND);
    }
}
