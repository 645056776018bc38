//! Metrics, status and log of a running gateway, and the reload. The shutdown is in `stop.rs`, the page
//! in `page.rs`.

mod activity;
mod flood;
mod ids;
mod load;
mod metrics;
mod reasons;
mod reload;
mod status;

use std::{fs, net::SocketAddr};

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{
    harness::{Reply, soon},
    process::{Process, file, program, send},
};

/// A gateway with the file that it was started from.
pub struct Operated {
    pub gateway: Process,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    file: NamedTempFile,
}

impl Operated {
    pub async fn start(configuration: &str) -> Self {
        let file = file(configuration);
        let mut command = program(["serve", "--config"]);
        let mut gateway = Process::start(command.arg(file.path()));
        Self {
            address: gateway.address().await,
            admin: gateway.admin_address().await,
            gateway,
            file,
        }
    }

    /// What the admin listener answers to a GET.
    pub async fn get(&self, path: &str) -> Reply {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.admin);
        send(self.admin, request).await
    }

    /// `/metrics` in the classic text format.
    pub async fn classic_metrics(&self) -> String {
        let accept = "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let host = self.admin;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n");
        let reply = send(self.admin, request).await;
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        assert_eq!(reply.header("content-type"), Some(kind));
        reply.message.body
    }

    pub async fn status(&self) -> Value {
        serde_json::from_str(&self.get("/status").await.message.body).unwrap()
    }

    /// The value of a sample, named with its labels as it is written.
    pub async fn sample(&self, sample: &str) -> Option<f64> {
        let metrics = self.get("/metrics").await.message.body;
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }

    /// Has it load another configuration, and waits until it has taken it over or refused it.
    pub async fn reload(&self, configuration: &str) {
        let before = self.reloads().await;
        fs::write(self.file.path(), configuration).unwrap();
        self.gateway.signal("HUP");
        soon(async { while self.reloads().await == before {} }).await;
    }

    async fn reloads(&self) -> (u64, u64) {
        let status = self.status().await;
        let count = |key| status["configuration"][key].as_u64().unwrap();
        (count("reloads_applied"), count("reloads_refused"))
    }

    /// Sends bytes to the callers' listener.
    pub async fn send(&self, request: impl AsRef<[u8]>) -> Reply {
        send(self.address, request).await
    }
}
