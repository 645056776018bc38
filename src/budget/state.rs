//! What a limiter counts: slots, the pacer, and the upstream limit of each token. The time is an argument,
//! except that the pacer reads tokio's clock.

use std::{collections::HashSet, time::Duration};

use tokio::time::Instant;

use super::{
    digest_map::DigestMap,
    history::Window,
    pacer::Pacer,
    quota::Quota,
    slots::{Purpose, Slots, WINDOW},
    upstream_limit::{TokenDigest, UpstreamLimit},
};

#[derive(Debug)]
pub(super) struct State {
    pub(super) slots: Slots,
    pub(super) pacer: Pacer,
    pub(super) upstream_limits: DigestMap<UpstreamLimit>,
    /// The time between requests that go out evenly spread.
    pub(super) interval: Duration,
    /// The requests of the last 60 s.
    pub(super) window: Window,
}

impl State {
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            slots: Slots::new(quota.share),
            pacer: Pacer::new(quota.share, quota.burst),
            upstream_limits: DigestMap::default(),
            interval: WINDOW / quota.share.max(1),
            window: Window::default(),
        }
    }

    /// Takes a slot, a turn of the pacer and a number of the token's upstream limit.
    ///
    /// # Errors
    /// When to ask again; `None` if that depends on a request in flight.
    pub(super) fn try_acquire(
        &mut self,
        token: TokenDigest,
        purpose: Purpose,
        now: Instant,
    ) -> Result<u64, Option<Instant>> {
        let interval = self.interval;
        let limit = self.upstream_limits.entry(token);
        let limit = limit.or_insert_with(|| UpstreamLimit::new(now));
        let permitted_at = limit.permits_at(now, interval);
        if permitted_at > now {
            return Err(Some(permitted_at));
        }
        if !self.slots.is_free(now, purpose) {
            return Err(self.slots.next_release(purpose));
        }
        self.pacer.check(now).map_err(Some)?;
        self.slots.take();
        Ok(limit.record_permit(now))
    }

    /// When the token's upstream limit permits the next request.
    pub(super) fn permitted_at(&mut self, token: TokenDigest, now: Instant) -> Instant {
        let interval = self.interval;
        self.upstream_limit(token, now).permits_at(now, interval)
    }

    /// Counts a permit against the token's upstream limit, and returns its number there.
    pub(super) fn record_permit(&mut self, token: TokenDigest, now: Instant) -> u64 {
        self.upstream_limit(token, now).record_permit(now)
    }

    /// When the token's upstream limit is known to permit one more after `ahead` other requests.
    pub(super) fn expected_at(&self, token: TokenDigest, ahead: usize, now: Instant) -> Instant {
        let limit = self.upstream_limits.get(&token);
        limit.map_or(now, |limit| limit.expected_at(now, ahead as u64))
    }

    /// Forgets the upstream limits of other tokens than these, except those in use.
    pub(super) fn retain(&mut self, tokens: &HashSet<TokenDigest>, now: Instant) {
        self.upstream_limits
            .retain(|token, limit| tokens.contains(token) || limit.is_in_use(now));
    }

    /// The least that the upstream still allows one of the tokens.
    pub(super) fn remaining(&self, now: Instant) -> Option<u64> {
        let limits = self.upstream_limits.values();
        limits.filter_map(|limit| limit.remaining(now)).min()
    }

    fn upstream_limit(&mut self, token: TokenDigest, now: Instant) -> &mut UpstreamLimit {
        let limit = self.upstream_limits.entry(token);
        limit.or_insert_with(|| UpstreamLimit::new(now))
    }
}
