//! Readers of addresses and URLs.

use std::net::SocketAddr;

use http::Uri;
use percent_encoding::percent_decode_str;
use redis::{IntoConnectionInfo as _, parse_redis_url};
use rustls::pki_types::ServerName;
use toml::de::DeValue;

use super::{
    files::{MASK, SecretText, doubt},
    form, quoted,
};
use crate::config::{
    Listen, Secret,
    key::{Context, Format, Invalid},
};

/// Bytes of the path of a Unix socket: `sun_path` has 108 with the terminating zero (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// An address to listen on.
pub(in crate::config) struct Address;

impl Format for Address {
    type Value = SocketAddr;

    fn must_be(&self) -> String {
        "an IP address and a port; write \"127.0.0.1:8420\" or \"[::1]:8420\"".to_owned()
    }

    fn read(&self, value: &DeValue<'_>, _: &mut Context<'_>) -> Result<SocketAddr, Invalid> {
        form(value.as_str().and_then(|written| written.parse().ok()))
    }

    fn show(&self, value: &SocketAddr) -> Option<String> {
        quoted(value)
    }
}

/// An address to listen on, or a Unix socket, whose mode is another key.
pub(in crate::config) struct ListenAddress;

impl Format for ListenAddress {
    type Value = Listen;

    fn must_be(&self) -> String {
        "an IP address and a port, or the path of a Unix socket; \
         write \"127.0.0.1:8420\", \"[::1]:8420\" or \"unix:/run/gateway.sock\""
            .to_owned()
    }

    fn read(&self, value: &DeValue<'_>, _: &mut Context<'_>) -> Result<Listen, Invalid> {
        let written = form(value.as_str())?;
        let Some(path) = written.strip_prefix("unix:") else {
            return form(written.parse().ok().map(Listen::Tcp));
        };
        let is_valid = path.starts_with('/')
            && !path.ends_with('/')
            && path.len() <= MAX_SOCKET_PATH
            && !path.contains(char::is_control);
        form(is_valid.then(|| Listen::Unix {
            path: path.into(),
            mode: 0,
        }))
    }

    fn show(&self, value: &Listen) -> Option<String> {
        match value {
            Listen::Tcp(address) => quoted(address),
            Listen::Unix { path, .. } => quoted(format_args!("unix:{}", path.display())),
        }
    }
}

/// The permission bits of a Unix socket.
pub(in crate::config) struct SocketMode;

impl Format for SocketMode {
    type Value = u32;

    fn must_be(&self) -> String {
        "the permission bits of a file as octal text; write \"0660\"".to_owned()
    }

    fn read(&self, value: &DeValue<'_>, _: &mut Context<'_>) -> Result<u32, Invalid> {
        let written = form(value.as_str())?;
        let is_octal = written.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let mode = u32::from_str_radix(written, 8).ok();
        form(mode.filter(|mode| is_octal && *mode <= 0o777))
    }

    fn show(&self, value: &u32) -> Option<String> {
        quoted(format_args!("{value:04o}"))
    }
}

/// The URL of an HTTP service; a trailing slash of its path is removed.
pub(in crate::config) struct BaseUrl;

impl Format for BaseUrl {
    type Value = Uri;

    fn must_be(&self) -> String {
        "a URL of http or https with a host and no user, query or fragment; \
         write \"https://host\", \"https://host:port\" or \"https://host/path\""
            .to_owned()
    }

    fn read(&self, value: &DeValue<'_>, _: &mut Context<'_>) -> Result<Uri, Invalid> {
        form(value.as_str().and_then(base_url))
    }

    fn show(&self, value: &Uri) -> Option<String> {
        quoted(value.to_string().trim_end_matches('/'))
    }
}

fn base_url(written: &str) -> Option<Uri> {
    // `Uri` drops a fragment without an error.
    if written.contains('#') {
        return None;
    }
    let url: Uri = written.trim_end_matches('/').parse().ok()?;
    let authority = url.authority()?;
    // `Uri` leaves an invalid port in the authority.
    let has_port = authority.as_str().len() > authority.host().len();
    let is_valid = matches!(url.scheme_str(), Some("http" | "https"))
        && !authority.host().is_empty()
        && !authority.as_str().contains('@')
        && (!has_port || authority.port().is_some())
        && url.query().is_none()
        && ServerName::try_from(authority.host().trim_matches(['[', ']'])).is_ok();
    is_valid.then_some(url)
}

/// The URL of a Redis server, a secret because it may hold a password.
pub(in crate::config) struct RedisUrl;

impl Format for RedisUrl {
    type Value = Secret;

    fn must_be(&self) -> String {
        SecretText::URL.must_be()
    }

    fn read(&self, value: &DeValue<'_>, context: &mut Context<'_>) -> Result<Secret, Invalid> {
        let had_literal = context.has_literal;
        let url = SecretText::URL.read(value, context)?;
        let parsed = parse_redis_url(url.expose()).filter(|_| is_redis_url(url.expose()));
        let Some(parsed) = parsed else {
            return Err(Invalid::Because(
                "must be a URL of redis or rediss with a host, and no query or fragment; write \
                 \"redis://host:6379/0\" or \"rediss://:password@host\", in a password `%40` for `@`"
                    .to_owned(),
            ));
        };
        if parsed.password().is_none() {
            context.has_literal = had_literal;
        }
        for part in [parsed.username(), parsed.password().unwrap_or_default()] {
            let part = percent_decode_str(part).decode_utf8_lossy();
            doubt(&part, context);
        }
        Ok(url)
    }

    fn show(&self, value: &Secret) -> Option<String> {
        let mut url = parse_redis_url(value.expose())?;
        // It fails only for a URL without a host, which has no password.
        let _ = url.set_password(url.password().map(|_| MASK));
        quoted(url)
    }

    fn is_same(&self, one: &Secret, other: &Secret) -> bool {
        one.matches(other.expose().as_bytes())
    }
}

fn is_redis_url(written: &str) -> bool {
    let Some(url) = parse_redis_url(written) else {
        return false;
    };
    let is_plain = matches!(url.scheme(), "redis" | "rediss")
        && url.query().is_none()
        && url.fragment().is_none()
        && url
            .host_str()
            .is_some_and(|host| ServerName::try_from(host.trim_matches(['[', ']'])).is_ok());
    let mut address = url;
    // The client library parses `rediss` only if it is built with TLS; all else is the same.
    is_plain && address.set_scheme("redis").is_ok() && address.into_connection_info().is_ok()
}
