//! A fallback that is hostile or broken. If nothing of its response was forwarded, the client gets one
//! of the gateway's, else its connection is closed. No response is ever taken for that to another
//! request. Broken heads are in `proxy/connections.rs`.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use super::{MOST_IN_VAIN, Play, Player, close, send};
use crate::harness::{Gateway, Reply, Setup, answer, soon};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A gateway in front of a fallback that plays this once, and then reports the second request.
async fn start(play: Play) -> (Player, Gateway) {
    let old = Player::start(move |number, request| match number {
        0 => play.clone(),
        _ => send(answer(299, "", request.first_line())),
    });
    let old = old.await;
    let setup = Setup {
        fallback: format!("base_url = {:?}\nidle_timeout = \"400ms\"", old.base_url),
        ..Setup::default()
    };
    let gateway = setup.start("http://127.0.0.1:1").await;
    (old, gateway)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: g\r\n\r\n")
}

/// The next call has its own answer.
async fn check_next(gateway: &Gateway) {
    let next = gateway.send(get("/next")).await;
    let got = (next.status, next.message.body.as_str());
    assert_eq!(got, (299, "GET /next HTTP/1.1"));
}

#[tokio::test]
async fn a_head_that_never_ends() {
    let flood = |first: &str, others: &'static str| {
        Play::Flood(first.as_bytes().to_vec(), others.as_bytes())
    };
    let plays = [
        (send(""), 504),
        (send("HTTP/1.1 200 OK\r\n"), 504),
        (send("HTTP/1.1 103 Early Hints\r\n\r\n"), 504),
        (flood("", "x"), 502),
        (flood("HTTP/1.1 200 OK\r\n", "X-Header: y\r\n"), 502),
        (flood("HTTP/1.1 200 OK\r\nX: ", "x"), 502),
        (flood("", "HTTP/1.1 103 Early Hints\r\n\r\n"), 502),
        (flood("", "HTTP/1.1 100 Continue\r\n\r\n"), 502),
    ];
    for (play, status) in plays {
        let told = format!("{play:.80?}");
        println!("{told}");
        let (old, gateway) = start(play).await;
        let start = Instant::now();
        let reply = gateway.send(get("/first")).await;
        assert_eq!(reply.status, status, "{told}");
        assert!(start.elapsed() < Duration::from_secs(5), "{told}");
        assert!(old.flooded() < MOST_IN_VAIN, "{told}");
        check_next(&gateway).await;
        assert_eq!(old.connections(), 2, "{told}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_ends_the_callers_connection() {
    let plays = [
        send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut"),
        close("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut"),
        close(format!("{CHUNKED}9\r\ncut")),
        close(format!("{CHUNKED}3\r\ncut\r\n")),
        close(format!("{CHUNKED}3\r\ncut\r\n0\r\n")),
        send(format!("{CHUNKED}3\r\ncut\r\nx\r\n")),
        send(format!("{CHUNKED}3\r\ncut0\r\n\r\n")),
        send(format!("{CHUNKED}3\r\ncut\r\nfffffffffffffffff\r\n")),
        send(format!("{CHUNKED}3\r\ncut\r\n0\r\nX : y\r\n\r\n")),
        send(format!(
            "{CHUNKED}3\r\ncut\r\n0\r\n{}\r\n",
            "X: y\r\n".repeat(20_000)
        )),
    ];
    for play in plays {
        let told = format!("{play:.120?}");
        println!("{told}");
        let (old, gateway) = start(play).await;
        let mut caller = TcpStream::connect(gateway.address).await.unwrap();
        // A second request, to be sure that the end is no end of a message.
        let pipelined = get("/first") + &get("/second");
        caller.write_all(pipelined.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        let _ = soon(caller.read_to_end(&mut got)).await;
        let got = String::from_utf8(got).unwrap();
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{told}: {got}");
        let ends = got.contains("\r\n0\r\n") || got.contains("HTTP/1.1 299");
        assert!(!ends, "{told}: {got}");
        check_next(&gateway).await;
        assert_eq!(old.connections(), 2, "{told}");
    }
}

#[tokio::test]
async fn what_follows_an_answer_is_nobodys_answer() {
    let stale = answer(298, "", "of somebody else");
    let sound = [
        answer(200, "", "{}"),
        format!("{CHUNKED}2\r\n{{}}\r\n0\r\n\r\n"),
        "HTTP/1.1 204 No Content\r\n\r\n".into(),
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".into(),
    ];
    for sound in &sound {
        for surplus in [
            stale.as_str(),
            "x",
            "\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
        ] {
            for _ in 0..3 {
                let (old, gateway) = start(send(format!("{sound}{surplus}"))).await;
                let mut caller = TcpStream::connect(gateway.address).await.unwrap();
                let request = get("/first").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
                caller.write_all(request.as_bytes()).await.unwrap();
                let mut got = String::new();
                soon(caller.read_to_string(&mut got)).await.unwrap();
                let line = sound.lines().next().unwrap();
                assert!(got.starts_with(line), "{got}");
                assert!(!got.contains("somebody else"), "{got}");
                check_next(&gateway).await;
                assert_eq!(old.connections(), 2, "{sound:?} {surplus:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_to_head_with_a_body_answers_nobody_else() {
    let stale = answer(298, "", "of somebody else");
    let length = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", stale.len());
    let (old, gateway) = start(send(format!("{length}{stale}"))).await;
    let mut caller = TcpStream::connect(gateway.address).await.unwrap();
    let head = "HEAD /first HTTP/1.1\r\nHost: g\r\n\r\n";
    caller.write_all(head.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n\r\n") {
        got.push(soon(caller.read_u8()).await.unwrap());
    }
    caller.write_all(get("/next").as_bytes()).await.unwrap();
    let next = Reply::read(&mut caller).await;
    assert_eq!(
        (next.status, next.message.body.as_str()),
        (299, "GET /next HTTP/1.1")
    );
    assert_eq!(old.connections(), 2);
}
