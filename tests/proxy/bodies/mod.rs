//! The bodies of what goes to the old vendor and comes from it, their time limits, and the connections
//! that they take with them. What goes there, and the heads of it, does not belong here.

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

/// The two ways to say where a body ends.
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

/// A body in two pieces, as it is on the wire, and the header that goes before it.
struct Framing {
    header: (&'static str, &'static str),
    /// The header of the other way.
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

/// A gateway in front of an old vendor that the test plays itself.
struct Proxy {
    gateway: Gateway,
    vendor: TcpListener,
}

impl Proxy {
    async fn start() -> Self {
        Self::with("", "").await
    }

    /// With more lines for the tables `server` and `fallback`.
    async fn with(server: &'static str, fallback: &str) -> Self {
        let vendor = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = setup(server, &vendor, fallback).start(NOWHERE).await;
        Self { gateway, vendor }
    }

    /// A new caller.
    async fn caller(&self) -> End {
        End(TcpStream::connect(self.gateway.address).await.unwrap())
    }

    /// The vendor's end of the gateway's next connection.
    async fn vendor(&self) -> End {
        End(soon(self.vendor.accept()).await.unwrap().0)
    }

    /// A caller that has sent this, and the vendor's end of the connection, with the head that came.
    async fn asked(&self, request: impl AsRef<[u8]>) -> (End, End, Message) {
        let mut caller = self.caller().await;
        caller.send(request).await;
        let mut vendor = self.vendor().await;
        let head = vendor.head().await;
        (caller, vendor, head)
    }
}

/// Where Ryze would be, and nothing is.
const NOWHERE: &str = "http://127.0.0.1:1";

/// The configuration of a gateway in front of this vendor.
fn setup(server: &'static str, vendor: &TcpListener, fallback: &str) -> Setup {
    let address = vendor.local_addr().unwrap();
    Setup {
        server,
        fallback: format!("base_url = \"http://{address}\"\n{fallback}"),
        ..Setup::default()
    }
}

/// The test's end of a connection: the caller's, or the vendor's.
struct End(TcpStream);

impl End {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.0.write_all(bytes.as_ref())).await.unwrap();
    }

    /// The next head.
    async fn head(&mut self) -> Message {
        soon(Message::read_head(&mut self.0)).await.expect("a head")
    }

    /// The next answer's head.
    async fn answer(&mut self) -> Reply {
        self.head().await.into()
    }

    /// Reads what has to come next.
    async fn receives(&mut self, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        soon(self.0.read_exact(&mut bytes)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }

    /// What comes until the connection is closed or reset, and whether it was closed.
    async fn rest(&mut self) -> (String, bool) {
        let mut rest = Vec::new();
        let closed = soon(self.0.read_to_end(&mut rest)).await.is_ok();
        (String::from_utf8(rest).unwrap(), closed)
    }

    /// Waits until the connection is closed or reset without another byte.
    async fn ends(&mut self) {
        assert_eq!(self.rest().await.0, "");
    }

    /// Sees that nothing comes for a moment: a wait that is too short hides a failure and makes none.
    async fn hears_nothing(&mut self) {
        let heard = timeout(Duration::from_millis(100), self.0.read_u8()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    /// Closes with a reset.
    fn reset(self) {
        self.0.set_zero_linger().unwrap();
    }
}
