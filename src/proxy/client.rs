//! The HTTP client: a pool of connections to the fallback, and the one case in which a request is sent
//! twice.
//!
//! An upstream may close an idle connection at the moment at which a request is sent on it. If hyper has
//! not started with the request, hyper-util takes another connection. Otherwise a request is sent once
//! more, on a new connection, if it is safe and has no body and not a byte of a response has been
//! received (RFC 9110, 9.2.2). Any other request may have been carried out, and is not repeated.

use std::{
    error::Error as _,
    io, iter,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::{Method, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::{Body as _, Incoming};
use hyper_util::{
    client::legacy::{self, Client, connect::capture_connection},
    rt::{TokioExecutor, TokioTimer},
};
use tokio_util::sync::CancellationToken;

use super::{
    Error,
    body::{Exchange, Upload},
    connector::{Connector, Handle},
};
use crate::{header_limit::max_headers, net::ConnectFault};

/// Idle connections in the pool.
const MAX_IDLE_CONNECTIONS: usize = 32;
/// How long a connection may be idle in the pool. Node.js closes idle connections after 5 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Bytes of a body that are buffered in each direction, and the limit of a response's head.
const BUFFER: usize = 64 * 1024;
/// Interim responses to one request. hyper reads any number of them, and each restarts the idle timeout.
const MAX_INTERIM: usize = 100;

/// Sends requests to the fallback.
pub(super) struct HttpClient {
    pooled: Client<Connector, Upload>,
    /// Opens a connection for each request.
    unpooled: Client<Connector, Upload>,
}

/// An attempt without a response.
struct Failed {
    error: Error,
    /// A reused connection was closed before any byte of a response.
    is_stale: bool,
}

impl HttpClient {
    pub(super) fn new(connector: Connector) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .http1_max_buf_size(BUFFER)
            .http1_max_headers(max_headers(BUFFER));
        let pooled = builder.build(connector.clone());
        let unpooled = builder.pool_max_idle_per_host(0).build(connector);
        Self { pooled, unpooled }
    }

    /// Sends a request and returns the head of its response.
    pub(super) async fn send(
        &self,
        request: Request<Upload>,
        exchange: &Exchange,
    ) -> Result<Response<Incoming>, Error> {
        let copy = copy_if_repeatable(&request);
        let response = attempt(&self.pooled, request, exchange).await;
        let response = match (response, copy) {
            (Err(stale), Some(head)) if stale.is_stale => {
                let body = Upload::new(Empty::new(), head.headers(), exchange.clone());
                let again = attempt(&self.unpooled, head.map(|()| body), exchange).await;
                again.map_err(|failed| match failed.error {
                    // The first attempt was sent.
                    Error::Unreachable(_) => stale,
                    _ => failed,
                })
            }
            (response, _) => response,
        };
        response.map_err(|failed| failed.error)
    }
}

/// The head of a request that may be sent twice.
fn copy_if_repeatable(request: &Request<Upload>) -> Option<Request<()>> {
    let is_safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if !is_safe || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}

async fn attempt(
    client: &Client<Connector, Upload>,
    mut request: Request<Upload>,
    exchange: &Exchange,
) -> Result<Response<Incoming>, Failed> {
    let asked = exchange.clone();
    let too_many = CancellationToken::new();
    let (exceeded, received) = (too_many.clone(), AtomicUsize::new(0));
    hyper::ext::on_informational(&mut request, move |interim| {
        if interim.status() == StatusCode::CONTINUE {
            asked.proceed();
        }
        if received.fetch_add(1, Ordering::Relaxed) == MAX_INTERIM {
            exceeded.cancel();
        }
    });
    let captured = capture_connection(&mut request);
    let response = tokio::select! {
        biased;
        () = too_many.cancelled() => return Err(Failed {
            error: Error::EndlessInterim,
            is_stale: false,
        }),
        response = client.request(request) => response,
    };
    let response = response.map_err(|error| Failed::new(&error, exchange))?;
    let connection: Option<&Handle> = response.extensions().get();
    if connection.is_some_and(Handle::is_too_old)
        && let Some(connected) = &*captured.connection_metadata()
    {
        connected.poison();
    }
    Ok(response)
}

impl Failed {
    /// Finds the cause: the client or the upstream.
    fn new(failure: &legacy::Error, exchange: &Exchange) -> Self {
        let causes = || iter::successors(failure.source(), |cause| (*cause).source());
        let mut of_system = causes().filter_map(|cause| cause.downcast_ref::<io::Error>());
        let mut of_hyper = causes().filter_map(|cause| cause.downcast_ref::<hyper::Error>());
        let first = of_system.clone().next();
        let timed_out = of_system.find(|error| error.kind() == io::ErrorKind::TimedOut);
        // With an error number it is from the system: the peer is dead.
        let is_idle = timed_out.is_some_and(|error| error.raw_os_error().is_none());
        let error = if failure.is_connect() {
            Error::Unreachable(first.map_or(ConnectFault::Other, ConnectFault::from))
        } else if exchange.is_broken() {
            Error::IncompleteBody
        } else if is_idle && exchange.waits_for_client() {
            Error::BodyTooSlow
        } else if timed_out.is_some() {
            Error::Silent
        } else if of_hyper.clone().any(hyper::Error::is_parse_too_large) {
            Error::TooLarge
        } else if of_hyper.any(hyper::Error::is_parse) {
            Error::Malformed
        } else {
            Error::Broken
        };
        let mut extensions = http::Extensions::new();
        if let Some(connected) = failure.connect_info() {
            connected.get_extras(&mut extensions);
        }
        let handle: Option<&Handle> = extensions.get();
        Self {
            error,
            is_stale: error == Error::Broken && handle.is_some_and(Handle::is_unanswered),
        }
    }
}
