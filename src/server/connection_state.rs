//! The state of a connection, shared by its stream and its requests.
//!
//! hyper tells neither when a head begins nor when a response is complete. The stream sees the first from
//! the bytes that it reads, the bodies see the second when they are dropped; both record it here, and the
//! read deadline follows from it.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::limits::Timeouts;
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
    /// The task that reads, while it has no deadline. hyper does not poll the stream again before bytes
    /// arrive, so the task is woken when a deadline starts.
    reader: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// A request head is being read, or the first one of the connection is awaited.
    ReadingHead { since: Instant },
    /// A request is being handled. `open_bodies` of its two bodies are not complete.
    Handling { open_bodies: u8 },
    /// Both bodies are complete; the rest of the response may still be in hyper's buffer.
    Responded,
    /// Waiting for another request.
    Idle { since: Instant },
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
            if let (Phase::Responded, Some(reader)) = (state.phase, state.reader.take()) {
                reader.wake();
            }
        }
    }
}

impl ConnectionState {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::ReadingHead {
                since: Instant::now(),
            },
            requests: 0,
            stopped_at: None,
            has_unread_body: false,
            reader: None,
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

    /// Records that bytes arrived.
    pub(super) fn received(&self) {
        let mut state = self.lock();
        if let Phase::Responded | Phase::Idle { .. } = state.phase {
            state.phase = Phase::ReadingHead {
                since: Instant::now(),
            };
        }
    }

    /// The deadline for the next byte. While a request is handled there is none, and the task is woken
    /// when there is.
    pub(super) fn read_deadline(
        &self,
        timeouts: &Timeouts,
        context: &Context<'_>,
    ) -> Option<Instant> {
        let mut state = self.lock();
        if let Phase::Responded = state.phase {
            state.phase = Phase::Idle {
                since: Instant::now(),
            };
        }
        let (since, timeout) = match state.phase {
            Phase::ReadingHead { since } => (since, timeouts.header),
            Phase::Idle { since } => (since, timeouts.idle),
            Phase::Handling { .. } | Phase::Responded => {
                state.reader = Some(context.waker().clone());
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
