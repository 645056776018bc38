//! The in-memory Ryze as a caller sees it, over sockets, and over in-memory pipes where the clock
//! matters. How the gateway fares in front of it does not belong here.

mod api;
mod arrivals;
mod client;
mod connections;
mod control;
mod faults;
mod limit;
mod usage;
