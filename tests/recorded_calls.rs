//! `explain` of a file of calls: HAR, Postman collection and access log. Nothing of the file is shown but route
//! templates and counts.

use std::{fmt::Write as _, io::Write as _};

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::{
    harness::Setup,
    process::{Ended, Process, file, program},
};

const ALL: &str = r#"{"visualizationType":"ALL"}"#;
const NO_PRIVACY: &str = "it is not a privacy call";
const TRANSLATED: &str =
    r#"it is a privacy call of the instance "main", which is in [[instances]]"#;
const PHOTO: &str = "/instances/{id}/token/{token}/privacy/photo";
const SEND_TEXT: &str = "/instances/{id}/token/{token}/send-text";
const LIST: &str = "Ryze cannot change the contacts of a contactsBlacklist. Nothing was changed.";

async fn explain(arguments: &[&str]) -> Ended {
    explain_with("client_token = \"planted-client\"", arguments).await
}

async fn explain_with(instance: &'static str, arguments: &[&str]) -> Ended {
    let setup = Setup {
        instance,
        fallback: "base_url = \"https://zapi.test\"".into(),
        ..Setup::default()
    };
    let config = file(
        &setup
            .toml("https://ryze.test")
            .replace("\"T1\"", "\"planted-token\""),
    );
    let mut command = program(["explain", "--config"]);
    let ended = Process::start(command.arg(config.path()).args(arguments))
        .ended()
        .await;
    assert!(!format!("{ended:?}").contains("planted"), "{ended:?}");
    ended
}

/// Verdict, method, route, count and reason.
type Row = (String, String, String, u64, String);

/// The counts, without the rows, and verdict, method, route, count and the begin of the reason of each row.
fn judged(ended: &Ended) -> (Value, Vec<Row>) {
    let mut tally: Value = serde_json::from_str(&ended.stdout).unwrap();
    let rows = tally["calls"].take();
    let rows = rows.as_array().unwrap().iter().map(|row| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let why = text("why").split(" To have").next().unwrap().to_owned();
        (
            text("verdict"),
            text("method"),
            text("route"),
            row["count"].as_u64().unwrap(),
            why,
        )
    });
    (tally, rows.collect())
}

fn row(verdict: &str, call: &str, count: u64, why: &str) -> Row {
    let (method, route) = call.split_once(' ').unwrap_or_default();
    (
        verdict.into(),
        method.into(),
        route.into(),
        count,
        why.into(),
    )
}

fn har_entry(method: &str, path: &str, body: Option<&str>) -> Value {
    let mut request = json!({
        "method": method,
        "url": format!("https://api.z-api.io{path}"),
        "headers": [
            { "name": ":authority", "value": "api.z-api.io" },
            { "name": "Client-Token", "value": "planted-client" },
            { "name": "content-type", "value": "application/json" },
            { "name": "content-length", "value": "9999" },
        ],
    });
    if let Some(body) = body {
        request["postData"] = json!({ "mimeType": "application/json", "text": body });
    }
    json!({ "request": request, "response": { "content": { "text": "planted" } } })
}

