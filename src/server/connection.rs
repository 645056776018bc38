//! One client connection: hyper reads requests from its stream and a [`Handler`] responds.

use std::{convert::Infallible, pin::pin, sync::Arc};

use http::{HeaderValue, Request, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{
    body::{RequestBody, ResponseBody},
    connection_state::ConnectionState,
    handler::Handler,
    limits::Timeouts,
    timeout_stream::TimeoutStream,
};
use crate::header_limit::max_headers;

/// Size of the read buffer: the longest request head, beyond which hyper responds with 431, and the most
/// of a body that is read ahead.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Whether a connection is within the limit. One that is not gets [`Handler::overloaded`] and is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Granted,
    Refused,
}

/// Serves a connection until the client closes it or a timeout expires. After `stop`, the next response
/// is the last, and a connection without a request is closed after a grace period.
pub(crate) async fn serve<S, H>(
    stream: S,
    handler: Arc<H>,
    admission: Admission,
    timeouts: Timeouts,
    stop: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Handler,
{
    let state = ConnectionState::new();
    let io = TokioIo::new(TimeoutStream::new(stream, state.clone(), timeouts));
    let shared_state = state.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = Arc::clone(&handler);
        let state = shared_state.clone();
        async move {
            let [request_guard, response_guard] = state.begin_request();
            let request = request.map(|body| RequestBody::new(body, request_guard));
            let mut response = match admission {
                Admission::Granted => handler.handle(request).await,
                Admission::Refused => {
                    drop(request);
                    handler.overloaded()
                }
            };
            let is_last = admission == Admission::Refused || stop.is_cancelled();
            if is_last || state.has_unread_body() {
                // hyper closes the connection after this response.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(response.map(|body| ResponseBody::new(body, response_guard)))
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            // TimeoutStream has the timeouts.
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(max_headers(MAX_HEAD_BYTES))
            // Responses are small: one copy is cheaper than a vectored write.
            .writev(false)
            .serve_connection(io, service)
    );
    // Errors are those of the client or the network; the handler logs the requests.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = stop.cancelled() => state.stop(),
    }
    let _ = connection.await;
}
