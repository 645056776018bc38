//! Ryze's rate limit headers, which every response carries. `budget` applies them.

use std::{
    sync::Once,
    time::{Duration, SystemTime},
};

use http::HeaderMap;

/// The length of Ryze's window, and the pause after a 429 without a time.
const WINDOW: Duration = Duration::from_secs(60);
/// Upper bound on a reset: a window, rounded up.
const MAX_RESET: Duration = Duration::from_secs(61);
/// Lower bound on the pause after a 429.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The rate limit that Ryze reports for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// `X-RateLimit-Remaining`: requests that Ryze still accepts until the reset.
    pub remaining: u32,
    /// Time from the response to the reset, at most 61 s.
    pub reset: Duration,
}

/// Reads the headers. The reset is relative to the response's own `Date`, because the clocks may differ.
/// Returns `None` if one of the three is missing or invalid, and logs that once per process.
pub(super) fn read(headers: &HeaderMap) -> Option<RateLimit> {
    static WARNED: Once = Once::new();
    let limit = parse(headers);
    if limit.is_none() {
        WARNED.call_once(|| {
            tracing::warn!("Ryze's rate headers are missing or make no sense; they are not heeded");
        });
    }
    limit
}

fn parse(headers: &HeaderMap) -> Option<RateLimit> {
    Some(RateLimit {
        remaining: text(headers, "x-ratelimit-remaining")?.parse().ok()?,
        reset: reset(headers)?,
    })
}

/// The pause after Ryze's 429, from 1 s to 61 s: the longer of the time to the reset and its
/// `Retry-After`.
pub(super) fn pause(headers: &HeaderMap) -> Duration {
    let pause = reset(headers).max(retry_after(headers)).unwrap_or(WINDOW);
    pause.clamp(MIN_PAUSE, MAX_RESET)
}

/// The time to the reset, at most 61 s. A reset in the past is ignored: a proxy may have replaced the
/// `Date` of the server that computed the reset.
fn reset(headers: &HeaderMap) -> Option<Duration> {
    let reset = text(headers, "x-ratelimit-reset")?.parse().ok()?;
    let remaining = Duration::from_secs(reset).checked_sub(date(headers, "date")?)?;
    Some(remaining.min(MAX_RESET))
}

/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date relative to the response's own `Date`. Zero and
/// dates in the past are ignored.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = text(headers, "retry-after")?.parse();
    let pause = match seconds {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => date(headers, "retry-after")?.checked_sub(date(headers, "date")?)?,
    };
    (!pause.is_zero()).then_some(pause)
}

/// An HTTP date as Unix time.
fn date(headers: &HeaderMap, name: &str) -> Option<Duration> {
    let date = httpdate::parse_http_date(text(headers, name)?).ok()?;
    date.duration_since(SystemTime::UNIX_EPOCH).ok()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}
