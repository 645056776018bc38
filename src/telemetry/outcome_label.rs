//! The outcome of a request, as log, metrics and status page show it, and the counters that it belongs to.

use super::words::words;
use crate::privacy::{Failure, Limiter};

words! {
    /// How a request ended: `outcome`, and for a failure `error_type`.
    pub enum OutcomeLabel {
        CallerLeft = "caller_left",
        Confirmed = "confirmed",
        Read = "read",
        Forwarded = "forwarded",
        CutShort = "cut_short",
        // Failures of an operation.
        Budget = "budget",
        BudgetUnavailable = "budget_unavailable",
        ThrottledByUpstream = "throttled_by_upstream",
        ThrottledByWhatsApp = "throttled_by_whatsapp",
        NotConnected = "not_connected",
        Denied = "denied",
        Refused = "refused",
        Upstream = "upstream",
        NotSent = "not_sent",
        QueueFull = "queue_full",
        Unknown = "unknown",
        // Requests that were not tried on Ryze.
        BadRequest = "bad_request",
        UnknownPath = "unknown_path",
        WrongMethod = "wrong_method",
        UnknownInstance = "unknown_instance",
        ClientTokenMissing = "client_token_missing",
        ClientTokenWrong = "client_token_wrong",
        UnsupportedMediaType = "unsupported_media_type",
        BodyTooLarge = "body_too_large",
        BodyTooSlow = "body_too_slow",
        NoCounterpart = "no_counterpart",
        ContactsList = "contacts_list",
        TlsRequired = "tls_required",
        Unavailable = "unavailable",
        FallbackFailed = "fallback_failed",
        FallbackTimeout = "fallback_timeout",
        // Requests of the gateway to Ryze without a response.
        Unreachable = "unreachable",
        Untrusted = "untrusted",
        NoAnswer = "no_answer",
    }
}

/// Why calls of observed instances would have been refused.
pub(super) const OBSERVED_REASONS: [OutcomeLabel; 10] = [
    OutcomeLabel::BadRequest,
    OutcomeLabel::UnknownPath,
    OutcomeLabel::WrongMethod,
    OutcomeLabel::UnknownInstance,
    OutcomeLabel::ClientTokenMissing,
    OutcomeLabel::ClientTokenWrong,
    OutcomeLabel::UnsupportedMediaType,
    OutcomeLabel::BodyTooLarge,
    OutcomeLabel::BodyTooSlow,
    OutcomeLabel::ContactsList,
];

/// The counters that export an outcome as 0 from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CountedIn {
    ChangesAndReads,
    Changes,
    Reads,
    Unsupported,
    /// None: only requests end with it, which are counted by route and status.
    Requests,
}

impl OutcomeLabel {
    pub(super) fn counted_in(self) -> CountedIn {
        match self {
            Self::CallerLeft
            | Self::Budget
            | Self::BudgetUnavailable
            | Self::ThrottledByUpstream
            | Self::ThrottledByWhatsApp
            | Self::NotConnected
            | Self::Denied
            | Self::Refused
            | Self::Upstream
            | Self::NotSent
            | Self::QueueFull
            | Self::Unknown => CountedIn::ChangesAndReads,
            // The last three are outcomes of changes that the fallback carries out.
            Self::Confirmed | Self::Forwarded | Self::FallbackFailed | Self::FallbackTimeout => {
                CountedIn::Changes
            }
            Self::Read => CountedIn::Reads,
            Self::UnknownPath | Self::NoCounterpart | Self::ContactsList => CountedIn::Unsupported,
            Self::CutShort
            | Self::BadRequest
            | Self::WrongMethod
            | Self::UnknownInstance
            | Self::ClientTokenMissing
            | Self::ClientTokenWrong
            | Self::UnsupportedMediaType
            | Self::BodyTooLarge
            | Self::BodyTooSlow
            | Self::TlsRequired
            | Self::Unavailable
            | Self::Unreachable
            | Self::Untrusted
            | Self::NoAnswer => CountedIn::Requests,
        }
    }
}

impl From<&Failure> for OutcomeLabel {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Budget { .. } => Self::Budget,
            Failure::BudgetUnavailable { .. } => Self::BudgetUnavailable,
            Failure::Throttled {
                by: Limiter::Upstream,
                ..
            } => Self::ThrottledByUpstream,
            Failure::Throttled {
                by: Limiter::WhatsApp,
                ..
            } => Self::ThrottledByWhatsApp,
            Failure::NotConnected => Self::NotConnected,
            Failure::Denied { .. } => Self::Denied,
            Failure::Refused { .. } => Self::Refused,
            Failure::Upstream(_) => Self::Upstream,
            Failure::NotSent => Self::NotSent,
            Failure::QueueFull => Self::QueueFull,
            Failure::Unknown(_) => Self::Unknown,
        }
    }
}
