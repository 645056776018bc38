//! A client's claim on its queued call.

use tokio::sync::OwnedSemaphorePermit;

use super::{Queues, pending_call::PendingCall};
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
        let number = |call: &PendingCall| call.number;
        let place = queue.calls.binary_search_by_key(&self.number, number);
        let call = queue.calls.remove(place.ok()?);
        self.is_queued = false;
        queue.changed.notify_one();
        Some(call.failure_unless_sent(Failure::NotSent))
    }
}

impl Drop for QueueTicket<'_> {
    fn drop(&mut self) {
        let _ = self.cancel();
    }
}
