//! The old vendor's language: what its callers send and what they read back. It knows the domain,
//! and neither Ryze nor sockets.

pub mod accounts;
pub mod request;
pub mod response;
pub mod route;
pub mod router;
