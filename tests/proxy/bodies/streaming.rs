//! Bodies that are whole: they pass as they come, in the framing they came in, and leave both
//! connections fit for the next request.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{End, FRAMINGS, GET, NO_CONTENT, Proxy};
use crate::harness::soon;

/// Sees that both connections serve another request.
async fn are_kept(caller: &mut End, vendor: &mut End) {
    caller.send(GET).await;
    assert!(vendor.head().await.first_line().starts_with("GET /media "));
    vendor.send(NO_CONTENT).await;
    let answer = caller.answer().await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("connection"), None);
}

#[tokio::test]
async fn a_requests_body_goes_up_piece_by_piece() {
    let proxy = Proxy::start().await;
    for method in ["POST", "PUT", "PATCH", "GET", "DELETE", "OPTIONS"] {
        for framing in FRAMINGS {
            let (mut caller, mut vendor, head) = proxy.asked(framing.request(method)).await;
            framing.assert_is_of(&head);
            for piece in framing.pieces {
                caller.send(piece).await;
                vendor.receives(piece).await;
            }
            vendor.send(NO_CONTENT).await;
            let answer = caller.answer().await;
            assert_eq!((answer.status, answer.header("connection")), (204, None));
            are_kept(&mut caller, &mut vendor).await;
        }
    }
}

#[tokio::test]
async fn an_answers_body_comes_down_piece_by_piece() {
    let proxy = Proxy::start().await;
    for framing in FRAMINGS {
        let (mut caller, mut vendor, _) = proxy.asked(GET).await;
        vendor.send(framing.answer()).await;
        let answer = caller.answer().await;
        framing.assert_is_of(&answer.message);
        assert_eq!(answer.header("connection"), None);
        for piece in framing.pieces {
            vendor.send(piece).await;
            caller.receives(piece).await;
        }
        are_kept(&mut caller, &mut vendor).await;
    }
}

#[tokio::test]
async fn a_body_that_is_empty_in_each_way() {
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
        let (mut caller, mut vendor, head) = proxy.asked(request).await;
        assert_eq!((head.header(length), head.header(chunked)), headers);
        vendor.receives(bytes).await;
        vendor.send(format!("HTTP/1.1 200 OK\r\n{body}")).await;
        let answer = caller.answer().await;
        assert_eq!((answer.header(length), answer.header(chunked)), headers);
        caller.receives(bytes).await;
        are_kept(&mut caller, &mut vendor).await;
    }
}

/// A POST without a body says so, or says nothing (RFC 9110, 8.6, allows both).
#[tokio::test]
async fn a_post_without_a_body() {
    let proxy = Proxy::start().await;
    let request = "POST /media HTTP/1.1\r\nHost: gateway\r\n\r\n";
    let (mut caller, mut vendor, head) = proxy.asked(request).await;
    assert_eq!(head.header("transfer-encoding"), None);
    assert_eq!(head.header("content-length").unwrap_or("0"), "0");
    vendor.send(NO_CONTENT).await;
    assert_eq!(caller.answer().await.status, 204);
    are_kept(&mut caller, &mut vendor).await;
}

/// The answer of an old server lasts until it closes; the caller gets chunks and keeps its connection.
#[tokio::test]
async fn an_answer_without_a_length() {
    let proxy = Proxy::start().await;
    let (mut caller, mut vendor, _) = proxy.asked(GET).await;
    vendor.send("HTTP/1.1 200 OK\r\n\r\nfirst").await;
    let answer = caller.answer().await;
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    caller.receives("5\r\nfirst\r\n").await;
    drop(vendor);
    caller.receives("0\r\n\r\n").await;
    caller.send(GET).await;
    proxy.vendor().await.head().await;
}

#[tokio::test]
async fn an_answer_that_begins_before_the_request_has_ended() {
    let proxy = Proxy::start().await;
    let [_, chunked] = FRAMINGS;
    for framing in FRAMINGS {
        let (mut caller, mut vendor, _) = proxy.asked(framing.request("POST")).await;
        vendor.send(chunked.answer()).await;
        assert_eq!(caller.answer().await.status, 200);
        for (up, down) in framing.pieces.into_iter().zip(chunked.pieces) {
            caller.send(up).await;
            vendor.receives(up).await;
            vendor.send(down).await;
            caller.receives(down).await;
        }
        // It was not known whether the whole body would be read.
        assert_eq!(caller.rest().await, (String::new(), true));
    }
}

/// Far more than all the buffers on the way hold, both ways at once.
#[tokio::test]
async fn large_bodies_both_ways() {
    const SIZE: usize = 16 << 20;
    let proxy = Proxy::start().await;
    let length = format!("Content-Length: {SIZE}\r\n\r\n");
    let request = format!("POST /media HTTP/1.1\r\nHost: gateway\r\n{length}");
    let (mut caller, mut vendor, _) = proxy.asked(request).await;
    let length = length.replace(&SIZE.to_string(), &(SIZE + 1).to_string());
    vendor.send(format!("HTTP/1.1 200 OK\r\n{length}")).await;
    assert_eq!(caller.answer().await.status, 200);
    let pattern: Vec<u8> = (0..=250).cycle().take(SIZE).collect();
    let (mut from_vendor, to_vendor) = caller.0.split();
    let (from_caller, mut to_caller) = vendor.0.split();
    let up = pass(&pattern, to_vendor, from_caller);
    let down = pass(&pattern, &mut to_caller, &mut from_vendor);
    soon(async { tokio::join!(up, down) }).await;
    // An answer that ends first would end the request too.
    to_caller.write_all(b"!").await.unwrap();
    assert_eq!(soon(from_vendor.read_u8()).await.unwrap(), b'!');
}

/// Sees that what is sent at one place arrives at another.
async fn pass(bytes: &[u8], mut to: impl AsyncWrite + Unpin, mut from: impl AsyncRead + Unpin) {
    let mut arrived = vec![0; bytes.len()];
    let (sent, received) = tokio::join!(to.write_all(bytes), from.read_exact(&mut arrived));
    assert!(sent.is_ok() && received.is_ok());
    assert!(arrived == bytes, "the bytes are others");
}
