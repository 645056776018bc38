//! The two shapes of Z-API's errors: a sentence, and the framework's status with a message.

use http::StatusCode;
use serde_json::json;

use crate::sandbox::reply::Reply;

pub(super) fn sentence(status: StatusCode, error: &str) -> Reply {
    Reply::new(status, json!({"error": error}).to_string())
}

pub(super) fn framework(status: StatusCode, error: &str, message: &str) -> Reply {
    let body = json!({"error": error, "message": message});
    Reply::new(status, body.to_string())
}

pub(super) fn bad_request(message: &str) -> Reply {
    framework(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

/// An unknown path below an instance. Callers have recorded the status 200.
pub(super) fn unknown_path() -> Reply {
    not_found(StatusCode::OK)
}

/// A path that is not below an instance.
pub(super) fn no_instance() -> Reply {
    not_found(StatusCode::NOT_FOUND)
}

fn not_found(status: StatusCode) -> Reply {
    let message = "Unable to find matching target resource method";
    framework(status, "NOT_FOUND", message)
}
