//! The client: it makes one request a connection and reads the whole response.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use zapi_to_ryze::sandbox::{Options, Sandbox};

pub const UPDATE: &str = "POST /api/profile/privacy/main";
pub const READ: &str = "GET /api/profile/getPrivacy/main";
pub const TOKEN: &str = "token: sandbox-token";
pub const ACCOUNT: &str = "token: sandbox-account";
pub const TOKEN_AND_JSON: &str = "token: sandbox-token\ncontent-type: application/json";
pub const HIDE_PHOTO: &str = r#"{"visibility":{"profile":"none"}}"#;

/// A caller and how it reaches the sandbox.
pub enum Caller {
    Socket(SocketAddr),
    Pipe(Sandbox),
}

pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Caller {
    /// `line` is method and path, `headers` one a line. `None` is a connection closed unanswered.
    pub async fn call(&self, line: &str, headers: &str, body: &str) -> Option<Got> {
        match self {
            Self::Socket(address) => {
                let stream = TcpStream::connect(address).await.unwrap();
                send(stream, line, headers, body).await
            }
            Self::Pipe(sandbox) => send(pipe(sandbox), line, headers, body).await,
        }
    }

    pub async fn update(&self, body: &str) -> Got {
        self.call(UPDATE, TOKEN_AND_JSON, body).await.unwrap()
    }

    pub async fn read(&self) -> Got {
        self.call(READ, TOKEN, "").await.unwrap()
    }

    /// Does something to the sandbox that must succeed.
    pub async fn control(&self, line: &str, body: &Value) {
        let got = self.call(line, "", &body.to_string()).await.unwrap();
        let done = (200, r#"{"success":true}"#);
        assert_eq!((got.status, &*got.body), done, "{line} {body}");
    }
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status and message of a refusal.
    pub fn refusal(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(body["success"], false);
        let message = body["error"]["message"].as_str().unwrap();
        (self.status, message.to_owned())
    }

    pub fn number(&self, header: &str) -> u64 {
        self.headers[header].to_str().unwrap().parse().unwrap()
    }

    pub fn remaining(&self) -> u64 {
        self.number("x-ratelimit-remaining")
    }

    pub fn reset(&self) -> u64 {
        self.number("x-ratelimit-reset")
    }
}

/// A sandbox over a socket.
pub async fn start() -> (Sandbox, Caller) {
    let sandbox = Sandbox::new(Options::default());
    let (address, _) = listen(&sandbox).await;
    (sandbox, Caller::Socket(address))
}

/// A sandbox over in-memory pipes, which a paused clock needs.
pub fn start_in_memory(options: Options) -> (Sandbox, Caller) {
    let sandbox = Sandbox::new(options);
    (sandbox.clone(), Caller::Pipe(sandbox))
}

pub async fn listen(sandbox: &Sandbox) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(sandbox.clone().serve(listener)))
}

/// The caller's end of a connection.
pub fn pipe(sandbox: &Sandbox) -> DuplexStream {
    let (near, far) = duplex(64 * 1024);
    let sandbox = sandbox.clone();
    tokio::spawn(async move { sandbox.serve_connection(TokioIo::new(far)).await });
    near
}

/// The settings of an instance that has changed its photo's at most.
pub fn settings(profile: &str) -> Value {
    json!({
        "visibility": {"lastSeen": "all", "status": "all", "profile": profile, "online": "all"},
        "privacy": {"readReceipts": "all"},
        "permissions": {"callAdd": "all", "groupAdd": "all"},
    })
}

async fn send<S>(stream: S, line: &str, headers: &str, body: &str) -> Option<Got>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for header in headers.lines() {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    let exchange = async move {
        let answer = sender.send_request(request.body(body).unwrap()).await;
        let (head, body) = answer.ok()?.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Some(Got {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        })
    };
    tokio::join!(connection, exchange).1
}
