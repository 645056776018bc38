//! The budget: how many requests may go to the upstream, and when.
//!
//! `slots.rs` keeps the promise, and reserves two slots for read-backs. `pacer.rs` spreads requests over
//! the minute. `upstream_limit.rs` honours the rate limit headers of each token. `limiter.rs` joins them
//! and queues waiting requests; `dispatcher.rs` is the one place that grants permits: read-backs first,
//! else first come first served. `history.rs` records what was sent, for the operator. `redis/` shares a
//! budget among processes.

mod dispatcher;
mod history;
mod limiter;
mod pacer;
mod permit;
pub mod redis;
mod slots;
mod upstream_limit;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use self::{history::History, limiter::Limiter, redis::SharedLimiter};
pub use self::{history::STEP, permit::Permit, slots::Purpose, upstream_limit::Allowance};
use crate::sync::lock;

/// A digest that identifies a token.
pub type TokenDigest = [u8; 32];

/// The rate, and the longest wait for a permit.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Requests in any 60 s, at least 1.
    pub share: u32,
    /// How many of them may go out at once, `1..=share`.
    pub burst: u32,
    /// A request that would wait longer is refused.
    pub max_wait: Duration,
}

/// The budget of what this process sends. Cloning it shares it.
#[derive(Clone, Debug)]
pub struct Budget {
    config: Config,
    /// The limit that several processes share, of which each token has a sibling.
    shared: Option<SharedLimiter>,
    history: Arc<Mutex<History>>,
    limiters: Limiters,
}

/// A snapshot of a budget.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Requests that may arrive in any 60 s: this process's, or with Redis those of all.
    pub limit: u32,
    /// Slots in use: of requests in flight, and of those that ended in the last 61 s. Of several budgets,
    /// those of the fullest.
    pub in_use: usize,
    /// The most requests of one budget that were sent in any 60 s since the start.
    pub worst_window: u32,
    /// How many requests were sent in the minute before each [`STEP`] of the last ten minutes, the
    /// latest last.
    pub history: Vec<u32>,
    /// The least that the upstream said is left for a token, less what was sent since, until its reset.
    pub remaining: Option<u64>,
    /// How it stands to Redis, where several processes share it.
    pub redis: Option<redis::Mode>,
}

#[derive(Clone, Debug)]
enum Limiters {
    /// One for everything.
    One(Arc<Limiter>),
    /// One for each token that has a use for it: something waits, is in flight or holds a slot.
    PerToken(Arc<Mutex<HashMap<TokenDigest, Arc<Limiter>>>>),
}

/// The request would go out too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The earliest time from now at which, without further requests, one would be admitted.
    pub retry_after: Duration,
    /// What holds it back.
    pub by: RefusedBy,
}

/// What a refused request would have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedBy {
    /// Slots or pace: the budget is used up.
    Budget,
    /// The upstream's own limit.
    Upstream,
    /// Redis, or the state of the shared budget in it, is lost.
    Redis,
}

impl Budget {
    /// One budget for everything.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut budget = Self::per_token(config);
        budget.limiters = Limiters::One(budget.new_limiter(None));
        budget
    }

    /// A budget of its own for each token.
    #[must_use]
    pub fn per_token(config: Config) -> Self {
        Self {
            config,
            shared: None,
            history: Arc::new(Mutex::new(History::new(Instant::now()))),
            limiters: Limiters::PerToken(Arc::default()),
        }
    }

    /// The same, unused as yet, with a limit that several processes share. Of the config then only
    /// `max_wait` counts, and `share` as the pace at which waits are foretold.
    #[must_use]
    pub fn with_shared_limiter(mut self, shared: SharedLimiter) -> Self {
        if let Limiters::One(_) = self.limiters {
            self.limiters = Limiters::One(self.new_limiter(Some(shared.clone())));
        }
        self.shared = Some(shared);
        self
    }

    /// Keeps in touch with Redis from now on where the limit is shared.
    pub fn start_heartbeat(&self) {
        if let Some(shared) = &self.shared {
            shared.start_heartbeat();
        }
    }

    /// Acquires a permit for a call. Dropping the future cancels the wait at no cost.
    ///
    /// # Errors
    /// [`Refused`], at once, if the wait is expected to be longer than the config allow.
    pub async fn acquire(&self, token: TokenDigest) -> Result<Permit, Refused> {
        let max_wait = self.config.max_wait;
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
        self.limiter(token).acquire(token, purpose, max_wait).await
    }

    /// How many budgets there are: one, or as many as tokens have a use for theirs.
    #[must_use]
    pub fn count(&self) -> usize {
        match &self.limiters {
            Limiters::One(_) => 1,
            Limiters::PerToken(limiters) => lock(limiters).len(),
        }
    }

    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        let limiters: Vec<_> = match &self.limiters {
            Limiters::One(limiter) => vec![Arc::clone(limiter)],
            Limiters::PerToken(limiters) => lock(limiters).values().cloned().collect(),
        };
        let modes = limiters
            .iter()
            .filter_map(|limiter| limiter.shared.as_ref());
        let mode = modes.map(SharedLimiter::mode).max();
        let mut history = lock(&self.history);
        Snapshot {
            limit: self
                .shared
                .as_ref()
                .map_or(self.config.share, SharedLimiter::limit),
            in_use: limiters
                .iter()
                .map(|limiter| limiter.in_use(now))
                .max()
                .unwrap_or(0),
            worst_window: history.worst(),
            history: history.points(now),
            remaining: limiters
                .iter()
                .filter_map(|limiter| limiter.remaining(now))
                .min(),
            redis: mode.or(self.shared.as_ref().map(SharedLimiter::mode)),
        }
    }

    /// Keeps these tokens. Forgets the upstream limits of others once they are not in use.
    pub fn retain(&self, tokens: impl Iterator<Item = TokenDigest>) {
        let tokens: HashSet<_> = tokens.collect();
        if let Limiters::One(limiter) = &self.limiters {
            limiter.retain(&tokens);
        }
    }

    fn new_limiter(&self, shared: Option<SharedLimiter>) -> Arc<Limiter> {
        Arc::new(Limiter::new(self.config, shared, Arc::clone(&self.history)))
    }

    fn limiter(&self, token: TokenDigest) -> Arc<Limiter> {
        match &self.limiters {
            Limiters::One(limiter) => Arc::clone(limiter),
            Limiters::PerToken(limiters) => {
                let mut limiters = lock(limiters);
                if !limiters.contains_key(&token) {
                    // Seldom enough to look at all of them: tokens are few.
                    limiters
                        .retain(|_, limiter| Arc::strong_count(limiter) > 1 || !limiter.is_idle());
                }
                let limiter = limiters.entry(token).or_insert_with(|| {
                    let sibling = |shared: &SharedLimiter| shared.sibling(&hexadecimal(&token));
                    let shared = self.shared.as_ref().map(sibling);
                    self.new_limiter(shared)
                });
                Arc::clone(limiter)
            }
        }
    }
}

fn hexadecimal(token: &TokenDigest) -> String {
    token.iter().map(|byte| format!("{byte:02x}")).collect()
}
