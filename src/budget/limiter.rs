//! The limiter of one budget: slots, pacer and upstream limits together, the queue of waiting requests,
//! and the forecast of their waits. `dispatcher.rs` grants their permits.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    Config, Permit, Refused, RefusedBy, TokenDigest, dispatcher,
    history::{History, Window},
    lock,
    pacer::Pacer,
    redis::SharedLimiter,
    slots::{Purpose, RELEASE_DELAY, Slots},
    upstream_limit::UpstreamLimit,
};

/// Slots and pacer that some tokens share, the upstream limit of each token, and the waiting requests.
#[derive(Debug)]
pub(super) struct Limiter {
    config: Config,
    /// The limit in Redis, if several processes share it; it then has slots and pace.
    pub(super) shared: Option<SharedLimiter>,
    state: Mutex<State>,
    history: Arc<Mutex<History>>,
    /// Wakes the dispatcher after a change that it could not foresee.
    pub(super) changed: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) slots: Slots,
    pub(super) pacer: Pacer,
    pub(super) upstream_limits: HashMap<TokenDigest, UpstreamLimit>,
    /// Waiting requests: read-backs, then calls, each first come first served. Bounded by `max_wait`: a
    /// request that would wait longer is refused.
    pub(super) waiting: VecDeque<Waiter>,
    /// Whether the dispatcher runs: exactly while requests wait.
    pub(super) dispatching: bool,
    /// Before this a shared limit grants nothing.
    pub(super) not_before: Instant,
    /// The requests of the last 60 s.
    window: Window,
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) token: TokenDigest,
    pub(super) purpose: Purpose,
    pub(super) since: Instant,
    pub(super) max_wait: Duration,
    pub(super) grant: oneshot::Sender<Result<Permit, Refused>>,
}

impl Limiter {
    pub(super) fn new(
        config: Config,
        shared: Option<SharedLimiter>,
        history: Arc<Mutex<History>>,
    ) -> Self {
        Self {
            config,
            shared,
            state: Mutex::new(State {
                slots: Slots::new(config.share),
                pacer: Pacer::new(config.share, config.burst),
                upstream_limits: HashMap::new(),
                waiting: VecDeque::new(),
                dispatching: false,
                not_before: Instant::now(),
                window: Window::default(),
            }),
            history,
            changed: Notify::new(),
        }
    }

    /// Waits for its turn, at most for `max_wait` as far as that can be foretold.
    pub(super) async fn acquire(
        self: Arc<Self>,
        token: TokenDigest,
        purpose: Purpose,
        max_wait: Duration,
    ) -> Result<Permit, Refused> {
        let turn = {
            let mut state = self.lock();
            let now = Instant::now();
            state.waiting.retain(|waiter| !waiter.grant.is_closed());
            if self.shared.is_none()
                && state.ahead(purpose) == 0
                && let Ok(number) = self.try_take(&mut state, token, purpose, now)
            {
                return Ok(Permit::new(&self, token, number, None));
            }
            let shared = self.shared.as_ref();
            let unavailable_until = shared.and_then(|shared| shared.unavailable_until(now));
            let grant = match (shared, unavailable_until) {
                (None, _) => state.expected_grant(now, token, purpose),
                (Some(_), Some(until)) => until,
                (Some(_), None) => self.expected_shared_grant(&state, now, purpose),
            };
            let permitted_at = state.expected_upstream_limit(now, token, purpose);
            let wait = grant.max(permitted_at).saturating_duration_since(now);
            if wait > max_wait {
                return Err(Refused {
                    retry_after: wait.saturating_sub(max_wait),
                    by: if permitted_at > grant {
                        RefusedBy::Upstream
                    } else if unavailable_until.is_some() {
                        RefusedBy::Redis
                    } else {
                        RefusedBy::Budget
                    },
                });
            }
            let (grant, turn) = oneshot::channel();
            let waiter = Waiter {
                token,
                purpose,
                since: now,
                max_wait,
                grant,
            };
            let place = state.ahead(purpose);
            state.waiting.insert(place, waiter);
            if state.dispatching {
                // Those ahead may be held back by upstream_limits that do not hold back this one.
                self.changed.notify_one();
            } else {
                state.dispatching = true;
                tokio::spawn(dispatcher::run(Arc::clone(&self)));
            }
            turn
        };
        // The dispatching task ends without an answer only when the runtime itself is shut down.
        turn.await.unwrap_or(Err(Refused {
            retry_after: max_wait,
            by: RefusedBy::Budget,
        }))
    }

    /// Takes a slot, a turn of the pace and a number of the token's upstream limit, or tells when to ask
    /// again; `None` if that depends on a request that is in flight.
    pub(super) fn try_take(
        &self,
        state: &mut State,
        token: TokenDigest,
        purpose: Purpose,
        now: Instant,
    ) -> Result<u64, Option<Instant>> {
        let interval = self.interval();
        let permitted_at = state.upstream_limit(token, now).permits_at(now, interval);
        if permitted_at > now {
            return Err(Some(permitted_at));
        }
        if !state.slots.is_free(now, purpose) {
            return Err(state.slots.next_release(purpose));
        }
        state.pacer.check().map_err(Some)?;
        state.slots.take();
        Ok(state.upstream_limit(token, now).record_permit(now))
    }

