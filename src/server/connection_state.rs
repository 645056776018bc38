//! The state of a connection, shared by its stream and its requests.
//!
//! hyper reports neither the start of a head nor the end of a response. The stream sees the first from
//! the bytes that it reads, the bodies see the second when they are dropped; both record it here, and
//! the read deadline follows from it.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    idle_connections::{IdleConnection, IdleConnections},
    limits::Timeouts,
};
use crate::sync::lock;

/// How long after a stop an idle connection stays open for a request that is in transit, and how long
/// from its first byte the head of such a request may take.
pub(super) const STOP_GRACE: Duration = Duration::from_millis(250);

/// Clones share one state.
#[derive(Clone, Debug)]
pub(super) struct ConnectionState(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Requests begun, which numbers them.
    requests: u64,
    stopped_at: Option<Instant>,
    has_unread_body: bool,
    /// Whether hyper has used all bytes that arrived. If not, part of the next head arrived with the
    /// request that is being handled.
    is_drained: bool,
    /// The task that reads. hyper does not poll the stream again before bytes arrive, so the task is woken
    /// when a deadline starts and when the connection has to close.
    reader: Option<Waker>,
    idle_connections: Arc<IdleConnections>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// A request head is being read, or the first one of the connection is awaited.
    ReadingHead { since: Instant },
    /// A request is being handled. `open_bodies` of its two bodies are not complete.
    Handling { open_bodies: u8 },
    /// Both bodies are complete; the rest of the response may still be in hyper's buffer.
    Responded,
    /// Waiting for another request; listed under `key`.
    Idle { since: Instant, key: u64 },
    /// Idle, and to be closed for a new connection.
    Closing,
}

/// How long to wait for the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Until(Instant),
    /// Until the task is woken.
    Unlimited,
    /// The connection has to close.
    Over,
}

/// Held by a request or response body until it is complete.
#[derive(Debug)]
pub(super) struct BodyGuard {
    connection: ConnectionState,
    /// The number of the request.
    request: u64,
}

impl BodyGuard {
    /// Records that the rest of the request is not read, so that the connection cannot be reused.
    pub(super) fn mark_unread(&self) {
        self.connection.lock().has_unread_body = true;
    }
}

impl Drop for BodyGuard {
    fn drop(&mut self) {
        let mut state = self.connection.lock();
        if let Phase::Handling { open_bodies } = state.phase
            && state.requests == self.request
        {
            state.phase = match open_bodies {
                2.. => Phase::Handling { open_bodies: 1 },
                _ => Phase::Responded,
            };
            if let Phase::Responded = state.phase {
                state.wake_reader();
            }
        }
    }
}

impl State {
    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl IdleConnection for Mutex<State> {
    fn close_if_idle(&self) -> bool {
        let mut state = lock(self);
        let is_idle = matches!(state.phase, Phase::Idle { .. });
        if is_idle {
            state.phase = Phase::Closing;
            state.wake_reader();
        }
        is_idle
    }
}

impl ConnectionState {
    /// A new connection, which is listed while it is idle.
    pub(super) fn new(idle_connections: Arc<IdleConnections>) -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::ReadingHead {
                since: Instant::now(),
            },
            requests: 0,
            stopped_at: None,
            has_unread_body: false,
            is_drained: false,
            reader: None,
            idle_connections,
        })))
    }

    /// Records that a head is complete. Returns the guards of the request's and the response's body.
    pub(super) fn begin_request(&self) -> [BodyGuard; 2] {
        let mut state = self.lock();
        state.phase = Phase::Handling { open_bodies: 2 };
        state.requests += 1;
        let guard = || BodyGuard {
            connection: self.clone(),
            request: state.requests,
        };
        [guard(), guard()]
    }

    /// Shortens the read deadline of a connection without a request. The reader has to ask for its
    /// deadline again.
    pub(super) fn stop(&self) {
        self.lock().stopped_at = Some(Instant::now());
    }

    /// Whether the client may still be sending a body that is not read.
    pub(super) fn has_unread_body(&self) -> bool {
        self.lock().has_unread_body
    }

    /// Records that bytes arrived, or that the client closed its side.
    pub(super) fn received(&self, is_end: bool) {
        let mut state = self.lock();
        state.is_drained &= is_end;
        match state.phase {
            Phase::ReadingHead { .. } | Phase::Handling { .. } => return,
            Phase::Responded | Phase::Closing => (),
            Phase::Idle { key, .. } => state.idle_connections.remove(key),
        }
        let was_closing = matches!(state.phase, Phase::Closing);
        state.phase = Phase::ReadingHead {
            since: Instant::now(),
        };
        if was_closing && !is_end {
            let idle_connections = Arc::clone(&state.idle_connections);
            drop(state);
            idle_connections.close_longest();
        }
    }

    /// Records that the client takes bytes again.
    pub(super) fn write_resumed(&self) {
        self.lock().wake_reader();
    }

    pub(super) fn closed(&self) {
        let state = self.lock();
        if let Phase::Idle { key, .. } = state.phase {
            state.idle_connections.remove(key);
        }
    }

    /// How long to wait for the next byte, of which none is there. The wait for the next request begins
    /// when the response is written, so not while the write is blocked.
    pub(super) fn wait(
        &self,
        timeouts: &Timeouts,
        is_write_blocked: bool,
        context: &Context<'_>,
    ) -> Wait {
        let mut state = self.lock();
        match &mut state.reader {
            Some(reader) => reader.clone_from(context.waker()),
            None => state.reader = Some(context.waker().clone()),
        }
        if let Phase::Responded = state.phase
            && !is_write_blocked
        {
            let since = Instant::now();
            state.phase = if state.is_drained {
                let connection = Arc::clone(&self.0);
                let key = state.idle_connections.add(connection);
                Phase::Idle { since, key }
            } else {
                Phase::ReadingHead { since }
            };
        }
        let (since, timeout) = match state.phase {
            Phase::ReadingHead { since } => (since, timeouts.header),
            Phase::Idle { since, .. } => (since, timeouts.idle),
            Phase::Handling { .. } => {
                // hyper reads on during a request only if its buffer is empty.
                state.is_drained = true;
                return Wait::Unlimited;
            }
            Phase::Responded => return Wait::Unlimited,
            Phase::Closing => return Wait::Over,
        };
        let deadline = since + timeout;
        Wait::Until(match state.stopped_at {
            Some(stopped_at) => deadline.min(stopped_at.max(since) + STOP_GRACE),
            None => deadline,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}
