//! Ryze's errors: classifies a response by status, headers and message, and gives each call its failure.
//!
//! Sources: the errors on Ryze's page "Update privacy", and the texts of the WhatsApp library that
//! Ryze passes through.

use std::time::Duration;

use http::{StatusCode, response::Parts};

use super::{rate_limit, reason, wire};
use crate::{
    config::Secret,
    content_encoding,
    net::ConnectFault,
    privacy::{
        Denied, Failure, Fault, Limiter, Malformed, NoAnswer, Refused, Report, Setting, Settings,
        WhatsAppError,
    },
    redact::SecretIndex,
    telemetry::{OutcomeLabel, Reason},
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

/// Why the settings are not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No byte of the request was sent. A retry may succeed.
    #[error("Ryze could not be reached: {0}")]
    Unreachable(ConnectFault),
    /// No byte of the request was sent, because TLS failed. A retry is useless.
    #[error("Ryze could not be reached: {0}")]
    Untrusted(ConnectFault),
    /// The request was sent, and its outcome is unknown.
    #[error("Ryze did not answer: {0}")]
    Unknown(NoAnswer),
    /// Ryze responded with an error.
    #[error("Ryze answered with a failure")]
    Answered {
        /// The failure of the setting that failed.
        failure: Failure,
        /// The setting that the response names.
        setting: Option<Setting>,
        /// How much of the update may have been applied.
        progress: Progress,
    },
}

/// How much of an update Ryze may have applied before it failed. Ryze applies the fields one by one and
/// does not roll back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing: Ryze rejected the update before it sent a request to WhatsApp.
    NotStarted,
    /// The fields before the failed one.
    UpToFailedField,
    /// Any of the fields, or all of them.
    Unknown,
}

impl Error {
    fn unnamed(progress: Progress, failure: Failure) -> Self {
        Self::Answered {
            failure,
            setting: None,
            progress,
        }
    }

    pub(super) fn no_connection(fault: ConnectFault) -> Self {
        if fault.is_of_tls() {
            Self::Untrusted(fault)
        } else {
            Self::Unreachable(fault)
        }
    }

    /// A response that cannot be read as one of Ryze.
    pub(super) fn malformed(what: Malformed) -> Self {
        let failure = Failure::Upstream(Fault::Malformed(what));
        Self::unnamed(Progress::Unknown, failure)
    }

    /// The label of this error in log and metrics.
    #[must_use]
    pub fn label(&self) -> OutcomeLabel {
        match self {
            Self::Unreachable(_) => OutcomeLabel::Unreachable,
            Self::Untrusted(_) => OutcomeLabel::Untrusted,
            Self::Unknown(_) => OutcomeLabel::NoAnswer,
            Self::Answered { failure, .. } => failure.into(),
        }
    }

    /// Why, in the words of the log.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unreachable(fault) | Self::Untrusted(fault) => (*fault).into(),
            Self::Unknown(cause) => (&Failure::Unknown(*cause)).into(),
            Self::Answered { failure, .. } => failure.into(),
        }
    }

    /// Whether any byte of the request was sent.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Untrusted(_))
    }

    /// Whether the outcome of `setting` in an update of `fields` fields is still open: it may have been
    /// applied, or not tried because another field failed.
    #[must_use]
    pub fn leaves_open(&self, setting: Setting, fields: usize) -> bool {
        let (failure, failed, progress) = match self {
            Self::Unreachable(_) | Self::Untrusted(_) => return false,
            Self::Unknown(_) => return true,
            Self::Answered {
                failure,
                setting,
                progress,
            } => (failure, *setting, *progress),
        };
        match progress {
            Progress::NotStarted => false,
            Progress::UpToFailedField => {
                let is_failed_field = failed.map_or(fields == 1, |failed| failed == setting);
                !is_failed_field || failure.leaves_open()
            }
            Progress::Unknown => true,
        }
    }

    /// The failure for a call that changes `setting`, or for a read with `None`.
    #[must_use]
    pub fn failure(&self, setting: Option<Setting>) -> Failure {
        match self {
            Self::Unreachable(fault) | Self::Untrusted(fault) => {
                Failure::Upstream(Fault::Unreachable(*fault))
            }
            Self::Unknown(cause) => Failure::Unknown(*cause),
            Self::Answered {
                setting: failed @ Some(_),
                ..
            } if setting.is_some() && *failed != setting => Failure::Upstream(Fault::OtherSetting),
            Self::Answered { failure, .. } => failure.clone(),
        }
    }
}

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
        return wire::settings(body).ok_or_else(|| Error::malformed(Malformed::NoSettings));
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
