//! The file of a Unix socket: made with its mode before anybody can connect, in place of one that
//! nobody listens on any more, and removed at the end.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixSocket, UnixStream};

use super::socket::BACKLOG;

/// The file, which is removed when this is dropped, unless another has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// The device and the file's number on it.
    identity: (u64, u64),
}

impl SocketFile {
    /// Makes it, with these permission bits, and listens on it.
    ///
    /// # Errors
    /// Somebody listens there, the file is no socket, or the system refuses it.
    pub(super) async fn open(path: &Path, mode: u32) -> io::Result<(UnixListener, Self)> {
        clear(path).await?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        let file = Self {
            path: path.to_owned(),
            identity: identity(path)?,
        };
        // Until it is listened on nobody can connect, so the mode that the file was made with, which
        // depends on the umask, lets nobody in.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok((socket.listen(BACKLOG)?, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // Where this fails, the next start finds that nobody listens on it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes room at the path: a socket that nobody listens on was left behind. Or another gateway is just
/// about to listen on it: nothing keeps two that start in the same moment apart.
async fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            let message = "what is there is no socket; remove it, or name another path";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Ok(_) => (),
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "somebody listens on it",
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("there is a socket, and whether somebody listens on it is unknown: {error}"),
        )),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
