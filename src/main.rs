//! Runs the command line; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    zapi_to_ryze::cli::run()
}
