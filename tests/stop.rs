//! Shutdown of the process: signals, requests in flight, and exit codes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinSet, yield_now},
};

use crate::{
    harness::{Message, Reply, Setup, Upstream, confirmation, confirms, photo, soon},
    process::{Process, send},
};

const CONFIRMED: &str = r#"{"visibility":{"profile":"all"}}"#;

/// A gateway with more lines for its table `server`, in front of a Ryze that the test plays itself.
struct Stopping {
    gateway: Process,
    address: SocketAddr,
    ryze: TcpListener,
}

impl Stopping {
    async fn start(server: &'static str) -> Self {
        let ryze = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", ryze.local_addr().unwrap());
        let (gateway, address) = Process::serve(&setup(server).toml(&base_url)).await;
        Self {
            gateway,
            address,
            ryze,
        }
    }

    /// A caller whose request is at Ryze, and the connection on which Ryze is to answer it.
    async fn in_flight(&self) -> (TcpStream, TcpStream) {
        let mut caller = TcpStream::connect(self.address).await.unwrap();
        caller.write_all(photo("ALL").as_bytes()).await.unwrap();
        let (mut ryze, _) = soon(self.ryze.accept()).await.unwrap();
        soon(Message::read(&mut ryze)).await.unwrap();
        (caller, ryze)
    }
}

fn setup(server: &'static str) -> Setup {
    Setup {
        server,
        ..Setup::default()
    }
}

/// Waits until connections to this address are refused.
async fn closed(address: SocketAddr) {
    soon(async { while TcpStream::connect(address).await.is_ok() {} }).await;
}

/// A caller of whose request the gateway has read the head and can read the body.
async fn being_read(address: SocketAddr) -> TcpStream {
    let mut caller = TcpStream::connect(address).await.unwrap();
    let request = photo("NONE");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = format!("{head}\r\nExpect: 100-continue\r\n\r\n");
    caller.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(Reply::read(&mut caller).await.status, 100);
    caller.write_all(body.as_bytes()).await.unwrap();
    caller
}

/// Whether the connection was closed without another byte.
async fn is_at_its_end(caller: &mut TcpStream) -> bool {
    matches!(soon(caller.read(&mut [0])).await, Ok(0))
}

#[tokio::test]
async fn an_idle_gateway_stops_at_once_and_closes_kept_connections() {
    for signal in ["TERM", "INT"] {
        let upstream = Upstream::start(confirms(CONFIRMED)).await;
        let (gateway, address) = Process::serve(&setup("").toml(&upstream.base_url)).await;
        let mut used = TcpStream::connect(address).await.unwrap();
        used.write_all(photo("ALL").as_bytes()).await.unwrap();
        assert!(Reply::read(&mut used).await.is_success());
        gateway.signal(signal);
        assert!(is_at_its_end(&mut used).await, "{signal}");
        assert_eq!(gateway.ended().await.code, Some(0), "{signal}");
    }
}

#[tokio::test]
async fn what_is_in_flight_is_answered() {
    let stopping = Stopping::start("").await;
    let (mut caller, mut ryze) = stopping.in_flight().await;
    stopping.gateway.signal("TERM");
    closed(stopping.address).await;
    ryze.write_all(confirmation(CONFIRMED).as_bytes())
        .await
        .unwrap();
    assert!(Reply::read(&mut caller).await.is_success());
    assert!(is_at_its_end(&mut caller).await);
    assert_eq!(stopping.gateway.ended().await.code, Some(0));
}

#[tokio::test]
async fn the_delay_tells_the_operator_before_the_callers() {
    let setup = setup("[server.drain]\ndelay = \"2s\"");
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let (mut gateway, address) = Process::serve(&setup.toml(&upstream.base_url)).await;
    let admin = gateway.admin_address().await;
    let status = async |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        send(admin, request).await.status
    };
    assert_eq!((status("/live").await, status("/ready").await), (200, 200));
    gateway.signal("TERM");
    soon(async { while status("/ready").await != 503 {} }).await;
    assert_eq!(status("/live").await, 200);
    assert!(send(address, photo("ALL")).await.is_success());
    closed(address).await;
    assert_eq!(gateway.ended().await.code, Some(0));
}

