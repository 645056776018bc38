//! The permit that a request holds while it is in flight.

use std::{fmt, sync::Arc};

use tokio::time::Instant;

use super::{
    limiter::Limiter, redis::Lease, upstream_limit::TokenDigest, upstream_window::Allowance,
};

/// The right to send one request. It holds a slot. Dropped unsent, it returns the slot and its turn of the
/// pacer at once; dropped after [`mark_sent`](Self::mark_sent), the slot is released 61 s later. So it must
/// live until the response is received or the connection is closed.
pub struct Permit {
    limiter: Arc<Limiter>,
    token: TokenDigest,
    /// The request's number in the token's upstream limit.
    number: u64,
    /// Its slot, where several processes share the limit.
    lease: Option<Lease>,
    sent: bool,
}

impl Permit {
    pub(super) fn new(
        limiter: &Arc<Limiter>,
        token: TokenDigest,
        number: u64,
        lease: Option<Lease>,
    ) -> Self {
        Self {
            limiter: Arc::clone(limiter),
            token,
            number,
            lease,
            sent: false,
        }
    }

    /// Call before sending.
    pub fn mark_sent(&mut self) {
        self.sent = true;
    }

    /// Call if not a byte of the request was sent.
    pub fn mark_not_sent(&mut self) {
        self.sent = false;
    }

    /// Call with the response's rate limit headers, if it had them.
    pub fn record_response(&self, allowance: Option<Allowance>) {
        let mut state = self.limiter.lock();
        let now = Instant::now();
        if let Some(limit) = state.upstream_limits.get_mut(&self.token) {
            limit.record_response(self.number, allowance, now);
        }
        self.limiter.changed.notify_waiters();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.limiter.lock();
        let now = Instant::now();
        if self.sent {
            self.limiter.record_sent(&mut state, now);
        }
        match (self.lease.take(), &self.limiter.shared) {
            (Some(lease), Some(shared)) if self.sent => shared.release_later(lease),
            (Some(lease), Some(shared)) => shared.release(lease),
            _ if self.sent => state.slots.release_later(now),
            _ => {
                state.slots.release();
                state.pacer.return_turn();
            }
        }
        if let Some(limit) = state.upstream_limits.get_mut(&self.token) {
            limit.record_end();
            if !self.sent {
                limit.record_not_sent(self.number);
            }
        }
        self.limiter.changed.notify_waiters();
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
