//! Format of log lines for a person at a terminal: time, level, message and fields, with colours.
//!
//! The line of a request has the facts that one looks for, in a fixed order; JSON has all of them. A text of
//! another machine may be in a field: control characters, and those that change the direction of writing, are
//! escaped before they reach the terminal.

use std::{
    env,
    fmt::{self, Debug, Write as _},
};

use tracing::{
    Event, Level,
    field::{Field, Visit},
};

use super::text_line::MESSAGE;

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const BLUE: &str = "34";
const DIM: &str = "2";

/// Fields of a request's line that stand in its beginning, in this order.
const REQUEST: [&str; 6] = [
    "status", "method", "route", "instance", "outcome", "total_ms",
];
/// Fields of a request's line after those, if they have a value.
const DETAILS: [&str; 5] = [
    "reason",
    "zapi_instance",
    "observed",
    "observed_reason",
    "request_id",
];

pub(super) struct TerminalLine {
    has_colours: bool,
}

impl TerminalLine {
    /// Without colours if the user does not want them (no-color.org) or the terminal has none.
    pub(super) fn new() -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            has_colours: !is_set("NO_COLOR") && !is_dumb,
        }
    }

    /// Appends an event as one line.
    pub(super) fn append(&self, event: &Event<'_>, time: &[u8], line: &mut Vec<u8>) {
        let time = str::from_utf8(time).unwrap_or_default();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let text = self.line(time, *event.metadata().level(), &fields);
        line.extend_from_slice(text.as_bytes());
    }

    fn line(&self, time: &str, level: Level, fields: &Fields) -> String {
        // `2026-11-28T15:34:22.123456Z`, to the millisecond.
        let time = time.get(..23).unwrap_or(time);
        let mut line = Line {
            text: String::new(),
            has_colours: self.has_colours,
        };
        line.painted(DIM, &format!("{time}Z"));
        line.text.push(' ');
        line.painted(colour_of(level), &format!("{level:5}"));
        if REQUEST.iter().all(|name| fields.get(name).is_some()) {
            line.request(fields);
        } else {
            line.event(fields);
        }
        line.text.push('\n');
        line.text
    }
}

fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => RED,
        Level::WARN => YELLOW,
        Level::INFO => GREEN,
        _ => BLUE,
    }
}

struct Line {
    text: String,
    has_colours: bool,
}

impl Line {
    fn request(&mut self, fields: &Fields) {
        for name in REQUEST {
            let value = fields.get(name).unwrap_or_default();
            match name {
                "status" => {
                    let colour = match value.bytes().next() {
                        Some(b'2') => GREEN,
                        Some(b'1' | b'3') => BLUE,
                        Some(b'4') => YELLOW,
                        _ => RED,
                    };
                    self.text.push(' ');
                    self.painted(colour, &format!("{:>3}", visible(value)));
                }
                "total_ms" => {
                    self.text.push(' ');
                    self.visible(value);
                    self.text += " ms";
                }
                // A call of no instance.
                _ if value.is_empty() => self.text += " -",
                _ => {
                    self.text.push(' ');
                    self.visible(value);
                }
            }
        }
        let has_instance = fields.get("instance").is_some_and(|name| !name.is_empty());
        for name in DETAILS {
            // The name at Ryze says which instance it is.
            let is_needed = name != "zapi_instance" || !has_instance;
            let value = fields.get(name).filter(|value| !value.is_empty());
            if let Some(value) = value.filter(|_| is_needed) {
                self.field(name, value);
            }
        }
    }

