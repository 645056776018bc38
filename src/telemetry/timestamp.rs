//! The time of a log line in microseconds, as RFC 3339 has it: `2026-11-28T15:34:22.123456Z`.

use std::time::{Duration, UNIX_EPOCH};

use x509_cert::der::DateTime;

/// Where the fraction begins, behind its point.
const FRACTION: usize = "2026-11-28T15:34:22.".len();
const DIGITS: usize = 6;

/// A text for the time. The date is calculated once a second.
#[derive(Clone, Copy, Default)]
pub(super) struct Timestamp {
    /// Since the epoch.
    second: Option<u64>,
    text: [u8; FRACTION + DIGITS + 1],
}

impl Timestamp {
    pub(super) fn now(&mut self) -> &[u8] {
        self.at(UNIX_EPOCH.elapsed().unwrap_or_default())
    }

    fn at(&mut self, since_epoch: Duration) -> &[u8] {
        if self.second != Some(since_epoch.as_secs()) {
            self.second = Some(since_epoch.as_secs());
            // To the second, with a Z. There is none after the year 9999.
            let date = DateTime::from_unix_duration(since_epoch);
            let date = date.map(|date| date.to_string()).unwrap_or_default();
            self.text.fill(b'Z');
            for (place, byte) in self.text.iter_mut().zip(date.bytes()) {
                *place = byte;
            }
            self.text[FRACTION - 1] = b'.';
        }
        let mut rest = since_epoch.subsec_micros();
        for digit in self.text[FRACTION..FRACTION + DIGITS].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_and_a_fraction_of_six_digits() {
        let mut timestamp = Timestamp::default();
        for (seconds, micros, text) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, 999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000001Z"),
            (951_868_800, 20, "2000-03-01T00:00:00.000020Z"),
            (1_795_880_062, 123_456, "2026-11-28T15:34:22.123456Z"),
            (1_795_880_062, 123_457, "2026-11-28T15:34:22.123457Z"),
            (1_795_880_063, 0, "2026-11-28T15:34:23.000000Z"),
            // The clock was set back.
            (1_795_880_062, 5, "2026-11-28T15:34:22.000005Z"),
        ] {
            let time = timestamp.at(Duration::new(seconds, micros * 1_000 + 999));
            assert_eq!(String::from_utf8_lossy(time), text);
        }
    }
}
