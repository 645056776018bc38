//! Final answers that come while the caller still sends: it gets the answer and no reset, and
//! everything that its request held is given back at once.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{End, FRAMINGS, Proxy};
use crate::harness::{Reply, soon};

const TOO_LARGE: &str = "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 5\r\n\r\nlarge";
/// A body larger than all the buffers on the way.
const LARGE: &str = "POST /media HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1000000000\r\n\r\n";

/// Sends until nobody takes it or the answer is there, which has to be whole and the last one.
async fn insists(caller: End) {
    let (mut read, mut write) = caller.0.into_split();
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
async fn a_caller_that_waits_for_the_answer() {
    let proxy = Proxy::start().await;
    for framing in FRAMINGS {
        let (mut caller, mut vendor, _) = proxy.asked(framing.request("POST")).await;
        caller.send(framing.pieces[0]).await;
        vendor.receives(framing.pieces[0]).await;
        vendor.send(TOO_LARGE).await;
        let answer = Reply::read(&mut caller.0).await;
        assert_eq!(
            (answer.status, answer.message.body.as_str()),
            (413, "large")
        );
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(caller.rest().await, (String::new(), true));
        vendor.ends().await;
    }
}

#[tokio::test]
async fn a_caller_that_insists_on_sending() {
    let proxy = Proxy::start().await;
    let (caller, mut vendor, _) = proxy.asked(LARGE).await;
    vendor.send(TOO_LARGE).await;
    insists(caller).await;
    vendor.rest().await;
}

/// The vendor does not read, so the gateway has no room for what the caller sends.
#[tokio::test]
async fn a_caller_that_is_held_up_when_the_answer_comes() {
    let proxy = Proxy::start().await;
    let (mut caller, mut vendor, _) = proxy.asked(LARGE).await;
    let full = std::time::Duration::from_millis(300);
    let block = [b'x'; 65536];
    while let Ok(sent) = tokio::time::timeout(full, caller.0.write_all(&block)).await {
        sent.unwrap();
    }
    vendor.send(TOO_LARGE).await;
    insists(caller).await;
    vendor.rest().await;
}

/// The vendor closes its side with the answer, as servers do that will not read on.
#[tokio::test]
async fn a_vendor_that_stops_listening() {
    let proxy = Proxy::start().await;
    let (caller, mut vendor, _) = proxy.asked(LARGE).await;
    vendor
        .send(TOO_LARGE.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
        .await;
    vendor.0.shutdown().await.unwrap();
    insists(caller).await;
    vendor.rest().await;
}
