//! The HTTP client: pooled connections to the fallback, and the one case in which a request is sent twice.
//!
//! An upstream may close an idle connection at the moment at which a request is sent on it. If hyper has
//! not started with the request, another connection is taken. Otherwise a request is sent once more, on a
//! new connection, if it is safe and has no body and not a byte of a response has been received (RFC 9110,
//! 9.2.2). Any other request may have been carried out, and is not repeated.
//!
//! hyper-util's pooling client costs 10,000 instructions a request more: it hashes the host for each
//! look-up, and moves each request through five futures.

use std::{sync::Arc, time::Duration};

use http::{Method, Request, Response};
use http_body_util::Empty;
use hyper::body::{Body as _, Incoming};

use super::{
    Error,
    body::{Exchange, Upload},
    connection::{Connection, Failed},
    pool::Pool,
};
use crate::net::Connect;

/// Sends requests to the fallback.
pub(super) struct HttpClient {
    pub(super) connect: Box<dyn Connect>,
    pub(super) idle_timeout: Duration,
    pub(super) pool: Arc<Pool>,
}

type Answered = (Response<Incoming>, Connection);

impl HttpClient {
    /// Sends a request. Returns the head of its response, and the connection from which the body is read.
    pub(super) async fn send(
        &self,
        request: Request<Upload>,
        exchange: &Exchange,
    ) -> Result<Answered, Error> {
        let copy = copy_if_repeatable(&request);
        match (self.send_once(request, exchange).await, copy) {
            (Err(stale), Some(head)) if stale.is_stale => {
                let Ok(connection) = self.open().await else {
                    // The first attempt was sent.
                    return Err(stale.error);
                };
                let body = Upload::new(Empty::new(), head.headers(), exchange.clone());
                let again = send_on(connection, head.map(|()| body), exchange).await;
                again.map_err(|failed| failed.error)
            }
            (answered, _) => answered.map_err(|failed| failed.error),
        }
    }

    async fn send_once(
        &self,
        mut request: Request<Upload>,
        exchange: &Exchange,
    ) -> Result<Answered, Failed> {
        while let Some(connection) = self.pool.take() {
            match send_on(connection, request, exchange).await {
                Err(Failed {
                    unsent: Some(unsent),
                    ..
                }) => request = *unsent,
                sent => return sent,
            }
        }
        let connection = self.open().await.map_err(|error| Failed {
            error,
            is_stale: false,
            unsent: None,
        })?;
        send_on(connection, request, exchange).await
    }

    async fn open(&self) -> Result<Connection, Error> {
        Connection::open(&*self.connect, self.idle_timeout).await
    }
}

async fn send_on(
    mut connection: Connection,
    request: Request<Upload>,
    exchange: &Exchange,
) -> Result<Answered, Failed> {
    let response = connection.send(request, exchange).await?;
    Ok((response, connection))
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
