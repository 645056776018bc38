//! Responses of both in-memory APIs, and the reading of request bodies.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{Full, LengthLimitError};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::limit::Quota;
use crate::whole_body;

const MAX_BODY: usize = 16 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Closes the connection without a response. Not a boxed error: with one the compiler does not see that the
/// futures here are `Send`.
pub(super) struct Closed;

impl<E: Error> From<E> for Closed {
    fn from(_: E) -> Self {
        Self
    }
}

impl From<Closed> for Box<dyn Error + Send + Sync> {
    fn from(_: Closed) -> Self {
        "closed without a response".into()
    }
}

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

    /// The response, without the state of the limit.
    pub(super) fn into_response(self) -> http::Result<Response<Full<Bytes>>> {
        Response::builder()
            .status(self.status)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(self.body))
    }
}

/// Reads a whole body for Ryze.
pub(super) async fn read(body: Incoming) -> Result<Bytes, Reply> {
    let body = read_up_to(MAX_BODY, body).await;
    body.map_err(|(status, message)| Reply::refusal(status, message))
}

/// Reads a whole body of at most `max` bytes. An error is a status and a message.
pub(super) async fn read_up_to(
    max: usize,
    body: Incoming,
) -> Result<Bytes, (StatusCode, &'static str)> {
    let body = timeout(BODY_TIMEOUT, whole_body::read(body, max));
    Err(match body.await {
        Ok(Ok(body)) => return Ok(body),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            (StatusCode::PAYLOAD_TOO_LARGE, "Request body too large")
        }
        Ok(Err(_)) => (StatusCode::BAD_REQUEST, "Invalid request body"),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "Request timeout"),
    })
}
