//! HTTP dates (RFC 9110, 5.6.7).
//!
//! An IMF-fixdate, which is what servers send, is read here in 260 instructions. httpdate takes 710,
//! because it formats a date again to validate it; it reads the obsolete formats.

use std::time::{Duration, SystemTime};

/// Of the days since 1970-01-01.
const WEEKDAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];

/// A date as Unix time.
pub(super) fn read(value: &[u8]) -> Option<Duration> {
    if let Some(seconds) = imf_fixdate(value) {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(str::from_utf8(value).ok()?).ok()?;
    date.duration_since(SystemTime::UNIX_EPOCH).ok()
}

/// Such as `Sun, 06 Nov 1994 08:49:37 GMT`. `None` for any other text, and on a leap day.
fn imf_fixdate(text: &[u8]) -> Option<u64> {
    let &[
        w1,
        w2,
        w3,
        b',',
        b' ',
        d1,
        d2,
        b' ',
        n1,
        n2,
        n3,
        b' ',
        y1,
        y2,
        y3,
        y4,
        b' ',
        ref time @ ..,
    ] = text
    else {
        return None;
    };
    let &[h1, h2, b':', m1, m2, b':', s1, s2, b' ', b'G', b'M', b'T'] = time else {
        return None;
    };
    // A match, because the compiler makes a decision tree of it.
    let (days_before, length) = match &[n1, n2, n3] {
        b"Jan" => (0, 31),
        b"Feb" => (31, 28),
        b"Mar" => (59, 31),
        b"Apr" => (90, 30),
        b"May" => (120, 31),
        b"Jun" => (151, 30),
        b"Jul" => (181, 31),
        b"Aug" => (212, 31),
        b"Sep" => (243, 30),
        b"Oct" => (273, 31),
        b"Nov" => (304, 30),
        b"Dec" => (334, 31),
        _ => return None,
    };
    let year = number(y1, y2)? * 100 + number(y3, y4)?;
    let day = number(d1, d2)?;
    let (hour, minute, second) = (number(h1, h2)?, number(m1, m2)?, number(s1, s2)?);
    if year < 1970 || day < 1 || day > length || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leap_days_until = |year: u64| year / 4 - year / 100 + year / 400;
    let last_february = if days_before > 31 { year } else { year - 1 };
    let leap_days = leap_days_until(last_february) - leap_days_until(1969);
    let days = (year - 1970) * 365 + leap_days + days_before + day - 1;
    let weekday = WEEKDAYS[(days % 7) as usize];
    (*weekday == [w1, w2, w3]).then_some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

fn number(tens: u8, ones: u8) -> Option<u64> {
    let digit = |byte: u8| u64::from(byte.wrapping_sub(b'0'));
    let (tens, ones) = (digit(tens), digit(ones));
    (tens < 10 && ones < 10).then_some(tens * 10 + ones)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_httpdate(text: &str) -> Option<u64> {
        let date = httpdate::parse_http_date(text).ok()?;
        let date = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(date.as_secs())
    }

    #[test]
    fn every_day_until_2106_is_read_and_a_leap_day_by_httpdate() {
        for day in 0..50_000 {
            let seconds = day * 86_400 + day * 7919 % 86_400;
            let date = Duration::from_secs(seconds);
            let text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + date);
            assert_eq!(read(text.as_bytes()), Some(date), "{text}");
            let is_leap_day = text.contains("29 Feb");
            let expected = (!is_leap_day).then_some(seconds);
            assert_eq!(imf_fixdate(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_httpdate_refuses_is_refused() {
        for date in [
            "Sat, 21 Nov 2026 20:00:00 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Fri, 31 Dec 1999 23:59:59 GMT",
            "Sat, 28 Feb 2026 19:59:59 GMT",
            "Sun, 29 Feb 2026 23:59:59 GMT",
            "Tue, 31 Nov 2026 20:00:00 GMT",
            "Sat, 00 Nov 2026 20:00:00 GMT",
        ] {
            for (at, _) in date.char_indices() {
                for other in (0..128).map(char::from) {
                    let text = format!("{}{other}{}", &date[..at], &date[at + 1..]);
                    let seconds = read(text.as_bytes()).map(|it| it.as_secs());
                    assert_eq!(seconds, by_httpdate(&text), "{text:?}");
                }
                let text = format!("{}{}", &date[..at], &date[at + 1..]);
                let seconds = read(text.as_bytes()).map(|it| it.as_secs());
                assert_eq!(seconds, by_httpdate(&text), "{text:?}");
            }
        }
    }
}
