//! Grants permits to those who wait, the first first, passing over those whom their token's gate
//! holds back. It runs in a task while somebody waits, and is the only place that grants to them.

use std::{
    mem,
    sync::{Arc, MutexGuard},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{
    Permit, Purpose, Refused, RefusedBy,
    limiter::{Pool, State, Waiter},
    redis::{Lease, Shared, Taken},
};

/// How often is looked whether a Redis that was lost is back.
const LOOK: Duration = Duration::from_secs(1);

/// Grants until nobody waits.
pub(super) async fn until_nobody_waits(pool: Arc<Pool>) {
    loop {
        let changed = pool.changed.notified();
        let next = match &pool.shared {
            None => grant_due(&pool),
            Some(shared) => grant_shared(&pool, shared).await,
        };
        match next {
            Next::Nobody => return,
            Next::At(time) => tokio::select! {
                () = sleep_until(time) => (),
                () = changed => (),
            },
            Next::Unknown => changed.await,
        }
    }
}

/// When something may be granted again.
enum Next {
    /// Nobody waits any more.
    Nobody,
    At(Instant),
    /// When a request that is in flight is over, or a gate learns something.
    Unknown,
}

/// Grants what can be granted now.
fn grant_due(pool: &Arc<Pool>) -> Next {
    loop {
        let mut state = pool.lock();
        let now = Instant::now();
        let place = match pool.first_not_held_back(&mut state, now) {
            Ok(place) => place,
            Err(next) => return next,
        };
        let Waiter { token, purpose, .. } = state.waiting[place];
        // What holds this one back now holds back everybody behind it.
        match pool.try_take(&mut state, token, purpose, now) {
            Ok(number) => grant(pool, state, place, number, None),
            Err(next) => return next.map_or(Next::Unknown, Next::At),
        }
    }
}

/// Asks for one slot of the limit that processes share, and grants it.
async fn grant_shared(pool: &Arc<Pool>, shared: &Shared) -> Next {
    let asked_for = {
        let mut state = pool.lock();
        match pool.first_not_held_back(&mut state, Instant::now()) {
            Ok(place) => state.waiting[place].purpose,
            Err(next) => return next,
        }
    };
    match shared.take(asked_for).await {
        Taken::Lease(lease) => {
            let mut state = pool.lock();
            let now = Instant::now();
            match pool.first_not_held_back(&mut state, now) {
                // The slot may be one that is kept for a read-back that has left.
                Ok(place) if state.waiting[place].purpose < asked_for => shared.give_back(lease),
                Ok(place) => {
                    let token = state.waiting[place].token;
                    let number = state.gate(token, now).let_out(now);
                    grant(pool, state, place, number, Some(lease));
                }
                Err(next) => {
                    shared.give_back(lease);
                    return next;
                }
            }
            // There may be more at once.
            Next::At(now)
        }
        Taken::NotBefore(time) => {
            pool.lock().not_before = time;
            pool.refuse_beyond(time, asked_for, RefusedBy::Budget);
            Next::At(time)
        }
        Taken::Unavailable { until } => {
            pool.refuse_beyond(until, asked_for, RefusedBy::Redis);
            // Redis may be back before.
            Next::At(until.min(Instant::now() + LOOK))
        }
    }
}

/// Grants to who waits at this place. A permit that its waiter did not live to take goes back when
/// it is dropped, which needs the lock.
fn grant(
    pool: &Arc<Pool>,
    mut state: MutexGuard<'_, State>,
    place: usize,
    number: u64,
    lease: Option<Lease>,
) {
    let waiter = state.waiting.remove(place);
    drop(state);
    if let Some(waiter) = waiter {
        let permit = Permit::new(pool, waiter.token, number, lease);
        drop(waiter.grant.send(Ok(permit)));
    }
}

impl Pool {
    /// The place of the first who waits and is not held back by its gate. With nobody waiting any
    /// more the granting task ends.
    fn first_not_held_back(&self, state: &mut State, now: Instant) -> Result<usize, Next> {
        state.waiting.retain(|waiter| !waiter.grant.is_closed());
        state.granting = !state.waiting.is_empty();
        let mut next = Next::Nobody;
        for place in 0..state.waiting.len() {
            let token = state.waiting[place].token;
            let opening = state.gate(token, now).opens(now, self.interval());
            if opening <= now {
                return Ok(place);
            }
            next = match next {
                Next::At(sooner) => Next::At(sooner.min(opening)),
                _ => Next::At(opening),
            };
        }
        Err(next)
    }

    /// Nothing is granted before `time` to who waits for this purpose: refuses whoever of them would
    /// wait too long.
    fn refuse_beyond(&self, time: Instant, purpose: Purpose, by: RefusedBy) {
        let mut state = self.lock();
        let now = Instant::now();
        let mut grant = time;
        for waiter in mem::take(&mut state.waiting) {
            let is_meant = waiter.purpose <= purpose;
            if !is_meant || grant <= waiter.since + waiter.max_wait {
                grant += self.interval();
                state.waiting.push_back(waiter);
                continue;
            }
            let wait = grant.saturating_duration_since(now);
            let refused = Refused {
                retry_after: wait.saturating_sub(waiter.max_wait),
                by,
            };
            drop(waiter.grant.send(Err(refused)));
        }
    }
}
