//! Writes whole lines, counts those that an error loses, and keeps a torn line apart from the next.

use std::{
    io::{self, Write},
    thread,
    time::Duration,
};

/// The pause before a write that would block is retried: stderr may be a pipe that another process has set to
/// be non-blocking.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

pub(super) struct LineOutput<W> {
    out: W,
    /// Whether the last line was written in part.
    is_torn: bool,
}

impl<W: Write> LineOutput<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            is_torn: false,
        }
    }

    /// Writes whole lines. Returns how many were not, or only in part, written before an error.
    pub(super) fn write_lines(&mut self, lines: &[u8]) -> u64 {
        // The rest of a torn line is lost: the next line does not continue it.
        if self.is_torn && !lines.is_empty() {
            self.is_torn = self.write(b"\n") == 0;
        }
        let written = if self.is_torn { 0 } else { self.write(lines) };
        let (written, rest) = lines.split_at(written);
        self.is_torn |= written.last().is_some_and(|last| *last != b'\n');
        memchr::memchr_iter(b'\n', rest).count() as u64
    }

    /// Writes until an error. Returns how many bytes were written.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.out.write(&bytes[written..]) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                // The reader stalls.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    thread::sleep(RETRY_INTERVAL);
                }
                Err(_) => break,
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::sync::lock;

    /// Takes up to this many bytes, then fails with each of the errors in turn.
    struct Faulty {
        written: Arc<Mutex<Vec<u8>>>,
        room: usize,
        errors: Vec<io::ErrorKind>,
    }

    impl Write for Faulty {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0
                && let Some(error) = self.errors.pop()
            {
                return Err(error.into());
            }
            if self.room == 0 {
                self.room = usize::MAX;
            }
            let count = bytes.len().min(self.room);
            self.room -= count;
            lock(&self.written).extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written_by(room: usize, errors: &[io::ErrorKind], batches: &[&str]) -> (String, u64) {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let mut output = LineOutput::new(Faulty {
            written: Arc::clone(&written),
            room,
            errors: errors.to_vec(),
        });
        let lost = batches
            .iter()
            .map(|batch| output.write_lines(batch.as_bytes()))
            .sum();
        let written = String::from_utf8_lossy(&lock(&written)).into_owned();
        (written, lost)
    }

    #[test]
    fn lines_that_are_not_written_as_a_whole_are_counted_and_not_glued_to_the_next() {
        use io::ErrorKind::{BrokenPipe, Interrupted, StorageFull, WouldBlock};
        let batches = &["one\ntwo\n", "three\n"];
        for (room, written, lost) in [
            (0, "three\n", 2),
            (2, "on\nthree\n", 2),
            // Torn before its line end.
            (3, "one\nthree\n", 2),
            (4, "one\nthree\n", 1),
            (6, "one\ntw\nthree\n", 1),
        ] {
            for error in [StorageFull, BrokenPipe] {
                let expected = (written.to_owned(), lost);
                assert_eq!(written_by(room, &[error], batches), expected, "{room}");
            }
            // And the line end that would have ended the torn line.
            let [first, last] = [written.trim_end_matches("three\n"), "four\n"];
            let batches = ["one\ntwo\n", "three\n", last];
            let expected = (format!("{first}{last}"), lost + 1);
            let errors = [StorageFull, StorageFull];
            assert_eq!(written_by(room, &errors, &batches), expected, "{room}");
            // A stalled reader loses nothing.
            let errors = [WouldBlock, Interrupted, WouldBlock];
            let expected = ("one\ntwo\nthree\n".to_owned(), 0);
            assert_eq!(written_by(room, &errors, &batches[..2]), expected, "{room}");
        }
    }
}
