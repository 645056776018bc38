//! A client's claim on its queued call or turn.

use tokio::sync::OwnedSemaphorePermit;

use super::Queues;
use crate::privacy::Failure;

/// Dropping the ticket cancels the call, unless it is in a request already.
pub(super) struct QueueTicket<'q> {
    pub(super) queues: &'q Queues,
    pub(super) name: &'q str,
    pub(super) number: u64,
    /// Whether the call may still be in the queue.
    pub(super) is_queued: bool,
    pub(super) _capacity: OwnedSemaphorePermit,
}

impl QueueTicket<'_> {
    /// Removes the call from its queue and returns its failure. Returns `None` if the call is in
    /// flight.
    pub(super) fn cancel(&mut self) -> Option<Failure> {
        if !self.is_queued {
            return None;
        }
        let mut state = self.queues.lock();
        let queue = state.queues.get_mut(self.name)?;
        let failure = queue.cancel(self.number)?;
        self.is_queued = false;
        queue.changed.notify_one();
        Some(failure)
    }
}

impl Drop for QueueTicket<'_> {
    fn drop(&mut self) {
        let _ = self.cancel();
    }
}
