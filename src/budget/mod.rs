//! The budget: how many requests may go to the upstream, and when.
//!
//! `slots.rs` keeps the promise and reserves two slots for read-backs. `pacer.rs` spreads requests over the
//! minute. `upstream_limit.rs` honours the rate limit headers of each token. `state.rs` joins them, and a
//! `permit.rs` is the right to send one request. `dispatcher.rs` is the one place that grants permits:
//! read-backs first, then calls, each first come first served (`waiters.rs`). `history.rs` records what
//! was sent, for the operator. `redis/` shares a budget among processes.

mod digest_map;
mod dispatcher;
mod history;
mod limiter;
mod pacer;
mod permit;
mod quota;
pub mod redis;
mod refused;
mod slots;
mod state;
mod upstream_limit;
mod upstream_window;
mod waiters;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;

use self::{
    digest_map::DigestMap, dispatcher::Dispatcher, history::History, limiter::Limiter,
    redis::SharedLimiter,
};
pub use self::{
    history::Points,
    permit::Permit,
    quota::Quota,
    refused::{Refused, RefusedBy},
    slots::Purpose,
    upstream_limit::TokenDigest,
    upstream_window::Allowance,
};
use crate::sync::lock;

/// The budget of this process's requests. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    quota: Quota,
    /// The limiter in Redis; with a budget per token, the template of the tokens' limiters.
    shared: Option<SharedLimiter>,
    history: Arc<Mutex<History>>,
    dispatchers: Dispatchers,
}

/// A snapshot of a budget, as `/status` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// `gateway` or `token`.
    pub scope: &'static str,
    /// Requests that may arrive in any 60 s: this process's, or with Redis those of all.
    pub limit: u32,
    /// Slots in use: of requests in flight, and of those that ended in the last 61 s. Of several budgets,
    /// those of the fullest.
    pub in_use: usize,
    /// The most requests of one budget that were sent in any 60 s since the start.
    pub worst_window: u32,
    /// Calls that wait to be sent.
    pub waiting: usize,
    /// The least that the upstream said is left for a token, less what was sent since, until its reset.
    #[serde(rename = "remaining_at_ryze")]
    pub remaining: Option<u64>,
    /// The mode of the limiter in Redis; of several, the most restricted.
    pub redis: Option<redis::Mode>,
    pub history: Points,
}

#[derive(Clone, Debug)]
enum Dispatchers {
    /// One for everything.
    One(Arc<Dispatcher>),
    /// One for each token with a request that waits or is in flight, or with a slot in use.
    PerToken(Arc<Mutex<DigestMap<Arc<Dispatcher>>>>),
}

