//! A Redis for a test, which starts, commands, stops and restarts it. It has no assertions on behaviour.

use std::{net::SocketAddr, process::Command};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{RootCertStore, pki_types::CertificateDer};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{harness::soon, process::Process};

/// A Redis server on a port of its own; dropping it kills it.
pub struct Redis {
    server: Option<Process>,
    arguments: Vec<String>,
    directory: TempDir,
    pub address: SocketAddr,
}

impl Redis {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more arguments for its command line.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let mut redis = Self {
            server: None,
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            directory: TempDir::new().unwrap(),
            address: free_address().await,
        };
        redis.start_again().await;
        redis
    }

    /// With TLS on a second port, and the roots with which its certificate is valid.
    pub async fn start_with_tls() -> (Self, String, RootCertStore) {
        let directory = TempDir::new().unwrap();
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = authority.self_signed(&authority_key).unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(certificate.der().to_vec()))
            .unwrap();
        let authority = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let server = server.signed_by(&key, &authority).unwrap();
        let write = |name: &str, text: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let port = free_address().await.port().to_string();
        let mut redis = Self::start_with(&[
            "--tls-port",
            &port,
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            &write("cert.pem", server.pem()),
            "--tls-key-file",
            &write("key.pem", key.serialize_pem()),
            "--tls-ca-cert-file",
            &write("ca.pem", certificate.pem()),
        ])
        .await;
        redis.directory = directory;
        (redis, format!("rediss://localhost:{port}"), roots)
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Kills it without a word.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it on the same port, with nothing in it.
    pub async fn start_again(&mut self) {
        let port = self.address.port().to_string();
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &port])
            .args(["--save", "", "--appendonly", "no"])
            .args(&self.arguments)
            .current_dir(self.directory.path());
        self.server = Some(Process::start(&mut command));
        soon(async {
            while self
                .try_tell("PING")
                .await
                .is_none_or(|line| line.starts_with("-LOADING"))
            {}
        })
        .await;
    }

    /// `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        self.server.as_ref().unwrap().signal(name);
    }

    /// Sends a command and reads the first line of the answer.
    pub async fn tell(&self, command: &str) -> String {
        self.try_tell(command).await.expect("an answer of Redis")
    }

    async fn try_tell(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).await.ok()?;
        stream
            .write_all(format!("{command}\r\n").as_bytes())
            .await
            .ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.ok()?;
        (!line.is_empty()).then(|| line.trim_end().to_owned())
    }
}

/// An address of this machine without a listener.
pub async fn free_address() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    socket.local_addr().unwrap()
}
