//! The labels of the metrics. Each has few values: what callers write is none of them.

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;

use crate::privacy::Setting;

/// A label alone.
pub(crate) type Label = (&'static str, &'static str);

/// Of a request to the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ServerLabels {
    pub(super) http_request_method: &'static str,
    pub(super) http_route: &'static str,
    pub(super) http_response_status_code: Option<u16>,
    pub(super) error_type: &'static str,
}

/// Of a request of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ClientLabels {
    pub(super) upstream: &'static str,
    pub(super) http_request_method: &'static str,
    pub(super) http_response_status_code: Option<u16>,
    pub(super) error_type: &'static str,
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
