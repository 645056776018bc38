//! Connections to an upstream: name resolution, TCP and TLS. Independent of the upstream's protocol.

mod connector;
mod fault;
mod look_up_cache;
mod resolver;
mod tcp;
pub mod tls;

use std::{future::Future, io, pin::Pin, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};

pub use self::{
    connector::{Network, NetworkError},
    fault::ConnectFault,
    look_up_cache::Reply,
    resolver::{LOOKUP_TIMEOUT, Resolver},
    tcp::{TcpConnection, USER_TIMEOUT},
};

/// Maximum age at which a connection is reused, so that a host's new addresses are used even if its
/// connections are never idle. A request in flight is not interrupted.
pub const MAX_CONNECTION_AGE: Duration = Duration::from_secs(300);

/// A byte stream: TCP, TLS, or a pipe in a test.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// The future of [`Connect::connect`].
pub type Opening<'c> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'c>>;

/// Opens streams to an upstream.
pub trait Connect: Send + Sync + 'static {
    /// Opens a stream. Dropping the future cancels it.
    ///
    /// # Errors
    /// `NotFound`: the host has no address; `InvalidData`: the TLS handshake failed; `TimedOut`: name
    /// resolution or the connection timed out; else the system's error. [`ConnectFault`] names them.
    fn connect(&self) -> Opening<'_>;
}
