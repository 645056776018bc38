//! `Expect: 100-continue` end to end: the fallback decides whether the client sends its body.

use std::time::Duration;

use tokio::time::sleep;

use super::{End, FRAMINGS, GET, NO_CONTENT, Proxy};
use crate::harness::{Message, Reply};

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const EARLY_HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n";

/// A client that waits for `100 Continue`, and the fallback that has its head.
async fn waiting(proxy: &Proxy) -> (End, End) {
    let request = FRAMINGS[0].request("POST");
    let request = request.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let (client, fallback, head) = proxy.asked(request).await;
    assert_eq!(head.header("expect"), Some("100-continue"));
    (client, fallback)
}

/// Asserts that the body is sent and answered and that both connections are kept alive.
async fn goes_on(client: &mut End, fallback: &mut End) {
    for piece in FRAMINGS[0].pieces {
        client.send(piece).await;
        fallback.receives(piece).await;
    }
    fallback.send(NO_CONTENT).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (204, None));
    client.send(GET).await;
    assert!(fallback.head().await.first_line().starts_with("GET "));
}

#[tokio::test]
async fn a_fallback_that_sends_100_continue() {
    let proxy = Proxy::start().await;
    let (mut client, mut fallback) = waiting(&proxy).await;
    client.hears_nothing().await;
    fallback.send(CONTINUE).await;
    client.receives(CONTINUE).await;
    goes_on(&mut client, &mut fallback).await;
}

#[tokio::test]
async fn a_fallback_without_100_continue_gets_the_body_after_a_timeout() {
    let proxy = Proxy::start().await;
    let (mut client, mut fallback) = waiting(&proxy).await;
    client.receives(CONTINUE).await;
    goes_on(&mut client, &mut fallback).await;
}

#[tokio::test]
async fn another_interim_response_does_not_ask_for_the_body() {
    let proxy = Proxy::start().await;
    let (mut client, mut fallback) = waiting(&proxy).await;
    fallback.send(EARLY_HINTS).await;
    client.hears_nothing().await;
    fallback.send(CONTINUE).await;
    client.receives(CONTINUE).await;
    goes_on(&mut client, &mut fallback).await;
}

#[tokio::test]
async fn a_fallback_that_rejects_the_body() {
    let proxy = Proxy::start().await;
    for status in [417, 413, 200] {
        for interim in ["", EARLY_HINTS] {
            let (mut client, mut fallback) = waiting(&proxy).await;
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nno");
            fallback.send(format!("{interim}{answer}")).await;
            let answer = Reply::read(&mut client.0).await;
            assert_eq!(
                (answer.status, answer.message.body.as_str()),
                (status, "no")
            );
            assert_eq!(answer.header("connection"), Some("close"));
            // The body is not requested any more.
            assert_eq!(client.rest().await, (String::new(), true));
            fallback.ends().await;
        }
    }
}

/// The response takes longer than the timeout for `100 Continue`.
#[tokio::test]
async fn a_long_response_instead_of_100_continue() {
    let proxy = Proxy::start().await;
    let (mut client, mut fallback) = waiting(&proxy).await;
    fallback
        .send("HTTP/1.1 413 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 413);
    for _ in 0..15 {
        sleep(Duration::from_millis(100)).await;
        fallback.send("2\r\nno\r\n").await;
        client.receives("2\r\nno\r\n").await;
    }
    fallback.send("0\r\n\r\n").await;
    client.receives("0\r\n\r\n").await;
    assert_eq!(client.rest().await, (String::new(), true));
    fallback.ends().await;
}

#[tokio::test]
async fn a_client_that_disconnects_while_it_waits() {
    let proxy = Proxy::start().await;
    let (client, mut fallback) = waiting(&proxy).await;
    drop(client);
    fallback.ends().await;
}

/// RFC 9110, 10.1.1, allows a client to send its body without waiting.
#[tokio::test]
async fn a_client_that_does_not_wait() {
    let proxy = Proxy::start().await;
    let request = "POST /media HTTP/1.1\r\nHost: gateway\r\nExpect: 100-continue\r\n\
                   Content-Length: 5\r\n\r\nfirst";
    let (mut client, mut fallback, _) = proxy.asked(request).await;
    fallback.send(CONTINUE).await;
    fallback.receives("first").await;
    fallback.send(NO_CONTENT).await;
    let is_final = |answer: &Message| answer.first_line().contains("204");
    let first = client.head().await;
    assert!(is_final(&first) || is_final(&client.head().await));
}
