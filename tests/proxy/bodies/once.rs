//! A request arrives at the fallback once, also when a kept-alive connection breaks. `proxy/repeats.rs` has
//! the safe requests that are sent once more.

use super::{End, FRAMINGS, GET, NO_CONTENT, Proxy};
use crate::harness::Reply;

/// A client and a fallback whose connections have served one request.
async fn used(proxy: &Proxy) -> (End, End) {
    let (mut client, mut fallback, _) = proxy.asked(GET).await;
    fallback.send(NO_CONTENT).await;
    assert_eq!(client.answer().await.status, 204);
    (client, fallback)
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_before_its_reuse() {
    let proxy = Proxy::start().await;
    for framing in FRAMINGS {
        for with_reset in [false, true] {
            let (mut client, fallback) = used(&proxy).await;
            if with_reset {
                fallback.reset();
            } else {
                drop(fallback);
            }
            client
                .send(framing.request("POST") + &framing.pieces.concat())
                .await;
            let mut fallback = proxy.fallback().await;
            framing.assert_is_of(&fallback.head().await);
            for piece in framing.pieces {
                fallback.receives(piece).await;
            }
            fallback.send(NO_CONTENT).await;
            assert_eq!(client.answer().await.status, 204);
            drop(fallback);
            is_all(&proxy, client).await;
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_was_sent() {
    let proxy = Proxy::start().await;
    for method in ["DELETE", "PUT", "POST"] {
        for with_reset in [false, true] {
            let (mut client, mut fallback) = used(&proxy).await;
            client
                .send(format!("{method} /once HTTP/1.1\r\nHost: g\r\n\r\n"))
                .await;
            fallback.head().await;
            if with_reset {
                fallback.reset();
            } else {
                drop(fallback);
            }
            let answer = Reply::read(&mut client.0).await;
            answer.assert_failure(502, "BAD_GATEWAY");
            assert!(answer.text("message").contains("the fallback's connection"));
            is_all(&proxy, client).await;
        }
    }
}

/// Asserts that the fallback received nothing else.
async fn is_all(proxy: &Proxy, mut client: End) {
    client.send(GET.replace("/media", "/next")).await;
    let mut fallback = proxy.fallback().await;
    assert!(fallback.head().await.first_line().contains("/next"));
    fallback.send(NO_CONTENT).await;
    assert_eq!(client.answer().await.status, 204);
    fallback.reset();
}
