//! The state machine of a process that shares a limit: plans its next step on the shared state, and
//! applies the answer. `state.rs` is what it may use, `leases.rs` the slots that it has; `PROTOCOL.md`
//! is the proof.
//!
//! Pure: the time is an argument, and the caller makes the steps, one at a time. While a step is in
//! flight slots may be taken and released; `version` shows that they were.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    super::{pacer::Pacer, slots::Purpose},
    decision::Decision,
    leases::{Lease, Leases},
    quota::SharedQuota,
    server_clock::ServerClock,
    state::{Mode, State},
    step::{Access, Action, Answer, Outcome, Step},
};

#[derive(Debug)]
pub(super) struct Member {
    quota: SharedQuota,
    state: State,
    leases: Leases,
    /// The clock of the server was stepped in the known epoch.
    is_clock_stepped: bool,
    /// Redis does not have all slots of this process.
    needs_report: bool,
    /// The pace of the static share during an outage.
    pacer: Pacer,
    clock: ServerClock,
}

/// How to get a slot.
#[derive(Debug)]
pub(super) enum Plan {
    /// Make this step. If it grants no slot, plan again.
    Make(Step),
    /// No step is needed.
    Decided(Decision),
}

impl Member {
    pub(super) fn new(quota: SharedQuota, now: Instant) -> Self {
        Self {
            quota,
            state: State::new(quota, now),
            leases: Leases::new(quota),
            is_clock_stepped: false,
            needs_report: false,
            pacer: Pacer::new(quota.static_share, quota.burst.min(quota.static_share)),
            clock: ServerClock::new(now, quota.release_delay),
        }
    }

    pub(super) fn plan_acquire(&mut self, now: Instant, purpose: Purpose) -> Plan {
        let is_outage = self.state.is_outage();
        if !is_outage && self.needs_sync() {
            return Plan::Make(self.plan_sync(now));
        }
        if let Some(until) = self.state.unavailable_until(now) {
            return Plan::Decided(Decision::Unavailable { until });
        }
        if let Some(until) = self.state.grace_until(now) {
            return Plan::Decided(Decision::NotBefore(until));
        }
        if self.state.is_static(now) {
            let share = self.quota.static_share;
            let available = (share - purpose.reserved(share)) as usize;
            if let Some(release) = self.leases.next_release(now, available) {
                return Plan::Decided(Decision::NotBefore(release));
            }
        }
        if is_outage {
            return Plan::Decided(self.acquire_static());
        }
        let id = self.leases.next_id();
        let mut step = self.plan_sync(now);
        step.action = Action::Take { id, purpose };
        Plan::Make(step)
    }

    /// A step that reports the slots that Redis does not have, and is a heartbeat.
    pub(super) fn plan_sync(&mut self, now: Instant) -> Step {
        let all = self.leases.all(now);
        let has_slots = !all.is_empty();
        let ended = self.leases.take_ended(now);
        let reports_all = self.needs_report || self.state.is_outage() || self.is_clock_stepped;
        Step {
            action: if self.is_clock_stepped {
                Action::Distrust
            } else {
                Action::Keep
            },
            known: self.state.epoch(),
            fresh: fastrand::u64(..),
            access: if self.needs_sync() {
                Access::Closed
            } else {
                self.state.access(now)
            },
            contests: self.is_clock_stepped || (self.state.was_exact(now) && has_slots),
            slots: if reports_all { all } else { ended },
            returned: self.leases.take_released(),
            version: self.leases.version(),
        }
    }

    /// Applies Redis's answer to a step that was sent at `asked`. Returns a decision if it has one.
    pub(super) fn step_answered(
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
            self.is_clock_stepped = true;
            return None;
        }
        let was_outage = self.state.is_outage();
        if was_outage && step.version != self.leases.version() {
            // A slot of the static share was taken meanwhile, which Redis does not have.
            self.leases.report_released(step.returned);
            return None;
        }
        let was_partial = !self.needs_report && !was_outage && !self.is_clock_stepped;
        if is_known {
            self.needs_report = false;
            self.state.confirm_epoch(now);
        } else {
            self.needs_report = was_partial && step.known.is_some();
            self.is_clock_stepped = false;
            let has_slots = self.leases.has_slots();
            self.state.adopt_epoch(&step, answer, has_slots, now);
        }
        match (answer.result, step.action) {
            (Outcome::Taken, Action::Take { id, .. }) => {
                Some(Decision::Granted(self.leases.granted(id)))
            }
            (Outcome::Wait(wait), _) => {
                // Counted from when the step was sent, the next one arrives when the turn has come.
                let due = asked + wait.min(self.quota.release_delay) + Duration::from_millis(1);
                Some(Decision::NotBefore(due.max(now)))
            }
            (Outcome::Closed, _) => {
                self.state.close();
                None
            }
            _ => None,
        }
    }

    /// Records that a step got no answer.
    pub(super) fn step_failed(&mut self, step: Step, reason: &str, now: Instant) {
        self.leases.report_released(step.returned);
        if let Action::Take { id, .. } = step.action {
            // Redis may have granted the slot, which is not used.
            self.leases.report_released([id]);
        }
        // The next step reports all slots.
        self.leases.take_ended(now);
        self.needs_report = true;
        self.state.begin_outage(reason, now);
    }

    /// Releases a slot at once: nothing was sent.
    pub(super) fn release(&mut self, lease: &Lease) {
        if lease.is_of_static_share {
            self.pacer.return_turn();
        }
        self.leases.release(lease, self.state.is_outage());
    }

    /// Releases the slot of a request that ended at `now` after the release delay.
    pub(super) fn release_later(&mut self, lease: &Lease, now: Instant) {
        self.leases
            .release_later(lease, now, self.state.is_outage());
    }

    /// Whether a step is due at once.
    pub(super) fn needs_sync(&self) -> bool {
        self.state.epoch().is_none() || self.is_clock_stepped || self.needs_report
    }

    /// Whether it needs no heartbeat: it has no slots and nothing to report.
    pub(super) fn is_idle(&mut self, now: Instant) -> bool {
        let is_settled = !self.needs_sync() && !self.state.is_outage();
        is_settled && !self.leases.has_news() && self.leases.in_use(now) == 0
    }

    pub(super) fn version(&self) -> u64 {
        self.leases.version()
    }

    pub(super) fn is_outage(&self) -> bool {
        self.state.is_outage()
    }

    /// How many slots this process has.
    pub(super) fn in_use(&mut self, now: Instant) -> usize {
        self.leases.in_use(now)
    }

    pub(super) fn mode(&self, now: Instant) -> Mode {
        self.state.mode(now)
    }

    /// Until when nothing is sent.
    pub(super) fn unavailable_until(&self, now: Instant) -> Option<Instant> {
        self.state.unavailable_until(now)
    }

    fn acquire_static(&mut self) -> Decision {
        match self.pacer.check(Instant::now()) {
            Ok(()) => Decision::Granted(self.leases.take_static()),
            Err(next) => Decision::NotBefore(next),
        }
    }
}
