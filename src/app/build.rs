//! Builds a gateway from its configuration and opens its sockets.

use std::{sync::Arc, time::Duration};

use rustls::pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

use super::{Bound, Error, Stop};
use crate::{
    admin::{Admin, Overview},
    budget::{
        self, Budget,
        redis::{self, SharedLimiter, SharedQuota},
    },
    config::{self, CaFile, Config, Fallback, Scope, Secret},
    gateway::Gateway,
    net::{LOOKUP_TIMEOUT, Network, tls},
    proxy::Proxy,
    queue::{Queues, longest_wait},
    ryze::Client,
    server::{Limits, Listener, Socket, bind},
    telemetry::Metrics,
};

/// Lower bound on the calls that may wait for one instance. The usual bound is a quarter of
/// `server.max_connections`, so that an unresponsive instance cannot take all connections.
const MIN_WAITING: usize = 4;

/// Builds a gateway and opens its sockets.
///
/// # Errors
/// [`Error`]; all sockets are closed again.
pub async fn start(config: &Config) -> Result<Bound, Error> {
    let stop = Stop::new()?;
    let deadline = config.server.deadline;
    let max_wait = config.budget.max_wait.min(longest_wait(deadline));
    let max_waiting = (config.server.max_connections / 4).max(MIN_WAITING);
    let budget = budget(config, max_wait)?;
    budget.start_heartbeat();
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
        proxy(config)?,
        Arc::clone(&metrics),
        abort.clone(),
    )?;
    let gateway = Arc::new(gateway);
    let socket = Socket::open(&config.server.listen)
        .await
        .map_err(Error::Server)?;
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

pub(crate) fn client(config: &Config) -> Result<Client, Error> {
    let config::Ryze {
        base_url,
        connect_timeout,
        request_timeout,
        ca_file,
    } = &config.ryze;
    let network =
        Network::new(base_url, *connect_timeout, trusted(ca_file.as_ref())).map_err(Error::Ryze)?;
    Ok(Client::new(network, *request_timeout))
}

pub(super) fn proxy(config: &Config) -> Result<Option<Arc<Proxy>>, Error> {
    let Some(config) = &config.fallback else {
        return Ok(None);
    };
    Ok(Some(Arc::new(Proxy::new(config, network(config)?)?)))
}

/// The connector to the fallback.
pub(crate) fn network(config: &Fallback) -> Result<Network, Error> {
    let trusted = trusted(config.ca_file.as_ref());
    Network::new(&config.base_url, config.connect_timeout, trusted).map_err(Error::Fallback)
}

fn trusted(ca_file: Option<&CaFile>) -> Option<&[CertificateDer<'static>]> {
    ca_file.map(|file| &*file.certificates)
}

/// The budget. A call waits for a permit for at most `max_wait`.
pub(crate) fn budget(config: &Config, max_wait: Duration) -> Result<Budget, Error> {
    let share = config.budget.share();
    let quota = budget::Quota {
        share,
        burst: config.budget.burst.min(share),
        max_wait,
    };
    let budget = match config.budget.scope {
        Scope::Gateway => Budget::new(quota),
        Scope::Token => Budget::per_token(quota),
    };
    Ok(match &config.budget.redis {
        None => budget,
        Some(url) => budget.with_shared_limiter(shared_limiter(config, url)?),
    })
}

/// The limiter that all gateways with the Redis at this URL share.
fn shared_limiter(config: &Config, url: &Secret) -> Result<SharedLimiter, Error> {
    let budget = &config.budget;
    let config::Ryze {
        connect_timeout,
        request_timeout,
        ..
    } = config.ryze;
    let longest_request = LOOKUP_TIMEOUT + connect_timeout + request_timeout;
    let quota = SharedQuota::new(
        budget.requests_per_minute,
        budget.burst,
        budget.share(),
        longest_request,
    );
    let roots = tls::roots(None).map_err(redis::ConfigError::Tls)?;
    Ok(SharedLimiter::new(url.expose(), "gateway", quota, roots)?)
}

/// The admin listener. If its address is the default one and in use, the gateway runs without it.
async fn admin(
    config: &Config,
    overview: &Arc<Overview>,
) -> Result<Option<Listener<Admin>>, Error> {
    let socket = match bind(config.admin.listen).await {
        Ok(socket) => socket,
        Err(error) if config.admin.is_optional => {
            tracing::warn!(%error, "no admin listener; write an address in admin.listen");
            return Ok(None);
        }
        Err(error) => return Err(Error::Admin(error)),
    };
    tracing::info!(address = %socket.local_addr()?, "the admin listener is ready");
    let is_local = config.admin.listen.ip().is_loopback();
    let admin = Arc::new(Admin::new(Arc::clone(overview), is_local));
    Ok(Some(Listener::new(socket, admin, Limits::ADMIN)))
}
