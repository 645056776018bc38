//! The operator's listener: whether the process lives and whether it takes requests. It answers
//! nothing about callers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;

use crate::{
    alarm::Alarm,
    server::{CallerBody, Handler},
};

/// Whether new requests are welcome: from the start until the gateway begins to stop.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<AtomicBool>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Readiness {
    /// From now on `/ready` answers 503.
    pub fn withdraw(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Answers the operator.
#[derive(Debug)]
pub struct Admin {
    readiness: Readiness,
}

impl Admin {
    /// Tells of this readiness.
    #[must_use]
    pub fn new(readiness: Readiness) -> Self {
        Self { readiness }
    }

    fn status(&self, method: &Method, path: &str) -> StatusCode {
        match (path, method) {
            ("/live" | "/ready", other) if other != Method::GET => StatusCode::METHOD_NOT_ALLOWED,
            ("/ready", _) if !self.readiness.0.load(Ordering::Relaxed) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ("/live" | "/ready", _) => StatusCode::OK,
            _ => StatusCode::NOT_FOUND,
        }
    }
}

impl Handler for Admin {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<CallerBody>, _: &mut Alarm) -> Response<Self::Body> {
        let status = self.status(request.method(), request.uri().path());
        let text = match status {
            StatusCode::OK => "ok\n",
            StatusCode::SERVICE_UNAVAILABLE => "stopping\n",
            StatusCode::METHOD_NOT_ALLOWED => "only GET\n",
            _ => "there is /live and /ready\n",
        };
        let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
        *answer.status_mut() = status;
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        answer.headers_mut().insert(header::CONTENT_TYPE, text);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            let get = HeaderValue::from_static("GET");
            answer.headers_mut().insert(header::ALLOW, get);
        }
        answer
    }
}
