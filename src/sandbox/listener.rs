//! The HTTP/1 server of both in-memory APIs: accepts connections and gives each request to a handler.
//! A handler that fails closes the connection without a response.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, task::JoinSet, time::sleep};

use super::reply::Closed;
use crate::net::Stream;

const MAX_CONNECTIONS: usize = 1024;
const MAX_HEAD: usize = 16 * 1024;
/// Also the keep-alive time of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Pause after a failed accept, such as for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Responds to requests. Boxed, like the streams, so that both APIs share one copy of hyper's server.
pub(super) type Handler = Arc<dyn Fn(Request<Incoming>) -> Responding + Send + Sync>;
pub(super) type Responding =
    Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Closed>> + Send>>;

/// Accepts and serves connections forever. Dropping the future closes them all.
pub(super) async fn serve(listener: TcpListener, handler: Handler) {
    accept(listener, move |request| handler(request)).await;
}

async fn accept<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<Full<Bytes>>, Closed>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                if let Ok((stream, _)) = accepted {
                    let stream: Box<dyn Stream> = Box::new(stream);
                    connections.spawn(serve_connection(TokioIo::new(stream), handler.clone()));
                } else {
                    sleep(ACCEPT_PAUSE).await;
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection until either side closes it.
pub(super) async fn serve_connection<I, H, F>(io: I, handler: H)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Response<Full<Bytes>>, Closed>>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(io, service_fn(handler));
    // It fails if the client disconnects or the handler fails.
    let _ = connection.await;
}
