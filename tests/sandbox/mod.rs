//! The in-memory Ryze and the in-memory Z-API as a client sees them, over sockets, and over in-memory
//! pipes where the clock matters. No gateway is involved.

mod api;
mod arrivals;
mod client;
mod connections;
mod control;
mod faults;
mod limit;
mod usage;
mod zapi;
