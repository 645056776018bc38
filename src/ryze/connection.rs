//! One HTTP/1.1 connection to Ryze.
//!
//! Connections are managed by hand and not by a pooling client, because the budget depends on two facts
//! that such a client hides: whether a request was sent, and when its connection was closed.

use std::{future::poll_fn, pin::pin, time::Duration};

use bytes::Bytes;
use http::response::Parts;
use http_body_util::{Full, LengthLimitError};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{task::JoinHandle, time::Instant};

use super::{error::Error, target::OutgoingRequest};
use crate::{
    header_limit::MAX_RESPONSE_FIELDS,
    net::{Connect, ConnectFault, MAX_CONNECTION_AGE},
    privacy::{Malformed, NoAnswer},
    timer::Timer,
    whole_body,
};

/// Limit in bytes of a response's head, and of its body.
const MAX_RESPONSE: usize = 64 * 1024;

/// A connection that closes when it is dropped.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    timer: Timer,
    opened: Instant,
    last_used: Instant,
}

/// The task that drives a connection; dropping this aborts it.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a request has no response.
pub(super) enum Unanswered {
    /// No byte was sent.
    NotSent,
    /// The request was sent, at least in part.
    Failed(Error),
}

impl Connection {
    pub(super) async fn open(connector: &dyn Connect) -> Result<Self, Error> {
        let stream = connector
            .connect()
            .await
            .map_err(|error| Error::no_connection((&error).into()))?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_RESPONSE)
            .max_headers(MAX_RESPONSE_FIELDS)
            // Requests are small: one copy costs less than a gathering write.
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Error::Unreachable(ConnectFault::Other))?;
        let driver = tokio::spawn(async move {
            // An error also fails the exchange on the connection, which reports it.
            drop(connection.await);
        });
        Ok(Self {
            sender,
            driver: Driver(driver),
            timer: Timer::default(),
            opened: Instant::now(),
            last_used: Instant::now(),
        })
    }

    /// Whether the connection can be reused at `now`: open, idle for less than `idle_timeout`, and not too
    /// old.
    pub(super) fn is_reusable(&self, now: Instant, idle_timeout: Duration) -> bool {
        !self.sender.is_closed()
            && now < self.last_used + idle_timeout
            && now < self.opened + MAX_CONNECTION_AGE
    }

    /// Sends a request and reads the whole response by `deadline`. If that fails, the connection is closed
    /// before this returns, so that no part of the request can arrive afterwards.
    pub(super) async fn exchange(
        &mut self,
        request: OutgoingRequest<'_>,
        deadline: Instant,
    ) -> Result<(Parts, Bytes), Unanswered> {
        let result = {
            // Pinned here, because `timeout_at` would move it.
            let response = pin!(respond(&mut self.sender, request));
            self.timer.timeout_at(deadline, response).await
        };
        let timed_out = || Unanswered::Failed(Error::Unknown(NoAnswer::TimedOut));
        let result = result.unwrap_or_else(|| Err(timed_out()));
        if result.is_ok() {
            self.last_used = Instant::now();
        } else {
            self.driver.0.abort();
            drop((&mut self.driver.0).await);
        }
        result
    }
}

/// Sends a request and reads the whole response.
async fn respond(
    sender: &mut SendRequest<Full<Bytes>>,
    request: OutgoingRequest<'_>,
) -> Result<(Parts, Bytes), Unanswered> {
    if poll_fn(|context| sender.poll_ready(context)).await.is_err() {
        return Err(Unanswered::NotSent);
    }
    match sender.try_send_request(request.build()).await {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            Ok((parts, collect(body).await.map_err(Unanswered::Failed)?))
        }
        Err(mut error) => Err(match error.take_message() {
            Some(_) => Unanswered::NotSent,
            None => Unanswered::Failed(response_error(error.error())),
        }),
    }
}

/// A response that cannot be parsed was received all the same; without one the outcome is unknown.
fn response_error(error: &hyper::Error) -> Error {
    if error.is_parse() || error.is_parse_too_large() {
        Error::malformed(Malformed::Protocol)
    } else {
        Error::Unknown(NoAnswer::Closed)
    }
}

async fn collect(body: Incoming) -> Result<Bytes, Error> {
    let too_large = || Error::malformed(Malformed::TooLarge);
    if body.size_hint().lower() > MAX_RESPONSE as u64 {
        return Err(too_large());
    }
    match whole_body::read(body, MAX_RESPONSE).await {
        Ok(body) => Ok(body),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Error::malformed(Malformed::CutShort)),
    }
}
