//! What is passed on to the old vendor, byte for byte. `routing` is about which calls are, `refusals`
//! about which must not be, `heads` and `targets` about the head of a request on its way, `answers`
//! about what comes back, `connections` about the sockets on either side, `log` about what is told of
//! it. `bodies` is about bodies, time limits and what becomes of connections. Here is what they are made with: a vendor that
//! remembers what it was sent, and messages compared as RFC 9110 does.

mod answers;
mod bodies;
mod connections;
mod heads;
mod log;
mod refusals;
mod routing;
mod targets;

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

/// An answer that only the vendor gives.
const VENDORS: &str = "HTTP/1.1 299 Vendor\r\nContent-Length: 6\r\n\r\nvendor";
/// Where the calls of the configured instance are.
const OF_I1: &str = "/instances/I1/token/T1";
/// A request that is not translated, and the last on its connection.
const REQUEST: &str = "GET /x HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n";

/// An old vendor that answers every request in the same way.
struct Vendor {
    authority: String,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// What becomes of a connection on which a request was answered.
#[derive(Clone, Copy)]
enum After {
    Keep,
    Close,
}

impl Vendor {
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

    /// The requests that arrived so far, each as it came.
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// The connections that were opened so far.
    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Vendor {
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
        // The gateway may have hung up on an answer that is too much.
        let _ = stream.write_all(&answer).await;
        if let After::Close = after {
            return;
        }
    }
}

/// A gateway between its two vendors.
struct Scene {
    gateway: Gateway,
    ryze: Upstream,
    vendor: Vendor,
}

impl Scene {
    /// With a vendor that can be told by its answers.
    async fn start(setup: Setup) -> Self {
        let vendor = Vendor::start(VENDORS, After::Keep).await;
        Self::with(setup, confirming().await, vendor, "").await
    }

    /// With a vendor that gives this answer.
    async fn answering(answer: &str, after: After) -> Self {
        let vendor = Vendor::start(answer, after).await;
        Self::with(Setup::default(), confirming().await, vendor, "").await
    }

    /// With these vendors, and a path in the base URL of the old one.
    async fn with(setup: Setup, ryze: Upstream, vendor: Vendor, path: &str) -> Self {
        let setup = Setup {
            fallback: format!("base_url = \"http://{}{path}\"", vendor.authority),
            ..setup
        };
        Self {
            gateway: setup.start(&ryze.base_url).await,
            ryze,
            vendor,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.gateway.address).await.unwrap()
    }

    /// Sends a request on a connection of its own and reads one answer.
    async fn send(&self, request: &str) -> String {
        let mut caller = self.connect().await;
        caller.write_all(&bytes(request)).await.unwrap();
        soon(read(&mut caller)).await
    }

    /// What the vendor sees of a request.
    async fn passed_on(&self, request: &str) -> String {
        let answer = self.send(request).await;
        assert!(answer.contains(" 299 Vendor\r\n"), "{request}: {answer}");
        self.vendor.seen().pop().unwrap()
    }

    /// Sends a request with which the connection is to end, and reads all that comes.
    async fn exchange(&self, request: &str) -> String {
        let mut caller = self.connect().await;
        caller.write_all(&bytes(request)).await.unwrap();
        let mut answer = Vec::new();
        soon(caller.read_to_end(&mut answer)).await.unwrap();
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

/// Reads one message, each byte as the character of that number; what there is where the stream ends.
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

/// The bytes of characters that each stand for one.
fn bytes(text: &str) -> Vec<u8> {
    let byte = |character| u8::try_from(character).unwrap();
    text.chars().map(byte).collect()
}

/// A text whose lines end as HTTP wants it.
fn wire(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// A message in what it means: names of headers have no case, and only those of one name an order.
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
            // One that the gateway made is new each time.
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
