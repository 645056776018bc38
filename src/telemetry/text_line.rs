//! Text format of log lines where stderr is no terminal, which is that of `tracing-subscriber`: time, level,
//! message and fields. A value has no characters that begin a command of a terminal, where the log may be
//! shown later.

use std::fmt::{Debug, Write as _};

use tracing::{
    Event,
    field::{Field, Visit},
};

/// The field in which `tracing` hands over an event's message.
pub(super) const MESSAGE: &str = "message";

/// Appends an event as one line.
pub(super) fn append(event: &Event<'_>, time: &[u8], line: &mut Vec<u8>) {
    let mut text = Line(format!(" {:>5}", event.metadata().level().as_str()));
    event.record(&mut text);
    line.extend_from_slice(time);
    line.extend_from_slice(text.0.as_bytes());
    line.push(b'\n');
}

struct Line(String);

impl Line {
    fn escaped(&mut self, text: &str) {
        for char in text.chars() {
            match char {
                '\x07' | '\x08' | '\x0c' | '\x1b' | '\x7f' => {
                    self.0.push_str(&format!("\\x{:02x}", u32::from(char)));
                }
                '\u{80}'..='\u{9f}' => self.0.extend(char.escape_unicode()),
                _ => self.0.push(char),
            }
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.0.push(' ');
            self.escaped(value);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push(' ');
        if field.name() != MESSAGE {
            self.0.push_str(field.name());
            self.0.push('=');
        }
        let mut text = String::new();
        // A value that fails to format is cut short.
        let _ = write!(text, "{value:?}");
        self.escaped(&text);
    }
}
