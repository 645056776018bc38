//! From a [`Config`] back to a file, for people who want to see what is in force.

use std::{fmt::Display, time::Duration};

use redis::parse_redis_url;

use super::{
    Admin, Budget, Config, Drain, Fallback, Instance, Listen, Log, Policy, Redis, Ryze, Server,
    Tls,
    rules::{CONTACTS_BLACKLIST, LOG_FORMAT, SCOPE},
};

const MASKED: &str = "********";

/// The effective configuration as TOML: every key that has a value, with secrets masked.
///
/// Defaults of `[zapi]` and `[ryze]` are shown with each instance that has them, and the budget as
/// the share of this process.
#[must_use]
pub fn print(config: &Config) -> String {
    // Taken apart to the last field, so that a new one cannot be forgotten here.
    let Config {
        server,
        admin,
        ryze,
        budget,
        policy,
        fallback,
        log,
        instances,
    } = config;
    let mut page = Page(String::new());
    page.server(server);
    page.admin(admin);
    page.ryze(ryze);
    page.budget(budget);
    page.policy(policy);
    if let Some(fallback) = fallback {
        page.fallback(fallback);
    }
    page.log(log);
    for instance in instances {
        page.instance(instance);
    }
    page.0
}

struct Page(String);

impl Page {
    fn server(&mut self, server: &Server) {
        let Server {
            listen,
            deadline,
            max_connections,
            max_body,
            header_timeout,
            body_timeout,
            idle_timeout,
            drain: Drain { delay, limit },
            tls,
        } = server;
        self.head("[server]");
        match listen {
            Listen::Tcp(address) => self.quoted("listen", address),
            Listen::Unix { path, mode } => {
                self.quoted("listen", format_args!("unix:{}", path.display()));
                self.quoted("socket_mode", format_args!("{mode:04o}"));
            }
        }
        self.time("deadline", *deadline);
        self.plain("max_connections", max_connections);
        self.plain("max_body", max_body);
        self.time("header_timeout", *header_timeout);
        self.time("body_timeout", *body_timeout);
        self.time("idle_timeout", *idle_timeout);
        self.head("[server.drain]");
        self.time("delay", *delay);
        self.time("limit", *limit);
        if let Some(Tls {
            cert_file,
            key_file,
            server: _,
            not_after: _,
        }) = tls
        {
            self.head("[server.tls]");
            self.quoted("cert_file", cert_file.display());
            self.quoted("key_file", key_file.display());
        }
    }

    fn admin(
        &mut self,
        Admin {
            listen,
            allow_remote,
            is_optional: _,
        }: &Admin,
    ) {
        self.head("[admin]");
        self.quoted("listen", listen);
        self.plain("allow_remote", allow_remote);
    }

    fn ryze(&mut self, ryze: &Ryze) {
        let Ryze {
            base_url,
            connect_timeout,
            request_timeout,
            ca_file,
        } = ryze;
        self.head("[ryze]");
        self.quoted("base_url", base_url.to_string().trim_end_matches('/'));
        self.time("connect_timeout", *connect_timeout);
        self.time("request_timeout", *request_timeout);
        if let Some(file) = ca_file {
            self.quoted("ca_file", file.path.display());
        }
    }

    fn budget(
        &mut self,
        Budget {
            share,
            burst,
            max_wait,
            scope,
            redis,
        }: &Budget,
    ) {
        self.head("[budget]");
        let (limit, replicas) = match redis {
            Some(redis) => (redis.limit, redis.replicas),
            None => (*share, 1),
        };
        self.plain("requests_per_minute", limit);
        self.plain("burst", burst);
        self.time("max_wait", *max_wait);
        self.word("scope", &SCOPE, scope);
        self.plain("replicas", replicas);
        if let Some(Redis { url, .. }) = redis
            && let Some(mut url) = parse_redis_url(url.expose())
        {
            // It fails only without a host, and then there is no password.
            let _ = url.set_password(url.password().map(|_| MASKED));
            self.quoted("redis", url);
        }
    }

    fn policy(&mut self, Policy { contacts_blacklist }: &Policy) {
        self.head("[policy]");
        self.word(
            "contacts_blacklist",
            &CONTACTS_BLACKLIST,
            contacts_blacklist,
        );
    }

    fn fallback(&mut self, fallback: &Fallback) {
        let Fallback {
            base_url,
            connect_timeout,
            idle_timeout,
            ca_file,
        } = fallback;
        self.head("[fallback]");
        self.quoted("base_url", base_url.to_string().trim_end_matches('/'));
        self.time("connect_timeout", *connect_timeout);
        self.time("idle_timeout", *idle_timeout);
        if let Some(file) = ca_file {
            self.quoted("ca_file", file.path.display());
        }
    }

    fn log(&mut self, Log { level, format }: &Log) {
        self.head("[log]");
        self.quoted("level", level);
        self.word("format", &LOG_FORMAT, format);
    }

    fn instance(&mut self, instance: &Instance) {
        let Instance {
            zapi_instance,
            zapi_token: _,
            client_token,
            ryze_instance,
            ryze_token: _,
        } = instance;
        self.head("[[instances]]");
        self.quoted("zapi_instance", zapi_instance);
        self.quoted("zapi_token", MASKED);
        if client_token.is_some() {
            self.quoted("client_token", MASKED);
        }
        self.quoted("ryze_instance", ryze_instance);
        self.quoted("ryze_token", MASKED);
    }

    fn head(&mut self, head: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(head);
        self.0.push('\n');
    }

    fn plain(&mut self, key: &str, value: impl Display) {
        self.0.push_str(&format!("{key} = {value}\n"));
    }

    fn time(&mut self, key: &str, time: Duration) {
        let milliseconds = time.as_millis();
        if milliseconds.is_multiple_of(1_000) {
            self.quoted(key, format_args!("{}s", milliseconds / 1_000));
        } else {
            self.quoted(key, format_args!("{milliseconds}ms"));
        }
    }

    fn word<T: PartialEq>(&mut self, key: &str, words: &[(&str, T)], meant: &T) {
        for (word, _) in words.iter().filter(|(_, value)| value == meant) {
            self.quoted(key, word);
        }
    }

    fn quoted(&mut self, key: &str, value: impl Display) {
        // TOML escapes like JSON wherever a text has no control characters, as here.
        self.plain(key, serde_json::Value::String(value.to_string()));
    }
}
