//! The way to the old vendor, for everything that is not done on Ryze: a reverse proxy (RFC 9110, 7.6
//! and RFC 9112) that passes requests and answers on as they are. Which requests come here is decided
//! in `zapi::router`.

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
use crate::{config, net::Connect};

/// Connections kept open while nothing is under way on them, and for how long: the upstream is not to
/// close one just when it is used again, for not every request may be sent twice. Node.js closes them
/// after five seconds.
const MOST_IDLE: usize = 32;
const LONGEST_IDLE: Duration = Duration::from_secs(4);
/// About so many bytes are held of one body, each way, and an answer's head may have.
const BUFFER: usize = 64 * 1024;
/// Interim answers to one request. hyper reads any number of them, and none is silence.
const MOST_INTERIM: usize = 100;

/// The old vendor.
pub struct Proxy<C> {
    client: Client<Connector<C>, Upload>,
    base_url: uri::Parts,
    host: HeaderValue,
}

impl<C: Connect> Proxy<C> {
    /// The vendor of the configuration, reached through `connector`.
    ///
    /// # Errors
    /// Its host cannot stand in a header.
    pub fn new(config: &config::Fallback, connector: C) -> Result<Self, http::Error> {
        let base_url = config.base_url.clone().into_parts();
        let host = base_url.authority.as_ref().map_or("", |host| host.as_str());
        let host = HeaderValue::from_str(host)?;
        let mut client = Client::builder(TokioExecutor::new());
        client
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(LONGEST_IDLE)
            .pool_max_idle_per_host(MOST_IDLE)
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

    /// Passes a request on and its answer back; the bodies follow as they come. Dropping the future, or
    /// the answer's body before its end, gives the request up on the upstream's side too. A request is
    /// sent once: again only where a connection was closed before a byte of it was sent.
    ///
    /// # Errors
    /// The upstream gave no answer, or the request is none to be passed on.
    pub async fn forward<B>(&self, request: Request<B>) -> Result<Response<Download>, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        headers::to_upstream(&mut parts, &self.host)?;
        parts.uri = self.address(&parts.uri)?;
        if !body.is_end_stream() && body.size_hint().exact().is_none() {
            let chunked = HeaderValue::from_static("chunked");
            parts.headers.insert(header::TRANSFER_ENCODING, chunked);
        }
        let exchange = Exchange::default();
        let body = Upload::new(body, &parts.headers, exchange.clone());
        let mut request = Request::from_parts(parts, body);
        let asked = exchange.clone();
        let endless = CancellationToken::new();
        let (too_many, interim) = (endless.clone(), AtomicUsize::new(0));
        hyper::ext::on_informational(&mut request, move |answer| {
            if answer.status() == StatusCode::CONTINUE {
                asked.proceed();
            }
            if interim.fetch_add(1, Ordering::Relaxed) == MOST_INTERIM {
                too_many.cancel();
            }
        });
        let connection = capture_connection(&mut request);
        let answer = tokio::select! {
            biased;
            () = endless.cancelled() => return Err(Error::EndlessInterim),
            answer = self.client.request(request) => answer,
        };
        let answer = answer.map_err(|error| cause(&error, &exchange))?;
        let (mut parts, body) = answer.into_parts();
        if parts.extensions.remove().is_some_and(Opened::is_too_old)
            && let Some(connection) = &*connection.connection_metadata()
        {
            connection.poison();
        }
        headers::to_caller(&mut parts)?;
        if !body.is_end_stream() {
            // The body knows its length, which the header may tell twice, or wrong beside chunks
            // (RFC 9112, 6.3).
            parts.headers.remove(header::CONTENT_LENGTH);
        }
        if !exchange.answer() {
            // What the caller still sends may be left unread.
            let close = HeaderValue::from_static("close");
            parts.headers.insert(header::CONNECTION, close);
        }
        let cut = parts.extensions.remove().unwrap_or_default();
        let body = Download::new(body, parts.status, &parts.headers, exchange, cut);
        Ok(Response::from_parts(parts, body))
    }

    /// The upstream's URL of what the caller asked for, whose path and query stay as they are.
    fn address(&self, asked: &Uri) -> Result<Uri, Error> {
        let asked = asked.path_and_query().cloned();
        // Displayed, a query without a path has its slash.
        let asked = asked.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let prefix = self.base_url.path_and_query.as_ref();
        let prefix = prefix.map_or("", |prefix| prefix.path().trim_end_matches('/'));
        let path = PathAndQuery::try_from(format!("{prefix}{asked}"));
        let path = path.map_err(|_| Error::TargetTooLong)?;
        let mut url = uri::Parts::default();
        url.scheme.clone_from(&self.base_url.scheme);
        url.authority.clone_from(&self.base_url.authority);
        url.path_and_query = Some(path);
        Uri::from_parts(url).map_err(|_| Error::TargetInvalid)
    }
}

/// Why there is no answer: the caller's doing, or the upstream's.
fn cause(error: &legacy::Error, exchange: &Exchange) -> Error {
    let mut causes = iter::successors(error.source(), |cause| (*cause).source());
    let late = causes.find_map(|cause| {
        let error = cause.downcast_ref::<io::Error>();
        error.filter(|error| error.kind() == io::ErrorKind::TimedOut)
    });
    let is_late = late.is_some();
    // The system's own says that the upstream is dead.
    let is_idle = late.is_some_and(|error| error.raw_os_error().is_none());
    if error.is_connect() {
        Error::Unreachable
    } else if exchange.is_broken() {
        Error::IncompleteBody
    } else if is_idle && exchange.waits_for_caller() {
        Error::BodyTooSlow
    } else if is_late {
        Error::Silent
    } else {
        Error::Broken
    }
}
