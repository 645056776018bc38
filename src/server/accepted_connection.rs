//! An accepted connection: serves it within its limits, after the TLS handshake if the port has TLS, or
//! turns it away.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::yield_now,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    connection::{self, Admission},
    first_byte::first_byte,
    handler::Handler,
    idle_connections::IdleConnections,
    limits::{Limits, Occupancy, Timeouts},
    tls::{self, Accepted, limit_or_stop},
};
use crate::net::Stream;

/// Timeouts of connections over the limit.
const OVERLOAD_TIMEOUTS: Timeouts = Timeouts {
    header: Duration::from_secs(1),
    idle: Duration::from_secs(1),
};
/// How long a new connection waits for an idle one to close. Longer than a moment only if a request arrived
/// on that and no other is idle.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct AcceptedConnection<H> {
    pub(super) stream: Box<dyn Stream>,
    pub(super) handler: Arc<H>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) stop: CancellationToken,
}

impl<H: Handler> AcceptedConnection<H> {
    /// Serves a connection over the limit in place of the one that is idle for the longest time. If none is
    /// idle, or its client says nothing, it is turned away.
    pub(super) async fn replace_idle(
        self,
        idle_connections: Arc<IdleConnections>,
        limits: Limits,
        occupancy: Occupancy,
        overload_permit: OwnedSemaphorePermit,
    ) {
        let stream = tokio::select! {
            first = first_byte(self.stream) => first.ok().map(|(_, stream)| Box::new(stream)),
            () = limit_or_stop(OVERLOAD_TIMEOUTS.header, &self.stop) => None,
        };
        let permit = match stream {
            Some(_) => close_idle(&idle_connections, &occupancy.permits).await,
            None => None,
        };
        if permit.is_none() {
            tracing::warn!(
                listener = limits.name,
                "max_connections is reached; a connection is turned away"
            );
            occupancy.turned_away.fetch_add(1, Ordering::Relaxed);
        }
        let Some(stream) = stream else { return };
        let connection = Self { stream, ..self };
        match permit {
            Some(permit) => {
                drop(overload_permit);
                let granted = Admission::Granted(idle_connections);
                connection.serve(granted, limits.timeouts, permit).await;
            }
            None => {
                let overloaded = Admission::Overloaded;
                connection
                    .serve(overloaded, OVERLOAD_TIMEOUTS, overload_permit)
                    .await;
            }
        }
    }

    pub(super) async fn serve(
        self,
        admission: Admission,
        timeouts: Timeouts,
        _permit: OwnedSemaphorePermit,
    ) {
        let Self {
            stream,
            handler,
            tls,
            stop,
        } = self;
        let accepted = match tls {
            // Boxed, so that connections without TLS do not have space for a handshake.
            Some(config) => Box::pin(tls::accept(stream, config, timeouts.header, &stop)).await,
            None => Ok(Accepted::Expected(stream)),
        };
        let (stream, admission) = match accepted {
            Ok(Accepted::Expected(stream)) => (stream, admission),
            Ok(Accepted::PlainHttp(stream)) => (stream, Admission::TlsRequired),
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                return;
            }
        };
        connection::serve(stream, handler, admission, timeouts, &stop).await;
    }
}

/// Closes the connection that is idle for the longest time and returns its permit; `None` if none is idle.
async fn close_idle(
    idle_connections: &IdleConnections,
    permits: &Arc<Semaphore>,
) -> Option<OwnedSemaphorePermit> {
    // The runtime looks at all sockets before it continues here, so a connection on which a request has
    // arrived is not taken for idle.
    yield_now().await;
    if !idle_connections.close_longest() {
        return Arc::clone(permits).try_acquire_owned().ok();
    }
    let permit = timeout(CLOSE_TIMEOUT, Arc::clone(permits).acquire_owned()).await;
    // The semaphore is never closed.
    permit.ok()?.ok()
}
