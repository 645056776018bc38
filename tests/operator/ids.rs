//! The ids of a request: the client's or a generated one, in the response, in the log, and in every
//! request to Ryze. Which ids are reused is tested in `telemetry/request_id.rs` and `zapi/auth.rs`.

use serde_json::Value;

use super::Operated;
use crate::harness::{Setup, Step, Upstream, answers, confirms, photo, refuses};
use crate::process::request_lines;

const ID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn with(headers: &str) -> String {
    photo("ALL").replace("Host", &format!("{headers}\r\nHost"))
}

/// The log's lines on requests.
async fn log(operated: Operated) -> Vec<Value> {
    operated.gateway.signal("TERM");
    let ended = operated.gateway.ended().await;
    let lines = request_lines(&ended.stderr).into_iter();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn the_callers_ids_are_carried_on_to_ryze_with_every_try() {
    let lost = Step::SendAndClose(String::new());
    let elsewhere = confirms(r#"{"visibility":{"profile":"none"}}"#);
    let there = confirms(r#"{"visibility":{"profile":"all"}}"#);
    let upstream = Upstream::script(vec![lost, elsewhere, there]).await;
    let operated = Operated::start(&Setup::default().toml(&upstream.base_url)).await;
    let ids = format!("X-Request-Id: {ID}\r\ntraceparent: {PARENT}\r\ntracestate: a=1");
    let reply = operated.send(with(&ids)).await;
    assert!(reply.is_success(), "{:?}", reply.message);
    assert_eq!(reply.header("x-request-id"), Some(ID));
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3, "an update, a look, and the update again");
    for request in seen {
        assert_eq!(request.header("x-request-id"), Some(ID));
        assert_eq!(request.header("traceparent"), Some(PARENT));
        assert_eq!(request.header("tracestate"), None);
    }
    let [line] = &log(operated).await[..] else {
        panic!("one line");
    };
    assert_eq!(line["request_id"], ID);
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(line["ryze_calls"], 3);
    assert_eq!(line["outcome"], "confirmed");
    assert_eq!(line["ended_by"], "ryze");
    assert_eq!(line["method"], "POST");
    assert_eq!(line["instance"], "main");
    let [waiting, upstream, total] =
        ["waiting_ms", "upstream_ms", "total_ms"].map(|field| line[field].as_u64().unwrap());
    assert!(waiting + upstream <= total, "{line}");
    assert_eq!(line.get("sent_as"), None);
}

#[tokio::test]
async fn a_new_id_is_made_if_none_is_sent_or_none_that_may_be_logged() {
    let upstream = Upstream::start(confirms(r#"{"visibility":{"profile":"all"}}"#)).await;
    let operated = Operated::start(&Setup::default().toml(&upstream.base_url)).await;
    let mut ids = Vec::new();
    for headers in [
        "X: 1",
        "X-Request-Id: +5511999999999",
        "X-Request-Id: a b",
        "X-Request-Id: call-1",
        "traceparent: x",
    ] {
        let reply = operated.send(with(headers)).await;
        let id = reply.header("x-request-id").unwrap().to_owned();
        assert!(
            id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{id}"
        );
        ids.push(id);
    }
    let seen = upstream.seen();
    let at_ryze: Vec<_> = seen
        .iter()
        .map(|it| it.header("x-request-id").unwrap())
        .collect();
    assert_eq!(at_ryze, ids);
    assert!(
        seen.iter()
            .all(|request| request.header("traceparent").is_none())
    );
    let refused = operated
        .send(format!(
            "GET /nowhere HTTP/1.1\r\nHost: g\r\nX-Request-Id: {ID}\r\n\r\n"
        ))
        .await;
    assert_eq!(
        (refused.status, refused.header("x-request-id")),
        (404, Some(ID))
    );
    let mut lines = log(operated).await;
    let last = lines.pop().unwrap();
    assert_eq!(
        [&last["request_id"], &last["outcome"]],
        [ID, "unknown_path"]
    );
    assert_eq!([&last["ryze_calls"], &last["upstream_ms"]], [0, 0]);
    let told: Vec<_> = lines
        .iter()
        .map(|line| line["request_id"].as_str().unwrap())
        .collect();
    assert_eq!(told, ids);
    assert!(lines.iter().all(|line| line.get("trace_id").is_none()));
}

#[tokio::test]
async fn the_old_vendor_gets_and_gives_the_ids_as_they_are() {
    let own = crate::harness::answer(200, "X-Request-Id: theirs\r\n", "{}");
    let steps = vec![Step::Send(own), answers(200, "{}"), refuses(500, "x")];
    let old_vendor = Upstream::script(steps).await;
    let setup = Setup {
        fallback: format!("base_url = \"{}\"", old_vendor.base_url),
        ..Setup::default()
    };
    let operated = Operated::start(&setup.toml("http://127.0.0.1:1")).await;
    let call = |headers: &str| format!("GET /x HTTP/1.1\r\nHost: g\r\n{headers}\r\n\r\n");
    let ids =
        format!("X-Request-Id: ours 5511999999999\r\ntraceparent: {PARENT}\r\ntracestate: a=1");
    let reply = operated.send(call(&ids)).await;
    assert_eq!(reply.header("x-request-id"), Some("theirs"));
    let reply = operated.send(call(&format!("X-Request-Id: {ID}"))).await;
    assert_eq!(reply.header("x-request-id"), Some(ID));
    let reply = operated.send(call("X: 1")).await;
    assert_eq!(reply.header("x-request-id").unwrap().len(), 32);
    let seen = old_vendor.seen();
    assert_eq!(seen[0].header("x-request-id"), Some("ours 5511999999999"));
    assert_eq!(seen[0].header("tracestate"), Some("a=1"));
    assert_eq!(seen[2].header("x-request-id"), None);
    let lines = log(operated).await;
    let ids: Vec<_> = lines
        .iter()
        .map(|line| line["request_id"].as_str().unwrap())
        .collect();
    assert!(!ids[0].contains("5511999999999"));
    assert_eq!(
        (ids[1], &lines[1]["outcome"]),
        (ID, &Value::from("forwarded"))
    );
}
