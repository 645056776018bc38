//! Connections on either side: one serves many calls of both vendors, and where the old vendor gives no
//! sound answer the gateway gives one of its own. Sound answers belong in `answers.rs`.

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
    time::{Instant, Sleep, sleep},
};
use zapi_to_ryze::{
    config,
    net::{Connect, MAX_CONNECTION_AGE, Stream},
    proxy::{self, Proxy},
};

use super::{After, REQUEST, Scene, VENDORS, bytes, read, wire};
use crate::harness::{Message, Reply, Setup, photo, soon};

const KEPT: &str = "GET /x HTTP/1.1\r\nHost: g\r\n\r\n";

#[tokio::test]
async fn an_answer_that_is_none() {
    let long = "x".repeat(300_000);
    let many = "X: y\n".repeat(1000);
    let answers = [
        "HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: websocket\n\n".into(),
        "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n\n2\nhi\n0\n\n".into(),
        "HTTP/1.1 200 OK\nTransfer-Encoding: gzip\nTransfer-Encoding: chunked\n\n0\n\n".into(),
        "HTTP/1.1 200 OK\nTransfer-Encoding: \u{ff}\n\nhi".into(),
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
        assert_eq!(scene.vendor.seen().len(), 1, "a request is sent once");
    }
}

#[tokio::test]
async fn a_vendor_that_cannot_be_reached() {
    let setup = Setup {
        fallback: "base_url = \"http://127.0.0.1:1\"".into(),
        ..Setup::default()
    };
    let gateway = setup.start("http://127.0.0.1:1").await;
    let reply = gateway.send(REQUEST).await;
    reply.assert_failure(502, "BAD_GATEWAY");
    let message = reply.text("message");
    let is_told = message.contains("fallback") && message.contains("nothing was sent");
    assert!(is_told, "{message}");
}

#[tokio::test]
async fn one_connection_serves_calls_of_both_vendors() {
    let scene = Scene::answering(VENDORS, After::Keep).await;
    let photo = photo("ALL");
    let head = KEPT.replace("GET", "HEAD");
    let calls = [KEPT, &photo, &head, KEPT, &photo, KEPT];
    let statuses = [299, 200, 299, 299, 200, 299];
    let mut caller = scene.connect().await;
    for (call, status) in calls.into_iter().zip(statuses) {
        caller.write_all(call.as_bytes()).await.unwrap();
        if call == head {
            // Its answer has a length and no body.
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(soon(caller.read_u8()).await.unwrap());
            }
        } else {
            assert_eq!(Reply::read(&mut caller).await.status, status);
        }
    }
    let mut caller = scene.connect().await;
    let pipelined = calls.concat().replace("HEAD", "GET");
    caller.write_all(pipelined.as_bytes()).await.unwrap();
    for status in statuses {
        assert_eq!(Reply::read(&mut caller).await.status, status);
    }
    assert_eq!(scene.vendor.seen().len(), 8);
    assert_eq!(scene.vendor.connections(), 1);
    assert_eq!(scene.ryze.seen().len(), 4);
}

#[tokio::test]
async fn a_callers_connection_outlives_a_vendors() {
    let scene = Scene::answering("junk\n\n", After::Close).await;
    let mut caller = scene.connect().await;
    for _ in 0..3 {
        caller.write_all(KEPT.as_bytes()).await.unwrap();
        let reply = Reply::read(&mut caller).await;
        reply.assert_failure(502, "BAD_GATEWAY");
        caller.write_all(&bytes(&photo("ALL"))).await.unwrap();
        assert!(Reply::read(&mut caller).await.is_success());
    }
}

#[tokio::test]
async fn a_connection_that_the_vendor_closed_is_replaced() {
    let answer = "HTTP/1.1 200 OK\nContent-Length: 0\n\n";
    let scene = Scene::answering(&wire(answer), After::Close).await;
    let mut caller = scene.connect().await;
    for calls in 1..10 {
        caller.write_all(KEPT.as_bytes()).await.unwrap();
        let answer = soon(read(&mut caller)).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert_eq!(scene.vendor.connections(), calls);
    }
}

/// A vendor at the other end of pipes that takes this long over the second half of each body.
#[derive(Clone)]
struct Slow {
    pause: Duration,
    connections: Arc<AtomicUsize>,
}

impl Connect for Slow {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
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
        Ok(Box::new(near))
    }
}

/// Connections whose peer the system finds dead after a while.
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
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let read = Read(Box::pin(sleep(Duration::from_secs(10))));
        Ok(Box::new(join(read, sink())))
    }
}

/// A body that its caller does not send.
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
async fn a_vendor_that_died_is_not_blamed_on_a_slow_caller() {
    let request = Request::post("/x").header("Host", "gateway:1");
    let request = request.body(Awaited).unwrap();
    let answer = proxy(Dying).forward(request).await;
    assert!(
        matches!(answer, Err(proxy::Error::Silent)),
        "{:?}",
        answer.err()
    );
}

fn proxy<C: Connect>(connect: C) -> Proxy<C> {
    let config = config::Fallback {
        base_url: "http://vendor.test".parse().unwrap(),
        connect_timeout: Duration::from_secs(3),
        idle_timeout: MAX_CONNECTION_AGE * 2,
        ca_file: None,
    };
    Proxy::new(&config, connect).unwrap()
}

/// The addresses of the host may have changed meanwhile.
#[tokio::test(start_paused = true)]
async fn an_old_connection_is_replaced_between_two_calls() {
    let step = Duration::from_secs(2);
    for pause in [Duration::ZERO, MAX_CONNECTION_AGE * 3 / 2] {
        let vendor = Slow {
            pause,
            connections: Arc::default(),
        };
        let proxy = proxy(vendor.clone());
        let begun = Instant::now();
        let mut opened = Vec::new();
        while begun.elapsed() < MAX_CONNECTION_AGE * 4 {
            let before = vendor.connections.load(Ordering::Relaxed);
            let sent = begun.elapsed();
            let request = Request::get("/x").header("Host", "gateway:1");
            let request = request.body(Full::<Bytes>::default()).unwrap();
            let answer = proxy.forward(request).await.unwrap();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "12");
            if vendor.connections.load(Ordering::Relaxed) > before {
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
