//! Grants permits, first come first served. Who gets a pool belongs in `mod.rs`, what a permit does
//! when it ends in `permit.rs`.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    Permit, Refused, Terms, TokenDigest,
    gate::Gate,
    pace::Pace,
    slots::{HOLD, Slots},
};

/// Slots and pace that some tokens share, their gates, and who waits for them.
#[derive(Debug)]
pub(super) struct Pool {
    terms: Terms,
    state: Mutex<State>,
    /// Wakes the granting task when something changed sooner than it could know.
    changed: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) slots: Slots,
    pub(super) pace: Pace,
    pub(super) gates: HashMap<TokenDigest, Gate>,
    /// Who waits, the first first. Bounded by `max_wait`: whoever would wait longer is refused.
    waiting: VecDeque<Waiter>,
    /// Whether the granting task runs: it does exactly while somebody waits.
    granting: bool,
}

#[derive(Debug)]
struct Waiter {
    token: TokenDigest,
    grant: oneshot::Sender<Permit>,
}

impl Pool {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            state: Mutex::new(State {
                slots: Slots::new(terms.share),
                pace: Pace::new(terms.share, terms.burst),
                gates: HashMap::new(),
                waiting: VecDeque::new(),
                granting: false,
            }),
            changed: Notify::new(),
        }
    }

    /// Waits for its turn, at most for `max_wait` as far as that can be foretold.
    pub(super) async fn permit(
        self: Arc<Self>,
        token: TokenDigest,
        max_wait: Duration,
    ) -> Result<Permit, Refused> {
        let turn = {
            let mut state = self.lock();
            let now = Instant::now();
            state.waiting.retain(|waiter| !waiter.grant.is_closed());
            if state.waiting.is_empty()
                && let Ok(number) = self.try_take(&mut state, token, now)
            {
                return Ok(Permit::new(&self, token, number));
            }
            let grant = state.expected_grant(now, token);
            let opening = state.expected_opening(now, token);
            let wait = grant.max(opening).saturating_duration_since(now);
            if wait > max_wait {
                return Err(Refused {
                    retry_after: wait.saturating_sub(max_wait),
                    by_upstream: opening > grant,
                });
            }
            let (grant, turn) = oneshot::channel();
            state.waiting.push_back(Waiter { token, grant });
            if state.granting {
                // Those ahead may be held back by gates that do not hold back this one.
                self.changed.notify_one();
            } else {
                state.granting = true;
                tokio::spawn(grant_to_waiting(Arc::clone(&self)));
            }
            turn
        };
        // The granting task ends without an answer only when the runtime itself is shut down.
        turn.await.map_err(|_| Refused {
            retry_after: max_wait,
            by_upstream: false,
        })
    }

    /// Takes a slot, a turn of the pace and a number of the token's gate, or tells when to ask
    /// again; `None` if that depends on a request that is in flight.
    fn try_take(
        &self,
        state: &mut State,
        token: TokenDigest,
        now: Instant,
    ) -> Result<u64, Option<Instant>> {
        let interval = self.interval();
        let gate = state.gates.entry(token).or_insert_with(|| Gate::new(now));
        let opening = gate.opens(now, interval);
        if opening > now {
            return Err(Some(opening));
        }
        if !state.slots.is_free(now) {
            return Err(state.slots.next_release());
        }
        state.pace.check().map_err(Some)?;
        state.slots.take();
        Ok(gate.let_out(now))
    }

    /// The time between requests that the share comes to.
    fn interval(&self) -> Duration {
        Duration::from_secs(60) / self.terms.share.max(1)
    }

    /// Whether nobody waits, nothing is in flight and no slot is held.
    pub(super) fn is_idle(&self) -> bool {
        let mut state = self.lock();
        state.waiting.is_empty() && state.slots.are_all_free(Instant::now())
    }

    /// Something came back or was learned that those who wait may profit from.
    pub(super) fn wake(&self, state: &State) {
        if state.granting {
            self.changed.notify_one();
        }
    }
    /// A panic elsewhere does not make the count wrong: every change of the state is complete
    /// before anything that could panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// When one more would be granted, behind all whom no gate holds back, if everything went as
    /// fast as it can.
    fn expected_grant(&self, now: Instant, token: TokenDigest) -> Instant {
        let mut pace = self.pace.forecast();
        let mut releases = self.slots.releases(now);
        // The slots of those who are granted first serve a second time.
        let mut again = VecDeque::new();
        let mut grant = now;
        let goes_first = |waiter: &&Waiter| {
            waiter.token == token || self.expected_opening(now, waiter.token) <= now
        };
        for _ in 0..=self.waiting.iter().filter(goes_first).count() {
            let release = releases.next().or_else(|| again.pop_front());
            grant = pace.next(release.map_or(grant, |release| release.max(grant)));
            again.push_back(grant + HOLD);
        }
        grant
    }

    /// When the token's gate would let one more out, behind all who wait for it.
    fn expected_opening(&self, now: Instant, token: TokenDigest) -> Instant {
        let ahead = self.waiting.iter().filter(|waiter| waiter.token == token);
        let gate = self.gates.get(&token);
        gate.map_or(now, |gate| gate.expected_to_open(now, ahead.count() as u64))
    }
}

/// Grants permits in the order of the queue until nobody waits.
async fn grant_to_waiting(pool: Arc<Pool>) {
    loop {
        let changed = pool.changed.notified();
        let Some(next) = grant_due(&pool) else {
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
fn grant_due(pool: &Arc<Pool>) -> Option<Option<Instant>> {
    let mut state = pool.lock();
    loop {
        state.waiting.retain(|waiter| !waiter.grant.is_closed());
        if state.waiting.is_empty() {
            state.granting = false;
            return None;
        }
        let (place, number) = match pool.first_due(&mut state) {
            Ok(due) => due,
            Err(next) => return Some(next),
        };
        let waiter = state.waiting.remove(place);
        // A permit that its waiter did not live to take goes back when it is dropped, which needs
        // the lock.
        drop(state);
        let undelivered = waiter.map(|waiter| {
            let permit = Permit::new(pool, waiter.token, number);
            waiter.grant.send(permit)
        });
        drop(undelivered);
        state = pool.lock();
    }
}

impl Pool {
    /// Takes for the first whom its gate does not hold back: its place and its number.
    fn first_due(&self, state: &mut State) -> Result<(usize, u64), Option<Instant>> {
        let now = Instant::now();
        let mut next = None;
        for place in 0..state.waiting.len() {
            let token = state.waiting[place].token;
            match self.try_take(state, token, now) {
                Ok(number) => return Ok((place, number)),
                Err(time) if self.is_held_back(state, token, now) => {
                    next = [next, time].into_iter().flatten().min();
                }
                // What holds this one back holds back everybody.
                Err(time) => return Err(time),
            }
        }
        Err(next)
    }

    fn is_held_back(&self, state: &State, token: TokenDigest, now: Instant) -> bool {
        let gate = state.gates.get(&token);
        gate.is_some_and(|gate| gate.opens(now, self.interval()) > now)
    }
}
