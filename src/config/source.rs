//! How the configuration file and those that it names are read: as regular files of a limited size, so
//! that the reading ends whatever is at a path. What a file holds belongs in the modules that ask for it.

use std::{
    fs::{Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustls::pki_types::{
    CertificateDer,
    pem::{self, PemObject as _},
};
use zeroize::Zeroizing;

const KIB: u64 = 1024;

/// KiB that the configuration file, or one as PEM, may have.
const FILE: u64 = 1024;
/// KiB that the file of a secret may have.
const SECRET: u64 = 64;

/// The text of the configuration file.
///
/// # Errors
/// It cannot be read, is no regular file, is too large or is not UTF-8.
pub(super) fn configuration(path: &Path) -> io::Result<Zeroizing<String>> {
    text(path, FILE)
}

/// The text of a secret's file.
///
/// # Errors
/// As of the configuration file.
pub(super) fn secret(path: &Path) -> io::Result<Zeroizing<String>> {
    text(path, SECRET)
}

/// The certificates in a PEM file, perhaps none.
///
/// # Errors
/// It cannot be read, is no regular file, is too large or is not PEM.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let (bytes, _) = pem(path).map_err(pem::Error::Io)?;
    CertificateDer::pem_slice_iter(&bytes).collect()
}

/// The bytes of a PEM file, and who may do what with it.
///
/// # Errors
/// It cannot be read, is no regular file or is too large.
pub(super) fn pem(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, Metadata)> {
    read(path, FILE)
}

fn text(path: &Path, most: u64) -> io::Result<Zeroizing<String>> {
    let (bytes, _) = read(path, most)?;
    match str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(io::Error::other("it is not UTF-8")),
    }
}

/// Reads a file of at most `most` KiB.
fn read(path: &Path, most: u64) -> io::Result<(Zeroizing<Vec<u8>>, Metadata)> {
    let mut options = OpenOptions::new();
    // Else the opening of a FIFO waits until somebody writes to it.
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let limit = most * KIB;
    // With room to spare, so that nothing is moved and no secret is left where it was.
    let expected = usize::try_from(metadata.len().min(limit)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 64));
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("it has more than {most} KiB; make it smaller");
        return Err(io::Error::other(message));
    }
    Ok((bytes, metadata))
}
