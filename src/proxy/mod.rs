//! The reverse proxy to the fallback (RFC 9110, 7.6, and RFC 9112).
//!
//! Requests and responses are forwarded unchanged except for hop-by-hop fields, `Host` and `Via`.
//! Bodies are streamed. `zapi::router` decides which requests are forwarded.

mod body;
mod connector;
mod error;
mod headers;

use std::{
    error::Error as _,
    io, iter,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode, Uri, header,
    uri::{self, PathAndQuery},
};
use hyper::body::Body;
use hyper_util::{
    client::legacy::{self, Client, connect::capture_connection},
    rt::{TokioExecutor, TokioTimer},
};
use tokio_util::sync::CancellationToken;

pub use self::{body::Download, error::Error};
use self::{
    body::{BoxError, Exchange, Upload},
    connector::{Connector, Opened},
};
use crate::{
    config,
    net::{Connect, ConnectFault},
};

/// Idle connections in the pool.
const MAX_IDLE_CONNECTIONS: usize = 32;
/// How long a connection may be idle in the pool. Node.js closes idle connections after 5 s; a request
/// that races with the close may not be safe to send again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Bytes of a body that are buffered in each direction, and the limit of a response's head.
const BUFFER: usize = 64 * 1024;
/// Interim responses to one request. hyper reads any number of them, and each restarts the idle timeout.
const MAX_INTERIM: usize = 100;

/// Forwards requests to the fallback.
pub struct Proxy {
    client: Client<Connector, Upload>,
    base_url: uri::Parts,
    host: HeaderValue,
}

impl Proxy {
    /// Forwards to `config.base_url` over connections that `connector` opens.
    ///
    /// # Errors
    /// The host is not a valid header value.
    pub fn new(config: &config::Fallback, connector: impl Connect) -> Result<Self, http::Error> {
        let base_url = config.base_url.clone().into_parts();
        let host = base_url.authority.as_ref().map_or("", |host| host.as_str());
        let host = HeaderValue::from_str(host)?;
        let mut client = Client::builder(TokioExecutor::new());
        client
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .http1_max_buf_size(BUFFER);
        let client = client.build(Connector {
            connect: Arc::new(connector),
            idle_timeout: config.idle_timeout,
        });
        Ok(Self {
            client,
            base_url,
            host,
        })
    }

    /// Forwards a request and returns the response; both bodies are streamed. Dropping the future, or the
    /// response's body before its end, cancels the request at the upstream too. A request is retried
    /// only if the connection was closed before any byte of it was sent.
    ///
    /// # Errors
    /// The upstream sent no usable response, or the request must not be forwarded.
    pub async fn forward<B>(&self, request: Request<B>) -> Result<Response<Download>, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        headers::to_upstream(&mut parts, &self.host)?;
        parts.uri = self.upstream_url(&parts.uri)?;
        if !body.is_end_stream() && body.size_hint().exact().is_none() {
            let chunked = HeaderValue::from_static("chunked");
            parts.headers.insert(header::TRANSFER_ENCODING, chunked);
        }
        let exchange = Exchange::default();
        let body = Upload::new(body, &parts.headers, exchange.clone());
        let mut request = Request::from_parts(parts, body);
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
        let connection = capture_connection(&mut request);
        let response = tokio::select! {
            biased;
            () = too_many.cancelled() => return Err(Error::EndlessInterim),
            response = self.client.request(request) => response,
        };
        let response = response.map_err(|error| cause(&error, &exchange))?;
        let (mut parts, body) = response.into_parts();
        if parts.extensions.remove().is_some_and(Opened::is_too_old)
            && let Some(connection) = &*connection.connection_metadata()
        {
            connection.poison();
        }
        headers::to_client(&mut parts)?;
        if !body.is_end_stream() {
            // hyper writes the body's length itself. The header may repeat it, or contradict the chunks
            // (RFC 9112, 6.3).
            parts.headers.remove(header::CONTENT_LENGTH);
        }
        if !exchange.response_received() {
            // The rest of the client's body may stay unread.
            let close = HeaderValue::from_static("close");
            parts.headers.insert(header::CONNECTION, close);
        }
        let abort = parts.extensions.remove().unwrap_or_default();
        let body = Download::new(body, parts.status, &parts.headers, exchange, abort);
        Ok(Response::from_parts(parts, body))
    }

    /// The URL at the upstream for a request target. Path and query stay byte for byte.
    fn upstream_url(&self, target: &Uri) -> Result<Uri, Error> {
        let target = target.path_and_query().cloned();
        // `Display` adds the slash to a query without a path.
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let prefix = self.base_url.path_and_query.as_ref();
        let prefix = prefix.map_or("", |prefix| prefix.path().trim_end_matches('/'));
        let path = PathAndQuery::try_from(format!("{prefix}{target}"));
        let path = path.map_err(|_| Error::TargetTooLong)?;
        let mut url = uri::Parts::default();
        url.scheme.clone_from(&self.base_url.scheme);
        url.authority.clone_from(&self.base_url.authority);
        url.path_and_query = Some(path);
        Uri::from_parts(url).map_err(|_| Error::TargetInvalid)
    }
}

/// Why there is no response: because of the client or of the upstream.
fn cause(error: &legacy::Error, exchange: &Exchange) -> Error {
    let causes = || iter::successors(error.source(), |cause| (*cause).source());
    let mut of_system = causes().filter_map(|cause| cause.downcast_ref::<io::Error>());
    if error.is_connect() {
        let fault = of_system
            .next()
            .map_or(ConnectFault::Other, ConnectFault::from);
        return Error::Unreachable(fault);
    }
    let timed_out = of_system.find(|error| error.kind() == io::ErrorKind::TimedOut);
    // With an error number it is from the system: the peer is dead.
    let is_idle = timed_out.is_some_and(|error| error.raw_os_error().is_none());
    let mut of_hyper = causes().filter_map(|cause| cause.downcast_ref::<hyper::Error>());
    if exchange.is_broken() {
        Error::IncompleteBody
    } else if is_idle && exchange.waits_for_client() {
        Error::BodyTooSlow
    } else if timed_out.is_some() {
        Error::Silent
    } else if of_hyper.any(|error| error.is_parse() || error.is_parse_too_large()) {
        Error::Malformed
    } else {
        Error::Broken
    }
}
