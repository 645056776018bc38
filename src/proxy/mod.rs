//! The reverse proxy to the fallback (RFC 9110, 7.6, and RFC 9112).
//!
//! Requests and responses are forwarded unchanged except for hop-by-hop fields, `Host` and `Via`.
//! Bodies are streamed. `zapi::router` decides which requests are forwarded.

mod body;
mod client;
mod connector;
mod error;
mod headers;

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, Uri, header,
    uri::{self, PathAndQuery},
};
use hyper::body::Body;

pub use self::{body::Download, error::Error};
use self::{
    body::{BoxError, Exchange, Upload},
    client::HttpClient,
    connector::Connector,
};
use crate::{config, net::Connect};

/// Forwards requests to the fallback.
pub struct Proxy {
    client: HttpClient,
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
        let client = HttpClient::new(Connector {
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
    /// response's body before its end, cancels the request at the upstream too.
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
        let request = Request::from_parts(parts, body);
        let response = self.client.send(request, &exchange).await?;
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
        let connection = parts.extensions.remove();
        let body = Download::new(body, parts.status, &parts.headers, exchange, connection);
        Ok(Response::from_parts(parts, body))
    }

    /// The URL at the upstream for a request target. Path and query are copied byte for byte.
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