#[tokio::test]
async fn the_requests_of_a_har_file_are_counted_by_how_they_are_handled() {
    let photo = "/instances/I1/token/planted-token/privacy/photo";
    let message = "/instances/I1/token/planted-token/send-text";
    let list = r#"{"visualizationType":"CONTACT_BLACKLIST",
                   "contactsBlacklist":[{"action":"add","phone":"55449planted"}]}"#;
    let list = list.replace("planted", "1");
    let entries = json!([
        har_entry("POST", photo, Some(ALL)),
        har_entry("POST", message, Some(r#"{"phone":"planted"}"#)),
        har_entry("POST", message, Some(r#"{"phone":"planted"}"#)),
        har_entry("POST", message, Some(r#"{"phone":"planted2"}"#)),
        har_entry("POST", photo, Some(&list)),
        har_entry("POST", photo, Some("{\"visualizationType\":\"planted\"}")),
        har_entry("GET", "/planted.js", None),
        { "request": { "method": "GET", "url": "https://planted.test/instances/a b" } },
    ]);
    let har = file(&json!({ "log": { "version": "1.2", "entries": entries } }).to_string());
    let path = har.path().to_str().unwrap();
    let ended = explain(&["--har", path, "--json"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    let (counts, rows) = judged(&ended);
    let expected = json!({
        "translated": 1, "passed_on": 3, "refused": 2, "not_judged": 1, "skipped": 1, "calls": null,
    });
    assert_eq!(counts, expected);
    let photo = format!("POST {PHOTO}");
    let values = "visualizationType must be one of ALL, NONE, CONTACTS, CONTACT_BLACKLIST";
    let invalid = "TARGET has a space or a control character in it; percent-encode it";
    let expected = [
        row("refused", &photo, 1, LIST),
        row("refused", &photo, 1, values),
        row("not_judged", "", 1, invalid),
        row("passed_on", &format!("POST {SEND_TEXT}"), 3, NO_PRIVACY),
        row("translated", &photo, 1, TRANSLATED),
    ];
    assert_eq!(rows, expected);

    let table = explain(&["--har", path]).await;
    assert_eq!(table.code, Some(1));
    let text = table.stdout;
    let begin = "7 calls of Z-API: 1 translated, 3 passed on, 1 not judged, 2 refused\n\
                 left out: 1 that are not calls of Z-API\n\n";
    assert!(text.starts_with(begin), "{text}");
    let lines: Vec<_> = text.lines().skip(3).collect();
    assert_eq!(lines.len(), 6, "{text}");
    let words = lines[4].split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words, format!("3 passed on POST /send-text {NO_PRIVACY}"));
}

#[tokio::test]
async fn a_collection_has_its_variables_from_an_environment() {
    let collection = json!({
        "info": { "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json" },
        "variable": [{ "key": "base", "value": "https://api.z-api.io/instances/{{id}}/token/{{token}}" }],
        "item": [
            {
                "name": "planted",
                "item": [{
                    "name": "photo",
                    "request": {
                        "method": "POST",
                        "header": [
                            { "key": "Client-Token", "value": "{{client}}" },
                            { "key": "Content-Type", "value": "planted", "disabled": true },
                        ],
                        "url": { "raw": "{{base}}/privacy/photo", "host": ["{{base}}"] },
                        "body": {
                            "mode": "raw", "raw": ALL, "options": { "raw": { "language": "json" } },
                        },
                    },
                }],
            },
            { "request": { "url": {
                "raw": "{{base}}/chats/:phone",
                "variable": [{ "key": "phone", "value": "planted" }],
            }, "method": "GET" } },
            { "request": "{{base}}/me" },
        ],
    });
    let collection = file(&collection.to_string());
    let path = collection.path().to_str().unwrap();
    let environment = file(
        &json!({ "name": "planted", "values": [
            { "key": "id", "value": "I1", "enabled": true },
            { "key": "token", "value": "planted-token" },
            { "key": "client", "value": "planted-client" },
            { "key": "client", "value": "planted-other", "enabled": false },
        ]})
        .to_string(),
    );
    let environment = environment.path().to_str().unwrap();
    let with = [
        "--postman",
        path,
        "--postman-environment",
        environment,
        "--json",
    ];
    let ended = explain(&with).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let expected = [
        row(
            "passed_on",
            "GET /instances/{id}/token/{token}/chats/{phone}",
            1,
            NO_PRIVACY,
        ),
        row(
            "passed_on",
            "GET /instances/{id}/token/{token}/me",
            1,
            NO_PRIVACY,
        ),
        row("translated", &format!("POST {PHOTO}"), 1, TRANSLATED),
    ];
    assert_eq!(judged(&ended).1, expected);

    let without = explain(&["--postman", path, "--json"]).await;
    assert_eq!(without.code, Some(1));
    let why = "it has a variable that neither the collection nor the environment sets";
    assert_eq!(judged(&without).1, [row("not_judged", "", 3, why)]);
}

#[tokio::test]
async fn an_access_log_is_judged_by_method_and_path() {
    let mut log = String::new();
    for (request, count) in [
        (
            "POST /instances/I1/token/planted-token/privacy/photo HTTP/1.1",
            40,
        ),
        ("POST /instances/I1/token/planted/privacy/photo HTTP/1.1", 2),
        (
            "GET /instances/I1/token/planted-token/phone-exists/55449999planted?a=b HTTP/1.1",
            300,
        ),
        (
            "POST /instances/planted/token/planted/privacy/photo HTTP/1.1",
            5,
        ),
        (
            "GET /instances/I1/token/planted-token/privacy/disallowed-contacts HTTP/1.1",
            1,
        ),
        ("GET /planted.html HTTP/1.1", 7),
    ] {
        for _ in 0..count {
            writeln!(
                log,
                "127.0.0.1 - - [28/Nov/2026:13:00:00 +0000] \"{request}\" 200 17 \"-\" \"planted\""
            )
            .unwrap();
        }
    }
    log += "planted\n";
    let log = file(&log);
    let ended = explain(&["--access-log", log.path().to_str().unwrap(), "--json"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    let (counts, rows) = judged(&ended);
    assert_eq!(counts["skipped"], 8);
    let photo = format!("POST {PHOTO}");
    let token = "its id is that of the instance \"main\", but its token is not zapi_token; a privacy call \
                 of an instance in [[instances]] is never passed on";
    let expected = [
        row("refused", &photo, 2, token),
        row(
            "passed_on",
            "GET /instances/{id}/token/{token}/phone-exists/{phone}",
            300,
            NO_PRIVACY,
        ),
        row(
            "passed_on",
            &photo,
            5,
            "no entry of [[instances]] has its id (zapi_instance)",
        ),
        row(
            "passed_on",
            "GET /instances/{id}/token/{token}/privacy/disallowed-contacts",
            1,
            "Ryze has no call to list the contacts that a setting leaves out",
        ),
        row("translated", &photo, 40, TRANSLATED),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn of_an_observed_instance_both_are_said() {
    let line = |token: &str| {
        format!("- - - [x] \"POST /instances/I1/token/{token}/privacy/photo HTTP/1.1\" 200 17\n")
    };
    let log = file(&(line("planted-token") + &line("planted")));
    let path = log.path().to_str().unwrap();
    let ended = explain_with("mode = \"observe\"", &["--access-log", path, "--json"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let (photo, why) = (
        format!("POST {PHOTO}"),
        "the instance \"main\" has mode = \"observe\"; with \"translate\" it would be",
    );
    let expected = [
        row("passed_on", &photo, 1, &format!("{why} refused")),
        row("passed_on", &photo, 1, &format!("{why} translated")),
    ];
    assert_eq!(judged(&ended).1, expected);
}

#[tokio::test]
async fn a_file_that_is_not_of_its_format_is_wrong_usage() {
    let other = file("{\"planted\": 1}");
    let other = other.path().to_str().unwrap();
    let mut large = NamedTempFile::new().unwrap();
    large.write_all(b"{\"log\":\"").unwrap();
    large.as_file().set_len(64 * 1024 * 1024 + 1).unwrap();
    let large = large.path().to_str().unwrap();
    for (arguments, error) in [
        (["--har", other], "the file is not a HAR file"),
        (
            ["--postman", other],
            "the file is not a collection of Postman",
        ),
        (["--har", large], "the file is larger than 64 MiB"),
        (
            ["--access-log", "/nowhere/log"],
            "the file cannot be read: No such file",
        ),
    ] {
        let ended = explain(&arguments).await;
        let begin = format!("{}: error: {error}", arguments[1]);
        assert!(ended.stderr.starts_with(&begin), "{ended:?}");
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(64), ""));
    }
    for arguments in [
        &["--har", other, "GET", "/"][..],
        &["--har", other, "--access-log", other],
        &["--postman-environment", other],
    ] {
        assert_eq!(explain(arguments).await.code, Some(64), "{arguments:?}");
    }
}
