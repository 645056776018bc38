//! The name of this machine, which tells an operator's gateways apart.

use std::{env, fs};

/// Linux has it in the first file. A service without access to that (`ProcSubset=pid`) reads the second.
const FILES: [&str; 2] = ["/proc/sys/kernel/hostname", "/etc/hostname"];

/// Empty if it is not known.
pub(super) fn name() -> String {
    let mut files = FILES
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    let name = files.find(|name| !name.trim().is_empty());
    let name = name.or_else(|| env::var("HOSTNAME").ok());
    name.unwrap_or_default().trim().to_owned()
}
