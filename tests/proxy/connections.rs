//! Connections on either side: reuse, age, and the gateway's own response if the fallback sends no valid
//! one. Valid responses are in `answers.rs`.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf, duplex, join, sink},
    sync::mpsc,
    task::JoinSet,
    time::{Instant, Sleep, sleep},
};
use zapi_to_ryze::{
    config,
    net::{Connect, MAX_CONNECTION_AGE, Opening},
    proxy::{self, Proxy},
};

use super::{After, FALLBACK_RESPONSE, REQUEST, Scene, bytes, read, wire};
use crate::harness::{Message, Reply, Setup, photo, soon};

const KEPT: &str = "GET /x HTTP/1.1\r\nHost: g\r\n\r\n";

#[tokio::test]
async fn an_invalid_response() {
    let long = "x".repeat(300_000);
    let many = "X: y\n".repeat(3000);
    let answers = [
        "HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: websocket\n\n".into(),
        "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n\n2\nhi\n0\n\n".into(),
        "HTTP/1.1 200 OK\nTransfer-Encoding: gzip\nTransfer-Encoding: chunked\n\n0\n\n".into(),
        "HTTP/1.1 200 OK\nTransfer-Encoding: \u{ff}\n\nhi".into(),
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked, chunked\n\n2\nhi\n0\n\n".into(),
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n0\n\n".into(),
        "HTTP/1.1 200 OK\nTransfer-Encoding: Chunked,,CHUNKED\n\n0\n\n".into(),
        "HTTP/1.1 200 OK\nTransfer-Encoding: identity\nContent-Length: 2\n\nhi".into(),
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked;a=b\n\n0\n\n".into(),
        "HTTP/1.1 200 OK\nTransfer-Encoding:\nContent-Length: 2\n\nhi".into(),
        "HTTP/1.1 200 OK\nTransfer-Encoding: ,\n\nhi".into(),
        "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n0\n\n".into(),
        "HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2\n\nhi".into(),
        "HTTP/1.1 200 OK\nContent-Length: -1\n\nhi".into(),
        "HTTP/1.1 20 OK\n\n".into(),
        "HTTP/1.1 200 OK\nno header\n\n".into(),
        "HTTP/1.1 200 OK\nX: cut sho".into(),
        "SSH-2.0-OpenSSH\n".into(),
        "\u{15}\u{3}\u{1}\0\u{2}\u{2}F".into(),
        format!("HTTP/1.1 200 OK\nX: {long}\n\n"),
        format!("HTTP/1.1 200 OK\n{many}\n"),
        String::new(),
    ];
    for answer in answers {
        println!("{answer:.80}");
        let scene = Scene::answering(&wire(&answer), After::Close).await;
        let reply = scene.gateway.send(REQUEST).await;
        reply.assert_failure(502, "BAD_GATEWAY");
        assert!(reply.text("message").contains("fallback"));
        assert_eq!(scene.fallback.seen().len(), 1, "a request is sent once");
    }
}

#[tokio::test]
async fn an_unreachable_fallback() {
    let setup = Setup {
        fallback: "base_url = \"http://127.0.0.1:1\"".into(),
        ..Setup::default()
    };
    let gateway = setup.start("http://127.0.0.1:1").await;
    let reply = gateway.send(REQUEST).await;
    reply.assert_failure(502, "BAD_GATEWAY");
    let message = reply.text("message");
    let names_cause = message.contains("fallback") && message.contains("nothing was sent");
    assert!(names_cause, "{message}");
}

#[tokio::test]
async fn one_connection_serves_both_upstreams() {
    let scene = Scene::answering(FALLBACK_RESPONSE, After::Keep).await;
    let photo = photo("ALL");
    let head = KEPT.replace("GET", "HEAD");
    let calls = [KEPT, &photo, &head, KEPT, &photo, KEPT];
    let statuses = [299, 200, 299, 299, 200, 299];
    let mut client = scene.connect().await;
    for (call, status) in calls.into_iter().zip(statuses) {
        client.write_all(call.as_bytes()).await.unwrap();
        if call == head {
            // The response to HEAD has a length and no body.
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(soon(client.read_u8()).await.unwrap());
            }
        } else {
            assert_eq!(Reply::read(&mut client).await.status, status);
        }
    }
    let mut client = scene.connect().await;
    let pipelined = calls.concat().replace("HEAD", "GET");
    client.write_all(pipelined.as_bytes()).await.unwrap();
    for status in statuses {
        assert_eq!(Reply::read(&mut client).await.status, status);
    }
    assert_eq!(scene.fallback.seen().len(), 8);
    assert_eq!(scene.fallback.connections(), 1);
    assert_eq!(scene.ryze.seen().len(), 4);
}

#[tokio::test]
async fn a_client_connection_outlives_an_upstream_connection() {
    let scene = Scene::answering("junk\n\n", After::Close).await;
    let mut client = scene.connect().await;
    for _ in 0..3 {
        client.write_all(KEPT.as_bytes()).await.unwrap();
        let reply = Reply::read(&mut client).await;
        reply.assert_failure(502, "BAD_GATEWAY");
        client.write_all(&bytes(&photo("ALL"))).await.unwrap();
        assert!(Reply::read(&mut client).await.is_success());
    }
}

#[tokio::test]
async fn a_connection_that_the_fallback_closed_is_replaced() {
    let answer = "HTTP/1.1 200 OK\nContent-Length: 0\n\n";
    let scene = Scene::answering(&wire(answer), After::Close).await;
    let mut client = scene.connect().await;
    for calls in 1..10 {
        client.write_all(KEPT.as_bytes()).await.unwrap();
        let answer = soon(read(&mut client)).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert_eq!(scene.fallback.connections(), calls);
    }
}

