//! The listener with a trivial handler: its counts, its shutdown, its certificates. The shutdown of a
//! whole process is tested in `stop.rs`.

use std::{
    net::{self, SocketAddr},
    os::{fd::OwnedFd, unix::net::UnixStream as NoListener},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use rustls::{ClientConfig, crypto::ring, pki_types::CertificateDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    task::yield_now,
    time::{Instant, sleep},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use zapi_to_ryze::{
    config::{self, Listen},
    server::{Handler, Listener, RequestBody, Socket, bind},
};

use crate::{
    harness::{Reply, Setup, soon},
    tls::{Authority, certificate},
};

const LIVE: &[u8] = b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n";

/// Responds to each request with 200.
struct Always200;

impl Handler for Always200 {
    type Body = Full<Bytes>;

    async fn handle(&self, _: Request<RequestBody>) -> Response<Self::Body> {
        Response::new(Full::from("ok\n"))
    }

    fn overloaded(&self) -> Response<Self::Body> {
        let mut response = Response::new(Full::from("busy\n"));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    }

    fn tls_required(&self, _: Request<RequestBody>) -> Response<Self::Body> {
        let mut response = Response::new(Full::from("use https\n"));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
    }
}

/// A listener with these lines in its `[server]` table.
async fn listener(socket: impl Into<Socket>, server: &'static str) -> Listener<Always200> {
    let setup = Setup {
        server,
        ..Setup::default()
    };
    let text = setup.toml("http://127.0.0.1:1");
    let config = config::parse(&text, &|_| None).unwrap().config;
    Listener::new(socket, Arc::new(Always200), &config.server)
}

async fn on_any_port(server: &'static str) -> (Listener<Always200>, SocketAddr) {
    let socket = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let listener = listener(socket, server).await;
    let address = listener.address().unwrap().tcp().unwrap();
    (listener, address)
}

/// The response is a 200 and closes the connection.
#[track_caller]
fn assert_last(reply: &Reply) {
    assert_eq!(
        (reply.status, reply.header("connection")),
        (200, Some("close"))
    );
}

#[tokio::test]
async fn the_backlog_is_served_after_a_stop() {
    let (listener, address) = on_any_port("").await;
    let mut callers = Vec::new();
    for _ in 0..20 {
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(LIVE).await.unwrap();
        callers.push(caller);
    }
    // No connection is accepted yet.
    let connections = listener.stop();
    assert!(TcpStream::connect(address).await.is_err());
    for caller in &mut callers {
        assert_last(&Reply::read(caller).await);
    }
    soon(connections.wait()).await;
}

#[tokio::test]
async fn the_backlog_of_a_unix_socket_is_served_and_its_file_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let listen = Listen::Unix {
        path: path.clone(),
        mode: 0o600,
    };
    let server = Arc::new(Authority::new().certify(&certificate(&["localhost"])));
    let listener = listener(Socket::open(&listen).await.unwrap(), "").await;
    // A Unix socket has no TLS.
    let listener = listener.with_tls(server);
    let mut caller = UnixStream::connect(&path).await.unwrap();
    caller.write_all(LIVE).await.unwrap();
    let connections = listener.stop();
    assert!(!path.exists());
    assert_last(&Reply::read(&mut caller).await);
    soon(connections.wait()).await;
}

#[tokio::test]
async fn a_request_in_transit_on_an_idle_connection_is_answered_after_a_stop() {
    let (listener, address) = on_any_port("").await;
    let [mut asks, mut silent] = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    let asked = async {
        for caller in [&mut asks, &mut silent] {
            caller.write_all(LIVE).await.unwrap();
            let reply = Reply::read(caller).await;
            assert_eq!((reply.status, reply.header("connection")), (200, None));
        }
    };
    tokio::select! {
        () = listener.accept() => (),
        () = asked => (),
    }
    let stopped = Instant::now();
    let connections = listener.stop();
    asks.write_all(LIVE).await.unwrap();
    assert_last(&Reply::read(&mut asks).await);
    assert!(matches!(soon(silent.read(&mut [0])).await, Ok(0)));
    assert!(stopped.elapsed() >= Duration::from_millis(250));
    soon(connections.wait()).await;
}

/// Accepts until this many connections are open.
async fn accept(listener: &Listener<Always200>, count: usize) {
    let occupancy = listener.occupancy();
    let accepted = async {
        while occupancy.snapshot().open < count {
            yield_now().await;
        }
    };
    tokio::select! {
        () = listener.accept() => (),
        () = soon(accepted) => (),
    }
}

#[tokio::test]
async fn connections_without_a_request_do_not_delay_the_stop() {
    let (listener, address) = on_any_port("header_timeout = \"1h\"").await;
    let mut callers = Vec::new();
    for begun in ["", "G", "GET /live HTTP/1.1\r\nHost: a\r\n"] {
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(begun.as_bytes()).await.unwrap();
        callers.push(caller);
    }
    accept(&listener, callers.len()).await;
    // And one in the backlog.
    callers.push(TcpStream::connect(address).await.unwrap());
    let connections = listener.stop();
    for caller in &mut callers {
        assert!(matches!(soon(caller.read(&mut [0])).await, Ok(0)));
    }
    soon(connections.wait()).await;
}

#[tokio::test]
async fn a_first_request_within_the_grace_period_is_answered() {
    for begun in [0, 1, LIVE.len() - 1] {
        let (listener, address) = on_any_port("").await;
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(&LIVE[..begun]).await.unwrap();
        accept(&listener, 1).await;
        let connections = listener.stop();
        // A small part of the grace period, in which the connection sees the stop.
        sleep(Duration::from_millis(10)).await;
        caller.write_all(&LIVE[begun..]).await.unwrap();
        assert_last(&Reply::read(&mut caller).await);
        soon(connections.wait()).await;
    }
}

#[tokio::test]
async fn a_stalled_handshake_does_not_delay_the_stop() {
    let server = Arc::new(Authority::new().certify(&certificate(&["localhost"])));
    let (listener, address) = on_any_port("header_timeout = \"1h\"").await;
    let listener = listener.with_tls(server);
    let mut callers = Vec::new();
    // The first bytes of a handshake.
    for begun in [&[][..], &[0x16, 0x03, 0x01]] {
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(begun).await.unwrap();
        callers.push(caller);
    }
    accept(&listener, callers.len()).await;
    let connections = listener.stop();
    soon(connections.wait()).await;
}

#[tokio::test]
async fn accept_errors_are_counted() {
    // Readable, and not listened on: the system refuses every accept.
    let (no_listener, other_end) = NoListener::pair().unwrap();
    no_listener.set_nonblocking(true).unwrap();
    drop(other_end);
    let socket = net::TcpListener::from(OwnedFd::from(no_listener));
    let listener = listener(TcpListener::from_std(socket).unwrap(), "").await;
    let occupancy = listener.occupancy();
    assert_eq!(occupancy.snapshot().accept_errors, 0);
    let counted = async {
        while occupancy.snapshot().accept_errors < 2 {
            yield_now().await;
        }
    };
    tokio::select! {
        () = listener.accept() => (),
        () = soon(counted) => (),
    }
    assert_eq!(
        (occupancy.snapshot().open, occupancy.snapshot().turned_away),
        (0, 0)
    );
}

#[tokio::test]
async fn open_connections_and_those_turned_away_are_counted() {
    let (listener, address) = on_any_port("max_connections = 2").await;
    let occupancy = listener.occupancy();
    assert_eq!(
        (occupancy.snapshot().limit, occupancy.snapshot().open),
        (2, 0)
    );
    tokio::spawn(async move { listener.accept().await });
    let call = async || {
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(LIVE).await.unwrap();
        let reply = Reply::read(&mut caller).await;
        let is_last = reply.header("connection") == Some("close");
        assert_eq!(is_last, reply.status == 503);
        // Not idle.
        caller.write_all(&LIVE[..1]).await.unwrap();
        (caller, reply.status)
    };
    let (first, second) = (call().await, call().await);
    assert_eq!(
        (first.1, second.1, occupancy.snapshot().open),
        (200, 200, 2)
    );
    assert_eq!(occupancy.snapshot().turned_away, 0);
    let third = call().await;
    assert_eq!((third.1, occupancy.snapshot().open), (503, 2));
    assert_eq!(occupancy.snapshot().turned_away, 1);
    drop(first);
    soon(async {
        while occupancy.snapshot().open > 1 {
            yield_now().await;
        }
    })
    .await;
    assert_eq!(call().await.1, 200);
    assert_eq!(occupancy.snapshot().turned_away, 1);
}

/// The server's certificate on a connection.
fn shown(caller: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    caller.get_ref().1.peer_certificates().unwrap()[0].clone()
}

#[tokio::test]
async fn a_renewed_certificate_applies_to_new_connections() {
    let authority = Authority::new();
    let certify = || Arc::new(authority.certify(&certificate(&["localhost"])));
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let client = TlsConnector::from(Arc::new(config));
    let (listener, address) = on_any_port("").await;
    let listener = Arc::new(listener.with_tls(certify()));
    assert_eq!(
        listener.address().unwrap().to_string(),
        format!("https://{address}")
    );
    let accepting = Arc::clone(&listener);
    tokio::spawn(async move { accepting.accept().await });
    let connect = async || {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        soon(client.connect(name, stream)).await.unwrap()
    };
    let call = async |caller: &mut TlsStream<TcpStream>| {
        caller.write_all(LIVE).await.unwrap();
        Reply::read(caller).await.status
    };
    let mut old = connect().await;
    assert_eq!(call(&mut old).await, 200);
    assert_eq!(shown(&connect().await), shown(&old));
    listener.renew_tls(certify());
    let mut new = connect().await;
    assert_ne!(shown(&new), shown(&old));
    assert_eq!((call(&mut old).await, call(&mut new).await), (200, 200));
}
