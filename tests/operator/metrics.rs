//! Counters of requests with each outcome, and gauges of the current state.

use std::{collections::BTreeSet, process::Command};

use super::Operated;
use crate::{
    harness::{Setup, Step, Upstream, answers, confirms, photo, post, refuses},
    process::file,
};

const SERVER: &str = "http_server_request_duration_seconds_count";
const CLIENT: &str = "http_client_request_duration_seconds_count";
const PHOTO: &str = "/instances/{id}/token/{token}/privacy/photo";

/// Checks samples, each named with its labels.
async fn check(operated: &Operated, samples: &[(&str, f64)]) {
    for (sample, value) in samples {
        let sample = sample.replace("zapi_", "zapi_to_ryze_");
        let found = operated.sample(&sample).await;
        assert_eq!(found, Some(*value), "{sample}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_how_they_end() {
    let confirmed = confirms(r#"{"visibility":{"profile":"all"}}"#);
    let upstream = Upstream::script(vec![confirmed, refuses(400, "no")]).await;
    let old_vendor = Upstream::start(answers(299, "{}")).await;
    let setup = Setup {
        fallback: format!("base_url = \"{}\"", old_vendor.base_url),
        ..Setup::default()
    };
    let operated = Operated::start(&setup.toml(&upstream.base_url)).await;
    let list = "{\"visualizationType\":\"CONTACT_BLACKLIST\",\
                \"contactsBlacklist\":[{\"action\":\"add\",\"phone\":\"5544\"}]}";
    let calls = [
        (photo("ALL"), 200),
        (photo("ALL"), 424),
        (photo("FRIENDS"), 400),
        (photo("ALL").replace("/T1/", "/T9/"), 400),
        (photo("ALL").replace("POST", "PLANTED"), 405),
        (post("/instances/I1/token/T1/privacy/photo", list), 422),
        (post("/instances/I1/token/T1/privacy/planted", "{}"), 404),
        (post("/planted", "{}").replace("POST", "GET"), 299),
    ];
    for (call, status) in calls {
        assert_eq!(operated.send(&call).await.status, status, "{call}");
    }
    let server = |method: &str, route: &str, status: &str, error: &str| {
        format!(
            "{SERVER}{{http_request_method=\"{method}\",http_route=\"{route}\",\
             http_response_status_code=\"{status}\",error_type=\"{error}\"}}"
        )
    };
    let client = |upstream: &str, method: &str, status: &str, error: &str| {
        format!(
            "{CLIENT}{{upstream=\"{upstream}\",http_request_method=\"{method}\",\
             http_response_status_code=\"{status}\",error_type=\"{error}\"}}"
        )
    };
    for sample in [
        server("POST", PHOTO, "200", ""),
        server("POST", PHOTO, "424", "refused"),
        server("POST", PHOTO, "400", "bad_request"),
        server("POST", PHOTO, "400", "unknown_instance"),
        server("_OTHER", PHOTO, "405", "wrong_method"),
        server("POST", PHOTO, "422", "contacts_list"),
        server("POST", "unknown", "404", "unknown_path"),
        server("GET", "other", "200", ""),
        client("ryze", "POST", "200", ""),
        client("ryze", "POST", "400", "refused"),
        client("fallback", "GET", "200", ""),
    ] {
        assert_eq!(operated.sample(&sample).await, Some(1.0), "{sample}");
    }
    check(
        &operated,
        &[
            (
                "zapi_changes_total{setting=\"profile_photo\",outcome=\"confirmed\"}",
                1.0,
            ),
            (
                "zapi_changes_total{setting=\"profile_photo\",outcome=\"refused\"}",
                1.0,
            ),
            (
                "zapi_changes_total{setting=\"online\",outcome=\"confirmed\"}",
                0.0,
            ),
            ("zapi_unsupported_total{kind=\"contacts_list\"}", 1.0),
            ("zapi_unsupported_total{kind=\"unknown_path\"}", 1.0),
            ("zapi_unsupported_total{kind=\"no_counterpart\"}", 0.0),
            (
                "zapi_forwarded_calls_total{http_request_method=\"GET\",http_route=\"other\",status=\"2xx\"}",
                1.0,
            ),
            ("zapi_budget_in_use", 2.0),
            ("zapi_budget_worst_window", 2.0),
            ("zapi_budget_limit", 100.0),
            ("zapi_budget_wait_seconds_count{purpose=\"call\"}", 2.0),
            ("zapi_ryze_up", 1.0),
            ("zapi_instances", 1.0),
            ("zapi_drain_phase{phase=\"serving\"}", 1.0),
            ("zapi_drain_phase{phase=\"draining\"}", 0.0),
            ("zapi_redis_state{state=\"shared\"}", 0.0),
            ("http_server_active_requests", 0.0),
        ],
    )
    .await;
    let metrics = operated.get("/metrics").await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(metrics.header("content-type"), Some(kind));
    assert!(metrics.message.body.ends_with("# EOF\n"));
    let classic = operated.classic_metrics().await;
    let samples = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let names = lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned());
        names.collect::<BTreeSet<_>>()
    };
    assert_eq!(samples(&classic), samples(&metrics.message.body));
    assert!(!metrics.message.body.to_lowercase().contains("planted"));
}

#[tokio::test]
#[ignore = "needs promtool"]
async fn promtool_accepts_the_classic_format() {
    let upstream = Upstream::start(answers(200, "{}")).await;
    let operated = Operated::start(&Setup::default().toml(&upstream.base_url)).await;
    assert_eq!(operated.send(photo("ALL")).await.status, 502);
    let metrics = file(&operated.classic_metrics().await);
    let mut promtool = Command::new("promtool");
    promtool
        .args(["check", "metrics"])
        .stdin(metrics.reopen().unwrap());
    let output = promtool.output().unwrap();
    let heard = (output.stdout, output.stderr);
    let heard = [heard.0, heard.1].map(|it| String::from_utf8(it).unwrap());
    assert_eq!((heard, output.status.code()), (Default::default(), Some(0)));
}

#[tokio::test]
async fn folding_limits_and_failures_are_counted() {
    let limits = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-RateLimit-Limit: 100\r\n\
                  X-RateLimit-Remaining: 40\r\nX-RateLimit-Reset: 60\r\n";
    let body = r#"{"success":true,"settings":{"visibility":{"profile":"all"}}}"#;
    let limited = Step::Send(crate::harness::answer(200, limits, body));
    let upstream = Upstream::script(vec![limited, Step::SendAndClose(String::new())]).await;
    let setup = Setup {
        budget: "requests_per_minute = 2\nburst = 2\nmax_wait = \"0s\"",
        ..Setup::default()
    };
    let operated = Operated::start(&setup.toml(&upstream.base_url)).await;
    assert_eq!(operated.send(photo("ALL")).await.status, 200);
    check(&operated, &[("zapi_ryze_rate_limit_remaining", 40.0)]).await;
    // The second slot; there is none left to look with.
    assert_eq!(operated.send(photo("NONE")).await.status, 504);
    assert_eq!(operated.send(photo("ALL")).await.status, 429);
    check(
        &operated,
        &[
            ("zapi_ryze_up", 0.0),
            (
                "zapi_changes_total{setting=\"profile_photo\",outcome=\"unknown\"}",
                1.0,
            ),
            (
                "zapi_changes_total{setting=\"profile_photo\",outcome=\"budget\"}",
                1.0,
            ),
            ("zapi_budget_refused_total{by=\"budget\"}", 2.0),
            ("zapi_budget_in_use", 2.0),
            ("zapi_ryze_rate_limit_remaining", 39.0),
        ],
    )
    .await;
    let lost = format!(
        "{CLIENT}{{upstream=\"ryze\",http_request_method=\"POST\",\
         http_response_status_code=\"\",error_type=\"no_answer\"}}"
    );
    assert_eq!(operated.sample(&lost).await, Some(1.0));
    let status = operated.status().await;
    assert_eq!(status["ryze"]["up"], false);
    let failure = status["ryze"]["last_failure"].as_str().unwrap();
    assert!(failure.contains("did not answer"), "{failure}");
}
