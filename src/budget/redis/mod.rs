//! A limit that several processes share exactly, in Redis, with a static share for each while Redis
//! is away.
//!
//! Why it is exact: a process sends only while Redis has every slot of its last 61 s, or after 61 s
//! in which it sent nothing. So it is silent for 61 s when it loses Redis, then keeps to its static
//! share, in which what was in flight counts too; when Redis is back it puts all its slots in, is
//! silent until what others sent unrecorded has run out, and shares again. Whoever knew another
//! state of Redis than is there, or finds that Redis restarted, closes it for 61 s, so that a
//! process that has just started does not take it for unused. A process that has no slot has nothing
//! to lose: it connects anew without more ado, and leaves those who have the first few seconds of
//! a Redis that restarted.
//!
//! Losing Redis and coming back belongs in `outage.rs`, the connection and the script in `client.rs`
//! and `script.lua`, and who waits for a slot in `budget`.

mod client;
mod outage;
mod terms;

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex},
};

use rustls::RootCertStore;
use tokio::time::Instant;

use self::{
    client::{Action, Answer, Link, Store},
    outage::{GONE, within_patience},
};
use super::{pace::Pace, slots::Purpose};

pub use self::terms::Terms;

/// A limit that several processes share. Cloning it shares it within this one.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

/// One slot. It stays taken until it is handed back to [`Shared`].
#[must_use = "a slot that is not handed back stays taken"]
#[derive(Debug)]
pub struct Lease {
    id: u64,
    is_of_static_share: bool,
}

/// What a process that asks for a slot gets.
#[derive(Debug)]
pub enum Taken {
    /// A slot: it may send.
    Lease(Lease),
    /// Nothing before this time; sooner only if one of its own leases is handed back.
    NotBefore(Instant),
    /// Redis is lost, and nothing may be sent until this time at least.
    Unavailable {
        /// When to ask again.
        until: Instant,
    },
}

/// How a process stands to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It shares the limit exactly.
    Shared,
    /// It keeps to its static share.
    Alone,
    /// It lost Redis or has it back, and sends nothing.
    Silent,
}

/// There is no way to Redis. It says nothing of the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum SharedError {
    /// It has to be one of `redis` or `rediss` with a host.
    #[error("the URL of Redis cannot be used")]
    Url,
    /// The protocol versions are not usable.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Shared")
            .field(&self.standing())
            .finish()
    }
}

struct Inner {
    store: Store,
    terms: Terms,
    state: Mutex<State>,
}

struct State {
    /// None before the first request, and while Redis is away.
    link: Option<Arc<Link>>,
    /// The state of Redis in which this process last took part, 0 before the first.
    since: i64,
    is_away: bool,
    silent_until: Instant,
    /// The slots of this process whatever they count against, never more than `limit`.
    in_flight: HashSet<u64>,
    /// When they are free again, the earliest first.
    held: VecDeque<(u64, Instant)>,
    taken_so_far: u64,
    /// The pace of the static share.
    pace: Pace,
}

impl Shared {
    /// The limit of the budget `bucket`, in the Redis at `url`, where the certificates in `roots`
    /// are trusted. Opens no connection yet.
    ///
    /// # Errors
    /// [`SharedError`].
    pub fn new(
        url: &str,
        bucket: &str,
        terms: Terms,
        roots: RootCertStore,
    ) -> Result<Self, SharedError> {
        let store = Store::new(url, bucket, terms, roots)?;
        Ok(Self::of(store, terms))
    }

    /// Another limit on the same terms in the same Redis.
    #[must_use]
    pub fn sibling(&self, bucket: &str) -> Self {
        Self::of(self.0.store.sibling(bucket), self.0.terms)
    }

    fn of(store: Store, terms: Terms) -> Self {
        let now = Instant::now();
        let state = State {
            link: None,
            since: 0,
            is_away: false,
            silent_until: now,
            in_flight: HashSet::new(),
            held: VecDeque::new(),
            taken_so_far: 0,
            pace: Pace::new(terms.alone, terms.burst.min(terms.alone)),
        };
        Self(Arc::new(Inner {
            store,
            terms,
            state: Mutex::new(state),
        }))
    }

    /// Whether nothing would be lost with it: no slot is in flight or held.
    pub(super) fn is_idle(&self) -> bool {
        self.in_use() == 0
    }

    /// How many slots this process has.
    pub(super) fn in_use(&self) -> usize {
        let mut state = self.0.lock();
        state.release(Instant::now());
        state.in_flight.len() + state.held.len()
    }

    /// Requests of all processes in any 60 s.
    pub(super) fn limit(&self) -> u32 {
        self.0.terms.limit
    }

    /// Asks for a slot and a turn of the pace: one round trip of at most a second. Dropping the
    /// future may leave a slot taken until its lease runs out.
    pub async fn take(&self, purpose: Purpose) -> Taken {
        let inner = &self.0;
        let (id, known, link) = {
            let mut state = inner.lock();
            let now = Instant::now();
            if now < state.silent_until {
                return state.unavailable();
            }
            state.release(now);
            if state.is_away {
                return state.take_alone(now, &inner.terms, purpose);
            }
            (state.next_id(), state.known(), state.link.clone())
        };
        let is_new = link.is_none();
        let asked = async {
            let link = match link {
                Some(link) => link,
                None => inner.connect().await?,
            };
            let slot = [(id, inner.terms.lease())];
            let answer = inner
                .store
                .ask(&link, Action::Take(purpose), known, &slot)
                .await?;
            Ok((link, answer))
        };
        let asked = within_patience(asked).await;
        let mut state = inner.lock();
        let now = Instant::now();
        // It was lost meanwhile; what was taken runs out.
        if state.is_away || now < state.silent_until {
            return state.unavailable();
        }
        let reason = match asked {
            Ok((link, Answer::Done { since })) => {
                state.link = Some(link);
                state.since = since;
                state.in_flight.insert(id);
                return Taken::Lease(Lease {
                    id,
                    is_of_static_share: false,
                });
            }
            Ok((link, Answer::Wait(wait))) => {
                state.link = Some(link);
                return Taken::NotBefore(now + wait);
            }
            Ok((_, Answer::Lost)) => GONE.to_owned(),
            Err(reason) => reason,
        };
        state.link = None;
        if !is_new && !state.has_slots() {
            return Taken::NotBefore(now);
        }
        inner.lose(&mut state, &reason);
        state.unavailable()
    }

    /// Nothing was sent: the slot is free at once, and so is the turn of the pace.
    pub fn give_back(&self, lease: Lease) {
        let mut state = self.0.lock();
        state.in_flight.remove(&lease.id);
        if lease.is_of_static_share {
            state.pace.give_back();
        }
        self.0.tell(&state, Action::GiveBack, lease.id);
    }

    /// The request is over now: the slot is free 61 s later.
    pub fn hold(&self, lease: Lease) {
        let mut state = self.0.lock();
        state.in_flight.remove(&lease.id);
        let release = Instant::now() + self.0.terms.hold;
        state.held.push_back((lease.id, release));
        self.0.tell(&state, Action::Hold, lease.id);
    }

    /// How this process stands to Redis.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let state = self.0.lock();
        if Instant::now() < state.silent_until {
            Standing::Silent
        } else if state.is_away {
            Standing::Alone
        } else {
            Standing::Shared
        }
    }
}
