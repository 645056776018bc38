//! What an answer of Ryze means: one place that looks at status, headers and message, and the
//! failure that each caller gets of it. Sources: the errors of the vendor's page "Update privacy"
//! and the texts of the WhatsApp library underneath. Z-API's words do not belong here.

use std::time::Duration;

use http::{StatusCode, header, response::Parts};

use super::{rate_limit, wire};
use crate::{
    config::Secret,
    privacy::{Failure, Limiter, Setting, Settings},
    redact::SecretIndex,
    telemetry::OutcomeLabel,
    telltale::has_piece,
};

/// Characters of Ryze's message that a caller gets to see.
const LONGEST_REASON: usize = 200;
/// Characters of it that are read for that.
const LONGEST_MESSAGE: usize = 1000;
/// Digits in a row that may be a phone number.
const PHONE_DIGITS: usize = 7;
/// Bytes of a word that may be six of a token in hexadecimal.
const LONG_WORD: usize = 12;
/// WhatsApp's word for too many requests, wherever it stands.
const OVER_LIMIT: &str = "rate-overlimit";
/// In every text of WhatsApp's library: a message with one of them comes after Ryze asked WhatsApp.
const WHATSAPPS_WORDS: [&str; 3] = ["info query", "websocket ", OVER_LIMIT];
/// How Ryze begins when it refuses the body of an update.
const INVALID: [&str; 2] = ["Invalid ", "At least one privacy setting "];
/// It does not say for how long.
const WHATSAPP_THROTTLES: Failure = Failure::Throttled {
    by: Limiter::WhatsApp,
    retry_after: Duration::ZERO,
};

/// Why the settings are not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Not a byte of the request was sent, which may be otherwise soon.
    #[error("Ryze could not be reached: {0}")]
    Unreachable(&'static str),
    /// Not a byte of the request was sent, for whoever is there does not prove to be Ryze.
    #[error("Ryze could not be reached: its certificate or TLS handshake is not right")]
    Untrusted,
    /// It was sent, and what became of it cannot be told.
    #[error("Ryze did not answer: {0}")]
    Unknown(&'static str),
    /// Ryze answered.
    #[error("Ryze answered with a failure")]
    Answered {
        /// What its answer means for the setting that failed.
        failure: Failure,
        /// The setting that the answer names.
        setting: Option<Setting>,
        /// How much of an update may have been applied before it failed.
        progress: Progress,
    },
}

/// How much of an update Ryze may have applied before it answered with a failure. It applies the
/// fields one by one and keeps those that it has applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing: Ryze refused the update before it asked WhatsApp.
    NotStarted,
    /// The fields before the one that failed.
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

    /// An answer that is no answer.
    pub(super) fn malformed(reason: &str) -> Self {
        let reason = reason.into();
        Self::unnamed(Progress::Unknown, Failure::Upstream { reason })
    }

    /// What it is, in one of a few words.
    #[must_use]
    pub fn label(&self) -> OutcomeLabel {
        match self {
            Self::Unreachable(_) => OutcomeLabel::Unreachable,
            Self::Untrusted => OutcomeLabel::Untrusted,
            Self::Unknown(_) => OutcomeLabel::NoAnswer,
            Self::Answered { failure, .. } => failure.into(),
        }
    }

    /// Whether any of the request was sent.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Untrusted)
    }

    /// Whether it stays open what became of `setting` in an update of so many fields: it may have been
    /// applied, or was not tried because of another one.
    #[must_use]
    pub fn leaves_open(&self, setting: Setting, fields: usize) -> bool {
        let (failure, failed, progress) = match self {
            Self::Unreachable(_) | Self::Untrusted => return false,
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

    /// What it means for a caller who asked for `setting`, or with none for all of them.
    #[must_use]
    pub fn failure(&self, setting: Option<Setting>) -> Failure {
        match self {
            Self::Unreachable(_) | Self::Untrusted => Failure::Upstream {
                reason: self.to_string(),
            },
            Self::Unknown(_) => Failure::Unknown,
            Self::Answered {
                setting: failed @ Some(_),
                ..
            } if setting.is_some() && *failed != setting => Failure::Upstream {
                reason: "Ryze failed at another setting of the same update".into(),
            },
            Self::Answered { failure, .. } => failure.clone(),
        }
    }
}

/// Reads an answer to either privacy call. No reason shows a piece of `token`, which the request was
/// sent with, or one of the `secrets`.
pub(super) fn read(
    parts: &Parts,
    body: &[u8],
    token: &Secret,
    secrets: &SecretIndex,
) -> Result<Settings, Error> {
    if parts.status == StatusCode::OK {
        if parts.headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Error::malformed("Ryze's answer is encoded"));
        }
        return wire::settings(body).ok_or_else(|| {
            Error::malformed("Ryze did not confirm it: its answer shows no settings")
        });
    }
    let message = wire::message(body).unwrap_or_default();
    let reason = safe(&message, parts.status, token, secrets);
    Err(classify(parts, &message, reason))
}

