//! The gateway process: builds a gateway from its configuration (`build.rs`), serves until a signal and
//! shuts down (`run.rs`), and reloads the configuration (`reload.rs`).

mod build;
mod reload;
mod run;
mod signals;

use std::{io, sync::Arc};

use tokio_util::sync::CancellationToken;

pub(crate) use self::build::{budget, client, network};
pub use self::{build::start, reload::Reload, signals::Stop};
use crate::{
    admin::{Admin, Overview},
    budget::redis::ConfigError,
    config,
    gateway::Gateway,
    net::NetworkError,
    queue::Queues,
    server::{Address, Listener},
};

/// Why the gateway did not start, or did not shut down cleanly.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket has no address, or the system has no signals.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The listener for Z-API's clients cannot be opened.
    #[error("{0}; write another address in server.listen, or --listen")]
    Server(#[source] io::Error),
    /// The admin listener cannot be opened.
    #[error("{0}; write another address in admin.listen")]
    Admin(#[source] io::Error),
    /// `[ryze]` cannot be used to connect.
    #[error("ryze.{0}")]
    Ryze(#[source] NetworkError),
    /// `[fallback]` cannot be used to connect.
    #[error("fallback.{0}")]
    Fallback(#[source] NetworkError),
    /// `budget.redis` cannot be used to connect.
    #[error("budget.redis: {0}")]
    Redis(#[from] ConfigError),
    /// A host, or an instance's name or token, is not valid in a request.
    #[error("a host, or an instance's name or token, cannot stand in a request: {0}")]
    Request(#[from] http::Error),
    /// A reloaded configuration conflicts with a key that only a restart can change.
    #[error("{0}")]
    Conflict(config::Problem),
    /// `server.drain.limit` passed, or a second signal came, while requests were in flight.
    #[error("stopped with requests still in flight")]
    Aborted,
}

/// A gateway whose sockets are open and that does not accept connections yet.
pub struct Bound {
    listener: Listener<Gateway>,
    gateway: Arc<Gateway>,
    queues: Arc<Queues>,
    abort: CancellationToken,
    admin: Option<Listener<Admin>>,
    overview: Arc<Overview>,
    reload: Option<Reload>,
    stop: Stop,
    /// The address for clients.
    pub address: Address,
}
