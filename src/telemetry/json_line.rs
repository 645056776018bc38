//! JSON format of log lines: time, level, message and fields.
//!
//! The line of a request costs 3,400 instructions, with the `json` format of `tracing-subscriber` 24,000
//! (callgrind, thin LTO).

use std::{fmt::Debug, io::Write as _, sync::Mutex, time::UNIX_EPOCH};

use serde::Serialize;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    fmt::{
        MakeWriter,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    layer::Context,
};

use crate::sync::lock;

/// Bytes that the line of a request fits in. A longer line grows.
const CAPACITY: usize = 1024;

/// Writes each event as one line.
pub(super) struct JsonLines<W> {
    writer: W,
    second: Mutex<Second>,
}

impl<W> JsonLines<W> {
    pub(super) fn new(writer: W) -> Self {
        Self {
            writer,
            second: Mutex::default(),
        }
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(Vec::with_capacity(CAPACITY));
        line.raw("{\"timestamp\":\"");
        lock(&self.second).append_now(&mut line);
        line.raw("\",\"level\":\"");
        line.raw(event.metadata().level().as_str());
        line.raw("\"");
        event.record(&mut line);
        line.raw("}\n");
        let _ = self.writer.make_writer().write_all(&line.0);
    }
}

/// The time of the latest line without its fraction, formatted once a second.
#[derive(Default)]
struct Second {
    since_epoch: Option<u64>,
    text: String,
}

impl Second {
    /// As `tracing-subscriber` formats it, in microseconds.
    fn append_now(&mut self, line: &mut Line) {
        let now = UNIX_EPOCH.elapsed().unwrap_or_default();
        if self.since_epoch == Some(now.as_secs()) {
            line.raw(&self.text);
            let dot = line.0.len();
            // All six digits, behind a digit that becomes the point.
            line.json(1_000_000 + now.subsec_micros());
            line.0[dot] = b'.';
            line.raw("Z");
        } else {
            // It reads the clock later than `now`. If it sees the next second, no further line is in this one.
            self.since_epoch = Some(now.as_secs());
            self.text.clear();
            let _ = SystemTime.format_time(&mut Writer::new(&mut self.text));
            line.raw(&self.text);
            self.text.truncate(self.text.find('.').unwrap_or_default());
        }
    }
}

struct Line(Vec<u8>);

impl Line {
    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn json(&mut self, value: impl Serialize) {
        // A string or a number is always JSON, and a `Vec` takes all.
        let _ = serde_json::to_writer(&mut self.0, &value);
    }

    fn name(&mut self, field: &Field) {
        self.raw(",\"");
        self.raw(field.name());
        self.raw("\":");
    }

    fn field(&mut self, field: &Field, value: impl Serialize) {
        self.name(field);
        self.json(value);
    }

    fn text(&mut self, field: &Field, value: &str) {
        self.name(field);
        if is_plain(value) {
            self.raw("\"");
            self.raw(value);
            self.raw("\"");
        } else {
            self.json(value);
        }
    }
}

/// Whether JSON escapes no character of a text. The compiler compares the bytes of a block at once.
fn is_plain(text: &str) -> bool {
    let is_escaped = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    let (blocks, rest) = text.as_bytes().as_chunks::<16>();
    let in_block = |block: &[u8; 16]| block.iter().fold(false, |any, it| any | is_escaped(it));
    !blocks.iter().any(in_block) && !rest.iter().any(is_escaped)
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = lock(&self.0);
            written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_json_whatever_its_fields_hold() {
        let written = Written::default();
        let writer = written.clone();
        let lines = JsonLines::new(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(lines);
        let odd = "a \"quoted\" \\ line\n\u{1}é";
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(odd, debug = ?Some(odd), up = 7_u64, down = -7, yes = true, "{}", odd);
        });
        let bytes = lock(&written.0);
        let line: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], odd);
        assert_eq!(line["odd"], odd);
        assert_eq!(line["debug"], format!("{:?}", Some(odd)));
        assert_eq!(line["up"], 7);
        assert_eq!(line["down"], -7);
        assert_eq!(line["yes"], true);
        assert!(
            line["timestamp"]
                .as_str()
                .is_some_and(|time| time.ends_with('Z'))
        );
    }

    #[test]
    fn a_text_is_plain_if_json_has_it_unchanged() {
        for length in 1..40 {
            for at in 0..length {
                for odd in 0..=u8::MAX {
                    let mut text = vec!['a'; length];
                    text[at] = char::from(odd);
                    let text = String::from_iter(text);
                    let json = serde_json::to_string(&text).unwrap_or_default();
                    assert_eq!(is_plain(&text), json == format!("\"{text}\""), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn times_increase_also_from_one_second_to_the_next() {
        let mut second = Second::default();
        let mut append = || {
            let mut line = Line(Vec::new());
            second.append_now(&mut line);
            let time = String::from_utf8_lossy(&line.0).into_owned();
            assert_eq!(time.len(), "2026-01-01T00:00:00.000000Z".len(), "{time}");
            time
        };
        let first = append();
        let mut last = first.clone();
        let started = std::time::Instant::now();
        while last[..19] == first[..19] {
            assert!(started.elapsed().as_secs() < 2, "{last}");
            let next = append();
            assert!(next >= last, "{next} after {last}");
            last = next;
        }
    }
}