/// Only messages that are known to come before Ryze asks WhatsApp prove that no field was applied.
fn classify(parts: &Parts, message: &str, reason: String) -> Error {
    // Ryze gives this message with 400 on some pages and 503 on others.
    if message == "Instance is not connected to WhatsApp" {
        return Error::unnamed(Progress::NotStarted, Failure::NotConnected);
    }
    if let Some((setting, cause)) = wire::failed_field(message) {
        return Error::Answered {
            failure: from_whatsapp(cause, reason),
            setting: Some(setting),
            progress: Progress::UpToFailedField,
        };
    }
    let status = parts.status;
    let is_fault = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
    // A step that failed, and not one that any of the fields is known to be.
    if is_fault || message.starts_with("failed to ") {
        let failure = if message.contains(OVER_LIMIT) {
            WHATSAPP_THROTTLES
        } else {
            Failure::Upstream { reason }
        };
        return Error::unnamed(Progress::Unknown, failure);
    }
    if WHATSAPPS_WORDS.iter().any(|it| message.contains(it)) {
        let failure = from_whatsapp(message, reason);
        return Error::unnamed(Progress::UpToFailedField, failure);
    }
    let (progress, failure) = match status.as_u16() {
        429 => {
            let retry_after = rate_limit::pause(&parts.headers);
            let by = Limiter::Upstream;
            (Progress::NotStarted, Failure::Throttled { by, retry_after })
        }
        401 | 403 | 404 => (Progress::NotStarted, Failure::Denied { reason }),
        405 | 413 | 415 => (Progress::NotStarted, Failure::Refused { reason }),
        400 if INVALID.iter().any(|it| message.starts_with(it)) => {
            (Progress::NotStarted, Failure::Refused { reason })
        }
        400 | 501 => (Progress::UpToFailedField, Failure::Refused { reason }),
        _ => (Progress::Unknown, Failure::Upstream { reason }),
    };
    Error::unnamed(progress, failure)
}

/// What a text of WhatsApp's library means for the field that it is about.
fn from_whatsapp(cause: &str, reason: String) -> Failure {
    let begins = |words: &[&str]| words.iter().any(|word| cause.starts_with(word));
    let has = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    if has(&[OVER_LIMIT]) {
        WHATSAPP_THROTTLES
    } else if begins(&["info query timed out", "websocket disconnected"]) {
        Failure::Unknown
    } else if begins(&["websocket not connected"]) {
        Failure::NotConnected
    } else if has(&[
        "bad-request",
        "not-authorized",
        "forbidden",
        "not-acceptable",
    ]) {
        Failure::Refused { reason }
    } else {
        Failure::Upstream { reason }
    }
}

/// What a caller or a log may see of Ryze's message: short, on one line, and with nothing in it
/// that may be a phone number or an encoded token. With a secret in it, nothing.
fn safe(message: &str, status: StatusCode, token: &Secret, secrets: &SecretIndex) -> String {
    let printed = message.chars().take(LONGEST_MESSAGE);
    let printed: String = printed.filter(|char| !char.is_control()).collect();
    let words: Vec<_> = printed.split_whitespace().collect();
    let mut reason = without_codes(&without_numbers(&words.join(" ")));
    let end = reason.char_indices().nth(LONGEST_REASON);
    reason.truncate(end.map_or(reason.len(), |(end, _)| end));
    let tells = has_piece(&printed, token.expose().as_bytes()) || secrets.is_in(&printed);
    if reason.is_empty() || tells {
        return format!("Ryze answered with status {}", status.as_u16());
    }
    reason
}

/// Takes out what has as many digits as a phone number, whatever but letters is between them.
fn without_numbers(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let run_ends = rest.find(char::is_alphabetic).unwrap_or(rest.len());
        let (run, after) = rest.split_at(run_ends.max(first.len_utf8()));
        if run.chars().filter(|char| char.is_numeric()).count() < PHONE_DIGITS {
            shown.push_str(run);
        } else {
            shown.push_str(" [removed] ");
        }
        rest = after;
    }
    shown.trim().to_owned()
}

/// Takes out long words with a digit in them: they may be a token or a number in some encoding.
fn without_codes(text: &str) -> String {
    let shown = text.split(' ').map(|word| {
        let is_code = word.len() >= LONG_WORD && word.contains(char::is_numeric);
        if is_code { "[removed]" } else { word }
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_seven_digits_and_words_of_twelve_bytes_with_a_digit_are_removed() {
        assert_eq!(without_numbers("at 123456 end"), "at 123456 end");
        assert_eq!(without_numbers("at 1234567 end"), "at [removed] end");
        assert_eq!(without_codes("at abcdefghij1 end"), "at abcdefghij1 end");
        assert_eq!(without_codes("at abcdefghijk1 end"), "at [removed] end");
    }
}
