//! The program as a child process: started with arguments, read on both streams, sent signals, and
//! killed with the test. It has no assertions on behaviour.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read, Write as _},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
};

use tempfile::{NamedTempFile, TempDir};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::watch};

use crate::harness::{Reply, soon};

/// The program, about to be started with an environment of which nothing but `PATH` is left.
pub fn program(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zapi-to-ryze"));
    command.args(arguments);
    without_environment(&mut command);
    command
}

/// Leaves a command nothing but `PATH`.
pub fn without_environment(command: &mut Command) {
    command
        .env_clear()
        .envs(env::var_os("PATH").map(|path| ("PATH", path)));
}

/// A file that lasts as long as its owner.
pub fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// A file whose readers wait for a writer, and its writers for a reader.
pub fn fifo(directory: &TempDir) -> PathBuf {
    let path = directory.path().join("fifo");
    let status = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(status.success());
    path
}

/// Sends bytes on a connection of their own and reads one answer.
pub async fn send(address: SocketAddr, request: impl AsRef<[u8]>) -> Reply {
    let mut caller = TcpStream::connect(address).await.unwrap();
    caller.write_all(request.as_ref()).await.unwrap();
    Reply::read(&mut caller).await
}

/// A process; dropping it kills it.
pub struct Process {
    child: Child,
    pub stdout: Output,
    pub stderr: Output,
}

/// What a process left behind.
#[derive(Debug)]
pub struct Ended {
    /// None where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The access log lines of a log.
pub fn request_lines(log: &str) -> Vec<&str> {
    let is_told = |line: &&str| line.contains("total_ms");
    log.lines().filter(is_told).collect()
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        Self {
            stdout: Output::gather(child.stdout.take().unwrap()),
            stderr: Output::gather(child.stderr.take().unwrap()),
            child,
        }
    }

    /// A gateway with this configuration, and where it serves its callers.
    pub async fn serve(configuration: &str) -> (Self, SocketAddr) {
        let file = file(configuration);
        let arguments = [
            OsStr::new("serve"),
            OsStr::new("--config"),
            file.path().as_os_str(),
        ];
        let mut gateway = Self::start(&mut program(arguments));
        let address = gateway.address().await;
        (gateway, address)
    }

    /// Where it listens, once it says so.
    pub async fn address(&mut self) -> SocketAddr {
        let line = self.stdout.line("listening on http").await;
        let (_, address) = line.split_once("://").unwrap();
        address.parse().unwrap()
    }

    /// Where its admin listener is; its log has to be JSON.
    pub async fn admin_address(&mut self) -> SocketAddr {
        let line = self.stderr.line("the admin listener is ready").await;
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        event["address"].as_str().unwrap().parse().unwrap()
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, `TERM` or `INT`.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let status = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        let stdout = self.stdout.whole().await;
        let stderr = self.stderr.whole().await;
        // Both streams are closed, so it is about to be gone.
        let code = self.child.wait().unwrap().code();
        Ended {
            code,
            stdout,
            stderr,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stream of a process, of which whole lines were read so far.
pub struct Output(watch::Receiver<String>);

impl Output {
    fn gather(stream: impl Read + Send + 'static) -> Self {
        let (text, output) = watch::channel(String::new());
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).unwrap() > 0 {
                text.send_modify(|text| text.push_str(&String::from_utf8_lossy(&line)));
                line.clear();
            }
        });
        Self(output)
    }

    /// Waits for a line with `part` in it.
    pub async fn line(&mut self, part: &str) -> String {
        match soon(self.0.wait_for(|text| text.contains(part))).await {
            Ok(text) => text
                .lines()
                .find(|line| line.contains(part))
                .unwrap()
                .to_owned(),
            Err(_) => panic!("it ended without {part:?}"),
        }
    }

    /// What was read so far.
    pub fn so_far(&self) -> String {
        self.0.borrow().clone()
    }

    async fn whole(&mut self) -> String {
        soon(async { while self.0.changed().await.is_ok() {} }).await;
        self.so_far()
    }
}
