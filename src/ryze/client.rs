//! Calls to Ryze: builds the request, keeps the connections that can be used again, and reads the
//! answer. When a call is made, and whether it is made again, belongs in `lane`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, StatusCode, response::Parts};
use http_body_util::Full;

use super::{
    connection::{Connection, Unanswered},
    error::{self, Error},
    instance::Target,
    rate_limit::{self, RateLimit},
};
use crate::{net::Connect, privacy::Settings, redact::SecretIndex, telemetry::Trace};

/// Connections kept open while nothing is in flight on them.
const MOST_IDLE: usize = 64;
/// A connection that was idle for longer may be about to be closed by the other side.
const LONGEST_IDLE: Duration = Duration::from_secs(15);

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The settings as they are now, or why they are not known.
    pub result: Result<Settings, Error>,
    /// The status of its answer, if one came.
    pub status: Option<StatusCode>,
    /// What Ryze says is left for the token.
    pub limit: Option<RateLimit>,
}

/// Speaks to one Ryze.
pub struct Client<C> {
    connector: C,
    request_timeout: Duration,
    idle: Mutex<Vec<Connection>>,
    secrets: ArcSwap<SecretIndex>,
}

impl<C: Connect> Client<C> {
    /// An answer may take `request_timeout`; then its outcome is given up as unknown.
    pub fn new(connector: C, request_timeout: Duration) -> Self {
        Self {
            connector,
            request_timeout,
            idle: Mutex::default(),
            secrets: ArcSwap::default(),
        }
    }

    /// From now on no reason that is read from an answer shows one of these secrets, nor one of those
    /// that were there when its request was sent.
    pub fn redact(&self, secrets: Arc<SecretIndex>) {
        self.secrets.store(secrets);
    }

    /// Has an instance's settings changed, and returns what they are now; of a trace the ids are told
    /// to Ryze. When this returns, the request is answered or its connection closed. Dropping the future
    /// closes it soon.
    pub async fn update(
        &self,
        target: &Target,
        settings: &Settings,
        trace: Option<&Trace>,
    ) -> Reply {
        let limit = self.request_timeout;
        self.call(target, target.update(settings), limit, trace)
            .await
    }

    /// Reads an instance's settings, which may take `longest` at most, otherwise as
    /// [`update`](Self::update).
    pub async fn read(&self, target: &Target, longest: Duration, trace: Option<&Trace>) -> Reply {
        let limit = longest.min(self.request_timeout);
        self.call(target, target.read(), limit, trace).await
    }

    async fn call(
        &self,
        target: &Target,
        mut request: Request<Full<Bytes>>,
        limit: Duration,
        trace: Option<&Trace>,
    ) -> Reply {
        if let Some(trace) = trace {
            trace.propagate(request.headers_mut());
        }
        // A reload may bring others before the answer, which may still show these.
        let secrets = self.secrets.load_full();
        match self.exchange(request, limit).await {
            Err(error) => Reply {
                result: Err(error),
                status: None,
                limit: None,
            },
            Ok((parts, body)) => Reply {
                result: error::read(
                    &parts,
                    &body,
                    target.token(),
                    [&secrets, &self.secrets.load()],
                ),
                status: Some(parts.status),
                limit: rate_limit::read(&parts.headers),
            },
        }
    }

    async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<(Parts, Bytes), Error> {
        loop {
            let (connection, is_new) = match self.take_idle() {
                Some(connection) => (connection, false),
                None => (Connection::open(&self.connector).await?, true),
            };
            let (answer, reusable) = connection.exchange(request, limit).await;
            if let Some(connection) = reusable {
                self.keep(connection);
            }
            match answer {
                Ok(answer) => return Ok(answer),
                Err(Unanswered::Failed(error)) => {
                    if !is_new {
                        // The others may be as dead, and what comes next is to find out.
                        self.forget_idle();
                    }
                    return Err(error);
                }
                Err(Unanswered::NotSent(_)) if is_new => {
                    return Err(Error::Unreachable("the connection was closed at once"));
                }
                Err(Unanswered::NotSent(again)) => request = *again,
            }
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| connection.is_fresh(LONGEST_IDLE));
        idle.pop()
    }

    fn forget_idle(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.clear();
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(connection);
        }
    }
}
