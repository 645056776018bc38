//! Why the proxy has no response to forward. The sentences for clients are in `zapi/response/`.

use crate::{
    net::ConnectFault,
    telemetry::{OutcomeLabel, Reason},
};

/// A request that was not forwarded, or that got no usable response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The proxy does not forward this method.
    Method {
        /// The value of `Allow`.
        allow: &'static str,
    },
    /// The target with the path of `fallback.base_url` is longer than a URL may be.
    TargetTooLong,
    /// The client's body ended before its announced length.
    IncompleteBody,
    /// The client stopped sending its body.
    BodyTooSlow,
    /// The request has passed too many gateways: `fallback.base_url` leads back here.
    Loop,
    /// No connection. Nothing was sent.
    Unreachable(ConnectFault),
    /// The connection broke.
    Broken,
    /// The response is not HTTP.
    Malformed,
    /// The head is over the limit, or a body that must be read whole is.
    TooLarge,
    /// The response has a transfer coding other than chunked, or another protocol's status.
    Unsolicited,
    /// More interim responses than the proxy accepts.
    EndlessInterim,
    /// No byte within `fallback.idle_timeout`.
    Silent,
    /// The gateway shut down before the response came.
    Stopping,
}

impl Error {
    /// Whether the fallback is the cause, and not the client or the gateway.
    #[must_use]
    pub fn is_of_fallback(self) -> bool {
        matches!(
            self.label(),
            OutcomeLabel::FallbackFailed | OutcomeLabel::FallbackTimeout
        )
    }

    /// The label of this error in log and metrics.
    #[must_use]
    pub fn label(self) -> OutcomeLabel {
        match self {
            Self::Method { .. } => OutcomeLabel::WrongMethod,
            Self::TargetTooLong | Self::IncompleteBody => OutcomeLabel::BadRequest,
            Self::BodyTooSlow => OutcomeLabel::BodyTooSlow,
            Self::Loop
            | Self::Unreachable(_)
            | Self::Broken
            | Self::Malformed
            | Self::TooLarge
            | Self::Unsolicited
            | Self::EndlessInterim => OutcomeLabel::FallbackFailed,
            Self::Silent | Self::Stopping => OutcomeLabel::FallbackTimeout,
        }
    }

    /// The reason of this error in the log.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::Method { .. } => Reason::Method,
            Self::TargetTooLong => Reason::Target,
            Self::IncompleteBody => Reason::BodyIncomplete,
            Self::BodyTooSlow => Reason::BodyTimeout,
            Self::Loop => Reason::Loop,
            Self::Unreachable(fault) => fault.into(),
            Self::Broken => Reason::ConnectionClosed,
            Self::Malformed | Self::TooLarge | Self::Unsolicited | Self::EndlessInterim => {
                Reason::AnswerInvalid
            }
            Self::Silent => Reason::Timeout,
            Self::Stopping => Reason::Stopping,
        }
    }
}
