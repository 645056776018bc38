//! Bodies of observed calls: they are streamed to the fallback, and judged from a copy.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{TRANSLATED, Verdict, refused};
use crate::{
    harness::{Message, Reply, Setup, soon},
    operator::Operated,
};

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const UNREAD: Verdict = (Some("unread"), None);
/// A base URL for Ryze at which nothing listens: a request to it would fail.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A gateway that observes `I1`, with a fallback that the test plays.
struct Observing {
    operated: Operated,
    fallback: TcpListener,
    calls: u8,
}

impl Observing {
    async fn start(server: &'static str) -> Self {
        let fallback = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let setup = Setup {
            server,
            instance: "mode = \"observe\"",
            fallback: format!("base_url = \"http://{}\"", fallback.local_addr().unwrap()),
            ..Setup::default()
        };
        Self {
            operated: Operated::start(&setup.toml(NOWHERE)).await,
            fallback,
            calls: 0,
        }
    }

    /// Sends the head of a privacy call; returns the client's and the fallback's end.
    async fn call(&mut self, framing: &str) -> (TcpStream, TcpStream) {
        self.calls += 1;
        let mut client = TcpStream::connect(self.operated.address).await.unwrap();
        let head = format!(
            "POST /instances/I1/token/T1/privacy/photo HTTP/1.1\r\nHost: g\r\n{framing}\r\n\
             X-Request-Id: {}\r\nContent-Type: application/json\r\n\r\n",
            self.id()
        );
        send(&mut client, &head).await;
        let (mut fallback, _) = soon(self.fallback.accept()).await.unwrap();
        soon(Message::read_head(&mut fallback)).await.unwrap();
        (client, fallback)
    }

    fn id(&self) -> String {
        format!("8f14e45fceea167a5a36dedd4bea25{:02}", self.calls)
    }

    /// Waits for the log line of the last call.
    async fn logged(&mut self) -> Value {
        let id = self.id();
        let line = self.operated.gateway.stderr.line(&id).await;
        serde_json::from_str(&line).unwrap()
    }

    async fn assert_verdict(&mut self, (observed, reason): Verdict) {
        let event = self.logged().await;
        assert_eq!(
            [&event["observed"], &event["observed_reason"]],
            [&json!(observed), &json!(reason)],
            "{event}"
        );
    }
}

async fn send(stream: &mut TcpStream, bytes: &str) {
    soon(stream.write_all(bytes.as_bytes())).await.unwrap();
}

async fn receive(stream: &mut TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    soon(stream.read_exact(&mut bytes)).await.unwrap();
    assert!(bytes == expected.as_bytes(), "other bytes than were sent");
}

fn chunk(data: &str) -> String {
    format!("{:X}\r\n{data}\r\n", data.len())
}

#[tokio::test]
async fn each_piece_is_passed_on_before_the_next_one_comes() {
    let mut observing = Observing::start("").await;
    let (first, second) = ("{\"visualization", "Type\":\"ALL\"}");
    let length = format!("Content-Length: {}", first.len() + second.len());
    let end = "0\r\nX-Sum: 1\r\n\r\n";
    for (framing, pieces) in [
        (&*length, [first.to_owned(), second.to_owned()]),
        (
            "Transfer-Encoding: chunked\r\nTrailer: X-Sum",
            [chunk(first), chunk(second) + end],
        ),
    ] {
        let (mut client, mut fallback) = observing.call(framing).await;
        for piece in &pieces {
            send(&mut client, piece).await;
            // hyper writes field names in lower case.
            receive(&mut fallback, &piece.replace("X-Sum", "x-sum")).await;
        }
        send(&mut fallback, NO_CONTENT).await;
        assert_eq!(Reply::read(&mut client).await.status, 204);
        observing.assert_verdict(TRANSLATED).await;
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_passed_on_whole() {
    let mut observing = Observing::start("max_body = 64").await;
    let piece = "x".repeat(100_000);
    for framing in ["Content-Length: 400000", "Transfer-Encoding: chunked"] {
        let (mut client, mut fallback) = observing.call(framing).await;
        let is_chunked = framing.starts_with('T');
        for _ in 0..4 {
            let data = if is_chunked {
                chunk(&piece)
            } else {
                piece.clone()
            };
            send(&mut client, &data).await;
        }
        if is_chunked {
            send(&mut client, "0\r\n\r\n").await;
        }
        let mut received = 0;
        while received < 400_000 {
            let mut bytes = [0; 65536];
            let read = soon(fallback.read(&mut bytes)).await.unwrap();
            received += bytes[..read].iter().filter(|byte| **byte == b'x').count();
        }
        send(&mut fallback, NO_CONTENT).await;
        assert_eq!(Reply::read(&mut client).await.status, 204);
        observing.assert_verdict(refused("body_too_large")).await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_whole_or_is_not_read_is_not_judged() {
    let mut observing = Observing::start("").await;
    let (mut client, mut fallback) = observing.call("Content-Length: 20").await;
    send(&mut client, "{\"visual").await;
    receive(&mut fallback, "{\"visual").await;
    drop(client);
    let mut rest = Vec::new();
    // Closed or reset.
    let _ = soon(fallback.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"");
    observing.assert_verdict(UNREAD).await;

    let (mut client, mut fallback) = observing.call("Content-Length: 20").await;
    send(&mut fallback, NO_CONTENT).await;
    assert_eq!(Reply::read(&mut client).await.status, 204);
    observing.assert_verdict(UNREAD).await;
    assert_eq!(observing.logged().await["outcome"], "forwarded");
    let observed = observing.operated.status().await["instances"][0]["observed"].take();
    assert_eq!([&observed["unread"], &observed["refused"]], [2, 0]);
}

#[tokio::test]
async fn a_body_slower_than_its_limit_is_passed_on() {
    let mut observing = Observing::start("body_timeout = \"20ms\"").await;
    let (mut client, mut fallback) = observing.call("Content-Length: 27").await;
    send(&mut client, "{").await;
    receive(&mut fallback, "{").await;
    sleep(Duration::from_millis(40)).await;
    send(&mut client, "\"visualizationType\":\"ALL\"}").await;
    receive(&mut fallback, "\"visualizationType\":\"ALL\"}").await;
    send(&mut fallback, NO_CONTENT).await;
    assert_eq!(Reply::read(&mut client).await.status, 204);
    observing.assert_verdict(refused("body_too_slow")).await;
}
