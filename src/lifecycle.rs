//! The gateway's life: it is put together from its configuration, serves, and stops in order when
//! it is told to. What a request goes through belongs in `gateway.rs`.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::RootCertStore;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{sleep, timeout},
};

use crate::{
    admin::{Admin, Readiness},
    budget::{
        Budget, Terms,
        shared::{self, Shared, SharedError},
    },
    config::{self, Config, Scope},
    fallback::Fallback,
    gateway::Gateway,
    lane::{Lanes, longest_wait},
    network::{Network, NetworkError},
    ryze::Client,
    server::{Listener, bind},
};

/// Time for the last answers to reach their callers once every deadline was cut short.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Why the gateway could not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// An address cannot be listened on, or the system has no signals.
    #[error(transparent)]
    Io(#[from] io::Error),
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
    /// What was in flight took longer than `server.drain.limit`, or a second signal came.
    #[error("stopped before everything in flight was answered by Ryze")]
    Cut,
}

/// A gateway whose sockets are open and that serves nobody yet.
pub struct Bound {
    listener: Listener<Gateway<Network>>,
    lanes: Arc<Lanes<Network>>,
    admin: Option<Listener<Admin>>,
    readiness: Readiness,
    drain: config::Drain,
    stop: Stop,
    /// Where callers are served.
    pub address: SocketAddr,
}

/// Puts a gateway together and opens its sockets.
///
/// # Errors
/// [`LifecycleError`], with nothing left open.
pub async fn start(config: &Config) -> Result<Bound, LifecycleError> {
    let stop = Stop::new()?;
    let deadline = config.server.deadline;
    let max_wait = config.budget.max_wait.min(longest_wait(deadline));
    let lanes = Lanes::new(budget(config, max_wait)?, client(config)?, deadline);
    let fallback = fallback(config)?;
    let gateway = Arc::new(Gateway::new(config, Arc::clone(&lanes), fallback)?);
    let socket = bind(config.server.listen).await?;
    let address = socket.local_addr()?;
    let readiness = Readiness::default();
    let admin = admin(config, &readiness).await?;
    Ok(Bound {
        listener: Listener::new(socket, gateway, &config.server),
        lanes,
        admin,
        readiness,
        drain: config.server.drain.clone(),
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
    let network = Network::new(base_url, *connect_timeout, ca_file.as_deref())
        .map_err(LifecycleError::Ryze)?;
    Ok(Client::new(network, *request_timeout))
}

fn fallback(config: &Config) -> Result<Option<Fallback<Network>>, LifecycleError> {
    let Some(config) = &config.fallback else {
        return Ok(None);
    };
    let ca_file = config.ca_file.as_deref();
    let network = Network::new(&config.base_url, config.connect_timeout, ca_file)
        .map_err(LifecycleError::Fallback)?;
    Ok(Some(Fallback::new(config, network)?))
}

/// The budget, for which nobody waits longer than `max_wait`.
pub(crate) fn budget(config: &Config, max_wait: Duration) -> Result<Budget, LifecycleError> {
    let config::Budget { share, burst, .. } = config.budget;
    let terms = Terms {
        share,
        burst: burst.min(share),
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
fn shared(config: &Config, redis: &config::Redis) -> Result<Shared, LifecycleError> {
    let config::Budget { share, burst, .. } = config.budget;
    let longest_request = config.ryze.connect_timeout + config.ryze.request_timeout;
    let terms = shared::Terms::new(redis.limit, burst, share, longest_request);
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    Ok(Shared::new(redis.url.expose(), "gateway", terms, roots)?)
}

/// The operator's listener. Where its address is only the default, a port that is taken does not
/// keep callers from being served.
async fn admin(
    config: &Config,
    readiness: &Readiness,
) -> Result<Option<Listener<Admin>>, LifecycleError> {
    let socket = match bind(config.admin.listen).await {
        Ok(socket) => socket,
        Err(error) if !config.admin.listen_is_explicit => {
            tracing::warn!(%error, "no admin listener; give it an address in admin.listen");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    tracing::info!(address = %socket.local_addr()?, "the admin listener is ready");
    let admin = Arc::new(Admin::new(readiness.clone()));
    Ok(Some(Listener::new(socket, admin, &config.server)))
}

impl Bound {
    /// Serves until a signal, then stops in order.
    ///
    /// # Errors
    /// [`LifecycleError::Cut`].
    pub async fn run(mut self) -> Result<(), LifecycleError> {
        let admin = async {
            match &self.admin {
                Some(admin) => admin.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(admin);
        tokio::select! {
            () = self.listener.accept() => (),
            () = &mut admin => (),
            () = self.stop.signalled() => (),
        }
        tracing::info!("stopping");
        self.readiness.withdraw();
        let in_a_hurry = tokio::select! {
            () = self.listener.accept() => false,
            () = &mut admin => false,
            () = self.stop.signalled() => true,
            () = sleep(self.drain.delay) => false,
        };
        let connections = self.listener.stop();
        let finished = async {
            connections.wait().await;
            self.lanes.idle().await;
        };
        let clean = !in_a_hurry
            && tokio::select! {
                result = timeout(self.drain.limit, finished) => result.is_ok(),
                () = &mut admin => false,
                () = self.stop.signalled() => false,
            };
        if clean {
            tracing::info!("stopped");
            return Ok(());
        }
        self.lanes.cut();
        // Who cannot take its answer in this time is gone.
        let _ = timeout(LAST_ANSWERS, connections.wait()).await;
        Err(LifecycleError::Cut)
    }
}

/// The signals that ask the process to stop.
pub struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Listens for them from now on.
    ///
    /// # Errors
    /// The system has no signals.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub async fn signalled(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}
