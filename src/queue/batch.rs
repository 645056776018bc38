//! Who can go in one request with whom. What the request is belongs in `run.rs`. Pure.

use super::{Caller, Tried};
use crate::privacy::{Operation, Setting};

/// Who can go in one request.
#[derive(PartialEq, Eq)]
pub(super) enum Company {
    Reads,
    Changes,
    /// Changes that are sent once more, not with others that may be at fault.
    Again,
    /// Those of one setting.
    Alone(Setting),
}

impl Company {
    pub(super) fn of(caller: &Caller) -> Self {
        match (caller.operation, &caller.tried) {
            (Operation::Read, _) => Self::Reads,
            (Operation::Change(change), Tried::Sent { alone: true, .. }) => {
                Self::Alone(change.setting)
            }
            (_, Tried::Sent { .. }) => Self::Again,
            (_, Tried::Nothing | Tried::Unsent(_)) => Self::Changes,
        }
    }
}
