//! How single values are written. Each reader gives nothing where the key is not written, or where
//! its value is wrong, which it reports without repeating the value, for that may be a secret.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, path::Path, time::Duration};

use http::Uri;
use redis::{IntoConnectionInfo as _, parse_redis_url};
use rustls::pki_types::ServerName;
use toml::de::DeValue;
use zeroize::Zeroizing;

use super::{Listen, Secret, source, table::Key};

/// No time that can be written is longer, so that sums of them cannot overflow.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of the path of a Unix socket, for which the system has 108 with the one that ends it.
const LONGEST_SOCKET_PATH: usize = 107;

impl Key<'_> {
    /// The value as `read` understands it; `must_be` says what it has to be and what to write.
    fn read<'v, T>(
        &'v self,
        must_be: &str,
        read: impl FnOnce(&'v DeValue<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = read(self.value.as_ref()?);
        if value.is_none() {
            self.problem(format!("must be {must_be}"));
        }
        value
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        self.read("true or false; write it without quotes", |value| {
            value.as_bool()
        })
    }

    /// A whole number in `range`.
    pub(super) fn integer<T>(&self, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let (least, most) = (range.start(), range.end());
        let must_be = format!("a whole number from {least} to {most}; write it without quotes");
        self.read(&must_be, |value| {
            let written = value.as_integer()?;
            let number = i64::from_str_radix(written.as_str(), written.radix()).ok()?;
            T::try_from(number)
                .ok()
                .filter(|number| range.contains(number))
        })
    }

    /// A time above zero.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.read(
            "a time from 1ms to 24h with its unit in quotes; write \"10s\"",
            |value| duration(value.as_str()?).filter(|time| !time.is_zero()),
        )
    }

    /// A time that may be zero.
    pub(super) fn duration_or_zero(&self) -> Option<Duration> {
        self.read(
            "a time from 0s to 24h with its unit in quotes; write \"10s\"",
            |value| duration(value.as_str()?),
        )
    }

    /// One of some words, each of which stands for a value.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let quoted = words.iter().map(|(word, _)| format!("\"{word}\""));
        self.read(&quoted.collect::<Vec<_>>().join(" or "), |value| {
            let written = value.as_str()?;
            let (_, meant) = words.iter().find(|(word, _)| *word == written)?;
            Some(*meant)
        })
    }

    /// Text that is not empty.
    pub(super) fn text(&self) -> Option<String> {
        self.text_without(&[])
    }

    /// Text that is not empty and has none of some characters.
    pub(super) fn text_without(&self, refused: &[char]) -> Option<String> {
        let but: String = refused
            .iter()
            .map(|refused| format!(" or `{refused}`"))
            .collect();
        let must_be = format!("text; write at least one character, but no control character{but}");
        self.read(&must_be, |value| {
            let written = value.as_str().filter(|written| !written.is_empty())?;
            let is_refused = |char: char| char.is_control() || refused.contains(&char);
            (!written.contains(is_refused)).then(|| written.to_owned())
        })
    }

    /// Where to listen: an address, or a Unix socket with these permission bits.
    pub(super) fn listen(&self, mode: u32) -> Option<Listen> {
        self.read(
            "an IP address and a port, or the path of a Unix socket; \
             write \"127.0.0.1:8420\", \"[::1]:8420\" or \"unix:/run/gateway.sock\"",
            |value| {
                let written = value.as_str()?;
                let Some(path) = written.strip_prefix("unix:") else {
                    return written.parse().ok().map(Listen::Tcp);
                };
                let is_sound = path.starts_with('/')
                    && !path.ends_with('/')
                    && path.len() <= LONGEST_SOCKET_PATH
                    && !path.contains(char::is_control);
                is_sound.then(|| Listen::Unix {
                    path: path.into(),
                    mode,
                })
            },
        )
    }

    /// The permission bits of a file.
    pub(super) fn mode(&self) -> Option<u32> {
        self.read(
            "the permission bits of a file as octal text; write \"0660\"",
            |value| {
                let written = value.as_str()?;
                let is_octal = written.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
                let mode = u32::from_str_radix(written, 8).ok()?;
                (is_octal && mode <= 0o777).then_some(mode)
            },
        )
    }

    /// An address to listen on.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.read(
            "an IP address and a port; write \"127.0.0.1:8420\" or \"[::1]:8420\"",
            |value| value.as_str()?.parse().ok(),
        )
    }

    /// The URL under which an HTTP service is found, without a trailing slash in its path.
    pub(super) fn base_url(&self) -> Option<Uri> {
        self.read(
            "a URL of http or https with a host and no user, query or fragment; \
             write \"https://host\", \"https://host:port\" or \"https://host/path\"",
            |value| base_url(value.as_str()?),
        )
    }

    /// A secret, which is not empty: a literal, or what an environment variable or a file holds.
    pub(super) fn secret(&self) -> Option<Secret> {
        let must_be = "a secret; write \"literal\", { env = \"NAME\" } or { file = \"/path\" }";
        let source = self.read(must_be, Source::of)?;
        match source.fetch(self.file.environment) {
            Ok(found) if !found.is_empty() => return Some(Secret::new(&found)),
            Ok(_) => self.problem("the secret is empty; give it a value"),
            Err(message) => self.problem(message),
        }
        None
    }

    /// The URL of a Redis server, a secret because it may hold a password.
    pub(super) fn redis_url(&self) -> Option<Secret> {
        let url = self.secret()?;
        let is_sound = is_redis_url(url.expose());
        if !is_sound {
            self.problem(
                "must be a URL of redis or rediss with a host, and no query or fragment; write \
                 \"redis://host:6379/0\" or \"rediss://:password@host\", in a password `%40` for `@`",
            );
        }
        is_sound.then_some(url)
    }

    /// A secret that can be sent as a header's value.
    pub(super) fn header_secret(&self) -> Option<Secret> {
        let secret = self.secret()?;
        let is_sendable = secret.expose().bytes().all(|byte| byte.is_ascii_graphic());
        if !is_sendable {
            self.problem(
                "the secret cannot be sent in a header; it must be visible ASCII without spaces",
            );
        }
        is_sendable.then_some(secret)
    }
}

