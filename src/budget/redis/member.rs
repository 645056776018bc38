//! One process that shares a limit: what it may take, and when. `PROTOCOL.md` is the proof.
//!
//! Pure: the time is an argument, and steps and their answers go through the caller, one at a time. Only
//! slots may be taken, held and given back while a step is in flight; `version` shows that they were.

use std::{
    collections::{HashSet, VecDeque},
    mem,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    super::{pacer::Pacer, slots::Purpose},
    Decision, Lease, Mode, SharedQuota,
    server_clock::ServerClock,
    step::{Access, Action, Answer, Epoch, Outcome, Step},
};

/// How a process stands to the shared limit.
#[derive(Debug)]
pub(super) struct Member {
    quota: SharedQuota,
    /// The epoch that it knows, and since when.
    known: Option<(Epoch, Instant)>,
    /// Since when Redis does not answer.
    away: Option<Instant>,
    /// Nothing is sent before.
    silent_until: Instant,
    /// Nothing is taken before: others may still have to contest the epoch.
    grace_until: Instant,
    /// Before this no more than the static share is taken.
    capped_until: Instant,
    /// The clock of the server was stepped in the known epoch.
    distrusts: bool,
    /// Redis does not have all slots of this process.
    needs_join: bool,
    in_flight: HashSet<u64>,
    /// When they are free again, the earliest first. With `in_flight` never more than `limit`.
    held: VecDeque<(u64, Instant)>,
    /// Held and given back since the last step, for the next one. Empty while Redis is away.
    changed: Vec<(u64, Instant)>,
    returned: Vec<u64>,
    /// How often slots were taken without Redis, held or given back.
    version: u64,
    taken_so_far: u64,
    /// The pace of the static share while Redis is away.
    pacer: Pacer,
    clock: ServerClock,
}

/// How a slot can be had.
#[derive(Debug)]
pub(super) enum Plan {
    /// By this step. If it was not granted, plan again.
    Ask(Step),
    /// This is known without asking.
    Known(Decision),
}

impl Member {
    pub(super) fn new(quota: SharedQuota, now: Instant) -> Self {
        Self {
            quota,
            known: None,
            away: None,
            silent_until: now,
            grace_until: now,
            capped_until: now,
            distrusts: false,
            needs_join: false,
            in_flight: HashSet::new(),
            held: VecDeque::new(),
            changed: Vec::new(),
            returned: Vec::new(),
            version: 0,
            taken_so_far: 0,
            pacer: Pacer::new(quota.static_share, quota.burst.min(quota.static_share)),
            clock: ServerClock::new(now, quota.release_delay),
        }
    }

    pub(super) fn plan_acquire(&mut self, now: Instant, purpose: Purpose) -> Plan {
        self.forget_released(now);
        if self.away.is_none() && self.needs_sync() {
            return Plan::Ask(self.plan_sync(now));
        }
        if let Some(until) = self.unavailable_until(now) {
            return Plan::Known(Decision::Unavailable { until });
        }
        if now < self.grace_until {
            return Plan::Known(Decision::NotBefore(self.grace_until));
        }
        if (self.away.is_some() || now < self.capped_until)
            && let Some(release) = self.static_share_release(now, purpose)
        {
            return Plan::Known(Decision::NotBefore(release));
        }
        if self.away.is_some() {
            return Plan::Known(self.take_alone());
        }
        let id = self.next_id();
        let mut step = self.plan_sync(now);
        step.action = Action::Take { id, purpose };
        Plan::Ask(step)
    }

    /// A step that tells Redis of the slots that it does not have, and shows that it is there.
    pub(super) fn plan_sync(&mut self, now: Instant) -> Step {
        self.forget_released(now);
        let remaining = |&(id, release): &(u64, Instant)| (id, release - now);
        let slots = if self.needs_join || self.away.is_some() || self.distrusts {
            let lease = self.quota.lease();
            let in_flight = self.in_flight.iter().map(|id| (*id, lease));
            in_flight.chain(self.held.iter().map(remaining)).collect()
        } else {
            let changed = self.changed.iter().filter(|(_, release)| *release > now);
            changed.map(remaining).collect()
        };
        self.changed.clear();
        let is_static = self
            .away
            .is_some_and(|since| now >= since + self.quota.release_delay);
        let was_exact = !is_static && now >= self.capped_until;
        let has_slots = !self.in_flight.is_empty() || !self.held.is_empty();
        Step {
            action: if self.distrusts {
                Action::Distrust
            } else {
                Action::Keep
            },
            known: self.known.map(|(epoch, _)| epoch),
            fresh: fastrand::u64(..),
            access: self.access(now),
            contests: self.distrusts || (was_exact && has_slots),
            slots,
            returned: mem::take(&mut self.returned),
            version: self.version,
        }
    }

