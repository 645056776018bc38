//! Time limits of what goes to the old vendor: each is for a time in which nothing moves, none for a
//! whole transfer.

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
async fn a_vendor_that_does_not_answer() {
    let proxy = Proxy::with("", SHORT).await;
    let [length, _] = FRAMINGS;
    for request in [GET.to_owned(), length.request("POST") + "firstother"] {
        let (mut caller, mut vendor, _) = proxy.asked(request).await;
        let answer = Reply::read(&mut caller.0).await;
        answer.assert_failure(504, "GATEWAY_TIMEOUT");
        assert!(
            answer
                .text("message")
                .contains("the fallback did not answer")
        );
        vendor.rest().await;
        // The caller did nothing wrong and may ask again.
        caller.send(GET).await;
        let mut vendor = proxy.vendor().await;
        vendor.head().await;
        vendor.send(NO_CONTENT).await;
        assert_eq!(caller.answer().await.status, 204);
        vendor.ends().await;
    }
}

#[tokio::test]
async fn a_vendor_that_falls_silent_in_its_answer() {
    let proxy = Proxy::with("", SHORT).await;
    for framing in FRAMINGS {
        let (mut caller, mut vendor, _) = proxy.asked(GET).await;
        vendor.send(framing.answer() + framing.pieces[0]).await;
        assert_eq!(caller.answer().await.status, 200);
        caller.receives(framing.pieces[0]).await;
        caller.ends().await;
        vendor.ends().await;
    }
}

#[tokio::test]
async fn a_vendor_that_does_not_read() {
    let proxy = Proxy::with("", SHORT).await;
    let request = "POST /media HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1000000000\r\n\r\n";
    let (caller, _vendor, _) = proxy.asked(request).await;
    let (mut read, mut write) = caller.0.into_split();
    tokio::spawn(async move { while write.write_all(&[b'x'; 65536]).await.is_ok() {} });
    let answer = Reply::read(&mut read).await;
    answer.assert_failure(504, "GATEWAY_TIMEOUT");
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn a_caller_that_stalls_its_upload() {
    let proxy = Proxy::with("", SHORT).await;
    for framing in FRAMINGS {
        let (mut caller, mut vendor, _) = proxy.asked(framing.request("POST")).await;
        caller.send(framing.pieces[0]).await;
        vendor.receives(framing.pieces[0]).await;
        let answer = Reply::read(&mut caller.0).await;
        answer.assert_failure(408, "REQUEST_TIMEOUT");
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(caller.rest().await, (String::new(), true));
        vendor.ends().await;
    }
}

#[tokio::test]
async fn a_caller_that_does_not_read_its_answer() {
    let proxy = Proxy::with("idle_timeout = \"300ms\"", "").await;
    let (_caller, mut vendor, _) = proxy.asked(GET).await;
    vendor
        .send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        .await;
    soon(async { while vendor.0.write_all(&[b'x'; 65536]).await.is_ok() {} }).await;
}

/// Sends pieces for longer than any time limit, none of which a pause between two of them reaches.
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
async fn a_slow_transfer_that_goes_on() {
    const ALL: &str = "idle_timeout = \"1s\"\nheader_timeout = \"1s\"\nbody_timeout = \"1s\"\n\
                       deadline = \"1s\"";
    let proxy = Proxy::with(ALL, "idle_timeout = \"1s\"").await;
    let [_, chunked] = FRAMINGS;
    let (mut caller, mut vendor, _) = proxy.asked(chunked.request("POST")).await;
    is_steady(&mut caller, &mut vendor).await;
    vendor.send(chunked.answer()).await;
    assert_eq!(caller.answer().await.status, 200);
    is_steady(&mut vendor, &mut caller).await;
    // The pause before the next request begins now.
    caller.send(GET).await;
    vendor.head().await;
}

/// Its time begins with the end of the answer, however the bodies came.
#[tokio::test]
async fn a_caller_that_asks_for_nothing_more() {
    let proxy = Proxy::with("idle_timeout = \"300ms\"\nheader_timeout = \"1h\"", "").await;
    for framing in FRAMINGS {
        for request in [GET.to_owned(), framing.request("POST")] {
            for is_whole in [true, false] {
                let (mut caller, mut vendor, _) = proxy.asked(&request).await;
                if request != GET {
                    caller.send(framing.pieces.concat()).await;
                    vendor.receives(&framing.pieces.concat()).await;
                }
                let answer = framing.answer() + &framing.pieces.concat();
                if is_whole {
                    vendor.send(answer).await;
                    caller.answer().await;
                } else {
                    vendor.send(framing.answer()).await;
                    caller.answer().await;
                    vendor.send(framing.pieces.concat()).await;
                }
                caller.receives(&framing.pieces.concat()).await;
                caller.ends().await;
                // The next round is to have a connection of its own.
                vendor.reset();
            }
        }
    }
}

/// A socket that takes no more connections and does not refuse them, and what fills its queue.
async fn swallows() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    let enough = Duration::from_millis(500);
    while let Ok(stream) = timeout(enough, TcpStream::connect(address)).await {
        queue.push(stream.unwrap());
        assert!(queue.len() < 1000, "the queue has no end");
    }
    (listener, queue)
}

#[tokio::test]
async fn a_vendor_that_cannot_be_reached() {
    let (full, _queue) = swallows().await;
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