#[tokio::test]
async fn the_limit_ends_what_ryze_does_not_answer() {
    let stopping = Stopping::start("[server.drain]\nlimit = \"1s\"").await;
    let (mut sent, _ryze) = stopping.in_flight().await;
    let mut waiting = being_read(stopping.address).await;
    stopping.gateway.signal("TERM");
    let reply = Reply::read(&mut sent).await;
    reply.assert_failure(504, "GATEWAY_TIMEOUT");
    assert!(reply.text("message").contains("may still take effect"));
    let reply = Reply::read(&mut waiting).await;
    reply.assert_failure(503, "SERVICE_UNAVAILABLE");
    assert!(reply.text("message").contains("nothing was changed"));
    let seconds: u32 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
    assert_eq!(stopping.gateway.ended().await.code, Some(1));
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_ryze() {
    let stopping = Stopping::start("").await;
    let (mut caller, _ryze) = stopping.in_flight().await;
    stopping.gateway.signal("TERM");
    closed(stopping.address).await;
    stopping.gateway.signal("INT");
    let reply = Reply::read(&mut caller).await;
    reply.assert_failure(504, "GATEWAY_TIMEOUT");
    assert_eq!(stopping.gateway.ended().await.code, Some(1));
}

#[tokio::test]
async fn a_second_signal_within_the_delay() {
    let mut stopping = Stopping::start("[server.drain]\ndelay = \"1h\"").await;
    let admin = stopping.gateway.admin_address().await;
    let (mut caller, _ryze) = stopping.in_flight().await;
    stopping.gateway.signal("TERM");
    let ready = "GET /ready HTTP/1.1\r\nHost: a\r\n\r\n";
    soon(async { while send(admin, ready).await.status != 503 {} }).await;
    stopping.gateway.signal("TERM");
    let reply = Reply::read(&mut caller).await;
    reply.assert_failure(504, "GATEWAY_TIMEOUT");
    assert_eq!(stopping.gateway.ended().await.code, Some(1));
}

#[tokio::test]
async fn a_lane_that_listens_after_its_callers_were_told_is_cut_too() {
    let stopping = Stopping::start("deadline = \"300ms\"\n[server.drain]\nlimit = \"1s\"").await;
    let (mut caller, _ryze) = stopping.in_flight().await;
    let reply = Reply::read(&mut caller).await;
    reply.assert_failure(504, "GATEWAY_TIMEOUT");
    drop(caller);
    stopping.gateway.signal("TERM");
    assert_eq!(stopping.gateway.ended().await.code, Some(1));
}

#[tokio::test]
async fn a_caller_whose_body_is_still_read_is_told() {
    let stopping = Stopping::start("[server.drain]\nlimit = \"300ms\"").await;
    let (_sent, _ryze) = stopping.in_flight().await;
    let mut caller = TcpStream::connect(stopping.address).await.unwrap();
    let request = photo("NONE").replace("Host", "Expect: 100-continue\r\nHost");
    let half = &request.as_bytes()[..request.len() - 20];
    caller.write_all(half).await.unwrap();
    assert_eq!(Reply::read(&mut caller).await.status, 100);
    stopping.gateway.signal("TERM");
    let reply = Reply::read(&mut caller).await;
    reply.assert_failure(503, "SERVICE_UNAVAILABLE");
    assert!(reply.text("message").contains("nothing was changed"));
    assert_eq!(stopping.gateway.ended().await.code, Some(1));
}

#[tokio::test]
async fn who_has_not_asked_yet_does_not_make_it_end_by_its_limit() {
    let setup = setup("header_timeout = \"1h\"\n[server.drain]\nlimit = \"5s\"");
    let (gateway, address) = Process::serve(&setup.toml("http://127.0.0.1:9")).await;
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
    // By its answer the others were accepted as well.
    let call = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(send(address, call).await.status, 404);
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await.code, Some(0));
}

/// Calls again and again on one connection until an answer says that it was the last. Tells how many
/// answers there were; every call is answered.
async fn call_without_pause(mut caller: impl AsyncRead + AsyncWrite + Unpin, calls: &AtomicUsize) {
    loop {
        // A connection that is closed without a word may let it be written, and does not answer.
        let _ = caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let reply = Reply::read_or_end(&mut caller).await;
        let reply = reply.expect("no call is lost");
        assert_eq!(reply.status, 404);
        calls.fetch_add(1, Ordering::Relaxed);
        if reply.header("connection") == Some("close") {
            return;
        }
    }
}

#[tokio::test]
async fn callers_without_pause_lose_no_call() {
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    for _ in 0..3 {
        let (gateway, address) = Process::serve(&setup("").toml(&upstream.base_url)).await;
        let calls = Arc::<AtomicUsize>::default();
        let mut callers = JoinSet::new();
        for _ in 0..16 {
            let caller = TcpStream::connect(address).await.unwrap();
            let calls = Arc::clone(&calls);
            callers.spawn(async move { call_without_pause(caller, &calls).await });
        }
        soon(async {
            while calls.load(Ordering::Relaxed) < 500 {
                yield_now().await;
            }
        })
        .await;
        gateway.signal("TERM");
        while let Some(caller) = soon(callers.join_next()).await {
            caller.unwrap();
        }
        assert_eq!(gateway.ended().await.code, Some(0));
    }
}
