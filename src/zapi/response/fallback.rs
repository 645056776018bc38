//! The response to a call for which the fallback gave none.

use super::shape::{
    Answer, INCOMPLETE_BODY, bad_gateway, bad_request, body_too_slow, gateway_timeout,
    method_not_allowed,
};
use crate::proxy::Error;

pub(super) fn fallback_error(error: Error) -> Answer {
    match error {
        Error::Method { allow } => method_not_allowed(allow),
        Error::TargetTooLong => bad_request("the request target is too long"),
        Error::TargetInvalid => bad_request("the request target cannot be passed on"),
        Error::IncompleteBody => bad_request(INCOMPLETE_BODY),
        Error::BodyTooSlow => body_too_slow(),
        Error::Loop => bad_gateway("the fallback leads back to the gateway"),
        Error::Unreachable(_) => {
            bad_gateway("the fallback cannot be reached; nothing was sent to it")
        }
        Error::Broken | Error::Malformed => bad_gateway(
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
