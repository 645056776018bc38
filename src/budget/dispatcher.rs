//! The dispatcher of one budget: queues requests and grants their permits, first come first served,
//! skipping those that the upstream limit of their token holds back. Permits of queued requests are granted
//! by a task that runs while requests wait, those of others at once; both under the lock of the queue.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{
    limiter::Limiter,
    permit::Permit,
    redis::{Decision, SharedLimiter},
    refused::{Refused, RefusedBy},
    slots::Purpose,
    upstream_limit::TokenDigest,
    waiters::{Request, Waiters},
};
use crate::sync::lock;

/// How often to look for Redis during an outage.
const OUTAGE_POLL_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Dispatcher {
    limiter: Arc<Limiter>,
    queue: Mutex<Waiters>,
}

/// When a permit may be granted again.
enum Next {
    /// No request waits.
    Idle,
    At(Instant),
    /// When a request in flight ends, or an upstream limit changes.
    Unknown,
}

impl Dispatcher {
    pub(super) fn new(limiter: Limiter) -> Self {
        Self {
            limiter: Arc::new(limiter),
            queue: Mutex::new(Waiters::new(Instant::now())),
        }
    }

    pub(super) fn limiter(&self) -> &Arc<Limiter> {
        &self.limiter
    }

    /// Acquires a permit. Waits for at most `max_wait`, as far as the wait can be forecast. Dropping the
    /// future cancels the request.
    pub(super) async fn acquire(
        self: Arc<Self>,
        token: TokenDigest,
        purpose: Purpose,
        max_wait: Duration,
    ) -> Result<Permit, Refused> {
        let granted = {
            let mut queue = self.lock();
            queue.remove_cancelled();
            let request = Request {
                token,
                purpose,
                since: Instant::now(),
                max_wait,
            };
            if self.limiter.shared.is_none() && queue.ahead(purpose) == 0 {
                let mut state = self.limiter.lock();
                if let Ok(number) = state.try_acquire(token, purpose, request.since) {
                    return Ok(Permit::new(&self.limiter, token, number, None));
                }
            }
            self.admit(&queue, request)?;
            let granted = queue.push(request);
            if queue.is_dispatching {
                // Upstream limits may hold back the requests ahead, and not this one.
                self.limiter.changed.notify_waiters();
            } else {
                queue.is_dispatching = true;
                tokio::spawn(Arc::clone(&self).run());
            }
            granted
        };
        // The task ends without a grant only when the runtime shuts down.
        granted.await.unwrap_or(Err(Refused {
            retry_after: max_wait,
            by: RefusedBy::Budget,
        }))
    }

    /// Refuses a request whose expected wait is longer than its `max_wait`.
    fn admit(&self, queue: &Waiters, request: Request) -> Result<(), Refused> {
        let now = request.since;
        let shared = self.limiter.shared.as_ref();
        let unavailable_until = shared.and_then(|shared| shared.unavailable_until(now));
        let state = self.limiter.lock();
        let grant = match (shared, unavailable_until) {
            (None, _) => queue.expected_grant(&state, request),
            (Some(_), Some(until)) => until,
            (Some(_), None) => queue.expected_shared_grant(now, state.interval, request.purpose),
        };
        let permission = queue.expected_permission(&state, now, request.token, request.purpose);
        let wait = grant.max(permission).saturating_duration_since(now);
        if wait <= request.max_wait {
            return Ok(());
        }
        Err(Refused {
            retry_after: wait.saturating_sub(request.max_wait),
            by: if permission > grant {
                RefusedBy::Upstream
            } else if unavailable_until.is_some() {
                RefusedBy::Redis
            } else {
                RefusedBy::Budget
            },
        })
    }

    /// Whether no request waits or is in flight, and no slot is in use.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().is_empty() && self.limiter.is_idle()
    }

    /// Forgets the upstream limits of other tokens than these, except those that requests wait for and those
    /// in use.
    pub(super) fn retain(&self, tokens: &HashSet<TokenDigest>) {
        let queue = self.lock();
        let tokens = tokens | &queue.tokens();
        self.limiter.lock().retain(&tokens, Instant::now());
    }

    /// Grants until no request waits.
    async fn run(self: Arc<Self>) {
        loop {
            let changed = self.limiter.changed.notified();
            let next = match &self.limiter.shared {
                None => self.grant_due(),
                Some(shared) => self.grant_shared(shared).await,
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

    /// Grants what can be granted now.
    fn grant_due(&self) -> Next {
        loop {
            let mut queue = self.lock();
            let now = Instant::now();
            let (place, request) = match self.first_eligible(&mut queue, now) {
                Ok(first) => first,
                Err(next) => return next,
            };
            let Request { token, purpose, .. } = request;
            let number = self.limiter.lock().try_acquire(token, purpose, now);
            // What holds this one back holds back all behind it.
            match number {
                Ok(number) => {
                    let permit = Permit::new(&self.limiter, token, number, None);
                    grant(queue, place, permit);
                }
                Err(next) => return next.map_or(Next::Unknown, Next::At),
            }
        }
    }

    /// Takes one slot of the shared limiter, and grants it.
    async fn grant_shared(&self, shared: &SharedLimiter) -> Next {
        let purpose = {
            let mut queue = self.lock();
            match self.first_eligible(&mut queue, Instant::now()) {
                Ok((_, request)) => request.purpose,
                Err(next) => return next,
            }
        };
        match shared.acquire(purpose).await {
            Decision::Granted(lease) => {
                let mut queue = self.lock();
                let now = Instant::now();
                match self.first_eligible(&mut queue, now) {
                    // The slot may be reserved for a read-back that was cancelled.
                    Ok((_, request)) if request.purpose < purpose => shared.release(lease),
                    Ok((place, Request { token, .. })) => {
                        let number = self.limiter.lock().record_permit(token, now);
                        let permit = Permit::new(&self.limiter, token, number, Some(lease));
                        grant(queue, place, permit);
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
                self.lock().not_before = time;
                self.refuse_beyond(time, purpose, RefusedBy::Budget);
                Next::At(time)
            }
            Decision::Unavailable { until } => {
                self.refuse_beyond(until, purpose, RefusedBy::Redis);
                // Redis may be back before.
                Next::At(until.min(Instant::now() + OUTAGE_POLL_INTERVAL))
            }
        }
    }

    /// The first waiting request that no upstream limit holds back. If no request waits, the task ends.
    fn first_eligible(&self, queue: &mut Waiters, now: Instant) -> Result<(usize, Request), Next> {
        queue.remove_cancelled();
        queue.is_dispatching = !queue.is_empty();
        let first = queue.first_eligible(&mut self.limiter.lock(), now);
        first.map_err(|next| next.map_or(Next::Idle, Next::At))
    }

    fn refuse_beyond(&self, time: Instant, purpose: Purpose, by: RefusedBy) {
        let interval = self.limiter.lock().interval;
        let now = Instant::now();
        let mut queue = self.lock();
        queue.refuse_beyond(time, interval, purpose, by, now);
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        lock(&self.queue)
    }
}

/// Grants a permit to the request at this place. If the request's future was dropped, the permit is dropped
/// here, without the lock of the queue.
fn grant(mut queue: MutexGuard<'_, Waiters>, place: usize, permit: Permit) {
    let grant = queue.remove(place);
    drop(queue);
    drop(grant.map(|grant| grant.send(Ok(permit))));
}
