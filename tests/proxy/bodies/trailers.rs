//! Trailer fields, which hyper passes on where `Trailer` names them and, in answers, where the caller
//! said that it takes them.

use super::{GET, NO_CONTENT, Proxy};

const TRAILING: &str = "5\r\nfirst\r\n0\r\nx-digest: abc\r\n\r\n";

#[tokio::test]
async fn of_a_request() {
    let proxy = Proxy::start().await;
    let request = "POST /media HTTP/1.1\r\nHost: gateway\r\nTrailer: X-Digest\r\n\
                   Transfer-Encoding: chunked\r\n\r\n";
    let (mut caller, mut vendor, head) = proxy.asked(request).await;
    assert_eq!(head.header("trailer"), Some("X-Digest"));
    caller.send(TRAILING).await;
    vendor.receives(TRAILING).await;
    vendor.send(NO_CONTENT).await;
    let answer = caller.answer().await;
    // What is behind trailers is not looked at.
    let connection = answer.header("connection");
    assert_eq!((answer.status, connection), (204, Some("close")));
}

#[tokio::test]
async fn of_an_answer() {
    let proxy = Proxy::start().await;
    let cases = [
        ("TE: trailers\r\n", Some("trailers"), TRAILING),
        (
            "TE: gzip, trailers;q=0.5\r\n",
            None,
            "5\r\nfirst\r\n0\r\n\r\n",
        ),
        ("", None, "5\r\nfirst\r\n0\r\n\r\n"),
    ];
    for (takes, passed, body) in cases {
        let request = GET.replace("\r\n\r\n", &format!("\r\n{takes}\r\n"));
        let (mut caller, mut vendor, head) = proxy.asked(request).await;
        assert_eq!(head.header("te"), passed);
        let answer = "HTTP/1.1 200 OK\r\nTrailer: X-Digest\r\nTransfer-Encoding: chunked\r\n\r\n";
        vendor.send(format!("{answer}{TRAILING}")).await;
        let answer = caller.answer().await;
        assert_eq!(answer.header("trailer"), Some("X-Digest"));
        caller.receives(body).await;
        caller.send(GET).await;
        assert!(vendor.head().await.first_line().starts_with("GET "));
    }
}
