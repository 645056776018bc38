//! The listener that legacy callers see: sockets, connections, time limits and the order in which
//! it stops. It knows the shape of an answer and nothing of what is asked.

mod connection;
mod framing;
pub(crate) mod head;
mod listener;
mod progress;
mod stream;

pub use connection::{CallerBody, Handler};
pub use listener::{Listener, bind};
pub(crate) use {connection::serve, stream::Timeouts};
