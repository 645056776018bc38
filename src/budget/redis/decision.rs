//! The decision on a process's request for a slot of the shared limit.

use tokio::time::Instant;

use super::leases::Lease;

#[derive(Debug)]
pub enum Decision {
    /// A slot: the request may be sent.
    Granted(Lease),
    /// No slot before this time, or sooner if the process returns one of its leases.
    NotBefore(Instant),
    /// Redis or its state is lost, and nothing may be sent until this time, unless Redis is back sooner.
    Unavailable { until: Instant },
}
