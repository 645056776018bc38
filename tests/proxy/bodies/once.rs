//! A request arrives at the vendor once, whatever becomes of connections that were kept.

use super::{End, FRAMINGS, GET, NO_CONTENT, Proxy};
use crate::harness::Reply;

/// A caller and a vendor whose connections were used once.
async fn used(proxy: &Proxy) -> (End, End) {
    let (mut caller, mut vendor, _) = proxy.asked(GET).await;
    vendor.send(NO_CONTENT).await;
    assert_eq!(caller.answer().await.status, 204);
    (caller, vendor)
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_before_it_was_used() {
    let proxy = Proxy::start().await;
    for framing in FRAMINGS {
        for with_reset in [false, true] {
            let (mut caller, vendor) = used(&proxy).await;
            if with_reset {
                vendor.reset();
            } else {
                drop(vendor);
            }
            caller
                .send(framing.request("POST") + &framing.pieces.concat())
                .await;
            let mut vendor = proxy.vendor().await;
            framing.assert_is_of(&vendor.head().await);
            for piece in framing.pieces {
                vendor.receives(piece).await;
            }
            vendor.send(NO_CONTENT).await;
            assert_eq!(caller.answer().await.status, 204);
            drop(vendor);
            is_all(&proxy, caller).await;
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_was_sent() {
    let proxy = Proxy::start().await;
    for method in ["GET", "PUT", "POST"] {
        for with_reset in [false, true] {
            let (mut caller, mut vendor) = used(&proxy).await;
            caller
                .send(format!("{method} /once HTTP/1.1\r\nHost: g\r\n\r\n"))
                .await;
            vendor.head().await;
            if with_reset {
                vendor.reset();
            } else {
                drop(vendor);
            }
            let answer = Reply::read(&mut caller.0).await;
            answer.assert_failure(502, "BAD_GATEWAY");
            assert!(answer.text("message").contains("the fallback's connection"));
            is_all(&proxy, caller).await;
        }
    }
}

/// Sees that nothing came to the vendor but what it was asked already.
async fn is_all(proxy: &Proxy, mut caller: End) {
    caller.send(GET.replace("/media", "/next")).await;
    let mut vendor = proxy.vendor().await;
    assert!(vendor.head().await.first_line().contains("/next"));
    vendor.send(NO_CONTENT).await;
    assert_eq!(caller.answer().await.status, 204);
    vendor.reset();
}
