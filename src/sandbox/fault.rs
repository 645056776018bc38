//! Faults on request: what a test wants to go wrong, and the queue of what is still to come. How
//! they are asked for over HTTP is in `control.rs`.

use std::{collections::VecDeque, time::Duration};

use http::StatusCode;

use super::privacy::Change;

/// Something that goes wrong with a request that would have succeeded otherwise: a refused request
/// meets no fault. Such a request meets the first fault in the queue that is meant for it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Only requests of this instance meet it.
    pub instance: Option<String>,
    /// Only calls of this kind meet it.
    pub call: Option<Call>,
    /// How many requests meet it, at least 1.
    pub times: u32,
    /// Whether the update is carried out.
    pub apply: bool,
    /// How long after the request, even if the connection is gone by then.
    pub apply_after: Duration,
    /// What the caller gets.
    pub answer: Answer,
    /// How long after the request the caller gets it, at the earliest.
    pub answer_after: Duration,
}

/// The calls that have to do with privacy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `POST /api/profile/privacy/:instance`
    Update,
    /// `GET /api/profile/getPrivacy/:instance` and its alias
    Read,
}

/// What the caller gets. The first three wait until the update is carried out, the others do not.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The usual answer, with the settings as they are then.
    Normal,
    /// The usual answer, with the settings from before the instance's last update.
    Stale,
    /// A failure once the update comes to this field: the earlier ones stay applied. Only updates of
    /// the field meet the fault.
    FieldFailure {
        /// The last part of the field's name, such as `lastSeen`.
        field: String,
        /// 400 to 599.
        status: StatusCode,
        /// The envelope's `error.message`.
        message: String,
    },
    /// A message in the usual envelope.
    Status {
        /// 200 to 599.
        status: StatusCode,
        /// The envelope's `error.message`.
        message: String,
    },
    /// A body as it is, be it JSON or not.
    Raw {
        /// 200 to 599.
        status: StatusCode,
        /// The body, sent as `application/json`.
        body: String,
    },
    /// The connection is closed instead.
    Close,
    /// Nothing, until the caller hangs up.
    Never,
}

impl Answer {
    /// A field's failure as Ryze documents it: a 500 that names the field, and what WhatsApp's library
    /// said, such as `info query timed out`.
    #[must_use]
    pub fn field_failure(field: &str, reason: &str) -> Self {
        Self::FieldFailure {
            field: field.into(),
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: format!("failed to update {field} privacy: {reason}"),
        }
    }
}

impl Fault {
    /// A fault that one request meets at once. The update is carried out if the answer speaks of it.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        Self {
            instance: None,
            call: None,
            times: 1,
            apply: matches!(
                answer,
                Answer::Normal | Answer::Stale | Answer::FieldFailure { .. }
            ),
            apply_after: Duration::ZERO,
            answer,
            answer_after: Duration::ZERO,
        }
    }

    fn is_for(&self, instance: &str, call: Call, changes: &[Change]) -> bool {
        let reached = match &self.answer {
            Answer::FieldFailure { field, .. } => changes.iter().any(|it| it.field.name == field),
            _ => true,
        };
        reached
            && self.instance.as_deref().is_none_or(|it| it == instance)
            && self.call.is_none_or(|it| it == call)
    }

    /// Takes the fault that a request meets from the queue.
    pub(super) fn take(
        queue: &mut VecDeque<Self>,
        instance: &str,
        call: Call,
        changes: &[Change],
    ) -> Option<Self> {
        let mut faults = queue.iter();
        let position = faults.position(|fault| fault.is_for(instance, call, changes))?;
        let fault = queue.get_mut(position)?;
        if fault.times <= 1 {
            return queue.remove(position);
        }
        fault.times -= 1;
        Some(fault.clone())
    }
}
