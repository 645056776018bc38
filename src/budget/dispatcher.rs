//! The dispatcher: grants permits to waiting requests, first come first served, skipping those that the
//! upstream limit of their token holds back. It is a task that runs while requests wait, and the only
//! place that grants to them.

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

/// How often a lost Redis is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Grants until no request waits.
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
    /// No request waits.
    Nobody,
    At(Instant),
    /// When a request in flight ends, or an upstream limit changes.
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
        // What holds this one back holds back all behind it.
        match pool.try_take(&mut state, token, purpose, now) {
            Ok(number) => grant(pool, state, place, number, None),
            Err(next) => return next.map_or(Next::Unknown, Next::At),
        }
    }
}

/// Takes one slot of the shared limit, and grants it.
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
                // The slot may be reserved for a read-back that was cancelled.
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

/// Grants to the request at this place. If its future was dropped, the permit is returned on drop, which
/// needs the lock.
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
    /// The place of the first waiting request that no upstream limit holds back. If no request waits, the
    /// dispatcher ends.
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

    /// Nothing is granted for this purpose before `time`: refuses the requests that would wait too long.
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
