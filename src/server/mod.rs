//! The listener that legacy callers see: sockets, connections, time limits and the order in which
//! it stops. It knows the shape of an answer and nothing of what is asked.

mod connection;
mod connection_state;
mod limits;
mod listener;
mod socket;
mod socket_file;
mod timeout_stream;
mod tls;
pub(crate) mod validate;

pub use connection::{CallerBody, Handler};
pub use limits::{Limits, Occupancy};
pub use listener::Listener;
pub use socket::{Address, Socket, bind};
pub use socket_file::SocketFile;
pub(crate) use {
    connection::{Admission, serve},
    timeout_stream::Timeouts,
};
