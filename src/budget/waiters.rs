//! The queue of requests that wait for a permit: read-backs, then calls, each first come first served. It
//! forecasts waits and refuses requests whose wait became too long. Pure: the time is an argument.

use std::{
    collections::{HashSet, VecDeque},
    mem,
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    permit::Permit,
    refused::{Refused, RefusedBy},
    slots::{Purpose, RELEASE_DELAY},
    state::State,
    upstream_limit::TokenDigest,
};

/// Bounded by `max_wait`: a request that would wait longer is refused.
#[derive(Debug)]
pub(super) struct Waiters {
    waiting: VecDeque<Waiter>,
    /// Whether the dispatcher runs: exactly while requests wait.
    pub(super) is_dispatching: bool,
    /// Before this a shared limiter grants nothing to a call.
    pub(super) not_before: Instant,
}

/// A request for a permit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) token: TokenDigest,
    pub(super) purpose: Purpose,
    pub(super) since: Instant,
    pub(super) max_wait: Duration,
}

#[derive(Debug)]
struct Waiter {
    request: Request,
    grant: oneshot::Sender<Result<Permit, Refused>>,
}

impl Waiters {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            is_dispatching: false,
            not_before: now,
        }
    }

    /// Appends a request. The receiver gets its permit or refusal.
    pub(super) fn push(&mut self, request: Request) -> oneshot::Receiver<Result<Permit, Refused>> {
        let (grant, granted) = oneshot::channel();
        let place = self.ahead(request.purpose);
        self.waiting.insert(place, Waiter { request, grant });
        granted
    }

    /// Removes the request at this place, which exists.
    pub(super) fn remove(
        &mut self,
        place: usize,
    ) -> Option<oneshot::Sender<Result<Permit, Refused>>> {
        self.waiting.remove(place).map(|waiter| waiter.grant)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Removes the requests whose future was dropped.
    pub(super) fn remove_cancelled(&mut self) {
        self.waiting.retain(|waiter| !waiter.grant.is_closed());
    }

    pub(super) fn tokens(&self) -> HashSet<TokenDigest> {
        self.waiting
            .iter()
            .map(|waiter| waiter.request.token)
            .collect()
    }

    /// How many waiting requests go before one of this purpose.
    pub(super) fn ahead(&self, purpose: Purpose) -> usize {
        match purpose {
            Purpose::Call => self.waiting.len(),
            Purpose::ReadBack => self
                .waiting
                .partition_point(|waiter| waiter.request.purpose == Purpose::ReadBack),
        }
    }

    /// The first request that no upstream limit holds back, with its place.
    ///
    /// # Errors
    /// When the first one is permitted; `None` if no request waits.
    pub(super) fn first_eligible(
        &self,
        state: &mut State,
        now: Instant,
    ) -> Result<(usize, Request), Option<Instant>> {
        let mut next: Option<Instant> = None;
        for (place, Waiter { request, .. }) in self.waiting.iter().enumerate() {
            let permitted_at = state.permitted_at(request.token, now);
            if permitted_at <= now {
                return Ok((place, *request));
            }
            next = Some(next.map_or(permitted_at, |next| next.min(permitted_at)));
        }
        Err(next)
    }

    /// When one more would be granted at the earliest, behind all waiting requests that no upstream limit
    /// holds back.
    pub(super) fn expected_grant(
        &self,
        state: &State,
        Request {
            token,
            purpose,
            since: now,
            ..
        }: Request,
    ) -> Instant {
        let mut pacer = state.pacer.forecast();
        let is_eligible = |waiter: &&Waiter| {
            let theirs = waiter.request.token;
            theirs == token || self.expected_permission(state, now, theirs, Purpose::Call) <= now
        };
        let ahead = self.waiting.iter().take(self.ahead(purpose));
        let purposes = ahead
            .filter(is_eligible)
            .map(|waiter| waiter.request.purpose);
        let mut grants = Vec::new();
        let mut grant = now;
        for (granted, purpose) in purposes.chain([purpose]).enumerate() {
            let release = match state.slots.expected_release(now, granted, purpose) {
                Ok(release) => release,
                // Slots that are granted first are released and taken a second time.
                Err(index) => grants
                    .get(index)
                    .map_or(grant, |first| *first + RELEASE_DELAY),
            };
            grant = pacer.next(release.max(grant));
            grants.push(grant);
        }
        grant
    }

    /// When a shared limiter may grant one more behind all waiting requests: from [`Self::not_before`] on,
    /// one every interval. A read-back does not wait for that time.
    pub(super) fn expected_shared_grant(
        &self,
        now: Instant,
        interval: Duration,
        purpose: Purpose,
    ) -> Instant {
        if self.not_before <= now || purpose == Purpose::ReadBack {
            return now;
        }
        let ahead = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        self.not_before + interval.saturating_mul(ahead)
    }

    /// When the token's upstream limit permits one more, behind its waiting requests that go before.
    pub(super) fn expected_permission(
        &self,
        state: &State,
        now: Instant,
        token: TokenDigest,
        purpose: Purpose,
    ) -> Instant {
        let ahead = self.waiting.iter().take(self.ahead(purpose));
        let ahead = ahead.filter(|waiter| waiter.request.token == token).count();
        state.expected_at(token, ahead, now)
    }

    /// Nothing is granted for this purpose before `time`, and then one every interval: refuses the requests
    /// that would wait too long.
    pub(super) fn refuse_beyond(
        &mut self,
        time: Instant,
        interval: Duration,
        purpose: Purpose,
        by: RefusedBy,
        now: Instant,
    ) {
        let mut grant = time;
        for waiter in mem::take(&mut self.waiting) {
            let request = waiter.request;
            let is_affected = request.purpose <= purpose;
            if !is_affected || grant <= request.since + request.max_wait {
                grant += interval;
                self.waiting.push_back(waiter);
                continue;
            }
            let wait = grant.saturating_duration_since(now);
            let refused = Refused {
                retry_after: wait.saturating_sub(request.max_wait),
                by,
            };
            drop(waiter.grant.send(Err(refused)));
        }
    }
}
