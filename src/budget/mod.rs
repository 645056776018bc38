//! The budget: how many requests may go to the upstream, and when.
//!
//! `slots.rs` keeps the promise, and some of it for read-backs; `pace.rs` smooths it, `gate.rs` heeds
//! what the upstream says of a token, and `grant.rs` is the one place that grants to those who wait:
//! read-backs first, else first come first served. What is done with a permit belongs in `lane`.

mod gate;
mod grant;
mod pace;
mod permit;
mod pool;
pub mod shared;
mod slots;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use self::{gate::Allowance, permit::Permit, slots::Purpose};
use self::{pool::Pool, shared::Shared};

/// What stands for a token here, where nobody needs the token itself.
pub type TokenDigest = [u8; 32];

/// How much may go out, and how long somebody may wait for it.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Requests in any 60 s, at least 1.
    pub share: u32,
    /// How many of them may go out at once, `1..=share`.
    pub burst: u32,
    /// Whoever would wait longer is refused.
    pub max_wait: Duration,
}

/// The budget of what this process sends. Cloning it shares it.
#[derive(Clone, Debug)]
pub struct Budget {
    terms: Terms,
    /// The limit that several processes share, of which each token has a sibling.
    shared: Option<Shared>,
    pools: Pools,
}

#[derive(Clone, Debug)]
enum Pools {
    /// One for everything.
    One(Arc<Pool>),
    /// One for each token that has a use for it: something waits, is in flight or holds a slot.
    PerToken(Arc<Mutex<HashMap<TokenDigest, Arc<Pool>>>>),
}

/// The request would go out too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The earliest time from now at which, without further requests, one would be admitted.
    pub retry_after: Duration,
    /// Whether it is the upstream that holds it back, and not the budget.
    pub by_upstream: bool,
}

impl Budget {
    /// One budget for everything.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        let pools = Pools::One(Arc::new(Pool::new(terms, None)));
        Self {
            terms,
            shared: None,
            pools,
        }
    }

    /// A budget of its own for each token.
    #[must_use]
    pub fn per_token(terms: Terms) -> Self {
        let pools = Pools::PerToken(Arc::default());
        Self {
            terms,
            shared: None,
            pools,
        }
    }

    /// The same, unused as yet, with a limit that several processes share. Of the terms then only
    /// `max_wait` counts, and `share` as the pace at which waits are foretold.
    #[must_use]
    pub fn shared_through(mut self, shared: Shared) -> Self {
        if let Pools::One(pool) = &mut self.pools {
            *pool = Arc::new(Pool::new(self.terms, Some(shared.clone())));
        }
        self.shared = Some(shared);
        self
    }

    /// Waits for the turn of a call. Dropping the future leaves the queue and costs nothing.
    ///
    /// # Errors
    /// [`Refused`], at once, if the wait is expected to be longer than the terms allow.
    pub async fn permit(&self, token: TokenDigest) -> Result<Permit, Refused> {
        let max_wait = self.terms.max_wait;
        self.permit_within(token, Purpose::Call, max_wait).await
    }

    /// As [`permit`](Self::permit), for another purpose or with another longest wait.
    ///
    /// # Errors
    /// As [`permit`](Self::permit).
    pub async fn permit_within(
        &self,
        token: TokenDigest,
        purpose: Purpose,
        max_wait: Duration,
    ) -> Result<Permit, Refused> {
        self.pool(token).permit(token, purpose, max_wait).await
    }

    /// How many budgets there are: one, or as many as tokens have a use for theirs.
    #[must_use]
    pub fn count(&self) -> usize {
        match &self.pools {
            Pools::One(_) => 1,
            Pools::PerToken(pools) => pools.lock().unwrap_or_else(PoisonError::into_inner).len(),
        }
    }

    fn pool(&self, token: TokenDigest) -> Arc<Pool> {
        match &self.pools {
            Pools::One(pool) => Arc::clone(pool),
            Pools::PerToken(pools) => {
                let mut pools = pools.lock().unwrap_or_else(PoisonError::into_inner);
                if !pools.contains_key(&token) {
                    // Seldom enough to look at all of them: tokens are few.
                    pools.retain(|_, pool| Arc::strong_count(pool) > 1 || !pool.is_idle());
                }
                let pool = pools.entry(token).or_insert_with(|| {
                    let sibling = |shared: &Shared| shared.sibling(&hexadecimal(&token));
                    let shared = self.shared.as_ref().map(sibling);
                    Arc::new(Pool::new(self.terms, shared))
                });
                Arc::clone(pool)
            }
        }
    }
}

fn hexadecimal(token: &TokenDigest) -> String {
    token.iter().map(|byte| format!("{byte:02x}")).collect()
}
