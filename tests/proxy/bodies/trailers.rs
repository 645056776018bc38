//! Trailer fields. hyper forwards those that `Trailer` names, in responses only if the client sent
//! `TE: trailers`.

use super::{GET, NO_CONTENT, Proxy};

const TRAILING: &str = "5\r\nfirst\r\n0\r\nx-digest: abc\r\n\r\n";

#[tokio::test]
async fn of_a_request() {
    let proxy = Proxy::start().await;
    let request = "POST /media HTTP/1.1\r\nHost: gateway\r\nTrailer: X-Digest\r\n\
                   Transfer-Encoding: chunked\r\n\r\n";
    let (mut client, mut fallback, head) = proxy.asked(request).await;
    assert_eq!(head.header("trailer"), Some("X-Digest"));
    client.send(TRAILING).await;
    fallback.receives(TRAILING).await;
    fallback.send(NO_CONTENT).await;
    let answer = client.answer().await;
    // The gateway closes the connection after a request with trailers.
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
        let (mut client, mut fallback, head) = proxy.asked(request).await;
        assert_eq!(head.header("te"), passed);
        let answer = "HTTP/1.1 200 OK\r\nTrailer: X-Digest\r\nTransfer-Encoding: chunked\r\n\r\n";
        fallback.send(format!("{answer}{TRAILING}")).await;
        let answer = client.answer().await;
        assert_eq!(answer.header("trailer"), Some("X-Digest"));
        client.receives(body).await;
        client.send(GET).await;
        assert!(fallback.head().await.first_line().starts_with("GET "));
    }
}

/// hyper forwards each of them if `Trailer` names it.
#[tokio::test]
async fn hop_by_hop_fields_are_removed() {
    let names = "Trailer: X-Digest, Connection, Keep-Alive, Content_Length\r\n\
                 Transfer-Encoding: chunked\r\n\r\n";
    let hops = "Connection: close\r\nKeep-Alive: a\r\nContent_Length: 9\r\n\r\n";
    let sent = TRAILING.replace("abc\r\n\r\n", &format!("abc\r\n{hops}"));
    let proxy = Proxy::start().await;
    let request = format!("POST /media HTTP/1.1\r\nHost: gateway\r\nTE: trailers\r\n{names}");
    let (mut client, mut fallback, _) = proxy.asked(&request).await;
    client.send(&sent).await;
    fallback.receives(TRAILING).await;
    fallback
        .send(format!("HTTP/1.1 200 OK\r\n{names}{sent}"))
        .await;
    assert_eq!(client.answer().await.status, 200);
    client.receives(TRAILING).await;
}
