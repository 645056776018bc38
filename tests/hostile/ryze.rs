//! A Ryze that is hostile or broken: each of its answers ends in bounded time and memory, none is taken
//! for a confirmation that it is not, and none is ever taken for the answer to another request. Its
//! documented responses, and complete ones that confirm nothing, are in `ryze_answers.rs`.

use std::time::Duration;

use tokio::{
    io::{AsyncWriteExt as _, copy, duplex, sink},
    time::Instant,
};
use zapi_to_ryze::{
    net::{Connect, Opening},
    privacy::{Audience, Change, Setting},
    ryze::Client,
};

use super::{MOST_IN_VAIN, Play, Player, close, send};
use crate::{
    harness::{Reply, Setup, answer, photo},
    pipes::target,
};

const OK: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A body that confirms a value of the photo's visibility.
fn confirming(value: &str) -> String {
    format!("{{\"success\":true,\"settings\":{{\"visibility\":{{\"profile\":\"{value}\"}}}}}}")
}

/// The answer with it.
fn confirmation(value: &str) -> String {
    answer(200, "", &confirming(value))
}

/// The response to a client of a Ryze that plays this once and then only fails, and the response to the
/// next client, which asks for `none`.
async fn play(play: Play) -> (Reply, Reply, Player) {
    let failure = answer(500, "", "{}");
    let ryze = Player::start(move |number, _| match number {
        0 => play.clone(),
        _ => send(&failure),
    });
    let ryze = ryze.await;
    let setup = Setup {
        server: "deadline = \"1s\"",
        ryze: "request_timeout = \"400ms\"",
        ..Setup::default()
    };
    let gateway = setup.start(&ryze.base_url).await;
    let start = Instant::now();
    let first = gateway.send(photo("ALL")).await;
    assert!(start.elapsed() < Duration::from_secs(5), "bounded time");
    let second = gateway.send(photo("NONE")).await;
    assert!(ryze.flooded() < MOST_IN_VAIN, "{} bytes", ryze.flooded());
    (first, second, ryze)
}

