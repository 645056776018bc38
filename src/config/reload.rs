//! What a running gateway takes over from a file that it reads anew, and which keys wait for a restart.
//! How a reload goes belongs in `lifecycle`.

use std::{net::SocketAddr, path::Path};

use super::{Config, Instance, Listen, Log, Problem, Server};

/// A full key, and whether it differs between two configurations.
pub type Key = (&'static str, fn(&Config, &Config) -> bool);

/// The keys that need a restart. What shows of `requests_per_minute` and `replicas` is the share that
/// they lead to, so they are told together.
pub const NEEDS_RESTART: [Key; 20] = [
    ("server.listen", |a, b| place(a) != place(b)),
    ("server.socket_mode", |a, b| {
        place(a) == place(b) && a.server.listen != b.server.listen
    }),
    ("server.deadline", |a, b| {
        a.server.deadline != b.server.deadline
    }),
    ("server.max_connections", |a, b| {
        a.server.max_connections != b.server.max_connections
    }),
    ("server.header_timeout", |a, b| {
        a.server.header_timeout != b.server.header_timeout
    }),
    ("server.idle_timeout", |a, b| {
        a.server.idle_timeout != b.server.idle_timeout
    }),
    // Only switching it on or off: other certificates are taken over.
    ("server.tls", |a, b| {
        a.server.tls.is_some() != b.server.tls.is_some()
    }),
    ("admin.listen", |a, b| a.admin.listen != b.admin.listen),
    ("admin.allow_remote", |a, b| {
        a.admin.allow_remote != b.admin.allow_remote
    }),
    ("ryze.base_url", |a, b| a.ryze.base_url != b.ryze.base_url),
    ("ryze.connect_timeout", |a, b| {
        a.ryze.connect_timeout != b.ryze.connect_timeout
    }),
    ("ryze.request_timeout", |a, b| {
        a.ryze.request_timeout != b.ryze.request_timeout
    }),
    ("ryze.ca_file", |a, b| {
        let path = |config: &Config| config.ryze.ca_file.as_ref().map(|file| file.path.clone());
        path(a) != path(b)
    }),
    ("budget.requests_per_minute", share_differs),
    ("budget.replicas", share_differs),
    ("budget.burst", |a, b| a.budget.burst != b.budget.burst),
    ("budget.max_wait", |a, b| {
        a.budget.max_wait != b.budget.max_wait
    }),
    ("budget.scope", |a, b| a.budget.scope != b.budget.scope),
    ("budget.redis", |a, b| {
        let url = |config: &Config| config.budget.redis.as_ref().map(|redis| redis.url.clone());
        match (url(a), url(b)) {
            (Some(a), Some(b)) => !a.matches(b.expose().as_bytes()),
            (a, b) => a.is_some() != b.is_some(),
        }
    }),
    ("log.format", |a, b| a.log.format != b.log.format),
];

/// What is listened on, whoever may connect to it.
fn place(config: &Config) -> Result<SocketAddr, &Path> {
    match &config.server.listen {
        Listen::Tcp(address) => Ok(*address),
        Listen::Unix { path, .. } => Err(path),
    }
}

fn share_differs(a: &Config, b: &Config) -> bool {
    let among = |config: &Config| {
        let redis = config.budget.redis.as_ref();
        let shared = redis.map(|redis| (redis.limit, redis.replicas));
        (config.budget.share, shared)
    };
    among(a) != among(b)
}

/// The keys that need a restart and have another meaning in `new` than in `old`.
#[must_use]
pub fn restart_pending(old: &Config, new: &Config) -> Vec<&'static str> {
    let pending = NEEDS_RESTART
        .iter()
        .filter(|(_, differs)| differs(old, new));
    pending.map(|(key, _)| *key).collect()
}

/// What of the instances can be read in two ways, and how it is read: an instance is told by its
/// `ryze_instance`, whatever else of it is another.
#[must_use]
pub fn ambiguities(old: &Config, new: &Config) -> Vec<Problem> {
    let problem = |number: usize, key: &str, message: String| Problem {
        line: None,
        key: format!("instances[{number}].{key}"),
        message,
    };
    let mut found = Vec::new();
    for (number, it) in new.instances.iter().enumerate() {
        let of_id = |before: &&Instance| before.zapi_instance == it.zapi_instance;
        let of_name = |before: &&Instance| before.ryze_instance == it.ryze_instance;
        let is_known = |before: &Instance| {
            of_id(&before) || before.ryze_token.matches(it.ryze_token.expose().as_bytes())
        };
        let mut same_name = old.instances.iter().filter(of_name).peekable();
        if same_name.peek().is_some() && !same_name.any(is_known) {
            found.push(problem(
                number,
                "ryze_token",
                format!(
                    "and zapi_instance are others than before; {:?} is taken for the same instance, \
                     and its waiting calls are sent with the new token",
                    it.ryze_instance
                ),
            ));
        }
        let before = old.instances.iter().find(of_id);
        if let Some(before) = before.filter(|before| before.ryze_instance != it.ryze_instance) {
            found.push(problem(
                number,
                "ryze_instance",
                format!(
                    "is no longer {:?} and is taken for another instance; if it is the same one with \
                     another name, an older update may take effect after a newer one",
                    before.ryze_instance
                ),
            ));
        }
    }
    found
}

/// `new`, but what needs a restart as it is in `old`.
///
/// # Errors
/// What is sound in `new` alone does not go with what stays.
pub fn take_over(old: &Config, new: &Config) -> Result<Config, Problem> {
    let old = old.clone();
    let new = new.clone();
    if let Some(fallback) = &new.fallback
        && fallback.leads_to(&old.server.listen)
    {
        return Err(Problem {
            line: None,
            key: "fallback.base_url".into(),
            message:
                "is the server.listen that is in force until a restart, so it leads back here; \
                      write the old vendor's, or restart"
                    .into(),
        });
    }
    Ok(Config {
        server: Server {
            max_body: new.server.max_body,
            body_timeout: new.server.body_timeout,
            drain: new.server.drain,
            tls: match (old.server.tls, new.server.tls) {
                (Some(_), Some(renewed)) => Some(renewed),
                (old, _) => old,
            },
            ..old.server
        },
        policy: new.policy,
        fallback: new.fallback,
        log: Log {
            level: new.log.level,
            ..old.log
        },
        instances: new.instances,
        ..old
    })
}
