//! Responses in Z-API's words: the one place that maps outcomes and rejections to status, headers and
//! body, and the home of every sentence that a client reads.
//!
//! `outcome.rs` has the responses to operations, among them the sentence for each failure, and
//! `failure.rs` what these quote of Ryze's own failures. `rejection.rs` and `fallback.rs` have the
//! responses to calls that were not carried out, and `shape.rs` the form of them all. Clients match on
//! substrings of the sentences, so those stay exact.

mod failure;
mod fallback;
mod outcome;
mod rejection;
mod shape;

pub use self::{
    failure::fault, failure::report, fallback::is_success, outcome::outcome, rejection::rejection,
    shape::Answer,
};
