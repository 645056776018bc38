//! The limits of a listener and its clients, and how much of them is in use.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::sync::Semaphore;

use crate::config::Server;

/// Timeouts for what a client has to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For a TLS handshake, for a request head, and for discarding an unread body.
    pub(crate) header: Duration,
    /// Between requests, and for a client that does not read its response.
    pub(crate) idle: Duration,
}

/// The limits of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The listener's name in the log.
    pub(crate) name: &'static str,
    /// Open connections.
    pub(crate) connections: usize,
    /// Connections beyond these that get [`Handler::overloaded`](super::Handler::overloaded) at the same
    /// time. More wait in the backlog of the socket.
    pub(crate) turned_away: usize,
    pub(crate) timeouts: Timeouts,
}

impl Limits {
    /// The limits of the admin listener. It turns no connection away, because a probe that gets a 503
    /// takes the gateway out of service. A probe waits instead, and with these timeouts it is served
    /// before it times out.
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

/// A snapshot of an [`Occupancy`], as `/status` shows it.
#[derive(Debug, Serialize)]
pub struct Connections {
    /// Open connections, without those that are being turned away.
    pub open: usize,
    /// Maximum number of open connections.
    pub limit: usize,
    /// Connections turned away since the start.
    pub turned_away: u64,
    /// Failed accepts since the start, usually for lack of file descriptors. The connection stays in the
    /// backlog and the accept is retried.
    pub accept_errors: u64,
}

/// The use of a listener. Clones share the counts.
#[derive(Clone, Debug)]
pub struct Occupancy {
    limit: usize,
    /// One permit for each connection that may still be opened.
    pub(super) permits: Arc<Semaphore>,
    pub(super) turned_away: Arc<AtomicU64>,
    pub(super) accept_errors: Arc<AtomicU64>,
}

impl Occupancy {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            permits: Arc::new(Semaphore::new(limit)),
            turned_away: Arc::default(),
            accept_errors: Arc::default(),
        }
    }

    #[must_use]
    pub fn snapshot(&self) -> Connections {
        Connections {
            open: self.limit - self.permits.available_permits(),
            limit: self.limit,
            turned_away: self.turned_away.load(Ordering::Relaxed),
            accept_errors: self.accept_errors.load(Ordering::Relaxed),
        }
    }
}
