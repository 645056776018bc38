//! A timer that is kept armed from one use to the next.
//!
//! Arming a new tokio timer for every request wakes the runtime through an `eventfd`, because the
//! new timer is often the earliest one. Moving an armed timer further into the future does not, and
//! that is what happens here: the requests of a connection have deadlines that only grow.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer for one deadline at a time.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once `deadline` has passed; else the task is woken then, perhaps sooner as well.
    pub fn poll(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(context)
    }

    /// Runs `future`; `None` if `deadline` passes before it is ready.
    pub async fn limit<F: Future>(&mut self, deadline: Instant, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll(deadline, context).map(|()| None),
        })
        .await
    }
}
