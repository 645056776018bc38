//! A limit that several processes share exactly, through Redis, with a static share for each process while
//! Redis is unavailable.
//!
//! `PROTOCOL.md` says which process may send when, and why the limit holds. `process.rs` makes the steps
//! of one process; `member.rs` is its state machine, `state.rs` what it may use and `leases.rs` the
//! slots that it has. `script.lua` is the shared state, `step.rs` the messages, `server_clock.rs` the check
//! of the server's clock, and `client.rs` the connection.

mod client;
mod decision;
mod leases;
mod member;
mod process;
mod quota;
mod server_clock;
mod shared_limiter;
mod state;
mod step;

pub use self::{
    client::ConfigError,
    decision::Decision,
    leases::Lease,
    quota::SharedQuota,
    shared_limiter::SharedLimiter,
    state::Mode,
    step::{Reason, Reply, Replying, SCRIPT, Store},
};
