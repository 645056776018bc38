//! Accepts connections within their limit, and shuts down in order: no new connections, then the
//! responses to the requests in flight.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::yield_now,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connection::{self, Admission},
    first_byte::first_byte,
    handler::Handler,
    idle_connections::IdleConnections,
    limits::{Limits, Occupancy, Timeouts},
    socket::{Address, Socket},
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
/// The pause after a failed accept, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket and the connections that it accepted.
pub struct Listener<H> {
    socket: Socket,
    connections: Connections<H>,
}

/// What a connection needs to be served, and its limits.
struct Connections<H> {
    handler: Arc<H>,
    tls: Option<ArcSwap<ServerConfig>>,
    limits: Limits,
    occupancy: Occupancy,
    idle_connections: Arc<IdleConnections>,
    overload_permits: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl<H: Handler> Listener<H> {
    /// Serves the socket's clients with the handler, once it [accepts](Self::accept).
    pub fn new(socket: impl Into<Socket>, handler: Arc<H>, limits: impl Into<Limits>) -> Self {
        let limits = limits.into();
        let connections = Connections {
            handler,
            tls: None,
            limits,
            occupancy: Occupancy::new(limits.connections),
            idle_connections: Arc::default(),
            overload_permits: Arc::new(Semaphore::new(limits.turned_away)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Self {
            socket: socket.into(),
            connections,
        }
    }

    /// Serves TLS on a TCP socket. A Unix socket stays plain: it does not leave the machine.
    #[must_use]
    pub fn with_tls(mut self, config: Arc<ServerConfig>) -> Self {
        if let Socket::Tcp(_) = self.socket {
            self.connections.tls = Some(ArcSwap::new(config));
        }
        self
    }

    /// Replaces the certificate for new connections. Does nothing without TLS.
    pub fn renew_tls(&self, config: Arc<ServerConfig>) {
        if let Some(tls) = &self.connections.tls {
            tls.store(config);
        }
    }

    /// The address that clients connect to.
    ///
    /// # Errors
    /// The system does not know the socket's address.
    pub fn address(&self) -> io::Result<Address> {
        self.socket.address(self.connections.tls.is_some())
    }

    /// The use of the listener, updated as connections come and go.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        self.connections.occupancy.clone()
    }

    /// Accepts connections until the future is dropped, which loses no connection and does not end
    /// those that are open.
    pub async fn accept(&self) {
        loop {
            self.connections.wait_for_capacity().await;
            match self.socket.accept().await {
                Ok(stream) => self.connections.admit(stream),
                Err(error) => {
                    let Connections {
                        limits, occupancy, ..
                    } = &self.connections;
                    tracing::warn!(listener = limits.name, %error, "a connection could not be accepted");
                    occupancy.accept_errors.fetch_add(1, Ordering::Relaxed);
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Closes the socket after its backlog is accepted. Each connection ends with its next response, or
    /// after a grace period if there is no request. The returned tracker waits for the last of them.
    pub fn stop(self) -> TaskTracker {
        let Self {
            socket,
            connections,
        } = self;
        connections.stop.cancel();
        let tasks = connections.tasks.clone();
        tasks.close();
        let backlog = socket.close();
        tasks.spawn(async move {
            for stream in backlog {
                connections.wait_for_capacity().await;
                connections.admit(stream);
            }
        });
        tasks
    }
}

impl<H: Handler> Connections<H> {
    /// Waits until one more connection can be served or turned away.
    async fn wait_for_capacity(&self) {
        // Neither semaphore is ever closed.
        tokio::select! {
            biased;
            _ = self.occupancy.permits.acquire() => (),
            _ = self.overload_permits.acquire() => (),
        }
    }

    /// Serves a connection, or turns it away. Dropped if [`Self::wait_for_capacity`] was not awaited.
    fn admit(&self, stream: Box<dyn Stream>) {
        let connection = Connection {
            stream,
            handler: Arc::clone(&self.handler),
            tls: self.tls.as_ref().map(ArcSwap::load_full),
            stop: self.stop.clone(),
        };
        let idle_connections = Arc::clone(&self.idle_connections);
        if let Ok(permit) = Arc::clone(&self.occupancy.permits).try_acquire_owned() {
            let granted = Admission::Granted(idle_connections);
            self.tasks
                .spawn(connection.serve(granted, self.limits.timeouts, permit));
        } else if let Ok(permit) = Arc::clone(&self.overload_permits).try_acquire_owned() {
            let (limits, occupancy) = (self.limits, self.occupancy.clone());
            self.tasks
                .spawn(connection.replace_idle(idle_connections, limits, occupancy, permit));
        }
    }
}

/// An accepted connection and what it is served with.
struct Connection<H> {
    stream: Box<dyn Stream>,
    handler: Arc<H>,
    tls: Option<Arc<ServerConfig>>,
    stop: CancellationToken,
}

impl<H: Handler> Connection<H> {
    /// Serves a connection over the limit in place of the one that is idle for the longest time. If none is
    /// idle, or its client says nothing, it is turned away.
    async fn replace_idle(
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

    async fn serve(self, admission: Admission, timeouts: Timeouts, _permit: OwnedSemaphorePermit) {
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
