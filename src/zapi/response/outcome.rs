//! The response to an operation: status and sentence for each outcome.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::{
    failure::{fault, report},
    shape::{
        Answer, answer, bad_gateway, framework, gateway_timeout, sentence, too_many_requests,
        unavailable, with,
    },
};
use crate::{
    privacy::{Failure, Limiter, Operation, Outcome, Settings},
    zapi::{
        routes::{Call, ROUTES},
        values::word,
    },
};

/// The response to an operation.
#[must_use]
pub fn outcome(operation: &Operation, outcome: &Outcome) -> Answer {
    match (operation, outcome) {
        (Operation::Change(_), Ok(_)) => {
            let body = Bytes::from_static(br#"{"success":true}"#);
            answer(StatusCode::OK, body)
        }
        (Operation::Read, Ok(settings)) => with(
            answer(StatusCode::OK, shown(settings).into()),
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ),
        (_, Err(failure)) => failed(operation, failure),
    }
}

/// The settings in Z-API's words, `null` for a value that Z-API has no word for. The keys are the
/// gateway's own, because Z-API has no such call.
fn shown(settings: &Settings) -> String {
    let mut fields = Vec::with_capacity(ROUTES.len());
    for route in &ROUTES {
        if let Call::Change {
            setting,
            values,
            key,
            ..
        } = route.call
        {
            let audience = settings.get(setting);
            fields.push(match audience.and_then(|it| word(values, it)) {
                Some(value) => format!("\"{key}\":\"{value}\""),
                None => format!("\"{key}\":null"),
            });
        }
    }
    format!("{{{}}}", fields.join(","))
}

fn failed(operation: &Operation, failure: &Failure) -> Answer {
    match failure {
        Failure::Budget { retry_after } => too_many_requests(
            *retry_after,
            "the gateway's budget of requests to Ryze is used up; nothing was changed",
        ),
        Failure::BudgetUnavailable { retry_after } => too_many_requests(
            *retry_after,
            "the Redis of the gateway's shared budget is unavailable; nothing was changed",
        ),
        Failure::Throttled {
            by: Limiter::Upstream,
            retry_after,
        } => too_many_requests(*retry_after, "Ryze's rate limit is used up"),
        Failure::Throttled {
            by: Limiter::WhatsApp,
            retry_after,
        } => too_many_requests(
            *retry_after,
            "WhatsApp limits how often this may be asked of the account",
        ),
        Failure::NotConnected => sentence(StatusCode::BAD_REQUEST, "You are not connected."),
        Failure::Denied { report: it, .. } | Failure::Refused { report: it, .. } => framework(
            StatusCode::FAILED_DEPENDENCY,
            "FAILED_DEPENDENCY",
            &report(it),
        ),
        Failure::Upstream(it) => bad_gateway(&fault(it)),
        Failure::NotSent => unavailable("it could not be sent in time; nothing was changed"),
        Failure::QueueFull => {
            unavailable("too many calls of this instance are waiting already; nothing was changed")
        }
        Failure::Unknown(_) => gateway_timeout(match operation {
            Operation::Change(_) => {
                "the change was sent and not confirmed in time; it may still take effect"
            }
            Operation::Read => "Ryze did not answer in time",
        }),
    }
}
