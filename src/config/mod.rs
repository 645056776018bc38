//! The configuration as the program needs it.
//!
//! `check.rs` makes it from a file. `sections.rs` and its siblings say which keys there are, their defaults
//! and the rules between them; `source.rs`, `syntax.rs`, `file.rs`, `table.rs` and `value.rs` read
//! what the user wrote. `print.rs` goes the other way. `admin_listen.rs` reads one key of a file that may be broken,
//! and `reload.rs` says what needs a restart.

mod admin_listen;
mod check;
mod file;
mod instances;
mod listeners;
mod print;
pub mod reload;
mod secret;
mod sections;
mod source;
mod syntax;
mod table;
mod tls;
mod value;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use http::Uri;
use rustls::pki_types::CertificateDer;

pub use admin_listen::admin_listen;
pub use check::{Loaded, load, parse, sandbox};
pub use file::Problem;
pub use print::print;
pub use secret::Secret;
pub use tls::Tls;

/// A configuration without a fault.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[admin]`
    pub admin: Admin,
    /// `[ryze]`
    pub ryze: Ryze,
    /// `[budget]`
    pub budget: Budget,
    /// `[policy]`
    pub policy: Policy,
    /// `[fallback]`; with none, what is not translated is refused.
    pub fallback: Option<Fallback>,
    /// `[log]`
    pub log: Log,
    /// `[[instances]]`, each with its secrets resolved and the defaults of `[zapi]` and `[ryze]` filled in.
    pub instances: Vec<Instance>,
}

/// `[server]`: the listener that callers see.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where to listen.
    pub listen: Listen,
    /// Within this time of its request's head a caller has its answer.
    pub deadline: Duration,
    /// How many connections may be open at once, at least 1.
    pub max_connections: usize,
    /// Bytes that the body of a translated call may have, at least 1.
    pub max_body: usize,
    /// Time for a whole request head.
    pub header_timeout: Duration,
    /// Time for the whole body of a translated call.
    pub body_timeout: Duration,
    /// How long a connection may be idle between requests.
    pub idle_timeout: Duration,
    /// `[server.drain]`
    pub drain: Drain,
    /// `[server.tls]`; none with a Unix socket.
    pub tls: Option<Tls>,
}

/// Where callers are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At an address.
    Tcp(SocketAddr),
    /// At a Unix socket.
    Unix {
        /// Its file, from the root.
        path: PathBuf,
        /// The permission bits of the file, at most `0o777`.
        mode: u32,
    },
}

/// `[server.drain]`: how the gateway stops.
#[derive(Clone, Debug)]
pub struct Drain {
    /// After the signal: not ready any more, but accepting for this long. May be zero.
    pub delay: Duration,
    /// Then at most this long for what is in flight.
    pub limit: Duration,
}

/// `[admin]`: the listener for the operator.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whether it may be another address than loopback.
    pub allow_remote: bool,
    /// Whether callers are served also where the address cannot be listened on, because it is nobody's
    /// word but the default.
    pub is_optional: bool,
}

/// `[ryze]`: the upstream.
#[derive(Clone, Debug)]
pub struct Ryze {
    /// `http` or `https`, with an authority; a path is a prefix without a trailing slash, but the
    /// empty one is `/`.
    pub base_url: Uri,
    /// Time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Time that an answer may take before its outcome is given up as unknown.
    pub request_timeout: Duration,
    /// `ca_file`, whose certificates are trusted in place of the bundled roots.
    pub ca_file: Option<CaFile>,
}

/// A file of certificates, read once, so that what was checked is what is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaFile {
    /// Where it was found.
    pub path: PathBuf,
    /// What it held: at least one.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// `[budget]`: the promise of pace towards the upstream.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Requests that this process may have arrive in any 60 s, at least 1:
    /// `requests_per_minute / replicas`.
    pub share: u32,
    /// How many may go out at once before pacing sets in, `1..=share`, or up to the limit that is
    /// shared through Redis.
    pub burst: u32,
    /// A change that would wait longer is refused at once. May be zero.
    pub max_wait: Duration,
    /// `scope`
    pub scope: Scope,
    /// Through which several gateways share one budget; `share` then holds while it is away.
    pub redis: Option<Redis>,
}

/// What a budget is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One for everything that this process sends.
    Gateway,
    /// One for each token, as the upstream counts.
    Token,
}

/// A budget that several gateways share.
#[derive(Clone, Debug)]
pub struct Redis {
    /// `redis` or `rediss` with a host, no query and no fragment. It may hold a password.
    pub url: Secret,
    /// Requests that all gateways together may have arrive in any 60 s, at least `share`.
    pub limit: u32,
    /// `budget.replicas`, among which the limit is divided while Redis is away.
    pub replicas: u32,
}

/// `[policy]`: what to do where the vendors differ.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `contacts_blacklist`
    pub contacts_blacklist: ContactsBlacklist,
}

/// What becomes of a list of contacts, which the upstream cannot carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactsBlacklist {
    /// The call is refused and nothing is changed.
    Refuse,
    /// The mode is switched and the list is dropped.
    ModeOnly,
}

/// `[fallback]`: the old vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// As that of [`Ryze`].
    pub base_url: Uri,
    /// Time to connect, TLS included.
    pub connect_timeout: Duration,
    /// How long nothing may move on a connection, either way.
    pub idle_timeout: Duration,
    /// As that of [`Ryze`].
    pub ca_file: Option<CaFile>,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// The least severe level that is written.
    pub level: tracing::level_filters::LevelFilter,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// `[[instances]]`: one WhatsApp account, as both vendors know it.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The id in a legacy caller's path.
    pub zapi_instance: String,
    /// The token in a legacy caller's path.
    pub zapi_token: Secret,
    /// The `Client-Token` that callers must send; with none the header is not asked for.
    pub client_token: Option<Secret>,
    /// The instance's name at the upstream.
    pub ryze_instance: String,
    /// The upstream's token.
    pub ryze_token: Secret,
}

impl Instance {
    /// All that must not be seen.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let tokens = [&self.zapi_token, &self.ryze_token];
        tokens.into_iter().chain(&self.client_token)
    }
}
