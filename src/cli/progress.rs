//! The progress of a command on a terminal: one line on stderr that is overwritten.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

/// Writes nothing if stderr is not a terminal.
pub(super) struct Progress {
    is_shown: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            is_shown: io::stderr().is_terminal(),
        }
    }

    pub(super) fn show(&self, done: usize, total: usize, left: Duration) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K{}", text(done, total, left));
        }
    }

    /// Removes the line, before another one is printed.
    pub(super) fn clear(&self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn text(done: usize, total: usize, left: Duration) -> String {
    match left.as_secs() {
        0 => format!("{done} of {total} instances"),
        seconds => format!("{done} of {total} instances, about {seconds} s left"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_what_is_left() {
        let text = |left| text(20, 130, Duration::from_millis(left));
        assert_eq!(text(66_000), "20 of 130 instances, about 66 s left");
        assert_eq!(text(999), "20 of 130 instances");
    }
}
