//! What an answer of the upstream means for one of those whom its request was for. Pure.

use crate::{
    privacy::{Failure, Operation, Outcome, Settings},
    ryze::Error,
};

/// What is known of an operation once its request is over.
#[derive(Debug)]
pub(super) enum Verdict {
    /// All.
    Known(Outcome),
    /// It was sent, and neither confirmed nor refused: this is what its caller hears if no more can be
    /// found out.
    Open(Failure),
}

/// Judges an operation by the result of the request that was to carry it out.
pub(super) fn judge(
    result: &Result<Settings, Error>,
    update: &Settings,
    operation: Operation,
) -> Verdict {
    match result {
        Ok(settings) if shows(settings, update, operation) => Verdict::Known(Ok(*settings)),
        Ok(_) => Verdict::Open(Failure::Upstream {
            reason: "Ryze did not confirm the change".into(),
        }),
        Err(error) => match error.failure(operation.setting()) {
            failure if failure.leaves_open() && error.was_sent() => Verdict::Open(failure),
            failure => Verdict::Known(Err(failure)),
        },
    }
}

/// Whether the settings show what was sent for an operation. The value that was sent counts, not the
/// caller's own: where they differ, a later caller replaced it while both were under way, and both
/// orders are true.
pub(super) fn shows(settings: &Settings, sent: &Settings, operation: Operation) -> bool {
    operation
        .setting()
        .is_none_or(|setting| settings.get(setting) == sent.get(setting))
}
