//! The listener that legacy callers see: sockets, connections, time limits and the order in which
//! it stops. It knows the shape of an answer and nothing of what is asked.

mod connection;
mod framing;
pub(crate) mod head;
mod listener;
mod occupancy;
mod progress;
mod socket;
mod socket_file;
mod stream;
mod transport;

pub use connection::{CallerBody, Handler};
pub use listener::Listener;
pub use occupancy::{Limits, Occupancy};
pub use socket::{Address, Socket, bind};
pub use socket_file::SocketFile;
pub(crate) use {connection::serve, stream::Timeouts};
