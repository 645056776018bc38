//! The queued calls of all instances, and what decides which token they are sent with and whether
//! their instance is suspended. All of it is behind one lock.

use std::{collections::HashMap, sync::Arc};

use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

use super::{directory::Directory, pending_call::PendingCall, suspension::Suspensions};
use crate::{privacy::Failure, ryze::Target};

/// Bounded: each call belongs to a client connection and is removed with it.
#[derive(Default)]
pub(super) struct State {
    /// By the instance's name. An instance without a worker has no queue.
    pub(super) queues: HashMap<Arc<str>, Queue>,
    pub(super) calls_so_far: u64,
    pub(super) directory: Directory,
    pub(super) suspensions: Suspensions,
}

pub(super) struct Queue {
    /// In the order of arrival.
    pub(super) calls: Vec<PendingCall>,
    /// Notified when a call is cancelled and when the configured targets are replaced.
    pub(super) changed: Arc<Notify>,
    /// A permit for each call that may be queued or in flight.
    pub(super) capacity: Arc<Semaphore>,
}

impl State {
    /// The target that the first queued call of the instance is sent to.
    pub(super) fn next_target(&self, name: &str) -> Option<&Arc<Target>> {
        let first = self.queues.get(name)?.calls.first()?;
        Some(self.directory.current(&first.target))
    }

    /// Fails while the instance is suspended for its current token.
    pub(super) fn check(&self, target: &Arc<Target>) -> Result<(), Failure> {
        let target = self.directory.current(target);
        self.suspensions.check(target, Instant::now())
    }
}
