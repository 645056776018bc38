//! Requests to the fallback: streamed, or, for a change of a list of contacts, with the whole response
//! read, because only its body says whether the change was made.

use std::{error::Error, future::Future, io, iter, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response,
    header::{ACCEPT_ENCODING, EXPECT},
    request::Parts,
};
use http_body_util::{Full, LengthLimitError};
use hyper::body::Body;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    privacy::Report,
    proxy::{self, Download, Proxy},
    redact::SecretIndex,
    ryze::sanitize,
    telemetry::{Called, Metrics, Trace, Upstream},
    whole_body,
    zapi::{
        auth::CLIENT_TOKEN,
        rejection::Rejection,
        response::{Answer, is_success},
    },
};

/// Bytes of a response to a change of a list of contacts. Z-API's have about a hundred.
const MAX_ANSWER: usize = 64 * 1024;

/// The fallback, and what belongs to each request to it.
pub(super) struct Forwarder {
    pub(super) proxy: Arc<Proxy>,
    pub(super) metrics: Arc<Metrics>,
    /// Cancelled when the gateway stops waiting for responses.
    pub(super) abort: CancellationToken,
}

impl Forwarder {
    /// Forwards a request and counts it.
    // An `async fn` would keep the request in its future after the proxy has taken it.
    pub(super) fn forward<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Download>, proxy::Error>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (method, begun) = (request.method().clone(), Instant::now());
        // Boxed, because otherwise the future of every call, also of a translated one, has room for it.
        let answer = Box::pin(self.proxy.forward(request));
        async move {
            let answer = tokio::select! {
                biased;
                answer = answer => answer,
                () = self.abort.cancelled() => Err(proxy::Error::Stopping),
            };
            let now = Instant::now();
            self.metrics.called(Called {
                upstream: Upstream::Fallback,
                method: &method,
                status: answer.as_ref().ok().map(Response::status),
                error: answer.as_ref().err().map(|error| error.label()),
                reason: answer.as_ref().err().map(|error| error.reason()),
                time: now,
                duration: now - begun,
            });
            answer
        }
    }

    /// Forwards a change of a list of contacts and reads the whole response. One with the status of a
    /// success must also say that it is one.
    pub(super) async fn change_contacts(
        self,
        mut parts: Parts,
        body: Bytes,
        trace: Arc<Trace>,
        secrets: Arc<SecretIndex>,
    ) -> Result<Answer, Rejection> {
        let client_token = parts.headers.get(CLIENT_TOKEN).cloned();
        // A compressed response could not be read.
        let identity = HeaderValue::from_static("identity");
        parts.headers.insert(ACCEPT_ENCODING, identity);
        // The body is here already.
        parts.headers.remove(EXPECT);
        trace.request_to_fallback_started(Instant::now());
        let request = Request::from_parts(parts, Full::new(body));
        let answer = match self.forward(request).await {
            Ok(answer) => read(answer).await,
            Err(error) => Err(error),
        };
        let was_sent = !matches!(answer, Err(proxy::Error::Unreachable(_)));
        trace.request_ended(was_sent, Instant::now());
        let (parts, body) = answer?.into_parts();
        if parts.status.is_success() && !is_success(&body) {
            let client_token = client_token.as_ref().map_or(&[][..], HeaderValue::as_bytes);
            let text = String::from_utf8_lossy(&body);
            return Err(Rejection::Unconfirmed(Report {
                status: parts.status.as_u16(),
                message: sanitize(&text, client_token, &[&*secrets]),
            }));
        }
        Ok(Response::from_parts(parts, Full::new(body)))
    }
}

async fn read(answer: Response<Download>) -> Result<Response<Bytes>, proxy::Error> {
    let (parts, body) = answer.into_parts();
    let body = whole_body::read(body, MAX_ANSWER).await;
    let body = body.map_err(|error| cause(&*error))?;
    Ok(Response::from_parts(parts, body))
}

/// Why a response could not be read to its end.
fn cause(error: &(dyn Error + 'static)) -> proxy::Error {
    let mut causes = iter::successors(Some(error), |error| (*error).source());
    let is_timeout = |cause: &(dyn Error + 'static)| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    };
    if error.is::<LengthLimitError>() {
        proxy::Error::TooLarge
    } else if causes.any(is_timeout) {
        proxy::Error::Silent
    } else {
        proxy::Error::Broken
    }
}
