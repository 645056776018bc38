//! Timers that stay registered between uses.
//!
//! Registering a new tokio timer for each request wakes the runtime through an `eventfd`, because the
//! new timer is often the earliest one. Moving a registered timer further into the future does not.
//! The deadlines that a connection or a queue sets only grow, so each owner keeps its timers.
//!
//! A kept timer is moved when it fires, or if the new deadline is earlier than the one at which it is
//! registered. So it may wake the task that last polled it at an old deadline, once.
//!
//! While it is registered for the task that polls it again, tokio is not asked: 40 instructions in place of 140.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Mutex,
    task::{Context, Poll, Waker, ready},
};

use pin_project_lite::pin_project;
use tokio::{
    task::coop::has_budget_remaining,
    time::{Instant, Sleep, sleep_until},
};

use crate::sync::lock;

/// A timer for one deadline at a time.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Registration>>>);

pin_project! {
    #[derive(Debug)]
    struct Registration {
        #[pin]
        sleep: Sleep,
        // The task that it wakes.
        task: Option<Waker>,
    }
}

impl Registration {
    fn new(deadline: Instant) -> Self {
        Self {
            sleep: sleep_until(deadline),
            task: None,
        }
    }

    /// Whether the task of this context will be woken at the deadline.
    fn is_of(&self, context: &Context<'_>) -> bool {
        let will_wake = |task: &Waker| task.will_wake(context.waker());
        self.task.as_ref().is_some_and(will_wake) && !self.sleep.is_elapsed()
    }

    fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.project().sleep.reset(deadline);
    }

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // tokio wakes a task without a budget at once, in place of registering it.
        *this.task = has_budget_remaining().then(|| context.waker().clone());
        this.sleep.poll(context)
    }
}

impl Timer {
    /// Ready once `deadline` has passed; until then the task is woken at the deadline, or earlier.
    pub(crate) fn poll(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let registration = self
            .0
            .get_or_insert_with(|| Box::pin(Registration::new(deadline)));
        if registration.sleep.deadline() > deadline {
            registration.as_mut().reset(deadline);
        } else if registration.is_of(context) {
            return Poll::Pending;
        }
        ready!(registration.as_mut().poll(context));
        if registration.sleep.deadline() < deadline {
            registration.as_mut().reset(deadline);
            return registration.as_mut().poll(context);
        }
        Poll::Ready(())
    }

    /// Drops the waker, which keeps the memory of a task after its end. The timers of idle connections to Ryze,
    /// at most 64, may keep one each.
    fn forget_task(&mut self) {
        if let Some(registration) = &mut self.0 {
            *registration.as_mut().project().task = None;
        }
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
        let mut timer = std::mem::take(&mut self.timer);
        timer.forget_task();
        self.pool.with(|timers| timers.push(timer));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{future::pending, sync::Arc, task::Wake, time::Duration};

    use tokio::{
        task::{coop::poll_proceed, yield_now},
        time::{sleep, timeout},
    };

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
    async fn a_timer_wakes_the_task_that_polled_it_last() {
        let mut timer = Timer::default();
        let deadline = Instant::now() + SECOND;
        let first = timeout(SECOND / 2, poll_fn(|context| timer.poll(deadline, context)));
        assert!(first.await.is_err());
        let second = tokio::spawn(async move {
            poll_fn(|context| timer.poll(deadline, context)).await;
            deadline.elapsed()
        });
        let late = timeout(9 * SECOND, second).await.unwrap().unwrap();
        assert!(late <= Duration::from_millis(1), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_polled_without_a_budget_is_registered_when_there_is_one() {
        let mut timer = Timer::default();
        let deadline = Instant::now() + SECOND;
        let task = tokio::spawn(async move {
            poll_fn(|context| {
                while let Poll::Ready(unit) = poll_proceed(context) {
                    unit.made_progress();
                }
                assert!(timer.poll(deadline, context).is_pending());
                Poll::Ready(())
            })
            .await;
            yield_now().await;
            poll_fn(|context| timer.poll(deadline, context)).await;
        });
        assert!(timeout(9 * SECOND, task).await.is_ok());
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

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_of_a_pool_does_not_keep_a_task_that_ended() {
        let (pool, task) = (TimerPool::default(), Arc::new(Task));
        let waker = Waker::from(Arc::clone(&task));
        let mut limited = Box::pin(pool.timeout_at(Instant::now() + SECOND, pending::<()>()));
        let polled = limited.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop((limited, waker));
        sleep(2 * SECOND).await;
        assert_eq!(Arc::strong_count(&task), 1);
    }
}
