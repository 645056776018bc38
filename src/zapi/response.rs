//! Responses in Z-API's words: the one place that maps outcomes and rejections to status, headers and
//! body, and the home of every sentence that a client reads.
//!
//! Clients match on substrings of the sentences, so those stay exact.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

use super::{
    rejection::{BadRequest, Rejection, Unavailable, UnsupportedMediaType},
    routes::{Call, ROUTES},
    values::word,
};
use crate::{
    json,
    privacy::{Failure, Limiter, Operation, Outcome, Settings},
    proxy,
    server::InvalidHead,
};

/// A complete response.
pub type Answer = Response<Full<Bytes>>;

/// `Retry-After` of a 503.
const SOON: Duration = Duration::from_secs(1);
const INCOMPLETE_BODY: &str = "the body ended before it was complete";

/// The body of every response that is not a success: Z-API's two shapes, plus `success` for clients
/// that look at nothing else.
#[derive(Serialize)]
struct Body<'text> {
    success: bool,
    error: &'text str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'text str>,
}

/// Whether the body of a response of Z-API says that the call was carried out. Z-API sends some errors
/// with the status 200.
#[must_use]
pub fn is_success(body: &[u8]) -> bool {
    let success = json::object(body, ["success"]);
    matches!(success, Ok([Some(value)]) if value.get() == "true")
}

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
        Failure::Denied { reason } | Failure::Refused { reason } => {
            framework(StatusCode::FAILED_DEPENDENCY, "FAILED_DEPENDENCY", reason)
        }
        Failure::Upstream { reason } => bad_gateway(reason),
        Failure::NotSent => unavailable("it could not be sent in time; nothing was changed"),
        Failure::QueueFull => {
            unavailable("too many calls of this instance are waiting already; nothing was changed")
        }
        Failure::Unknown => gateway_timeout(match operation {
            Operation::Change(_) => {
                "the change was sent and not confirmed in time; it may still take effect"
            }
            Operation::Read => "Ryze did not answer in time",
        }),
    }
}

/// The response to a call that was rejected.
#[must_use]
pub fn rejection(rejection: &Rejection) -> Answer {
    match rejection {
        Rejection::BadRequest(problem) => bad_request(&problem_sentence(problem)),
        Rejection::UnknownPath { instead } => {
            let message = "Unable to find matching target resource method";
            let message = match instead {
                Some(path) => Cow::from(format!("{message}; use /{path}")),
                None => message.into(),
            };
            framework(StatusCode::NOT_FOUND, "NOT_FOUND", &message)
        }
        Rejection::WrongMethod { allow } => method_not_allowed(allow),
        Rejection::UnknownInstance => sentence(StatusCode::BAD_REQUEST, "Instance not found"),
        Rejection::ClientTokenMissing => {
            sentence(StatusCode::FORBIDDEN, "Client-Token null not allowed")
        }
        Rejection::ClientTokenWrong => sentence(StatusCode::FORBIDDEN, "Client-Token not allowed"),
        Rejection::UnsupportedMediaType(problem) => unsupported_media_type(match problem {
            UnsupportedMediaType::Encoded => "send the body without a Content-Encoding",
            UnsupportedMediaType::NotJson => {
                "send a JSON body with the header Content-Type: application/json"
            }
        }),
        Rejection::BodyTooLarge { limit } => framework(
            StatusCode::PAYLOAD_TOO_LARGE,
            "REQUEST_ENTITY_TOO_LARGE",
            &format!("the body has more than {limit} bytes"),
        ),
        Rejection::BodyTooSlow => body_too_slow(),
        Rejection::NoCounterpart(what) => {
            unprocessable(&format!("Ryze has no call to {what}. Nothing was changed."))
        }
        Rejection::ContactsList => unprocessable(
            "Ryze cannot change the contacts of a contactsBlacklist. Nothing was changed. To have \
             the mode switched and the list dropped, the operator of the gateway sets \
             policy.contacts_blacklist to \"mode_only\".",
        ),
        Rejection::Unavailable(reason) => unavailable(match reason {
            Unavailable::Stopping => "the gateway is stopping; nothing was changed",
            Unavailable::TooManyConnections => "the gateway has too many connections",
        }),
        Rejection::Fallback(error) => fallback_error(*error),
        Rejection::Unconfirmed { status, shown } => {
            let shown = shown
                .as_ref()
                .map(|shown| format!("; it answered: {shown}"));
            bad_gateway(&format!(
                "the fallback answered {} without \"success\":true, so the change is not confirmed{}",
                status.as_u16(),
                shown.unwrap_or_default(),
            ))
        }
    }
}

