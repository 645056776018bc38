//! Responses of the admin listener: state and configuration of the gateway, without a secret.

use serde_json::{Value, json};

use super::Operated;
use crate::{
    harness::{Setup, Upstream, confirms, photo, refuses},
    process::send,
};

#[tokio::test]
async fn the_status_tells_of_each_part() {
    let upstream = Upstream::script(vec![
        confirms(r#"{"visibility":{"profile":"all"}}"#),
        refuses(401, "planted"),
    ])
    .await;
    let operated = Operated::start(&Setup::default().toml(&upstream.base_url)).await;
    let mut status = operated.status().await;
    assert!(status["uptime_seconds"].take().is_u64());
    assert_ne!(status["host"].take(), "");
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": null,
        "phase": "serving",
        "configuration": {
            "reloads_applied": 0, "reloads_refused": 0, "last_reload_applied": true,
            "restart_pending": [],
        },
        "connections": { "open": 0, "limit": 512, "turned_away": 0, "accept_errors": 0 },
        "budget": {
            "scope": "gateway", "limit": 100, "in_use": 0, "worst_window": 0, "waiting": 0,
            "remaining_at_ryze": null, "redis": null,
            "history": { "seconds_per_point": 5, "sent_in_last_minute": [0] },
        },
        "ryze": { "up": true, "seconds_since_answer": null, "last_failure": null },
        "forwarded": { "base_url": null, "calls": [] },
        "certificate": null,
        "instances": [{
            "name": "main", "zapi_instance": "I1", "mode": "translate", "observed": null, "outcome": null, "seconds_ago": null, "waiting": 0, "held": null,
            "failing": false, "last_10_minutes": { "done": 0, "failed": 0, "client_errors": 0 },
            "last_failure": null,
        }],
        "host": null,
        "upstreams": {
            "ryze": {
                "up": null, "calls_last_minute": 0, "window_seconds": 300, "calls": 0, "failed": 0,
                "p50_ms": null, "p95_ms": null, "last_failure": null,
            },
            "fallback": null,
        },
        "recent_calls": [],
    });
    assert_eq!(status, expected);
    assert!(operated.send(photo("ALL")).await.is_success());
    let status = operated.status().await;
    assert_eq!(status["instances"][0]["outcome"], "confirmed");
    assert_eq!(status["budget"]["in_use"], 1);
    let history = status["budget"]["history"]["sent_in_last_minute"]
        .as_array()
        .unwrap();
    assert_eq!(history.last(), Some(&Value::from(1)));
    operated
        .send(photo("ALL"))
        .await
        .assert_failure(424, "FAILED_DEPENDENCY");
    let instance = operated.status().await["instances"][0].clone();
    assert_eq!(
        [&instance["outcome"], &instance["held"]["cause"]],
        ["denied", "denied"]
    );
    assert!(instance["held"]["seconds_left"].as_u64().unwrap() <= 30);
}

/// Programs may compare the text, or parts of it.
#[tokio::test]
async fn the_text_of_the_status_is_stable() {
    let upstream = Upstream::script(vec![refuses(401, "planted")]).await;
    let operated = Operated::start(&Setup::default().toml(&upstream.base_url)).await;
    let text = operated.get("/status").await.message.body;
    let parts = concat!(
        r#""connections":{"open":0,"limit":512,"turned_away":0,"accept_errors":0},"#,
        r#""budget":{"scope":"gateway","limit":100,"in_use":0,"worst_window":0,"waiting":0,"#,
        r#""remaining_at_ryze":null,"redis":null,"#,
        r#""history":{"seconds_per_point":5,"sent_in_last_minute":[0]}},"#,
        r#""ryze":{"up":true,"seconds_since_answer":null,"last_failure":null},"#,
    );
    assert!(text.contains(parts), "{text}");
    operated.send(photo("ALL")).await;
    let text = operated.get("/status").await.message.body;
    let held = r#""held":{"cause":"denied","seconds_left":"#;
    assert!(text.contains(held), "{text}");
    assert!(text.contains(r#""seconds_since_answer":0,"#), "{text}");
}

#[tokio::test]
async fn the_configuration_is_shown_without_secrets() {
    let configuration = Setup {
        instance: "client_token = \"planted-client\"",
        ..Setup::default()
    }
    .toml("https://ryze.test")
    .replace("\"T1\"", "\"planted-token\"");
    let operated = Operated::start(&configuration).await;
    let config = operated.get("/config").await;
    assert_eq!(
        config.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let text = config.message.body;
    assert!(text.contains("base_url = \"https://ryze.test\""), "{text}");
    for secret in ["planted", "ryze-secret"] {
        assert!(!text.contains(secret), "{text}");
    }
    toml_is_sound(&text.replace("********", "x"));
}

fn toml_is_sound(text: &str) {
    zapi_to_ryze::config::parse(text, &|_| None).unwrap();
}

#[tokio::test]
async fn every_answer_is_for_its_operator_alone() {
    let operated = Operated::start(&Setup::default().toml("http://127.0.0.1:1")).await;
    for path in ["/", "/live", "/ready", "/status", "/config", "/metrics"] {
        let reply = operated.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let post = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        let reply = send(operated.admin, post).await;
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, Some("GET, HEAD"))
        );
        // A page of the Internet whose name leads here.
        let rebound = format!("GET {path} HTTP/1.1\r\nHost: attacker.example:8421\r\n\r\n");
        assert_eq!(send(operated.admin, rebound).await.status, 421, "{path}");
    }
    assert_eq!(operated.get("/other").await.status, 404);
    let page = operated.get("/").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
}