    /// Redis answered to a step that was asked for at `asked`; a slot is had only where this says so.
    pub(super) fn answered(
        &mut self,
        step: Step,
        answer: &Answer,
        asked: Instant,
        now: Instant,
    ) -> Option<Decision> {
        let is_known = step.known == Some(answer.epoch);
        if !is_known {
            self.clock.reset();
        }
        if !self.clock.agrees(asked, now, answer.server_time) {
            tracing::warn!(
                "the clock of Redis was stepped: the shared budget is closed for a while"
            );
            self.distrusts = true;
            return None;
        }
        if self.away.is_some() && step.version != self.version {
            // Taken of the static share meanwhile: Redis does not have that slot.
            self.returned.extend(step.returned);
            return None;
        }
        let away = self.away.take();
        let was_partial = !self.needs_join && away.is_none() && !self.distrusts;
        self.needs_join = false;
        if is_known {
            if let Some(since) = away {
                self.come_back(since, now);
            }
        } else {
            self.needs_join = was_partial && step.known.is_some();
            self.adopt(&step, answer, away, now);
        }
        match (answer.result, step.action) {
            (Outcome::Taken, Action::Take { id, .. }) => {
                self.in_flight.insert(id);
                Some(Decision::Granted(Lease {
                    id,
                    is_of_static_share: false,
                }))
            }
            (Outcome::Wait(wait), _) => {
                // Counted from the question on, the next one arrives when the turn has come.
                let due = asked + wait.min(self.quota.release_delay) + Duration::from_millis(1);
                Some(Decision::NotBefore(due.max(now)))
            }
            (Outcome::Closed, _) => {
                if let Some((_, since)) = self.known {
                    self.silent_until = self.silent_until.max(since + self.quota.release_delay);
                }
                None
            }
            _ => None,
        }
    }

    /// There was no answer to a step.
    pub(super) fn lost(&mut self, step: Step, reason: &str, now: Instant) {
        self.returned.extend(step.returned);
        if let Action::Take { id, .. } = step.action {
            // It may have been taken after all, and is not used.
            self.returned.push(id);
        }
        self.changed.clear();
        self.needs_join = true;
        if self.away.is_some() {
            return;
        }
        self.away = Some(now);
        tracing::warn!(
            reason,
            silent_seconds = self.quota.release_delay.as_secs(),
            static_share = self.quota.static_share,
            "Redis is lost: nothing is sent for a while, then no more than the static share"
        );
    }

    /// Redis answers again, in the epoch that was known when it was lost at `since`.
    fn come_back(&mut self, since: Instant, now: Instant) {
        let end_of_silence = since + self.quota.release_delay;
        // Others lost it a little earlier or later, and may have begun to use their static share.
        if now + self.quota.margin >= end_of_silence {
            self.silent_until = self.silent_until.max(end_of_silence);
            self.cap_until(now + self.quota.release_delay + self.quota.margin);
        }
        self.log_return(now);
    }

    /// Redis has another epoch than was known, or the first one that this process sees.
    fn adopt(&mut self, step: &Step, answer: &Answer, away: Option<Instant>, now: Instant) {
        self.known = Some((answer.epoch, now));
        self.distrusts = false;
        if step.contests {
            self.silent_until = now + self.quota.release_delay;
            tracing::warn!(
                silent_seconds = self.quota.release_delay.as_secs(),
                "Redis lost the state of the shared budget: nothing is sent for a while"
            );
            return;
        }
        self.grace_until = now + self.quota.grace;
        let has_slots = !self.in_flight.is_empty() || !self.held.is_empty();
        if has_slots {
            self.cap_until(now + self.quota.release_delay + self.quota.margin);
        } else if answer.is_open && answer.is_vouched {
            self.capped_until = now;
        } else {
            self.cap_until(now + self.quota.release_delay);
        }
        if away.is_some() {
            self.log_return(now);
        }
    }

