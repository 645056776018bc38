//! Logs: where tracing's events go and how they look. What is logged is up to each module, and is
//! never a path, a token or a phone number.
//!
//! How lines reach stderr is in `writer.rs`, how they look as JSON in `json_line.rs`.

use std::{io, thread};

use tracing::{level_filters::LevelFilter, subscriber::set_global_default};
use tracing_subscriber::{Registry, layer::SubscriberExt as _, reload};

use super::{
    json_line::JsonLine,
    writer::{LogWriter, Sink},
};
use crate::config::{Log, LogFormat};

/// The least severe level that is written, which can be changed.
#[derive(Clone)]
pub struct LogLevel(reload::Handle<LevelFilter, Registry>);

impl LogLevel {
    /// Writes what is at least as severe as this from now on.
    pub fn set(&self, level: LevelFilter) {
        // It fails only where nothing is logged any more.
        let _ = self.0.reload(level);
    }
}

/// Sends all events of the process to stderr.
///
/// # Errors
/// The system has no thread for it, or it was done before.
pub fn start(log: &Log) -> io::Result<(LogWriter, LogLevel)> {
    let sink = Sink::new(log.format);
    let (level, handle) = reload::Layer::new(log.level);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .with_writer(sink.clone());
    let all = tracing_subscriber::registry().with(level);
    match log.format {
        LogFormat::Json => set_global_default(all.with(lines.event_format(JsonLine))),
        LogFormat::Text => set_global_default(all.with(lines)),
    }
    .map_err(io::Error::other)?;
    let writing = sink.clone();
    thread::Builder::new()
        .name("log".into())
        .spawn(move || writing.write_until_closed(&mut io::stderr()))?;
    Ok((LogWriter::new(sink), LogLevel(handle)))
}