impl Budget {
    /// One budget for everything.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        let mut budget = Self::per_token(quota);
        budget.dispatchers = Dispatchers::One(budget.new_dispatcher(None));
        budget
    }

    /// A budget of its own for each token.
    #[must_use]
    pub fn per_token(quota: Quota) -> Self {
        Self {
            quota,
            shared: None,
            history: Arc::new(Mutex::new(History::new(Instant::now()))),
            dispatchers: Dispatchers::PerToken(Arc::default()),
        }
    }

    /// Shares the limit with other processes. Call before the first use. Of the quota only `max_wait` is
    /// used then, and `share` for forecasts of waits.
    #[must_use]
    pub fn with_shared_limiter(mut self, shared: SharedLimiter) -> Self {
        if let Dispatchers::One(_) = self.dispatchers {
            let dispatcher = self.new_dispatcher(Some(shared.clone()));
            self.dispatchers = Dispatchers::One(dispatcher);
        }
        self.shared = Some(shared);
        self
    }

    /// Starts to send heartbeats to Redis, if the limit is shared.
    pub fn start_heartbeat(&self) {
        if let Some(shared) = &self.shared {
            shared.start_heartbeat();
        }
    }

    /// Asks Redis once, if the limit is shared.
    ///
    /// # Errors
    /// Why Redis does not answer.
    pub async fn probe_redis(&self) -> Option<Result<(), redis::Reason>> {
        Some(self.shared.as_ref()?.probe().await)
    }

    /// Acquires a permit for a call. Dropping the future cancels the wait at no cost.
    ///
    /// # Errors
    /// [`Refused`], at once, if the wait is expected to be longer than the quota's `max_wait`.
    pub async fn acquire(&self, token: TokenDigest) -> Result<Permit, Refused> {
        let max_wait = self.quota.max_wait;
        self.acquire_within(token, Purpose::Call, max_wait).await
    }

    /// As [`acquire`](Self::acquire), with another purpose or longest wait.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_within(
        &self,
        token: TokenDigest,
        purpose: Purpose,
        max_wait: Duration,
    ) -> Result<Permit, Refused> {
        let dispatcher = self.dispatcher(token);
        dispatcher.acquire(token, purpose, max_wait).await
    }

    /// How many budgets there are: one, or one for each token that uses its own.
    #[must_use]
    pub fn count(&self) -> usize {
        match &self.dispatchers {
            Dispatchers::One(_) => 1,
            Dispatchers::PerToken(dispatchers) => lock(dispatchers).len(),
        }
    }

    /// A snapshot, with the number of calls in the queues.
    #[must_use]
    pub fn snapshot(&self, waiting: usize) -> Snapshot {
        let now = Instant::now();
        let (scope, limiters) = match &self.dispatchers {
            Dispatchers::One(dispatcher) => ("gateway", vec![Arc::clone(dispatcher.limiter())]),
            Dispatchers::PerToken(dispatchers) => {
                let dispatchers = lock(dispatchers);
                let limiters = dispatchers.values().map(|it| Arc::clone(it.limiter()));
                ("token", limiters.collect())
            }
        };
        let modes = limiters.iter().filter_map(|it| it.shared.as_ref());
        let mode = modes.map(SharedLimiter::mode).max();
        let remaining = limiters.iter().filter_map(|it| it.lock().remaining(now));
        let mut history = lock(&self.history);
        Snapshot {
            scope,
            limit: self
                .shared
                .as_ref()
                .map_or(self.quota.share, SharedLimiter::limit),
            in_use: limiters.iter().map(|it| it.in_use(now)).max().unwrap_or(0),
            worst_window: history.worst_window(),
            waiting,
            remaining: remaining.min(),
            redis: mode.or_else(|| self.shared.as_ref().map(SharedLimiter::mode)),
            history: history.points(now),
        }
    }

    /// Forgets the upstream limits of other tokens than these once they are not in use.
    pub fn retain(&self, tokens: impl Iterator<Item = TokenDigest>) {
        let tokens: HashSet<_> = tokens.collect();
        if let Dispatchers::One(dispatcher) = &self.dispatchers {
            dispatcher.retain(&tokens);
        }
    }

    fn new_dispatcher(&self, shared: Option<SharedLimiter>) -> Arc<Dispatcher> {
        let limiter = Limiter::new(self.quota, shared, Arc::clone(&self.history));
        Arc::new(Dispatcher::new(limiter))
    }

    fn dispatcher(&self, token: TokenDigest) -> Arc<Dispatcher> {
        match &self.dispatchers {
            Dispatchers::One(dispatcher) => Arc::clone(dispatcher),
            Dispatchers::PerToken(dispatchers) => {
                let mut dispatchers = lock(dispatchers);
                if !dispatchers.contains_key(&token) {
                    // A new token is rare, and tokens are few.
                    dispatchers.retain(|_, it| Arc::strong_count(it) > 1 || !it.is_idle());
                }
                let dispatcher = dispatchers.entry(token).or_insert_with(|| {
                    let bucket = hexadecimal(&token);
                    let shared = self.shared.as_ref().map(|it| it.sibling(&bucket));
                    self.new_dispatcher(shared)
                });
                Arc::clone(dispatcher)
            }
        }
    }
}

fn hexadecimal(token: &TokenDigest) -> String {
    token.iter().map(|byte| format!("{byte:02x}")).collect()
}
