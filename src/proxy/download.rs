//! The upstream's body on its way to the client.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{connection::Connection, headers, pool::Pool, upload::Exchange};

/// Dropping it closes the upstream's connection, unless both bodies are complete: then the connection goes
/// back to the pool.
#[derive(Debug)]
pub struct Download {
    body: Incoming,
    /// The response is a 304 with `Content-Length`, which is the length that a 200 would have. hyper
    /// would remove it, because there is no body.
    has_length_alone: bool,
    exchange: Exchange,
    /// `None` once it is dropped.
    connection: Option<Connection>,
    pool: Arc<Pool>,
}

impl Download {
    pub(super) fn new(
        body: Incoming,
        status: StatusCode,
        headers: &HeaderMap,
        exchange: Exchange,
        connection: Connection,
        pool: Arc<Pool>,
    ) -> Self {
        let has_length_alone =
            status == StatusCode::NOT_MODIFIED && headers.contains_key(header::CONTENT_LENGTH);
        Self {
            body,
            has_length_alone,
            exchange,
            connection: Some(connection),
            pool,
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        // hyper closes the connection itself if the response is not complete.
        if self.exchange.is_sent() {
            self.pool.put(connection);
        } else {
            connection.abort();
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.has_length_alone = false;
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(headers::of_frame))
    }

    fn is_end_stream(&self) -> bool {
        !self.has_length_alone && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.has_length_alone {
            SizeHint::default()
        } else {
            self.body.size_hint()
        }
    }
}
