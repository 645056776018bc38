//! Stand-ins for the vendors, at the other end of pipes: each remembers what it was asked and says
//! yes. What a vendor may say otherwise belongs in `sandbox`.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{DuplexStream, duplex};

use crate::{
    network::{Connect, Stream},
    privacy::{Audience, Change, Setting},
    ryze::wire,
};

/// Bytes of a pipe.
const ROOM: usize = 64 * 1024;

/// A vendor, and the way to it. A clone is the same vendor.
#[derive(Clone)]
pub(super) struct Vendor {
    answer: fn(&Bytes) -> Response<Full<Bytes>>,
    asked: Arc<OnceLock<Request<Bytes>>>,
}

impl Vendor {
    /// Ryze, which confirms every update and has every setting at its widest.
    pub(super) fn ryze() -> Self {
        Self::new(|body| {
            let settings = if body.is_empty() {
                let widest = |setting| Change {
                    setting,
                    audience: Audience::Everyone,
                };
                wire::update(&Setting::ALL.into_iter().map(widest).collect())
            } else {
                body.clone()
            };
            Response::new(Full::new(wire::confirmation(&settings)))
        })
    }

    /// The old vendor, whose answers nobody is to take for real ones: they are empty.
    pub(super) fn old() -> Self {
        Self::new(|_| {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            answer
        })
    }

    fn new(answer: fn(&Bytes) -> Response<Full<Bytes>>) -> Self {
        Self {
            answer,
            asked: Arc::default(),
        }
    }

    /// The first request that arrived whole.
    pub(super) fn asked(&self) -> Option<Request<Bytes>> {
        self.asked.get().cloned()
    }

    async fn serve(self, stream: DuplexStream) {
        let service = service_fn(|request: Request<Incoming>| {
            let Self { answer, asked } = self.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let answer = answer(&body);
                // A second one would be the same again.
                let _ = asked.set(Request::from_parts(head, body));
                Ok::<_, hyper::Error>(answer)
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // How it ends is seen on the gateway's side.
        let _ = connection.await;
    }
}

impl Connect for Vendor {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let (near, far) = duplex(ROOM);
        tokio::spawn(self.clone().serve(far));
        Ok(Box::new(near))
    }
}
