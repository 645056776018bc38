//! Whether a response of the fallback is a success, and the response to a call for which there is none.

use super::failure::cure_of_connection;
use super::shape::{
    Answer, INCOMPLETE_BODY, bad_gateway, bad_request, body_too_slow, gateway_timeout,
    method_not_allowed,
};
use crate::{json, privacy::Report, proxy::Error};

/// Whether the body of a response of Z-API says that the call was carried out. Z-API sends some errors
/// with the status 200.
#[must_use]
pub fn is_success(body: &[u8]) -> bool {
    let success = json::object(body, ["success"]);
    matches!(success, Ok([Some(value)]) if value.get() == "true")
}

/// `report` is of a response with the status of a success.
pub(super) fn unconfirmed(Report { status, message }: &Report) -> Answer {
    let shown = message.as_ref();
    let shown = shown.map_or_else(String::new, |shown| format!("; it answered: {shown}"));
    bad_gateway(&format!(
        "the fallback answered {status} without \"success\":true, so the change is not confirmed{shown}"
    ))
}

pub(super) fn fallback_error(error: Error) -> Answer {
    match error {
        Error::Method { allow } => method_not_allowed(allow),
        Error::TargetTooLong => bad_request("the request target is too long"),
        Error::IncompleteBody => bad_request(INCOMPLETE_BODY),
        Error::BodyTooSlow => body_too_slow(),
        Error::Loop => bad_gateway(
            "the fallback leads back to the gateway; the operator of the gateway sets \
             fallback.base_url to Z-API, by a name that does not lead here",
        ),
        Error::Unreachable(fault) => {
            let cure = cure_of_connection(fault, "fallback");
            bad_gateway(&format!(
                "the fallback cannot be reached: {fault}; {cure}; nothing was sent to it"
            ))
        }
        Error::Broken => {
            bad_gateway("the fallback's connection broke; it may have carried the call out")
        }
        Error::Malformed => bad_gateway(
            "the fallback's answer is not HTTP; the operator of the gateway checks \
             fallback.base_url; it may have carried the call out",
        ),
        Error::TooLarge => {
            bad_gateway("the fallback's answer is too large; it may have carried the call out")
        }
        Error::Unsolicited => bad_gateway(
            "the fallback's answer has a transfer coding that is not supported, or switches \
             protocols; it may have carried the call out",
        ),
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
