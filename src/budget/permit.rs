//! What a request holds while it is under way.

use std::{fmt, sync::Arc};

use tokio::time::Instant;

use super::{Allowance, TokenDigest, limiter::Pool, redis::Lease};

/// Leave to send one request. It holds a slot: dropped unsent it gives it and its turn back at
/// once, dropped after [`sent`](Self::sent) when 60 s and the guard have passed. So it must live
/// until the answer is in or the connection is closed.
pub struct Permit {
    pool: Arc<Pool>,
    token: TokenDigest,
    /// The request's number at the token's gate.
    number: u64,
    /// Its slot, where several processes share the limit.
    lease: Option<Lease>,
    sent: bool,
}

impl Permit {
    pub(super) fn new(
        pool: &Arc<Pool>,
        token: TokenDigest,
        number: u64,
        lease: Option<Lease>,
    ) -> Self {
        Self {
            pool: Arc::clone(pool),
            token,
            number,
            lease,
            sent: false,
        }
    }

    /// The request is about to be sent, whatever becomes of it.
    pub fn sent(&mut self) {
        self.sent = true;
    }

    /// It turned out that not a byte of the request was sent.
    pub fn not_sent(&mut self) {
        self.sent = false;
    }

    /// The upstream answered, and perhaps said what it allows.
    pub fn answered(&self, allowance: Option<Allowance>) {
        let mut state = self.pool.lock();
        let now = Instant::now();
        if let Some(gate) = state.gates.get_mut(&self.token) {
            gate.answered(self.number, allowance, now);
        }
        self.pool.wake(&state);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        let now = Instant::now();
        if self.sent {
            self.pool.note_sent(&mut state, now);
        }
        match (self.lease.take(), &self.pool.shared) {
            (Some(lease), Some(shared)) if self.sent => shared.hold(lease),
            (Some(lease), Some(shared)) => shared.give_back(lease),
            _ if self.sent => state.slots.hold(now),
            _ => {
                state.slots.give_back();
                state.pace.give_back();
            }
        }
        if let Some(gate) = state.gates.get_mut(&self.token) {
            gate.over();
            if !self.sent {
                gate.not_sent(self.number);
            }
        }
        self.pool.wake(&state);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Permit")
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}
