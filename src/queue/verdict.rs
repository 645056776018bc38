//! What the result of a request means for each of its calls. Pure.

use crate::{
    privacy::{Failure, Fault, Limiter, Operation, Outcome, Settings},
    ryze::Error,
};

/// What is known of an operation after its request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The outcome.
    Known(Outcome),
    /// It was sent, and neither confirmed nor refused. The failure is the outcome unless a read-back or
    /// a retry finds a better one.
    Open(Failure),
}

/// Judges an operation by the result of its request, an update of that many fields or a read. A change has the value that was sent.
pub(super) fn judge(
    result: &Result<Settings, Error>,
    operation: Operation,
    fields: usize,
) -> Verdict {
    let error = match result {
        Ok(settings) if shows(settings, operation) => return Verdict::Known(Ok(*settings)),
        Ok(_) => {
            return Verdict::Open(Failure::Upstream(Fault::NotConfirmed));
        }
        Err(error) => error,
    };
    let failure = error.failure(operation.setting());
    let is_open = match operation.setting() {
        Some(setting) => error.leaves_open(setting, fields),
        None => error.was_sent() && failure.leaves_open(),
    };
    if is_open {
        Verdict::Open(unconfirmed(failure))
    } else {
        Verdict::Known(Err(failure))
    }
}

/// Whether the settings show what was sent for an operation.
pub(super) fn shows(settings: &Settings, operation: Operation) -> bool {
    operation
        .change()
        .is_none_or(|change| settings.get(change.setting) == Some(change.audience))
}

/// Whether the settings show another value. A setting that they lack proves nothing.
pub(super) fn shows_other(settings: &Settings, operation: Operation) -> bool {
    operation.change().is_some_and(|change| {
        let shown = settings.get(change.setting);
        shown.is_some_and(|shown| shown != change.audience)
    })
}

/// The failure in a form that does not promise that a change was not carried out.
fn unconfirmed(failure: Failure) -> Failure {
    Failure::Upstream(match failure {
        Failure::Unknown(_) => return failure,
        Failure::Denied { report, .. } | Failure::Refused { report, .. } => Fault::Answered(report),
        Failure::Upstream(fault) => fault,
        Failure::Throttled {
            by: Limiter::WhatsApp,
            ..
        } => Fault::ThrottledMidway,
        Failure::Throttled { .. }
        | Failure::NotConnected
        | Failure::Budget { .. }
        | Failure::BudgetUnavailable { .. }
        | Failure::QueueFull
        | Failure::NotSent => Fault::Incomplete,
    })
}
