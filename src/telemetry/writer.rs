//! Where log lines wait until they are written. They are gathered and written by a thread of their
//! own, so that a request costs no system call for its line and a reader of stderr who stalls does
//! not stall the gateway.

use std::{
    io::{self, Write},
    mem,
    ops::Deref,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFormat;

/// How long a line may wait for others to be written together with it.
const GATHER: Duration = Duration::from_millis(50);
/// Bytes that wait to be written; lines beyond them are dropped, and counted.
const MOST_WAITING: usize = 1024 * 1024;
/// How long the end of the process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Lines that this process dropped so far: it has one stderr, however many gateways.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many lines were dropped so far, because nobody read stderr.
#[must_use]
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Keeps the log being written. Dropping it writes what is left, if somebody reads it in time.
#[must_use]
pub struct LogWriter(Sink);

impl LogWriter {
    pub(super) fn new(sink: Sink) -> Self {
        Self(sink)
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.is_closed = true;
        self.0.changed.notify_all();
        let is_written = |waiting: &mut Waiting| !waiting.is_written;
        // Without its thread, or with a reader who stalls, the last lines are lost.
        drop(
            self.0
                .changed
                .wait_timeout_while(waiting, LAST_LINES, is_written),
        );
    }
}

/// Where lines wait.
#[derive(Clone)]
pub(super) struct Sink(Arc<Shared>);

pub(super) struct Shared {
    format: LogFormat,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: u64,
    /// No line will follow.
    is_closed: bool,
    /// The last line is written.
    is_written: bool,
}

impl Deref for Sink {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Sink {
    pub(super) fn new(format: LogFormat) -> Self {
        Self(Arc::new(Shared {
            format,
            waiting: Mutex::default(),
            changed: Condvar::new(),
        }))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write_until_closed(&self, out: &mut impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut waiting = self.lock();
            while waiting.lines.is_empty() && !waiting.is_closed {
                let changed = self.changed.wait(waiting);
                waiting = changed.unwrap_or_else(PoisonError::into_inner);
            }
            if !waiting.is_closed {
                drop(waiting);
                thread::sleep(GATHER);
                waiting = self.lock();
            }
            lines.clear();
            mem::swap(&mut lines, &mut waiting.lines);
            let dropped = mem::take(&mut waiting.dropped);
            let is_last = waiting.is_closed;
            drop(waiting);
            if dropped > 0 {
                lines.extend_from_slice(self.dropped_line(dropped).as_bytes());
            }
            // With stderr gone there is nobody left to tell.
            let _ = out.write_all(&lines);
            if is_last {
                self.lock().is_written = true;
                self.changed.notify_all();
                return;
            }
        }
    }

    fn dropped_line(&self, dropped: u64) -> String {
        let message = format!("{dropped} log lines were dropped");
        match self.format {
            LogFormat::Json => format!("{{\"level\":\"WARN\",\"message\":\"{message}\"}}\n"),
            LogFormat::Text => format!("WARN {message}\n"),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.lock();
        if waiting.lines.len() + line.len() > MOST_WAITING {
            waiting.dropped += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
        } else {
            if waiting.lines.is_empty() {
                self.changed.notify_all();
            }
            waiting.lines.extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'sink> MakeWriter<'sink> for Sink {
    type Writer = Self;

    fn make_writer(&'sink self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_written_when_it_is_closed_and_what_was_dropped_is_counted() {
        for (format, notice) in [
            (LogFormat::Text, "WARN 1 log lines were dropped\n"),
            (
                LogFormat::Json,
                "{\"level\":\"WARN\",\"message\":\"1 log lines were dropped\"}\n",
            ),
        ] {
            let mut sink = Sink::new(format);
            for line in [&b"first\n"[..], &vec![b'x'; MOST_WAITING], b"last\n"] {
                sink.write_all(line).unwrap_or_default();
            }
            sink.lock().is_closed = true;
            let mut out = Vec::new();
            sink.write_until_closed(&mut out);
            let written = String::from_utf8_lossy(&out);
            assert_eq!(written, format!("first\nlast\n{notice}"));
        }
    }

    /// Somebody who never reads.
    struct Stalled;

    impl Write for Stalled {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            loop {
                thread::park();
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_stalls_does_not_keep_the_process() {
        let mut sink = Sink::new(LogFormat::Json);
        sink.write_all(b"line\n").unwrap_or_default();
        let writing = sink.clone();
        thread::spawn(move || writing.write_until_closed(&mut Stalled));
        drop(LogWriter(sink));
    }
}
