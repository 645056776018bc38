//! Pipelined requests: the responses come in the order of the requests, and an invalid request is the
//! last one.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{Reader, statuses};
use crate::harness::{Gateway, Reply, Setup, answer, confirmation, photo, post};

/// A gateway whose fallback echoes the first line of each request.
async fn start() -> (Reader, Reader, Gateway) {
    let ryze = Reader::start(|_| confirmation(r#"{"visibility":{"profile":"all"}}"#));
    let old = Reader::start(|(first_line, _)| answer(299, "", first_line));
    let (ryze, old) = tokio::join!(ryze, old);
    let setup = Setup {
        budget: "requests_per_minute = 10000\nburst = 10000",
        server: "idle_timeout = \"500ms\"\nheader_timeout = \"500ms\"",
        fallback: format!("base_url = {:?}", old.base_url),
        ..Setup::default()
    };
    let gateway = setup.start(&ryze.base_url).await;
    (ryze, old, gateway)
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_requests() {
    const ROUNDS: usize = 60;
    let (ryze, old, gateway) = start().await;
    let caller = TcpStream::connect(gateway.address).await.unwrap();
    let (mut read, mut write) = caller.into_split();
    let refused = "/instances/I1/token/T1/privacy/online";
    let send = async {
        for round in 0..ROUNDS {
            let passed_on = format!("get /{round} HTTP/1.1\r\nHost: g\r\n\r\n");
            let round = [photo("ALL"), passed_on, post(refused, "{}"), photo("all")];
            write.write_all(round.concat().as_bytes()).await.unwrap();
        }
    };
    let check = async {
        for round in 0..ROUNDS {
            assert!(Reply::read(&mut read).await.is_success());
            let passed_on = Reply::read(&mut read).await;
            let told = format!("get /{round} http/1.1");
            assert_eq!((passed_on.status, passed_on.message.body), (299, told));
            for field in ["one of ALL, SAME_LAST_SEEN", "one of ALL, NONE"] {
                let reply = Reply::read(&mut read).await;
                reply.assert_failure(400, "BAD_REQUEST");
                assert!(reply.text("message").contains(field));
            }
        }
    };
    tokio::join!(send, check);
    assert_eq!((ryze.seen().len(), old.seen().len()), (ROUNDS, ROUNDS));
}

/// A request with both `Content-Length` and `Transfer-Encoding` is read by its chunks, and its connection
/// is closed after the answer (RFC 9112, 6.1): no byte behind it is read as a request.
#[tokio::test]
async fn a_pipelined_head_with_both_lengths_is_the_last() {
    let hidden = "POST /hidden HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\n\r\n";
    let first = [
        photo("ALL"),
        "GET /first HTTP/1.1\r\nHost: g\r\n\r\n".into(),
    ];
    for before in first {
        for is_chunked_first in [true, false] {
            let body = format!("0\r\n\r\n{hidden}");
            let mut lengths = [
                "Transfer-Encoding: chunked\r\n".to_owned(),
                format!("Content-Length: {}\r\n", body.len()),
            ];
            if !is_chunked_first {
                lengths.reverse();
            }
            let lengths = lengths.concat();
            let both = format!("POST /both HTTP/1.1\r\nHost: g\r\n{lengths}\r\n{body}{hidden}");
            let (ryze, old, gateway) = start().await;
            let statuses = statuses(gateway.address, (before.clone() + &both).as_bytes()).await;
            assert_eq!(statuses.len(), 2, "{statuses:?}");
            let lines: Vec<_> = old.seen().into_iter().map(|(line, _)| line).collect();
            assert!(
                !lines.iter().any(|line| line.contains("hidden")),
                "{lines:?}"
            );
            assert!(ryze.seen().len() <= 1);
        }
    }
}

#[tokio::test]
async fn nothing_after_an_invalid_request_is_answered() {
    let unsound = [
        "POST /x HTTP/1.1\r\nHost: g\r\nContent-Length: 1, 1\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "POST /x HTTP/1.1\r\nHost: g\r\nX : y\r\n\r\n",
        "\0\r\n\r\n",
    ];
    for unsound in unsound {
        let (ryze, old, gateway) = start().await;
        let all = [&photo("ALL"), unsound, &photo("ALL")].concat();
        let statuses = statuses(gateway.address, all.as_bytes()).await;
        assert_eq!(statuses, [200, 400], "{unsound}");
        assert_eq!((ryze.seen().len(), old.seen().len()), (1, 0));
    }
}
