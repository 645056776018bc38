//! Unix sockets: the permissions of the file, and when it is replaced or removed. The syntax of the key
//! is tested in `config`.

use std::{
    fs,
    io::ErrorKind,
    os::unix::{fs::PermissionsExt as _, fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, net::UnixStream};

use crate::{
    harness::{Reply, Setup, Upstream, confirms, photo},
    process::{Ended, Process, file, program, without_environment},
};

const CONFIRMED: &str = r#"{"visibility":{"profile":"all"}}"#;

/// A temporary folder, and the path of a socket in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    (folder, path)
}

/// A configuration that listens at the path.
fn text(path: &Path, more: &str, base_url: &str) -> String {
    let listen = format!("listen = \"unix:{}\"\n{more}", path.display());
    let text = Setup::default().toml(base_url);
    text.replacen("listen = \"127.0.0.1:0\"", &listen, 1)
}

/// A gateway that listens at the path.
async fn serve(path: &Path, more: &str, base_url: &str) -> Process {
    let configuration = file(&text(path, more, base_url));
    let mut command = program(["serve", "--config"]);
    let mut gateway = Process::start(command.arg(configuration.path()));
    let line = gateway.stdout.line("listening on").await;
    assert_eq!(line, format!("listening on unix:{}", path.display()));
    gateway
}

async fn run(command: &str, path: &Path) -> Ended {
    let configuration = file(&text(path, "", "http://127.0.0.1:1"));
    let mut command = program([command, "--config"]);
    Process::start(command.arg(configuration.path()))
        .ended()
        .await
}

async fn call(path: &Path) -> Reply {
    let mut caller = UnixStream::connect(path).await.unwrap();
    caller.write_all(photo("ALL").as_bytes()).await.unwrap();
    Reply::read(&mut caller).await
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_call_is_served_and_the_file_is_removed_at_the_stop() {
    let (_folder, path) = place();
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let gateway = serve(&path, "", &upstream.base_url).await;
    assert!(call(&path).await.is_success());
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await.code, Some(0));
    assert!(!path.exists());
}

#[tokio::test]
async fn the_mode_does_not_depend_on_the_umask() {
    for (umask, written, expected) in [
        ("0", "", 0o660),
        ("777", "", 0o660),
        ("22", "socket_mode = \"0666\"", 0o666),
        ("0", "socket_mode = \"600\"", 0o600),
    ] {
        let (_folder, path) = place();
        let configuration = file(&text(&path, written, "http://127.0.0.1:1"));
        let mut shell = Command::new("sh");
        without_environment(shell.args(["-c", "umask $0; exec \"$@\"", umask]));
        shell.arg(env!("CARGO_BIN_EXE_zapi-to-ryze"));
        shell.args(["serve", "--config"]).arg(configuration.path());
        let mut gateway = Process::start(&mut shell);
        gateway.stdout.line("listening on").await;
        assert_eq!(mode(&path), expected, "{umask} {written}");
    }
}

#[tokio::test]
async fn a_stale_file_is_replaced() {
    let (_folder, path) = place();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let _gateway = serve(&path, "", &upstream.base_url).await;
    assert!(call(&path).await.is_success());
}

#[tokio::test]
async fn a_socket_in_use_and_other_files_are_not_replaced() {
    let (_folder, path) = place();
    let in_use = UnixListener::bind(&path).unwrap();
    in_use.set_nonblocking(true).unwrap();
    let [no_socket, link] = ["txt", "link"].map(|extension| path.with_extension(extension));
    fs::write(&no_socket, "mine").unwrap();
    symlink(&path, &link).unwrap();
    for (path, part) in [
        (&path, "another process listens on it"),
        (&no_socket, "is not a socket"),
        (&link, "is not a socket"),
    ] {
        let before = fs::symlink_metadata(path).unwrap().file_type();
        let ended = run("serve", path).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
        for part in [part, path.to_str().unwrap()] {
            assert!(ended.stderr.contains(part), "{}", ended.stderr);
        }
        let after = fs::symlink_metadata(path).unwrap().file_type();
        assert_eq!(before, after, "{part}");
    }
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
}

#[tokio::test]
async fn a_file_that_replaced_the_socket_is_not_removed() {
    let (_folder, path) = place();
    let gateway = serve(&path, "", "http://127.0.0.1:1").await;
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another's").unwrap();
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await.code, Some(0));
    assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
}

#[tokio::test]
async fn check_opens_nothing() {
    let (folder, path) = place();
    assert_eq!(run("check", &path).await.code, Some(0));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let in_use = UnixListener::bind(&path).unwrap();
    in_use.set_nonblocking(true).unwrap();
    assert_eq!(run("check", &path).await.code, Some(0));
    assert_eq!(in_use.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}