fn problem_sentence(problem: &BadRequest) -> Cow<'_, str> {
    match problem {
        BadRequest::Head(problem) => head_sentence(problem),
        BadRequest::IncompleteBody => INCOMPLETE_BODY.into(),
        BadRequest::NotTheObject(problem) => {
            format!("the body is not the JSON object of this call: {problem}").into()
        }
        BadRequest::Value {
            name,
            in_query,
            values,
            sent_instead,
        } => {
            let place = if *in_query { "the query's " } else { "" };
            let values: Vec<_> = values.iter().map(|(word, _)| *word).collect();
            let hint = sent_instead.map_or_else(String::new, |other| {
                format!(", not {other} as in other privacy calls")
            });
            format!("{place}{name} must be one of {}{hint}", values.join(", ")).into()
        }
        BadRequest::ContactsList => "contactsBlacklist must be a list of {\"action\":\"add\" or \
             \"remove\",\"phone\":\"digits\"}"
            .into(),
    }
}

fn head_sentence(problem: &InvalidHead) -> Cow<'static, str> {
    match problem {
        InvalidHead::TargetForm => "the request target must be a path or an absolute URL".into(),
        InvalidHead::TargetNotAscii => {
            "the request target must be ASCII; percent-encode the rest".into()
        }
        InvalidHead::RepeatedHeader(name) => format!("the header {name} stands twice").into(),
        InvalidHead::TransferEncoding => {
            "the only Transfer-Encoding that is understood is chunked".into()
        }
        InvalidHead::HostMalformed => "the header host is malformed".into(),
        InvalidHead::HostMissing => "the header host is missing".into(),
    }
}

fn fallback_error(error: proxy::Error) -> Answer {
    use proxy::Error;
    match error {
        Error::Method { allow } => method_not_allowed(allow),
        Error::Upgrade => {
            bad_request("the gateway does not switch protocols; send the request without Upgrade")
        }
        Error::TargetTooLong => bad_request("the request target is too long"),
        Error::TargetInvalid => bad_request("the request target cannot be passed on"),
        Error::IncompleteBody => bad_request(INCOMPLETE_BODY),
        Error::BodyTooSlow => body_too_slow(),
        Error::Loop => bad_gateway("the fallback leads back to the gateway"),
        Error::Unreachable => bad_gateway("the fallback cannot be reached; nothing was sent to it"),
        Error::Broken => bad_gateway(
            "the fallback's connection or its answer broke; it may have carried the call out",
        ),
        Error::Unsolicited => bad_gateway("the fallback's answer is one that was not asked for"),
        Error::EndlessInterim => bad_gateway(
            "the fallback's interim answers do not end; it may have carried the call out",
        ),
        Error::Silent => {
            gateway_timeout("the fallback did not answer in time; it may have carried the call out")
        }
        Error::Stopping => gateway_timeout(
            "the gateway is stopping and the fallback has not answered; it may have carried the \
             call out",
        ),
    }
}

fn bad_request(message: &str) -> Answer {
    framework(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

fn method_not_allowed(allow: &'static str) -> Answer {
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

fn unsupported_media_type(message: &str) -> Answer {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    with(
        framework(status, "UNSUPPORTED_MEDIA_TYPE", message),
        HeaderName::from_static("accept-post"),
        HeaderValue::from_static("application/json"),
    )
}

fn body_too_slow() -> Answer {
    let message = "the body did not arrive in time";
    framework(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", message)
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
