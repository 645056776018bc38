//! The gateway's life: here it is put together from its configuration; in `run.rs` it serves, and stops
//! in order when it is told to; in `reload.rs` it takes over another configuration. What a request goes
//! through belongs in `gateway`.

mod reload;
mod run;
mod signals;

use std::{io, sync::Arc, time::Duration};

use rustls::pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

pub use self::{reload::Reload, signals::Stop};
use crate::{
    admin::{Admin, Overview},
    budget::{
        Budget, Terms,
        redis::{Shared, SharedError, Terms as SharedTerms},
    },
    config::{self, CaFile, Config, Scope, Secret},
    gateway::Gateway,
    net::{LOOKUP_TIMEOUT, Network, NetworkError, tls},
    proxy::Fallback,
    queue::{Queues, longest_wait},
    ryze::Client,
    server::{Address, Limits, Listener, Socket, bind},
    telemetry::Metrics,
};

/// How many calls of one instance may wait at least, however few connections there may be. Usually it
/// is a quarter of them, so that one instance that gets no answers does not take all.
const LEAST_WAITING: usize = 4;

/// Why the gateway could not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// An address cannot be listened on, or the system has no signals.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The address of the admin listener cannot be listened on.
    #[error("{0}; write another address in admin.listen")]
    Admin(#[source] io::Error),
    /// There is no way to Ryze.
    #[error("ryze.{0}")]
    Ryze(#[source] NetworkError),
    /// There is no way to the old vendor.
    #[error("fallback.{0}")]
    Fallback(#[source] NetworkError),
    /// There is no way to Redis.
    #[error("budget.redis: {0}")]
    Redis(#[from] SharedError),
    /// An instance or an upstream cannot be called.
    #[error("a host, or an instance's name or token, cannot stand in a request: {0}")]
    Request(#[from] http::Error),
    /// Another configuration does not go with what only a restart can change.
    #[error("{0}")]
    Conflict(config::Problem),
    /// What was in flight took longer than `server.drain.limit`, or a second signal came.
    #[error("stopped before everything in flight was answered by Ryze")]
    Cut,
}

/// A gateway whose sockets are open and that serves nobody yet.
pub struct Bound {
    listener: Listener<Gateway<Network>>,
    gateway: Arc<Gateway<Network>>,
    queues: Arc<Queues<Network>>,
    abort: CancellationToken,
    admin: Option<Listener<Admin>>,
    overview: Arc<Overview>,
    reload: Option<Reload>,
    stop: Stop,
    /// Where callers are served.
    pub address: Address,
}

/// Puts a gateway together and opens its sockets.
///
/// # Errors
/// [`LifecycleError`], with nothing left open.
pub async fn start(config: &Config) -> Result<Bound, LifecycleError> {
    let stop = Stop::new()?;
    let deadline = config.server.deadline;
    let max_wait = config.budget.max_wait.min(longest_wait(deadline));
    let max_waiting = (config.server.max_connections / 4).max(LEAST_WAITING);
    let budget = budget(config, max_wait)?;
    budget.watch();
    let metrics = Arc::<Metrics>::default();
    let abort = CancellationToken::new();
    let queues = Queues::new(
        budget,
        client(config)?,
        deadline,
        max_waiting,
        Arc::clone(&metrics),
        abort.clone(),
    );
    let gateway = Gateway::new(
        config,
        Arc::clone(&queues),
        fallback(config)?,
        Arc::clone(&metrics),
        abort.clone(),
    )?;
    let gateway = Arc::new(gateway);
    let socket = Socket::open(&config.server.listen).await?;
    let mut listener = Listener::new(socket, Arc::clone(&gateway), &config.server);
    if let Some(tls) = &config.server.tls {
        listener = listener.with_tls(Arc::clone(&tls.server));
    }
    let address = listener.address()?;
    let overview = Arc::new(Overview::new(
        Arc::clone(&gateway),
        Arc::clone(&queues),
        metrics,
        listener.occupancy(),
        config.clone(),
    ));
    let admin = admin(config, &overview).await?;
    Ok(Bound {
        listener,
        gateway,
        queues,
        abort,
        admin,
        overview,
        reload: None,
        stop,
        address,
    })
}

pub(crate) fn client(config: &Config) -> Result<Client<Network>, LifecycleError> {
    let config::Ryze {
        base_url,
        connect_timeout,
        request_timeout,
        ca_file,
    } = &config.ryze;
    let network = Network::new(base_url, *connect_timeout, trusted(ca_file.as_ref()))
        .map_err(LifecycleError::Ryze)?;
    Ok(Client::new(network, *request_timeout))
}

fn fallback(config: &Config) -> Result<Option<Arc<Fallback<Network>>>, LifecycleError> {
    let Some(config) = &config.fallback else {
        return Ok(None);
    };
    let trusted = trusted(config.ca_file.as_ref());
    let network = Network::new(&config.base_url, config.connect_timeout, trusted)
        .map_err(LifecycleError::Fallback)?;
    Ok(Some(Arc::new(Fallback::new(config, network)?)))
}

fn trusted(ca_file: Option<&CaFile>) -> Option<&[CertificateDer<'static>]> {
    ca_file.map(|file| &*file.certificates)
}

/// The budget, for which nobody waits longer than `max_wait`.
pub(crate) fn budget(config: &Config, max_wait: Duration) -> Result<Budget, LifecycleError> {
    let share = config.budget.share();
    let terms = Terms {
        share,
        burst: config.budget.burst.min(share),
        max_wait,
    };
    let budget = match config.budget.scope {
        Scope::Gateway => Budget::new(terms),
        Scope::Token => Budget::per_token(terms),
    };
    Ok(match &config.budget.redis {
        None => budget,
        Some(redis) => budget.shared_through(shared(config, redis)?),
    })
}

/// The limit that the gateways at this Redis share.
fn shared(config: &Config, redis: &Secret) -> Result<Shared, LifecycleError> {
    let budget = &config.budget;
    let config::Ryze {
        connect_timeout,
        request_timeout,
        ..
    } = config.ryze;
    let longest_request = LOOKUP_TIMEOUT + connect_timeout + request_timeout;
    let terms = SharedTerms::new(
        budget.requests_per_minute,
        budget.burst,
        budget.share(),
        longest_request,
    );
    let roots = tls::roots(None).map_err(SharedError::Tls)?;
    Ok(Shared::new(redis.expose(), "gateway", terms, roots)?)
}

/// The operator's listener. Where its address is only the default, a port that is taken does not
/// keep callers from being served.
async fn admin(
    config: &Config,
    overview: &Arc<Overview>,
) -> Result<Option<Listener<Admin>>, LifecycleError> {
    let socket = match bind(config.admin.listen).await {
        Ok(socket) => socket,
        Err(error) if config.admin.is_optional => {
            tracing::warn!(%error, "no admin listener; write an address in admin.listen");
            return Ok(None);
        }
        Err(error) => return Err(LifecycleError::Admin(error)),
    };
    tracing::info!(address = %socket.local_addr()?, "the admin listener is ready");
    let is_local = config.admin.listen.ip().is_loopback();
    let admin = Arc::new(Admin::new(Arc::clone(overview), is_local));
    Ok(Some(Listener::new(socket, admin, Limits::ADMIN)))
}
