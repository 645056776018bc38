//! What is told of a panic: the place in the code alone, for its message may quote what a caller sent
//! or what the configuration holds.

use std::{
    io::{self, Write as _},
    panic,
};

/// From now on every panic of the process is told of on stderr, without its message.
pub fn hide_panic_messages() {
    panic::set_hook(Box::new(|panic| {
        // Not through the log: the panic may be the log's own.
        let _ = match panic.location() {
            Some(place) => writeln!(io::stderr(), "panic at {place}"),
            None => writeln!(io::stderr(), "panic"),
        };
    }));
}
