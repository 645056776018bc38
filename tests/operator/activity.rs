//! `/status` about recent calls: how they ended, whose fault a failure was, and how each upstream responds.

use serde_json::{Value, json};

use super::Operated;
use crate::{
    harness::{Setup, Upstream, answers, confirms, photo, post, refuses, soon},
    process::send,
};

const CONFIRMED: &str = r#"{"visibility":{"profile":"all"}}"#;
/// Ryze rejects the request before it changes anything, so no read-back follows.
const INVALID: &str = "Invalid planted";
/// A value that no setting has.
const MISTAKE: &str = "planted";

/// The values at these paths.
fn at<const N: usize>(value: &Value, paths: [&str; N]) -> [Value; N] {
    paths.map(|path| value.pointer(path).unwrap_or(&json!("absent")).clone())
}

#[tokio::test]
async fn a_clients_mistake_is_no_failure_and_hides_none() {
    let ryze = Upstream::script(vec![refuses(400, INVALID), confirms(CONFIRMED)]).await;
    let operated = Operated::start(&Setup::default().toml(&ryze.base_url)).await;
    let wrong_token = photo("ALL").replace("T1", "planted");
    operated.send(photo("ALL")).await;
    operated.send(photo(MISTAKE)).await;
    operated.send(wrong_token).await;
    let paths = [
        "/failing",
        "/last_10_minutes",
        "/last_failure/outcome",
        "/last_failure/reason",
    ];
    let instance = operated.status().await["instances"][0].take();
    let counts = json!({ "done": 0, "failed": 1, "client_errors": 2 });
    let reason = json!("ryze_refused");
    let expected = [json!(true), counts, json!("refused"), reason.clone()];
    assert_eq!(at(&instance, paths), expected);

    assert!(operated.send(photo("ALL")).await.is_success());
    let instance = operated.status().await["instances"][0].take();
    let counts = json!({ "done": 1, "failed": 1, "client_errors": 2 });
    assert_eq!(
        at(&instance, paths),
        [json!(false), counts, json!("refused"), reason]
    );
}

#[tokio::test]
async fn the_recent_calls_have_what_the_log_has() {
    let ryze = Upstream::start(confirms(CONFIRMED)).await;
    let fallback = Upstream::start(answers(502, "{}")).await;
    let setup = Setup {
        fallback: format!("base_url = \"{}\"", fallback.base_url),
        ..Setup::default()
    };
    let operated = Operated::start(&setup.toml(&ryze.base_url)).await;
    let reply = operated.send(photo("ALL")).await;
    operated.send(photo(MISTAKE)).await;
    let message = post("/instances/I1/token/T1/send-text", "{}");
    operated.send(message).await;
    // The log entry is written when the last byte of the response is on its way.
    let ended = async {
        loop {
            let status = operated.status().await;
            if status["recent_calls"].as_array().unwrap().len() == 3 {
                return status;
            }
        }
    };
    let status = soon(ended).await;
    let paths = [
        "/method",
        "/route",
        "/instance",
        "/zapi_instance",
        "/status",
        "/result",
        "/outcome",
        "/reason",
        "/ended_by",
    ];
    let (photo, text) = (
        "/instances/{id}/token/{token}/privacy/photo",
        "/instances/{id}/token/{token}/send-text",
    );
    let calls: Vec<_> = status["recent_calls"].as_array().unwrap().iter().collect();
    let expected = [
        json!([
            "POST",
            text,
            "main",
            "I1",
            502,
            "failed",
            "forwarded",
            null,
            "fallback"
        ]),
        json!([
            "POST",
            photo,
            "main",
            "I1",
            400,
            "client_error",
            "bad_request",
            "field:visualizationType",
            "caller"
        ]),
        json!([
            "POST",
            photo,
            "main",
            "I1",
            200,
            "done",
            "confirmed",
            null,
            "ryze"
        ]),
    ];
    for (call, expected) in calls.iter().zip(expected) {
        assert_eq!(json!(at(call, paths)), expected);
        assert!(call["seconds_ago"].is_u64() && call["total_ms"].is_u64());
    }
    let id = reply.header("x-request-id");
    assert_eq!(calls[2]["request_id"].as_str(), id);
    let instance = &status["instances"][0]["last_10_minutes"];
    let counts = json!({ "done": 1, "failed": 0, "client_errors": 1 });
    assert_eq!(
        *instance, counts,
        "the fallback's failure is not the instance's"
    );
}

#[tokio::test]
async fn each_upstream_is_shown_as_its_last_calls_went() {
    let ryze = Upstream::script(vec![confirms(CONFIRMED), refuses(400, INVALID)]).await;
    let setup = Setup {
        fallback: "base_url = \"http://127.0.0.1:9\"".to_owned(),
        ..Setup::default()
    };
    let operated = Operated::start(&setup.toml(&ryze.base_url)).await;
    assert!(operated.send(photo("ALL")).await.is_success());
    operated.send(photo("ALL")).await;
    let message = post("/instances/I1/token/T1/send-text", "{}");
    assert_eq!(operated.send(message).await.status, 502);
    let upstreams = operated.status().await["upstreams"].take();
    let paths = [
        "/up",
        "/calls_last_minute",
        "/calls",
        "/failed",
        "/last_failure/reason",
        "/last_failure/status",
    ];
    let expected = json!([true, 2, 2, 1, "ryze_refused", 400]);
    assert_eq!(json!(at(&upstreams["ryze"], paths)), expected);
    assert!(upstreams["ryze"]["p50_ms"].is_u64() && upstreams["ryze"]["p95_ms"].is_u64());
    let expected = json!([false, 1, 1, 1, "connect_refused", null]);
    assert_eq!(json!(at(&upstreams["fallback"], paths)), expected);
    assert!(
        upstreams["fallback"]["p50_ms"].is_null(),
        "none was answered"
    );
}

#[tokio::test]
async fn the_page_has_the_language_of_the_browser() {
    let operated = Operated::start(&Setup::default().toml("http://127.0.0.1:9")).await;
    let page = |accept: &'static str| {
        let host = operated.admin;
        let request =
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nAccept-Language: {accept}\r\n\r\n");
        send(host, request)
    };
    for (accept, lang) in [("pt-BR,pt;q=0.9,en;q=0.8", "pt-BR"), ("de", "en")] {
        let page = page(accept).await;
        let start = format!("<!doctype html>\n<html lang=\"{lang}\">\n");
        assert!(page.message.body.starts_with(&start), "{accept}");
        assert_eq!(page.header("vary"), Some("accept-language"));
    }
    let runbook = operated.get("/runbook").await;
    assert!(runbook.message.body.starts_with("# "));
}