    fn cap_until(&mut self, until: Instant) {
        self.capped_until = self.capped_until.max(until);
    }

    fn log_return(&self, now: Instant) {
        tracing::info!(
            silent_seconds = self.silent_until.saturating_duration_since(now).as_secs(),
            static_share_seconds = self.capped_until.saturating_duration_since(now).as_secs(),
            "Redis is back"
        );
    }

    /// Nothing was sent.
    pub(super) fn release(&mut self, lease: &Lease) {
        self.in_flight.remove(&lease.id);
        self.version += 1;
        if lease.is_of_static_share {
            self.pacer.return_turn();
            if self.away.is_some() {
                // Redis does not have it, and there may be many before it is back.
                return;
            }
        }
        self.returned.push(lease.id);
    }

    /// The request is over.
    pub(super) fn release_later(&mut self, lease: &Lease, now: Instant) {
        self.in_flight.remove(&lease.id);
        self.version += 1;
        let release = now + self.quota.release_delay;
        self.held.push_back((lease.id, release));
        if self.away.is_none() {
            self.changed.push((lease.id, release));
        }
    }

    /// Whether Redis is to be told something at once.
    pub(super) fn needs_sync(&self) -> bool {
        self.known.is_none() || self.distrusts || self.needs_join
    }

    /// Whether it may neglect Redis: there is nothing to watch or to tell.
    pub(super) fn is_idle(&mut self, now: Instant) -> bool {
        let has_no_news = self.changed.is_empty() && self.returned.is_empty();
        has_no_news && !self.needs_sync() && self.away.is_none() && self.in_use(now) == 0
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// How many slots this process has.
    pub(super) fn in_use(&mut self, now: Instant) -> usize {
        self.forget_released(now);
        self.in_flight.len() + self.held.len()
    }

    pub(super) fn mode(&self, now: Instant) -> Mode {
        if self.unavailable_until(now).is_some() {
            Mode::Silent
        } else if self.away.is_some() || now < self.capped_until {
            Mode::StaticShare
        } else {
            Mode::Shared
        }
    }

    /// Until when nothing is sent.
    pub(super) fn unavailable_until(&self, now: Instant) -> Option<Instant> {
        let end_of_silence = self.away.map(|since| since + self.quota.release_delay);
        let until = self.silent_until.max(end_of_silence.unwrap_or(now));
        (now < until).then_some(until)
    }

    fn access(&self, now: Instant) -> Access {
        if self.away.is_some() || self.needs_sync() || now < self.silent_until {
            Access::Closed
        } else if now < self.capped_until {
            Access::Capped
        } else {
            Access::Exact
        }
    }

    /// Where the static share has no slot left for this purpose, when one is free again.
    fn static_share_release(&self, now: Instant, purpose: Purpose) -> Option<Instant> {
        let share = self.quota.static_share;
        let open = (share - purpose.reserved(share)) as usize;
        let taken = self.in_flight.len() + self.held.len();
        let first = taken.checked_sub(open)?;
        let release = self.held.get(first).map(|(_, release)| *release);
        Some(release.unwrap_or(now + self.quota.release_delay))
    }

    fn take_alone(&mut self) -> Decision {
        if let Err(next) = self.pacer.check() {
            return Decision::NotBefore(next);
        }
        let id = self.next_id();
        self.in_flight.insert(id);
        self.version += 1;
        Decision::Granted(Lease {
            id,
            is_of_static_share: true,
        })
    }

    fn next_id(&mut self) -> u64 {
        self.taken_so_far += 1;
        self.taken_so_far
    }

    /// Forgets the slots that are free again.
    fn forget_released(&mut self, now: Instant) {
        while self
            .held
            .front()
            .is_some_and(|(_, release)| *release <= now)
        {
            self.held.pop_front();
        }
    }
}
