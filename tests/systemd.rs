//! Notifications to systemd: at the start, around a reload, at the shutdown.

use std::{fs, io::Write as _};

use tempfile::TempDir;
use tokio::net::{TcpStream, UnixDatagram};

use crate::{
    harness::{Setup, soon},
    process::{Process, program},
};

/// A gateway and its notification socket.
struct Notifying {
    gateway: Process,
    socket: UnixDatagram,
    configuration: std::path::PathBuf,
    _directory: TempDir,
}

impl Notifying {
    fn start() -> Self {
        Self::start_with([])
    }

    fn start_with<const N: usize>(environment: [(&str, &str); N]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let configuration = directory.path().join("gateway.toml");
        fs::write(&configuration, Setup::default().toml("http://127.0.0.1:9")).unwrap();
        let mut command = program(["serve", "--config"]);
        command.arg(&configuration).env("NOTIFY_SOCKET", &path);
        command.envs(environment);
        Self {
            gateway: Process::start(&mut command),
            socket,
            configuration,
            _directory: directory,
        }
    }

    /// The next message other than a status alone.
    async fn next(&self) -> String {
        loop {
            let mut message = [0; 4096];
            let length = soon(self.socket.recv(&mut message)).await.unwrap();
            let message = String::from_utf8(message[..length].to_vec()).unwrap();
            if !message.starts_with("STATUS=") {
                return message;
            }
        }
    }

    async fn reload(&self) -> String {
        self.gateway.signal("HUP");
        let reloading = self.next().await;
        assert!(reloading.starts_with("RELOADING=1\n"), "{reloading}");
        assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
        self.next().await
    }
}

#[tokio::test]
async fn start_reload_and_stop() {
    let mut notifying = Notifying::start();
    let ready = notifying.next().await;
    assert!(ready.starts_with("READY=1\n"), "{ready}");
    // The sockets are open by then.
    let address = notifying.gateway.address().await;
    TcpStream::connect(address).await.unwrap();
    let applied = notifying.reload().await;
    assert!(applied.starts_with("READY=1\n"), "{applied}");
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(&notifying.configuration)
        .unwrap();
    file.write_all(b"unheard-of = 1\n").unwrap();
    let refused = notifying.reload().await;
    assert!(refused.starts_with("READY=1\n"), "{refused}");
    assert_ne!(refused, applied, "the status says that it was refused");
    notifying.gateway.signal("TERM");
    let stopping = notifying.next().await;
    assert!(stopping.starts_with("STOPPING=1\n"), "{stopping}");
    assert_eq!(notifying.gateway.ended().await.code, Some(0));
}

#[tokio::test]
async fn the_watchdog_is_notified_until_the_gateway_stops() {
    let notifying = Notifying::start_with([("WATCHDOG_USEC", "20000")]);
    let ready = notifying.next().await;
    assert!(ready.starts_with("READY=1\n"), "{ready}");
    for _ in 0..3 {
        assert_eq!(notifying.next().await, "WATCHDOG=1\n");
    }
    notifying.gateway.signal("TERM");
    while !notifying.next().await.starts_with("STOPPING=1\n") {}
    assert_eq!(notifying.gateway.ended().await.code, Some(0));
}
