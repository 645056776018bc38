//! Complete bodies: forwarded piece by piece in their own framing; both connections stay reusable.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{End, FRAMINGS, GET, NO_CONTENT, Proxy};
use crate::harness::soon;

/// Asserts that both connections serve another request.
async fn are_kept(client: &mut End, fallback: &mut End) {
    client.send(GET).await;
    assert!(
        fallback
            .head()
            .await
            .first_line()
            .starts_with("GET /media ")
    );
    fallback.send(NO_CONTENT).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("connection"), None);
}

#[tokio::test]
async fn a_request_body_is_forwarded_piece_by_piece() {
    let proxy = Proxy::start().await;
    for method in ["POST", "PUT", "PATCH", "GET", "DELETE", "OPTIONS"] {
        for framing in FRAMINGS {
            let (mut client, mut fallback, head) = proxy.asked(framing.request(method)).await;
            framing.assert_is_of(&head);
            for piece in framing.pieces {
                client.send(piece).await;
                fallback.receives(piece).await;
            }
            fallback.send(NO_CONTENT).await;
            let answer = client.answer().await;
            assert_eq!((answer.status, answer.header("connection")), (204, None));
            are_kept(&mut client, &mut fallback).await;
        }
    }
}

#[tokio::test]
async fn a_response_body_is_forwarded_piece_by_piece() {
    let proxy = Proxy::start().await;
    for framing in FRAMINGS {
        let (mut client, mut fallback, _) = proxy.asked(GET).await;
        fallback.send(framing.answer()).await;
        let answer = client.answer().await;
        framing.assert_is_of(&answer.message);
        assert_eq!(answer.header("connection"), None);
        for piece in framing.pieces {
            fallback.send(piece).await;
            client.receives(piece).await;
        }
        are_kept(&mut client, &mut fallback).await;
    }
}

#[tokio::test]
async fn an_empty_body_in_either_framing() {
    let proxy = Proxy::start().await;
    let (length, chunked) = ("content-length", "transfer-encoding");
    let cases = [
        ("Content-Length: 0\r\n\r\n", (Some("0"), None), ""),
        (
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            (None, Some("chunked")),
            "0\r\n\r\n",
        ),
    ];
    for (body, headers, bytes) in cases {
        let request = format!("POST /media HTTP/1.1\r\nHost: gateway\r\n{body}");
        let (mut client, mut fallback, head) = proxy.asked(request).await;
        assert_eq!((head.header(length), head.header(chunked)), headers);
        fallback.receives(bytes).await;
        fallback.send(format!("HTTP/1.1 200 OK\r\n{body}")).await;
        let answer = client.answer().await;
        assert_eq!((answer.header(length), answer.header(chunked)), headers);
        client.receives(bytes).await;
        are_kept(&mut client, &mut fallback).await;
    }
}

/// RFC 9110, 8.6, allows a POST without a body and without `Content-Length`.
#[tokio::test]
async fn a_post_without_a_body() {
    let proxy = Proxy::start().await;
    let request = "POST /media HTTP/1.1\r\nHost: gateway\r\n\r\n";
    let (mut client, mut fallback, head) = proxy.asked(request).await;
    assert_eq!(head.header("transfer-encoding"), None);
    assert_eq!(head.header("content-length").unwrap_or("0"), "0");
    fallback.send(NO_CONTENT).await;
    assert_eq!(client.answer().await.status, 204);
    are_kept(&mut client, &mut fallback).await;
}

/// The body of an HTTP/1.0 response ends with the connection; the client gets chunks and keeps its own
/// connection.
#[tokio::test]
async fn an_answer_without_a_length() {
    let proxy = Proxy::start().await;
    let (mut client, mut fallback, _) = proxy.asked(GET).await;
    fallback.send("HTTP/1.1 200 OK\r\n\r\nfirst").await;
    let answer = client.answer().await;
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    client.receives("5\r\nfirst\r\n").await;
    drop(fallback);
    client.receives("0\r\n\r\n").await;
    client.send(GET).await;
    proxy.fallback().await.head().await;
}

#[tokio::test]
async fn an_answer_that_begins_before_the_request_has_ended() {
    let proxy = Proxy::start().await;
    let [_, chunked] = FRAMINGS;
    for framing in FRAMINGS {
        let (mut client, mut fallback, _) = proxy.asked(framing.request("POST")).await;
        fallback.send(chunked.answer()).await;
        assert_eq!(client.answer().await.status, 200);
        for (up, down) in framing.pieces.into_iter().zip(chunked.pieces) {
            client.send(up).await;
            fallback.receives(up).await;
            fallback.send(down).await;
            client.receives(down).await;
        }
        // When the head was sent, it was not known whether the whole body would be read.
        assert_eq!(client.rest().await, (String::new(), true));
    }
}

/// Bodies larger than all buffers on the path, in both directions at once.
#[tokio::test]
async fn large_bodies_both_ways() {
    const SIZE: usize = 16 << 20;
    let proxy = Proxy::start().await;
    let length = format!("Content-Length: {SIZE}\r\n\r\n");
    let request = format!("POST /media HTTP/1.1\r\nHost: gateway\r\n{length}");
    let (mut client, mut fallback, _) = proxy.asked(request).await;
    let length = length.replace(&SIZE.to_string(), &(SIZE + 1).to_string());
    fallback.send(format!("HTTP/1.1 200 OK\r\n{length}")).await;
    assert_eq!(client.answer().await.status, 200);
    let pattern: Vec<u8> = (0..=250).cycle().take(SIZE).collect();
    let (mut from_vendor, to_vendor) = client.0.split();
    let (from_caller, mut to_caller) = fallback.0.split();
    let up = pass(&pattern, to_vendor, from_caller);
    let down = pass(&pattern, &mut to_caller, &mut from_vendor);
    soon(async { tokio::join!(up, down) }).await;
    // If the response ended first, it would end the request too.
    to_caller.write_all(b"!").await.unwrap();
    assert_eq!(soon(from_vendor.read_u8()).await.unwrap(), b'!');
}

/// Asserts that the bytes sent at one end arrive at the other.
async fn pass(bytes: &[u8], mut to: impl AsyncWrite + Unpin, mut from: impl AsyncRead + Unpin) {
    let mut arrived = vec![0; bytes.len()];
    let (sent, received) = tokio::join!(to.write_all(bytes), from.read_exact(&mut arrived));
    assert!(sent.is_ok() && received.is_ok());
    assert!(arrived == bytes, "the bytes are others");
}
