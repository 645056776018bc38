//! Every configuration key, one row each, in the order of `config/gateway.toml`.
//!
//! A new key is a field in `model.rs`, a row here and a line in `config/gateway.toml`. Rules that
//! involve several keys are in `rules.rs` and `instances.rs`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use http::Uri;
use tracing::level_filters::LevelFilter;

use super::{
    Config, ContactsBlacklist, Fallback, Instance, Listen, LogFormat, Mode, Scope, Secret,
    key::{
        Absent::{Default as Or, Inherited, Required},
        Key,
        OnReload::{self, Restart, TakenOver},
        Row,
    },
    readers::{
        Address, BaseUrl, Certificates, Count, FilePath, Flag, Id, ListenAddress, Maybe, Patterns,
        RedisUrl, SecretText, SocketMode, Time, Words,
    },
};

/// A value that keys are read into.
pub(super) trait Owner: Sized + 'static {
    const ROWS: &'static [&'static dyn Row<Self>];

    /// Creates an optional table, which the file has.
    fn add_table(&mut self, _path: &str) {}
}

/// A configuration that is being read, with the keys that [`Config`] does not keep.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) config: Config,
    /// Patterns of files with instances.
    pub(super) include: Vec<String>,
    /// `zapi.client_token` and `ryze.token`, for the instances that have none of their own.
    pub(super) client_token: Option<Secret>,
    pub(super) ryze_token: Option<Secret>,
    pub(super) tls: Option<TlsFiles>,
}

/// `[server.tls]`
#[derive(Default)]
pub(super) struct TlsFiles {
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
}