/// Where a secret is.
enum Source<'v> {
    Literal(&'v str),
    Environment(&'v str),
    File(&'v str),
}

impl<'v> Source<'v> {
    fn of(value: &'v DeValue<'_>) -> Option<Self> {
        let table = match value {
            DeValue::String(literal) => return Some(Self::Literal(literal)),
            DeValue::Table(table) if table.len() == 1 => table,
            _ => return None,
        };
        // With a quote that is not closed a name runs on into what follows, which may be a secret.
        let is_name = |name: &&str| !name.contains(|char: char| char == '"' || char.is_control());
        let name = |key| table.get(key)?.get_ref().as_str().filter(is_name);
        name("env")
            .map(Self::Environment)
            .or_else(|| name("file").map(Self::File))
    }

    fn fetch(
        self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Zeroizing<String>, String> {
        match self {
            Self::Literal(literal) => Ok(Zeroizing::new(literal.to_owned())),
            Self::Environment(name) => environment(name)
                .map(Zeroizing::new)
                .ok_or_else(|| format!("the environment variable {name:?} is not set; set it")),
            Self::File(path) => match source::secret(Path::new(path)) {
                Ok(mut text) => {
                    let line_end = ["\r\n", "\n"].into_iter().find(|end| text.ends_with(end));
                    let length = text.len() - line_end.map_or(0, str::len);
                    text.truncate(length);
                    Ok(text)
                }
                Err(error) => Err(format!(
                    "the file {path:?} cannot be read ({error}); name one that can"
                )),
            },
        }
    }
}

fn duration(written: &str) -> Option<Duration> {
    let (digits, unit) = written.split_at(written.find(|char: char| !char.is_ascii_digit())?);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let amount = digits.parse::<u64>().ok()?.checked_mul(milliseconds)?;
    Some(Duration::from_millis(amount)).filter(|time| *time <= DAY)
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
    // Whether TLS is spoken does not matter to how the rest is written.
    is_plain && address.set_scheme("redis").is_ok() && address.into_connection_info().is_ok()
}

fn base_url(written: &str) -> Option<Uri> {
    // `Uri` would drop a fragment in silence.
    if written.contains('#') {
        return None;
    }
    let url: Uri = written.trim_end_matches('/').parse().ok()?;
    let authority = url.authority()?;
    // What is not a port is left in the authority.
    let has_port = authority.as_str().len() > authority.host().len();
    let is_sound = matches!(url.scheme_str(), Some("http" | "https"))
        && !authority.host().is_empty()
        && !authority.as_str().contains('@')
        && (!has_port || authority.port().is_some())
        && url.query().is_none()
        && ServerName::try_from(authority.host().trim_matches(['[', ']'])).is_ok();
    is_sound.then_some(url)
}
