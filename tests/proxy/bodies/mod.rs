//! Forwarded bodies: streaming, time limits, aborts, and the connections that they are sent on.

mod aborts;
mod early_answers;
mod expect;
mod memory;
mod once;
mod stop;
mod streaming;
mod time_limits;
mod tls;
mod trailers;

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::harness::{Gateway, Message, Reply, Setup, soon};

/// A request without a body.
const GET: &str = "GET /media HTTP/1.1\r\nHost: gateway\r\n\r\n";
/// An answer without a body.
const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// The two framings of a body: by length, and chunked.
const FRAMINGS: [Framing; 2] = [
    Framing {
        header: ("content-length", "10"),
        absent: "transfer-encoding",
        pieces: ["first", "other"],
    },
    Framing {
        header: ("transfer-encoding", "chunked"),
        absent: "content-length",
        pieces: ["5\r\nfirst\r\n", "5\r\nother\r\n0\r\n\r\n"],
    },
];

/// A body in two pieces, as encoded on the wire, and its framing header.
struct Framing {
    header: (&'static str, &'static str),
    /// The header of the other framing.
    absent: &'static str,
    pieces: [&'static str; 2],
}

impl Framing {
    /// The head of a request with this body.
    fn request(&self, method: &str) -> String {
        let (name, value) = self.header;
        format!("{method} /media HTTP/1.1\r\nHost: gateway\r\n{name}: {value}\r\n\r\n")
    }

    /// The head of an answer with this body.
    fn answer(&self) -> String {
        let (name, value) = self.header;
        format!("HTTP/1.1 200 OK\r\n{name}: {value}\r\n\r\n")
    }

    fn assert_is_of(&self, message: &Message) {
        let (name, value) = self.header;
        assert_eq!(message.header(name), Some(value), "{message:?}");
        assert_eq!(message.header(self.absent), None, "{message:?}");
    }
}

/// A gateway whose fallback is played by the test.
struct Proxy {
    gateway: Gateway,
    fallback: TcpListener,
}

impl Proxy {
    async fn start() -> Self {
        Self::with("", "").await
    }

    /// With additional keys in the tables `server` and `fallback`.
    async fn with(server: &'static str, fallback_keys: &str) -> Self {
        let fallback = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = setup(server, &fallback, fallback_keys).start(NOWHERE).await;
        Self { gateway, fallback }
    }

    /// A new connection to the gateway.
    async fn client(&self) -> End {
        End(TcpStream::connect(self.gateway.address).await.unwrap())
    }

    /// Accepts the gateway's next connection.
    async fn fallback(&self) -> End {
        End(soon(self.fallback.accept()).await.unwrap().0)
    }

    /// Sends a request; returns the client's and the fallback's end, and the head that the fallback received.
    async fn asked(&self, request: impl AsRef<[u8]>) -> (End, End, Message) {
        let mut client = self.client().await;
        client.send(request).await;
        let mut fallback = self.fallback().await;
        let head = fallback.head().await;
        (client, fallback, head)
    }
}

/// A base URL for Ryze at which nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";

/// The configuration of a gateway with this fallback.
fn setup(server: &'static str, fallback: &TcpListener, fallback_keys: &str) -> Setup {
    let address = fallback.local_addr().unwrap();
    Setup {
        server,
        fallback: format!("base_url = \"http://{address}\"\n{fallback_keys}"),
        ..Setup::default()
    }
}

/// The test's end of a connection, as client or as fallback.
struct End(TcpStream);

impl End {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.0.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Reads the next head.
    async fn head(&mut self) -> Message {
        soon(Message::read_head(&mut self.0)).await.expect("a head")
    }

    /// Reads the head of the next response.
    async fn answer(&mut self) -> Reply {
        self.head().await.into()
    }

    /// Reads exactly this.
    async fn receives(&mut self, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        soon(self.0.read_exact(&mut bytes)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }

    /// Reads until the connection is closed or reset; returns the bytes and whether it was closed.
    async fn rest(&mut self) -> (String, bool) {
        let mut rest = Vec::new();
        let closed = soon(self.0.read_to_end(&mut rest)).await.is_ok();
        (String::from_utf8(rest).unwrap(), closed)
    }

    /// Waits until the connection is closed or reset without another byte.
    async fn ends(&mut self) {
        assert_eq!(self.rest().await.0, "");
    }

    /// Asserts that no byte arrives for a moment. A wait that is too short can only miss a failure.
    async fn hears_nothing(&mut self) {
        let heard = timeout(Duration::from_millis(100), self.0.read_u8()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    /// Closes with a reset.
    fn reset(self) {
        self.0.set_zero_linger().unwrap();
    }
}
