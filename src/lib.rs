//! A sidecar that stands in for Z-API: it answers a legacy caller in Z-API's words and does the
//! work on Ryze.

pub mod alarm;
pub mod budget;
pub mod config;
mod json;
pub mod lane;
pub mod privacy;
pub mod ryze;
pub mod sandbox;
pub mod zapi;
