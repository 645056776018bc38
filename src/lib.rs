//! A sidecar that stands in for Z-API: it answers legacy clients in Z-API's words and does the work on
//! Ryze. Data flows one way, and nothing points back:
//!
//! ```text
//! server → zapi (request) → gateway → queue (coalesce → budget → ryze → confirm) → outcome → zapi (response)
//!                               └→ proxy → the fallback's response
//! ```
//!
//! `ARCHITECTURE.md` has the map of the modules, entry points and the life of a request.
//!
//! The interface that is promised is the command line, the configuration file and what is answered over
//! HTTP. This library changes with the program.

pub mod admin;
pub mod app;
pub mod budget;
pub mod cli;
pub mod config;
mod configured_map;
mod content_encoding;
pub mod explain;
pub mod gateway;
mod header_limit;
mod json;
pub mod net;
pub mod privacy;
pub mod proxy;
pub mod queue;
pub mod redact;
pub mod ryze;
pub mod sandbox;
pub mod server;
mod spelling;
mod sync;
pub mod systemd;
pub mod telemetry;
mod timer;
mod version;
mod whole_body;
pub mod zapi;
