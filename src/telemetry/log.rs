//! The log: sends the events of `tracing` to stderr. Each module decides what it logs, which is never a
//! path, a token or a phone number.
//!
//! There are no spans and one filter, so this subscriber is all that `tracing` needs: the three crates of
//! `tracing-subscriber` go, and no line allocates. The line of a request costs 2,900 instructions; with that
//! crate's layers and a JSON format of our own it cost 3,400, with its own JSON format 24,000 (callgrind, thin
//! LTO).

use std::{
    cell::Cell,
    io::{self, IsTerminal as _},
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::set_global_default,
};
use tracing_core::callsite;

use super::{
    json_line,
    terminal_line::TerminalLine,
    text_line,
    timestamp::Timestamp,
    writer::{BufferedWriter, LogWriter},
};
use crate::{
    config::{self, LogFormat},
    sync::lock,
};

/// The level of the log, which a reload can change.
#[derive(Clone)]
pub struct LogLevel(Arc<Mutex<LevelFilter>>);

impl LogLevel {
    /// Writes events of this level and above from now on.
    pub fn set(&self, level: LevelFilter) {
        *lock(&self.0) = level;
        callsite::rebuild_interest_cache();
    }

    fn get(&self) -> LevelFilter {
        *lock(&self.0)
    }
}

/// Sends all events of the process to stderr.
///
/// # Errors
/// A thread cannot be spawned, or the log was started before.
pub fn start(log: &config::Log) -> io::Result<(LogWriter, LogLevel)> {
    let writer = BufferedWriter::new(log.format);
    let level = LogLevel(Arc::new(Mutex::new(log.level)));
    let log = Log {
        level: level.clone(),
        format: match log.format {
            LogFormat::Json => Format::Json,
            LogFormat::Text if io::stderr().is_terminal() => Format::Terminal(TerminalLine::new()),
            LogFormat::Text => Format::Text,
        },
        writer: writer.clone(),
    };
    set_global_default(log).map_err(io::Error::other)?;
    Ok((LogWriter::start(writer, io::stderr())?, level))
}

/// Writes each event as one line. There are no spans.
struct Log {
    level: LogLevel,
    format: Format,
    writer: BufferedWriter,
}

enum Format {
    Json,
    Text,
    Terminal(TerminalLine),
}

/// Bytes of memory for lines that a thread keeps.
const MAX_KEPT: usize = 16 * 1024;

thread_local! {
    /// The latest line of the thread: its memory is kept, unless it is long.
    static LINE: Cell<(Timestamp, Vec<u8>)> = Cell::default();
}

impl Subscriber for Log {
    /// Asked when a place in the code logs first and when the level has changed.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level.get()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.get())
    }

    fn event(&self, event: &Event<'_>) {
        // At the end of a thread it is gone.
        let (mut time, mut line) = LINE.try_with(Cell::take).unwrap_or_default();
        line.clear();
        let now = time.now();
        match &self.format {
            Format::Json => json_line::append(event, now, &mut line),
            Format::Text => text_line::append(event, now, &mut line),
            Format::Terminal(terminal) => terminal.append(event, now, &mut line),
        }
        self.writer.append(&line);
        if line.capacity() > MAX_KEPT {
            line = Vec::new();
        }
        let _ = LINE.try_with(|latest| latest.set((time, line)));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    /// What is logged with this format and these levels before and after a change.
    fn logged(config: LogFormat, levels: [LevelFilter; 2], log: impl Fn()) -> Vec<u8> {
        let writer = BufferedWriter::new(config);
        let level = LogLevel(Arc::new(Mutex::new(levels[0])));
        let subscriber = Log {
            level: level.clone(),
            format: match config {
                LogFormat::Json => Format::Json,
                LogFormat::Text => Format::Text,
            },
            writer: writer.clone(),
        };
        tracing::subscriber::with_default(subscriber, || {
            log();
            level.set(levels[1]);
            log();
        });
        writer.buffered()
    }

    #[test]
    fn a_line_is_json_whatever_its_fields_hold() {
        let odd = "a \"quoted\" \\ line\n\u{1}é";
        let levels = [LevelFilter::WARN, LevelFilter::OFF];
        let bytes = logged(LogFormat::Json, levels, || {
            tracing::warn!(odd, debug = ?Some(odd), up = 7_u64, down = -7, yes = true, "{}", odd);
        });
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

    struct Failing;

    impl fmt::Display for Failing {
        fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("cut \u{1b}").and(Err(fmt::Error))
        }
    }

    #[test]
    fn a_text_has_no_commands_for_a_terminal_in_message_and_fields() {
        let odd = "a \"quoted\" \u{1b}[1m\u{7f}\u{9b}é";
        let levels = [LevelFilter::TRACE, LevelFilter::OFF];
        let bytes = logged(LogFormat::Text, levels, || {
            tracing::info!(odd, up = 7_u64, shown = %odd, failing = %Failing, "{}", odd);
        });
        let line = String::from_utf8_lossy(&bytes);
        let (time, rest) = line.split_once(' ').unwrap_or_default();
        assert_eq!(time.len(), "2026-11-28T15:34:22.123456Z".len());
        let expected = " INFO a \"quoted\" \\x1b[1m\\x7f\\u{9b}é \
                        odd=\"a \\\"quoted\\\" \\u{1b}[1m\\u{7f}\\u{9b}é\" up=7 \
                        shown=a \"quoted\" \\x1b[1m\\x7f\\u{9b}é failing=cut \\x1b\n";
        assert_eq!(rest, expected);
    }

    #[test]
    fn the_level_can_be_changed() {
        let log = || {
            tracing::warn!("a warning");
            tracing::info!("no warning");
        };
        let count = |levels| {
            let bytes = logged(LogFormat::Text, levels, log);
            memchr::memchr_iter(b'\n', &bytes).count()
        };
        let [off, warn, info] = [LevelFilter::OFF, LevelFilter::WARN, LevelFilter::INFO];
        assert_eq!(count([off, off]), 0);
        assert_eq!(count([off, warn]), 1);
        assert_eq!(count([info, warn]), 3);
        assert_eq!(count([warn, info]), 3);
        assert_eq!(count([info, off]), 2);
    }
}
