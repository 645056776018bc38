//! What the operator sees of a change of a list: log, metrics and status.

use serde_json::{Value, json};

use super::{MADE, POLICY, call, photo_list};
use crate::{
    harness::{Setup, Step, Upstream, answers, confirms, photo, soon},
    operator::Operated,
    process::request_lines,
};

const CLIENT: &str = "http_client_request_duration_seconds_count";
const PHOTO: &str = "/instances/{id}/token/{token}/privacy/photo";
/// Occurs in no other text.
const PLANTED: &str = "5544990001111";

#[tokio::test]
async fn log_metrics_and_status_tell_of_it() {
    let ryze = Upstream::start(confirms(r#"{"visibility":{"profile":"all"}}"#)).await;
    let error = format!("{{\"error\":\"{PLANTED} planted\"}}");
    let fallback = Upstream::script(vec![
        Step::Send(MADE.into()),
        answers(400, &error),
        answers(200, &error),
        Step::SendAndClose(String::new()),
    ])
    .await;
    let setup = Setup {
        policy: POLICY,
        server: "[log]\nlevel = \"trace\"",
        fallback: format!("base_url = \"{}\"", fallback.base_url),
        ..Setup::default()
    };
    let operated = Operated::start(&setup.toml(&ryze.base_url)).await;
    let list = format!("[{{\"action\":\"add\",\"phone\":\"{PLANTED}\"}}]");
    let request = call("photo", "visualizationType", &list);
    let request = request.replace("Host: g", "Client-Token: planted\r\nHost: g");
    for (status, outcome) in [
        (200, "forwarded"),
        (400, "forwarded"),
        (502, "fallback_failed"),
        (502, "fallback_failed"),
    ] {
        assert_eq!(operated.send(&request).await.status, status);
        let shown =
            async { while operated.status().await["instances"][0]["outcome"] != outcome {} };
        soon(shown).await;
    }
    assert!(operated.send(photo("ALL")).await.is_success());
    let change = |outcome: &str| {
        format!("zapi_to_ryze_changes_total{{setting=\"profile_photo\",outcome=\"{outcome}\"}}")
    };
    let client = |status: &str, error: &str| {
        format!(
            "{CLIENT}{{upstream=\"fallback\",http_request_method=\"POST\",\
             http_response_status_code=\"{status}\",error_type=\"{error}\"}}"
        )
    };
    let forwarded = |status: &str| {
        format!(
            "zapi_to_ryze_forwarded_calls_total{{http_request_method=\"POST\",\
             http_route=\"{PHOTO}\",status=\"{status}\"}}"
        )
    };
    for (sample, value) in [
        (change("forwarded"), 2.0),
        (change("fallback_failed"), 2.0),
        (change("fallback_timeout"), 0.0),
        (change("confirmed"), 1.0),
        (client("200", ""), 2.0),
        (client("400", ""), 1.0),
        (client("", "fallback_failed"), 1.0),
        (forwarded("2xx"), 1.0),
        (forwarded("4xx"), 1.0),
        (forwarded("5xx"), 2.0),
    ] {
        assert_eq!(operated.sample(&sample).await, Some(value), "{sample}");
    }
    operated.gateway.signal("TERM");
    let ended = operated.gateway.ended().await;
    for secret in [PLANTED, "planted"] {
        assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
    }
    let lines = request_lines(&ended.stderr);
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected = [
        (200, "forwarded"),
        (400, "forwarded"),
        (502, "fallback_failed"),
        (502, "fallback_failed"),
    ];
    for (line, (status, outcome)) in lines.iter().zip(expected) {
        let fields = [
            "route",
            "instance",
            "status",
            "outcome",
            "ended_by",
            "ryze_calls",
        ];
        let shown = fields.map(|field| line[field].clone());
        let fallback = json!("fallback");
        assert_eq!(
            shown,
            [
                json!(PHOTO),
                json!("main"),
                json!(status),
                json!(outcome),
                fallback,
                json!(0)
            ]
        );
    }
    assert_eq!(lines.len(), 5);
}

/// `waiting_ms` is the time to its turn, and `upstream_ms` that at the fallback.
#[tokio::test]
async fn the_times_of_queue_and_upstream_are_told_apart() {
    let ryze = Upstream::start(confirms("{}")).await;
    let fallback = Upstream::start(Step::Hang).await;
    let setup = Setup {
        policy: POLICY,
        server: "deadline = \"1200ms\"",
        fallback: format!(
            "base_url = \"{}\"\nidle_timeout = \"600ms\"",
            fallback.base_url
        ),
        ..Setup::default()
    };
    let operated = Operated::start(&setup.toml(&ryze.base_url)).await;
    let (first, second) = tokio::join!(operated.send(photo_list()), operated.send(photo_list()),);
    assert_eq!((first.status, second.status), (504, 504));
    operated.gateway.signal("TERM");
    let ended = operated.gateway.ended().await;
    let mut times: Vec<_> = request_lines(&ended.stderr)
        .iter()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            ["waiting_ms", "upstream_ms"].map(|field| line[field].as_u64().unwrap())
        })
        .collect();
    times.sort();
    let [[first_waited, first_took], [second_waited, second_took]] = times[..] else {
        panic!("{times:?}");
    };
    assert!(
        first_waited < 300 && (590..900).contains(&first_took),
        "{times:?}"
    );
    assert!((590..900).contains(&second_waited), "{times:?}");
    assert!((300..900).contains(&second_took), "{times:?}");
}
