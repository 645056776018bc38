//! Redis is lost and comes back, and what a process does meanwhile. Asking for a slot while Redis
//! is there belongs in `mod.rs`.

use std::{
    mem,
    sync::{Arc, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use redis::{RedisError, RedisResult};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{
    super::slots::Purpose,
    Inner, Lease, State, Taken, Terms,
    client::{Action, Answer, Link, nonsense},
};

/// Redis is lost when it takes longer for one answer, connecting included.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a process that lost Redis looks for it.
const LOOK: Duration = Duration::from_secs(1);

/// Why Redis is lost, in words that hold no secret.
pub(super) type Reason = String;

/// Waits for an answer of Redis as long as is worth while.
pub(super) async fn within_patience<T>(
    answer: impl Future<Output = RedisResult<T>>,
) -> Result<T, Reason> {
    match timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|error| reason(&error)),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// The kind of an error alone, for its details may repeat what was sent to log in.
fn reason(error: &RedisError) -> Reason {
    match error.code() {
        Some(code) => format!("{}: {code}", error.category()),
        None => error.category().to_owned(),
    }
}

impl Inner {
    /// A panic elsewhere does not make the state wrong: every change of it is complete before
    /// anything that could panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn connect(self: &Arc<Self>) -> RedisResult<Arc<Link>> {
        let inner = Arc::downgrade(self);
        let link = self.store.connect(move || {
            if let Some(inner) = inner.upgrade() {
                inner.closed();
            }
        });
        link.await.map(Arc::new)
    }

    /// A connection was closed. It is no loss to a process without slots.
    fn closed(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.link.take_if(|link| !link.is_open()).is_some() {
            state.release(Instant::now());
            if state.has_slots() {
                self.lose(&mut state, "the connection was closed");
            }
        }
    }

    /// Tells Redis what became of a slot, in a task.
    pub(super) fn tell(self: &Arc<Self>, state: &State, action: Action, id: u64) {
        // While Redis is away, joining tells it.
        let Some(link) = state.link.clone() else {
            return;
        };
        let (inner, known) = (Arc::clone(self), state.since);
        tokio::spawn(async move {
            let slot = [(id, inner.terms.hold)];
            let told = within_patience(inner.store.ask(&link, action, known, &slot)).await;
            let reason = match told {
                Ok(Answer::Done { .. }) => return,
                Ok(_) => GONE,
                Err(ref reason) => reason,
            };
            let mut state = inner.lock();
            // On an older connection it does not matter: joining on the next one told as much.
            let is_current = |current: &Arc<Link>| Arc::ptr_eq(current, &link);
            if state.link.as_ref().is_some_and(is_current) {
                inner.lose(&mut state, reason);
            }
        });
    }

    /// From now on Redis is away.
    pub(super) fn lose(self: &Arc<Self>, state: &mut State, reason: &str) {
        state.link = None;
        if mem::replace(&mut state.is_away, true) {
            return;
        }
        let until = Instant::now() + self.terms.hold;
        state.silent_until = state.silent_until.max(until);
        tracing::warn!(
            reason,
            silent_seconds = self.terms.hold.as_secs(),
            static_share = self.terms.alone,
            "Redis is lost: nothing is sent for a while, then no more than the static share"
        );
        tokio::spawn(look_for_redis(Arc::downgrade(self)));
    }

    /// Joins the state in Redis with all slots of this process, and shares again from when that is
    /// exact.
    async fn come_back(self: &Arc<Self>) -> RedisResult<()> {
        let link = self.connect().await?;
        loop {
            let (known, slots, taken) = {
                let mut state = self.lock();
                let now = Instant::now();
                state.release(now);
                let slots = state.slots(now, self.terms.lease());
                (state.since, slots, state.taken_so_far)
            };
            let answer = self.store.ask(&link, Action::Join, known, &slots).await?;
            let Answer::Done { since } = answer else {
                return Err(nonsense());
            };
            let mut state = self.lock();
            state.since = since;
            // One was taken of the static share meanwhile.
            if state.taken_so_far != taken {
                continue;
            }
            let now = Instant::now();
            if now >= state.silent_until {
                state.silent_until = now + self.terms.hold + self.terms.margin;
            }
            state.is_away = false;
            state.link = Some(link);
            tracing::info!(
                silent_seconds = (state.silent_until - now).as_secs(),
                "Redis is back: nothing is sent for a while, then the limit is shared again"
            );
            return Ok(());
        }
    }
}

/// What a state is that is not the one known.
pub(super) const GONE: &str = "the state is gone";

/// Looks for Redis until it is back or nobody needs it any more.
async fn look_for_redis(inner: Weak<Inner>) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        if within_patience(inner.come_back()).await.is_ok() {
            return;
        }
    }
}

impl State {
    pub(super) fn unavailable(&self) -> Taken {
        Taken::Unavailable {
            until: self.silent_until,
        }
    }

    /// Forgets the slots that are free again.
    pub(super) fn release(&mut self, now: Instant) {
        while self
            .held
            .front()
            .is_some_and(|(_, release)| *release <= now)
        {
            self.held.pop_front();
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.taken_so_far += 1;
        self.taken_so_far
    }

    pub(super) fn has_slots(&self) -> bool {
        !self.in_flight.is_empty() || !self.held.is_empty()
    }

    /// The state in which this process has slots, 0 if it has none.
    pub(super) fn known(&self) -> i64 {
        if self.has_slots() { self.since } else { 0 }
    }

    /// The slots of this process, each with how long it will not be free.
    fn slots(&self, now: Instant, lease: Duration) -> Vec<(u64, Duration)> {
        let in_flight = self.in_flight.iter().map(|id| (*id, lease));
        let held = self.held.iter().map(|(id, release)| (*id, *release - now));
        in_flight.chain(held).collect()
    }

    /// Takes a slot of the static share, of which every slot of this process counts.
    pub(super) fn take_alone(&mut self, now: Instant, terms: &Terms, purpose: Purpose) -> Taken {
        let open = (terms.alone - purpose.leaves(terms.alone)) as usize;
        let taken = self.in_flight.len() + self.held.len();
        if taken >= open {
            let release = self.held.get(taken - open).map(|(_, release)| *release);
            return Taken::NotBefore(release.unwrap_or(now + terms.hold));
        }
        if let Err(next) = self.pace.check() {
            return Taken::NotBefore(next);
        }
        let id = self.next_id();
        self.in_flight.insert(id);
        Taken::Lease(Lease {
            id,
            is_of_static_share: true,
        })
    }
}
