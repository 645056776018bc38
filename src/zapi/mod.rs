//! Z-API's language: the calls of legacy clients and the responses that they read. Knows the domain,
//! and neither Ryze nor sockets.

pub mod auth;
pub mod field;
mod input;
mod path;
pub mod rejection;
pub mod request;
pub mod response;
pub mod router;
pub mod routes;
pub mod templates;
mod values;
