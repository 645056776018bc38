//! Time limits of forwarded requests: each limits a time without progress, none the whole transfer.

use std::time::Duration;

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use super::{End, FRAMINGS, GET, NO_CONTENT, NOWHERE, Proxy, setup};
use crate::harness::{Reply, soon};

const SHORT: &str = "idle_timeout = \"300ms\"";

#[tokio::test]
async fn a_fallback_that_does_not_respond() {
    let proxy = Proxy::with("", SHORT).await;
    let [length, _] = FRAMINGS;
    for request in [GET.to_owned(), length.request("POST") + "firstother"] {
        let (mut client, mut fallback, _) = proxy.asked(request).await;
        let answer = Reply::read(&mut client.0).await;
        answer.assert_failure(504, "GATEWAY_TIMEOUT");
        assert!(
            answer
                .text("message")
                .contains("the fallback did not answer")
        );
        fallback.rest().await;
        // The client's connection stays usable.
        client.send(GET).await;
        let mut fallback = proxy.fallback().await;
        fallback.head().await;
        fallback.send(NO_CONTENT).await;
        assert_eq!(client.answer().await.status, 204);
        fallback.ends().await;
    }
}

#[tokio::test]
async fn a_fallback_that_stalls_during_its_response() {
    let proxy = Proxy::with("", SHORT).await;
    for framing in FRAMINGS {
        let (mut client, mut fallback, _) = proxy.asked(GET).await;
        fallback.send(framing.answer() + framing.pieces[0]).await;
        assert_eq!(client.answer().await.status, 200);
        client.receives(framing.pieces[0]).await;
        client.ends().await;
        fallback.ends().await;
    }
}

#[tokio::test]
async fn a_fallback_that_does_not_read() {
    let proxy = Proxy::with("", SHORT).await;
    let request = "POST /media HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1000000000\r\n\r\n";
    let (client, _vendor, _) = proxy.asked(request).await;
    let (mut read, mut write) = client.0.into_split();
    tokio::spawn(async move { while write.write_all(&[b'x'; 65536]).await.is_ok() {} });
    let answer = Reply::read(&mut read).await;
    answer.assert_failure(504, "GATEWAY_TIMEOUT");
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn a_client_that_stalls_its_upload() {
    let proxy = Proxy::with("", SHORT).await;
    for framing in FRAMINGS {
        let (mut client, mut fallback, _) = proxy.asked(framing.request("POST")).await;
        client.send(framing.pieces[0]).await;
        fallback.receives(framing.pieces[0]).await;
        let answer = Reply::read(&mut client.0).await;
        answer.assert_failure(408, "REQUEST_TIMEOUT");
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(client.rest().await, (String::new(), true));
        fallback.ends().await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_response() {
    let proxy = Proxy::with("idle_timeout = \"300ms\"", "").await;
    let (_caller, mut fallback, _) = proxy.asked(GET).await;
    fallback
        .send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        .await;
    soon(async { while fallback.0.write_all(&[b'x'; 65536]).await.is_ok() {} }).await;
}

/// Sends pieces for longer than every time limit in total, with pauses shorter than each.
async fn is_steady(from: &mut End, to: &mut End) {
    for _ in 0..30 {
        sleep(Duration::from_millis(60)).await;
        from.send("5\r\nfirst\r\n").await;
        to.receives("5\r\nfirst\r\n").await;
    }
    from.send("0\r\n\r\n").await;
    to.receives("0\r\n\r\n").await;
}

#[tokio::test]
async fn a_slow_transfer_with_progress() {
    const ALL: &str = "idle_timeout = \"1s\"\nheader_timeout = \"1s\"\nbody_timeout = \"1s\"\n\
                       deadline = \"1s\"";
    let proxy = Proxy::with(ALL, "idle_timeout = \"1s\"").await;
    let [_, chunked] = FRAMINGS;
    let (mut client, mut fallback, _) = proxy.asked(chunked.request("POST")).await;
    is_steady(&mut client, &mut fallback).await;
    fallback.send(chunked.answer()).await;
    assert_eq!(client.answer().await.status, 200);
    is_steady(&mut fallback, &mut client).await;
    // The idle timeout starts now.
    client.send(GET).await;
    fallback.head().await;
}

/// The idle timeout starts at the end of the response, whatever the timing of the bodies.
#[tokio::test]
async fn an_idle_client() {
    let proxy = Proxy::with("idle_timeout = \"300ms\"\nheader_timeout = \"1h\"", "").await;
    for framing in FRAMINGS {
        for request in [GET.to_owned(), framing.request("POST")] {
            for is_whole in [true, false] {
                let (mut client, mut fallback, _) = proxy.asked(&request).await;
                if request != GET {
                    client.send(framing.pieces.concat()).await;
                    fallback.receives(&framing.pieces.concat()).await;
                }
                let answer = framing.answer() + &framing.pieces.concat();
                if is_whole {
                    fallback.send(answer).await;
                    client.answer().await;
                } else {
                    fallback.send(framing.answer()).await;
                    client.answer().await;
                    fallback.send(framing.pieces.concat()).await;
                }
                client.receives(&framing.pieces.concat()).await;
                client.ends().await;
                // The next round needs a new connection.
                fallback.reset();
            }
        }
    }
}

/// A socket that neither accepts nor refuses connections, and the connections that fill its backlog.
async fn full_backlog() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    let enough = Duration::from_millis(500);
    while let Ok(stream) = timeout(enough, TcpStream::connect(address)).await {
        queue.push(stream.unwrap());
        assert!(queue.len() < 1000, "the backlog has no bound");
    }
    (listener, queue)
}

#[tokio::test]
async fn an_unreachable_fallback() {
    let (full, _queue) = full_backlog().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = setup("", &gone, "");
    drop(gone);
    for setup in [setup("", &full, "connect_timeout = \"200ms\""), refusing] {
        let gateway = setup.start(NOWHERE).await;
        let answer = gateway.send(GET).await;
        answer.assert_failure(502, "BAD_GATEWAY");
        assert!(
            answer
                .text("message")
                .contains("the fallback cannot be reached")
        );
    }
}
