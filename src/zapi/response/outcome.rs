//! The response to an operation: status and sentence for each outcome.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::{
    failure::{denied, refused, unchanged, upstream},
    shape::{
        Answer, answer, bad_gateway, failed_dependency, gateway_timeout, sentence,
        too_many_requests, unavailable, with,
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
            "the gateway's budget of requests to Ryze is used up; send it again after Retry-After; \
             nothing was changed",
        ),
        Failure::BudgetUnavailable { retry_after } => too_many_requests(
            *retry_after,
            "the Redis of the gateway's shared budget is unavailable; send it again after \
             Retry-After, and if it lasts, the operator of the gateway checks budget.redis; nothing \
             was changed",
        ),
        Failure::Throttled { by, retry_after } => {
            let what = match by {
                Limiter::Upstream => "Ryze's rate limit is used up",
                Limiter::WhatsApp => "WhatsApp limits how often this may be asked of the account",
            };
            let message = format!(
                "{what}; send it again after Retry-After.{}",
                unchanged(operation)
            );
            too_many_requests(*retry_after, &message)
        }
        Failure::NotConnected => sentence(StatusCode::BAD_REQUEST, "You are not connected."),
        Failure::Denied { what, report } => failed_dependency(&denied(*what, report, operation)),
        Failure::Refused { by, report } => failed_dependency(&refused(*by, report, operation)),
        Failure::Upstream(fault) => bad_gateway(&upstream(fault, operation)),
        Failure::NotSent => {
            unavailable("it could not be sent in time; send it again; nothing was changed")
        }
        Failure::QueueFull => unavailable(
            "too many calls of this instance are waiting already; send it again later; nothing \
                 was changed",
        ),
        Failure::Unknown(_) => gateway_timeout(match operation {
            Operation::Change(_) => {
                "the change was sent and not confirmed in time; it may still take effect, and may be \
                 sent again"
            }
            Operation::Read => "Ryze did not answer in time; send it again",
        }),
    }
}
