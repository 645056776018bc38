//! A call that waits for its outcome: its operation, its time limits and its last attempt.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use crate::{
    privacy::{Failure, Operation, Outcome, Settings},
    ryze::Target,
    telemetry::Trace,
};

pub(super) struct PendingCall {
    /// Ascending in the order of arrival.
    pub(super) number: u64,
    /// The target at arrival. A reload may replace its token before the call is sent.
    pub(super) target: Arc<Target>,
    /// The requested operation; once it was sent, the value that was sent for its setting.
    pub(super) operation: Operation,
    /// The call is not sent after this time.
    pub(super) send_by: Instant,
    /// Retries stop at this time if Ryze stays unreachable. `None` while it is reachable.
    pub(super) give_up_at: Option<Instant>,
    /// Whether the call had a permit before. It then waits for the next one as long as it has time.
    pub(super) was_requeued: bool,
    pub(super) attempt: Attempt,
    pub(super) trace: Arc<Trace>,
    pub(super) outcome: oneshot::Sender<Outcome>,
}

/// The last attempt to send a call.
pub(super) enum Attempt {
    NotMade,
    /// The request could not be sent, with this failure.
    Unsent(Failure),
    /// The request was sent and failed, and a read-back did not show the value. The call is sent once
    /// more.
    Sent {
        failure: Failure,
        /// Whether the retry has no other settings in its request, because the failure did not name
        /// the setting at fault.
        isolated: bool,
        /// Whether the value is known not to be applied: Ryze ended the update at another field, and a
        /// read-back did not show this one.
        not_applied: bool,
    },
}

impl PendingCall {
    /// Takes over the value that was sent for its setting, which may be that of a later call. A retry
    /// with the older value, once the later call is cancelled, would land behind the newer one.
    ///
    /// Not for an update that was not sent or that Ryze rejected for its own limit: the later call may
    /// have failed with the promise that nothing was changed.
    pub(super) fn adopt_sent_value(&mut self, update: &Settings) {
        if let Operation::Change(change) = &mut self.operation
            && let Some(sent) = update.get(change.setting)
        {
            change.audience = sent;
        }
    }

    /// Completes the call with the outcome of its last attempt. A change that was sent before may have
    /// been applied then, or may still be, so no failure of a later attempt promises that it was not.
    pub(super) fn complete(self, outcome: Outcome) {
        let outcome = match (outcome, self.operation, self.attempt) {
            (
                Err(now),
                Operation::Change(_),
                Attempt::Sent {
                    failure: before,
                    not_applied: false,
                    ..
                },
            ) if before.is_unknown() || !now.leaves_open() => Err(before),
            (outcome, ..) => outcome,
        };
        // Fails if the client disconnected meanwhile.
        drop(self.outcome.send(outcome));
    }

    /// Completes a call that is not sent, or not once more.
    pub(super) fn fail_unsent(self, failure: Failure) {
        let failure = self.failure_unless_sent(failure);
        self.complete(Err(failure));
    }

    /// The failure of a call that is not sent now: that of an earlier attempt, or else `now`.
    pub(super) fn failure_unless_sent(&self, now: Failure) -> Failure {
        match &self.attempt {
            Attempt::NotMade => now,
            Attempt::Unsent(failure) | Attempt::Sent { failure, .. } => failure.clone(),
        }
    }

    pub(super) fn was_sent_before(&self) -> bool {
        matches!(self.attempt, Attempt::Sent { .. })
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.outcome.is_closed()
    }
}
