//! Where a connection is between its first byte and its last, as its stream and the handler of its
//! requests tell each other. What follows from it, such as a time limit, belongs in `timeout_stream.rs`.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::timeout_stream::Timeouts;

/// After a stop, a connection is left open for this long for a request that is on its way, and for as
/// long again from the first byte of one that follows another. A head that is not complete by then is
/// no call.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// Where one connection is. Clones tell of the same one.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    phase: Phase,
    requests_so_far: u64,
    /// Since when the next answer is the last one.
    stopped: Option<Instant>,
    /// Whether the caller may still be sending what nobody will read.
    has_unread: bool,
    /// The reader of the connection while it has no deadline. hyper does not read again before bytes
    /// come, so it has to be told that there is one.
    reader: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// A request's head is being read, or the connection's first one is waited for.
    Head { since: Instant },
    /// A request is with its handler, or as many of its two halves are under way.
    Busy { halves: u8 },
    /// Its answer is on the way.
    Answered,
    /// Nothing is under way.
    Idle { since: Instant },
}

/// The body of a request or that of its answer, for as long as it is under way.
#[derive(Debug)]
pub(super) struct Half {
    progress: Progress,
    /// The request's number.
    number: u64,
}

impl Half {
    /// The request's body will not be read to its end.
    pub(super) fn leaves_unread(&self) {
        self.progress.lock().has_unread = true;
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        let mut state = self.progress.lock();
        if let Phase::Busy { halves } = state.phase
            && state.requests_so_far == self.number
        {
            state.phase = match halves {
                2.. => Phase::Busy { halves: 1 },
                _ => Phase::Answered,
            };
            if let (Phase::Answered, Some(reader)) = (state.phase, state.reader.take()) {
                reader.wake();
            }
        }
    }
}

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::Head {
                since: Instant::now(),
            },
            requests_so_far: 0,
            stopped: None,
            has_unread: false,
            reader: None,
        })))
    }

    /// A head is complete and goes to its handler. Gives the halves that are under way from now on: the
    /// request's and the answer's.
    pub(super) fn begin(&self) -> [Half; 2] {
        let mut state = self.lock();
        state.phase = Phase::Busy { halves: 2 };
        state.requests_so_far += 1;
        let half = || Half {
            progress: self.clone(),
            number: state.requests_so_far,
        };
        [half(), half()]
    }

    /// From now on nothing more is asked of the connection than what is on its way. Its reader has to
    /// ask for the deadline again.
    pub(super) fn stop(&self) {
        self.lock().stopped = Some(Instant::now());
    }

    /// Whether the caller may still be sending what nobody will read.
    pub(super) fn has_unread(&self) -> bool {
        self.lock().has_unread
    }

    /// The caller sent something.
    pub(super) fn read(&self) {
        let mut state = self.lock();
        if let Phase::Answered | Phase::Idle { .. } = state.phase {
            state.phase = Phase::Head {
                since: Instant::now(),
            };
        }
    }

    /// When the caller's time is up if not a byte comes. While the next step is ours there is none, and
    /// the task is woken when there is.
    pub(super) fn deadline(&self, timeouts: &Timeouts, context: &Context<'_>) -> Option<Instant> {
        let mut state = self.lock();
        if let Phase::Answered = state.phase {
            state.phase = Phase::Idle {
                since: Instant::now(),
            };
        }
        let (since, limit) = match state.phase {
            Phase::Head { since } => (since, timeouts.header),
            Phase::Idle { since } => (since, timeouts.idle),
            Phase::Busy { .. } | Phase::Answered => {
                state.reader = Some(context.waker().clone());
                return None;
            }
        };
        let deadline = since + limit;
        Some(match state.stopped {
            Some(stopped) => deadline.min(stopped.max(since) + GRACE),
            None => deadline,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
