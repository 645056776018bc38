//! Ryze's rate limit, per token, and its headers.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// How the limit counts a minute. Ryze's documentation leaves it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// A window starts with the first request after the previous window.
    Fixed,
    /// The window is the minute before each request.
    Sliding,
}

/// Counts the admitted requests of each token.
pub(super) struct Limit {
    per_minute: u32,
    window: Window,
    admitted: HashMap<String, VecDeque<Instant>>,
}

/// The state of the limit after a request.
#[derive(Clone, Copy)]
pub(super) struct Quota {
    pub(super) admitted: bool,
    limit: u32,
    remaining: usize,
    /// The end of a fixed window; when the oldest request leaves a sliding one.
    reset: Instant,
}

impl Limit {
    pub(super) fn new(per_minute: u32, window: Window) -> Self {
        Self {
            per_minute,
            window,
            admitted: HashMap::new(),
        }
    }

    /// Counts a request of a known token.
    pub(super) fn take(&mut self, token: &str, now: Instant) -> Quota {
        let admitted = self.admitted.entry(token.to_owned()).or_default();
        while admitted.front().is_some_and(|&first| first + MINUTE <= now) {
            match self.window {
                Window::Fixed => admitted.clear(),
                Window::Sliding => drop(admitted.pop_front()),
            }
        }
        let limit = self.per_minute as usize;
        let admit = admitted.len() < limit;
        if admit {
            admitted.push_back(now);
        }
        Quota {
            admitted: admit,
            limit: self.per_minute,
            remaining: limit - admitted.len(),
            reset: *admitted.front().unwrap_or(&now) + MINUTE,
        }
    }

    /// Removes the counts of all other tokens.
    pub(super) fn retain(&mut self, known: impl Fn(&str) -> bool) {
        self.admitted.retain(|token, _| known(token));
    }
}

impl Quota {
    /// Writes the headers of a response. `unix` converts an instant to Unix time.
    pub(super) fn write(&self, headers: &mut HeaderMap, unix: impl Fn(Instant) -> Duration) {
        let reset = unix(self.reset);
        let reset = reset.as_secs() + u64::from(reset.subsec_nanos() > 0);
        for (name, value) in [
            ("x-ratelimit-limit", u64::from(self.limit)),
            ("x-ratelimit-remaining", self.remaining as u64),
            ("x-ratelimit-reset", reset),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
    }
}
