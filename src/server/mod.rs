//! The HTTP server: sockets, TLS, connections, their limits and timeouts, and the order of a shutdown.
//!
//! A [`Listener`] accepts connections within [`Limits`] and runs each in a task. hyper reads the
//! requests and a [`Handler`] responds to them. The server does not interpret the requests.

mod accepted_connection;
mod body;
mod connection;
mod connection_state;
mod first_byte;
mod handler;
mod idle_connections;
mod limits;
mod listener;
mod socket;
mod socket_file;
mod timeout_stream;
mod tls;
pub(crate) mod validate;

pub use body::RequestBody;
pub use handler::Handler;
pub use limits::{Connections, Limits, Occupancy};
pub use listener::Listener;
pub use socket::{Address, Socket, bind};
pub use socket_file::SocketFile;
pub use validate::InvalidHead;
pub(crate) use {
    connection::{Admission, serve},
    limits::Timeouts,
};
