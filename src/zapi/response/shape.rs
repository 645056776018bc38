//! The form of a response: status, headers and the JSON body.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

/// A complete response.
pub type Answer = Response<Full<Bytes>>;

/// `Retry-After` of a 503.
const SOON: Duration = Duration::from_secs(1);
pub(super) const INCOMPLETE_BODY: &str = "the body ended before it was complete";

/// The body of every response that is not a success: Z-API's two shapes, plus `success` for clients
/// that look at nothing else.
#[derive(Serialize)]
struct Body<'text> {
    success: bool,
    error: &'text str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'text str>,
}

pub(super) fn bad_request(message: &str) -> Answer {
    framework(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

pub(super) fn method_not_allowed(allow: &'static str) -> Answer {
    let message = "HTTP 405 Method Not Allowed";
    with(
        framework(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            message,
        ),
        header::ALLOW,
        HeaderValue::from_static(allow),
    )
}

pub(super) fn unsupported_media_type(message: &str) -> Answer {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    with(
        framework(status, "UNSUPPORTED_MEDIA_TYPE", message),
        HeaderName::from_static("accept-post"),
        HeaderValue::from_static("application/json"),
    )
}

pub(super) fn body_too_slow() -> Answer {
    let message = "the body did not arrive in time";
    framework(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", message)
}

pub(super) fn sentence(status: StatusCode, error: &str) -> Answer {
    failure(status, error, None)
}

pub(super) fn framework(status: StatusCode, error: &str, message: &str) -> Answer {
    failure(status, error, Some(message))
}

pub(super) fn too_many_requests(retry_after: Duration, message: &str) -> Answer {
    let status = StatusCode::TOO_MANY_REQUESTS;
    later(framework(status, "TOO_MANY_REQUESTS", message), retry_after)
}

pub(super) fn unprocessable(message: &str) -> Answer {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    framework(status, "UNPROCESSABLE_ENTITY", message)
}

pub(super) fn failed_dependency(message: &str) -> Answer {
    let status = StatusCode::FAILED_DEPENDENCY;
    framework(status, "FAILED_DEPENDENCY", message)
}

pub(super) fn bad_gateway(message: &str) -> Answer {
    framework(StatusCode::BAD_GATEWAY, "BAD_GATEWAY", message)
}

pub(super) fn gateway_timeout(message: &str) -> Answer {
    framework(StatusCode::GATEWAY_TIMEOUT, "GATEWAY_TIMEOUT", message)
}

pub(super) fn unavailable(message: &str) -> Answer {
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

pub(super) fn answer(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    with(answer, header::CONTENT_TYPE, json)
}

pub(super) fn with(mut answer: Answer, name: HeaderName, value: HeaderValue) -> Answer {
    answer.headers_mut().insert(name, value);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_and_at_least_one_second() {
        let seconds = |wait| {
            let answer = too_many_requests(wait, "");
            let value = answer.headers().get(header::RETRY_AFTER).cloned();
            value.and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        };
        assert_eq!(seconds(Duration::ZERO), Some(1));
        assert_eq!(seconds(Duration::from_nanos(1)), Some(1));
        assert_eq!(seconds(Duration::from_secs(7)), Some(7));
        let just_over = Duration::from_secs(7) + Duration::from_nanos(1);
        assert_eq!(seconds(just_over), Some(8));
    }
}
