//! One HTTP/1.1 connection to the fallback, and what went wrong with a request on it.

use std::{
    error::Error as StdError,
    io, iter,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use tokio::{task::JoinHandle, time::Instant};

use super::{
    Error,
    timeout_stream::TimeoutStream,
    upload::{Exchange, Upload},
};
use crate::{
    header_limit::MAX_RESPONSE_FIELDS,
    net::{Connect, ConnectFault, MAX_CONNECTION_AGE},
};

/// Bytes of a body that are buffered in each direction, and the limit of a response's head.
const BUFFER: usize = 64 * 1024;
/// Interim responses to one request. hyper reads any number of them, and each restarts the idle timeout.
const MAX_INTERIM: usize = 100;

/// Dropping it closes the connection when no request is in flight; so does dropping the response to a
/// request before its end.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Upload>,
    driver: JoinHandle<()>,
    opened: Instant,
    is_for_one_request: bool,
    /// A request after the first has been sent, and no byte received since.
    unanswered: Arc<AtomicBool>,
}

/// A request without a response.
pub(super) struct Failed {
    pub(super) error: Error,
    /// A reused connection was closed before any byte of a response.
    pub(super) is_stale: bool,
    /// The request, if hyper has not started with it.
    pub(super) unsent: Option<Box<Request<Upload>>>,
}

impl Connection {
    /// # Errors
    /// [`Error::Unreachable`]
    pub(super) async fn open(connect: &dyn Connect, idle_timeout: Duration) -> Result<Self, Error> {
        let stream = connect.connect().await;
        let stream = stream.map_err(|error| Error::Unreachable((&error).into()))?;
        let unanswered = Arc::default();
        let stream = TimeoutStream::new(stream, idle_timeout, Arc::clone(&unanswered));
        let opened = http1::Builder::new()
            .max_buf_size(BUFFER)
            .max_headers(MAX_RESPONSE_FIELDS)
            .handshake(TokioIo::new(stream))
            .await;
        let (mut sender, connection) = opened.map_err(|error| unreachable(&error))?;
        let driver = tokio::spawn(async move {
            // An error also fails the request on the connection, which reports it.
            drop(connection.await);
        });
        sender.ready().await.map_err(|error| unreachable(&error))?;
        Ok(Self {
            sender,
            driver,
            opened: Instant::now(),
            is_for_one_request: false,
            unanswered,
        })
    }

    /// Sends a request. Returns the head of its response, and the connection from which the body is read.
    pub(super) async fn send(
        mut self,
        mut request: Box<Request<Upload>>,
        exchange: &Exchange,
    ) -> Result<(Response<Incoming>, Self), Failed> {
        let (asked, driver) = (exchange.clone(), self.driver.abort_handle());
        let received = AtomicUsize::new(0);
        hyper::ext::on_informational(&mut request, move |interim| {
            if interim.status() == StatusCode::CONTINUE {
                asked.proceed();
            }
            if received.fetch_add(1, Ordering::Relaxed) == MAX_INTERIM {
                asked.set_endless();
                driver.abort();
            }
        });
        match self.sender.try_send_request(*request).await {
            // The final response came with them, before the driver was aborted.
            Ok(_) if exchange.is_endless() => Err(Failed {
                error: Error::EndlessInterim,
                is_stale: false,
                unsent: None,
            }),
            Ok(response) => Ok((response, self)),
            Err(error) => Err(self.failed(error, exchange)),
        }
    }

    /// The connection is not reused.
    pub(super) fn for_one_request(mut self) -> Self {
        self.is_for_one_request = true;
        self
    }

    /// Whether the next request can be sent.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether the connection can be reused: open and not too old.
    pub(super) fn is_reusable(&self, now: Instant) -> bool {
        !self.is_for_one_request
            && !self.sender.is_closed()
            && now - self.opened < MAX_CONNECTION_AGE
    }

    /// Closes the connection, which hyper would keep open as long as there is something to send.
    pub(super) fn abort(&self) {
        self.driver.abort();
    }

    /// Finds the cause: the client or the upstream.
    fn failed(&self, mut failure: TrySendError<Request<Upload>>, exchange: &Exchange) -> Failed {
        let unsent = failure.take_message();
        let failure = failure.into_error();
        let mut of_system = causes(&failure).filter_map(|it| it.downcast_ref::<io::Error>());
        let timed_out = of_system.find(|error| error.kind() == io::ErrorKind::TimedOut);
        // With an error number it is from the system: the peer is dead.
        let is_idle = timed_out.is_some_and(|error| error.raw_os_error().is_none());
        let error = if exchange.is_endless() {
            Error::EndlessInterim
        } else if exchange.is_broken() {
            Error::IncompleteBody
        } else if is_idle && exchange.waits_for_client() {
            Error::BodyTooSlow
        } else if timed_out.is_some() {
            Error::Silent
        } else if failure.is_parse_too_large() {
            Error::TooLarge
        } else if failure.is_parse() {
            Error::Malformed
        } else {
            Error::Broken
        };
        Failed {
            error,
            is_stale: error == Error::Broken && self.unanswered.load(Ordering::Relaxed),
            unsent: unsent.map(Box::new),
        }
    }
}

fn unreachable(error: &hyper::Error) -> Error {
    let mut of_system = causes(error).filter_map(|it| it.downcast_ref::<io::Error>());
    let fault = of_system.next().map(ConnectFault::from);
    Error::Unreachable(fault.unwrap_or(ConnectFault::Other))
}

fn causes(error: &hyper::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    iter::successors(error.source(), |cause| (*cause).source())
}
