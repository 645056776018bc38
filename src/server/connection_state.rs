//! The state of a connection, shared by its stream and its requests.
//!
//! hyper reports neither the start of a head nor the end of a response. The stream sees the first from
//! the bytes that it reads, the bodies see the second when they are dropped; both record it here, and
//! the deadline for the next byte follows from it.

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

/// Idle connections that keep hyper's buffers for their next requests: 4 MiB in all.
pub(super) const MAX_BUFFERED: usize = 256;

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
    /// Whether the client has stopped taking bytes.
    is_write_blocked: bool,
    /// Whether the connection is being polled, after which its deadline is asked for.
    is_polled: bool,
    /// The task of the connection, which is woken when a deadline starts and when the connection has to
    /// close.
    task: Option<Waker>,
    idle_connections: Arc<IdleConnections>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// A request head is being read, or the first one of the connection is awaited; since the end of the poll
    /// that began it.
    ReadingHead { since: Option<Instant> },
    /// A request is being handled. `open_bodies` of its two bodies are not complete.
    Handling { open_bodies: u8 },
    /// Both bodies are complete; the rest of the response may still be in hyper's buffer.
    Responded,
    /// Waiting for another request; listed under `key`.
    Idle {
        since: Instant,
        key: u64,
        is_surplus: bool,
    },
    /// Idle, and to be closed for a new connection.
    Closing,
    /// To be closed, for its deadline has passed.
    Expired,
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
            // A poll asks for the deadline at its end.
            if matches!(state.phase, Phase::Responded) && !state.is_polled {
                state.wake();
            }
        }
    }
}

impl State {
    fn delist(&self) {
        if let Phase::Idle { key, .. } = self.phase {
            self.idle_connections.remove(key);
        }
    }

    fn wake(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}

impl IdleConnection for Mutex<State> {
    fn close_if_idle(&self) -> bool {
        let mut state = lock(self);
        let is_idle = matches!(state.phase, Phase::Idle { .. });
        if is_idle {
            state.phase = Phase::Closing;
            state.wake();
        }
        is_idle
    }
}

impl ConnectionState {
    /// A new connection, which is listed while it is idle.
    pub(super) fn new(idle_connections: Arc<IdleConnections>) -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::ReadingHead { since: None },
            requests: 0,
            stopped_at: None,
            has_unread_body: false,
            is_drained: false,
            is_write_blocked: false,
            is_polled: false,
            task: None,
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

    /// Shortens the read deadline of a connection without a request.
    pub(super) fn stop(&self) {
        self.lock().stopped_at.get_or_insert_with(Instant::now);
    }

    /// Whether the client may still be sending a body that is not read.
    pub(super) fn has_unread_body(&self) -> bool {
        self.lock().has_unread_body
    }

    /// Whether the connection is idle, and enough others are.
    pub(super) fn is_surplus(&self) -> bool {
        matches!(
            self.lock().phase,
            Phase::Idle {
                is_surplus: true,
                ..
            }
        )
    }

    /// Records that bytes arrived, or that the client closed its side.
    pub(super) fn received(&self, is_end: bool) {
        let mut state = self.lock();
        state.is_drained &= is_end;
        match state.phase {
            Phase::ReadingHead { .. } | Phase::Handling { .. } => return,
            Phase::Responded | Phase::Closing | Phase::Expired => (),
            Phase::Idle { key, .. } => state.idle_connections.remove(key),
        }
        let was_closing = matches!(state.phase, Phase::Closing);
        state.phase = Phase::ReadingHead { since: None };
        if was_closing && !is_end {
            let idle_connections = Arc::clone(&state.idle_connections);
            drop(state);
            idle_connections.close_longest();
        }
    }

    /// Records that no byte is there to be read. Returns whether the connection has to close.
    pub(super) fn read_blocked(&self) -> bool {
        let mut state = self.lock();
        // hyper reads on during a request only if its buffer is empty.
        state.is_drained |= matches!(state.phase, Phase::Handling { .. });
        matches!(state.phase, Phase::Closing | Phase::Expired)
    }

    /// Records whether the client has stopped taking bytes.
    pub(super) fn set_write_blocked(&self, is_write_blocked: bool) {
        self.lock().is_write_blocked = is_write_blocked;
    }

    /// Records that the connection is polled.
    pub(super) fn begin_poll(&self) {
        self.lock().is_polled = true;
    }

    /// Records that the deadline has passed.
    pub(super) fn expire(&self) {
        let mut state = self.lock();
        state.delist();
        state.phase = Phase::Expired;
    }

    pub(super) fn closed(&self) {
        self.lock().delist();
    }

    /// The deadline for the next byte, after the connection was polled. The wait for the next request begins
    /// when the response is written, so not while the write is blocked.
    pub(super) fn deadline(&self, timeouts: &Timeouts, context: &Context<'_>) -> Option<Instant> {
        let mut state = self.lock();
        state.is_polled = false;
        match &mut state.task {
            Some(task) => task.clone_from(context.waker()),
            None => state.task = Some(context.waker().clone()),
        }
        if let Phase::Responded = state.phase
            && !state.is_write_blocked
        {
            let since = Instant::now();
            // After an unread body no request follows: hyper is about to close the connection.
            state.phase = if state.is_drained && !state.has_unread_body {
                let connection = Arc::clone(&self.0);
                let (key, idle) = state.idle_connections.add(connection);
                let is_surplus = idle > MAX_BUFFERED;
                Phase::Idle {
                    since,
                    key,
                    is_surplus,
                }
            } else {
                Phase::ReadingHead { since: Some(since) }
            };
        }
        let (since, timeout) = match &mut state.phase {
            Phase::ReadingHead { since } => {
                let since = *since.get_or_insert_with(Instant::now);
                (since, timeouts.header)
            }
            Phase::Idle { since, .. } => (*since, timeouts.idle),
            Phase::Handling { .. } | Phase::Responded | Phase::Closing | Phase::Expired => {
                return None;
            }
        };
        let deadline = since + timeout;
        Some(match state.stopped_at {
            Some(stopped_at) => deadline.min(stopped_at.max(since) + STOP_GRACE),
            None => deadline,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_connection_that_is_to_close_while_it_is_polled_is_polled_again() {
        let idle_connections: Arc<IdleConnections> = Arc::default();
        let state = ConnectionState::new(Arc::clone(&idle_connections));
        let timeouts = Timeouts {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(60),
        };
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let context = Context::from_waker(&waker);
        let guards = state.begin_request();
        assert!(!state.read_blocked());
        drop(guards);
        assert!(state.deadline(&timeouts, &context).is_some());
        state.begin_poll();
        assert!(!state.read_blocked());
        // By the task that accepts connections.
        assert!(idle_connections.close_longest());
        let _ = state.deadline(&timeouts, &context);
        assert!(woken.0.load(Ordering::Relaxed));
        assert!(state.read_blocked());
    }
}