    fn event(&mut self, fields: &Fields) {
        if let Some(message) = fields.get(MESSAGE) {
            self.text.push(' ');
            self.visible(message);
        }
        for (name, value) in &fields.0 {
            if *name != MESSAGE {
                self.field(name, value);
            }
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        self.text.push(' ');
        self.painted(DIM, &format!("{name}="));
        // A value that ends where one sees it.
        if value.is_empty() || value.contains([' ', '"', '=']) {
            self.text.push('"');
            self.visible(&value.replace('"', "\\\""));
            self.text.push('"');
        } else {
            self.visible(value);
        }
    }

    fn visible(&mut self, text: &str) {
        self.text += &visible(text);
    }

    fn painted(&mut self, colour: &str, text: &str) {
        if self.has_colours {
            // A String takes everything.
            let _ = write!(self.text, "\x1b[{colour}m{text}\x1b[0m");
        } else {
            self.text += text;
        }
    }
}

/// A text with nothing in it that a terminal obeys.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for char in text.chars() {
        if is_obeyed(char) {
            visible.extend(char.escape_unicode());
        } else {
            visible.push(char);
        }
    }
    visible
}

/// Control characters, line separators, and what is invisible or turns the direction of writing around.
fn is_obeyed(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// The fields of an event, as text.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        all.find_map(|(other, value)| (*other == name).then_some(&**value))
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push((field.name(), Shown(value).to_string()));
    }
}

/// What `Debug` writes, which is the text itself for what `tracing` formats.
struct Shown<'v>(&'v dyn Debug);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-11-28T15:34:22.123456Z";

    fn line(has_colours: bool, level: Level, fields: &[(&'static str, &str)]) -> String {
        let fields = fields
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        TerminalLine { has_colours }.line(TIME, level, &Fields(fields.collect()))
    }

    #[test]
    fn a_request_is_one_readable_line() {
        let mut fields = vec![
            ("message", "request"),
            ("request_id", "0123"),
            ("trace_id", "4567"),
            ("method", "POST"),
            ("route", "/instances/{id}/token/{token}/privacy/photo"),
            ("instance", "main"),
            ("zapi_instance", "I1"),
            ("status", "429"),
            ("outcome", "throttled"),
            ("reason", "a reason"),
            ("ended_by", "ryze"),
            ("waiting_ms", "1"),
            ("total_ms", "12"),
        ];
        assert_eq!(
            line(false, Level::INFO, &fields),
            "2026-11-28T15:34:22.123Z INFO  429 POST /instances/{id}/token/{token}/privacy/photo main throttled \
             12 ms reason=\"a reason\" request_id=0123\n"
        );
        fields[5].1 = "";
        fields[7].1 = "0";
        fields.remove(9);
        let line = line(true, Level::INFO, &fields);
        assert_eq!(
            line,
            "\x1b[2m2026-11-28T15:34:22.123Z\x1b[0m \x1b[32mINFO \x1b[0m \x1b[31m  0\x1b[0m POST \
             /instances/{id}/token/{token}/privacy/photo - throttled 12 ms \x1b[2mzapi_instance=\x1b[0mI1 \
             \x1b[2mrequest_id=\x1b[0m0123\n"
        );
    }

    #[test]
    fn an_event_is_its_message_and_its_fields() {
        let fields = [
            ("message", "a message"),
            ("key", "server.listen"),
            ("empty", ""),
        ];
        assert_eq!(
            line(false, Level::WARN, &fields),
            "2026-11-28T15:34:22.123Z WARN  a message key=server.listen empty=\"\"\n"
        );
    }

    #[test]
    fn no_control_character_reaches_the_terminal() {
        let odd = "\x1b[2J\r\n\u{9b}\u{202e}\u{2028}\u{feff}\u{7f}é";
        for fields in [
            vec![("message", odd), ("field", odd)],
            REQUEST.map(|name| (name, odd)).to_vec(),
        ] {
            let line = line(false, Level::ERROR, &fields);
            let (text, end) = line.split_at(line.len() - 1);
            assert!(!text.contains(is_obeyed) && end == "\n", "{line:?}");
            assert!(
                line.contains("\\u{1b}[2J\\u{d}\\u{a}\\u{9b}\\u{202e}"),
                "{line:?}"
            );
            assert!(line.contains('é'));
        }
    }
}
