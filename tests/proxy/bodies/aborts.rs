//! Bodies that break: who hangs up on one side is hung up on at the other, and what is not whole is
//! never made to look whole.

use tokio::io::AsyncWriteExt as _;

use super::{FRAMINGS, GET, Proxy};
use crate::harness::{Reply, soon};

#[tokio::test]
async fn a_caller_that_leaves_before_the_answer() {
    let proxy = Proxy::start().await;
    let (caller, mut vendor, _) = proxy.asked(GET).await;
    drop(caller);
    vendor.ends().await;
}

#[tokio::test]
async fn a_caller_that_leaves_in_the_middle_of_its_upload() {
    let proxy = Proxy::start().await;
    for with_reset in [false, true] {
        for framing in FRAMINGS {
            let (mut caller, mut vendor, _) = proxy.asked(framing.request("POST")).await;
            caller.send(framing.pieces[0]).await;
            vendor.receives(framing.pieces[0]).await;
            if with_reset {
                caller.reset();
            } else {
                drop(caller);
            }
            vendor.ends().await;
        }
    }
}

#[tokio::test]
async fn a_caller_that_leaves_in_the_middle_of_its_download() {
    let proxy = Proxy::start().await;
    for framing in FRAMINGS {
        let (mut caller, mut vendor, _) = proxy.asked(GET).await;
        vendor.send(framing.answer() + framing.pieces[0]).await;
        caller.head().await;
        caller.receives(framing.pieces[0]).await;
        drop(caller);
        vendor.ends().await;
    }
}

/// As above, with buffers full of what the caller did not read.
#[tokio::test]
async fn a_caller_that_leaves_before_a_long_answer_is_read() {
    let proxy = Proxy::start().await;
    let (mut caller, mut vendor, _) = proxy.asked(GET).await;
    vendor
        .send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        .await;
    caller.head().await;
    let sends =
        tokio::spawn(async move { while vendor.0.write_all(&[b'x'; 65536]).await.is_ok() {} });
    caller.receives("xxxxx").await;
    drop(caller);
    soon(sends).await.unwrap();
}

#[tokio::test]
async fn a_request_whose_body_is_broken() {
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
        let (mut caller, mut vendor, _) = proxy.asked(framing.request("POST")).await;
        caller.send(framing.pieces[0]).await;
        vendor.receives(framing.pieces[0]).await;
        caller.send(broken).await;
        if ends {
            caller.0.shutdown().await.unwrap();
        }
        let (arrived, _) = vendor.rest().await;
        assert!(!arrived.contains("0\r\n"), "{broken:?}: {arrived:?}");
        let (answer, _) = caller.rest().await;
        assert!(
            answer.starts_with("HTTP/1.1 400 "),
            "{broken:?}: {answer:?}"
        );
        assert!(answer.contains("BAD_REQUEST"), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_whose_body_is_broken() {
    let proxy = Proxy::start().await;
    for framing in FRAMINGS {
        for with_reset in [false, true] {
            let (mut caller, mut vendor, _) = proxy.asked(GET).await;
            vendor.send(framing.answer() + framing.pieces[0]).await;
            assert_eq!(caller.answer().await.status, 200);
            caller.receives(framing.pieces[0]).await;
            if with_reset {
                vendor.reset();
            } else {
                drop(vendor);
            }
            caller.ends().await;
        }
    }
    let [_, chunked] = FRAMINGS;
    let (mut caller, mut vendor, _) = proxy.asked(GET).await;
    vendor.send(chunked.answer()).await;
    assert_eq!(caller.answer().await.status, 200);
    vendor.send("zz\r\n").await;
    caller.ends().await;
    vendor.ends().await;
}

#[tokio::test]
async fn a_vendor_that_leaves_in_the_middle_of_an_upload() {
    let proxy = Proxy::start().await;
    for framing in FRAMINGS {
        for with_reset in [false, true] {
            let (mut caller, mut vendor, _) = proxy.asked(framing.request("POST")).await;
            caller.send(framing.pieces[0]).await;
            vendor.receives(framing.pieces[0]).await;
            if with_reset {
                vendor.reset();
            } else {
                drop(vendor);
            }
            let answer = Reply::read(&mut caller.0).await;
            answer.assert_failure(502, "BAD_GATEWAY");
            assert_eq!(answer.header("connection"), Some("close"));
            caller.ends().await;
        }
    }
}

/// The answer has begun, so the caller can be told only by the end of its connection.
#[tokio::test]
async fn a_request_that_breaks_after_its_answer_began() {
    let proxy = Proxy::start().await;
    let [length, chunked] = FRAMINGS;
    let (mut caller, mut vendor, _) = proxy.asked(chunked.request("POST")).await;
    vendor.send(length.answer() + length.pieces[0]).await;
    assert_eq!(caller.answer().await.status, 200);
    caller.receives(length.pieces[0]).await;
    caller.send("zz\r\n").await;
    vendor.ends().await;
    caller.ends().await;
}
