//! `reason` of the log: one for each failed request, none for a success. `docs/operations.md` says what
//! each means, and a unit test that it has all of them.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::Operated;
use crate::{
    harness::{Setup, Step, Upstream, answer, answers, confirms, photo, post, refuses, refusing},
    process::request_lines,
};

const CONFIRMED: &str = r#"{"visibility":{"profile":"all"}}"#;

/// The log's lines on these requests, which are sent one after the other.
async fn logged(configuration: &str, requests: &[String]) -> Vec<Value> {
    let operated = Operated::start(configuration).await;
    for request in requests {
        operated.send(request).await;
    }
    operated.gateway.signal("TERM");
    let log = operated.gateway.ended().await.stderr;
    let lines = request_lines(&log).into_iter();
    let lines: Vec<_> = lines.map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(lines.len(), requests.len(), "{log}");
    lines
}

async fn reasons(configuration: &str, requests: &[String]) -> Vec<String> {
    let lines = logged(configuration, requests).await;
    let reason = |line: &Value| line["reason"].as_str().unwrap_or("-").to_owned();
    lines.iter().map(reason).collect()
}

/// A call with the credentials `id` and `token`.
fn call(id: &str, token: &str) -> String {
    photo("ALL").replace("I1/token/T1", &format!("{id}/token/{token}"))
}

fn below(path: &str, body: &str) -> String {
    post(&format!("/instances/I1/token/T1/{path}"), body)
}

