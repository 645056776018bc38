//! Listening sockets: a TCP port or a Unix socket, from binding it to draining its backlog.

use std::{fmt, io, net::SocketAddr, path::PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::socket_file::SocketFile;
use crate::{config::Listen, net::Stream};

/// Connections that the system queues until they are accepted.
const BACKLOG: u32 = 1024;

/// A listening socket.
#[derive(Debug)]
pub enum Socket {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix socket. Dropping the file removes it.
    Unix(UnixListener, SocketFile),
}

/// The address of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP, without TLS.
    Http(SocketAddr),
    /// TCP, with TLS.
    Https(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The TCP address; `None` for a Unix socket.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Http(address) | Self::Https(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(address) => write!(formatter, "http://{address}"),
            Self::Https(address) => write!(formatter, "https://{address}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// Binds a TCP address; an error names it.
///
/// # Errors
/// The address cannot be bound.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

impl From<TcpListener> for Socket {
    fn from(socket: TcpListener) -> Self {
        Self::Tcp(socket)
    }
}

impl Socket {
    /// Binds the configured address; an error names it.
    ///
    /// # Errors
    /// The address cannot be bound, or the file at the path of a Unix socket must not be replaced.
    pub async fn open(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => bind(*address).await.map(Self::Tcp),
            Listen::Unix { path, mode } => match SocketFile::listen(path, *mode, BACKLOG).await {
                Ok((socket, file)) => Ok(Self::Unix(socket, file)),
                Err(error) => {
                    let message = format!("cannot listen on unix:{}: {error}", path.display());
                    Err(io::Error::new(error.kind(), message))
                }
            },
        }
    }

    /// The address, for clients with or without TLS.
    ///
    /// # Errors
    /// The system does not know the socket's address.
    pub(super) fn address(&self, has_tls: bool) -> io::Result<Address> {
        Ok(match self {
            Self::Tcp(socket) if has_tls => Address::Https(socket.local_addr()?),
            Self::Tcp(socket) => Address::Http(socket.local_addr()?),
            Self::Unix(_, file) => Address::Unix(file.path().to_owned()),
        })
    }

    /// Accepts one connection. Cancel safe: dropping the future loses none.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(socket) => socket.accept().await.map(|(stream, _)| tcp(stream)),
            Self::Unix(socket, _) => Ok(Box::new(socket.accept().await?.0)),
        }
    }

    /// Closes the socket and returns the connections of its backlog. They are accepted by system calls,
    /// because the runtime may not have seen their readiness yet.
    pub(super) fn close(self) -> Vec<Box<dyn Stream>> {
        let backlog = match self {
            Self::Tcp(socket) => socket.into_std().map(|socket| {
                accept_backlog(|| {
                    let (stream, _) = socket.accept()?;
                    stream.set_nonblocking(true)?;
                    TcpStream::from_std(stream).map(tcp)
                })
            }),
            Self::Unix(socket, file) => {
                // Without its file the socket gets no new connections.
                drop(file);
                socket.into_std().map(|socket| {
                    accept_backlog(|| {
                        let (stream, _) = socket.accept()?;
                        stream.set_nonblocking(true)?;
                        Ok(Box::new(UnixStream::from_std(stream)?) as Box<dyn Stream>)
                    })
                })
            }
        };
        // It fails only if the descriptor cannot be deregistered; then the backlog is lost with it.
        backlog.unwrap_or_default()
    }
}

/// Accepts until the backlog is empty, at most as many connections as it holds.
fn accept_backlog(mut accept: impl FnMut() -> io::Result<Box<dyn Stream>>) -> Vec<Box<dyn Stream>> {
    let mut accepted = Vec::new();
    for _ in 0..=BACKLOG {
        match accept() {
            Ok(stream) => accepted.push(stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => {
                tracing::warn!(%error, "a connection in the backlog could not be accepted");
                break;
            }
        }
    }
    accepted
}

fn tcp(stream: TcpStream) -> Box<dyn Stream> {
    // Responses are small and written at once; Nagle's algorithm would only delay them. Fails only if
    // the client has disconnected.
    let _ = stream.set_nodelay(true);
    Box::new(stream)
}
