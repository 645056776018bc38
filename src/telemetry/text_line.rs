//! Text format of log lines where stderr is no terminal, as `tracing-subscriber` has it: time, level, message
//! and fields.

use std::{fmt::Debug, io::Write as _};

use tracing::{
    Event,
    field::{Field, Visit},
};

const MESSAGE: &str = "message";

/// Appends an event as one line.
pub(super) fn append(event: &Event<'_>, time: &[u8], line: &mut Vec<u8>) {
    line.extend_from_slice(time);
    // A `Vec` takes everything, here and below.
    let _ = write!(line, " {:>5}", event.metadata().level().as_str());
    event.record(&mut Line(line));
    line.push(b'\n');
}

struct Line<'l>(&'l mut Vec<u8>);

impl Line<'_> {
    /// Without the characters that begin a command of a terminal, where the log may be shown later.
    fn message(&mut self, text: &str) {
        self.0.push(b' ');
        for char in text.chars() {
            let _ = match char {
                '\x07' | '\x08' | '\x0c' | '\x1b' | '\x7f' => {
                    write!(self.0, "\\x{:02x}", u32::from(char))
                }
                '\u{80}'..='\u{9f}' => write!(self.0, "{}", char.escape_unicode()),
                _ => write!(self.0, "{char}"),
            };
        }
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            MESSAGE => self.message(value),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            MESSAGE => self.message(&format!("{value:?}")),
            name => {
                let _ = write!(self.0, " {name}={value:?}");
            }
        }
    }
}
