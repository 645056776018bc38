//! Every answer in Z-API's words: the one place that turns what happened into status, headers and
//! body. Callers match on substrings of the sentences, so those stay exact. Why a thing happened
//! does not belong here.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

use super::route::{self, Call, ROUTES};
use crate::privacy::{Failure, Limiter, Operation, Outcome, Settings};

/// An answer, ready to be sent.
pub type Answer = Response<Full<Bytes>>;

/// When somebody who found the instance busy, or the gateway full or stopping, may try again.
const SOON: Duration = Duration::from_secs(1);

/// Why a request was not tried on Ryze, and has no answer of the fallback either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Something is wrong with it; says what.
    BadRequest(String),
    /// No such call.
    UnknownPath {
        /// The path below the instance that the caller probably meant.
        instead: Option<&'static str>,
    },
    /// The call takes another method.
    WrongMethod {
        /// That method.
        allow: &'static str,
    },
    /// Id and token are not a configured pair.
    UnknownInstance,
    /// A `Client-Token` is asked for, and none was sent.
    ClientTokenMissing,
    /// Another `Client-Token` is asked for.
    ClientTokenWrong,
    /// The body is not announced as plain JSON; says what to send.
    UnsupportedMediaType(&'static str),
    /// The body has more bytes than the limit.
    BodyTooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The body did not come in time.
    BodyTooSlow,
    /// Understood, but Ryze has no such call; says so and that nothing was changed.
    NoCounterpart(String),
    /// Understood, but Ryze cannot change a list of contacts; says so and that nothing was changed.
    ContactsList(&'static str),
    /// The gateway is full or stopping; says which.
    Unavailable(&'static str),
    /// The fallback cannot be reached or its answer is broken; says which.
    BadGateway(&'static str),
    /// The fallback does not answer; says so.
    GatewayTimeout(&'static str),
}

impl Refusal {
    /// Whether the call asked for what Ryze cannot do.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Self::UnknownPath { .. } | Self::NoCounterpart(_) | Self::ContactsList(_)
        )
    }

    /// What it is, in one of a few words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::UnknownPath { .. } => "unknown_path",
            Self::WrongMethod { .. } => "wrong_method",
            Self::UnknownInstance => "unknown_instance",
            Self::ClientTokenMissing => "client_token_missing",
            Self::ClientTokenWrong => "client_token_wrong",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::NoCounterpart(_) => "no_counterpart",
            Self::ContactsList(_) => "contacts_list",
            Self::Unavailable(_) => "unavailable",
            Self::BadGateway(_) => "fallback_failed",
            Self::GatewayTimeout(_) => "fallback_timeout",
        }
    }
}

/// The body of every answer that is not a success: Z-API's two shapes, and `success` for the
/// callers that look at nothing else.
#[derive(Serialize)]
struct Body<'text> {
    success: bool,
    error: &'text str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'text str>,
}

/// The answer to an operation.
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

/// The settings in Z-API's words, `null` for a value that it has no word for. Z-API has no such call;
/// the keys are its own.
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
            fields.push(match audience.and_then(|it| route::word(values, it)) {
                Some(word) => format!("\"{key}\":\"{word}\""),
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
        Failure::Denied { reason } | Failure::Refused { reason } => {
            framework(StatusCode::FAILED_DEPENDENCY, "FAILED_DEPENDENCY", reason)
        }
        Failure::Upstream { reason } => bad_gateway(reason),
        Failure::NotSent => {
            unavailable("it could not be sent to Ryze in time; nothing was changed")
        }
        Failure::Unknown => gateway_timeout(match operation {
            Operation::Change(_) => {
                "the change was sent and not confirmed in time; it may still take effect"
            }
            Operation::Read => "Ryze did not answer in time",
        }),
    }
}

/// The answer to a request that was not tried.
#[must_use]
pub fn refusal(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::BadRequest(message) => framework(StatusCode::BAD_REQUEST, "BAD_REQUEST", message),
        Refusal::UnknownPath { instead } => {
            let message = "Unable to find matching target resource method";
            let message = match instead {
                Some(path) => Cow::from(format!("{message}; use /{path}")),
                None => message.into(),
            };
            framework(StatusCode::NOT_FOUND, "NOT_FOUND", &message)
        }
        Refusal::WrongMethod { allow } => with(
            framework(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "HTTP 405 Method Not Allowed",
            ),
            header::ALLOW,
            HeaderValue::from_static(allow),
        ),
        Refusal::UnknownInstance => sentence(StatusCode::BAD_REQUEST, "Instance not found"),
        Refusal::ClientTokenMissing => {
            sentence(StatusCode::FORBIDDEN, "Client-Token null not allowed")
        }
        Refusal::ClientTokenWrong => sentence(StatusCode::FORBIDDEN, "Client-Token not allowed"),
        Refusal::UnsupportedMediaType(message) => with(
            framework(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                message,
            ),
            HeaderName::from_static("accept-post"),
            HeaderValue::from_static("application/json"),
        ),
        Refusal::BodyTooLarge { limit } => framework(
            StatusCode::PAYLOAD_TOO_LARGE,
            "REQUEST_ENTITY_TOO_LARGE",
            &format!("the body has more than {limit} bytes"),
        ),
        Refusal::BodyTooSlow => framework(
            StatusCode::REQUEST_TIMEOUT,
            "REQUEST_TIMEOUT",
            "the body did not arrive in time",
        ),
        Refusal::NoCounterpart(message) => unprocessable(message),
        Refusal::ContactsList(message) => unprocessable(message),
        Refusal::Unavailable(message) => unavailable(message),
        Refusal::BadGateway(message) => bad_gateway(message),
        Refusal::GatewayTimeout(message) => gateway_timeout(message),
    }
}

fn sentence(status: StatusCode, error: &str) -> Answer {
    failure(status, error, None)
}

fn framework(status: StatusCode, error: &str, message: &str) -> Answer {
    failure(status, error, Some(message))
}

fn too_many_requests(retry_after: Duration, message: &str) -> Answer {
    let status = StatusCode::TOO_MANY_REQUESTS;
    later(framework(status, "TOO_MANY_REQUESTS", message), retry_after)
}

fn unprocessable(message: &str) -> Answer {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    framework(status, "UNPROCESSABLE_ENTITY", message)
}

fn bad_gateway(message: &str) -> Answer {
    framework(StatusCode::BAD_GATEWAY, "BAD_GATEWAY", message)
}

fn gateway_timeout(message: &str) -> Answer {
    framework(StatusCode::GATEWAY_TIMEOUT, "GATEWAY_TIMEOUT", message)
}

fn unavailable(message: &str) -> Answer {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    later(framework(status, "SERVICE_UNAVAILABLE", message), SOON)
}

/// Whole seconds (RFC 9110, 10.2.3), rounded up, at least 1.
fn later(answer: Answer, retry_after: Duration) -> Answer {
    let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
    with(answer, header::RETRY_AFTER, seconds.max(1).into())
}

fn failure(status: StatusCode, error: &str, message: Option<&str>) -> Answer {
    let body = Body {
        success: false,
        error,
        message,
    };
    // Two strings and a bool always have a JSON form.
    answer(status, serde_json::to_vec(&body).unwrap_or_default().into())
}

fn answer(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    with(answer, header::CONTENT_TYPE, json)
}

fn with(mut answer: Answer, name: HeaderName, value: HeaderValue) -> Answer {
    answer.headers_mut().insert(name, value);
    answer
}
