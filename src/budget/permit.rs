//! The permit that a request holds while it is in flight.

use std::{fmt, sync::Arc};

use tokio::time::Instant;

use super::{Allowance, TokenDigest, limiter::Pool, redis::Lease};

/// The right to send one request. It holds a slot. Dropped unsent, it returns the slot and its turn of the
/// pacer at once; dropped after [`sent`](Self::sent), the slot is released 61 s later. So it must live until
/// the response is received or the connection is closed.
pub struct Permit {
    pool: Arc<Pool>,
    token: TokenDigest,
    /// The request's number in the token's upstream limit.
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

    /// Call before sending.
    pub fn sent(&mut self) {
        self.sent = true;
    }

    /// Call if not a byte of the request was sent.
    pub fn not_sent(&mut self) {
        self.sent = false;
    }

    /// Call with the response's rate limit headers, if it had them.
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
