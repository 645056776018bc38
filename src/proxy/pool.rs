//! The idle connections to the fallback.
//!
//! A connection comes back when the body of its response ends, and may be about to close then: hyper has
//! the last word, and a connection that is not ready is not taken.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

use super::connection::Connection;
use crate::sync::lock;

const MAX_IDLE_CONNECTIONS: usize = 64;
/// How long a connection may be idle. Node.js closes idle connections after 5 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Connections>);

#[derive(Debug, Default)]
struct Connections {
    /// With the time since which they are idle, the latest at the end.
    idle: Vec<(Connection, Instant)>,
    /// Whether a task closes those that were not used again.
    is_swept: bool,
}

impl Connections {
    fn close_unusable(&mut self) {
        self.idle.retain(|(connection, since)| {
            !connection.is_closed() && since.elapsed() < IDLE_TIMEOUT
        });
    }
}

impl Pool {
    /// The connection that was used last.
    pub(super) fn take(&self) -> Option<Connection> {
        let idle = &mut lock(&self.0).idle;
        let last = idle
            .iter()
            .rposition(|(connection, _)| connection.is_ready())?;
        let (connection, since) = idle.remove(last);
        (since.elapsed() < IDLE_TIMEOUT).then_some(connection)
    }

    /// Keeps a connection for the next request, if it can be reused and there are not too many.
    pub(super) fn put(self: &Arc<Self>, connection: Connection) {
        let now = Instant::now();
        if !connection.is_reusable(now) {
            return;
        }
        let mut connections = lock(&self.0);
        if connections.idle.len() == MAX_IDLE_CONNECTIONS {
            connections.close_unusable();
        }
        if connections.idle.len() < MAX_IDLE_CONNECTIONS {
            connections.idle.push((connection, now));
        }
        if !connections.is_swept
            && let Ok(runtime) = Handle::try_current()
        {
            connections.is_swept = true;
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Returns whether any connection is left.
    fn close_unusable(&self) -> bool {
        let mut connections = lock(&self.0);
        connections.close_unusable();
        connections.is_swept = !connections.idle.is_empty();
        connections.is_swept
    }
}

async fn sweep(pool: Weak<Pool>) {
    loop {
        sleep(IDLE_TIMEOUT).await;
        if !pool.upgrade().is_some_and(|pool| pool.close_unusable()) {
            return;
        }
    }
}
