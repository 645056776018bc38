//! Labels of the metrics, and words of the log and the status page. Each has few values, and none that
//! a caller wrote.

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;

use crate::privacy::{Failure, Limiter, Setting};

/// Declares an enum whose variants each have a word, which logs, metrics and JSON show.
macro_rules! words {
    ($(#[$doc:meta])* $vis:vis enum $name:ident { $($(#[$of_variant:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $($(#[$of_variant])* $variant,)+ }

        impl $name {
            #[allow(dead_code, reason = "not each of them is enumerated")]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)+];

            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl prometheus_client::encoding::EncodeLabelValue for $name {
            fn encode(
                &self,
                encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
            ) -> Result<(), std::fmt::Error> {
                prometheus_client::encoding::EncodeLabelValue::encode(&self.as_str(), encoder)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// How a request ended: `outcome`, and where it failed `error_type`.
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

words! {
    /// Who ended a request.
    pub enum EndedBy {
        Caller = "caller",
        Gateway = "gateway",
        Ryze = "ryze",
        Fallback = "fallback",
    }
}

words! {
    /// What would have happened to a call of an observed instance: `observed`.
    pub enum ObservedLabel {
        /// Sent to Ryze.
        Translated = "translated",
        /// Passed to the fallback, as it was.
        Forwarded = "forwarded",
        Refused = "refused",
        /// Not known: its body did not come whole, or was not read.
        Unread = "unread",
    }
}

words! {
    /// The server that the gateway called.
    pub(crate) enum Upstream {
        Ryze = "ryze",
        Fallback = "fallback",
    }
}

words! {
    /// The class of the status of a response, as few labels as possible.
    pub(crate) enum StatusClass {
        Success = "2xx",
        Redirect = "3xx",
        ClientError = "4xx",
        ServerError = "5xx",
        Unusual = "other",
        /// The client disconnected before the response.
        NoResponse = "none",
    }
}

impl From<Option<StatusCode>> for StatusClass {
    fn from(status: Option<StatusCode>) -> Self {
        match status.map(|status| status.as_u16() / 100) {
            None => Self::NoResponse,
            Some(2) => Self::Success,
            Some(3) => Self::Redirect,
            Some(4) => Self::ClientError,
            Some(5) => Self::ServerError,
            Some(_) => Self::Unusual,
        }
    }
}

words! {
    /// What a permit of the budget is for.
    pub(crate) enum WaitPurpose {
        Call = "call",
        ReadBack = "read_back",
    }
}

words! {
    /// Whose limit refused a request.
    pub(crate) enum RefusedBy {
        Budget = "budget",
        Ryze = "ryze",
        Redis = "redis",
    }
}

words! {
    /// How a reload of the configuration went.
    pub(crate) enum Reloaded {
        Applied = "applied",
        Refused = "refused",
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

/// The metrics in which an outcome is counted from the start as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CountedIn {
    ChangesAndReads,
    Changes,
    Reads,
    Unsupported,
    /// Requests alone, which are counted by route and status.
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
            // The last three are of changes that the fallback carries out.
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

/// Of a request to the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ServerLabels {
    pub(super) http_request_method: &'static str,
    pub(super) http_route: &'static str,
    pub(super) http_response_status_code: Option<u16>,
    pub(super) error_type: Option<OutcomeLabel>,
}

/// Of a request of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ClientLabels {
    pub(super) upstream: Upstream,
    pub(super) http_request_method: &'static str,
    pub(super) http_response_status_code: Option<u16>,
    pub(super) error_type: Option<OutcomeLabel>,
}

/// Of a call of an observed instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ObservedLabels {
    pub(super) verdict: ObservedLabel,
    pub(super) reason: Option<OutcomeLabel>,
}

/// Of a change that a caller asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ChangeLabels {
    pub(super) setting: &'static str,
    pub(super) outcome: OutcomeLabel,
}

/// A method as OpenTelemetry has it: one of the registered ones, or `_OTHER`.
pub(crate) fn method(method: &Method) -> &'static str {
    match *method {
        Method::CONNECT => "CONNECT",
        Method::DELETE => "DELETE",
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}

/// A status as a caller who does not know it has to take it: one that is not registered is the `x00` of
/// its class (RFC 9110, 15).
pub(super) fn status(status: StatusCode) -> u16 {
    let code = status.as_u16();
    match status.canonical_reason() {
        Some(_) => code,
        None => code / 100 * 100,
    }
}

/// A setting in the domain's words.
pub(super) fn setting(setting: Setting) -> &'static str {
    match setting {
        Setting::ProfilePhoto => "profile_photo",
        Setting::LastSeen => "last_seen",
        Setting::About => "about",
        Setting::Online => "online",
        Setting::GroupAdd => "group_add",
        Setting::ReadReceipts => "read_receipts",
    }
}
