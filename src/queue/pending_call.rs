//! A caller in a lane: what it wants, how long it has time, and what was tried for it so far. When it
//! is sent belongs in `run.rs`.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use crate::{
    privacy::{Failure, Operation, Outcome, Settings},
    ryze::Target,
    telemetry::Trace,
};

/// One who waits for an outcome.
pub(super) struct Caller {
    /// In the order in which they came.
    pub(super) number: u64,
    /// What was configured when it came; its request is sent with what is configured then.
    pub(super) target: Arc<Target>,
    /// What the caller asked for; once it was sent, the value that was sent for its setting.
    pub(super) operation: Operation,
    /// Until then it may be sent.
    pub(super) latest: Instant,
    /// Until then Ryze may stay out of reach, since it is.
    pub(super) gives_up: Option<Instant>,
    /// It had a permit once, and waits for another one for as long as it has time.
    pub(super) was_put_back: bool,
    pub(super) tried: Tried,
    pub(super) trace: Arc<Trace>,
    pub(super) outcome: oneshot::Sender<Outcome>,
}

/// What was tried for a caller so far.
pub(super) enum Tried {
    Nothing,
    /// It could not be sent, with this failure.
    Unsent(Failure),
    /// It was sent, with this failure, and was not there when the settings were read back. It is sent
    /// once more.
    Sent {
        failure: Failure,
        /// With nobody who asked for another setting, for it is not known whose fault the failure was.
        alone: bool,
        /// Ryze ended the update at another field, and the settings did not show this one afterwards:
        /// it is certain that it was not applied.
        not_applied: bool,
    },
}

impl Caller {
    /// Takes over the value that was sent for its setting, which may be that of a later call: a retry
    /// with the older value, once the later caller has left, would land behind the newer one. Not for
    /// an update that was not sent or that Ryze rejected for its own limit: the later caller may have
    /// been told that nothing was changed.
    pub(super) fn adopt_sent_value(&mut self, update: &Settings) {
        if let Operation::Change(change) = &mut self.operation
            && let Some(sent) = update.get(change.setting)
        {
            change.audience = sent;
        }
    }

    /// Answers with what became of the last try. A change that was sent before may have been made then
    /// or take effect still, so no failure of a later try promises that it was not.
    pub(super) fn answer(self, outcome: Outcome) {
        let outcome = match (outcome, self.operation, self.tried) {
            (
                Err(now),
                Operation::Change(_),
                Tried::Sent {
                    failure: before,
                    not_applied: false,
                    ..
                },
            ) if before == Failure::Unknown || !now.leaves_open() => Err(before),
            (outcome, ..) => outcome,
        };
        // A caller who hung up meanwhile has no use for it.
        drop(self.outcome.send(outcome));
    }

    /// Answers that it was not sent, or not again.
    pub(super) fn refuse(self, failure: Failure) {
        let failure = self.failure_unless_sent(failure);
        self.answer(Err(failure));
    }

    /// What a caller hears who is not sent now: what was tried before says more.
    pub(super) fn failure_unless_sent(&self, now: Failure) -> Failure {
        match &self.tried {
            Tried::Nothing => now,
            Tried::Unsent(failure) | Tried::Sent { failure, .. } => failure.clone(),
        }
    }

    pub(super) fn was_sent_before(&self) -> bool {
        matches!(self.tried, Tried::Sent { .. })
    }

    pub(super) fn is_gone(&self) -> bool {
        self.outcome.is_closed()
    }
}
