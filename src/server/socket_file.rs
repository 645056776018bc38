//! The file of a Unix socket: created with its mode before clients can connect, in place of a stale
//! one, and removed at the end.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// Removes the file when dropped, unless another file has replaced it.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    /// Creates the socket with these permission bits and listens on it.
    ///
    /// # Errors
    /// A process listens at the path, the file there is not a socket, or the system refuses.
    pub(super) async fn listen(
        path: &Path,
        mode: u32,
        backlog: u32,
    ) -> io::Result<(UnixListener, Self)> {
        remove_stale(path).await?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        let file = Self {
            path: path.to_owned(),
            identity: identity(path)?,
        };
        // Clients cannot connect before `listen`, so the mode that the umask gave the file is never in
        // effect.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok((socket.listen(backlog)?, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // If this fails, the next start removes the file as stale.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket file without a listener. Two gateways that start at the same moment are not told
/// apart: the file may belong to one that has not called `listen` yet.
async fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            let message = "the file there is not a socket; remove it, or name another path";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Ok(_) => (),
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens on it",
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("there is a socket, and whether a process listens on it is unknown: {error}"),
        )),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