impl From<Config> for Draft {
    fn from(config: Config) -> Self {
        let tls = config.server.tls.as_ref().map(|tls| TlsFiles {
            cert_file: tls.cert_file.clone(),
            key_file: tls.key_file.clone(),
        });
        Self {
            config,
            tls,
            ..Self::default()
        }
    }
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

const RATE: Count<u32> = Count(1..=1_000_000);

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const LEVELS: Words<LevelFilter> = Words(&[
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
]);

const CONTACTS_BLACKLIST: Words<ContactsBlacklist> = Words(&[
    ("refuse", ContactsBlacklist::Refuse),
    ("mode_only", ContactsBlacklist::ModeOnly),
    ("fallback", ContactsBlacklist::Fallback),
]);

impl Owner for Draft {
    #[rustfmt::skip]
    const ROWS: &'static [&'static dyn Row<Self>] = &[
        &Key::new("include", Patterns, Or(Vec::new), TakenOver, |it: &mut Self| Some(&mut it.include)),
        &Key::new("server.listen", ListenAddress, Or(|| Listen::Tcp(loopback(8420))), Restart,
            |it: &mut Self| Some(&mut it.config.server.listen)),
        &Key::new("server.socket_mode", SocketMode, Or(|| 0o660), Restart, socket_mode),
        &Key::new("server.deadline", Time::ABOVE_ZERO, Or(|| seconds(30)), Restart,
            |it: &mut Self| Some(&mut it.config.server.deadline)),
        &Key::new("server.max_connections", Count(1..=1_000_000), Or(|| 512), Restart,
            |it: &mut Self| Some(&mut it.config.server.max_connections)),
        &Key::new("server.max_body", Count(1..=16 * MIB), Or(|| 64 * KIB), TakenOver,
            |it: &mut Self| Some(&mut it.config.server.max_body)),
        &Key::new("server.header_timeout", Time::ABOVE_ZERO, Or(|| seconds(10)), Restart,
            |it: &mut Self| Some(&mut it.config.server.header_timeout)),
        &Key::new("server.body_timeout", Time::ABOVE_ZERO, Or(|| seconds(10)), TakenOver,
            |it: &mut Self| Some(&mut it.config.server.body_timeout)),
        &Key::new("server.idle_timeout", Time::ABOVE_ZERO, Or(|| seconds(60)), Restart,
            |it: &mut Self| Some(&mut it.config.server.idle_timeout)),
        &Key::new("server.drain.delay", Time::ANY, Or(|| Duration::ZERO), TakenOver,
            |it: &mut Self| Some(&mut it.config.server.drain.delay)),
        &Key::new("server.drain.limit", Time::ABOVE_ZERO, Or(|| seconds(25)), TakenOver,
            |it: &mut Self| Some(&mut it.config.server.drain.limit)),
        &Key::new("server.tls.cert_file", FilePath, Required, TakenOver,
            |it: &mut Self| it.tls.as_mut().map(|tls| &mut tls.cert_file)),
        &Key::new("server.tls.key_file", FilePath, Required, TakenOver,
            |it: &mut Self| it.tls.as_mut().map(|tls| &mut tls.key_file)),
        &Key::new("admin.listen", Address, Or(|| loopback(8421)), Restart,
            |it: &mut Self| Some(&mut it.config.admin.listen)),
        &Key::new("admin.allow_remote", Flag, Or(|| false), Restart,
            |it: &mut Self| Some(&mut it.config.admin.allow_remote)),
        &Key::new("zapi.client_token", Maybe(SecretText::HEADER_VALUE), Or(|| None), TakenOver,
            |it: &mut Self| Some(&mut it.client_token)),
        &Key::new("ryze.base_url", BaseUrl, Or(|| Uri::from_static("https://ryzeapi.cloud")), Restart,
            |it: &mut Self| Some(&mut it.config.ryze.base_url)),
        &Key::new("ryze.token", Maybe(SecretText::HEADER_VALUE), Or(|| None), TakenOver,
            |it: &mut Self| Some(&mut it.ryze_token)),
        &Key::new("ryze.connect_timeout", Time::ABOVE_ZERO, Or(|| seconds(3)), Restart,
            |it: &mut Self| Some(&mut it.config.ryze.connect_timeout)),
        &Key::new("ryze.request_timeout", Time::ABOVE_ZERO, Or(|| seconds(180)), Restart,
            |it: &mut Self| Some(&mut it.config.ryze.request_timeout)),
        &Key::new("ryze.ca_file", Maybe(Certificates), Or(|| None), Restart,
            |it: &mut Self| Some(&mut it.config.ryze.ca_file)),
        &Key::new("budget.requests_per_minute", RATE, Or(|| 100), Restart,
            |it: &mut Self| Some(&mut it.config.budget.requests_per_minute)),
        &Key::new("budget.burst", RATE, Or(|| 20), Restart,
            |it: &mut Self| Some(&mut it.config.budget.burst)),
        &Key::new("budget.max_wait", Time::ANY, Or(|| seconds(10)), Restart,
            |it: &mut Self| Some(&mut it.config.budget.max_wait)),
        &Key::new("budget.scope", Words(&[("gateway", Scope::Gateway), ("token", Scope::Token)]),
            Or(|| Scope::Gateway), Restart,
            |it: &mut Self| Some(&mut it.config.budget.scope)),
        &Key::new("budget.replicas", RATE, Or(|| 1), Restart,
            |it: &mut Self| Some(&mut it.config.budget.replicas)),
        &Key::new("budget.redis", Maybe(RedisUrl), Or(|| None), Restart,
            |it: &mut Self| Some(&mut it.config.budget.redis)),
        &Key::new("policy.contacts_blacklist", CONTACTS_BLACKLIST,
            Or(|| ContactsBlacklist::Refuse), TakenOver,
            |it: &mut Self| Some(&mut it.config.policy.contacts_blacklist)),
        &Key::new("fallback.base_url", BaseUrl, Required, TakenOver,
            |it: &mut Self| it.config.fallback.as_mut().map(|it| &mut it.base_url)),
        &Key::new("fallback.connect_timeout", Time::ABOVE_ZERO, Or(|| seconds(3)), TakenOver,
            |it: &mut Self| it.config.fallback.as_mut().map(|it| &mut it.connect_timeout)),
        &Key::new("fallback.idle_timeout", Time::ABOVE_ZERO, Or(|| seconds(60)), TakenOver,
            |it: &mut Self| it.config.fallback.as_mut().map(|it| &mut it.idle_timeout)),
        &Key::new("fallback.ca_file", Maybe(Certificates), Or(|| None), TakenOver,
            |it: &mut Self| it.config.fallback.as_mut().map(|it| &mut it.ca_file)),
        &Key::new("log.level", LEVELS, Or(|| LevelFilter::INFO), TakenOver,
            |it: &mut Self| Some(&mut it.config.log.level)),
        &Key::new("log.format", Words(&[("json", LogFormat::Json), ("text", LogFormat::Text)]),
            Or(|| LogFormat::Json), Restart,
            |it: &mut Self| Some(&mut it.config.log.format)),
    ];

