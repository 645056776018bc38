//! Why a request failed: the closed vocabulary of `reason` in the log. `docs/operations.md` has its
//! table.
//!
//! `outcome` says how a request ended, and `ended_by` at which side; a reason says what to check. Each
//! failed request has exactly one, and a success has none.

use super::words::words;
use crate::{
    net::ConnectFault,
    privacy::{Denied, Failure, Fault, Limiter, NoAnswer, Refused, WhatsAppError},
};

words! {
    /// Why a request failed.
    pub enum Reason {
        CallerLeft = "caller_left",
        // The request.
        Target = "target",
        Header = "header",
        TlsRequired = "tls_required",
        PathUnknown = "path_unknown",
        NoFallback = "no_fallback",
        Method = "method",
        IdUnknown = "id_unknown",
        ZapiTokenWrong = "zapi_token_wrong",
        LooksSwapped = "looks_swapped",
        ClientTokenMissing = "client_token_missing",
        ClientTokenWrong = "client_token_wrong",
        ContentType = "content_type",
        ContentEncoding = "content_encoding",
        BodyTooLarge = "body_too_large",
        BodyTimeout = "body_timeout",
        BodyIncomplete = "body_incomplete",
        BodyNotJson = "body_not_json",
        FieldVisualizationType = "field:visualizationType",
        FieldType = "field:type",
        FieldValue = "field:value",
        FieldContactsBlacklist = "field:contactsBlacklist",
        NoCounterpart = "no_counterpart",
        ContactsList = "contacts_list",
        // The gateway.
        BudgetExhausted = "budget_exhausted",
        Redis = "redis",
        NotSent = "not_sent",
        QueueFull = "queue_full",
        Overloaded = "overloaded",
        Stopping = "stopping",
        Internal = "internal",
        // An upstream: Ryze, or the fallback.
        NameNotKnown = "name_not_known",
        ConnectRefused = "connect_refused",
        ConnectTimeout = "connect_timeout",
        ConnectFailed = "connect_failed",
        Certificate = "certificate",
        Tls = "tls",
        ConnectionClosed = "connection_closed",
        Timeout = "timeout",
        AnswerInvalid = "answer_invalid",
        // Ryze.
        TokenWrong = "token_wrong",
        AccessDenied = "access_denied",
        InstanceNotKnown = "instance_not_known",
        RyzeRateLimited = "ryze_rate_limited",
        RyzeRefused = "ryze_refused",
        RyzeFailed = "ryze_failed",
        NotConfirmed = "not_confirmed",
        OtherSetting = "other_setting",
        // WhatsApp.
        WhatsAppDisconnected = "whatsapp_disconnected",
        WhatsAppRateLimited = "whatsapp_rate_limited",
        WhatsAppTimeout = "whatsapp_timeout",
        WhatsAppForbidden = "whatsapp_forbidden",
        WhatsAppNotAuthorized = "whatsapp_not_authorized",
        WhatsAppNotAcceptable = "whatsapp_not_acceptable",
        WhatsAppBadRequest = "whatsapp_bad_request",
        // The fallback.
        Loop = "loop",
        CutShort = "cut_short",
    }
}

impl From<ConnectFault> for Reason {
    fn from(fault: ConnectFault) -> Self {
        match fault {
            ConnectFault::Refused => Self::ConnectRefused,
            ConnectFault::TimedOut => Self::ConnectTimeout,
            ConnectFault::NameNotKnown => Self::NameNotKnown,
            ConnectFault::Certificate => Self::Certificate,
            ConnectFault::Tls => Self::Tls,
            ConnectFault::Closed => Self::ConnectionClosed,
            ConnectFault::Other => Self::ConnectFailed,
        }
    }
}

impl From<&Failure> for Reason {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Budget { .. } => Self::BudgetExhausted,
            Failure::BudgetUnavailable { .. } => Self::Redis,
            Failure::Throttled { by, .. } => match by {
                Limiter::Upstream => Self::RyzeRateLimited,
                Limiter::WhatsApp => Self::WhatsAppRateLimited,
            },
            Failure::NotConnected => Self::WhatsAppDisconnected,
            Failure::Denied { what, .. } => match what {
                Denied::Token => Self::TokenWrong,
                Denied::Access => Self::AccessDenied,
                Denied::Instance => Self::InstanceNotKnown,
            },
            Failure::Refused { by, .. } => match by {
                Refused::Upstream => Self::RyzeRefused,
                Refused::WhatsApp(WhatsAppError::BadRequest) => Self::WhatsAppBadRequest,
                Refused::WhatsApp(WhatsAppError::NotAuthorized) => Self::WhatsAppNotAuthorized,
                Refused::WhatsApp(WhatsAppError::Forbidden) => Self::WhatsAppForbidden,
                Refused::WhatsApp(WhatsAppError::NotAcceptable) => Self::WhatsAppNotAcceptable,
            },
            Failure::Upstream(fault) => match fault {
                Fault::Unreachable(fault) => (*fault).into(),
                Fault::Answered(_) | Fault::Incomplete => Self::RyzeFailed,
                Fault::Malformed(_) => Self::AnswerInvalid,
                Fault::NotConfirmed => Self::NotConfirmed,
                Fault::OtherSetting => Self::OtherSetting,
                Fault::ThrottledMidway => Self::WhatsAppRateLimited,
            },
            Failure::NotSent => Self::NotSent,
            Failure::QueueFull => Self::QueueFull,
            Failure::Unknown(cause) => match cause {
                NoAnswer::TimedOut => Self::Timeout,
                NoAnswer::Closed => Self::ConnectionClosed,
                NoAnswer::WhatsAppTimedOut => Self::WhatsAppTimeout,
                NoAnswer::WhatsAppDisconnected => Self::WhatsAppDisconnected,
                NoAnswer::Panicked => Self::Internal,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_has_a_row_for_each_reason() {
        let guide = include_str!("../../docs/operations.md");
        let table = guide.split("| `reason` | Meaning |").nth(1).unwrap_or("");
        let rows = table.trim_start().lines().skip(1);
        let rows = rows.map_while(|line| line.strip_prefix("| `")?.split('`').next());
        let told: Vec<_> = rows.collect();
        let reasons: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(told, reasons);
    }
}
