//! Connections: how long they are waited for, and how they end.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use zapi_to_ryze::sandbox::{Options, Sandbox};

use super::client::{listen, pipe, start};

const READ: &str =
    "GET /api/profile/privacy/main HTTP/1.1\r\nhost: ryze\r\ntoken: sandbox-token\r\n";
const UPDATE: &str = "POST /api/profile/privacy/main HTTP/1.1\r\nhost: ryze\r\n\
    token: sandbox-token\r\ncontent-type: application/json\r\n";

/// What the sandbox says to these bytes before it closes the connection, and after how long.
async fn until_closed(bytes: &str) -> (String, Duration) {
    let mut stream = pipe(&Sandbox::new(Options::default()));
    let start = Instant::now();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let closed = timeout(
        Duration::from_secs(3600),
        stream.read_to_string(&mut answer),
    );
    closed.await.unwrap().unwrap();
    (answer, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_slow_caller_is_not_waited_for_without_end() {
    let (_, time) = until_closed("GET / HTTP/1.1\r\n").await;
    assert_eq!(time.as_secs(), 75);
    let (answer, time) = until_closed(&format!("{UPDATE}content-length: 1\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(time.as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_for_the_next_request() {
    let (answer, _) = until_closed(&format!("{READ}\r\n{READ}connection: close\r\n\r\n")).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2);
}

#[tokio::test]
async fn a_connection_that_ended_makes_room_for_another() {
    let (_, caller) = start().await;
    for _ in 0..1030 {
        let call = timeout(Duration::from_secs(5), caller.call("GET /health", "", ""));
        assert_eq!(call.await.unwrap().unwrap().status, 200);
    }
}

#[tokio::test]
async fn the_end_of_serving_closes_every_connection() {
    let (address, server) = listen(&Sandbox::new(Options::default())).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{READ}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_u8().await.unwrap();
    server.abort();
    let mut rest = Vec::new();
    let closed = timeout(Duration::from_secs(5), stream.read_to_end(&mut rest));
    closed.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
