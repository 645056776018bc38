//! Accepts connections, within their limit, and stops in order: no new ones, and what is under way
//! is answered. What is answered belongs in `gateway`.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connection::{self, Admission, Handler},
    limits::{Limits, Occupancy},
    socket::{Address, Socket},
    timeout_stream::Timeouts,
    tls,
};
use crate::network::Stream;

/// How long those who are turned away may take over their handshake, and over their request.
const TURNED_AWAY: Timeouts = Timeouts {
    header: Duration::from_secs(1),
    idle: Duration::from_secs(1),
};
/// The pause after an accept that failed, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener and the connections that it accepted.
pub struct Listener<H> {
    socket: Socket,
    connections: Connections<H>,
}

/// What becomes of those who are accepted.
struct Connections<H> {
    handler: Arc<H>,
    tls: Option<ArcSwap<ServerConfig>>,
    limits: Limits,
    occupancy: Occupancy,
    turning_away: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl<H: Handler> Listener<H> {
    /// Serves the socket's callers with the handler.
    pub fn new(socket: impl Into<Socket>, handler: Arc<H>, limits: impl Into<Limits>) -> Self {
        let limits = limits.into();
        let connections = Connections {
            handler,
            tls: None,
            limits,
            occupancy: Occupancy::new(limits.connections),
            turning_away: Arc::new(Semaphore::new(limits.turned_away)),
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

    /// Has new connections use another certificate. Those that are open go on, and so does a listener
    /// without TLS.
    pub fn renew_tls(&self, config: Arc<ServerConfig>) {
        if let Some(tls) = &self.connections.tls {
            tls.store(config);
        }
    }

    /// Where it is found.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn address(&self) -> io::Result<Address> {
        self.socket.address(self.connections.tls.is_some())
    }

    /// How busy it is, now and later.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        self.connections.occupancy.clone()
    }

    /// Accepts connections until the future is dropped, which loses none. Connections that were
    /// accepted go on.
    pub async fn accept(&self) {
        loop {
            self.connections.room().await;
            match self.socket.accept().await {
                Ok(stream) => self.connections.welcome(stream),
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

    /// Closes the socket, behind those who wait in the system's queue, and has every connection end
    /// with its next answer, or after a grace if nothing is asked. Waiting for what is returned waits
    /// for the last of them.
    pub fn stop(self) -> TaskTracker {
        let Self {
            socket,
            connections,
        } = self;
        connections.stop.cancel();
        let tasks = connections.tasks.clone();
        tasks.close();
        let waiting = socket.close();
        tasks.spawn(async move {
            for stream in waiting {
                connections.room().await;
                connections.welcome(stream);
            }
        });
        tasks
    }
}

impl<H: Handler> Connections<H> {
    /// Waits until one more can be served, or at least turned away.
    async fn room(&self) {
        // Neither semaphore is ever closed.
        tokio::select! {
            biased;
            _ = self.occupancy.places.acquire() => (),
            _ = self.turning_away.acquire() => (),
        }
    }

    /// Takes one more, for whom there is room.
    fn welcome(&self, stream: Box<dyn Stream>) {
        if let Ok(place) = Arc::clone(&self.occupancy.places).try_acquire_owned() {
            self.serve(stream, Admission::Granted, self.limits.timeouts, place);
        } else if let Ok(place) = Arc::clone(&self.turning_away).try_acquire_owned() {
            tracing::warn!(
                listener = self.limits.name,
                "max_connections is reached; a connection is turned away"
            );
            self.occupancy.turned_away.fetch_add(1, Ordering::Relaxed);
            self.serve(stream, Admission::Refused, TURNED_AWAY, place);
        }
    }

    fn serve(
        &self,
        stream: Box<dyn Stream>,
        admission: Admission,
        timeouts: Timeouts,
        place: OwnedSemaphorePermit,
    ) {
        let handler = Arc::clone(&self.handler);
        let stop = self.stop.clone();
        let config = self.tls.as_ref().map(ArcSwap::load_full);
        self.tasks.spawn(async move {
            let stream = match config {
                // Boxed, so that connections without TLS have no room for a handshake.
                Some(config) => {
                    Box::pin(tls::handshake(stream, config, timeouts.header, &stop)).await
                }
                None => Ok(stream),
            };
            match stream {
                Ok(stream) => connection::serve(stream, handler, admission, timeouts, &stop).await,
                Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
            }
            drop(place);
        });
    }
}
