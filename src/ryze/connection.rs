//! Connections to Ryze: what can be said of a request on one. How a stream is opened belongs in
//! `net`, which request is sent in `client.rs`.
//!
//! They are kept by hand, not by a pooling client, because two things must be known exactly:
//! whether a request was sent, and when its connection was closed. The budget rests on both.

use std::{future::poll_fn, io, time::Duration};

use bytes::Bytes;
use http::{Request, response::Parts};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{task::JoinHandle, time::Instant};

use super::error::Error;
use crate::{
    net::{Connect, MAX_CONNECTION_AGE},
    timer::Timer,
};

/// Bytes that the head and the body of an answer may have, each.
const LARGEST_ANSWER: usize = 64 * 1024;

/// One connection. Dropping it closes it.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    timer: Timer,
    opened: Instant,
    last_used: Instant,
}

/// The task that moves a connection's bytes; it ends with its owner.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What became of a request that got no answer.
pub(super) enum Unanswered {
    /// Not a byte was sent: here it is again.
    NotSent(Box<Request<Full<Bytes>>>),
    /// It was sent, at least in part.
    Failed(Error),
}

impl Connection {
    /// Opens one.
    pub(super) async fn open<C: Connect>(connector: &C) -> Result<Self, Error> {
        let stream = connector
            .connect()
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => Error::Unreachable("connection refused"),
                io::ErrorKind::TimedOut => Error::Unreachable("no connection in time"),
                io::ErrorKind::NotFound => Error::Unreachable("its host is not known"),
                io::ErrorKind::InvalidData => Error::Untrusted,
                _ => Error::Unreachable("no connection"),
            })?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(LARGEST_ANSWER)
            // Requests are small: one copy costs less than a gathering write.
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Error::Unreachable("no connection"))?;
        let driver = tokio::spawn(async move {
            // Whatever ends a connection also ends the exchange on it, which tells of it.
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

    /// Whether it can be used again after a pause of at most `longest`.
    pub(super) fn is_fresh(&self, longest: Duration) -> bool {
        !self.sender.is_closed()
            && self.last_used.elapsed() < longest
            && self.opened.elapsed() < MAX_CONNECTION_AGE
    }

    /// Sends a request and gathers its answer within `limit`. Gives the connection back if another
    /// request may follow; else it was closed before this returns, so that nothing of the request
    /// can arrive afterwards.
    pub(super) async fn exchange(
        mut self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> (Result<(Parts, Bytes), Unanswered>, Option<Self>) {
        let deadline = Instant::now() + limit;
        let answer = async {
            if poll_fn(|context| self.sender.poll_ready(context))
                .await
                .is_err()
            {
                return Err(Unanswered::NotSent(Box::new(request)));
            }
            let answer = self.sender.try_send_request(request).await;
            let (parts, body) = match answer {
                Ok(response) => response.into_parts(),
                Err(mut error) => {
                    return Err(match error.take_message() {
                        Some(request) => Unanswered::NotSent(Box::new(request)),
                        None => Unanswered::Failed(broken(error.error())),
                    });
                }
            };
            Ok((parts, collect(body).await.map_err(Unanswered::Failed)?))
        };
        let late = || Unanswered::Failed(Error::Unknown("no answer in time"));
        let result = self.timer.timeout_at(deadline, answer).await;
        let result = result.unwrap_or_else(|| Err(late()));
        if result.is_ok() {
            self.last_used = Instant::now();
            return (result, Some(self));
        }
        self.driver.0.abort();
        drop((&mut self.driver.0).await);
        (result, None)
    }
}

/// An answer that cannot be read has arrived all the same; one that is not there is unknown.
fn broken(error: &hyper::Error) -> Error {
    if error.is_parse() || error.is_parse_too_large() {
        Error::malformed("Ryze's answer is not HTTP")
    } else {
        Error::Unknown("the connection was closed")
    }
}

async fn collect(body: Incoming) -> Result<Bytes, Error> {
    let too_large = || Error::malformed("Ryze's answer is too large");
    if body.size_hint().lower() > LARGEST_ANSWER as u64 {
        return Err(too_large());
    }
    match Limited::new(body, LARGEST_ANSWER).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Error::malformed("Ryze's answer is cut short")),
    }
}
