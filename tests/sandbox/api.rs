//! The calls of Ryze's API, without any fault.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use zapi_to_ryze::sandbox::Options;

use super::client::{
    ACCOUNT, HIDE_PHOTO, READ, TOKEN, TOKEN_AND_JSON, UPDATE, settings, start, start_in_memory,
};

const AUDIENCES: &str = "all, contacts, contact_blacklist, none";
/// In the order in which Ryze validates them.
const FIELDS: [(&str, &str, &str); 7] = [
    ("visibility", "lastSeen", AUDIENCES),
    ("visibility", "status", AUDIENCES),
    ("visibility", "profile", AUDIENCES),
    ("visibility", "online", "all, match_last_seen"),
    ("privacy", "readReceipts", "all, none"),
    ("permissions", "callAdd", "all, known"),
    (
        "permissions",
        "groupAdd",
        "all, contacts, contact_blacklist",
    ),
];

/// Calls with these headers and bodies are refused in these words, or words that begin with them.
async fn refused(status: u16, words: &str, calls: &[(&str, &str, &str)]) {
    let (sandbox, caller) = start().await;
    sandbox.add_instance("other", "other-token");
    sandbox.add_instance("asleep", "asleep-token");
    sandbox.set_connected("asleep", false);
    for (line, headers, body) in calls {
        let got = caller.call(line, headers, body).await.unwrap().refusal();
        let matches = got.0 == status && got.1.starts_with(words);
        assert!(matches, "{line} {headers:?} {body:.50}: {got:?}");
    }
    assert_eq!(sandbox.settings("main").unwrap(), settings("all"));
}

#[tokio::test]
async fn a_token_is_asked_for() {
    let missing = [
        (UPDATE, "content-type: application/json", HIDE_PHOTO),
        (READ, "token: ", ""),
        (READ, "authorization: Basic sandbox-token", ""),
    ];
    refused(401, "Missing token", &missing).await;
    let wrong = [
        (UPDATE, "token: wrong", ""),
        (READ, "authorization: Bearer wrong", ""),
    ];
    refused(401, "Invalid token", &wrong).await;
    let other = [(READ, "token: other-token", "")];
    refused(403, "Instance token does not ma", &other).await;
}

#[tokio::test]
async fn an_instance_must_be_there_and_connected() {
    let unknown = [
        ("GET /api/profile/getPrivacy/none", TOKEN, ""),
        ("POST /api/profile/privacy/none", ACCOUNT, HIDE_PHOTO),
    ];
    refused(404, "Instance not found", &unknown).await;
    let json = "token: asleep-token\ncontent-type: application/json";
    let asleep = [
        ("GET /api/profile/getPrivacy/asleep", ACCOUNT, ""),
        ("POST /api/profile/privacy/asleep", json, HIDE_PHOTO),
    ];
    refused(400, "Instance is not connected to WhatsApp", &asleep).await;
}

#[tokio::test]
async fn what_is_not_a_call_is_refused() {
    let unknown = [
        ("GET /", TOKEN, ""),
        ("GET /api/profile/privacy", TOKEN, ""),
        ("GET /api/profile/privacy/", TOKEN, ""),
        ("GET /api/profile/privacy/main/", TOKEN, ""),
    ];
    refused(404, "Route not found", &unknown).await;
    let method = [
        ("PUT /api/profile/privacy/main", TOKEN, ""),
        (
            "POST /api/profile/getPrivacy/main",
            TOKEN_AND_JSON,
            HIDE_PHOTO,
        ),
    ];
    refused(405, "Method not allowed", &method).await;
    let content_type = [
        (UPDATE, TOKEN, HIDE_PHOTO),
        (
            UPDATE,
            "token: sandbox-token\ncontent-type: text/json",
            HIDE_PHOTO,
        ),
    ];
    refused(415, "Content-Type must be application/json", &content_type).await;
    let large = [(UPDATE, TOKEN_AND_JSON, &*" ".repeat(16 * 1024 + 1))];
    refused(413, "Request body too large", &large).await;
    let shape = [
        "",
        "[]",
        r#"{"visibility":[]}"#,
        r#"{"privacy":{"readReceipts":1}}"#,
    ];
    let shape = shape.map(|body| (UPDATE, TOKEN_AND_JSON, body));
    refused(400, "Invalid request body", &shape).await;
    let empty = [
        "{}",
        r#"{"visibility":{"online":null},"privacy":null}"#,
        r#"{"a":{"b":"c"}}"#,
    ];
    let empty = empty.map(|body| (UPDATE, TOKEN_AND_JSON, body));
    refused(400, "At least one privacy setting must be provided", &empty).await;
}

