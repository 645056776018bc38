//! Who waits for what: slots, pace and gates together, and how long a wait would be. Who gets a pool
//! belongs in `mod.rs`, the granting to those who wait in `grant.rs`, and what a permit does when it
//! ends in `permit.rs`.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    Permit, Refused, RefusedBy, Terms, TokenDigest, dispatcher,
    history::{Record, Window},
    lock,
    pacer::Pace,
    redis::Shared,
    slots::{HOLD, Purpose, Slots},
    upstream_limit::Gate,
};

/// Slots and pace that some tokens share, their gates, and who waits for them.
#[derive(Debug)]
pub(super) struct Pool {
    terms: Terms,
    /// The limit, where several processes share it; slots and pace are then there.
    pub(super) shared: Option<Shared>,
    state: Mutex<State>,
    record: Arc<Mutex<Record>>,
    /// Wakes the granting task when something changed sooner than it could know.
    pub(super) changed: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) slots: Slots,
    pub(super) pace: Pace,
    pub(super) gates: HashMap<TokenDigest, Gate>,
    /// Who waits, the first first, and read-backs before all others. Bounded by `max_wait`: whoever
    /// would wait longer is refused.
    pub(super) waiting: VecDeque<Waiter>,
    /// Whether the granting task runs: it does exactly while somebody waits.
    pub(super) granting: bool,
    /// Before this a shared limit grants nothing.
    pub(super) not_before: Instant,
    /// What was sent of late.
    window: Window,
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) token: TokenDigest,
    pub(super) purpose: Purpose,
    pub(super) since: Instant,
    pub(super) max_wait: Duration,
    pub(super) grant: oneshot::Sender<Result<Permit, Refused>>,
}

impl Pool {
    pub(super) fn new(terms: Terms, shared: Option<Shared>, record: Arc<Mutex<Record>>) -> Self {
        Self {
            terms,
            shared,
            state: Mutex::new(State {
                slots: Slots::new(terms.share),
                pace: Pace::new(terms.share, terms.burst),
                gates: HashMap::new(),
                waiting: VecDeque::new(),
                granting: false,
                not_before: Instant::now(),
                window: Window::default(),
            }),
            record,
            changed: Notify::new(),
        }
    }

    /// Waits for its turn, at most for `max_wait` as far as that can be foretold.
    pub(super) async fn permit(
        self: Arc<Self>,
        token: TokenDigest,
        purpose: Purpose,
        max_wait: Duration,
    ) -> Result<Permit, Refused> {
        let turn = {
            let mut state = self.lock();
            let now = Instant::now();
            state.waiting.retain(|waiter| !waiter.grant.is_closed());
            if self.shared.is_none()
                && state.ahead(purpose) == 0
                && let Ok(number) = self.try_take(&mut state, token, purpose, now)
            {
                return Ok(Permit::new(&self, token, number, None));
            }
            let shared = self.shared.as_ref();
            let unavailable_until = shared.and_then(|shared| shared.unavailable_until(now));
            let grant = match (shared, unavailable_until) {
                (None, _) => state.expected_grant(now, token, purpose),
                (Some(_), Some(until)) => until,
                (Some(_), None) => self.expected_shared_grant(&state, now, purpose),
            };
            let opening = state.expected_opening(now, token, purpose);
            let wait = grant.max(opening).saturating_duration_since(now);
            if wait > max_wait {
                return Err(Refused {
                    retry_after: wait.saturating_sub(max_wait),
                    by: if opening > grant {
                        RefusedBy::Upstream
                    } else if unavailable_until.is_some() {
                        RefusedBy::Redis
                    } else {
                        RefusedBy::Budget
                    },
                });
            }
            let (grant, turn) = oneshot::channel();
            let waiter = Waiter {
                token,
                purpose,
                since: now,
                max_wait,
                grant,
            };
            let place = state.ahead(purpose);
            state.waiting.insert(place, waiter);
            if state.granting {
                // Those ahead may be held back by gates that do not hold back this one.
                self.changed.notify_one();
            } else {
                state.granting = true;
                tokio::spawn(dispatcher::until_nobody_waits(Arc::clone(&self)));
            }
            turn
        };
        // The granting task ends without an answer only when the runtime itself is shut down.
        turn.await.unwrap_or(Err(Refused {
            retry_after: max_wait,
            by: RefusedBy::Budget,
        }))
    }

