//! Connections to an upstream: name resolution, TCP and TLS, whichever upstream is at the other end.
//! What is said on a connection belongs in the upstreams' modules.

mod connector;
mod resolver;
mod tcp;
pub mod tls;

use std::{future::Future, io, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};

pub use self::{
    connector::{Network, NetworkError},
    resolver::{LOOKUP_TIMEOUT, Reply, Resolver},
    tcp::{TcpConnection, USER_TIMEOUT},
};

/// An older connection is not used again, so that the new addresses of a host are used also where
/// connections are never idle. A request in flight is not cut short.
pub const MAX_CONNECTION_AGE: Duration = Duration::from_secs(300);

/// A byte stream, plain or with TLS, or a pipe in a test.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// Opens streams to an upstream.
pub trait Connect: Send + Sync + 'static {
    /// Opens one. Dropping the future abandons it.
    ///
    /// # Errors
    /// `NotFound` a host that has no address, `InvalidData` a broken TLS handshake, `TimedOut` a
    /// look-up or a handshake that took too long, or the system's own error.
    fn connect(&self) -> impl Future<Output = io::Result<Box<dyn Stream>>> + Send;
}
