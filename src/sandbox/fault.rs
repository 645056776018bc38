//! Faults that a test injects, and the queue of pending ones.

use std::{collections::VecDeque, time::Duration};

use http::StatusCode;
use serde::Deserialize;

use super::privacy::Change;

/// A fault of a request that would have succeeded: a rejected request does not consume one. Each such
/// request takes the first fault in the queue that matches it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Matches only requests of this instance.
    pub instance: Option<String>,
    /// Matches only calls of this kind.
    pub call: Option<Call>,
    /// How many requests it applies to, at least 1.
    pub times: u32,
    /// Whether the update is applied.
    pub apply: bool,
    /// Delay from the request to the update, even if the connection is closed by then.
    pub apply_after: Duration,
    pub answer: Answer,
    /// Minimum delay from the request to the answer.
    pub answer_after: Duration,
}

/// The calls of the privacy API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    /// `POST /api/profile/privacy/:instance`
    Update,
    /// `GET /api/profile/getPrivacy/:instance` and its alias
    Read,
}

/// The answer to a request with a fault. The first three wait until the update is applied, the others
/// do not.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The usual answer, with the settings as they are then.
    Normal,
    /// The usual answer, with the settings from before the instance's last update.
    Stale,
    /// A failure when the update reaches this field; earlier fields stay applied. Matches only updates
    /// of the field.
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
    /// Any body, JSON or not.
    Raw {
        /// 200 to 599.
        status: StatusCode,
        /// The body, sent as `application/json`.
        body: String,
    },
    /// The connection is closed instead.
    Close,
    /// Nothing until the client disconnects.
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
    /// A fault of one request, without delays. The update is applied if the answer reports it.
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

    fn matches(&self, instance: &str, call: Call, changes: &[Change]) -> bool {
        let reached = match &self.answer {
            Answer::FieldFailure { field, .. } => changes.iter().any(|it| it.field.name == field),
            _ => true,
        };
        reached
            && self.instance.as_deref().is_none_or(|it| it == instance)
            && self.call.is_none_or(|it| it == call)
    }

    /// Takes the fault for a request from the queue.
    pub(super) fn take(
        queue: &mut VecDeque<Self>,
        instance: &str,
        call: Call,
        changes: &[Change],
    ) -> Option<Self> {
        let mut faults = queue.iter();
        let position = faults.position(|fault| fault.matches(instance, call, changes))?;
        let fault = queue.get_mut(position)?;
        if fault.times <= 1 {
            return queue.remove(position);
        }
        fault.times -= 1;
        Some(fault.clone())
    }
}
