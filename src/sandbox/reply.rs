//! Responses of the sandbox, and the reading of request bodies.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::limit::Quota;

const MAX_BODY: usize = 16 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a connection is closed without a response.
pub(super) type Closed = Box<dyn Error + Send + Sync>;

/// A response before it is written to a connection.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: String,
    /// The state of the limit, for a request with a known token.
    pub(super) quota: Option<Quota>,
}

impl Reply {
    pub(super) fn new(status: StatusCode, body: String) -> Self {
        Self {
            status,
            body,
            quota: None,
        }
    }

    pub(super) fn ok(body: &Value) -> Self {
        Self::new(StatusCode::OK, body.to_string())
    }

    /// An error in Ryze's envelope.
    pub(super) fn refusal(status: StatusCode, message: &str) -> Self {
        let body = json!({"success": false, "error": {"message": message}});
        Self::new(status, body.to_string())
    }
}

/// Reads a whole body.
pub(super) async fn read(body: Incoming) -> Result<Bytes, Reply> {
    let body = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect());
    let (status, message) = match body.await {
        Ok(Ok(body)) => return Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            (StatusCode::PAYLOAD_TOO_LARGE, "Request body too large")
        }
        Ok(Err(_)) => (StatusCode::BAD_REQUEST, "Invalid request body"),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "Request timeout"),
    };
    Err(Reply::refusal(status, message))
}
