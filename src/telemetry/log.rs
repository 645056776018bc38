//! The log: sends the events of `tracing` to stderr. Each module decides what it logs, which is never a
//! path, a token or a phone number.

use std::io::{self, IsTerminal as _};

use tracing::{level_filters::LevelFilter, subscriber::set_global_default};
use tracing_subscriber::{Registry, layer::SubscriberExt as _, reload};

use super::{
    json_line::JsonLines,
    terminal_line::TerminalLine,
    writer::{BufferedWriter, LogWriter},
};
use crate::config::{Log, LogFormat};

/// The level of the log, which a reload can change.
#[derive(Clone)]
pub struct LogLevel(reload::Handle<LevelFilter, Registry>);

impl LogLevel {
    /// Writes events of this level and above from now on.
    pub fn set(&self, level: LevelFilter) {
        // It fails only if there is no subscriber any more.
        let _ = self.0.reload(level);
    }
}

/// Sends all events of the process to stderr.
///
/// # Errors
/// A thread cannot be spawned, or the log was started before.
pub fn start(log: &Log) -> io::Result<(LogWriter, LogLevel)> {
    let writer = BufferedWriter::new(log.format);
    let (level, handle) = reload::Layer::new(log.level);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .with_writer(writer.clone());
    let all = tracing_subscriber::registry().with(level);
    match log.format {
        LogFormat::Json => set_global_default(all.with(JsonLines::new(writer.clone()))),
        LogFormat::Text if io::stderr().is_terminal() => {
            set_global_default(all.with(lines.event_format(TerminalLine::new())))
        }
        LogFormat::Text => set_global_default(all.with(lines)),
    }
    .map_err(io::Error::other)?;
    Ok((LogWriter::start(writer, io::stderr())?, LogLevel(handle)))
}
