//! The idle connections of a listener, in the order in which they became idle.
//!
//! A connection is idle after a response, until a byte of its next request arrives. The list holds no more
//! entries than the listener has connections. Its lock is taken while the lock of a connection is held, never
//! the other way round.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use crate::sync::lock;

pub(super) trait IdleConnection: Debug + Send + Sync {
    /// Closes the connection unless it is not idle any more.
    fn close_if_idle(&self) -> bool;
}

#[derive(Debug, Default)]
pub(crate) struct IdleConnections(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    /// The key of the next entry.
    next: u64,
    entries: BTreeMap<u64, Arc<dyn IdleConnection>>,
}

impl IdleConnections {
    /// Adds a connection that has just become idle. Returns its key, and how many are idle.
    pub(super) fn add(&self, connection: Arc<dyn IdleConnection>) -> (u64, usize) {
        let mut list = lock(&self.0);
        let key = list.next;
        list.next += 1;
        list.entries.insert(key, connection);
        (key, list.entries.len())
    }

    pub(super) fn remove(&self, key: u64) {
        lock(&self.0).entries.remove(&key);
    }

    /// Closes the connection that is idle for the longest time; `false` if none is idle. Should a request
    /// have arrived on it, the connection serves that and closes the next one in its place.
    pub(super) fn close_longest(&self) -> bool {
        while let Some(connection) = self.pop() {
            if connection.close_if_idle() {
                return true;
            }
        }
        false
    }

    fn pop(&self) -> Option<Arc<dyn IdleConnection>> {
        lock(&self.0)
            .entries
            .pop_first()
            .map(|(_, connection)| connection)
    }
}
