//! Why an operation is not confirmed.
//!
//! A failure carries facts. The sentences for clients are in `zapi/response/`.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use crate::net::ConnectFault;

/// Promises that the change was not applied, unless it [leaves that open](Self::leaves_open).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The wait for the budget would have been too long. Nothing was sent.
    Budget {
        /// The time until a new change would be admitted.
        retry_after: Duration,
    },
    /// The state of a budget that is shared with other processes is unavailable. Nothing was sent.
    BudgetUnavailable {
        /// The time until it is expected to be available.
        retry_after: Duration,
    },
    /// A rate limit behind the gateway was exceeded.
    Throttled {
        by: Limiter,
        /// The time until the limit is expected to reset.
        retry_after: Duration,
    },
    /// The account is not connected to WhatsApp.
    NotConnected,
    /// The upstream denies the gateway access to the account. Only the operator can fix it.
    Denied { what: Denied, report: Report },
    /// The operation is refused. A retry is useless.
    Refused { by: Refused, report: Report },
    /// The upstream failed, or did not confirm the operation.
    Upstream(Fault),
    /// The deadline passed, or the gateway stopped, before the operation was sent. Nothing was changed.
    NotSent,
    /// The instance's queue was full. Nothing was sent.
    QueueFull,
    /// The operation was sent, and its outcome is unknown. It may still take effect.
    Unknown(NoAnswer),
}

impl Failure {
    /// Whether the change may have been applied nevertheless.
    #[must_use]
    pub fn leaves_open(&self) -> bool {
        match self {
            Self::Upstream(fault) => !matches!(fault, Fault::Unreachable(_)),
            Self::Unknown(_) => true,
            _ => false,
        }
    }

    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

/// The owner of the rate limit of a [`Failure::Throttled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiter {
    /// The upstream, for its requests.
    Upstream,
    /// WhatsApp, for the account.
    WhatsApp,
}

/// What an error response of the upstream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub status: u16,
    /// Its message without secrets and phone numbers; `None` if nothing of it can be shown.
    pub message: Option<String>,
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => out.write_str(message),
            None => write!(out, "status {}", self.status),
        }
    }
}

/// What the upstream denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The token.
    Token,
    /// The token's access to the instance.
    Access,
    /// The instance's name.
    Instance,
}

/// Who refuses an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The upstream, which rejects the request.
    Upstream,
    WhatsApp(WhatsAppError),
}

/// With what WhatsApp refuses a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhatsAppError {
    BadRequest,
    NotAuthorized,
    Forbidden,
    NotAcceptable,
}

/// How the upstream failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There was no connection. Nothing was sent.
    Unreachable(ConnectFault),
    /// It responded with an error.
    Answered(Report),
    /// Its response cannot be read.
    Malformed(Malformed),
    /// Its response does not show the value.
    NotConfirmed,
    /// It failed at another setting of the same update.
    OtherSetting,
    /// A rate limit of WhatsApp ended the update, and what it had changed is not known.
    ThrottledMidway,
    /// It did not complete the update.
    Incomplete,
}

/// What is wrong with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It is not HTTP.
    Protocol,
    TooLarge,
    CutShort,
    /// Its body has an encoding that was not asked for.
    Encoded,
    /// It claims success and shows no settings.
    NoSettings,
}

/// Why the outcome of an operation that was sent is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// There was no response in time.
    TimedOut,
    /// The connection was closed before the response.
    Closed,
    /// WhatsApp did not answer the upstream in time.
    WhatsAppTimedOut,
    /// The upstream lost its connection to WhatsApp before the answer.
    WhatsAppDisconnected,
    /// The task that sent it panicked.
    Panicked,
}

impl Display for NoAnswer {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::TimedOut => "no answer in time",
            Self::Closed => "the connection was closed",
            Self::WhatsAppTimedOut => "no answer of WhatsApp in time",
            Self::WhatsAppDisconnected => "the connection to WhatsApp was closed",
            Self::Panicked => "an internal error",
        })
    }
}
