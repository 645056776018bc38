//! Selection of the calls that go into one request, and the update that they coalesce into. Pure.

use std::mem;

use super::pending_call::{Attempt, PendingCall};
use crate::privacy::{Operation, Setting, Settings};

/// Calls with the same key may share a request.
#[derive(PartialEq, Eq)]
enum BatchKey {
    Reads,
    Changes,
    /// Changes that are sent once more, apart from newer ones, which would fail with them.
    Retry,
    /// Changes of one setting that may have caused the failure of a shared request.
    Isolated(Setting),
}

impl BatchKey {
    fn of(call: &PendingCall) -> Self {
        match (call.operation, &call.attempt) {
            (Operation::Read, _) => Self::Reads,
            (Operation::Change(change), Attempt::Sent { isolated: true, .. }) => {
                Self::Isolated(change.setting)
            }
            (_, Attempt::Sent { .. }) => Self::Retry,
            (_, Attempt::NotMade | Attempt::Unsent(_)) => Self::Changes,
        }
    }
}

/// Removes the first call and all that may share its request, up to the first that `is_other` rejects:
/// values behind that one must not overtake it.
pub(super) fn take(
    calls: &mut Vec<PendingCall>,
    is_other: impl Fn(&PendingCall) -> bool,
) -> Vec<PendingCall> {
    let end = calls.iter().position(is_other).unwrap_or(calls.len());
    let Some(key) = calls[..end].first().map(BatchKey::of) else {
        return Vec::new();
    };
    let shares = |call: &PendingCall| BatchKey::of(call) == key;
    // Usually the batch has all calls, and none is moved.
    if calls[end..].is_empty() && calls.iter().all(shares) {
        return mem::take(calls);
    }
    calls.extract_if(..end, |call| shares(call)).collect()
}

/// One update of all changes, in which the last value per setting wins. Empty for reads.
pub(super) fn coalesce(calls: &[PendingCall]) -> Settings {
    let changes = calls.iter().filter_map(|call| call.operation.change());
    changes.collect()
}
