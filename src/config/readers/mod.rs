//! Readers: the formats in which values are written.
//!
//! Each reader says what it accepts, reads it, and shows it again as TOML. Addresses and URLs are in
//! `net.rs`; secrets and what is read from other files in `files.rs`, and what a request can carry of a
//! secret or an id in `carried.rs`.

mod carried;
mod files;
mod net;

use std::{fmt::Display, ops::RangeInclusive, sync::Arc, time::Duration};

use toml::de::DeValue;

use self::carried::Carrier;
pub(super) use self::{
    carried::suspicion,
    files::{Certificates, FilePath, Patterns, SecretText},
    net::{Address, BaseUrl, ListenAddress, RedisUrl, SocketMode},
};
use super::key::{Context, Format, Invalid};

/// The longest time, so that sums of times cannot overflow.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A TOML string. The text has no control characters, for which TOML escapes differ from JSON's.
pub(super) fn quoted(text: impl Display) -> Option<String> {
    Some(serde_json::Value::String(text.to_string()).to_string())
}

fn form<T>(value: Option<T>) -> Result<T, Invalid> {
    value.ok_or(Invalid::Form)
}

/// A value that may be absent.
pub(super) struct Maybe<F>(pub(super) F);

impl<F: Format> Format for Maybe<F> {
    type Value = Option<F::Value>;

    fn must_be(&self) -> String {
        self.0.must_be()
    }

    fn read(&self, value: &DeValue<'_>, context: &mut Context<'_>) -> Result<Self::Value, Invalid> {
        self.0.read(value, context).map(Some)
    }

    fn show(&self, value: &Self::Value) -> Option<String> {
        self.0.show(value.as_ref()?)
    }

    fn is_same(&self, one: &Self::Value, other: &Self::Value) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => self.0.is_same(one, other),
            (one, other) => one.is_some() == other.is_some(),
        }
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Format for Flag {
    type Value = bool;

    fn must_be(&self) -> String {
        "true or false; write it without quotes".to_owned()
    }

    fn read(&self, value: &DeValue<'_>, _: &mut Context<'_>) -> Result<bool, Invalid> {
        form(value.as_bool())
    }

    fn show(&self, value: &bool) -> Option<String> {
        Some(value.to_string())
    }
}

/// A whole number in a range.
pub(super) struct Count<T>(pub(super) RangeInclusive<T>);

impl<T: TryFrom<i64> + PartialOrd + Display + Copy + Sync> Format for Count<T> {
    type Value = T;

    fn must_be(&self) -> String {
        let (least, most) = (self.0.start(), self.0.end());
        format!("a whole number from {least} to {most}, without quotes")
    }

    fn read(&self, value: &DeValue<'_>, _: &mut Context<'_>) -> Result<T, Invalid> {
        let written = form(value.as_integer())?;
        let number = i64::from_str_radix(written.as_str(), written.radix()).ok();
        let number = number.and_then(|number| T::try_from(number).ok());
        form(number.filter(|number| self.0.contains(number)))
    }

    fn show(&self, value: &T) -> Option<String> {
        Some(value.to_string())
    }
}

/// A time with its unit.
pub(super) struct Time {
    least: Duration,
}

impl Time {
    pub(super) const ABOVE_ZERO: Self = Self {
        least: Duration::from_millis(1),
    };
    pub(super) const ANY: Self = Self {
        least: Duration::ZERO,
    };
}

impl Format for Time {
    type Value = Duration;

    fn must_be(&self) -> String {
        let least = if self.least.is_zero() { "0s" } else { "1ms" };
        format!("a time from {least} to 24h with one unit (ms, s, m or h) in quotes; write \"10s\"")
    }

    fn read(&self, value: &DeValue<'_>, _: &mut Context<'_>) -> Result<Duration, Invalid> {
        let time = value.as_str().and_then(duration);
        form(time.filter(|time| (self.least..=DAY).contains(time)))
    }

    fn show(&self, value: &Duration) -> Option<String> {
        let milliseconds = value.as_millis();
        if milliseconds.is_multiple_of(1_000) {
            quoted(format_args!("{}s", milliseconds / 1_000))
        } else {
            quoted(format_args!("{milliseconds}ms"))
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
    Some(Duration::from_millis(amount))
}

/// One of some words, each of which stands for a value.
pub(super) struct Words<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq + Sync> Format for Words<T> {
    type Value = T;

    fn must_be(&self) -> String {
        let words = self.0.iter().map(|(word, _)| format!("\"{word}\""));
        words.collect::<Vec<_>>().join(" or ")
    }

    fn read(&self, value: &DeValue<'_>, _: &mut Context<'_>) -> Result<T, Invalid> {
        let written = form(value.as_str())?;
        let mut words = self.0.iter();
        let value = words.find_map(|(word, value)| (*word == written).then_some(*value));
        form(value)
    }

    fn show(&self, value: &T) -> Option<String> {
        let (word, _) = self.0.iter().find(|(_, meant)| meant == value)?;
        quoted(word)
    }
}

/// Text that is not empty and has no control character and none of these characters.
pub(super) struct Text(pub(super) &'static [char]);

impl Format for Text {
    type Value = String;

    fn must_be(&self) -> String {
        let but: String = self.0.iter().map(|char| format!(" or `{char}`")).collect();
        format!("text; write at least one character, but no control character{but}")
    }

    fn read(&self, value: &DeValue<'_>, _: &mut Context<'_>) -> Result<String, Invalid> {
        let written = form(value.as_str().filter(|written| !written.is_empty()))?;
        let is_refused = |char: char| char.is_control() || self.0.contains(&char);
        form((!written.contains(is_refused)).then(|| written.to_owned()))
    }

    fn show(&self, value: &String) -> Option<String> {
        quoted(value)
    }
}

/// An id: a segment of a path, with none of these characters.
pub(super) struct Id(pub(super) &'static [char]);

impl Format for Id {
    type Value = Arc<str>;

    fn must_be(&self) -> String {
        Text(self.0).must_be()
    }

    fn read(&self, value: &DeValue<'_>, context: &mut Context<'_>) -> Result<Arc<str>, Invalid> {
        let id = form(value.as_str())?;
        if let Some(defect) = carried::defect(id, Carrier::Segment) {
            let message = format!(
                "write the id alone: the id {defect}; must be {}",
                self.must_be()
            );
            return Err(Invalid::Because(message));
        }
        if let Some(kind) = carried::suspicion(id) {
            let message = format!("write the id itself: this looks like {kind}");
            context.warnings.push(message);
        }
        if id.contains(self.0) {
            let message = "write the id alone: this looks like a URL or a part of one";
            return Err(Invalid::Because(message.to_owned()));
        }
        form((!id.is_empty()).then(|| id.into()))
    }

    fn show(&self, value: &Arc<str>) -> Option<String> {
        quoted(value)
    }
}