    /// Takes a slot, a turn of the pace and a number of the token's gate, or tells when to ask
    /// again; `None` if that depends on a request that is in flight.
    pub(super) fn try_take(
        &self,
        state: &mut State,
        token: TokenDigest,
        purpose: Purpose,
        now: Instant,
    ) -> Result<u64, Option<Instant>> {
        let interval = self.interval();
        let opening = state.gate(token, now).opens(now, interval);
        if opening > now {
            return Err(Some(opening));
        }
        if !state.slots.is_free(now, purpose) {
            return Err(state.slots.next_release(purpose));
        }
        state.pace.check().map_err(Some)?;
        state.slots.take();
        Ok(state.gate(token, now).let_out(now))
    }

    /// When a shared limit may grant one more behind all who wait, as far as is known: from the time
    /// that it named last, one every interval. That time is not for a read-back.
    fn expected_shared_grant(&self, state: &State, now: Instant, purpose: Purpose) -> Instant {
        if state.not_before <= now || purpose == Purpose::ReadBack {
            return now;
        }
        let ahead = u32::try_from(state.waiting.len()).unwrap_or(u32::MAX);
        state.not_before + self.interval().saturating_mul(ahead)
    }

    /// The time between requests that the share comes to.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs(60) / self.terms.share.max(1)
    }

    /// Whether nobody waits, nothing is in flight and no slot is held.
    pub(super) fn is_idle(&self) -> bool {
        let mut state = self.lock();
        let is_shared_idle = self.shared.as_ref().is_none_or(Shared::is_idle);
        is_shared_idle && state.waiting.is_empty() && state.slots.taken(Instant::now()) == 0
    }

    /// How many slots are taken.
    pub(super) fn in_use(&self, now: Instant) -> usize {
        let own = self.lock().slots.taken(now);
        self.shared.as_ref().map_or(own, Shared::in_use)
    }

    /// Forgets the gates of other tokens than these, but those that something waits at or whose limit
    /// still holds.
    pub(super) fn serve(&self, tokens: &HashSet<TokenDigest>) {
        let mut state = self.lock();
        let now = Instant::now();
        let waiting: HashSet<_> = state.waiting.iter().map(|waiter| waiter.token).collect();
        state.gates.retain(|token, gate| {
            let is_used = tokens.contains(token) || waiting.contains(token);
            is_used || gate.remaining(now).is_some()
        });
    }

    /// The least that the upstream still allows one of the tokens.
    pub(super) fn remaining(&self, now: Instant) -> Option<u64> {
        let state = self.lock();
        let gates = state.gates.values();
        gates.filter_map(|gate| gate.remaining(now)).min()
    }

    /// A request that was sent is over.
    pub(super) fn note_sent(&self, state: &mut State, now: Instant) {
        let in_window = state.window.add(now);
        lock(&self.record).add(now, in_window);
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
        lock(&self.state)
    }
}

impl State {
    /// The gate of a token, of which nothing is known before its first request.
    pub(super) fn gate(&mut self, token: TokenDigest, now: Instant) -> &mut Gate {
        self.gates.entry(token).or_insert_with(|| Gate::new(now))
    }

    /// How many of those who wait go before a request of this purpose.
    fn ahead(&self, purpose: Purpose) -> usize {
        match purpose {
            Purpose::Call => self.waiting.len(),
            Purpose::ReadBack => self
                .waiting
                .partition_point(|waiter| waiter.purpose == Purpose::ReadBack),
        }
    }

    /// When one more would be granted, behind all whom no gate holds back, if everything went as
    /// fast as it can.
    fn expected_grant(&self, now: Instant, token: TokenDigest, purpose: Purpose) -> Instant {
        let mut pace = self.pace.forecast();
        let goes_first = |waiter: &&Waiter| {
            waiter.token == token || self.expected_opening(now, waiter.token, Purpose::Call) <= now
        };
        let ahead = self.waiting.iter().take(self.ahead(purpose));
        let purposes = ahead.filter(goes_first).map(|waiter| waiter.purpose);
        let mut grants = Vec::new();
        let mut grant = now;
        for (granted, purpose) in purposes.chain([purpose]).enumerate() {
            let release = match self.slots.release(now, granted, purpose) {
                Ok(release) => release,
                // The slots of those who are granted first serve a second time.
                Err(number) => grants.get(number).map_or(grant, |first| *first + HOLD),
            };
            grant = pace.next(release.max(grant));
            grants.push(grant);
        }
        grant
    }

    /// When the token's gate would let one more out, behind all who wait for it and go before.
    fn expected_opening(&self, now: Instant, token: TokenDigest, purpose: Purpose) -> Instant {
        let ahead = self.waiting.iter().take(self.ahead(purpose));
        let ahead = ahead.filter(|waiter| waiter.token == token);
        let gate = self.gates.get(&token);
        gate.map_or(now, |gate| gate.expected_to_open(now, ahead.count() as u64))
    }
}
