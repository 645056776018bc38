//! The HTTP client of Ryze: sends a request, reads the response and pools connections. The queue decides
//! when to send and whether to retry.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{StatusCode, response::Parts};
use tokio::time::Instant;

use super::{
    connection::{Connection, Unanswered},
    error::Error,
    rate_limit::{self, RateLimit},
    response,
    target::{OutgoingRequest, Target},
};
use crate::{
    net::{Connect, ConnectFault},
    privacy::Settings,
    redact::SecretIndex,
    sync::lock,
    telemetry::Trace,
};

/// Idle connections in the pool.
const MAX_IDLE_CONNECTIONS: usize = 64;
/// How long a connection may be idle in the pool. After a longer time Ryze may be about to close it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The result of a request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The current settings, or why they are not known.
    pub result: Result<Settings, Error>,
    /// The status of the response, if one was received.
    pub status: Option<StatusCode>,
    /// The rate limit that Ryze reports for the token.
    pub limit: Option<RateLimit>,
}

/// Sends requests to Ryze.
pub struct Client {
    connector: Box<dyn Connect>,
    request_timeout: Duration,
    idle: Mutex<Vec<Connection>>,
    secrets: Mutex<Arc<SecretIndex>>,
}

impl Client {
    /// A request without a response within `request_timeout` fails with an unknown outcome.
    pub fn new(connector: impl Connect, request_timeout: Duration) -> Self {
        Self {
            connector: Box::new(connector),
            request_timeout,
            idle: Mutex::default(),
            secrets: Mutex::default(),
        }
    }

    /// Replaces the secrets that are removed from the reasons of Ryze's errors. The answer to a request in
    /// flight is searched for those that were in force when it was sent, too.
    pub fn redact(&self, secrets: Arc<SecretIndex>) {
        *lock(&self.secrets) = secrets;
    }

    /// Updates an instance's settings and returns the current ones. The ids of a trace are propagated to
    /// Ryze. When this returns, the response was received or the connection is closed. Dropping the
    /// future closes the connection soon afterwards.
    pub async fn update(
        &self,
        target: &Target,
        settings: &Settings,
        trace: Option<&Trace>,
    ) -> Reply {
        let request = OutgoingRequest {
            target,
            update: Some(settings),
            trace,
        };
        self.call(request, self.request_timeout).await
    }

    /// Reads an instance's settings within `max`, otherwise as [`update`](Self::update).
    pub async fn read(&self, target: &Target, max: Duration, trace: Option<&Trace>) -> Reply {
        let request = OutgoingRequest {
            target,
            update: None,
            trace,
        };
        self.call(request, max.min(self.request_timeout)).await
    }

    async fn call(&self, request: OutgoingRequest<'_>, limit: Duration) -> Reply {
        // A reload may bring others before the answer, which may still show these.
        let secrets = self.secrets();
        match self.exchange(request, limit).await {
            Err(error) => Reply {
                result: Err(error),
                status: None,
                limit: None,
            },
            Ok((parts, body)) => Reply {
                result: response::read(
                    &parts,
                    &body,
                    request.target.token(),
                    [&secrets, &self.secrets()],
                ),
                status: Some(parts.status),
                limit: rate_limit::read(&parts.headers),
            },
        }
    }

    async fn exchange(
        &self,
        request: OutgoingRequest<'_>,
        limit: Duration,
    ) -> Result<(Parts, Bytes), Error> {
        loop {
            let now = Instant::now();
            let (mut connection, is_new, begin) = match self.take_idle(now) {
                Some(connection) => (connection, false, now),
                // Boxed, because it is large and rare.
                None => {
                    let opening = Connection::open(&*self.connector);
                    (Box::pin(opening).await?, true, Instant::now())
                }
            };
            match connection.exchange(request, begin + limit).await {
                Ok(response) => {
                    self.keep(connection);
                    return Ok(response);
                }
                Err(Unanswered::Failed(error)) => {
                    if !is_new {
                        // The other idle connections may be dead too: the next request opens a new one.
                        self.close_idle();
                    }
                    return Err(error);
                }
                Err(Unanswered::NotSent) if is_new => {
                    return Err(Error::Unreachable(ConnectFault::Closed));
                }
                Err(Unanswered::NotSent) => (),
            }
        }
    }

    fn secrets(&self) -> Arc<SecretIndex> {
        Arc::clone(&lock(&self.secrets))
    }

    fn take_idle(&self, now: Instant) -> Option<Connection> {
        let mut idle = lock(&self.idle);
        idle.retain(|connection| connection.is_reusable(now, IDLE_TIMEOUT));
        idle.pop()
    }

    fn close_idle(&self) {
        let mut idle = lock(&self.idle);
        idle.clear();
    }

    fn keep(&self, connection: Connection) {
        let mut idle = lock(&self.idle);
        if idle.len() < MAX_IDLE_CONNECTIONS {
            idle.push(connection);
        }
    }
}
