//! Files that are created together: all of them, or none.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    mem,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process,
};

/// What was created so far. It is removed when this is dropped, unless it is kept.
#[derive(Default)]
pub(super) struct NewFiles {
    folder: Option<PathBuf>,
    files: Vec<PathBuf>,
}

impl NewFiles {
    /// Creates a folder for its owner alone, unless it exists.
    pub(super) fn add_folder(&mut self, path: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {
                self.folder = Some(path.to_owned());
                Ok(())
            }
            Err(_) if path.is_dir() => Ok(()),
            Err(error) => Err(of(path, &error)),
        }
    }

    /// Creates a file that does not exist, with these permissions from the start.
    pub(super) fn add(&mut self, path: &Path, mode: u32, parts: &[&[u8]]) -> io::Result<()> {
        let mut file = create(path, mode).map_err(|error| of(path, &error))?;
        self.files.push(path.to_owned());
        let written = parts.iter().try_for_each(|part| file.write_all(part));
        let synced = written.and_then(|()| file.sync_all());
        synced.map_err(|error| of(path, &error))
    }

    /// Keeps the files, and returns their paths, the last one first.
    pub(super) fn keep(mut self) -> Vec<PathBuf> {
        self.folder = None;
        let mut files = mem::take(&mut self.files);
        let last = files.pop();
        files.splice(0..0, last);
        files
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        if let Some(folder) = &self.folder {
            // Not if another process has put a file there.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Whether a file can be created beside `path`.
pub(super) fn probe(path: &Path) -> io::Result<()> {
    let probe = path.with_file_name(format!(".zapi-to-ryze-{}", process::id()));
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    create(&probe, 0o600).map_err(|error| of(folder, &error))?;
    fs::remove_file(probe)
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode).open(path)
}

/// An error with the path.
fn of(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn all_files_are_created_or_none() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("secrets");
        let (first, second) = (folder.join("first"), folder.join("second"));
        let mut files = NewFiles::default();
        files.add_folder(&folder).unwrap();
        files.add(&first, 0o600, &[b"a", b"b"]).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&first)), (0o700, 0o600));
        // As a disk that is full, it fails after the first one.
        assert!(files.add(&first, 0o600, &[]).is_err());
        drop(files);
        assert!(!folder.exists());

        let mut files = NewFiles::default();
        files.add_folder(&folder).unwrap();
        files.add(&first, 0o600, &[b"ab"]).unwrap();
        files.add(&second, 0o644, &[]).unwrap();
        assert_eq!(files.keep(), [second.clone(), first.clone()]);
        assert_eq!(fs::read(&first).unwrap(), b"ab");

        // What was there before stays.
        let mut files = NewFiles::default();
        files.add_folder(&folder).unwrap();
        let third = folder.join("third");
        files.add(&third, 0o600, &[]).unwrap();
        let error = files.add(&second, 0o600, &[]).unwrap_err();
        assert!(error.to_string().contains("second: File exists"), "{error}");
        drop(files);
        assert_eq!(
            (third.exists(), first.exists(), second.exists()),
            (false, true, true)
        );
    }
}
