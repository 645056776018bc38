//! HTTP: accepts connections, routes each request to the API or the control API and writes the
//! response.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{
    Request, Response,
    header::{CONTENT_TYPE, DATE},
};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    Sandbox, api, control,
    reply::{Closed, Reply, read},
};

const MAX_CONNECTIONS: usize = 1024;
const MAX_HEAD: usize = 16 * 1024;
/// Also the keep-alive time of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Pause after a failed accept, such as for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts and serves connections forever. Dropping the future closes them all.
pub(super) async fn serve(sandbox: Sandbox, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                if let Ok((stream, _)) = accepted {
                    let sandbox = sandbox.clone();
                    let io = TokioIo::new(stream);
                    connections.spawn(async move { serve_connection(&sandbox, io).await });
                } else {
                    sleep(ACCEPT_PAUSE).await;
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection until either side closes it.
pub(super) async fn serve_connection<I>(sandbox: &Sandbox, io: I)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(io, service_fn(|request| answer(sandbox, request)));
    // It fails if the client disconnects or a fault closes the connection.
    let _ = connection.await;
}

async fn answer(
    sandbox: &Sandbox,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let reply = if path == "/health" {
        Reply::ok(&json!({"status": "ok"}))
    } else if path.starts_with("/sandbox/") {
        match read(body).await {
            Ok(body) => control::answer(sandbox, &head.method, path, &body),
            Err(reply) => reply,
        }
    } else {
        api::answer(sandbox, &head, body).await?
    };
    // hyper's own date would not follow tokio's clock, which the limit uses.
    let date = httpdate::fmt_http_date(UNIX_EPOCH + sandbox.unix(Instant::now()));
    let mut response = Response::builder()
        .status(reply.status)
        .header(CONTENT_TYPE, "application/json")
        .header(DATE, date)
        .body(Full::from(reply.body))?;
    if let Some(quota) = reply.quota {
        quota.write(response.headers_mut(), |instant| sandbox.unix(instant));
    }
    Ok(response)
}