    /// When a shared limit may grant one more behind all waiting requests, as far as is known: from the time
    /// that it named last, one every interval. That time is not for a read-back.
    fn expected_shared_grant(&self, state: &State, now: Instant, purpose: Purpose) -> Instant {
        if state.not_before <= now || purpose == Purpose::ReadBack {
            return now;
        }
        let ahead = u32::try_from(state.waiting.len()).unwrap_or(u32::MAX);
        state.not_before + self.interval().saturating_mul(ahead)
    }

    /// The time between requests that the share comes to.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs(60) / self.config.share.max(1)
    }

    /// Whether no request waits or is in flight, and no slot is held.
    pub(super) fn is_idle(&self) -> bool {
        let mut state = self.lock();
        let is_shared_idle = self.shared.as_ref().is_none_or(SharedLimiter::is_idle);
        is_shared_idle && state.waiting.is_empty() && state.slots.in_use(Instant::now()) == 0
    }

    /// How many slots are taken.
    pub(super) fn in_use(&self, now: Instant) -> usize {
        let own = self.lock().slots.in_use(now);
        self.shared.as_ref().map_or(own, SharedLimiter::in_use)
    }

    /// Forgets the upstream limits of other tokens than these, except those that requests wait for and those
    /// in use.
    pub(super) fn retain(&self, tokens: &HashSet<TokenDigest>) {
        let mut state = self.lock();
        let now = Instant::now();
        let waiting: HashSet<_> = state.waiting.iter().map(|waiter| waiter.token).collect();
        state.upstream_limits.retain(|token, limit| {
            let is_used = tokens.contains(token) || waiting.contains(token);
            is_used || limit.is_in_use(now)
        });
    }

    /// The least that the upstream still allows one of the tokens.
    pub(super) fn remaining(&self, now: Instant) -> Option<u64> {
        let state = self.lock();
        let upstream_limits = state.upstream_limits.values();
        upstream_limits
            .filter_map(|limit| limit.remaining(now))
            .min()
    }

    /// A request that was sent is over.
    pub(super) fn record_sent(&self, state: &mut State, now: Instant) {
        let in_window = state.window.add(now);
        lock(&self.history).add(now, in_window);
    }

    /// Wakes the dispatcher: a slot came back, or an upstream limit changed.
    pub(super) fn wake(&self, state: &State) {
        if state.dispatching {
            self.changed.notify_one();
        }
    }

    /// A panic elsewhere does not make the count wrong: every change of the state is complete
    /// before anything that could panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// The upstream limit of a token, of which nothing is known before its first request.
    pub(super) fn upstream_limit(
        &mut self,
        token: TokenDigest,
        now: Instant,
    ) -> &mut UpstreamLimit {
        self.upstream_limits
            .entry(token)
            .or_insert_with(|| UpstreamLimit::new(now))
    }

    /// How many waiting requests go before one of this purpose.
    fn ahead(&self, purpose: Purpose) -> usize {
        match purpose {
            Purpose::Call => self.waiting.len(),
            Purpose::ReadBack => self
                .waiting
                .partition_point(|waiter| waiter.purpose == Purpose::ReadBack),
        }
    }

    /// When one more would be granted at the earliest, behind all waiting requests that no upstream limit
    /// holds back.
    fn expected_grant(&self, now: Instant, token: TokenDigest, purpose: Purpose) -> Instant {
        let mut pacer = self.pacer.forecast();
        let goes_first = |waiter: &&Waiter| {
            waiter.token == token
                || self.expected_upstream_limit(now, waiter.token, Purpose::Call) <= now
        };
        let ahead = self.waiting.iter().take(self.ahead(purpose));
        let purposes = ahead.filter(goes_first).map(|waiter| waiter.purpose);
        let mut grants = Vec::new();
        let mut grant = now;
        for (granted, purpose) in purposes.chain([purpose]).enumerate() {
            let release = match self.slots.expected_release(now, granted, purpose) {
                Ok(release) => release,
                // Slots that are granted first are released and taken a second time.
                Err(number) => grants
                    .get(number)
                    .map_or(grant, |first| *first + RELEASE_DELAY),
            };
            grant = pacer.next(release.max(grant));
            grants.push(grant);
        }
        grant
    }

    /// When the token's upstream limit permits one more, behind its waiting requests that go before.
    fn expected_upstream_limit(
        &self,
        now: Instant,
        token: TokenDigest,
        purpose: Purpose,
    ) -> Instant {
        let ahead = self.waiting.iter().take(self.ahead(purpose));
        let ahead = ahead.filter(|waiter| waiter.token == token);
        let limit = self.upstream_limits.get(&token);
        limit.map_or(now, |limit| limit.expected_at(now, ahead.count() as u64))
    }
}
