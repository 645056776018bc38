//! The client of Ryze: requests, connections, responses and what its errors mean.
//!
//! It depends on the domain, and neither on Z-API nor on the budget: the queue acquires a permit before
//! it sends a request.

mod client;
mod connection;
mod error;
mod plain;
mod rate_limit;
mod reason;
mod response;
mod target;
pub mod wire;

pub use client::{Client, Reply};
pub use error::{Error, Progress};
pub use rate_limit::RateLimit;
pub(crate) use reason::sanitize;
pub use target::Target;
