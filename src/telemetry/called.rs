//! A request of the gateway to an upstream, for the metrics and the upstream's record.

use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::{
    labels::Upstream,
    outcome_label::OutcomeLabel,
    reason::Reason,
    upstream_record::{Response, UpstreamFailure},
};

/// A completed request to an upstream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called<'r> {
    pub(crate) upstream: Upstream,
    pub(crate) method: &'r Method,
    pub(crate) status: Option<StatusCode>,
    pub(crate) error: Option<OutcomeLabel>,
    pub(crate) reason: Option<Reason>,
    /// When it ended.
    pub(crate) time: Instant,
    pub(crate) duration: Duration,
}

impl Called<'_> {
    /// What the upstream's record has of it; `None` if the client is the cause of the failure. The
    /// fallback's 4xx are answers to clients.
    pub(super) fn response(&self) -> Option<Response> {
        let failure = UpstreamFailure {
            reason: self.reason,
            status: self.status,
        };
        Some(match (self.upstream, self.error) {
            (
                _,
                Some(
                    OutcomeLabel::Unreachable
                    | OutcomeLabel::Untrusted
                    | OutcomeLabel::NoAnswer
                    | OutcomeLabel::FallbackFailed
                    | OutcomeLabel::FallbackTimeout,
                ),
            ) => Response::None(failure),
            (Upstream::Fallback, Some(_)) => return None,
            (Upstream::Ryze, Some(_)) => Response::Failure(failure),
            (_, None) if self.status.is_some_and(|it| it.is_server_error()) => {
                Response::Failure(failure)
            }
            (_, None) => Response::Success,
        })
    }
}
