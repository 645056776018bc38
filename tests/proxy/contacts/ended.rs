//! Changes of a list that get no usable response, or whose client does not wait for it.

use std::time::Duration;

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};

use super::{MADE, POLICY, answering, photo_list, setup};
use crate::{
    harness::{Message, Reply, Setup, Upstream, confirms, photo, refusing, soon},
    process::Process,
};

/// A gateway process whose fallback is played by the test.
struct Played {
    gateway: Process,
    address: std::net::SocketAddr,
    fallback: TcpListener,
    ryze: Upstream,
}

impl Played {
    async fn start(server: &'static str, fallback_keys: &str) -> Self {
        let fallback = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ryze = Upstream::start(confirms(r#"{"visibility":{"profile":"all"}}"#)).await;
        let setup = Setup {
            server,
            policy: POLICY,
            fallback: format!(
                "base_url = \"http://{}\"\n{fallback_keys}",
                fallback.local_addr().unwrap()
            ),
            ..Setup::default()
        };
        let (gateway, address) = Process::serve(&setup.toml(&ryze.base_url)).await;
        Self {
            gateway,
            address,
            fallback,
            ryze,
        }
    }

    async fn client(&self, request: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        client
    }

    /// The connection on which the fallback received a call, whole.
    async fn received(&self) -> TcpStream {
        let mut fallback = soon(self.fallback.accept()).await.unwrap().0;
        soon(Message::read(&mut fallback)).await.unwrap();
        fallback
    }

    /// Signals the process and waits until it has begun to shut down.
    async fn stop(&self) {
        self.gateway.signal("TERM");
        soon(async { while TcpStream::connect(self.address).await.is_ok() {} }).await;
    }
}

async fn read(client: &mut TcpStream) -> Reply {
    soon(Reply::read(client)).await
}

#[tokio::test]
async fn what_came_of_it_is_told_apart() {
    let long = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n{}",
        " ".repeat(70_000)
    );
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "may have"),
        (&*long, "too large; it may have"),
        ("HTTP", "may have"),
    ];
    for (answer, part) in cases {
        let played = Played::start("", "").await;
        let mut client = played.client(&photo_list()).await;
        let mut fallback = played.received().await;
        // The gateway may have closed the connection because the response is too large.
        let _ = fallback.write_all(answer.as_bytes()).await;
        drop(fallback);
        let reply = read(&mut client).await;
        reply.assert_failure(502, "BAD_GATEWAY");
        assert!(reply.text("message").contains(part), "{:?}", reply.message);
        let again = timeout(Duration::from_millis(100), played.fallback.accept()).await;
        assert!(again.is_err(), "it is not repeated");
    }
    let (_socket, base_url) = refusing();
    let setup = Setup {
        fallback: format!("base_url = \"{base_url}\""),
        ..setup()
    };
    let reply = setup
        .start("http://127.0.0.1:1")
        .await
        .send(photo_list())
        .await;
    reply.assert_failure(502, "BAD_GATEWAY");
    assert!(reply.text("message").contains("nothing was sent"));
}

#[tokio::test]
async fn a_silent_fallback_is_given_up_and_the_next_change_goes_on() {
    for begun in ["", "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"] {
        let played = Played::start("", "idle_timeout = \"300ms\"").await;
        let mut client = played.client(&photo_list()).await;
        let mut fallback = played.received().await;
        fallback.write_all(begun.as_bytes()).await.unwrap();
        let mut next = played.client(&photo("ALL")).await;
        let reply = read(&mut client).await;
        reply.assert_failure(504, "GATEWAY_TIMEOUT");
        assert!(reply.text("message").contains("may have"));
        assert_eq!(Message::read(&mut fallback).await, None, "not repeated");
        assert!(read(&mut next).await.is_success());
    }
}

