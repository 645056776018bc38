//! The configuration as the program uses it.
//!
//! A blank value (`default()`) has neither secrets nor sensible limits: `load` fills it in from the rows
//! of `keys.rs`, which have the defaults.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use http::Uri;
use rustls::pki_types::CertificateDer;
use tracing::level_filters::LevelFilter;

use super::{Secret, Tls};

const BLANK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A valid configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub server: Server,
    pub admin: Admin,
    pub ryze: Ryze,
    pub budget: Budget,
    pub policy: Policy,
    /// Without a fallback, calls that are not translated are rejected.
    pub fallback: Option<Fallback>,
    pub log: Log,
    /// Each with the tokens of `[zapi]` and `[ryze]` where it has none of its own.
    pub instances: Vec<Instance>,
}

/// `[server]`: the listener for Z-API's clients.
#[derive(Clone, Debug, Default)]
pub struct Server {
    pub listen: Listen,
    /// Time from the request head to the response.
    pub deadline: Duration,
    /// At least 1.
    pub max_connections: usize,
    /// Bytes of the body of a translated call, at least 1.
    pub max_body: usize,
    /// Time to receive a whole request head.
    pub header_timeout: Duration,
    /// Time to receive the whole body of a translated call.
    pub body_timeout: Duration,
    /// Keep-alive time of a connection between requests.
    pub idle_timeout: Duration,
    pub drain: Drain,
    /// Always `None` for a Unix socket.
    pub tls: Option<Tls>,
}

/// The address of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix {
        /// An absolute path.
        path: PathBuf,
        /// The permission bits of the file, at most `0o777`.
        mode: u32,
    },
}

impl Default for Listen {
    fn default() -> Self {
        Self::Tcp(BLANK)
    }
}

/// `[server.drain]`: how the gateway shuts down.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    /// How long the gateway is not ready but still accepts connections. May be zero.
    pub delay: Duration,
    /// Then the time for requests in flight to complete.
    pub limit: Duration,
}

/// `[admin]`: the operator's listener.
#[derive(Clone, Debug)]
pub struct Admin {
    pub listen: SocketAddr,
    /// Whether `listen` may be another address than loopback.
    pub allow_remote: bool,
    /// Whether the gateway starts without the admin listener if its port is in use, because `listen` is
    /// the default.
    pub is_optional: bool,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: BLANK,
            allow_remote: false,
            is_optional: false,
        }
    }
}

/// `[ryze]`: the upstream.
#[derive(Clone, Debug, Default)]
pub struct Ryze {
    /// `http` or `https`, with an authority; a path is a prefix without a trailing slash, but the
    /// empty one is `/`.
    pub base_url: Uri,
    /// Time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Time to wait for a response; after it the outcome is unknown.
    pub request_timeout: Duration,
    /// Trusted in place of the bundled roots.
    pub ca_file: Option<CaFile>,
}

/// The certificates of a `ca_file`, read once: what was validated is what is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaFile {
    pub path: PathBuf,
    /// At least one.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// `[budget]`: the rate limit towards the upstream.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// Requests that may arrive in any 60 s, of all replicas together, at least `replicas`.
    pub requests_per_minute: u32,
    /// Requests sent at once before pacing sets in: `1..=share()`, with Redis
    /// `1..=requests_per_minute`.
    pub burst: u32,
    /// A change that would wait longer is rejected at once. May be zero.
    pub max_wait: Duration,
    pub scope: Scope,
    /// Gateways that `requests_per_minute` is divided among, with Redis only while Redis is down.
    pub replicas: u32,
    /// The URL of the Redis server through which gateways share the budget: `redis` or `rediss` with
    /// a host, no query and no fragment. It may hold a password.
    pub redis: Option<Secret>,
}

impl Budget {
    /// Requests of this process that may arrive in any 60 s while it does not share a limit, at
    /// least 1.
    #[must_use]
    pub fn share(&self) -> u32 {
        self.requests_per_minute
            .checked_div(self.replicas)
            .unwrap_or_default()
    }
}

/// What the rate limit applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All requests of this process.
    #[default]
    Gateway,
    /// The requests of each token, as the upstream counts.
    Token,
}

/// `[policy]`: what to do where Z-API and Ryze differ.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub contacts_blacklist: ContactsBlacklist,
}

/// How to handle a list of contacts, which Ryze does not support.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContactsBlacklist {
    /// Reject the call and change nothing.
    #[default]
    Refuse,
    /// Set the mode and drop the list.
    ModeOnly,
    /// Send the whole call to the fallback, in its order among the instance's calls.
    Fallback,
}

/// `[fallback]`: where calls go that are not translated, usually Z-API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fallback {
    /// As that of [`Ryze`].
    pub base_url: Uri,
    /// Time to connect, TLS included.
    pub connect_timeout: Duration,
    /// How long a call may go without a byte in either direction.
    pub idle_timeout: Duration,
    /// As that of [`Ryze`].
    pub ca_file: Option<CaFile>,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    pub level: LevelFilter,
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: LevelFilter::OFF,
            format: LogFormat::default(),
        }
    }
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// `[[instances]]`: one WhatsApp account at Z-API and at Ryze.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    /// The id in the path of a Z-API call.
    pub zapi_instance: Arc<str>,
    /// The token in the path of a Z-API call.
    pub zapi_token: Secret,
    /// The `Client-Token` that clients must send; `None` does not check the header.
    pub client_token: Option<Secret>,
    /// The name of the instance at the upstream.
    pub ryze_instance: Arc<str>,
    pub ryze_token: Secret,
    /// [`Mode::Observe`] only with a fallback.
    pub mode: Mode,
    /// Whether other instances may have the same `ryze_instance`.
    pub shared: bool,
}

/// Who answers the privacy calls of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The gateway, through the upstream.
    #[default]
    Translate,
    /// The fallback. The gateway records what it would have done, and sends nothing to the upstream.
    Observe,
}

impl Instance {
    /// Every secret of the instance.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let tokens = [&self.zapi_token, &self.ryze_token];
        tokens.into_iter().chain(&self.client_token)
    }
}
