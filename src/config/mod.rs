//! The configuration as the program needs it.
//!
//! `load.rs` makes it from a file. `rules.rs` and its siblings say which keys there are, their defaults
//! and the rules between them; `source.rs`, `syntax.rs`, `report.rs`, `table.rs` and `readers.rs` read
//! what the user wrote. `print.rs` goes the other way. `admin_listen.rs` reads one key of a file that may be broken,
//! and `reload.rs` says what needs a restart.

mod admin_listen;
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
mod syntax;
mod table;
mod tls;

pub use admin_listen::admin_listen;
pub use load::{Loaded, load, parse, sandbox};
pub use model::*;
pub use print::print;
pub use report::Problem;
pub use secret::Secret;
pub use tls::Tls;
