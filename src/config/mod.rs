//! The configuration as the program needs it.
//!
//! `load.rs` makes it from a file. `rules.rs` and its siblings say which keys there are, their defaults
//! and the rules between them; `source.rs`, `report.rs`, `table.rs` and `readers.rs` read
//! what the user wrote. `print.rs` goes the other way. `reload.rs` says what needs a restart.

mod instances;
mod listeners;
mod load;
mod model;
mod print;
mod readers;
pub mod reload;
mod report;
mod rules;
mod secret;
mod source;
mod table;
mod tls;

pub use load::{AdminListen, Loaded, admin_listen, load, parse, sandbox};
pub use model::*;
pub use print::print;
pub use report::Problem;
pub use secret::Secret;
pub use tls::Tls;
