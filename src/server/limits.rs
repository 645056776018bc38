//! How much a listener may take, and how much it has taken. Who is accepted, and what becomes of the
//! others, belongs in `listener.rs`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;

use super::timeout_stream::Timeouts;
use crate::config::Server;

/// What a listener and its callers may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What the log calls the listener.
    pub(crate) name: &'static str,
    /// How many connections may be open at once.
    pub(crate) connections: usize,
    /// How many more are told at once that there are too many. Others wait in the system's queue.
    pub(crate) turned_away: usize,
    /// How long callers may take.
    pub(crate) timeouts: Timeouts,
}

impl Limits {
    /// Those of the operator's listener. Nobody is turned away: a probe that is would take the gateway
    /// out of service. It waits, and with these times it gets its answer before it gives up.
    pub(crate) const ADMIN: Self = Self {
        name: "admin",
        connections: 32,
        turned_away: 0,
        timeouts: Timeouts {
            header: Duration::from_secs(1),
            idle: Duration::from_secs(1),
        },
    };
}

/// Those of the listener that callers see.
impl From<&Server> for Limits {
    fn from(config: &Server) -> Self {
        Self {
            name: "server",
            connections: config.max_connections,
            turned_away: 64,
            timeouts: Timeouts {
                header: config.header_timeout,
                idle: config.idle_timeout,
            },
        }
    }
}

/// How busy a listener is. Clones tell of the same one.
#[derive(Clone, Debug)]
pub struct Occupancy {
    limit: usize,
    /// The places that are free.
    pub(super) places: Arc<Semaphore>,
    pub(super) turned_away: Arc<AtomicU64>,
    pub(super) accept_errors: Arc<AtomicU64>,
}

impl Occupancy {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            places: Arc::new(Semaphore::new(limit)),
            turned_away: Arc::default(),
            accept_errors: Arc::default(),
        }
    }

    /// How many connections may be open at once.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many are open, without those that are being turned away.
    #[must_use]
    pub fn open(&self) -> usize {
        self.limit - self.places.available_permits()
    }

    /// How many were turned away so far.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// How many times so far the system failed to hand over a connection, usually for want of file
    /// descriptors. The connection waits on, and is tried again.
    #[must_use]
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.load(Ordering::Relaxed)
    }
}
