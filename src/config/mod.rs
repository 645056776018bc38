//! The configuration: from a file to a [`Config`] and back.
//!
//! `keys.rs` has a row for each key: its path, how it is read and shown, its default, and what a reload
//! does with it. `load.rs` reads a file by these rows (`table.rs`) and checks the rules between keys
//! (`rules.rs`, `instances.rs`, `tls.rs`); `print.rs` and `reload.rs` are projections of the same rows.
//! The file is read by hand and not by serde, which stops at the first error and quotes values.

mod answer;
mod csv_file;
mod include;
mod instances;
mod key;
mod keys;
mod load;
mod model;
mod origin;
mod pieces;
mod print;
mod problem;
mod readers;
pub mod reload;
mod report;
mod routing;
mod rules;
mod secret;
mod source;
mod table;
mod tls;
mod variable;
mod variables;

pub use answer::{Fault, check_value};
pub use key::OnReload;
pub use keys::{Facts, keys};
pub use load::{AdminListen, Loaded, admin_listen, load, parse, sandbox};
pub use model::*;
pub use origin::Origin;
pub use print::print;
pub use problem::{Position, Problem};
pub use routing::routing;
pub use secret::Secret;
pub use tls::Tls;
pub use variable::{VARIABLES, Variable};
