//! Upstreams that repeat secrets in their responses: Ryze, in each encoding and also to calls while its
//! instance is suspended, Redis, and the fallback.

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    task::JoinSet,
};

use super::{
    ENCODINGS, FORMATS, INSTANCES, PHONE, Planted, assert_hushed, photo, redis_url, request,
    secret, stop,
};
use crate::{
    harness::{Step, Upstream, answer, answers, confirms, refuses, soon},
    process::{request_lines, send},
};

const CONFIRMED: &str = r#"{"visibility":{"profile":"all"}}"#;

/// What Ryze may answer that repeats a text, which has neither `"` nor `\` in it.
fn echoes(text: &str) -> Vec<Step> {
    let field = format!("failed to update profile privacy: {text}: info query returned status 403");
    let mut echoes = vec![
        refuses(500, &field),
        Step::Send(answer(200, &format!("X-Echo: {text}\r\n"), text)),
        Step::Send(format!("HTTP/1.1 200 {text}\r\n{text}\r\n\r\n")),
        answers(200, &format!("{{\"success\":true,\"settings\":{text:?}}}")),
        answers(200, &format!("{{\"success\":true,{text:?}:{text:?}}}")),
        answers(200, &format!("{{\"success\":{text:?}")),
        answers(400, &format!("{{\"error\":{text:?},\"message\":{text:?}}}")),
        confirms(&format!("{{\"visibility\":{{\"profile\":{text:?}}}}}")),
    ];
    echoes.extend([400, 401, 418, 429, 503].map(|status| refuses(status, text)));
    echoes
}

/// Serves these instances and nothing more.
async fn check(base_url: &str, format: &str, instances: &[&str]) {
    let planted = Planted::new(base_url, format, "");
    let (gateway, address) = planted.serve().await;
    for name in instances {
        let reply = send(address, photo(name)).await;
        assert!(reply.status >= 400, "{:?}", reply.message);
        assert_hushed("answer", &format!("{:?}", reply.message));
    }
    let log = stop(gateway).await.stderr;
    assert_eq!(request_lines(&log).len(), instances.len(), "{log}");
}

#[tokio::test]
async fn nothing_surfaces_of_what_ryze_repeats() {
    let secrets = INSTANCES.map(|name| secret(&format!("ryze{name}")));
    for (number, encode) in ENCODINGS.into_iter().enumerate() {
        let format = FORMATS[number % FORMATS.len()];
        for text in [secrets.join(" "), PHONE.to_owned()] {
            // Within JSON, this is a text with backslashes in it.
            let encoded = encode(&text).replace('\\', "\\\\");
            let mut checks = JoinSet::new();
            for step in echoes(&format!("It says {encoded}")) {
                checks.spawn(async move {
                    let upstream = Upstream::start(step).await;
                    // The second time, an instance may be held.
                    check(&upstream.base_url, format, &["1", "2", "3", "1"]).await;
                });
            }
            checks.join_all().await;
        }
    }
}

#[tokio::test]
async fn nothing_surfaces_of_a_ryze_that_is_not_there_or_not_itself() {
    let upstream = Upstream::start(refuses(400, "planted")).await;
    let authority = upstream.base_url.strip_prefix("http://").unwrap();
    let bases = [
        "http://127.0.0.1:1".to_owned(),
        format!("https://{authority}"),
    ];
    for (base_url, format) in bases.iter().zip(FORMATS) {
        check(base_url, format, &["1"]).await;
    }
}

/// A Redis that answers every line with this one.
async fn redis(answer: &'static str) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            tokio::spawn(async move {
                let mut lines = BufReader::new(stream).lines();
                while let Ok(Some(_)) = lines.next_line().await {
                    let answer = format!("{answer}\r\n");
                    let _ = lines.get_mut().write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    address.to_string()
}

#[tokio::test]
async fn nothing_surfaces_of_a_redis_that_is_lost() {
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let refusals = [
        "-WRONGPASS planted-user planted-redis",
        "-ERR unknown command 'AUTH', with args beginning with: 'planted-redis'",
        "planted-redis",
    ];
    let mut addresses = vec!["127.0.0.1:1".to_owned(), "planted.invalid".to_owned()];
    for refusal in refusals {
        addresses.push(redis(refusal).await);
    }
    for (number, address) in addresses.iter().enumerate() {
        let more = format!("[budget]\nredis = {:?}", redis_url(address));
        let format = FORMATS[number % FORMATS.len()];
        let planted = Planted::new(&upstream.base_url, format, &more);
        let (mut gateway, address) = planted.serve().await;
        let reply = send(address, photo("1")).await;
        reply.assert_failure(429, "TOO_MANY_REQUESTS");
        assert_hushed("answer", &format!("{:?}", reply.message));
        soon(gateway.stderr.line("Redis is lost")).await;
        stop(gateway).await;
    }
    assert_eq!(upstream.seen(), []);
}

#[tokio::test]
async fn nothing_surfaces_of_what_is_passed_on() {
    let answers = [
        ("HTTP/1.1 200 OK\r\nX planted\r\n\r\n", 502),
        ("planted\r\n\r\n", 502),
        (
            "HTTP/1.1 200 planted\r\nX: planted\r\nContent-Length: planted\r\n\r\n",
            502,
        ),
        ("", 502),
    ];
    for (number, (answer, status)) in answers.into_iter().enumerate() {
        let old_vendor = Upstream::start(Step::SendAndClose(answer.to_owned())).await;
        let authority = old_vendor.base_url.strip_prefix("http://").unwrap();
        for base_url in [
            format!("http://{authority}/planted"),
            format!("https://{authority}/planted"),
            "http://127.0.0.1:1/planted".to_owned(),
        ] {
            let more = format!("[fallback]\nbase_url = {base_url:?}");
            let format = FORMATS[number % FORMATS.len()];
            let planted = Planted::new("http://127.0.0.1:1", format, &more);
            let (gateway, address) = planted.serve().await;
            for below in [
                format!("/send-text/{PHONE}?planted"),
                "/privacy/messages-duration?value=planted".to_owned(),
                format!("/planted/../{PHONE}"),
            ] {
                let body = format!("{{\"phone\":{PHONE:?},\"message\":\"planted\"}}");
                let reply = send(address, request("1", "POST", &below, &body)).await;
                assert_eq!(reply.status, status, "{:?}", reply.message);
                assert_hushed("answer", &format!("{:?}", reply.message));
            }
            stop(gateway).await;
        }
    }
}
