//! The proxy to the fallback, byte for byte over sockets.
//!
//! `routing`: calls that are forwarded. `refusals`: calls that must not be. `heads`, `targets`: request
//! heads. `upgrades`: offers of another protocol. `answers`: responses. `connections`: connections on either
//! side. `repeats`: safe requests that are sent again. `log`: log entries. `contacts`: changes of a list of
//! contacts, in their turn. `observe`: instances that are observed. `bodies`: bodies, time limits and aborts.
//! This file has a fallback that records requests, and messages that are compared by RFC 9110's rules.

mod answers;
mod bodies;
mod connections;
mod contacts;
mod heads;
mod log;
mod observe;
mod refusals;
mod repeats;
mod routing;
mod targets;
mod upgrades;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::harness::{Gateway, Setup, Upstream, confirms, soon};

/// A response that only the fallback sends.
const FALLBACK_RESPONSE: &str = "HTTP/1.1 299 Vendor\r\nContent-Length: 6\r\n\r\nvendor";
/// The path of the configured instance.
const OF_I1: &str = "/instances/I1/token/T1";
/// A request that is forwarded and closes its connection.
const REQUEST: &str = "GET /x HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n";

/// A fallback that sends the same response to every request.
struct Fallback {
    authority: String,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// Whether the fallback keeps a connection open after a response.
#[derive(Clone, Copy)]
enum After {
    Keep,
    Close,
}

impl Fallback {
    async fn start(answer: &str, after: After) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = socket.local_addr().unwrap().to_string();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let connections = Arc::<AtomicUsize>::default();
        let (log, accepted) = (Arc::clone(&seen), Arc::clone(&connections));
        let answer = Arc::<str>::from(answer);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                tokio::spawn(serve(stream, answer, after, log));
            }
        });
        Self {
            authority,
            seen,
            connections,
            task,
        }
    }

    /// The requests received so far, byte for byte.
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// The number of connections accepted so far.
    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Fallback {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Arc<str>,
    after: After,
    seen: Arc<Mutex<Vec<String>>>,
) {
    loop {
        let request = read(&mut stream).await;
        if request.is_empty() {
            return;
        }
        let mut answer = bytes(&answer);
        if request.starts_with("HEAD ") {
            let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            answer.truncate(end.map_or(0, |end| end + 4));
        }
        seen.lock().unwrap().push(request);
        // The gateway may have closed the connection because the response is too large.
        let _ = stream.write_all(&answer).await;
        if let After::Close = after {
            return;
        }
    }
}

/// A gateway with its two upstreams.
struct Scene {
    gateway: Gateway,
    ryze: Upstream,
    fallback: Fallback,
}

impl Scene {
    /// With a fallback whose responses are recognizable.
    async fn start(setup: Setup) -> Self {
        let fallback = Fallback::start(FALLBACK_RESPONSE, After::Keep).await;
        Self::with(setup, confirming().await, fallback, "").await
    }

    /// With a fallback that sends this response.
    async fn answering(answer: &str, after: After) -> Self {
        let fallback = Fallback::start(answer, after).await;
        Self::with(Setup::default(), confirming().await, fallback, "").await
    }

    /// With these upstreams, and a path in the base URL of the fallback.
    async fn with(setup: Setup, ryze: Upstream, fallback: Fallback, path: &str) -> Self {
        let setup = Setup {
            fallback: format!("base_url = \"http://{}{path}\"", fallback.authority),
            ..setup
        };
        Self {
            gateway: setup.start(&ryze.base_url).await,
            ryze,
            fallback,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.gateway.address).await.unwrap()
    }

    /// Sends a request on a new connection and reads one response.
    async fn send(&self, request: &str) -> String {
        let mut client = self.connect().await;
        client.write_all(&bytes(request)).await.unwrap();
        soon(read(&mut client)).await
    }

    /// Sends a request and returns it as the fallback received it.
    async fn passed_on(&self, request: &str) -> String {
        let answer = self.send(request).await;
        assert!(answer.contains(" 299 Vendor\r\n"), "{request}: {answer}");
        self.fallback.seen().pop().unwrap()
    }

    /// Sends a request that closes its connection and reads until the end.
    async fn exchange(&self, request: &str) -> String {
        let mut client = self.connect().await;
        client.write_all(&bytes(request)).await.unwrap();
        let mut answer = Vec::new();
        soon(client.read_to_end(&mut answer)).await.unwrap();
        answer.into_iter().map(char::from).collect()
    }
}

/// A Ryze that confirms that everyone may see the photo.
async fn confirming() -> Upstream {
    Upstream::start(confirms(r#"{"visibility":{"profile":"all"}}"#)).await
}

/// A call without a body.
fn call(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\n\r\n")
}

/// Reads one message, each byte as the character of that number. At the end of the stream, returns what
/// was read.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut message = String::new();
    while !is_whole(&message) {
        match stream.read_u8().await {
            Ok(byte) => message.push(byte.into()),
            Err(_) => break,
        }
    }
    message
}

fn is_whole(message: &str) -> bool {
    let Some((head, body)) = message.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_ascii_lowercase();
    if head.contains("\r\ntransfer-encoding: chunked") {
        return body.ends_with("0\r\n\r\n");
    }
    let length = head.split("\r\ncontent-length: ").nth(1);
    let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
    body.len() >= length
}

/// The inverse of [`read`]: one byte for each character.
fn bytes(text: &str) -> Vec<u8> {
    let byte = |character| u8::try_from(character).unwrap();
    text.chars().map(byte).collect()
}

/// The text with CRLF line ends.
fn wire(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// A message, normalized: header names are case-insensitive, and only fields of one name have an order.
#[derive(Debug, PartialEq)]
struct Meaning {
    first_line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Meaning {
    fn of(message: &str) -> Self {
        let (head, body) = message.split_once("\r\n\r\n").expect(message);
        let (first_line, lines) = head.split_once("\r\n").unwrap_or((head, ""));
        let lines = lines.split("\r\n").filter(|line| !line.is_empty());
        let mut headers: Vec<_> = lines
            .map(|line| line.split_once(':').expect(line))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            // An id that the gateway generated is random.
            .filter(|(name, id)| name != "x-request-id" || id.len() != 32)
            .collect();
        headers.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self {
            first_line: first_line.to_owned(),
            headers,
            body: body.to_owned(),
        }
    }
}