/// A fallback over pipes that pauses before the second half of each body.
#[derive(Clone)]
struct Slow {
    pause: Duration,
    connections: Arc<AtomicUsize>,
}

impl Connect for Slow {
    fn connect(&self) -> Opening<'_> {
        Box::pin(async move {
            self.connections.fetch_add(1, Ordering::Relaxed);
            let (near, mut far) = duplex(1024);
            let pause = self.pause;
            tokio::spawn(async move {
                while Message::read(&mut far).await.is_some() {
                    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1";
                    far.write_all(head).await.unwrap();
                    sleep(pause).await;
                    far.write_all(b"2").await.unwrap();
                }
            });
            Ok(Box::new(near) as _)
        })
    }
}

/// Connections whose peer the system reports as dead after 10 s.
struct Dying;

struct Read(Pin<Box<Sleep>>);

impl AsyncRead for Read {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.0.as_mut().poll(context));
        Poll::Ready(Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)))
    }
}

impl Connect for Dying {
    fn connect(&self) -> Opening<'_> {
        Box::pin(async move {
            let read = Read(Box::pin(sleep(Duration::from_secs(10))));
            Ok(Box::new(join(read, sink())) as _)
        })
    }
}

/// A body that its client never sends.
struct Awaited;

impl Body for Awaited {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_fallback_is_not_reported_as_a_slow_client() {
    let request = Request::post("/x").header("Host", "gateway:1");
    let request = request.body(Awaited).unwrap();
    let answer = proxy(Dying).forward(request).await;
    assert!(
        matches!(answer, Err(proxy::Error::Silent)),
        "{:?}",
        answer.err()
    );
}

fn proxy(connect: impl Connect) -> Proxy {
    let config = config::Fallback {
        base_url: "http://fallback.test".parse().unwrap(),
        connect_timeout: Duration::from_secs(3),
        idle_timeout: MAX_CONNECTION_AGE * 2,
        ca_file: None,
    };
    Proxy::new(&config, connect).unwrap()
}

/// The addresses of the host may have changed.
#[tokio::test(start_paused = true)]
async fn an_old_connection_is_replaced_between_two_calls() {
    let step = Duration::from_secs(2);
    for pause in [Duration::ZERO, MAX_CONNECTION_AGE * 3 / 2] {
        let fallback = Slow {
            pause,
            connections: Arc::default(),
        };
        let proxy = proxy(fallback.clone());
        let begun = Instant::now();
        let mut opened = Vec::new();
        while begun.elapsed() < MAX_CONNECTION_AGE * 4 {
            let before = fallback.connections.load(Ordering::Relaxed);
            let sent = begun.elapsed();
            let request = Request::get("/x").header("Host", "gateway:1");
            let request = request.body(Full::<Bytes>::default()).unwrap();
            let answer = proxy.forward(request).await.unwrap();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "12");
            if fallback.connections.load(Ordering::Relaxed) > before {
                opened.push(sent);
            }
            sleep(step).await;
        }
        let mut ages = opened.windows(2).map(|pair| pair[1] - pair[0]);
        let limit = MAX_CONNECTION_AGE + (pause + step) * 2;
        assert!(
            ages.all(|age| age >= MAX_CONNECTION_AGE && age <= limit),
            "{opened:?}"
        );
        assert!(opened.len() > 1, "{opened:?}");
    }
}

/// A burst of calls does not connect again after the last one.
#[tokio::test(start_paused = true)]
async fn the_connections_of_64_calls_at_once_are_reused() {
    let fallback = Slow {
        pause: Duration::from_secs(1),
        connections: Arc::default(),
    };
    let proxy = Arc::new(proxy(fallback.clone()));
    for _ in 0..3 {
        let calls: JoinSet<_> = (0..64)
            .map(|_| {
                let proxy = Arc::clone(&proxy);
                async move {
                    let request = Request::get("/x").header("Host", "gateway:1");
                    let request = request.body(Full::<Bytes>::default()).unwrap();
                    let answer = proxy.forward(request).await.unwrap();
                    answer.into_body().collect().await.unwrap();
                }
            })
            .collect();
        calls.join_all().await;
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(fallback.connections.load(Ordering::Relaxed), 64);
}

/// A fallback over pipes that says when a connection was closed.
struct Watched(mpsc::UnboundedSender<Instant>);

impl Connect for Watched {
    fn connect(&self) -> Opening<'_> {
        Box::pin(async move {
            let (near, mut far) = duplex(1024);
            let closed = self.0.clone();
            tokio::spawn(async move {
                while Message::read(&mut far).await.is_some() {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    far.write_all(answer).await.unwrap();
                }
                closed.send(Instant::now()).unwrap();
            });
            Ok(Box::new(near) as _)
        })
    }
}

/// Node.js closes a connection that is idle for 5 s, perhaps while a request is sent on it.
#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_reused_for_four_seconds_and_closed_soon_afterwards() {
    let (closed, mut closes) = mpsc::unbounded_channel();
    let proxy = proxy(Watched(closed));
    let ask = async || {
        let request = Request::get("/x").header("Host", "gateway:1");
        let request = request.body(Full::<Bytes>::default()).unwrap();
        drop(proxy.forward(request).await.unwrap());
        Instant::now()
    };
    let mut last = ask().await;
    for _ in 0..5 {
        sleep(Duration::from_millis(3900)).await;
        assert!(closes.try_recv().is_err());
        last = ask().await;
    }
    let idle = closes.recv().await.unwrap() - last;
    let [least, most] = [4, 9].map(Duration::from_secs);
    assert!(idle >= least && idle < most, "{idle:?}");
    assert!(closes.try_recv().is_err());
}
