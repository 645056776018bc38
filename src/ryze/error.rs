//! What an answer of Ryze means: one place that looks at status, headers and message, and the
//! failure that each caller gets of it. Sources: the errors of the vendor's page "Update privacy"
//! and the texts of the WhatsApp library underneath. Z-API's words do not belong here.

use std::time::Duration;

use http::{StatusCode, header, response::Parts};

use super::{limit, wire};
use crate::{
    config::Secret,
    privacy::{Failure, Limiter, Setting, Settings},
    telemetry::OutcomeLabel,
    telltale::has_piece,
};

/// Where Ryze's 429 does not say when its counter is reset: the length of its window.
const WINDOW: Duration = Duration::from_secs(60);
/// Where it is about to be reset.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// Characters of Ryze's message that a caller gets to see.
const LONGEST_REASON: usize = 200;
/// Digits in a row that may be a phone number.
const PHONE_DIGITS: usize = 7;
/// Bytes of a word that may be six of a token in hexadecimal.
const LONG_WORD: usize = 12;
/// WhatsApp's word for too many requests, wherever it stands.
const OVER_LIMIT: &str = "rate-overlimit";
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
        /// The setting that the answer names; with none it speaks of the whole update.
        setting: Option<Setting>,
    },
}

impl Error {
    fn whole(failure: Failure) -> Self {
        Self::Answered {
            failure,
            setting: None,
        }
    }

    /// An answer that is no answer.
    pub(super) fn malformed(reason: &str) -> Self {
        Self::whole(Failure::Upstream {
            reason: reason.into(),
        })
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

/// Reads an answer to either privacy call; `token` is what must not be in any reason.
pub(super) fn read(parts: &Parts, body: &[u8], token: &Secret) -> Result<Settings, Error> {
    if parts.status == StatusCode::OK {
        if parts.headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Error::malformed("Ryze's answer is encoded"));
        }
        return wire::settings(body).ok_or_else(|| {
            Error::malformed("Ryze did not confirm it: its answer shows no settings")
        });
    }
    let message = wire::message(body).unwrap_or_default();
    let reason = safe(&message, parts.status, token);
    Err(classify(parts, &message, reason))
}

fn classify(parts: &Parts, message: &str, reason: String) -> Error {
    // Ryze gives this message with 400 on some pages and 503 on others.
    if message == "Instance is not connected to WhatsApp" {
        return Error::whole(Failure::NotConnected);
    }
    let may_name_a_field = parts.status.is_server_error() || message.contains(OVER_LIMIT);
    if let (true, Some((setting, cause))) = (may_name_a_field, wire::failed_field(message)) {
        return whatsapp(setting, cause, reason);
    }
    Error::whole(match parts.status.as_u16() {
        429 if message.contains(OVER_LIMIT) => WHATSAPP_THROTTLES,
        429 => Failure::Throttled {
            by: Limiter::Upstream,
            retry_after: limit::reset(&parts.headers)
                .unwrap_or(WINDOW)
                .max(SHORTEST_PAUSE),
        },
        401 | 403 | 404 => Failure::Denied { reason },
        400 | 405 | 413 | 415 | 501 => Failure::Refused { reason },
        _ => Failure::Upstream { reason },
    })
}

/// The causes that WhatsApp's library gives for a field that failed.
fn whatsapp(setting: Option<Setting>, cause: &str, reason: String) -> Error {
    let begins = |words: &[&str]| words.iter().any(|word| cause.starts_with(word));
    let has = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    let failure = if setting.is_none() {
        // A field that nobody asked for: what became of the others cannot be told.
        Failure::Upstream { reason }
    } else if has(&[OVER_LIMIT]) {
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
    };
    Error::Answered { failure, setting }
}

/// What a caller or a log may see of Ryze's message: short, on one line, and with nothing in it
/// that may be a phone number or an encoded token. With a piece of the token in it, nothing.
fn safe(message: &str, status: StatusCode, token: &Secret) -> String {
    let printed: String = message.chars().filter(|char| !char.is_control()).collect();
    let words: Vec<_> = printed.split_whitespace().collect();
    let mut reason = without_codes(&without_numbers(&words.join(" ")));
    let end = reason.char_indices().nth(LONGEST_REASON);
    reason.truncate(end.map_or(reason.len(), |(end, _)| end));
    if reason.is_empty() || has_piece(&printed, token.expose().as_bytes()) {
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
