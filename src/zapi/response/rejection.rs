//! The response to a call that the gateway rejects.

use std::borrow::Cow;

use http::StatusCode;

use super::{
    fallback::{fallback_error, unconfirmed},
    shape::{
        Answer, INCOMPLETE_BODY, bad_request, body_too_slow, framework, method_not_allowed,
        sentence, unavailable, unprocessable, unsupported_media_type,
    },
};
use crate::{
    server::InvalidHead,
    zapi::rejection::{BadRequest, Rejection, Unavailable, UnsupportedMediaType},
};

/// Ends the 404 of a call that a fallback would get.
const NO_FALLBACK: &str =
    "the gateway translates only privacy calls and has no [fallback] for the others";

/// The response to a call that was rejected.
#[must_use]
pub fn rejection(rejection: &Rejection) -> Answer {
    match rejection {
        Rejection::BadRequest(problem) => bad_request(&problem_sentence(problem)),
        Rejection::UnknownPath {
            instead,
            near,
            lacks_fallback,
        } => {
            let mut message = "Unable to find matching target resource method".to_owned();
            if let Some(path) = instead {
                message += &format!("; use /{path}");
            } else {
                if *lacks_fallback {
                    message = format!("{message}; {NO_FALLBACK}");
                }
                if let Some(near) = near {
                    message += &format!("; did you mean {near}?");
                }
            }
            framework(StatusCode::NOT_FOUND, "NOT_FOUND", &message)
        }
        Rejection::WrongMethod { allow } => method_not_allowed(allow),
        Rejection::UnknownInstance(_) => sentence(StatusCode::BAD_REQUEST, "Instance not found"),
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
             policy.contacts_blacklist to \"mode_only\"; to have Z-API change the list, to \"fallback\".",
        ),
        Rejection::TlsRequired => bad_request(
            "this port takes https only, and the request came as plain http; use https:// in the \
             base URL",
        ),
        Rejection::Unavailable(reason) => unavailable(match reason {
            Unavailable::Stopping => "the gateway is stopping; nothing was changed",
            Unavailable::TooManyConnections => "the gateway has too many connections",
        }),
        Rejection::Fallback(error) => fallback_error(*error),
        Rejection::Unconfirmed(report) => unconfirmed(report),
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
            field,
            in_query,
            values,
            sent_instead,
        } => {
            let place = if *in_query { "the query's " } else { "" };
            let values: Vec<_> = values.iter().map(|(word, _)| *word).collect();
            let hint = sent_instead.map_or_else(String::new, |other| {
                format!(", not {} as in other privacy calls", other.name())
            });
            let (name, values) = (field.name(), values.join(", "));
            format!("{place}{name} must be one of {values}{hint}").into()
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
