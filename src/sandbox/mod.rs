//! An in-memory Ryze, for tests and for trying an integration: both privacy calls, `/health`, tokens,
//! the rate limit with its headers, and faults on request. `zapi/` is an in-memory Z-API.
//!
//! Both are built from their vendors' documentation and share no code with the gateway, so that tests
//! compare two independent readings of it. What Ryze's documentation leaves open is answered in the usual
//! envelope.

mod account;
mod api;
mod arrivals;
mod control;
mod fault;
mod http;
mod limit;
mod listener;
mod privacy;
mod reply;
mod usage;
mod zapi;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use serde_json::Value;
use tokio::{net::TcpListener, time::Instant};

use self::{account::Account, arrivals::Arrivals, limit::Limit};
pub use self::{
    arrivals::Arrival,
    fault::{Answer, Call, Fault},
    limit::Window,
    usage::{CONTROLS, usage},
    zapi::{UNLISTED, Zapi},
};

const INSTANCE: &str = "main";
const INSTANCE_TOKEN: &str = "sandbox-token";
const ACCOUNT_TOKEN: &str = "sandbox-account";

/// The settings of a sandbox.
pub struct Options {
    /// The rate limit of each token.
    pub requests_per_minute: u32,
    /// How the limit counts a minute.
    pub window: Window,
    /// WhatsApp's latency for each stanza: one a changed field, and one to read the settings.
    pub latency: Duration,
    /// Valid for every instance.
    pub account_token: String,
    /// Name and token of each instance. Instances with the same token share its limit.
    pub instances: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            requests_per_minute: 100,
            window: Window::Fixed,
            latency: Duration::ZERO,
            account_token: ACCOUNT_TOKEN.to_owned(),
            instances: vec![(INSTANCE.to_owned(), INSTANCE_TOKEN.to_owned())],
        }
    }
}

/// The in-memory Ryze. A clone shares its state.
#[derive(Clone)]
pub struct Sandbox(Arc<Shared>);

struct Shared {
    latency: Duration,
    start: Instant,
    /// The Unix time of `start`; from then on only tokio's clock is used.
    unix_start: Duration,
    state: Mutex<State>,
}

struct State {
    account: Account,
    limit: Limit,
    /// Pending faults, the oldest first.
    faults: VecDeque<Fault>,
    arrivals: Arrivals,
}

impl Sandbox {
    /// Every setting is `all`.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let mut account = Account::new(options.account_token);
        for (name, token) in &options.instances {
            account.put(name, token, true);
        }
        Self(Arc::new(Shared {
            latency: options.latency,
            start: Instant::now(),
            unix_start: UNIX_EPOCH.elapsed().unwrap_or_default(),
            state: Mutex::new(State {
                account,
                limit: Limit::new(options.requests_per_minute, options.window),
                faults: VecDeque::new(),
                arrivals: Arrivals::default(),
            }),
        }))
    }

    /// Accepts and serves connections forever. Dropping the future closes them all.
    pub async fn serve(self, listener: TcpListener) {
        http::serve(self, listener).await;
    }

    /// Serves one connection until either side closes it.
    pub async fn serve_connection<I>(&self, io: I)
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        http::serve_connection(self.clone(), io).await;
    }

    /// Adds a connected instance, or replaces the token of one.
    pub fn add_instance(&self, name: &str, token: &str) {
        self.state().account.put(name, token, true);
    }

    /// Connects an instance to WhatsApp or disconnects it.
    pub fn set_connected(&self, name: &str, connected: bool) {
        if let Some(instance) = self.state().account.instances.get_mut(name) {
            instance.connected = connected;
        }
    }

    /// Appends a fault to the queue.
    pub fn push_fault(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// The last 1000 requests to the API, the oldest first.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.state().arrivals.iter().cloned().collect()
    }

    /// Clears the record of requests.
    pub fn clear_arrivals(&self) {
        self.state().arrivals.clear();
    }

    /// Changes settings of an instance that something else than Ryze changes, such as the phone. `update` has
    /// the shape of an update of Ryze.
    pub fn change_elsewhere(&self, instance: &str, update: &[u8]) {
        let mut state = self.state();
        if let Some(instance) = state.account.instances.get_mut(instance) {
            for change in privacy::changes(update).unwrap_or_default() {
                change.apply(&mut instance.settings);
            }
        }
    }

    /// The settings of an instance, in the shape of Ryze's `settings`.
    #[must_use]
    pub fn settings(&self, instance: &str) -> Option<Value> {
        let state = self.state();
        state
            .account
            .instances
            .get(instance)
            .map(|it| it.settings.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock panics within a change.
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// The Unix time of an instant after `start`.
    fn unix(&self, instant: Instant) -> Duration {
        self.0.unix_start + (instant - self.0.start)
    }
}
