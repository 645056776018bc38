//! The tables one by one: every key with its default, and the rules between keys.
//!
//! How a table is read and a value is written belongs in `table.rs` and `value.rs`.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use http::Uri;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tracing::level_filters::LevelFilter;

use super::{
    Admin, Budget, ContactsBlacklist, Drain, Fallback, Instance, Log, LogFormat, Policy, Redis,
    Ryze, Scope, Secret, Server,
    table::{Key, Table},
};

/// The words of `policy.contacts_blacklist`.
pub(super) const CONTACTS_BLACKLIST: [(&str, ContactsBlacklist); 2] = [
    ("refuse", ContactsBlacklist::Refuse),
    ("mode_only", ContactsBlacklist::ModeOnly),
];

/// The words of `budget.scope`.
pub(super) const SCOPE: [(&str, Scope); 2] = [("gateway", Scope::Gateway), ("token", Scope::Token)];

/// The words of `log.format`.
pub(super) const LOG_FORMAT: [(&str, LogFormat); 2] =
    [("json", LogFormat::Json), ("text", LogFormat::Text)];

/// The words of `log.level`.
const LOG_LEVEL: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// `[server]` and `[server.drain]`.
pub(super) fn server(table: &mut Table<'_>) -> Server {
    let drain = table.table("drain", |table| Drain {
        delay: table.key("delay").duration_or_zero().unwrap_or_default(),
        limit: table.key("limit").duration().unwrap_or(seconds(25)),
    });
    let mut key = |name| table.key(name);
    Server {
        listen: key("listen").address().unwrap_or(loopback(8420)),
        deadline: key("deadline").duration().unwrap_or(seconds(30)),
        max_connections: key("max_connections").integer(1..=1_000_000).unwrap_or(512),
        max_body: key("max_body").integer(1..=16 * MIB).unwrap_or(65_536),
        header_timeout: key("header_timeout").duration().unwrap_or(seconds(10)),
        body_timeout: key("body_timeout").duration().unwrap_or(seconds(10)),
        idle_timeout: key("idle_timeout").duration().unwrap_or(seconds(60)),
        drain,
    }
}

/// `[admin]`, which must not listen where `server` does.
pub(super) fn admin(table: &mut Table<'_>, server: SocketAddr) -> Admin {
    let key = table.key("listen");
    let listen = key.address().unwrap_or(loopback(8421));
    let allow_remote = table.key("allow_remote").boolean().unwrap_or(false);
    if !listen.ip().is_loopback() && !allow_remote {
        key.conflict(
            &["admin.allow_remote"],
            "can be reached from other machines; write a loopback address, or allow_remote = true",
        );
    }
    if listen == server && listen.port() != 0 {
        key.conflict(
            &["server.listen"],
            "is server.listen too; write another port",
        );
    }
    Admin {
        listen,
        listen_is_explicit: key.is_written(),
    }
}

/// `[ryze]`, and the token for the instances that have none of their own.
pub(super) fn ryze(table: &mut Table<'_>) -> (Ryze, Option<Secret>) {
    let mut key = |name| table.key(name);
    let base_url = key("base_url").base_url();
    let ryze = Ryze {
        base_url: base_url.unwrap_or(Uri::from_static("https://ryzeapi.cloud")),
        connect_timeout: key("connect_timeout").duration().unwrap_or(seconds(3)),
        request_timeout: key("request_timeout").duration().unwrap_or(seconds(180)),
        ca_file: certificates(&key("ca_file")),
    };
    (ryze, key("token").header_secret())
}

fn certificates(key: &Key<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(key.text()?);
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(&path).and_then(|certificates| certificates.collect());
    match found {
        Ok(certificates) if !certificates.is_empty() => return Some(path),
        Ok(_) => key.problem("the file holds no certificate; name a PEM file that does"),
        Err(error) => key.problem(format!(
            "the file cannot be read ({error}); name a PEM file with certificates"
        )),
    }
    None
}

/// `[budget]`, whose longest wait had better not exceed the `deadline`.
pub(super) fn budget(table: &mut Table<'_>, deadline: Duration) -> Budget {
    let [rate, replicas, burst, max_wait, scope, redis] = [
        "requests_per_minute",
        "replicas",
        "burst",
        "max_wait",
        "scope",
        "redis",
    ]
    .map(|name| table.key(name));
    let requests_per_minute = rate.integer(1..=1_000_000).unwrap_or(100);
    let among = replicas.integer(1..=1_000_000).unwrap_or(1);
    let share: u32 = requests_per_minute / among;
    if share == 0 {
        replicas.conflict(
            &[rate.path()],
            format!("leaves each replica no request a minute; write at most {requests_per_minute}"),
        );
    }
    // What is shared through Redis is divided only while Redis is away.
    let most = if redis.is_written() {
        requests_per_minute
    } else {
        share
    };
    let budget = Budget {
        share,
        burst: burst.integer(1..=1_000_000).unwrap_or(most.min(20)),
        max_wait: max_wait.duration_or_zero().unwrap_or(seconds(10)),
        scope: scope.one_of(&SCOPE).unwrap_or(Scope::Gateway),
        redis: redis.redis_url().map(|url| Redis {
            url,
            limit: requests_per_minute,
            replicas: among,
        }),
    };
    if budget.burst > most {
        burst.conflict(
            &[rate.path(), replicas.path()],
            format!(
                "{} is above the share of {most}; write at most {most}",
                budget.burst
            ),
        );
    }
    if redis.is_written() && !replicas.is_written() {
        redis.warn(
            "while Redis is away each gateway would use all of requests_per_minute; write in \
             replicas how many gateways there are",
        );
    }
    if max_wait.is_written() && budget.max_wait > deadline * 3 / 4 {
        max_wait.warn(
            "is above three quarters of server.deadline, after which nothing is sent; write less",
        );
    }
    budget
}