#[tokio::test]
async fn each_mistake_of_a_client_has_its_reason() {
    let with = |headers: &str| photo("ALL").replace("Host:", &format!("{headers}\r\nHost:"));
    let contacts = |list: &str| {
        let body =
            format!(r#"{{"visualizationType":"CONTACT_BLACKLIST","contactsBlacklist":{list}}}"#);
        below("privacy/photo", &body)
    };
    let chunked = photo("ALL").replace("Content-Length: 27", "Transfer-Encoding: gzip, chunked");
    let one = r#"[{"action":"add","phone":"1"}]"#;
    let cases = [
        (photo("ALL"), "-"),
        (photo("ALL").replace("POST", "GET"), "method"),
        ("OPTIONS * HTTP/1.1\r\nHost: g\r\n\r\n".to_owned(), "target"),
        (photo("ALL").replace("Host: gateway\r\n", ""), "header"),
        (with("Client-Token: a\r\nClient-Token: a"), "header"),
        (chunked, "header"),
        (call("I9", "T1"), "id_unknown"),
        (call("I9", "T9"), "id_unknown"),
        (call("I1", "T9"), "zapi_token_wrong"),
        (call("I1", "I1"), "zapi_token_wrong"),
        (call("T1", "I1"), "looks_swapped"),
        (below("privacy/nothing", ""), "path_unknown"),
        (below("privacy/Photo", ""), "path_unknown"),
        (post("/privacy/photos", ""), "path_unknown"),
        (post("/", ""), "no_fallback"),
        (below("send-text", ""), "no_fallback"),
        (
            photo("ALL").replace("application/json", "text/plain"),
            "content_type",
        ),
        (with("Content-Encoding: gzip"), "content_encoding"),
        (below("privacy/photo", &" ".repeat(999)), "body_too_large"),
        (below("privacy/photo", "[]"), "body_not_json"),
        (below("privacy/photo", "{}"), "field:visualizationType"),
        (photo("all"), "field:visualizationType"),
        (below("privacy/group-add", "{}"), "field:type"),
        (below("privacy/read-receipts", ""), "field:value"),
        (contacts("1"), "field:contactsBlacklist"),
        (contacts(one), "contacts_list"),
        (below("privacy/messages-duration", ""), "no_counterpart"),
    ];
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let setup = Setup {
        server: "max_body = 500",
        ..Setup::default()
    };
    let requests = cases.each_ref().map(|(request, _)| request.clone());
    let found = reasons(&setup.toml(&upstream.base_url), &requests).await;
    for ((request, expected), found) in cases.iter().zip(found) {
        assert_eq!(found, *expected, "{request}");
    }

    let protected = Setup {
        instance: "client_token = \"C1\"",
        ..Setup::default()
    };
    let requests = [photo("ALL"), with("Client-Token: C2")];
    let found = reasons(&protected.toml(&upstream.base_url), &requests).await;
    assert_eq!(found, ["client_token_missing", "client_token_wrong"]);
}

#[tokio::test]
async fn each_failure_of_ryze_has_its_reason() {
    let field = |cause: &str| refuses(500, &format!("failed to update profile privacy: {cause}"));
    let cases = [
        (refuses(401, "Invalid token"), "token_wrong"),
        (refuses(403, "no"), "access_denied"),
        (refuses(404, "no"), "instance_not_known"),
        (refuses(429, "slow"), "ryze_rate_limited"),
        (refuses(400, "Invalid value"), "ryze_refused"),
        (refuses(500, "out of order"), "ryze_failed"),
        (answers(200, "{}"), "answer_invalid"),
        (
            Step::SendAndClose("SSH-2.0\r\n\r\n".into()),
            "answer_invalid",
        ),
        (Step::SendAndClose(String::new()), "connection_closed"),
        (Step::Hang, "timeout"),
        (
            confirms(r#"{"visibility":{"profile":"none"}}"#),
            "not_confirmed",
        ),
        (
            refuses(400, "Instance is not connected to WhatsApp"),
            "whatsapp_disconnected",
        ),
        (
            field("info query returned status 403: forbidden"),
            "whatsapp_forbidden",
        ),
        (field("not-authorized"), "whatsapp_not_authorized"),
        (field("not-acceptable"), "whatsapp_not_acceptable"),
        (field("bad-request"), "whatsapp_bad_request"),
        (field("rate-overlimit"), "whatsapp_rate_limited"),
        (field("info query timed out"), "whatsapp_timeout"),
        (
            field("websocket disconnected before x"),
            "whatsapp_disconnected",
        ),
        (
            refuses(500, "failed to update online privacy: no"),
            "other_setting",
        ),
    ];
    let setup = Setup {
        server: "deadline = \"2s\"",
        ryze: "request_timeout = \"3s\"",
        ..Setup::default()
    };
    for (step, expected) in cases {
        let upstream = Upstream::start(step.clone()).await;
        let lines = logged(&setup.toml(&upstream.base_url), &[photo("ALL")]).await;
        assert_eq!(lines[0]["reason"], expected, "{step:?}");
    }
}

/// The address of a server that speaks HTTP without TLS.
async fn no_tls() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            // What it reads is not HTTP.
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer(400, "", "").as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn the_reason_of_a_connection_that_fails_is_that_of_either_upstream() {
    let (_socket, refused) = refusing();
    let plain = no_tls().await;
    let cases = [
        (refused, "connect_refused"),
        ("http://no-such-host.invalid".to_owned(), "name_not_known"),
        (format!("https://{plain}"), "tls"),
    ];
    for (base_url, expected) in cases {
        let setup = Setup {
            server: "deadline = \"2s\"",
            fallback: format!("base_url = \"{base_url}\""),
            ..Setup::default()
        };
        let requests = [photo("ALL"), below("send-text", "{}")];
        let lines = logged(&setup.toml(&base_url), &requests).await;
        let found = lines
            .iter()
            .map(|line| (&line["reason"], &line["ended_by"]));
        let expected = Value::from(expected);
        assert_eq!(
            found.collect::<Vec<_>>(),
            [(&expected, &"ryze".into()), (&expected, &"fallback".into())],
            "{base_url}"
        );
    }
}

#[tokio::test]
async fn each_failure_of_the_fallback_has_its_reason() {
    let headless = "HTTP/1.1 200 OK\r\nX\r\n\r\n";
    let cases = [
        (answers(500, "{}"), "-"),
        (Step::SendAndClose(String::new()), "connection_closed"),
        (Step::SendAndClose(headless.into()), "answer_invalid"),
        (Step::Hang, "timeout"),
    ];
    for (step, expected) in cases {
        let fallback = Upstream::start(step.clone()).await;
        let setup = Setup {
            fallback: format!(
                "base_url = \"{}\"\nidle_timeout = \"1s\"",
                fallback.base_url
            ),
            ..Setup::default()
        };
        let found = reasons(
            &setup.toml("http://127.0.0.1:1"),
            &[below("send-text", "{}")],
        )
        .await;
        assert_eq!(found, [expected], "{step:?}");
    }
}

#[tokio::test]
async fn the_gateways_own_reasons() {
    let upstream = Upstream::start(confirms(CONFIRMED)).await;
    let setup = Setup {
        budget: "requests_per_minute = 1\nmax_wait = \"0s\"",
        ..Setup::default()
    };
    let requests = [photo("ALL"), photo("ALL")];
    let found = reasons(&setup.toml(&upstream.base_url), &requests).await;
    assert_eq!(found, ["-", "budget_exhausted"]);
    let setup = Setup {
        budget: "redis = \"redis://127.0.0.1:1\"",
        ..Setup::default()
    };
    let found = reasons(&setup.toml(&upstream.base_url), &requests[..1]).await;
    assert_eq!(found, ["redis"]);
}

#[tokio::test]
async fn log_and_status_name_an_instance_by_its_zapi_id_too() {
    let upstream = Upstream::start(refuses(401, "Invalid token")).await;
    let operated = Operated::start(&Setup::default().toml(&upstream.base_url)).await;
    operated.send(photo("ALL")).await;
    operated.send(call("I1", "T9")).await;
    operated.send(call("I9", "T1")).await;
    let status = operated.status().await;
    assert_eq!(status["instances"][0]["zapi_instance"], "I1");
    operated.gateway.signal("TERM");
    let log = operated.gateway.ended().await.stderr;
    let lines: Vec<Value> = log
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    let named = |message: &str| {
        let lines = lines.iter().filter(|line| line["message"] == message);
        let named =
            lines.map(|it| [&it["instance"], &it["zapi_instance"]].map(|it| it.as_str().unwrap()));
        named.collect::<Vec<_>>()
    };
    assert_eq!(named("request"), [["main", "I1"], ["", "I1"], ["", ""]]);
    assert_eq!(named("instance suspended"), [["main", "I1"]]);
    let suspended = lines
        .iter()
        .find(|it| it["message"] == "instance suspended");
    assert_eq!(suspended.unwrap()["reason"], "token_wrong");
    assert_eq!(suspended.unwrap()["failure"], "Invalid token");
}
