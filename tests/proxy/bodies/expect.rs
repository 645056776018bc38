//! `Expect: 100-continue` from end to end: whether the caller is to send its body is for the vendor to
//! say.

use std::time::Duration;

use tokio::time::sleep;

use super::{End, FRAMINGS, GET, NO_CONTENT, Proxy};
use crate::harness::{Message, Reply};

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const EARLY_HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n";

/// A caller that waits to be asked for its body, and the vendor who is to ask.
async fn waiting(proxy: &Proxy) -> (End, End) {
    let request = FRAMINGS[0].request("POST");
    let request = request.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let (caller, vendor, head) = proxy.asked(request).await;
    assert_eq!(head.header("expect"), Some("100-continue"));
    (caller, vendor)
}

/// The body is sent and answered, and the connections are kept.
async fn goes_on(caller: &mut End, vendor: &mut End) {
    for piece in FRAMINGS[0].pieces {
        caller.send(piece).await;
        vendor.receives(piece).await;
    }
    vendor.send(NO_CONTENT).await;
    let answer = caller.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (204, None));
    caller.send(GET).await;
    assert!(vendor.head().await.first_line().starts_with("GET "));
}

#[tokio::test]
async fn a_vendor_that_asks_for_the_body() {
    let proxy = Proxy::start().await;
    let (mut caller, mut vendor) = waiting(&proxy).await;
    caller.hears_nothing().await;
    vendor.send(CONTINUE).await;
    caller.receives(CONTINUE).await;
    goes_on(&mut caller, &mut vendor).await;
}

#[tokio::test]
async fn a_vendor_that_never_asks_gets_the_body_in_the_end() {
    let proxy = Proxy::start().await;
    let (mut caller, mut vendor) = waiting(&proxy).await;
    caller.receives(CONTINUE).await;
    goes_on(&mut caller, &mut vendor).await;
}

#[tokio::test]
async fn another_interim_answer_asks_for_nothing() {
    let proxy = Proxy::start().await;
    let (mut caller, mut vendor) = waiting(&proxy).await;
    vendor.send(EARLY_HINTS).await;
    caller.hears_nothing().await;
    vendor.send(CONTINUE).await;
    caller.receives(CONTINUE).await;
    goes_on(&mut caller, &mut vendor).await;
}

#[tokio::test]
async fn a_vendor_that_does_not_want_the_body() {
    let proxy = Proxy::start().await;
    for status in [417, 413, 200] {
        for interim in ["", EARLY_HINTS] {
            let (mut caller, mut vendor) = waiting(&proxy).await;
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nno");
            vendor.send(format!("{interim}{answer}")).await;
            let answer = Reply::read(&mut caller.0).await;
            assert_eq!(
                (answer.status, answer.message.body.as_str()),
                (status, "no")
            );
            assert_eq!(answer.header("connection"), Some("close"));
            // What the caller sends now is not asked for.
            assert_eq!(caller.rest().await, (String::new(), true));
            vendor.ends().await;
        }
    }
}

/// The answer takes longer than a vendor is given to ask for the body.
#[tokio::test]
async fn a_long_answer_in_place_of_asking() {
    let proxy = Proxy::start().await;
    let (mut caller, mut vendor) = waiting(&proxy).await;
    vendor
        .send("HTTP/1.1 413 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    assert_eq!(caller.answer().await.status, 413);
    for _ in 0..15 {
        sleep(Duration::from_millis(100)).await;
        vendor.send("2\r\nno\r\n").await;
        caller.receives("2\r\nno\r\n").await;
    }
    vendor.send("0\r\n\r\n").await;
    caller.receives("0\r\n\r\n").await;
    assert_eq!(caller.rest().await, (String::new(), true));
    vendor.ends().await;
}

#[tokio::test]
async fn a_caller_that_leaves_while_it_waits() {
    let proxy = Proxy::start().await;
    let (caller, mut vendor) = waiting(&proxy).await;
    drop(caller);
    vendor.ends().await;
}

/// It sends its body without waiting, as it may.
#[tokio::test]
async fn a_caller_that_does_not_wait() {
    let proxy = Proxy::start().await;
    let request = "POST /media HTTP/1.1\r\nHost: gateway\r\nExpect: 100-continue\r\n\
                   Content-Length: 5\r\n\r\nfirst";
    let (mut caller, mut vendor, _) = proxy.asked(request).await;
    vendor.send(CONTINUE).await;
    vendor.receives("first").await;
    vendor.send(NO_CONTENT).await;
    let is_final = |answer: &Message| answer.first_line().contains("204");
    let first = caller.head().await;
    assert!(is_final(&first) || is_final(&caller.head().await));
}
