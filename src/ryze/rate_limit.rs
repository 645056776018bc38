//! Ryze's rate limit headers, which every response carries. `budget` applies them.

use std::{
    sync::Once,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue, header};

const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

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

/// In one pass over the headers: 400 instructions less than three look-ups.
fn parse(headers: &HeaderMap) -> Option<RateLimit> {
    let [mut remaining, mut reset, mut date] = [None; 3];
    for (name, value) in headers {
        let found = match name {
            name if *name == X_RATELIMIT_REMAINING => &mut remaining,
            name if *name == X_RATELIMIT_RESET => &mut reset,
            name if *name == header::DATE => &mut date,
            _ => continue,
        };
        found.get_or_insert(value);
    }
    Some(RateLimit {
        remaining: text(remaining?)?.parse().ok()?,
        reset: until(reset?, date?)?,
    })
}

/// The pause after Ryze's 429, from 1 s to 61 s: the longer of the time to the reset and its
/// `Retry-After`.
pub(super) fn pause(headers: &HeaderMap) -> Duration {
    let pause = reset(headers).max(retry_after(headers)).unwrap_or(WINDOW);
    pause.clamp(MIN_PAUSE, MAX_RESET)
}

fn reset(headers: &HeaderMap) -> Option<Duration> {
    until(headers.get(X_RATELIMIT_RESET)?, headers.get(header::DATE)?)
}

/// The time to the reset, at most 61 s. A reset in the past is ignored: a proxy may have replaced the
/// `Date` of the server that computed the reset.
fn until(reset: &HeaderValue, now: &HeaderValue) -> Option<Duration> {
    let reset = Duration::from_secs(text(reset)?.parse().ok()?);
    Some(reset.checked_sub(date(now)?)?.min(MAX_RESET))
}

/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date relative to the response's own `Date`. Zero and
/// dates in the past are ignored.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let sent = headers.get(header::RETRY_AFTER)?;
    let pause = match text(sent)?.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => date(sent)?.checked_sub(date(headers.get(header::DATE)?)?)?,
    };
    (!pause.is_zero()).then_some(pause)
}

/// An HTTP date as Unix time.
fn date(value: &HeaderValue) -> Option<Duration> {
    let date = httpdate::parse_http_date(text(value)?).ok()?;
    date.duration_since(SystemTime::UNIX_EPOCH).ok()
}

fn text(value: &HeaderValue) -> Option<&str> {
    Some(value.to_str().ok()?.trim_ascii())
}

#[cfg(test)]
mod tests {
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
