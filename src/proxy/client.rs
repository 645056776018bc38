//! The HTTP client: pooled connections to the fallback, and the one case in which a request is sent twice.
//!
//! An upstream may close an idle connection at the moment at which a request is sent on it. If hyper has
//! not started with the request, another connection is taken. Otherwise a request is sent once more, on a
//! new connection, if it is safe and has no body and not a byte of a response has been received (RFC 9110,
//! 9.2.2). Any other request may have been carried out, and is not repeated.
//!
//! hyper-util's pooling client costs 10,000 instructions a request more: it hashes the host for each
//! look-up, and moves each request through five futures. Here a request is a box, and so are the futures that
//! few requests need: with the largest of them inline, each request wrote 4 KiB twice.

use std::{sync::Arc, time::Duration};

use http::{Method, Request, Response};
use http_body_util::Empty;
use hyper::body::{Body as _, Incoming};

use super::{
    Error,
    connection::{Connection, Failed},
    pool::Pool,
    upload::{Exchange, Upload},
};
use crate::net::Connect;

/// Sends requests to the fallback.
pub(super) struct HttpClient {
    pub(super) connect: Box<dyn Connect>,
    pub(super) idle_timeout: Duration,
    pub(super) pool: Arc<Pool>,
}

impl HttpClient {
    /// Sends a request. Returns the head of its response, and the connection from which the body is read.
    pub(super) async fn send(
        &self,
        request: Box<Request<Upload>>,
        exchange: &Exchange,
    ) -> Result<(Response<Incoming>, Connection), Error> {
        let copy = copy_if_repeatable(&request);
        match (self.send_once(request, exchange).await, copy) {
            (Err(stale), Some(head)) if stale.is_stale => {
                Box::pin(self.send_again(*head, exchange, stale.error)).await
            }
            (answered, _) => answered.map_err(|failed| failed.error),
        }
    }

    async fn send_once(
        &self,
        mut request: Box<Request<Upload>>,
        exchange: &Exchange,
    ) -> Result<(Response<Incoming>, Connection), Failed> {
        while let Some(connection) = self.pool.take() {
            match connection.send(request, exchange).await {
                Err(Failed {
                    unsent: Some(unsent),
                    ..
                }) => request = unsent,
                sent => return sent,
            }
        }
        let connection = self.open().await.map_err(|error| Failed {
            error,
            is_stale: false,
            unsent: None,
        })?;
        connection.send(request, exchange).await
    }

    /// Sends a request once more, whose first attempt was sent and ended with `first`.
    async fn send_again(
        &self,
        head: Request<()>,
        exchange: &Exchange,
        first: Error,
    ) -> Result<(Response<Incoming>, Connection), Error> {
        let connection = self.open().await.map_err(|_| first)?;
        let body = Upload::new(Empty::new(), head.headers(), exchange.clone());
        let connection = connection.for_one_request();
        let again = connection.send(Box::new(head.map(|()| body)), exchange);
        again.await.map_err(|failed| failed.error)
    }

    async fn open(&self) -> Result<Connection, Error> {
        Box::pin(Connection::open(&*self.connect, self.idle_timeout)).await
    }
}

/// The head of a request that may be sent twice.
fn copy_if_repeatable(request: &Request<Upload>) -> Option<Box<Request<()>>> {
    let is_safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if !is_safe || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Box::new(Request::new(()));
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}
