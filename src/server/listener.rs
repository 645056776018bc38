//! Accepts connections, within their limit, and stops in order: no new ones, and what is under way
//! is answered. What is answered belongs in `gateway.rs`.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connection::{self, CallerBody, Handler, close},
    stream::Timeouts,
};
use crate::{
    alarm::Alarm,
    config::Server,
    zapi::response::{self, Refusal},
};

/// Connections over the limit that are told so at once. With these taken as well, others wait in
/// the system's queue.
const MOST_TURNED_AWAY: usize = 64;
/// How long these may take over their request.
const TURNED_AWAY: Timeouts = Timeouts {
    header: Duration::from_secs(1),
    idle: Duration::from_secs(1),
};
/// The pause after an accept that failed, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener and the connections that it accepted.
pub struct Listener<H> {
    socket: TcpListener,
    handler: Arc<H>,
    timeouts: Timeouts,
    serving: Arc<Semaphore>,
    turning_away: Arc<Semaphore>,
    connections: TaskTracker,
    stop: CancellationToken,
}

impl<H: Handler> Listener<H> {
    /// Serves the socket's callers with the handler.
    pub fn new(socket: TcpListener, handler: Arc<H>, config: &Server) -> Self {
        Self {
            socket,
            handler,
            timeouts: Timeouts {
                header: config.header_timeout,
                idle: config.idle_timeout,
            },
            serving: Arc::new(Semaphore::new(config.max_connections)),
            turning_away: Arc::new(Semaphore::new(MOST_TURNED_AWAY)),
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Accepts connections until the future is dropped. Connections that were accepted go on.
    pub async fn accept(&self) {
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => self.welcome(stream).await,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn welcome(&self, stream: TcpStream) {
        // Answers are small and written at once; waiting to fill a packet only delays them.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        // Neither semaphore is ever closed, so each branch gets its place.
        tokio::select! {
            biased;
            Ok(place) = Arc::clone(&self.serving).acquire_owned() => {
                self.serve(stream, Arc::clone(&self.handler), self.timeouts, place);
            }
            Ok(place) = Arc::clone(&self.turning_away).acquire_owned() => {
                tracing::warn!("max_connections is reached; a connection is turned away");
                self.serve(stream, Arc::new(TurnedAway), TURNED_AWAY, place);
            }
            else => (),
        }
    }

    fn serve(
        &self,
        stream: TcpStream,
        handler: Arc<impl Handler>,
        timeouts: Timeouts,
        place: OwnedSemaphorePermit,
    ) {
        let stop = self.stop.clone().cancelled_owned();
        self.connections.spawn(async move {
            connection::serve(stream, handler, timeouts, stop).await;
            drop(place);
        });
    }

    /// Closes the socket and has every connection end with the answer that is under way, or at once
    /// if there is none. Waiting for what is returned waits for the last of them.
    pub fn stop(self) -> TaskTracker {
        self.stop.cancel();
        self.connections.close();
        self.connections
    }
}

/// Answers whoever came over the limit.
struct TurnedAway;

impl Handler for TurnedAway {
    type Body = Full<Bytes>;

    async fn answer(&self, _: Request<CallerBody>, _: &mut Alarm) -> Response<Self::Body> {
        let message = "the gateway has too many connections";
        let mut answer = response::refusal(&Refusal::Unavailable(message));
        close(&mut answer);
        answer
    }
}

/// Binds an address, with the address in the error.
///
/// # Errors
/// The system refuses it.
pub async fn bind(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}
