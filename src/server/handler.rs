//! The interface between the server and what it serves.

use std::{error::Error, future::Future};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body;

use super::body::RequestBody;

/// Responds to requests.
pub trait Handler: Send + Sync + 'static {
    /// The body of a response.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;

    /// Responds to one request. Its body is read only as far as the handler reads it, also after the
    /// response has begun. The future is dropped when the client disconnects.
    fn handle(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// The response to a client over the connection limit.
    fn overloaded(&self) -> Response<Self::Body>;

    /// The response to a request without TLS on a port with TLS.
    fn tls_required(&self, request: Request<RequestBody>) -> Response<Self::Body>;
}
