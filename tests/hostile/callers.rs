//! Hostile clients that exhaust time, connections and places in a queue. Each is disconnected or gets a
//! response in bounded time, and other clients are served meanwhile. Single limits are in `limits.rs`.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{PAUSE, Player, send};
use crate::harness::{Gateway, Reply, Setup, answer, photo, soon};

/// A second instance, for callers who have nothing to do with the first.
const SECOND: &str = "[[instances]]\nzapi_instance = \"I2\"\nzapi_token = \"T2\"\n\
                      ryze_instance = \"other\"\nryze_token = \"other\"";
/// How many do the same.
const OF_A_KIND: usize = 9;

/// What a hostile caller does until its connection ends.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// Sends the text, and nothing more.
    Stop(&'static str),
    /// Sends the first text, and the second one byte by byte, again and again.
    Trickle(&'static str, &'static str),
    /// Sends the text again and again, and never reads.
    Flood(&'static str),
    /// The same, and reads a byte at a time.
    Sip(&'static str),
}

const BODY_OF_I1: &str = "POST /instances/I1/token/T1/privacy/photo HTTP/1.1\r\nHost: g\r\n\
                          Content-Type: application/json\r\n";
const HARMS: [Harm; 15] = [
    Harm::Stop(""),
    Harm::Stop("P"),
    Harm::Stop("POST /x HTTP/1.1\r\nHost: g\r\n"),
    Harm::Stop("GET /x HTTP/1.1\r\nHost: g\r\n\r\n"),
    Harm::Stop("GET /x HTTP/1.1\r\nHost: g\r\n\r\nGET "),
    Harm::Stop("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0"),
    Harm::Trickle("", "\r\n"),
    Harm::Trickle("GET /", "x"),
    Harm::Trickle("GET /x HTTP/1.1\r\nHost: g\r\n", "X: y\r\n"),
    Harm::Trickle(
        "POST /x HTTP/1.1\r\nHost: g\r\nContent-Length: 9999\r\n\r\n",
        "x",
    ),
    Harm::Trickle(
        "POST /x HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n",
        "1\r\nx\r\n",
    ),
    Harm::Flood("GET /x HTTP/1.1\r\nHost: g\r\n\r\n"),
    Harm::Flood("POST /x HTTP/1.1\r\nHost: g\r\nContent-Length: 1\r\n\r\nx"),
    Harm::Flood("x"),
    Harm::Sip("GET /x HTTP/1.1\r\nHost: g\r\n\r\n"),
];
/// The same, of callers who are known.
const KNOWN: [(&str, &str); 4] = [
    ("Content-Length: 999\r\n\r\n{", ""),
    ("Content-Length: 999\r\n\r\n{", " "),
    ("Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "1\r\n \r\n"),
    ("Transfer-Encoding: chunked\r\n\r\n1", ";x"),
];

async fn harm(gateway: SocketAddr, harm: Harm) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let (mut read, mut write) = socket.connect(gateway).await.unwrap().into_split();
    match harm {
        Harm::Stop(text) => {
            let _ = write.write_all(text.as_bytes()).await;
            read_on(&mut read, 4096).await;
        }
        Harm::Trickle(first, then) => {
            let _ = write.write_all(first.as_bytes()).await;
            let trickle = async {
                for byte in then.as_bytes().iter().cycle() {
                    if write.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    sleep(PAUSE).await;
                }
            };
            tokio::select! { () = trickle => (), () = read_on(&mut read, 4096) => () }
        }
        Harm::Flood(text) => flood(&mut write, text).await,
        Harm::Sip(text) => {
            tokio::select! { () = flood(&mut write, text) => (), () = read_on(&mut read, 1) => () }
        }
    }
}

/// Reads to the end, so many bytes at a time and each time with a pause.
async fn read_on(read: &mut OwnedReadHalf, size: usize) {
    let mut bytes = vec![0; size];
    while read.read(&mut bytes).await.is_ok_and(|read| read > 0) {
        sleep(PAUSE).await;
    }
}

async fn flood(write: &mut OwnedWriteHalf, text: &str) {
    let text = text.repeat(4096 / text.len());
    while write.write_all(text.as_bytes()).await.is_ok() {}
}

/// A Ryze that answers for all instances but `main`, where it never does.
async fn busy_at_main() -> Player {
    Player::start(|_, request| match request.first_line() {
        line if line.ends_with("/main HTTP/1.1") => send(""),
        _ => {
            let settings = r#"{"visibility":{"profile":"all"}}"#;
            let body = format!("{{\"success\":true,\"settings\":{settings}}}");
            send(answer(200, "", &body))
        }
    })
    .await
}

/// The good call of the second instance.
fn of_i2() -> String {
    photo("ALL").replace("/I1/token/T1/", "/I2/token/T2/")
}

async fn start(server: &'static str) -> (Player, Gateway) {
    let ryze = busy_at_main().await;
    let setup = Setup {
        server,
        budget: "requests_per_minute = 10000\nburst = 10000",
        instance: SECOND,
        ..Setup::default()
    };
    let gateway = setup.start(&ryze.base_url).await;
    (ryze, gateway)
}

#[tokio::test]
async fn good_callers_are_served_among_hostile_ones_and_those_end() {
    let (_ryze, gateway) = start(
        "max_connections = 200\nheader_timeout = \"1s\"\nbody_timeout = \"1s\"\n\
         idle_timeout = \"1s\"",
    )
    .await;
    let known = KNOWN.map(|(first, then)| {
        let first: &'static str = format!("{BODY_OF_I1}{first}").leak();
        match then {
            "" => Harm::Stop(first),
            _ => Harm::Trickle(first, then),
        }
    });
    let mut hostile = JoinSet::new();
    for kind in HARMS.iter().chain(&known) {
        let count = match kind {
            // They go on until the system's buffers are full.
            Harm::Flood(_) | Harm::Sip(_) => 1,
            Harm::Stop(_) | Harm::Trickle(..) => OF_A_KIND,
        };
        for _ in 0..count {
            hostile.spawn(harm(gateway.address, *kind));
        }
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let start = Instant::now();
        assert!(gateway.send(of_i2()).await.is_success());
        slowest = slowest.max(start.elapsed());
    }
    let still_there = hostile.len();
    println!("{still_there} hostile callers, the slowest good call took {slowest:?}");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    // All that is bounded by one of the limits, one after the other.
    soon(async { while hostile.join_next().await.is_some() {} }).await;
}

/// As many calls wait as there are connections, each with one request in flight; one more gets 503.
#[tokio::test]
async fn callers_who_wait_are_bounded_by_their_connections() {
    let (ryze, gateway) = start("max_connections = 30\ndeadline = \"3s\"").await;
    let mut waiting = Vec::new();
    for _ in 0..29 {
        let mut caller = TcpStream::connect(gateway.address).await.unwrap();
        // Pipelined: the second waits for the answer to the first, not for Ryze. A third has begun, so the
        // connection is not idle after an early answer.
        let calls = photo("ALL").repeat(2) + "P";
        caller.write_all(calls.as_bytes()).await.unwrap();
        waiting.push(caller);
    }
    let mut good = TcpStream::connect(gateway.address).await.unwrap();
    for _ in 0..10 {
        good.write_all(of_i2().as_bytes()).await.unwrap();
        assert!(Reply::read(&mut good).await.is_success());
    }
    // Not idle.
    good.write_all(b"P").await.unwrap();
    let turned_away = gateway.send(of_i2()).await;
    turned_away.assert_failure(503, "SERVICE_UNAVAILABLE");
    let mut statuses = Vec::new();
    for caller in &mut waiting {
        statuses.push(Reply::read(caller).await.status);
    }
    // One was sent, perhaps folded with others, and the rest was not.
    assert!(
        statuses.iter().all(|it| [503, 504].contains(it)),
        "{statuses:?}"
    );
    assert!(
        statuses.contains(&504) && statuses.contains(&503),
        "{statuses:?}"
    );
    // Two connections: one hangs at `main`, the other serves the rest.
    assert_eq!(ryze.connections(), 2);
}

/// Who hangs up leaves its place: at once, or where bytes behind its request hide its end from hyper,
/// with its deadline.
#[tokio::test]
async fn callers_who_are_gone_keep_no_place() {
    for (behind, server) in [
        ("", "max_connections = 4\ndeadline = \"60s\""),
        ("P", "max_connections = 4\ndeadline = \"500ms\""),
    ] {
        let (_ryze, gateway) = start(server).await;
        for _ in 0..3 {
            for _ in 0..4 {
                let mut caller = TcpStream::connect(gateway.address).await.unwrap();
                let call = photo("ALL") + behind;
                caller.write_all(call.as_bytes()).await.unwrap();
            }
            soon(async {
                while !gateway.send(of_i2()).await.is_success() {
                    sleep(PAUSE).await;
                }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn who_comes_while_all_connections_are_taken_is_served_when_they_end() {
    let (_ryze, gateway) = start("max_connections = 8\nheader_timeout = \"500ms\"").await;
    let mut hostile = JoinSet::new();
    // More than are served and turned away together: some wait in the system's queue.
    for _ in 0..100 {
        hostile.spawn(harm(gateway.address, Harm::Trickle("GET /", "x")));
    }
    soon(async {
        loop {
            let mut caller = TcpStream::connect(gateway.address).await.unwrap();
            // It may be turned away before it said a word.
            let _ = caller.write_all(of_i2().as_bytes()).await;
            match Reply::read_or_end(&mut caller).await {
                Some(reply) if reply.is_success() => return,
                Some(reply) => assert_eq!(reply.status, 503),
                None => (),
            }
        }
    })
    .await;
    soon(async { while hostile.join_next().await.is_some() {} }).await;
}
