//! Limits on a client or a Ryze that is too slow or sends too much: each ends in bounded time, and
//! others are served meanwhile. The times are short; every wait is for an event.

use std::{collections::VecDeque, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::harness::{Gateway, Message, Reply, Setup, Step, Upstream, confirms, photo, soon};

const CONFIRMS: &str = r#"{"visibility":{"profile":"all"}}"#;

async fn start(server: &'static str) -> (Upstream, Gateway) {
    let upstream = Upstream::start(confirms(CONFIRMS)).await;
    let setup = Setup {
        server,
        ..Setup::default()
    };
    let gateway = setup.start(&upstream.base_url).await;
    (upstream, gateway)
}

async fn connect(gateway: &Gateway) -> TcpStream {
    TcpStream::connect(gateway.address).await.unwrap()
}

/// Awaits that the gateway closes the connection without a word.
async fn closed(caller: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is as good an end as any.
    let _ = soon(caller.read_to_end(&mut rest)).await;
    assert_eq!(String::from_utf8(rest).unwrap(), "");
}

#[tokio::test]
async fn a_head_that_does_not_come_or_does_not_end() {
    let (_upstream, gateway) = start("header_timeout = \"200ms\"").await;
    for begun in ["", "P", "POST / HTTP/1.1\r\nHost: g\r\nX-Slow: "] {
        let mut caller = connect(&gateway).await;
        caller.write_all(begun.as_bytes()).await.unwrap();
        closed(&mut caller).await;
    }
}

#[tokio::test]
async fn a_head_that_trickles_is_not_given_more_time_by_each_byte() {
    let (_upstream, gateway) = start("header_timeout = \"300ms\"").await;
    let (mut read, mut write) = connect(&gateway).await.into_split();
    let mut rest = Vec::new();
    let trickle = async {
        loop {
            if write.write_all(b"x").await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let end = async {
        let _ = read.read_to_end(&mut rest).await;
    };
    soon(async {
        tokio::select! { () = trickle => (), () = end => () }
    })
    .await;
}

#[tokio::test]
async fn a_second_head_that_does_not_end() {
    let (_upstream, gateway) = start("header_timeout = \"200ms\"").await;
    let mut caller = connect(&gateway).await;
    caller.write_all(photo("ALL").as_bytes()).await.unwrap();
    assert!(Reply::read(&mut caller).await.is_success());
    caller.write_all(b"POST /").await.unwrap();
    closed(&mut caller).await;
}

#[tokio::test]
async fn a_connection_that_is_idle() {
    let (_upstream, gateway) = start("idle_timeout = \"200ms\"").await;
    let mut caller = connect(&gateway).await;
    for _ in 0..2 {
        caller.write_all(photo("ALL").as_bytes()).await.unwrap();
        assert!(Reply::read(&mut caller).await.is_success());
    }
    closed(&mut caller).await;
}

/// hyper reads on after an answer only where it has reason to: nothing but the limit may depend on it.
#[tokio::test]
async fn a_connection_that_is_idle_after_a_long_time_of_work_or_a_body_in_chunks() {
    let call = photo("ALL");
    let (head, body) = call.split_once("\r\n\r\n").unwrap();
    let head = head.replace("Content-Length: 27", "Transfer-Encoding: chunked");
    let chunked = format!("{head}\r\n\r\n1b\r\n{body}\r\n0\r\n\r\n");
    let (upstream, gateway) = start("idle_timeout = \"300ms\"\nheader_timeout = \"60s\"").await;
    let old = Upstream::start(confirms("{}")).await;
    let setup = Setup {
        server: "idle_timeout = \"300ms\"\nheader_timeout = \"60s\"",
        fallback: format!("base_url = {:?}", old.base_url),
        ..Setup::default()
    };
    let with_fallback = setup.start(&upstream.base_url).await;
    let passed_on = "POST /x HTTP/1.1\r\nHost: g\r\nContent-Length: 1\r\n\r\nx";
    for (gateway, call) in [
        (&gateway, chunked.as_str()),
        (&with_fallback, chunked.as_str()),
        (&with_fallback, passed_on),
    ] {
        let mut caller = connect(gateway).await;
        caller.write_all(call.as_bytes()).await.unwrap();
        assert!(Reply::read(&mut caller).await.status < 400);
        closed(&mut caller).await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_come() {
    let (upstream, gateway) = start("body_timeout = \"200ms\"").await;
    let call = photo("ALL");
    let reply = gateway.send(&call[..call.len() - 1]).await;
    reply.assert_failure(408, "REQUEST_TIMEOUT");
    assert_eq!(upstream.seen(), []);
}

#[tokio::test]
async fn a_body_that_is_cut_short() {
    let (upstream, gateway) = start("").await;
    let mut caller = connect(&gateway).await;
    let call = photo("ALL");
    caller
        .write_all(&call.as_bytes()[..call.len() - 1])
        .await
        .unwrap();
    caller.shutdown().await.unwrap();
    let reply = Reply::read_or_end(&mut caller).await;
    assert!(reply.is_none_or(|reply| reply.status == 400));
    assert_eq!(upstream.seen(), []);
}

#[tokio::test]
async fn a_body_over_the_limit_announced_or_not() {
    let (upstream, gateway) = start("max_body = 30").await;
    let fits = photo("ALL").replace("Length: 27", "Length: 30") + "   ";
    assert!(gateway.send(fits).await.is_success());
    let head = "POST /instances/I1/token/T1/privacy/photo HTTP/1.1\r\nHost: g\r\n\
                Content-Type: application/json\r\n";
    let announced = format!("{head}Content-Length: 31\r\n\r\n");
    let chunked = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n1f\r\n{}\r\n",
        "x".repeat(31)
    );
    for call in [announced, chunked] {
        gateway
            .send(call)
            .await
            .assert_failure(413, "REQUEST_ENTITY_TOO_LARGE");
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_body_is_not_asked_for_before_its_caller_is_known() {
    let (_upstream, gateway) = start("").await;
    let expecting = |token: &str| {
        let call = photo("ALL").replace("/T1/", &format!("/{token}/"));
        let (head, body) = call.split_once("\r\n\r\n").unwrap();
        (
            format!("{head}\r\nExpect: 100-continue\r\n\r\n"),
            body.to_owned(),
        )
    };
    let (head, _) = expecting("wrong");
    gateway
        .send(head)
        .await
        .assert_failure(400, "Instance not found");
    let (head, body) = expecting("T1");
    let mut caller = connect(&gateway).await;
    caller.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(Reply::read(&mut caller).await.status, 100);
    caller.write_all(body.as_bytes()).await.unwrap();
    assert!(Reply::read(&mut caller).await.is_success());
}

#[tokio::test]
async fn connections_over_the_limit_are_told_so_and_the_others_are_served() {
    let (upstream, gateway) = start("max_connections = 2").await;
    let mut callers = [connect(&gateway).await, connect(&gateway).await];
    let call = photo("ALL");
    let (begun, rest) = call.split_at(1);
    for caller in &mut callers {
        caller.write_all(call.as_bytes()).await.unwrap();
        assert!(Reply::read(caller).await.is_success());
        // A connection on which a request has begun is not idle.
        caller.write_all(begun.as_bytes()).await.unwrap();
    }
    let mut third = connect(&gateway).await;
    third.write_all(photo("ALL").as_bytes()).await.unwrap();
    let reply = Reply::read(&mut third).await;
    reply.assert_failure(503, "SERVICE_UNAVAILABLE");
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(reply.header("connection"), Some("close"));
    closed(&mut third).await;
    assert_eq!(upstream.seen().len(), 2);
    let [first, mut second] = callers;
    drop(first);
    second.write_all(rest.as_bytes()).await.unwrap();
    assert!(Reply::read(&mut second).await.is_success());
    soon(async {
        while !gateway.set_photo("ALL").await.is_success() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Exactly one is closed for each newcomer, in the order in which they became idle.
#[tokio::test]
async fn the_longest_idle_connection_is_closed_for_a_new_one() {
    const IDLE: usize = 5;
    let (_upstream, gateway) = start("max_connections = 5").await;
    let call = async |caller: &mut TcpStream| {
        caller.write_all(photo("ALL").as_bytes()).await.unwrap();
        assert!(Reply::read(caller).await.is_success());
    };
    let mut idle = VecDeque::new();
    for _ in 0..IDLE {
        let mut caller = connect(&gateway).await;
        call(&mut caller).await;
        idle.push_back(caller);
    }
    // The first is not the longest idle one any more.
    call(&mut idle[0]).await;
    idle.rotate_left(1);
    for _ in 0..2 * IDLE {
        let mut newcomer = connect(&gateway).await;
        call(&mut newcomer).await;
        closed(&mut idle.pop_front().unwrap()).await;
        idle.push_back(newcomer);
    }
    // The others are open.
    for caller in &mut idle {
        call(caller).await;
    }
}

/// Twice as many callers as there may be connections, which keep theirs: the close of a connection may cross
/// its next request, and never costs the first one or a part of an answer.
#[tokio::test]
async fn a_connection_is_closed_for_another_only_between_two_calls() {
    let (_upstream, gateway) = start("max_connections = 4").await;
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let address = gateway.address;
        callers.spawn(async move {
            let mut answered = 0;
            for _ in 0..25 {
                let mut caller = TcpStream::connect(address).await.unwrap();
                for number in 0..4 {
                    let sent = caller.write_all(b"GET / HTTP/1.1\r\nHost: g\r\n\r\n");
                    let reply = match sent.await {
                        Ok(()) => Reply::read_or_end(&mut caller).await,
                        Err(_) => None,
                    };
                    match reply {
                        Some(reply) if reply.status == 404 => answered += 1,
                        other => {
                            let status = other.map_or(0, |reply| reply.status);
                            assert_eq!(status == 503, number == 0, "{status} to call {number}");
                            break;
                        }
                    }
                }
            }
            answered
        });
    }
    let answered: usize = soon(callers.join_all()).await.into_iter().sum();
    assert!(answered > 100, "{answered}");
}

#[tokio::test]
async fn a_caller_that_does_not_read_its_answers() {
    let (_upstream, gateway) = start("idle_timeout = \"300ms\"").await;
    let mut caller = connect(&gateway).await;
    let refused = "GET / HTTP/1.1\r\nHost: g\r\n\r\n".repeat(1000);
    soon(async { while caller.write_all(refused.as_bytes()).await.is_ok() {} }).await;
}

#[tokio::test]
async fn a_ryze_that_does_not_answer() {
    let upstream = Upstream::start(Step::Hang).await;
    let setup = Setup {
        server: "deadline = \"400ms\"",
        ..Setup::default()
    };
    let gateway = setup.start(&upstream.base_url).await;
    let sent = gateway.set_photo("ALL").await;
    sent.assert_failure(504, "GATEWAY_TIMEOUT");
    assert!(sent.text("message").contains("may still take effect"));
    let waiting = gateway.set_photo("NONE").await;
    waiting.assert_failure(503, "SERVICE_UNAVAILABLE");
    assert!(waiting.text("message").contains("nothing was changed"));
    assert_eq!(waiting.header("retry-after"), Some("1"));
    assert_eq!(upstream.seen().len(), 1);
    let setup = Setup {
        ryze: "request_timeout = \"200ms\"",
        ..Setup::default()
    };
    let gateway = setup.start(&upstream.base_url).await;
    gateway
        .set_photo("ALL")
        .await
        .assert_failure(504, "GATEWAY_TIMEOUT");
    // The update and what was to be read back.
    assert_eq!(upstream.seen().len(), 3);
}

/// Its instance takes a part of the connections, and the others have the rest.
#[tokio::test]
async fn a_ryze_that_does_not_answer_for_one_instance() {
    let upstream = Upstream::script(vec![Step::Hang, confirms(CONFIRMS)]).await;
    let setup = Setup {
        server: "max_connections = 20",
        instance: "[[instances]]\nzapi_instance = \"I2\"\nzapi_token = \"T2\"\n\
                   ryze_instance = \"other\"\nryze_token = \"t2\"",
        ..Setup::default()
    };
    let gateway = Arc::new(setup.start(&upstream.base_url).await);
    let mut callers = JoinSet::new();
    for _ in 0..6 {
        let gateway = Arc::clone(&gateway);
        callers.spawn(async move {
            let mut caller = connect(&gateway).await;
            caller.write_all(photo("ALL").as_bytes()).await.unwrap();
            Reply::from(Message::read(&mut caller).await.unwrap())
        });
    }
    let refused = soon(callers.join_next()).await.unwrap().unwrap();
    refused.assert_failure(503, "SERVICE_UNAVAILABLE");
    assert!(refused.text("message").contains("nothing was changed"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    let other = photo("ALL").replace("/I1/token/T1/", "/I2/token/T2/");
    assert!(gateway.send(&other).await.is_success());
    assert_eq!(upstream.seen().len(), 2);
    assert!(callers.try_join_next().is_none(), "the others wait");
}

#[tokio::test]
async fn a_budget_that_is_used_up() {
    let upstream = Upstream::start(confirms(CONFIRMS)).await;
    let setup = Setup {
        budget: "requests_per_minute = 3\nburst = 3\nmax_wait = \"0s\"",
        ..Setup::default()
    };
    let gateway = setup.start(&upstream.base_url).await;
    for _ in 0..3 {
        assert!(gateway.set_photo("ALL").await.is_success());
    }
    let reply = gateway.set_photo("ALL").await;
    reply.assert_failure(429, "TOO_MANY_REQUESTS");
    assert!(reply.text("message").contains("nothing was changed"));
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((55..=61).contains(&seconds), "{seconds}");
    assert_eq!(upstream.seen().len(), 3);
}

#[tokio::test]
async fn a_deadline_that_comes_before_the_body() {
    let (upstream, gateway) = start("deadline = \"200ms\"").await;
    let call = photo("ALL");
    let reply = gateway.send(&call[..call.len() - 1]).await;
    reply.assert_failure(408, "REQUEST_TIMEOUT");
    assert_eq!(upstream.seen(), []);
}

#[tokio::test]
async fn a_large_body_that_nobody_reads_does_not_cost_its_caller_the_answer() {
    let (_upstream, gateway) = start("").await;
    let length = 8 * 1024 * 1024;
    let head = format!("POST /send-image HTTP/1.1\r\nHost: g\r\nContent-Length: {length}\r\n\r\n");
    let mut caller = connect(&gateway).await;
    caller.write_all(head.as_bytes()).await.unwrap();
    // As many callers do, it sends all of it before it reads.
    soon(caller.write_all(&vec![b'x'; length])).await.unwrap();
    let reply = Reply::read(&mut caller).await;
    reply.assert_failure(404, "NOT_FOUND");
    assert_eq!(reply.header("connection"), Some("close"));
    closed(&mut caller).await;
}

#[tokio::test]
async fn a_body_that_nobody_reads_and_never_ends() {
    let (_upstream, gateway) = start("header_timeout = \"300ms\"").await;
    let mut caller = connect(&gateway).await;
    let head = "POST /x HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n";
    caller.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    soon(async { while caller.write_all(chunk.as_bytes()).await.is_ok() {} }).await;
}

#[tokio::test]
async fn silent_connections_over_the_limit_keep_nobody_out_for_long() {
    let (_upstream, gateway) = start("max_connections = 1").await;
    let mut served = connect(&gateway).await;
    served.write_all(photo("ALL").as_bytes()).await.unwrap();
    assert!(Reply::read(&mut served).await.is_success());
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(connect(&gateway).await);
    }
    // The next one finds no place at all, until the one that is served goes.
    let mut waiting = connect(&gateway).await;
    waiting.write_all(photo("ALL").as_bytes()).await.unwrap();
    drop(served);
    assert!(Reply::read(&mut waiting).await.is_success());
    for connection in &mut silent {
        closed(connection).await;
    }
}
