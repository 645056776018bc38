//! A browser that tests drive: a headless Chromium behind a chromedriver of its own, spoken to in
//! WebDriver's JSON over HTTP. What a page is to show belongs in the tests.

use std::{
    io::{Read as _, Write as _},
    net::{self, SocketAddr},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{
    harness::{PATIENCE, soon},
    process::{Process, send},
};

/// Keeps Chromium from what a test does not need: a sandbox in the container, a screen, and services
/// of its vendor.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser with one page; it ends with its owner.
pub struct Browser {
    address: SocketAddr,
    session: String,
    // The driver goes before the directory in which its browser writes.
    _driver: Process,
    _profile: TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        let profile = TempDir::new().unwrap();
        let mut driver = Process::start(Command::new("chromedriver").arg("--port=0"));
        let line = driver.stdout.line("started successfully on port").await;
        let port = line.trim_end_matches('.').rsplit(' ').next().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));

        let mut arguments: Vec<_> = FLAGS.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": arguments},
        });
        let wanted = json!({"capabilities": {"alwaysMatch": wanted}});
        let session = post(address, "/session", &wanted).await;
        Self {
            address,
            session: format!("/session/{}", session["sessionId"].as_str().unwrap()),
            _driver: driver,
            _profile: profile,
        }
    }

    /// Loads a page.
    pub async fn open(&self, url: &str) {
        self.command("/url", &json!({ "url": url })).await;
    }

    /// Gives the page the size of a screen that people hold in their hands, in CSS pixels.
    pub async fn resize(&self, width: u32, height: u32) {
        let screen =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": true});
        let command = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": screen});
        self.command("/goog/cdp/execute", &command).await;
    }

    /// Sends this `Accept-Language` from now on.
    pub async fn accept_language(&self, languages: &str) {
        let params = json!({"headers": {"Accept-Language": languages}});
        for command in [
            json!({"cmd": "Network.enable", "params": {}}),
            json!({"cmd": "Network.setExtraHTTPHeaders", "params": params}),
        ] {
            self.command("/goog/cdp/execute", &command).await;
        }
    }

    /// What an expression of JavaScript is on the page.
    pub async fn evaluate(&self, expression: &str) -> Value {
        let script = json!({"script": format!("return {expression}"), "args": []});
        self.command("/execute/sync", &script).await
    }

    /// Waits until an expression of JavaScript has this value.
    pub async fn wait_for(&self, expression: &str, value: impl Into<Value>) {
        let value = value.into();
        soon(async {
            while self.evaluate(expression).await != value {
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    /// What its console told since it was last asked: errors, and violations of the page's policy.
    pub async fn console(&self) -> Value {
        self.command("/se/log", &json!({"type": "browser"})).await
    }

    async fn command(&self, path: &str, body: &Value) -> Value {
        post(self.address, &format!("{}{path}", self.session), body).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A driver that is killed leaves its browser behind, so that is to end first.
        let end = || {
            let mut driver = net::TcpStream::connect(self.address)?;
            driver.set_read_timeout(Some(PATIENCE))?;
            write!(
                driver,
                "DELETE {} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                self.session
            )?;
            driver.read(&mut [0])
        };
        let _ = end();
    }
}

/// Posts a command to the driver, which accepts no other `Host` than its own.
async fn post(driver: SocketAddr, path: &str, body: &Value) -> Value {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let reply = send(driver, request).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.message.body);
    let mut answer: Value = serde_json::from_str(&reply.message.body).unwrap();
    answer["value"].take()
}
