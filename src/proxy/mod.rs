//! The reverse proxy to the fallback (RFC 9110, 7.6, and RFC 9112).
//!
//! Requests and responses are forwarded unchanged except for hop-by-hop fields, `Host` and `Via`.
//! Bodies are streamed. `zapi::router` decides which requests are forwarded.

mod client;
mod connection;
mod download;
mod error;
mod headers;
mod pool;
mod timeout_stream;
mod upload;

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header, uri::PathAndQuery};
use hyper::body::{Body, Incoming};

use self::{
    client::HttpClient,
    connection::Connection,
    pool::Pool,
    upload::{BoxError, Exchange, Upload},
};
pub use self::{download::Download, error::Error};
use crate::{config, net::Connect};

/// Forwards requests to the fallback.
pub struct Proxy {
    client: HttpClient,
    /// The path of the base URL, without a slash at its end.
    prefix: String,
    host: HeaderValue,
}

impl Proxy {
    /// Forwards to `config.base_url` over connections that `connector` opens.
    ///
    /// # Errors
    /// The host is not a valid header value.
    pub fn new(config: &config::Fallback, connector: impl Connect) -> Result<Self, http::Error> {
        let base_url = &config.base_url;
        let host = base_url.authority().map_or("", |host| host.as_str());
        Ok(Self {
            client: HttpClient {
                connect: Box::new(connector),
                idle_timeout: config.idle_timeout,
                pool: Arc::new(Pool::default()),
            },
            prefix: base_url.path().trim_end_matches('/').to_owned(),
            host: HeaderValue::from_str(host)?,
        })
    }

    /// Forwards a request and returns the response; both bodies are streamed. Dropping the future, or the
    /// response's body before its end, cancels the request at the upstream too.
    ///
    /// # Errors
    /// The upstream sent no usable response, or the request must not be forwarded.
    // An `async fn` would keep the request in its future beside the one that is sent.
    pub fn forward<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Download>, Error>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let exchange = Exchange::default();
        let request = self.request_to_upstream(request, &exchange);
        async move {
            let (response, connection) = self.client.send(request?, &exchange).await?;
            self.response_to_client(response, exchange, connection)
        }
    }

    fn request_to_upstream<B>(
        &self,
        request: Request<B>,
        exchange: &Exchange,
    ) -> Result<Box<Request<Upload>>, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        headers::to_upstream(&mut parts, &self.host)?;
        parts.uri = self.upstream_target(&parts.uri)?;
        if !body.is_end_stream() && body.size_hint().exact().is_none() {
            let chunked = HeaderValue::from_static("chunked");
            parts.headers.insert(header::TRANSFER_ENCODING, chunked);
        }
        let body = Upload::new(body, &parts.headers, exchange.clone());
        Ok(Box::new(Request::from_parts(parts, body)))
    }

    fn response_to_client(
        &self,
        response: Response<Incoming>,
        exchange: Exchange,
        connection: Connection,
    ) -> Result<Response<Download>, Error> {
        let (mut parts, body) = response.into_parts();
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
        let pool = Arc::clone(&self.client.pool);
        let body = Download::new(
            body,
            parts.status,
            &parts.headers,
            exchange,
            connection,
            pool,
        );
        Ok(Response::from_parts(parts, body))
    }

    /// The target at the upstream for a request target. Path and query are copied byte for byte.
    fn upstream_target(&self, target: &Uri) -> Result<Uri, Error> {
        let target = target.path_and_query().cloned();
        // A query without a path is written with the slash.
        let mut target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if !self.prefix.is_empty() {
            let joined = PathAndQuery::try_from(format!("{}{target}", self.prefix));
            target = joined.map_err(|_| Error::TargetTooLong)?;
        }
        Ok(target.into())
    }
}
