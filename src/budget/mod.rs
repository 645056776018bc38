//! The budget: how many requests may go to the upstream, and when.
//!
//! `slots.rs` keeps the promise, `pace.rs` smooths it, and this is the one place that grants
//! permits, first come first served. What is done with a permit belongs in `lane.rs`.

mod pace;
mod slots;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

use self::{
    pace::Pace,
    slots::{HOLD, Slots},
};

/// One budget for everything that this process sends. Cloning it shares it.
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Shared>,
    max_wait: Duration,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the granting task when a slot came back sooner than it could know.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    slots: Slots,
    pace: Pace,
    /// Who waits, the first first. Bounded by `max_wait`: whoever would wait longer is refused.
    waiting: VecDeque<oneshot::Sender<Permit>>,
    /// Whether the granting task runs: it does exactly while somebody waits.
    granting: bool,
}

/// The budget would let the request out too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The earliest time from now at which, without further requests, one would be admitted.
    pub retry_after: Duration,
}

impl Budget {
    /// At most `share` requests in any 60 s, `burst` of them at once; `1 ≤ burst ≤ share`. Whoever
    /// would wait longer than `max_wait` is refused.
    #[must_use]
    pub fn new(share: u32, burst: u32, max_wait: Duration) -> Self {
        let state = State {
            slots: Slots::new(share),
            pace: Pace::new(share, burst),
            waiting: VecDeque::new(),
            granting: false,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Notify::new(),
            }),
            max_wait,
        }
    }

    /// Waits for its turn. Dropping the future leaves the queue and costs nothing.
    ///
    /// # Errors
    /// [`Refused`], at once, if the wait is expected to be longer than `max_wait`.
    pub async fn permit(&self) -> Result<Permit, Refused> {
        let turn = {
            let mut state = self.shared.lock();
            let now = Instant::now();
            state.waiting.retain(|waiter| !waiter.is_closed());
            if state.waiting.is_empty() && state.try_take(now).is_ok() {
                return Ok(Permit::new(&self.shared));
            }
            let wait = state.expected_grant(now).saturating_duration_since(now);
            if wait > self.max_wait {
                let retry_after = wait.saturating_sub(self.max_wait);
                return Err(Refused { retry_after });
            }
            let (grant, turn) = oneshot::channel();
            state.waiting.push_back(grant);
            if !state.granting {
                state.granting = true;
                tokio::spawn(grant_to_waiting(Arc::clone(&self.shared)));
            }
            turn
        };
        // The granting task ends without an answer only when the runtime itself is shut down.
        turn.await.map_err(|_| Refused {
            retry_after: self.max_wait,
        })
    }
}

impl Shared {
    /// A panic elsewhere does not make the count wrong: every change of the state is complete
    /// before anything that could panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a slot and a turn of the pace, or tells when to ask again; `None` if that depends on
    /// a request that is in flight.
    fn try_take(&mut self, now: Instant) -> Result<(), Option<Instant>> {
        if !self.slots.is_free(now) {
            return Err(self.slots.next_release());
        }
        self.pace.check().map_err(Some)?;
        self.slots.take();
        Ok(())
    }

    /// When one more would be granted, behind all who wait, if everything went as fast as it can.
    fn expected_grant(&self, now: Instant) -> Instant {
        let mut pace = self.pace.forecast();
        let mut releases = self.slots.releases(now);
        // The slots of those who are granted first serve a second time.
        let mut again = VecDeque::new();
        let mut grant = now;
        for _ in 0..=self.waiting.len() {
            let release = releases.next().or_else(|| again.pop_front());
            grant = pace.next(release.map_or(grant, |release| release.max(grant)));
            again.push_back(grant + HOLD);
        }
        grant
    }
}

/// Grants permits in the order of the queue until nobody waits.
async fn grant_to_waiting(shared: Arc<Shared>) {
    loop {
        let changed = shared.changed.notified();
        let Some(next) = grant_due(&shared) else {
            return;
        };
        match next {
            Some(time) => tokio::select! {
                () = sleep_until(time) => (),
                () = changed => (),
            },
            None => changed.await,
        }
    }
}

/// Grants what can be granted now. `None` when nobody waits any more, else the time of the next
/// grant as far as it is known.
fn grant_due(shared: &Arc<Shared>) -> Option<Option<Instant>> {
    let mut state = shared.lock();
    loop {
        state.waiting.retain(|waiter| !waiter.is_closed());
        if state.waiting.is_empty() {
            state.granting = false;
            return None;
        }
        if let Err(next) = state.try_take(Instant::now()) {
            return Some(next);
        }
        let waiter = state.waiting.pop_front();
        // A permit that its waiter did not live to take goes back when it is dropped, which needs
        // the lock.
        drop(state);
        let undelivered = waiter.map(|waiter| waiter.send(Permit::new(shared)));
        drop(undelivered);
        state = shared.lock();
    }
}

/// Leave to send one request. It holds a slot: dropped unsent it gives it and its turn back at once, dropped
/// after [`sent`](Self::sent) when 60 s and the guard have passed. So it must live until the
/// answer is in or the connection is closed.
pub struct Permit {
    shared: Arc<Shared>,
    sent: bool,
}

impl Permit {
    fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            sent: false,
        }
    }

    /// The request is about to be sent, whatever becomes of it.
    pub fn sent(&mut self) {
        self.sent = true;
    }

    /// It turned out that not a byte of the request was sent.
    pub fn not_sent(&mut self) {
        self.sent = false;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if self.sent {
            state.slots.hold(Instant::now());
        } else {
            state.slots.give_back();
            state.pace.give_back();
        }
        if state.granting {
            self.shared.changed.notify_one();
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Permit")
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}
