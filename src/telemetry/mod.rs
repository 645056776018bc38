//! Logs: where tracing's events go and how they look. What is logged is up to each module, and is
//! never a path, a token or a phone number.
//!
//! How lines reach stderr is in `sink.rs`, how they look as JSON in `json_line.rs`, and what is told of a
//! panic in `panic.rs`.

mod json_line;
mod panic;
mod sink;

use std::{io, thread};

use self::{json_line::JsonLine, sink::Sink};
use crate::config::{Log, LogFormat};

pub use self::{panic::hide_panic_messages, sink::LogWriter};

/// Sends all events of the process to stderr.
///
/// # Errors
/// The system has no thread for it, or it was done before.
pub fn start(log: &Log) -> io::Result<LogWriter> {
    let sink = Sink::new(log.format);
    let lines = tracing_subscriber::fmt()
        .with_max_level(log.level)
        .with_ansi(false)
        .with_target(false)
        .with_writer(sink.clone());
    match log.format {
        LogFormat::Json => {
            tracing::subscriber::set_global_default(lines.event_format(JsonLine).finish())
        }
        LogFormat::Text => tracing::subscriber::set_global_default(lines.finish()),
    }
    .map_err(io::Error::other)?;
    let writing = sink.clone();
    thread::Builder::new()
        .name("log".into())
        .spawn(move || writing.write_until_closed(&mut io::stderr()))?;
    Ok(LogWriter::new(sink))
}
