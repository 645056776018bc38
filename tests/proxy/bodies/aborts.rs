//! Aborted bodies: a connection that closes on one side is closed on the other, and an incomplete body
//! is never forwarded as complete.

use tokio::io::AsyncWriteExt as _;

use super::{FRAMINGS, GET, Proxy};
use crate::harness::{Reply, soon};

#[tokio::test]
async fn a_client_that_disconnects_before_the_response() {
    let proxy = Proxy::start().await;
    let (client, mut fallback, _) = proxy.asked(GET).await;
    drop(client);
    fallback.ends().await;
}

#[tokio::test]
async fn a_client_that_disconnects_during_its_upload() {
    let proxy = Proxy::start().await;
    for with_reset in [false, true] {
        for framing in FRAMINGS {
            let (mut client, mut fallback, _) = proxy.asked(framing.request("POST")).await;
            client.send(framing.pieces[0]).await;
            fallback.receives(framing.pieces[0]).await;
            if with_reset {
                client.reset();
            } else {
                drop(client);
            }
            fallback.ends().await;
        }
    }
}

#[tokio::test]
async fn a_client_that_disconnects_during_its_download() {
    let proxy = Proxy::start().await;
    for framing in FRAMINGS {
        let (mut client, mut fallback, _) = proxy.asked(GET).await;
        fallback.send(framing.answer() + framing.pieces[0]).await;
        client.head().await;
        client.receives(framing.pieces[0]).await;
        drop(client);
        fallback.ends().await;
    }
}

#[tokio::test]
async fn a_client_that_disconnects_with_full_buffers() {
    let proxy = Proxy::start().await;
    let (mut client, mut fallback, _) = proxy.asked(GET).await;
    fallback
        .send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        .await;
    client.head().await;
    let sends =
        tokio::spawn(async move { while fallback.0.write_all(&[b'x'; 65536]).await.is_ok() {} });
    client.receives("xxxxx").await;
    drop(client);
    soon(sends).await.unwrap();
}

#[tokio::test]
async fn a_request_with_an_invalid_body() {
    let proxy = Proxy::start().await;
    let [length, chunked] = FRAMINGS;
    let cases = [
        (&chunked, "zz\r\n", false),
        (&chunked, "5\r\nfirstother", false),
        (&chunked, "fffffffffffffffff\r\n", false),
        (&chunked, "5\r\nfi", true),
        (&chunked, "", true),
        (&length, "", true),
    ];
    for (framing, broken, ends) in cases {
        let (mut client, mut fallback, _) = proxy.asked(framing.request("POST")).await;
        client.send(framing.pieces[0]).await;
        fallback.receives(framing.pieces[0]).await;
        client.send(broken).await;
        if ends {
            client.0.shutdown().await.unwrap();
        }
        let (arrived, _) = fallback.rest().await;
        assert!(!arrived.contains("0\r\n"), "{broken:?}: {arrived:?}");
        let (answer, _) = client.rest().await;
        assert!(
            answer.starts_with("HTTP/1.1 400 "),
            "{broken:?}: {answer:?}"
        );
        assert!(answer.contains("BAD_REQUEST"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_response_with_an_invalid_body() {
    let proxy = Proxy::start().await;
    for framing in FRAMINGS {
        for with_reset in [false, true] {
            let (mut client, mut fallback, _) = proxy.asked(GET).await;
            fallback.send(framing.answer() + framing.pieces[0]).await;
            assert_eq!(client.answer().await.status, 200);
            client.receives(framing.pieces[0]).await;
            if with_reset {
                fallback.reset();
            } else {
                drop(fallback);
            }
            client.ends().await;
        }
    }
    let [_, chunked] = FRAMINGS;
    let (mut client, mut fallback, _) = proxy.asked(GET).await;
    fallback.send(chunked.answer()).await;
    assert_eq!(client.answer().await.status, 200);
    fallback.send("zz\r\n").await;
    client.ends().await;
    fallback.ends().await;
}

#[tokio::test]
async fn a_fallback_that_disconnects_during_an_upload() {
    let proxy = Proxy::start().await;
    for framing in FRAMINGS {
        for with_reset in [false, true] {
            let (mut client, mut fallback, _) = proxy.asked(framing.request("POST")).await;
            client.send(framing.pieces[0]).await;
            fallback.receives(framing.pieces[0]).await;
            if with_reset {
                fallback.reset();
            } else {
                drop(fallback);
            }
            let answer = Reply::read(&mut client.0).await;
            answer.assert_failure(502, "BAD_GATEWAY");
            assert_eq!(answer.header("connection"), Some("close"));
            client.ends().await;
        }
    }
}

/// The response has begun, so the only way to report the error is to close the connection.
#[tokio::test]
async fn a_request_that_fails_after_its_response_began() {
    let proxy = Proxy::start().await;
    let [length, chunked] = FRAMINGS;
    let (mut client, mut fallback, _) = proxy.asked(chunked.request("POST")).await;
    fallback.send(length.answer() + length.pieces[0]).await;
    assert_eq!(client.answer().await.status, 200);
    client.receives(length.pieces[0]).await;
    client.send("zz\r\n").await;
    fallback.ends().await;
    client.ends().await;
}
