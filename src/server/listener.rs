//! Accepts connections within their limit, and shuts down in order: no new connections, then the
//! responses to the requests in flight.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::{sync::Semaphore, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    accepted_connection::AcceptedConnection,
    connection::Admission,
    handler::Handler,
    idle_connections::IdleConnections,
    limits::{Limits, Occupancy},
    socket::{Address, Socket},
};
use crate::net::Stream;

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
        let connection = AcceptedConnection {
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
