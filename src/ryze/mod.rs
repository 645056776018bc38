//! The new vendor's language and the way to it. It knows the domain, and neither Z-API nor the
//! budget: who may send, and when, is settled before a call comes here.

mod client;
mod connection;
mod error;
mod instance;
mod rate_limit;
pub mod wire;

pub use client::{Client, Reply};
pub use error::{Error, Progress};
pub use instance::Target;
pub use rate_limit::RateLimit;
