//! An in-memory Ryze, for tests and for people who try their own integration: both privacy calls,
//! `/health`, tokens, the limit on requests with its headers, and faults on request.
//!
//! It is the vendor's side alone, built from the vendor's documentation: nothing of the gateway
//! belongs here. What the documentation leaves open is answered in the usual envelope.

mod account;
mod api;
mod arrivals;
mod control;
mod fault;
mod http;
mod limit;
mod privacy;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use serde_json::Value;
use tokio::time::Instant;

use self::{account::Account, arrivals::Arrivals, limit::Limit};
pub use self::{
    arrivals::Arrival,
    fault::{Answer, Call, Fault},
    limit::Window,
};

const INSTANCE: &str = "main";
const INSTANCE_TOKEN: &str = "sandbox-token";
const ACCOUNT_TOKEN: &str = "sandbox-account";

/// What a new sandbox is like.
pub struct Options {
    /// How many requests of one token are admitted in a minute.
    pub requests_per_minute: u32,
    /// What a minute is.
    pub window: Window,
    /// How long WhatsApp takes for each stanza: one a changed field, and one to read the settings.
    pub latency: Duration,
    /// The token that is good for every instance.
    pub account_token: String,
    /// Name and token of each instance. Instances may share a token, and with it its limit.
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

/// The in-memory Ryze. A clone is the same sandbox.
#[derive(Clone)]
pub struct Sandbox(Arc<Shared>);

struct Shared {
    latency: Duration,
    start: Instant,
    /// The Unix time of `start`: from there on the clock is tokio's alone.
    unix_start: Duration,
    state: Mutex<State>,
}

struct State {
    account: Account,
    limit: Limit,
    /// Those still to come, in the order in which they were asked for.
    faults: VecDeque<Fault>,
    arrivals: Arrivals,
}

impl Sandbox {
    /// A sandbox in which every setting is `all`.
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

    /// Adds a connected instance, or gives one another token.
    pub fn add_instance(&self, name: &str, token: &str) {
        self.state().account.put(name, token, true);
    }

    /// Connects an instance to WhatsApp or disconnects it.
    pub fn set_connected(&self, name: &str, connected: bool) {
        if let Some(instance) = self.state().account.instances.get_mut(name) {
            instance.connected = connected;
        }
    }

    /// Puts a fault at the end of the queue.
    pub fn push_fault(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// The last 1000 requests to the API, the oldest first.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.state().arrivals.iter().cloned().collect()
    }

    /// Forgets the requests that arrived.
    pub fn clear_arrivals(&self) {
        self.state().arrivals.clear();
    }

    /// The settings of an instance as they are, in the shape of Ryze's `settings`.
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
        // Nothing that holds the lock panics half-way through a change.
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// The Unix time of an instant after the sandbox was made.
    fn unix(&self, instant: Instant) -> Duration {
        self.0.unix_start + (instant - self.0.start)
    }
}

/// How to use the sandbox that listens on `address` and was made with the default [`Options`].
#[must_use]
pub fn usage(address: SocketAddr) -> String {
    let base = format!("http://{address}");
    let token = format!("-H 'token: {INSTANCE_TOKEN}'");
    format!(
        r#"In-memory Ryze on {base}
Instance {INSTANCE}, its token {INSTANCE_TOKEN}, the account's token {ACCOUNT_TOKEN}.

Update a setting:
  curl -X POST {base}/api/profile/privacy/{INSTANCE} {token} -H 'Content-Type: application/json' -d '{{"visibility":{{"profile":"contacts"}}}}'
Read the settings:
  curl {base}/api/profile/getPrivacy/{INSTANCE} {token}
Let the next update of a field fail:
  curl -X POST {base}/sandbox/faults -d '{{"answer":"field","field":"profile","reason":"info query timed out"}}'
  answer is one of normal, stale, field (with field, reason), status (with status, message),
  raw (with status, body), close, never; and every fault may have instance, call (update or read),
  times, apply (true: the update is carried out), apply_after_ms, answer_after_ms.
See what arrived:
  curl {base}/sandbox/requests
"#
    )
}
