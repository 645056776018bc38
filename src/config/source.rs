//! Reads the configuration file and the files that it names.
//!
//! Only regular files of a limited size are read, so that reading ends whatever is at a path. Any of
//! them may hold a secret, by mistake too: no error that leaves this module quotes what was read.

use std::{
    fs::{Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};
use zeroize::Zeroizing;

const KIB: u64 = 1024;

/// KiB of the configuration file or a PEM file.
const MAX_FILE: u64 = 1024;
/// KiB of a file with instances: some 50,000 of them.
const MAX_INCLUDED: u64 = 16 * 1024;
/// KiB of the file of a secret.
const MAX_SECRET: u64 = 64;

/// Permissions of a file with a secret that are warned of: its group may read it, others may not.
const TOO_OPEN: u32 = 0o037;

/// The warning of a file with secrets that others may read or change.
pub(super) const OPEN_FILE: &str =
    "chmod 640 the file: it has secrets in it, and others may read or change it";

/// Whether others may read or change a file.
pub(super) fn is_open(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & TOO_OPEN != 0
}

pub(super) fn configuration(path: &Path) -> io::Result<(Zeroizing<String>, Metadata)> {
    text(path, MAX_FILE)
}

pub(super) fn included(path: &Path) -> io::Result<(Zeroizing<String>, Metadata)> {
    text(path, MAX_INCLUDED)
}

pub(super) fn secret(path: &Path) -> io::Result<(Zeroizing<String>, Metadata)> {
    text(path, MAX_SECRET)
}

/// The certificates in a PEM file, possibly none.
pub(super) fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let (bytes, _) = read(path, MAX_FILE)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes);
    certificates.collect::<Result<_, _>>().map_err(not_pem)
}

/// The first private key in a PEM file, if there is any, and the file's permissions.
pub(super) fn private_key(path: &Path) -> io::Result<(Option<PrivateKeyDer<'static>>, Metadata)> {
    let (bytes, metadata) = read(path, MAX_FILE)?;
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok((Some(key), metadata)),
        Err(pem::Error::NoItemsFound) => Ok((None, metadata)),
        Err(error) => Err(not_pem(error)),
    }
}

/// Drops the parser's error, which quotes a line of the file.
fn not_pem(_: pem::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not PEM")
}

/// What the operator does about a file that cannot be read.
pub(super) fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => {
            "let the user of the gateway read it, with chgrp and chmod 640"
        }
        io::ErrorKind::InvalidData => "save it as UTF-8",
        _ => "name a file that can be read",
    }
}

fn text(path: &Path, most: u64) -> io::Result<(Zeroizing<String>, Metadata)> {
    let (bytes, metadata) = read(path, most)?;
    match str::from_utf8(&bytes) {
        Ok(text) => Ok((Zeroizing::new(text.to_owned()), metadata)),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not UTF-8",
        )),
    }
}

/// Reads a file of at most `most` KiB.
fn read(path: &Path, most: u64) -> io::Result<(Zeroizing<Vec<u8>>, Metadata)> {
    let mut options = OpenOptions::new();
    // Otherwise open() blocks on a FIFO without a writer.
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let limit = most * KIB;
    // With spare capacity: a reallocation would leave a copy of the secret in freed memory.
    let expected = usize::try_from(metadata.len().min(limit)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 64));
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("it has more than {most} KiB; make it smaller");
        return Err(io::Error::other(message));
    }
    Ok((bytes, metadata))
}
