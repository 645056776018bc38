//! Final responses before the request is complete: the client receives the response and no reset, and
//! the resources of its request are released at once.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{End, FRAMINGS, Proxy};
use crate::harness::{Reply, soon};

const TOO_LARGE: &str = "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 5\r\n\r\nlarge";
/// A body larger than all buffers on the path.
const LARGE: &str = "POST /media HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1000000000\r\n\r\n";

/// Sends until a write fails or the response arrives, which has to be complete and the last one.
async fn sends_until_the_response(client: End) {
    let (mut read, mut write) = client.0.into_split();
    let send = async {
        while write.write_all(&[b'x'; 65536]).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let mut bytes = Vec::new();
    let receive = async {
        read.read_to_end(&mut bytes).await.unwrap();
    };
    soon(async {
        tokio::select! { () = send => (), () = receive => () }
    })
    .await;
    let answer = Reply::read(&mut bytes.as_slice()).await;
    assert_eq!(
        (answer.status, answer.message.body.as_str()),
        (413, "large")
    );
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn a_client_that_waits_for_the_response() {
    let proxy = Proxy::start().await;
    for framing in FRAMINGS {
        let (mut client, mut fallback, _) = proxy.asked(framing.request("POST")).await;
        client.send(framing.pieces[0]).await;
        fallback.receives(framing.pieces[0]).await;
        fallback.send(TOO_LARGE).await;
        let answer = Reply::read(&mut client.0).await;
        assert_eq!(
            (answer.status, answer.message.body.as_str()),
            (413, "large")
        );
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(client.rest().await, (String::new(), true));
        fallback.ends().await;
    }
}

#[tokio::test]
async fn a_client_that_continues_to_send() {
    let proxy = Proxy::start().await;
    let (client, mut fallback, _) = proxy.asked(LARGE).await;
    fallback.send(TOO_LARGE).await;
    sends_until_the_response(client).await;
    fallback.rest().await;
}

/// The fallback does not read, so the gateway's buffers are full.
#[tokio::test]
async fn a_client_that_is_blocked_when_the_response_comes() {
    let proxy = Proxy::start().await;
    let (mut client, mut fallback, _) = proxy.asked(LARGE).await;
    let full = std::time::Duration::from_millis(300);
    let block = [b'x'; 65536];
    while let Ok(sent) = tokio::time::timeout(full, client.0.write_all(&block)).await {
        sent.unwrap();
    }
    fallback.send(TOO_LARGE).await;
    sends_until_the_response(client).await;
    fallback.rest().await;
}

/// The fallback closes its side after the response, as servers do that stop reading.
#[tokio::test]
async fn a_fallback_that_stops_reading() {
    let proxy = Proxy::start().await;
    let (client, mut fallback, _) = proxy.asked(LARGE).await;
    fallback
        .send(TOO_LARGE.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
        .await;
    fallback.0.shutdown().await.unwrap();
    sends_until_the_response(client).await;
    fallback.rest().await;
}