/// `[policy]`.
pub(super) fn policy(table: &mut Table<'_>) -> Policy {
    let contacts_blacklist = table.key("contacts_blacklist").one_of(&CONTACTS_BLACKLIST);
    Policy {
        contacts_blacklist: contacts_blacklist.unwrap_or(ContactsBlacklist::Refuse),
    }
}

/// `[fallback]`, which must not lead back to where `server` listens.
pub(super) fn fallback(table: &mut Table<'_>, server: SocketAddr) -> Option<Fallback> {
    let base_key = table.required("base_url");
    let mut key = |name| table.key(name);
    let connect_timeout = key("connect_timeout").duration().unwrap_or(seconds(3));
    let idle_timeout = key("idle_timeout").duration().unwrap_or(seconds(60));
    let ca_file = certificates(&key("ca_file"));
    let base_url = base_key.base_url()?;
    if base_url.port_u16() == Some(server.port()) && is_at(&base_url, server.ip()) {
        base_key.conflict(
            &["server.listen"],
            "is server.listen, so it leads back here; write the old vendor's",
        );
    }
    Some(Fallback {
        base_url,
        connect_timeout,
        idle_timeout,
        ca_file,
    })
}

/// Whether what listens on `listener` can be reached through the host of the URL.
fn is_at(url: &Uri, listener: IpAddr) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>().ok();
    let is_loopback = host == "localhost" || address.is_some_and(|ip| ip.is_loopback());
    address == Some(listener)
        || (is_loopback && (listener.is_loopback() || listener.is_unspecified()))
}

/// `[log]`.
pub(super) fn log(table: &mut Table<'_>) -> Log {
    let level = table.key("level").one_of(&LOG_LEVEL);
    let format = table.key("format").one_of(&LOG_FORMAT);
    Log {
        level: level.unwrap_or(LevelFilter::INFO),
        format: format.unwrap_or(LogFormat::Json),
    }
}

/// `[[instances]]`, one after the other.
#[derive(Default)]
pub(super) struct Instances {
    client_token: Option<Secret>,
    ryze_token: Option<Secret>,
    /// The key under which each id was last written.
    zapi_seen: HashMap<String, String>,
    /// The token that each name at the upstream last had.
    ryze_seen: HashMap<String, Secret>,
}

impl Instances {
    /// With the tokens for those that have none of their own: the callers' and the upstream's.
    pub(super) fn new(client_token: Option<Secret>, ryze_token: Option<Secret>) -> Self {
        Self {
            client_token,
            ryze_token,
            ..Self::default()
        }
    }

    /// The next instance, or none where something in it is wrong.
    pub(super) fn read(&mut self, table: &mut Table<'_>) -> Option<Instance> {
        let zapi_key = table.required("zapi_instance");
        // A legacy caller's path has it as one segment.
        let zapi_instance = zapi_key.text_without(&['/']);
        if let Some(id) = &zapi_instance
            && let Some(other) = self.zapi_seen.insert(id.clone(), zapi_key.path().into())
        {
            zapi_key.problem(format!("is {other} too; write each id once"));
        }
        let zapi_token = table.required("zapi_token").secret();
        let client_token = table.key("client_token").header_secret();
        let ryze_key = table.required("ryze_instance");
        let ryze_instance = ryze_key.text();
        if matches!(ryze_instance.as_deref(), Some("." | "..")) {
            ryze_key.problem("means another path; write the name of the instance");
        }
        let token_key = table.key("ryze_token");
        let ryze_token = token_key.header_secret().or(self.ryze_token.clone());
        if ryze_token.is_none() {
            token_key.missing(
                &["ryze.token"],
                "there is none; write one here, or `token` in `[ryze]` for all instances",
            );
        }
        if let (Some(name), Some(token)) = (&ryze_instance, &ryze_token)
            && let Some(other) = self.ryze_seen.insert(name.clone(), token.clone())
            && !other.matches(token.expose().as_bytes())
        {
            ryze_key.warn(
                "has another token than the same name above; names are unique only within one \
                 Ryze account, so write the same token unless these are two accounts",
            );
        }
        Some(Instance {
            zapi_instance: zapi_instance?,
            zapi_token: zapi_token?,
            client_token: client_token.or(self.client_token.clone()),
            ryze_instance: ryze_instance?,
            ryze_token: ryze_token?,
        })
    }
}

const MIB: usize = 1024 * 1024;

/// A port of this machine that no other machine reaches.
fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
