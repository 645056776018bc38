//! Turns: the exclusive use of an instance's queue, for a change that another upstream carries out.
//!
//! A turn is granted when the calls that were queued before it are over and nothing is in flight. The
//! calls behind it wait until it ends. It needs no permit of the budget and no target, so neither a
//! suspension nor an outage of Ryze refuses it.

use std::convert::Infallible;

use tokio::{sync::oneshot, time::Instant};

/// A turn that is waited for.
pub(super) struct PendingTurn {
    /// Ascending in the order of arrival, together with those of the calls.
    pub(super) number: u64,
    /// The turn is not granted after this time.
    pub(super) send_by: Instant,
    /// Dropped without a turn if it was not granted.
    pub(super) granted: oneshot::Sender<Turn>,
}

/// A turn that was granted. It ends when it is dropped.
pub(super) struct Turn {
    _end: oneshot::Sender<Infallible>,
}

impl PendingTurn {
    /// Grants the turn, unless it is too late, and waits until it ends.
    pub(super) async fn run(self) {
        if self.send_by < Instant::now() {
            return;
        }
        let (end, ended) = oneshot::channel();
        // If the client disconnected meanwhile, the turn is dropped here and ends at once.
        drop(self.granted.send(Turn { _end: end }));
        let _ = ended.await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A moment in which the worker comes before the timer of a call.
    #[tokio::test(start_paused = true)]
    async fn a_turn_is_not_granted_when_its_time_is_over() {
        let now = Instant::now();
        for (send_by, is_granted) in [(now - Duration::from_millis(1), false), (now, true)] {
            let (granted, mut turn) = oneshot::channel();
            let pending = PendingTurn {
                number: 1,
                send_by,
                granted,
            };
            let run = tokio::spawn(pending.run());
            tokio::task::yield_now().await;
            assert_eq!(turn.try_recv().is_ok(), is_granted);
            assert!(run.await.is_ok());
        }
    }
}
