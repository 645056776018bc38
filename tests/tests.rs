//! Black-box tests, one module a subject. Unit tests stand beside what they test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broken_files;
mod budget;
mod certainty;
mod command;
mod compatibility;
mod config;
mod connections;
mod explain;
mod fairness;
mod fallback;
mod fuzz;
mod harness;
mod hostile;
mod lanes;
mod limits;
mod live;
mod mapping;
mod pipes;
mod process;
mod raw;
mod reading;
mod refusals;
mod ryze_answers;
mod sandbox;
mod secrets;
mod shapes;
mod shared_budget;
mod simulation;
mod soak;
mod stop;
mod structure;
mod tls;
mod zapi_client;