/// The client's deadline passes. The change is followed to its end, and the next one waits for it.
#[tokio::test]
async fn after_the_deadline_the_change_may_still_take_effect() {
    let played = Played::start("deadline = \"800ms\"", "").await;
    let begin = Instant::now();
    let mut client = played.client(&photo_list()).await;
    let mut fallback = played.received().await;
    let mut unsent = played.client(&photo("ALL")).await;
    let reply = read(&mut unsent).await;
    reply.assert_failure(503, "SERVICE_UNAVAILABLE");
    assert!(reply.text("message").contains("nothing was changed"));
    let reply = read(&mut client).await;
    reply.assert_failure(504, "GATEWAY_TIMEOUT");
    assert!(reply.text("message").contains("may still take effect"));
    assert!(begin.elapsed() >= Duration::from_millis(800));
    let mut next = played.client(&photo("ALL")).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(played.ryze.seen(), []);
    fallback.write_all(MADE.as_bytes()).await.unwrap();
    assert!(read(&mut next).await.is_success());
}

#[tokio::test]
async fn it_is_followed_to_its_end_after_its_client_disconnects() {
    let played = Played::start("", "").await;
    let client = played.client(&photo_list()).await;
    let mut fallback = played.received().await;
    drop(client);
    let mut next = played.client(&photo("ALL")).await;
    let closed = timeout(Duration::from_millis(100), Message::read(&mut fallback)).await;
    assert!(closed.is_err(), "the connection stays open");
    assert_eq!(played.ryze.seen(), []);
    fallback.write_all(MADE.as_bytes()).await.unwrap();
    assert!(read(&mut next).await.is_success());
}

#[tokio::test]
async fn a_drain_follows_it_and_what_waits_behind_it_to_their_ends() {
    let played = Played::start("", "").await;
    let mut client = played.client(&photo_list()).await;
    let mut fallback = played.received().await;
    let mut next = played.client(&photo("ALL")).await;
    let gone = played.client(&photo_list()).await;
    // A call that came has its place before the signal.
    sleep(Duration::from_millis(100)).await;
    drop(gone);
    played.stop().await;
    fallback.write_all(MADE.as_bytes()).await.unwrap();
    assert!(read(&mut client).await.is_success());
    assert!(read(&mut next).await.is_success());
    assert_eq!(played.gateway.ended().await.code, Some(0));
}

/// The client does not wait for the response any more, but the process does.
#[tokio::test]
async fn a_drain_follows_it_without_its_client_too() {
    let played = Played::start("", "").await;
    let client = played.client(&photo_list()).await;
    let mut fallback = played.received().await;
    drop(client);
    played.stop().await;
    let closed = timeout(Duration::from_millis(200), Message::read(&mut fallback)).await;
    assert!(closed.is_err(), "the connection stays open");
    fallback.write_all(MADE.as_bytes()).await.unwrap();
    assert_eq!(played.gateway.ended().await.code, Some(0));
}

#[tokio::test]
async fn the_drain_limit_aborts_it() {
    let played = Played::start("[server.drain]\nlimit = \"300ms\"", "").await;
    let mut client = played.client(&photo_list()).await;
    let _fallback = played.received().await;
    let mut waits = played.client(&photo("ALL")).await;
    sleep(Duration::from_millis(100)).await;
    played.stop().await;
    let reply = read(&mut client).await;
    reply.assert_failure(504, "GATEWAY_TIMEOUT");
    let reply = read(&mut waits).await;
    reply.assert_failure(503, "SERVICE_UNAVAILABLE");
    let ended = played.gateway.ended().await;
    assert_eq!(ended.code, Some(1));
    let error = "error: stopped with requests still in flight\n";
    assert!(ended.stderr.ends_with(error), "{}", ended.stderr);
    assert_eq!(played.ryze.seen(), []);
}

#[tokio::test]
async fn an_interim_response_and_a_body_in_pieces_are_read() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                  9\r\n{\"success\r\n7\r\n\":true}\r\n0\r\n\r\n";
    let scene = answering(answer, setup()).await;
    let request = photo_list().replace("Host", "Expect: 100-continue\r\nHost");
    let mut client = scene.connect().await;
    client.write_all(request.as_bytes()).await.unwrap();
    let interim = soon(Message::read(&mut client)).await.unwrap();
    assert_eq!(interim.first_line(), "HTTP/1.1 100 Continue");
    assert!(read(&mut client).await.is_success());
    // The gateway has read the body, so the fallback need not ask for it.
    let sent = scene.fallback.seen().pop().unwrap().to_ascii_lowercase();
    assert!(!sent.contains("expect"), "{sent}");
}
