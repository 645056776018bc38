//! The files of a configuration: reading ends, with any kind of file at a path. Their contents are in
//! `values` and `tls`.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use zapi_to_ryze::config;

use super::{INSTANCE, sound};
use crate::process::{Process, fifo, file, program};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Each place that names a file, with the end of the file around it.
fn places(path: &Path) -> [String; 5] {
    let other = "/nowhere";
    [
        INSTANCE.replace("\"zapi-hunter2\"", &format!("{{ file = {path:?} }}")),
        format!("ryze.ca_file = {path:?}\n{INSTANCE}"),
        format!("[fallback]\nbase_url = \"http://x\"\nca_file = {path:?}\n{INSTANCE}"),
        format!("[server.tls]\ncert_file = {path:?}\nkey_file = \"{other}\"\n{INSTANCE}"),
        format!("[server.tls]\ncert_file = \"{other}\"\nkey_file = {path:?}\n{INSTANCE}"),
    ]
}

/// What `check` prints about the configuration file at `path`, which it has to refuse.
async fn refused(path: &Path) -> String {
    let mut check = program(["check", "--config"]);
    let ended = Process::start(check.arg(path)).ended().await;
    assert_eq!((ended.code, &*ended.stdout), (Some(64), ""), "{ended:?}");
    ended.stderr
}

fn at(directory: &TempDir, name: &str) -> PathBuf {
    directory.path().join(name)
}

/// In a process, which is killed where it waits for ever.
#[tokio::test]
async fn what_is_no_regular_file_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for path in [&*fifo(&directory), Path::new("/dev/zero"), directory.path()] {
        let told = refused(path).await;
        assert!(told.contains("is not a regular file"), "{path:?}: {told}");
        for text in places(path) {
            let told = refused(file(&text).path()).await;
            assert!(told.contains("is not a regular file"), "{text}: {told}");
        }
    }
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = at(&directory, "large");
    fs::write(&path, "#".repeat(MIB + 1)).unwrap();
    let told = refused(&path).await;
    assert!(
        told.contains("more than 1024 KiB; make it smaller"),
        "{told}"
    );
    for (text, most) in places(&path).iter().zip([64, 1024, 1024, 1024, 1024]) {
        fs::write(&path, "x".repeat(most * KIB + 1)).unwrap();
        let told = refused(file(text).path()).await;
        let part = format!("more than {most} KiB; make it smaller");
        assert!(told.contains(&part), "{text}: {told}");
    }
}

#[test]
fn a_file_may_be_as_large_as_that() {
    let directory = tempfile::tempdir().unwrap();
    let secret = at(&directory, "secret");
    fs::write(&secret, "x".repeat(64 * KIB)).unwrap();
    let [text, ..] = places(&secret);
    let path = at(&directory, "gateway.toml");
    let comment = "#".repeat(MIB - text.len());
    fs::write(&path, text + &comment).unwrap();
    let loaded = config::load(&path).unwrap();
    let token = &loaded.config.instances[0].zapi_token;
    assert_eq!(token.expose().len(), 64 * KIB);
}

#[test]
fn a_link_to_a_file_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    // As Kubernetes lays out a secret.
    fs::create_dir(at(&directory, "..2026")).unwrap();
    fs::write(at(&directory, "..2026/token"), "linked\n").unwrap();
    symlink("..2026", at(&directory, "..data")).unwrap();
    symlink("..data/token", at(&directory, "token")).unwrap();
    let [text, ..] = places(&at(&directory, "token"));
    let config = sound(&text).config;
    assert_eq!(config.instances[0].zapi_token.expose(), "linked");
}
