//! A sidecar that stands in for Z-API: it answers a legacy caller in Z-API's words and does the
//! work on Ryze. Data flows one way, and nothing points back:
//!
//! ```text
//! listener → zapi::request → Change → lane (fold → budget → ryze) → Outcome → zapi::response
//! ```
//!
//! | Module | Holds |
//! |---|---|
//! | [`cli`], [`lifecycle`] | the commands, start and stop |
//! | [`config`] | the file, and everything that may be wrong with it |
//! | [`server`] | sockets, connections, their time limits |
//! | [`gateway`] | the way of one request |
//! | [`zapi`] | Z-API's language |
//! | [`privacy`] | the domain |
//! | [`lane`] | one instance's changes in order |
//! | [`budget`] | when a request may be sent |
//! | [`ryze`] | Ryze's language and the way to it |
//! | [`sandbox`] | an in-memory Ryze |
//! | [`explain`] | what becomes of a request, told without any network |
//! | [`telemetry`] | log, metrics and ids of requests |
//! | [`admin`] | the operator's listener |
//! | [`service_manager`] | what systemd is told |
//! | [`alarm`] | a timer that stays armed |
//!
//! Promised: the command line, the configuration file and what is answered over HTTP, as the README
//! has them. Not promised: this library, which is the program's own and changes with it.

pub mod admin;
pub mod alarm;
pub mod budget;
pub mod cli;
pub mod config;
pub mod explain;
pub mod fallback;
pub mod gateway;
mod json;
pub mod lane;
pub mod lifecycle;
pub mod live;
pub mod network;
pub mod privacy;
pub mod ryze;
pub mod sandbox;
pub mod server;
pub mod service_manager;
mod sync;
pub mod telemetry;
mod telltale;
pub mod zapi;
