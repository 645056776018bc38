//! Reads Ryze's responses: the settings, or the error by status, headers and message.
//!
//! Sources: the errors on Ryze's page "Update privacy", and the texts of the WhatsApp library that
//! Ryze passes through.

use std::time::Duration;

use http::{StatusCode, response::Parts};

use super::{
    error::{Error, Progress},
    plain, rate_limit, reason, wire,
};
use crate::{
    config::Secret,
    content_encoding,
    privacy::{
        Denied, Failure, Fault, Limiter, Malformed, NoAnswer, Refused, Report, Settings,
        WhatsAppError,
    },
    redact::SecretIndex,
};

/// WhatsApp's error for too many requests, anywhere in a message.
const OVER_LIMIT: &str = "rate-overlimit";
/// Each text of the WhatsApp library has one of these, so a message with one was written after Ryze
/// sent a request to WhatsApp.
const WHATSAPP_TEXTS: [&str; 3] = ["info query", "websocket ", OVER_LIMIT];
/// Prefixes of the messages with which Ryze rejects the body of an update.
const INVALID_PREFIXES: [&str; 2] = ["Invalid ", "At least one privacy setting "];
/// WhatsApp's words for a refusal.
const REFUSALS: [(&str, WhatsAppError); 4] = [
    ("bad-request", WhatsAppError::BadRequest),
    ("not-authorized", WhatsAppError::NotAuthorized),
    ("forbidden", WhatsAppError::Forbidden),
    ("not-acceptable", WhatsAppError::NotAcceptable),
];
/// WhatsApp does not say for how long.
const WHATSAPP_THROTTLES: Failure = Failure::Throttled {
    by: Limiter::WhatsApp,
    retry_after: Duration::ZERO,
};

/// Reads a response to either privacy call. `token`, with which the request was sent, and the `secrets`
/// are removed from the failure's reason.
pub(super) fn read(
    parts: &Parts,
    body: &[u8],
    token: &Secret,
    secrets: [&SecretIndex; 2],
) -> Result<Settings, Error> {
    if parts.status == StatusCode::OK {
        if content_encoding::is_encoded(&parts.headers) {
            return Err(Error::malformed(Malformed::Encoded));
        }
        let settings = plain::settings(body).or_else(|| wire::settings(body));
        return settings.ok_or_else(|| Error::malformed(Malformed::NoSettings));
    }
    let message = wire::message(body).unwrap_or_default();
    let report = Report {
        status: parts.status.as_u16(),
        message: reason::sanitize(&message, token.expose().as_bytes(), &secrets),
    };
    Err(classify(parts, &message, report))
}

/// Only messages that Ryze is known to write before it sends a request to WhatsApp prove that no field
/// was applied.
fn classify(parts: &Parts, message: &str, report: Report) -> Error {
    // Ryze gives this message with 400 on some pages and 503 on others.
    if message == "Instance is not connected to WhatsApp" {
        return Error::unnamed(Progress::NotStarted, Failure::NotConnected);
    }
    if let Some((setting, cause)) = wire::failed_field(message) {
        return Error::Answered {
            failure: from_whatsapp(cause, report),
            setting: Some(setting),
            progress: Progress::UpToFailedField,
        };
    }
    let status = parts.status;
    let is_fault = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
    // A step failed, and it is not known for which field.
    if is_fault || message.starts_with("failed to ") {
        let failure = if message.contains(OVER_LIMIT) {
            WHATSAPP_THROTTLES
        } else {
            Failure::Upstream(Fault::Answered(report))
        };
        return Error::unnamed(Progress::Unknown, failure);
    }
    if WHATSAPP_TEXTS.iter().any(|it| message.contains(it)) {
        let failure = from_whatsapp(message, report);
        return Error::unnamed(Progress::UpToFailedField, failure);
    }
    let (progress, failure) = match status.as_u16() {
        429 => {
            let retry_after = rate_limit::pause(&parts.headers);
            let by = Limiter::Upstream;
            (Progress::NotStarted, Failure::Throttled { by, retry_after })
        }
        401 => (
            Progress::NotStarted,
            Failure::Denied {
                what: Denied::Token,
                report,
            },
        ),
        403 => (
            Progress::NotStarted,
            Failure::Denied {
                what: Denied::Access,
                report,
            },
        ),
        404 => (
            Progress::NotStarted,
            Failure::Denied {
                what: Denied::Instance,
                report,
            },
        ),
        405 | 413 | 415 => (
            Progress::NotStarted,
            Failure::Refused {
                by: Refused::Upstream,
                report,
            },
        ),
        400 if INVALID_PREFIXES.iter().any(|it| message.starts_with(it)) => (
            Progress::NotStarted,
            Failure::Refused {
                by: Refused::Upstream,
                report,
            },
        ),
        400 | 501 => (
            Progress::UpToFailedField,
            Failure::Refused {
                by: Refused::Upstream,
                report,
            },
        ),
        _ => (
            Progress::Unknown,
            Failure::Upstream(Fault::Answered(report)),
        ),
    };
    Error::unnamed(progress, failure)
}

/// The failure of a field by a text of the WhatsApp library.
fn from_whatsapp(cause: &str, report: Report) -> Failure {
    if cause.contains(OVER_LIMIT) {
        WHATSAPP_THROTTLES
    } else if cause.starts_with("info query timed out") {
        Failure::Unknown(NoAnswer::WhatsAppTimedOut)
    } else if cause.starts_with("websocket disconnected") {
        Failure::Unknown(NoAnswer::WhatsAppDisconnected)
    } else if cause.starts_with("websocket not connected") {
        Failure::NotConnected
    } else if let Some((_, error)) = REFUSALS.iter().find(|(word, _)| cause.contains(word)) {
        Failure::Refused {
            by: Refused::WhatsApp(*error),
            report,
        }
    } else {
        Failure::Upstream(Fault::Answered(report))
    }
}