/// Answers that are no confirmation of `all`, though each has something of one.
fn broken() -> Vec<Play> {
    let all = confirmation("all");
    let body = confirming("all");
    let length = body.len();
    let with = |headers: &str| format!("{OK}{headers}\r\n{body}");
    let sized = |headers: &str| with(&format!("Content-Length: {length}\r\n{headers}"));
    let chunks = |chunks: String| format!("{CHUNKED}{chunks}");
    let in_json = |bytes: &[u8]| {
        let mut body = br#"{"success":true,"x":""#.to_vec();
        body.extend(bytes);
        body.extend(br#"","settings":{"visibility":{"profile":"all"}}}"#);
        let head = format!("{OK}Content-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), &body].concat()
    };
    let utf16: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deep = |open: &str| format!("{{\"success\":true,\"settings\":{}", open.repeat(10_000));
    let flood = |first: &str, others: &'static str| {
        Play::Flood(first.as_bytes().to_vec(), others.as_bytes())
    };
    let mut plays = vec![
        // Without end.
        flood("", "\r\n"),
        flood("", "HTTP/1.1 100 Continue\r\n\r\n"),
        flood("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        flood("", "x"),
        flood("HTTP/1.1 200 ", "x"),
        flood(OK, "X-Header: y\r\n"),
        flood("HTTP/1.1 200 OK\r\nX: ", "x"),
        flood("HTTP/1.1 200 OK\r\n\r\n", " "),
        flood(CHUNKED, "1\r\n \r\n"),
        flood(&chunks("1;".into()), "x"),
        flood(&chunks("0".into()), "0"),
        flood(
            &chunks(format!("{length:x}\r\n{body}\r\n0\r\n")),
            "X: y\r\n",
        ),
        flood("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", " "),
        // Slow.
        send(""),
        Play::Trickle(all.clone().into()),
        Play::Trickle(chunks(format!("{length:x}\r\n{body}\r\n0\r\n\r\n")).into()),
        send(&all[..all.len() - 1]),
        send(OK),
        send(CHUNKED),
        // Cut short.
        close(&all[..all.len() - 1]),
        close(&all[..all.len() - length]),
        close(chunks(format!("{length:x}\r\n{body}\r\n"))),
        close(chunks(format!("{length:x}\r\n{body}\r\n0\r\n"))),
        close(chunks(format!("{:x}\r\n{body}", length + 1))),
        // Framed in two ways, or in none.
        send(sized(&format!("Content-Length: {}\r\n", length + 1))),
        send(sized("Content-Length: 0\r\n")),
        send(with(&format!("Content-Length: {length}, 0\r\n"))),
        send(with(&format!("Content-Length: +{length}\r\n"))),
        send(with("Content-Length: -1\r\n")),
        send(with("Content-Length: 99999999999999999999\r\n")),
        send(with("Content-Length: 0\r\n")),
        send(with("Content-Length:\r\n")),
        send(with("Transfer-Encoding: gzip, chunked\r\n")),
        send(with("Transfer-Encoding: chunked\r\n")),
        send(with("Transfer-Encoding: xchunked\r\n")),
        send(chunks(format!("0x{length:x}\r\n{body}\r\n0\r\n\r\n"))),
        send(chunks(format!("-1\r\n{body}\r\n0\r\n\r\n"))),
        send(chunks(format!("{length:x}\r\n{body}0\r\n\r\n"))),
        send(chunks(format!("ffffffffffffffff1\r\n{body}\r\n0\r\n\r\n"))),
        // Not what was asked for.
        send(sized("Content-Encoding: gzip\r\n")),
        send(in_json(b"\xff")),
        send(in_json(b"\xc0\x80")),
        send(in_json(b"\xed\xa0\x80")),
        send(in_json(b"\0")),
        send(in_json(b"\\ud800\"\"")),
        send(answer(200, "", &format!("\u{feff}\u{feff}{body}"))),
        send(
            [
                format!("{OK}Content-Length: {}\r\n\r\n", utf16.len()).as_bytes(),
                &utf16,
            ]
            .concat(),
        ),
        send(answer(200, "", &deep("{\"visibility\":"))),
        send(answer(200, "", &deep("["))),
        send(answer(200, "", &format!("{body}{body}"))),
        send(answer(200, "", &format!("[{body}]"))),
        // Hardly HTTP.
        send(all.replacen("HTTP/1.1", "HTTP/2.0", 1)),
        send(all.replacen("HTTP/1.1", "http/1.1", 1)),
        send(all.replacen("HTTP/1.1", "ICY", 1)),
        send(all.replacen("\r\n", "\r\n folded: x\r\n", 1)),
        send(all.replacen("\r\n", "\r\nX : y\r\n", 1)),
        send(all.replacen("\r\n", "\r\nX\0: y\r\n", 1)),
        send(all.replacen("\r\n", "\r\nX: \0\r\n", 1)),
        send(all.replacen("\r\n", "\r", 1)),
        send("220 ryze ESMTP\r\n"),
        send("SSH-2.0-OpenSSH_9.2\r\n"),
        send(b"\x15\x03\x01\x00\x02\x02\x46"),
        send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        close(body.clone()),
    ];
    for status in ["000", "1", "2000", "-200", "2 0", "\u{661}00"] {
        plays.push(send(all.replacen("200", status, 1)));
    }
    for status in [
        101, 199, 201, 203, 204, 205, 206, 226, 299, 300, 304, 600, 999,
    ] {
        plays.push(send(all.replacen("200", &status.to_string(), 1)));
    }
    plays
}

#[tokio::test]
async fn a_broken_answer_is_no_confirmation_and_its_connection_answers_nobody_else() {
    let plays = broken();
    println!("{} answers", plays.len());
    let mut running = tokio::task::JoinSet::new();
    for broken in plays {
        running.spawn(async move {
            let told = format!("{broken:.200?}");
            let (first, second, _ryze) = play(broken).await;
            println!("{told}: {} {}", first.status, first.message.body);
            assert!(
                [502, 504].contains(&first.status),
                "{told} {}",
                first.status
            );
            assert!(
                [502, 503, 504].contains(&second.status),
                "{told} {}",
                second.status
            );
            for reply in [first, second] {
                assert!(!reply.message.body.contains("ryze-secret"), "{told}");
            }
        });
    }
    while let Some(result) = running.join_next().await {
        result.unwrap();
    }
}

/// The next caller asks for what the surplus confirms: it must not have it for an answer.
#[tokio::test]
async fn what_follows_an_answer_is_nobodys_answer() {
    let stale = confirmation("none");
    let surplus = [
        stale.clone(),
        stale.repeat(3),
        format!("\r\n{stale}"),
        format!("HTTP/1.1 100 Continue\r\n\r\n{stale}"),
        "x".into(),
        "\r\n\r\n".into(),
        "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n".into(),
        stale[..30].into(),
    ];
    let chunked = format!(
        "{CHUNKED}{:x}\r\n{}\r\n0\r\n\r\n",
        confirming("all").len(),
        confirming("all")
    );
    for answer in [confirmation("all"), chunked] {
        for surplus in &surplus {
            for _ in 0..5 {
                let (first, second, ryze) = play(send(format!("{answer}{surplus}"))).await;
                assert!(first.is_success(), "{surplus:?}");
                assert_eq!(second.status, 502, "{surplus:?}");
                assert!(ryze.connections() >= 2, "{surplus:?}");
            }
        }
    }
}

/// A length beside chunks, and what else ends a connection (RFC 9112, 6.3 and 9.6).
#[tokio::test]
async fn an_answer_that_ends_its_connection_is_the_last_on_it() {
    let body = confirming("all");
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let stale = confirmation("none");
    let answers = [
        send(answer(200, "Connection: close\r\n", &body)),
        send(answer(200, "", &body).replacen("1.1", "1.0", 1)),
        send(CHUNKED.replacen("\r\n", "\r\nConnection: close\r\n", 1) + &chunks),
        send(CHUNKED.replacen("\r\n", "\r\nContent-Length: 5\r\n", 1) + &chunks + &stale),
        close(format!("{OK}\r\n{body}")),
    ];
    for last in answers {
        let told = format!("{last:?}");
        let (first, second, ryze) = play(last).await;
        println!("{told} {}", first.status);
        assert!(first.is_success() || first.status == 502);
        assert_eq!(second.status, 502);
        assert!(ryze.connections() >= 2);
    }
}

/// A connection with bytes before any request.
struct Hasty(String);

impl Connect for Hasty {
    fn connect(&self) -> Opening<'_> {
        Box::pin(async move {
            let (near, mut far) = duplex(64 * 1024);
            far.write_all(self.0.as_bytes()).await?;
            // It stays open until the gateway closes it.
            tokio::spawn(async move { copy(&mut far, &mut sink()).await });
            Ok(Box::new(near) as _)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_before_the_request_is_none() {
    for early in [confirmation("none"), "x".into(), OK.into()] {
        let client = Client::new(Hasty(early), Duration::from_secs(60));
        let change = Change {
            setting: Setting::ProfilePhoto,
            audience: Audience::Nobody,
        };
        let update = [change].into_iter().collect();
        let reply = client.update(&target("one"), &update, None).await;
        assert!(reply.result.is_err(), "{:?}", reply.result);
    }
}
