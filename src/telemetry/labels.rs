//! Labels of the metrics, and words of the log and the status page. Each has few values, and none that a
//! client wrote. The outcome of a request is in `outcome_label.rs`.

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;

use super::{outcome_label::OutcomeLabel, words::words};
use crate::privacy::Setting;

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
        /// Forwarded to the fallback, translated or not.
        Forwarded = "forwarded",
        Refused = "refused",
        /// Unknown, because the body is incomplete or was not read.
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
    /// The limit that refused a request.
    pub(crate) enum RefusedBy {
        Budget = "budget",
        Ryze = "ryze",
        Redis = "redis",
    }
}

words! {
    /// The result of a reload of the configuration.
    pub(crate) enum Reloaded {
        Applied = "applied",
        Refused = "refused",
    }
}

/// Labels of a client's request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ServerLabels {
    pub(super) http_request_method: &'static str,
    pub(super) http_route: &'static str,
    pub(super) http_response_status_code: Option<u16>,
    pub(super) error_type: Option<OutcomeLabel>,
}

/// Labels of a request to an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ClientLabels {
    pub(super) upstream: Upstream,
    pub(super) http_request_method: &'static str,
    pub(super) http_response_status_code: Option<u16>,
    pub(super) error_type: Option<OutcomeLabel>,
}

/// Labels of a privacy call of an observed instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ObservedLabels {
    pub(super) verdict: ObservedLabel,
    pub(super) reason: Option<OutcomeLabel>,
}

/// Labels of a change.
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

/// A registered status code, or the `x00` of its class, as which a client treats an unknown code (RFC
/// 9110, 15). So the label has few values.
pub(super) fn status(status: StatusCode) -> u16 {
    let code = status.as_u16();
    match status.canonical_reason() {
        Some(_) => code,
        None => code / 100 * 100,
    }
}

/// The name of a setting.
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
