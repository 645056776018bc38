//! The panic hook. It reports the place in the code alone, because the message may quote a client or the
//! configuration.

use std::{
    io::{self, Write as _},
    panic,
};

/// Reports every panic of the process on stderr, without its message.
pub fn hide_panic_messages() {
    panic::set_hook(Box::new(|panic| {
        // Not through the log: the panic may be the log's own.
        let _ = match panic.location() {
            Some(place) => writeln!(io::stderr(), "panic at {place}"),
            None => writeln!(io::stderr(), "panic"),
        };
    }));
}
