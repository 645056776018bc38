//! What is listened on: a TCP port or a Unix socket, from its opening to the last caller that waits
//! in the system's queue. What becomes of a caller belongs in `listener.rs`.

use std::{fmt, io, net::SocketAddr, path::PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::socket_file::SocketFile;
use crate::{config::Listen, network::Stream};

/// How many callers may wait in the system's queue.
pub(super) const BACKLOG: u32 = 1024;

/// A socket that is listened on.
#[derive(Debug)]
pub enum Socket {
    /// At an address.
    Tcp(TcpListener),
    /// At a file, which goes when it is dropped.
    Unix(UnixListener, SocketFile),
}

/// Where a listener is found.
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
    /// The address and the port; none for a Unix socket.
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

/// Binds an address, with the address in the error.
///
/// # Errors
/// The system refuses it.
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
    /// Opens what the configuration names, which is part of the error.
    ///
    /// # Errors
    /// The system refuses it, or what is at the path of a Unix socket must not be replaced.
    pub async fn open(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => bind(*address).await.map(Self::Tcp),
            Listen::Unix { path, mode } => match SocketFile::open(path, *mode).await {
                Ok((socket, file)) => Ok(Self::Unix(socket, file)),
                Err(error) => {
                    let message = format!("cannot listen on unix:{}: {error}", path.display());
                    Err(io::Error::new(error.kind(), message))
                }
            },
        }
    }

    /// Where it is found, by callers who speak TLS or who do not.
    ///
    /// # Errors
    /// The system does not tell.
    pub(super) fn address(&self, has_tls: bool) -> io::Result<Address> {
        Ok(match self {
            Self::Tcp(socket) if has_tls => Address::Https(socket.local_addr()?),
            Self::Tcp(socket) => Address::Http(socket.local_addr()?),
            Self::Unix(_, file) => Address::Unix(file.path().to_owned()),
        })
    }

    /// The next caller. Dropping the future loses none.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(socket) => socket.accept().await.map(|(stream, _)| tcp(stream)),
            Self::Unix(socket, _) => Ok(Box::new(socket.accept().await?.0)),
        }
    }

    /// Closes it. Those who waited in the system's queue are accepted before: the system is asked for
    /// them, and not the runtime, which may not have heard of them yet.
    pub(super) fn close(self) -> Vec<Box<dyn Stream>> {
        let waiting = match self {
            Self::Tcp(socket) => socket.into_std().map(|socket| {
                waiting(|| {
                    let (stream, _) = socket.accept()?;
                    stream.set_nonblocking(true)?;
                    TcpStream::from_std(stream).map(tcp)
                })
            }),
            Self::Unix(socket, file) => {
                // From now on nobody finds it, so those who wait are all there are.
                drop(file);
                socket.into_std().map(|socket| {
                    waiting(|| {
                        let (stream, _) = socket.accept()?;
                        stream.set_nonblocking(true)?;
                        Ok(Box::new(UnixStream::from_std(stream)?) as Box<dyn Stream>)
                    })
                })
            }
        };
        // It fails only where the system knows nothing of the socket, and then of no caller either.
        waiting.unwrap_or_default()
    }
}

/// Accepts until nobody waits, or as many as could have waited when it began.
fn waiting(mut accept: impl FnMut() -> io::Result<Box<dyn Stream>>) -> Vec<Box<dyn Stream>> {
    let mut accepted = Vec::new();
    for _ in 0..=BACKLOG {
        match accept() {
            Ok(stream) => accepted.push(stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => {
                tracing::warn!(%error, "those who wait could not be accepted");
                break;
            }
        }
    }
    accepted
}

fn tcp(stream: TcpStream) -> Box<dyn Stream> {
    // Answers are small and written at once; waiting to fill a packet only delays them. It fails only
    // for a caller who is gone.
    let _ = stream.set_nodelay(true);
    Box::new(stream)
}
