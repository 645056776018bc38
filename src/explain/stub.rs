//! Stub upstreams behind in-memory pipes: each records the first request and answers with success.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::duplex;

use crate::{
    header_limit::MAX_RESPONSE_FIELDS,
    net::{Connect, Opening, Stream},
    privacy::{Audience, Change, Setting},
    ryze::wire,
};

const PIPE_CAPACITY: usize = 64 * 1024;

/// An upstream and its connector. A clone is the same upstream.
#[derive(Clone)]
pub(super) struct Stub {
    answer: fn(&Bytes) -> Response<Full<Bytes>>,
    received: Arc<OnceLock<Request<Bytes>>>,
}

impl Stub {
    /// Ryze. It confirms every update, and answers a read with `all` for every setting.
    pub(super) fn ryze() -> Self {
        Self::new(|body| {
            let settings = if body.is_empty() {
                let everyone = |setting| Change {
                    setting,
                    audience: Audience::Everyone,
                };
                wire::update(&Setting::ALL.into_iter().map(everyone).collect())
            } else {
                body.clone()
            };
            Response::new(Full::new(wire::confirmation(&settings)))
        })
    }

    /// The fallback. Its responses are empty, so that they are not mistaken for Z-API's.
    pub(super) fn fallback() -> Self {
        Self::new(|_| {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            answer
        })
    }

    fn new(answer: fn(&Bytes) -> Response<Full<Bytes>>) -> Self {
        Self {
            answer,
            received: Arc::default(),
        }
    }

    /// The first complete request.
    pub(super) fn received(&self) -> Option<Request<Bytes>> {
        self.received.get().cloned()
    }

    async fn serve(self, stream: Box<dyn Stream>) {
        let service = service_fn(|request: Request<Incoming>| {
            let Self { answer, received } = self.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let answer = answer(&body);
                // A retry repeats the first request.
                let _ = received.set(Request::from_parts(head, body));
                Ok::<_, hyper::Error>(answer)
            }
        });
        let connection = http1::Builder::new()
            .max_headers(MAX_RESPONSE_FIELDS)
            .serve_connection(TokioIo::new(stream), service);
        // The gateway handles a connection error at its end.
        let _ = connection.await;
    }
}

impl Connect for Stub {
    fn connect(&self) -> Opening<'_> {
        Box::pin(async {
            let (near, far) = duplex(PIPE_CAPACITY);
            tokio::spawn(self.clone().serve(Box::new(far)));
            Ok(Box::new(near) as _)
        })
    }
}
