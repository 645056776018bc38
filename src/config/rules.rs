//! The tables one by one: every key with its default, and the rules between keys. Those of the
//! listeners are in `listeners.rs` and `tls.rs`, those of an instance in `instances.rs`.
//!
//! How a table is read and a value is written belongs in `table.rs` and `readers.rs`.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use http::{Uri, uri::Scheme};
use tracing::level_filters::LevelFilter;

use super::{
    Budget, CaFile, ContactsBlacklist, Fallback, Listen, Log, LogFormat, Policy, Redis, Ryze,
    Scope, Secret, source,
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

fn certificates(key: &Key<'_>) -> Option<CaFile> {
    let path = PathBuf::from(key.text()?);
    match source::certificates(&path) {
        Ok(certificates) if !certificates.is_empty() => {
            return Some(CaFile { path, certificates });
        }
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
pub(super) fn fallback(table: &mut Table<'_>, server: &Listen) -> Option<Fallback> {
    let base_key = table.required("base_url");
    let mut key = |name| table.key(name);
    let connect_timeout = key("connect_timeout").duration().unwrap_or(seconds(3));
    let idle_timeout = key("idle_timeout").duration().unwrap_or(seconds(60));
    let ca_file = certificates(&key("ca_file"));
    let fallback = Fallback {
        base_url: base_key.base_url()?,
        connect_timeout,
        idle_timeout,
        ca_file,
    };
    if fallback.leads_to(server) {
        base_key.conflict(
            &["server.listen"],
            "is server.listen, so it leads back here; write the old vendor's",
        );
    }
    Some(fallback)
}

impl Fallback {
    /// Whether it is found where `listen` is, as far as the words tell.
    pub(super) fn leads_to(&self, listen: &Listen) -> bool {
        let url = &self.base_url;
        matches!(listen, Listen::Tcp(at) if port(url) == at.port() && is_at(url, at.ip()))
    }
}

fn port(url: &Uri) -> u16 {
    let default = if url.scheme() == Some(&Scheme::HTTPS) {
        443
    } else {
        80
    };
    url.port_u16().unwrap_or(default)
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

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
