//! The idle connections of a listener, in the order in which they became idle.
//!
//! A connection is idle after a response, until a byte of its next request arrives. The list holds no more
//! entries than the listener has connections. Its lock is taken while the lock of a connection is held, never
//! the other way round.

use std::{collections::BTreeMap, sync::Mutex};

use super::connection_state::ConnectionState;
use crate::sync::lock;

#[derive(Debug, Default)]
pub(crate) struct IdleConnections(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    /// The key of the next entry.
    next: u64,
    entries: BTreeMap<u64, ConnectionState>,
}

impl IdleConnections {
    /// Adds a connection that has just become idle. Returns its key.
    pub(super) fn add(&self, connection: ConnectionState) -> u64 {
        let mut list = lock(&self.0);
        let key = list.next;
        list.next += 1;
        list.entries.insert(key, connection);
        key
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

    fn pop(&self) -> Option<ConnectionState> {
        lock(&self.0)
            .entries
            .pop_first()
            .map(|(_, connection)| connection)
    }
}
