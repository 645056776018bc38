//! Ryze's rate headers, which every answer carries. What follows from them belongs in `budget`.

use std::{
    sync::Once,
    time::{Duration, SystemTime},
};

use http::HeaderMap;

/// No reset is believed to be further away: Ryze's window has 60 s, and what is left of one is
/// rounded up.
const LONGEST_RESET: Duration = Duration::from_secs(61);

/// What Ryze says is left for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests that may still come, by `X-RateLimit-Remaining`.
    pub remaining: u32,
    /// How long that holds, from the answer: at most 61 s.
    pub reset: Duration,
}

/// Reads the headers. The reset is taken by the answer's own `Date`, for the clocks need not agree.
/// Where one of the three is missing or makes no sense nothing is known, which is said in the log
/// once.
pub(super) fn read(headers: &HeaderMap) -> Option<RateLimit> {
    static SAID: Once = Once::new();
    let limit = parse(headers);
    if limit.is_none() {
        SAID.call_once(|| {
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

/// The time to the reset alone, at most 61 s.
pub(super) fn reset(headers: &HeaderMap) -> Option<Duration> {
    let reset = text(headers, "x-ratelimit-reset")?.parse().ok()?;
    let date = httpdate::parse_http_date(text(headers, "date")?).ok()?;
    let date = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let left = Duration::from_secs(reset).saturating_sub(date);
    Some(left.min(LONGEST_RESET))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}
