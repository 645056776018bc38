//! The control plane: faults and instances.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use zapi_to_ryze::sandbox::Options;

use super::client::{HIDE_PHOTO, TOKEN_AND_JSON, UPDATE, settings, start, start_in_memory};

const FAULTS: &str = "POST /sandbox/faults";

#[tokio::test]
async fn wrong_input_is_told_what_is_right() {
    let (_, caller) = start().await;
    let put = "PUT /sandbox/instances/new";
    let cases = [
        (FAULTS, "", "send a JSON object"),
        (FAULTS, "[]", "send a JSON object"),
        (FAULTS, "{}", "send a JSON object: missing field `answer`"),
        (
            FAULTS,
            r#"{"answer":"hang"}"#,
            "send a JSON object: unknown variant `hang`, expected one of `normal`, `stale`, `field`",
        ),
        (
            FAULTS,
            r#"{"answer":"field","reason":"x"}"#,
            "field must be one of lastSeen, status",
        ),
        (
            FAULTS,
            r#"{"answer":"field","field":"photo"}"#,
            "field must be one of lastSeen, status",
        ),
        (
            FAULTS,
            r#"{"answer":"field","field":"profile"}"#,
            "reason is missing",
        ),
        (
            FAULTS,
            r#"{"answer":"status","message":""}"#,
            "status is missing",
        ),
        (
            FAULTS,
            r#"{"answer":"status","status":500}"#,
            "message is missing",
        ),
        (FAULTS, r#"{"answer":"raw"}"#, "body is missing"),
        (
            FAULTS,
            r#"{"answer":"raw","status":199}"#,
            "status must be from 200 to 599",
        ),
        (
            FAULTS,
            r#"{"answer":"close","times":0}"#,
            "times must be at least 1",
        ),
        (
            FAULTS,
            r#"{"answer":"close","call":"write"}"#,
            "send a JSON object: unknown variant `write`, expected `update` or `read`",
        ),
        (
            FAULTS,
            r#"{"answer":"close","instance":1}"#,
            "send a JSON object: invalid type: integer `1`, expected a string at line 1 column 30",
        ),
        (
            FAULTS,
            r#"{"answer":"close","apply":"no"}"#,
            "send a JSON object: invalid type: string \"no\", expected a boolean at line 1 column 30",
        ),
        (
            FAULTS,
            r#"{"answer":"close","apply_after_ms":600001}"#,
            "apply_after_ms must be at most 600000",
        ),
        (
            FAULTS,
            r#"{"answer":"close","answer_after_ms":-1}"#,
            "send a JSON object: invalid value: integer `-1`, expected u32",
        ),
        (
            FAULTS,
            r#"{"answer":"close","apply_after":1}"#,
            "send a JSON object: unknown field `apply_after`, expected one of `answer`, `field`",
        ),
        (
            FAULTS,
            r#"{"answer":"close","field":"profile"}"#,
            "field does not belong to this answer",
        ),
        (put, r#"{"connected":true}"#, "token is missing"),
        (put, r#"{"token":""}"#, "token is missing"),
        (
            put,
            r#"{"token":"a","connected":1}"#,
            "send a JSON object: invalid type: integer `1`, expected a boolean",
        ),
        (
            put,
            r#"{"token":"a","name":"b"}"#,
            "send a JSON object: unknown field `name`, expected `token` or `connected`",
        ),
    ];
    for (line, body, words) in cases {
        let (status, message) = caller.call(line, "", body).await.unwrap().refusal();
        let right = status == 400 && message.starts_with(words);
        assert!(right, "{line} {body}: {status} {message}");
    }
    for line in [
        "GET /sandbox/faults",
        "PUT /sandbox/instances/",
        "GET /sandbox/",
    ] {
        let (status, message) = caller.call(line, "", "").await.unwrap().refusal();
        assert!(
            status == 404 && message.starts_with("The calls are POST"),
            "{line}"
        );
    }
    assert_eq!(caller.read().await.status, 200, "no fault was queued");
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_asked_for_with_every_key() {
    let (sandbox, caller) = start_in_memory(Options::default());
    let fault = json!({
        "answer": "status", "status": 503, "message": "down", "call": "update",
        "instance": "main", "times": 2, "apply": true, "apply_after_ms": 25, "answer_after_ms": 10,
    });
    caller.control(FAULTS, &fault).await;
    assert_eq!(caller.read().await.status, 200);
    for _ in 0..2 {
        let start = Instant::now();
        let got = caller.update(HIDE_PHOTO).await;
        assert_eq!(got.refusal(), (503, "down".to_owned()));
        assert_eq!(start.elapsed().as_millis(), 10);
    }
    assert_eq!(sandbox.settings("main").unwrap(), settings("all"));
    sleep(Duration::from_millis(20)).await;
    assert_eq!(sandbox.settings("main").unwrap(), settings("none"));
    assert_eq!(caller.update(HIDE_PHOTO).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_asked_for_with_every_answer() {
    let (_, caller) = start_in_memory(Options::default());
    let failed = r#"failed to update profile privacy: x"#;
    let cases = [
        (
            json!({"answer": "normal", "apply": false}),
            Some((200, r#""profile":"all""#)),
        ),
        (
            json!({"answer": "stale"}),
            Some((200, r#""profile":"all""#)),
        ),
        (
            json!({"answer": "field", "field": "profile", "reason": "x"}),
            Some((500, failed)),
        ),
        (
            json!({"answer": "status", "status": 302, "message": "gone"}),
            Some((302, "gone")),
        ),
        (
            json!({"answer": "raw", "body": "<html>"}),
            Some((200, "<html>")),
        ),
        (
            json!({"answer": "raw", "status": 502, "body": ""}),
            Some((502, "")),
        ),
        (json!({"answer": "close"}), None),
    ];
    for (fault, expected) in cases {
        caller.control(FAULTS, &fault).await;
        let got = caller.call(UPDATE, TOKEN_AND_JSON, HIDE_PHOTO).await;
        assert_eq!(
            got.as_ref().map(|got| got.status),
            expected.map(|it| it.0),
            "{fault}"
        );
        let body = got.map(|got| got.body).unwrap_or_default();
        assert!(
            body.contains(expected.map_or("", |it| it.1)),
            "{fault}: {body}"
        );
    }
    caller.control(FAULTS, &json!({"answer": "never"})).await;
    assert!(
        timeout(Duration::from_secs(3600), caller.read())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_queue_has_an_end_and_can_be_emptied() {
    let (_, caller) = start().await;
    for _ in 0..1000 {
        caller.control(FAULTS, &json!({"answer": "close"})).await;
    }
    let full = caller
        .call(FAULTS, "", r#"{"answer":"close"}"#)
        .await
        .unwrap()
        .refusal();
    assert!(
        full.0 == 400 && full.1.contains("DELETE /sandbox/faults"),
        "{full:?}"
    );
    caller.control("DELETE /sandbox/faults", &Value::Null).await;
    assert_eq!(caller.read().await.status, 200);
}

#[tokio::test]
async fn instances_are_added_and_changed() {
    let (_, caller) = start().await;
    let read = "GET /api/profile/getPrivacy/a%20b";
    let put = "PUT /sandbox/instances/a%20b";
    caller.control(put, &json!({"token": "first"})).await;
    let got = caller.call(read, "token: first", "").await.unwrap();
    assert_eq!((got.status, got.remaining()), (200, 99));
    caller
        .control(put, &json!({"token": "second", "connected": false}))
        .await;
    assert_eq!(
        caller.call(read, "token: first", "").await.unwrap().status,
        401
    );
    let words = "Instance is not connected to WhatsApp".to_owned();
    let got = caller.call(read, "token: second", "").await.unwrap();
    assert_eq!((got.refusal(), got.remaining()), ((400, words), 99));
    assert_eq!(caller.read().await.remaining(), 99);
    caller.control(put, &json!({"connected": true})).await;
    let got = caller.call(read, "token: second", "").await.unwrap();
    assert_eq!(got.status, 200, "the token is the same");
    caller.control(put, &json!({"token": "first"})).await;
    let got = caller.call(read, "token: first", "").await.unwrap();
    assert_eq!(got.remaining(), 99, "an unknown token's count is not kept");
    assert_eq!(caller.read().await.remaining(), 98, "a known one's is");
    for number in 2..1000 {
        let line = format!("PUT /sandbox/instances/{number}");
        caller.control(&line, &json!({"token": "third"})).await;
    }
    let full = caller
        .call("PUT /sandbox/instances/x", "", r#"{"token":"x"}"#)
        .await;
    assert_eq!(
        full.unwrap().refusal().1,
        "there are 1000 instances already"
    );
    caller.control(put, &json!({"token": "second"})).await;
}
