//! Whether a client's call was carried out, and if not, whose fault that was.

use http::StatusCode;

use super::{outcome_label::OutcomeLabel, words::words};

words! {
    /// What came of a client's call.
    pub enum CallResult {
        Done = "done",
        /// By a fault of the gateway, Ryze, WhatsApp or the fallback.
        Failed = "failed",
        /// The call was wrong or not supported, or its client disconnected.
        ClientError = "client_error",
    }
}

impl CallResult {
    /// Of a call with this outcome and this status of its response. The fallback answers a forwarded call
    /// with any status, which is not an outcome of its own.
    pub(crate) fn of(outcome: OutcomeLabel, status: Option<StatusCode>) -> Self {
        match outcome {
            OutcomeLabel::Forwarded => match status {
                Some(status) if status.is_server_error() => Self::Failed,
                Some(status) if status.is_client_error() => Self::ClientError,
                _ => Self::Done,
            },
            OutcomeLabel::Confirmed | OutcomeLabel::Read => Self::Done,
            OutcomeLabel::CallerLeft
            | OutcomeLabel::BadRequest
            | OutcomeLabel::UnknownPath
            | OutcomeLabel::WrongMethod
            | OutcomeLabel::UnknownInstance
            | OutcomeLabel::ClientTokenMissing
            | OutcomeLabel::ClientTokenWrong
            | OutcomeLabel::UnsupportedMediaType
            | OutcomeLabel::BodyTooLarge
            | OutcomeLabel::BodyTooSlow
            | OutcomeLabel::NoCounterpart
            | OutcomeLabel::ContactsList
            | OutcomeLabel::TlsRequired => Self::ClientError,
            OutcomeLabel::CutShort
            | OutcomeLabel::Budget
            | OutcomeLabel::BudgetUnavailable
            | OutcomeLabel::ThrottledByUpstream
            | OutcomeLabel::ThrottledByWhatsApp
            | OutcomeLabel::NotConnected
            | OutcomeLabel::Denied
            | OutcomeLabel::Refused
            | OutcomeLabel::Upstream
            | OutcomeLabel::NotSent
            | OutcomeLabel::QueueFull
            | OutcomeLabel::Unknown
            | OutcomeLabel::Unavailable
            | OutcomeLabel::FallbackFailed
            | OutcomeLabel::FallbackTimeout
            | OutcomeLabel::Unreachable
            | OutcomeLabel::Untrusted
            | OutcomeLabel::NoAnswer => Self::Failed,
        }
    }
}
