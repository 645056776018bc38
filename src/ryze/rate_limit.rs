//! Ryze's rate headers, which every answer carries. What follows from them belongs in `budget`.

use std::{
    sync::Once,
    time::{Duration, SystemTime},
};

use http::HeaderMap;

/// The length of Ryze's window, and the pause after a 429 that names no time.
const WINDOW: Duration = Duration::from_secs(60);
/// No reset is believed to be further away: what is left of a window is rounded up.
const LONGEST_RESET: Duration = Duration::from_secs(61);
/// Where the counter is about to be reset.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

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

/// How long Ryze wants to be left alone after its 429, from 1 s to 61 s: until the reset, or for its
/// `Retry-After` where that is longer.
pub(super) fn pause(headers: &HeaderMap) -> Duration {
    let pause = reset(headers).max(retry_after(headers)).unwrap_or(WINDOW);
    pause.clamp(SHORTEST_PAUSE, LONGEST_RESET)
}

/// The time to the reset alone, at most 61 s. A reset in the past says nothing: a proxy may have
/// written a `Date` of its own over that of the server whose clock the reset goes by.
fn reset(headers: &HeaderMap) -> Option<Duration> {
    let reset = text(headers, "x-ratelimit-reset")?.parse().ok()?;
    let left = Duration::from_secs(reset).checked_sub(date(headers, "date")?)?;
    Some(left.min(LONGEST_RESET))
}

/// `Retry-After` (RFC 9110, 10.2.3) in seconds, or as a time by the answer's own `Date`. Neither zero
/// nor a time in the past says how long to wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = text(headers, "retry-after")?.parse();
    let pause = match seconds {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => date(headers, "retry-after")?.checked_sub(date(headers, "date")?)?,
    };
    (!pause.is_zero()).then_some(pause)
}

/// A header's HTTP date, as Unix time.
fn date(headers: &HeaderMap, name: &str) -> Option<Duration> {
    let date = httpdate::parse_http_date(text(headers, name)?).ok()?;
    date.duration_since(SystemTime::UNIX_EPOCH).ok()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// Headers of an answer of 20:00:00 with this reset, in seconds from then.
    fn headers(reset: u64) -> HeaderMap {
        let reset = (1_795_291_200 + reset).to_string();
        let pairs = [
            ("date", "Sat, 21 Nov 2026 20:00:00 GMT"),
            ("x-ratelimit-remaining", "3"),
            ("x-ratelimit-reset", &*reset),
        ];
        let pairs = pairs.map(|(name, value)| {
            let value = HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""));
            (HeaderName::from_static(name), value)
        });
        HeaderMap::from_iter(pairs)
    }

    #[test]
    fn no_wait_is_longer_than_a_window_or_a_pause_shorter_than_a_second() {
        for (sent, reset, pause) in [
            (0, 0, 1),
            (1, 1, 1),
            (61, 61, 61),
            (62, 61, 61),
            (9999, 61, 61),
        ] {
            let headers = headers(sent);
            let limit = parse(&headers).map(|limit| limit.reset.as_secs());
            assert_eq!(limit, Some(reset), "{sent}");
            assert_eq!(super::pause(&headers).as_secs(), pause, "{sent}");
        }
    }
}