#[tokio::test]
async fn the_first_bad_field_is_named_and_nothing_applied() {
    let mut body = json!({});
    for (section, name, values) in FIELDS.into_iter().rev() {
        body[section][name] = "ALL".into();
        let words = format!("Invalid {name} value: ALL. Valid values: {values}");
        refused(400, &words, &[(UPDATE, TOKEN_AND_JSON, &body.to_string())]).await;
    }
    let body = r#"{"visibility":{"lastSeen":"none","status":""}}"#;
    refused(
        400,
        "Invalid status value: . Valid",
        &[(UPDATE, TOKEN_AND_JSON, body)],
    )
    .await;
}

#[tokio::test]
async fn every_documented_value_is_taken() {
    let (sandbox, caller) = start().await;
    for (section, name, values) in FIELDS {
        for value in values.split(", ") {
            let body = json!({section: {name: value}}).to_string();
            assert_eq!(caller.update(&body).await.status, 200, "{body}");
            assert_eq!(sandbox.settings("main").unwrap()[section][name], value);
        }
    }
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_answers_everything() {
    let (_, caller) = start().await;
    let got = caller.update(HIDE_PHOTO).await;
    let message = "Privacy settings updated successfully";
    let expected = json!({"success": true, "message": message, "settings": settings("none")});
    assert_eq!((got.status, got.json()), (200, expected));
    assert_eq!(got.headers["content-type"], "application/json");

    let alias = "GET /api/profile/privacy/main";
    let bearer = "authorization: bearer sandbox-token";
    for (line, headers) in [(READ, TOKEN), (READ, ACCOUNT), (alias, bearer)] {
        let got = caller.call(line, headers, "").await.unwrap().json();
        assert_eq!(
            (&got["success"], &got["settings"]),
            (&json!(true), &settings("none"))
        );
    }
}

#[tokio::test]
async fn an_instance_is_named_percent_encoded_and_has_settings_of_its_own() {
    let (sandbox, caller) = start().await;
    sandbox.add_instance("a b/ç", "other-token");
    let line = "POST /api/profile/privacy/a%20b%2F%C3%A7";
    let headers = "token: other-token\ncontent-type: Application/JSON; charset=utf-8";
    assert_eq!(
        caller.call(line, headers, HIDE_PHOTO).await.unwrap().status,
        200
    );
    assert_eq!(sandbox.settings("a b/ç").unwrap(), settings("none"));
    assert_eq!(sandbox.settings("main").unwrap(), settings("all"));
}

#[tokio::test(start_paused = true)]
async fn every_stanza_takes_its_time_after_the_arrival() {
    let latency = Duration::from_secs(1);
    let (sandbox, caller) = start_in_memory(Options {
        latency,
        ..Options::default()
    });
    let start = Instant::now();
    caller
        .update(r#"{"visibility":{"profile":"none","online":"all"}}"#)
        .await;
    caller.read().await;
    assert_eq!(start.elapsed().as_secs(), 4);
    let arrived: Vec<_> = sandbox
        .arrivals()
        .iter()
        .map(|it| (it.at - start).as_secs())
        .collect();
    assert_eq!(arrived, [0, 3]);
}
