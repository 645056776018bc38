//! JSON format of log lines: time, level, message and fields.

use std::fmt::Debug;

use serde::Serialize;
use tracing::{
    Event,
    field::{Field, Visit},
};

/// Appends an event as one line.
pub(super) fn append(event: &Event<'_>, time: &[u8], line: &mut Vec<u8>) {
    let mut line = Line(line);
    line.raw(b"{\"timestamp\":\"");
    line.raw(time);
    line.raw(b"\",\"level\":\"");
    line.raw(event.metadata().level().as_str().as_bytes());
    line.raw(b"\"");
    event.record(&mut line);
    line.raw(b"}\n");
}

struct Line<'l>(&'l mut Vec<u8>);

impl Line<'_> {
    fn raw(&mut self, text: &[u8]) {
        self.0.extend_from_slice(text);
    }

    fn json(&mut self, value: impl Serialize) {
        // A string or a number is always JSON, and a `Vec` takes all.
        let _ = serde_json::to_writer(&mut *self.0, &value);
    }

    #[inline]
    fn name(&mut self, field: &Field) {
        self.raw(b",\"");
        self.raw(field.name().as_bytes());
        self.raw(b"\":");
    }

    fn field(&mut self, field: &Field, value: impl Serialize) {
        self.name(field);
        self.json(value);
    }

    fn text(&mut self, field: &Field, value: &str) {
        self.name(field);
        if is_plain(value.as_bytes()) {
            self.raw(b"\"");
            self.raw(value.as_bytes());
            self.raw(b"\"");
        } else {
            self.json(value);
        }
    }
}

/// Whether JSON escapes no character of a text. The compiler compares the bytes of a block at once.
fn is_plain(text: &[u8]) -> bool {
    let (blocks, rest) = text.as_chunks::<16>();
    let mut last = [b' '; 16];
    last[..rest.len()].copy_from_slice(rest);
    let is_escaped = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    let in_block = |block: &[u8; 16]| block.iter().fold(false, |any, it| any | is_escaped(it));
    !blocks.iter().chain([&last]).any(in_block)
}

impl Visit for Line<'_> {
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
    use super::*;

    #[test]
    fn a_text_is_plain_if_json_has_it_unchanged() {
        for length in 1..40 {
            for at in 0..length {
                for odd in 0..=u8::MAX {
                    let mut text = vec!['a'; length];
                    text[at] = char::from(odd);
                    let text = String::from_iter(text);
                    let json = serde_json::to_string(&text).unwrap_or_default();
                    assert_eq!(
                        is_plain(text.as_bytes()),
                        json == format!("\"{text}\""),
                        "{text:?}"
                    );
                }
            }
        }
    }
}