    fn add_table(&mut self, path: &str) {
        match path {
            "server.tls" => self.tls = Some(TlsFiles::default()),
            "fallback" => self.config.fallback = Some(Fallback::default()),
            _ => (),
        }
    }
}

fn socket_mode(draft: &mut Draft) -> Option<&mut u32> {
    match &mut draft.config.server.listen {
        Listen::Tcp(_) => None,
        Listen::Unix { mode, .. } => Some(mode),
    }
}

impl Owner for Instance {
    #[rustfmt::skip]
    const ROWS: &'static [&'static dyn Row<Self>] = &[
        // The id is one segment of the path of a Z-API call.
        &Key::new("instances[].zapi_instance", Id(&['/']), Required, TakenOver,
            |it: &mut Self| Some(&mut it.zapi_instance)),
        &Key::new("instances[].zapi_token", SecretText::SEGMENT, Required, TakenOver,
            |it: &mut Self| Some(&mut it.zapi_token)),
        &Key::new("instances[].client_token", Maybe(SecretText::HEADER_VALUE), Or(|| None), TakenOver,
            |it: &mut Self| Some(&mut it.client_token)),
        &Key::new("instances[].ryze_instance", Id(&[]), Required, TakenOver,
            |it: &mut Self| Some(&mut it.ryze_instance)),
        &Key::new("instances[].ryze_token", SecretText::HEADER_VALUE,
            Inherited("write one here, or `token` in `[ryze]` for all instances"), TakenOver,
            |it: &mut Self| Some(&mut it.ryze_token)),
        &Key::new("instances[].mode", Words(&[("translate", Mode::Translate), ("observe", Mode::Observe)]),
            Or(|| Mode::Translate), TakenOver,
            |it: &mut Self| Some(&mut it.mode)),
        &Key::new("instances[].shared", Flag, Or(|| false), TakenOver,
            |it: &mut Self| Some(&mut it.shared)),
    ];
}

/// The key of the instances, in the configuration file and in those that it includes.
pub(super) const INSTANCES: &str = "instances";

/// An included file, which has no key but its instances.
#[derive(Default)]
pub(super) struct Included;

impl Owner for Included {
    const ROWS: &'static [&'static dyn Row<Self>] = &[];
}

/// What the documentation says of a key.
pub struct Facts {
    /// The full path, as in `server.drain.delay` or `instances[].zapi_token`.
    pub path: &'static str,
    /// What the value has to be and, after `; write`, an example.
    pub must_be: String,
    /// The value if the key is not written, if there is one.
    pub default: Option<String>,
    pub on_reload: OnReload,
}

/// The facts of every key.
#[must_use]
pub fn keys() -> Vec<Facts> {
    fn facts<O: Owner>() -> impl Iterator<Item = Facts> {
        O::ROWS.iter().map(|row| Facts {
            path: row.path(),
            must_be: row.must_be(),
            default: row.default(),
            on_reload: row.on_reload(),
        })
    }
    facts::<Draft>().chain(facts::<Instance>()).collect()
}
