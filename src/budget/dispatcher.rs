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
    limiter::{Limiter, State, Waiter},
    redis::{Decision, Lease, SharedLimiter},
};

/// How often a lost Redis is looked for.
const OUTAGE_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Grants until no request waits.
pub(super) async fn run(limiter: Arc<Limiter>) {
    loop {
        let changed = limiter.changed.notified();
        let next = match &limiter.shared {
            None => grant_due(&limiter),
            Some(shared) => grant_shared(&limiter, shared).await,
        };
        match next {
            Next::Idle => return,
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
    Idle,
    At(Instant),
    /// When a request in flight ends, or an upstream limit changes.
    Unknown,
}

/// Grants what can be granted now.
fn grant_due(limiter: &Arc<Limiter>) -> Next {
    loop {
        let mut state = limiter.lock();
        let now = Instant::now();
        let place = match limiter.first_eligible(&mut state, now) {
            Ok(place) => place,
            Err(next) => return next,
        };
        let Waiter { token, purpose, .. } = state.waiting[place];
        // What holds this one back holds back all behind it.
        match limiter.try_take(&mut state, token, purpose, now) {
            Ok(number) => grant(limiter, state, place, number, None),
            Err(next) => return next.map_or(Next::Unknown, Next::At),
        }
    }
}

/// Takes one slot of the shared limit, and grants it.
async fn grant_shared(limiter: &Arc<Limiter>, shared: &SharedLimiter) -> Next {
    let asked_for = {
        let mut state = limiter.lock();
        match limiter.first_eligible(&mut state, Instant::now()) {
            Ok(place) => state.waiting[place].purpose,
            Err(next) => return next,
        }
    };
    match shared.acquire(asked_for).await {
        Decision::Granted(lease) => {
            let mut state = limiter.lock();
            let now = Instant::now();
            match limiter.first_eligible(&mut state, now) {
                // The slot may be reserved for a read-back that was cancelled.
                Ok(place) if state.waiting[place].purpose < asked_for => shared.release(lease),
                Ok(place) => {
                    let token = state.waiting[place].token;
                    let number = state.upstream_limit(token, now).record_permit(now);
                    grant(limiter, state, place, number, Some(lease));
                }
                Err(next) => {
                    shared.release(lease);
                    return next;
                }
            }
            // There may be more at once.
            Next::At(now)
        }
        Decision::NotBefore(time) => {
            limiter.lock().not_before = time;
            limiter.refuse_beyond(time, asked_for, RefusedBy::Budget);
            Next::At(time)
        }
        Decision::Unavailable { until } => {
            limiter.refuse_beyond(until, asked_for, RefusedBy::Redis);
            // Redis may be back before.
            Next::At(until.min(Instant::now() + OUTAGE_POLL_INTERVAL))
        }
    }
}

/// Grants to the request at this place. If its future was dropped, the permit is returned on drop, which
/// needs the lock.
fn grant(
    limiter: &Arc<Limiter>,
    mut state: MutexGuard<'_, State>,
    place: usize,
    number: u64,
    lease: Option<Lease>,
) {
    let waiter = state.waiting.remove(place);
    drop(state);
    if let Some(waiter) = waiter {
        let permit = Permit::new(limiter, waiter.token, number, lease);
        drop(waiter.grant.send(Ok(permit)));
    }
}

impl Limiter {
    /// The place of the first waiting request that no upstream limit holds back. If no request waits, the
    /// dispatcher ends.
    fn first_eligible(&self, state: &mut State, now: Instant) -> Result<usize, Next> {
        state.waiting.retain(|waiter| !waiter.grant.is_closed());
        state.dispatching = !state.waiting.is_empty();
        let mut next = Next::Idle;
        for place in 0..state.waiting.len() {
            let token = state.waiting[place].token;
            let permitted_at = state
                .upstream_limit(token, now)
                .permits_at(now, self.interval());
            if permitted_at <= now {
                return Ok(place);
            }
            next = match next {
                Next::At(sooner) => Next::At(sooner.min(permitted_at)),
                _ => Next::At(permitted_at),
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
