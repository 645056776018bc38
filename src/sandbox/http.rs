//! HTTP of the in-memory Ryze: routes each request to the API or the control API and writes the response.

use std::{sync::Arc, time::UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::DATE};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::json;
use tokio::{net::TcpListener, time::Instant};

use super::{
    Sandbox, api, control,
    listener::{self, Handler},
    reply::{Closed, Reply, read},
};

/// Accepts and serves connections forever. Dropping the future closes them all.
pub(super) async fn serve(sandbox: Sandbox, listener: TcpListener) {
    listener::serve(listener, handler(sandbox)).await;
}

/// Serves one connection until either side closes it.
pub(super) async fn serve_connection<I>(sandbox: Sandbox, io: I)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    listener::serve_connection(io, &*handler(sandbox)).await;
}

fn handler(sandbox: Sandbox) -> Handler {
    Arc::new(move |request| {
        let sandbox = sandbox.clone();
        Box::pin(async move { answer(&sandbox, request).await })
    })
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
    let quota = reply.quota;
    let mut response = reply.into_response()?;
    // hyper's own date would not follow tokio's clock, which the limit uses.
    let date = httpdate::fmt_http_date(UNIX_EPOCH + sandbox.unix(Instant::now()));
    let headers = response.headers_mut();
    headers.insert(DATE, HeaderValue::try_from(date)?);
    if let Some(quota) = quota {
        quota.write(headers, |instant| sandbox.unix(instant));
    }
    Ok(response)
}
