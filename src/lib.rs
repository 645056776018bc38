//! A sidecar that stands in for Z-API: it answers a legacy caller in Z-API's words and does the
//! work on Ryze. Data flows one way, and nothing points back:
//!
//! ```text
//! listener → zapi::request → Change → lane (fold → budget → ryze) → Outcome → zapi::response
//! ```
//!
//! | Module | Holds |
//! |---|---|
//! | [`cli`], [`app`] | the commands, start and stop |
//! | [`config`] | the file, and everything that may be wrong with it |
//! | [`server`] | the HTTP server: sockets, connections, limits and timeouts |
//! | [`gateway`] | the way of one request |
//! | [`zapi`] | Z-API's language |
//! | [`privacy`] | the domain |
//! | [`queue`] | one instance's changes in order |
//! | [`budget`] | when a request may be sent |
//! | [`ryze`] | Ryze's language and the way to it |
//! | [`net`] | connections to an upstream: name resolution, TCP, TLS |
//! | [`redact`] | finds secrets in what another program wrote |
//! | [`sandbox`] | an in-memory Ryze |
//! | [`explain`] | what becomes of a request, told without any network |
//! | [`telemetry`] | log, metrics and ids of requests |
//! | [`admin`] | the operator's listener |
//! | [`systemd`] | what systemd is told |
//!
//! Promised: the command line, the configuration file and what is answered over HTTP, as the README
//! has them. Not promised: this library, which is the program's own and changes with it.

pub mod admin;
pub mod app;
pub mod budget;
pub mod cli;
pub mod config;
pub mod explain;
pub mod gateway;
mod json;
pub mod net;
pub mod privacy;
pub mod proxy;
pub mod queue;
pub mod redact;
pub mod ryze;
pub mod sandbox;
pub mod server;
pub mod systemd;
pub mod telemetry;
mod telltale;
mod timer;
pub mod zapi;
