//! The in-memory Z-API, without any gateway.

use serde_json::{Value, json};
use tokio::net::TcpListener;
use zapi_to_ryze::sandbox::{UNLISTED, Zapi};

use super::client::Caller;

const LISTED: &str = "/instances/SANDBOX/token/sandbox";
const JSON: &str = "content-type: application/json";
const FORM: &str = "content-type: application/x-www-form-urlencoded";

async fn start() -> Caller {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Zapi::default().serve(listener));
    Caller::Socket(address)
}

/// Status and body of a call below an instance. `call` is method and path.
async fn answer(
    caller: &Caller,
    below: &str,
    call: &str,
    headers: &str,
    body: &str,
) -> (u16, Value) {
    let (method, path) = call.split_once(' ').unwrap();
    let line = format!("{method} {below}/{path}");
    let got = caller.call(&line, headers, body).await.unwrap();
    assert_eq!(got.headers["content-type"], "application/json", "{call}");
    (got.status, got.json())
}

async fn contacts(caller: &Caller, below: &str, list: &str) -> Value {
    let call = format!("GET privacy/disallowed-contacts?type={list}");
    let (status, body) = answer(caller, below, &call, "", "").await;
    assert_eq!(status, 200, "{body}");
    body["disallowedContacts"].clone()
}

fn not_found() -> Value {
    json!({"error": "NOT_FOUND", "message": "Unable to find matching target resource method"})
}

#[tokio::test]
async fn each_message_has_ids_of_its_own() {
    let caller = start().await;
    let mut ids = Vec::new();
    for (call, content) in [
        ("POST send-text", "message"),
        ("POST send-image", "image"),
        ("POST send-document/pdf", "document"),
    ] {
        let body = json!({"phone": "5511999999999", content: "x"});
        let (status, got) = answer(&caller, LISTED, call, JSON, &body.to_string()).await;
        assert_eq!(status, 200, "{call}: {got}");
        assert_eq!(got.as_object().unwrap().len(), 3, "{got}");
        assert_eq!(got["id"], got["messageId"]);
        assert_eq!(got["zaapId"].as_str().unwrap().len(), 32);
        assert_eq!(got["messageId"].as_str().unwrap().len(), 20);
        ids.extend([got["zaapId"].clone(), got["id"].clone()]);

        for absent in ["phone", content] {
            let mut lacking = body.clone();
            lacking.as_object_mut().unwrap().remove(absent);
            let mut empty = body.clone();
            empty[absent] = "".into();
            for body in [lacking, empty] {
                let got = answer(&caller, LISTED, call, JSON, &body.to_string()).await;
                let message = format!("{absent} is required");
                let error = json!({"error": "BAD_REQUEST", "message": message});
                assert_eq!(got, (400, error), "{call} {body}");
            }
        }
    }
    assert!(
        (1..ids.len()).all(|at| !ids[..at].contains(&ids[at])),
        "{ids:?}"
    );
    let image = json!({"phone": "5511999999999", "image": "A".repeat(1024 * 1024)}).to_string();
    assert_eq!(
        answer(&caller, LISTED, "POST send-image", JSON, &image)
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn status_and_chats_have_the_documented_fields() {
    let caller = start().await;
    let (status, body) = answer(&caller, LISTED, "GET status", "", "").await;
    let connected = json!({"connected": true, "error": "", "smartphoneConnected": true});
    assert_eq!((status, body), (200, connected));
    let (status, body) = answer(&caller, LISTED, "GET chats?page=1&pageSize=10", "", "").await;
    let chat = body[0].as_object().unwrap();
    assert_eq!((status, chat.len()), (200, 14));
    assert_eq!(chat["unread"], "0");
    let second = answer(&caller, LISTED, "GET chats?page=2&pageSize=10", "", "").await;
    assert_eq!(second, (200, json!([])));
}

#[tokio::test]
async fn privacy_calls_take_the_documented_values() {
    let all = "ALL NONE CONTACTS CONTACT_BLACKLIST";
    let in_body = [
        ("photo", "visualizationType", all),
        ("last-seen", "visualizationType", all),
        ("description", "visualizationType", all),
        ("online", "visualizationType", "ALL SAME_LAST_SEEN"),
        ("group-add", "type", "ALL CONTACTS CONTACT_BLACKLIST"),
    ];
    let in_query = [
        ("read-receipts", "enable disable"),
        ("messages-duration", "days90 days7 hours24 disable"),
    ];
    let caller = start().await;
    let success = json!({"success": true});
    for (path, field, values) in in_body {
        let call = format!("POST privacy/{path}");
        for value in values.split(' ') {
            let body = json!({field: value, "contactsBlacklist": null}).to_string();
            let got = answer(&caller, LISTED, &call, JSON, &body).await;
            assert_eq!(got, (200, success.clone()), "{path} {value}");
        }
        for value in all
            .split(' ')
            .filter(|it| !values.split(' ').any(|known| known == *it))
        {
            let body = json!({field: value}).to_string();
            let got = answer(&caller, LISTED, &call, JSON, &body).await;
            assert_eq!(got.0, 400, "{path} {value}");
        }
        for body in [
            json!({}),
            json!({field: "all"}),
            json!({field: 1}),
            json!([]),
        ] {
            let got = answer(&caller, LISTED, &call, JSON, &body.to_string()).await;
            assert_eq!(
                (got.0, &got.1["error"]),
                (400, &json!("BAD_REQUEST")),
                "{body}"
            );
        }
    }
    for (path, values) in in_query {
        for value in values.split(' ') {
            let call = format!("POST privacy/{path}?value={value}");
            for headers in ["", FORM, JSON] {
                let got = answer(&caller, LISTED, &call, headers, "").await;
                assert_eq!(got, (200, success.clone()), "{call} {headers}");
            }
        }
        for query in ["", "?value=", "?value=other"] {
            let call = format!("POST privacy/{path}{query}");
            assert_eq!(
                answer(&caller, LISTED, &call, "", "").await.0,
                400,
                "{call}"
            );
        }
    }
    for query in ["", "?type=online"] {
        let call = format!("GET privacy/disallowed-contacts{query}");
        assert_eq!(
            answer(&caller, LISTED, &call, "", "").await.0,
            400,
            "{call}"
        );
    }
}

#[tokio::test]
async fn a_list_of_contacts_is_changed_and_read_back() {
    let lists = [
        ("photo", "visualizationType", "photo"),
        ("last-seen", "visualizationType", "lastSeen"),
        ("description", "visualizationType", "description"),
        ("group-add", "type", "groupAdd"),
    ];
    let caller = start().await;
    let other = format!("/instances/{}/token/{}", UNLISTED.0, UNLISTED.1);
    let change = async |path: &str, field: &str, contacts: Value| {
        let body = json!({field: "CONTACT_BLACKLIST", "contactsBlacklist": contacts});
        let call = format!("POST privacy/{path}");
        answer(&caller, LISTED, &call, JSON, &body.to_string())
            .await
            .0
    };
    for (path, field, list) in lists {
        let add = |phone| json!({"action": "add", "phone": phone});
        let two = json!([add(format!("1{list}")), add("2".into()), add("2".into())]);
        assert_eq!(change(path, field, two).await, 200);
        let remove = json!({"action": "remove", "phone": "2"});
        assert_eq!(
            change(path, field, json!([remove, add("3".into())])).await,
            200
        );
        for wrong in [
            json!([add("4".into()), {"action": "add"}]),
            json!([add("4".into()), {"action": "replace", "phone": "5"}]),
            json!([add("4".into()), add("5".repeat(65))]),
            (0..1001).map(|it| add(it.to_string())).collect(),
            json!("4"),
        ] {
            assert_eq!(change(path, field, wrong).await, 400);
        }
    }
    for (_, _, list) in lists {
        let kept = contacts(&caller, LISTED, list).await;
        assert_eq!(kept, json!([format!("1{list}"), "3"]));
        assert_eq!(contacts(&caller, &other, list).await, json!([]));
    }
}

#[tokio::test]
async fn refusals_are_those_of_z_api() {
    let caller = start().await;
    let unknown = json!({"error": "Instance not found"});
    for instance in [
        "SANDBOX/token/other",
        "UNLISTED/token/sandbox",
        "X/token/sandbox",
    ] {
        let got = answer(
            &caller,
            &format!("/instances/{instance}"),
            "GET status",
            "",
            "",
        )
        .await;
        assert_eq!(got, (400, unknown.clone()), "{instance}");
    }
    for spelling in [
        "//instances/SANDBOX/token/sandbox",
        "/instances/S%41NDBOX/token/sandbox",
        "/instances/OBSERVED/token/observed",
        "/instances/UNLISTED/token/unlisted",
    ] {
        assert_eq!(answer(&caller, spelling, "GET status", "", "").await.0, 200);
    }
    for path in [
        "POST privacy/photo-visualization",
        "GET x",
        "POST send-document",
        "GET status/",
    ] {
        let got = answer(&caller, LISTED, path, JSON, "{}").await;
        assert_eq!(got, (200, not_found()), "{path}");
    }
    for below in [
        "",
        "/instances",
        "/instances/SANDBOX",
        "/instances/SANDBOX/token",
    ] {
        let got = answer(&caller, below, "GET status", "", "").await;
        assert_eq!(got, (404, not_found()), "{below}");
    }
    for call in [
        "GET send-text",
        "PUT privacy/photo",
        "POST status",
        "POST privacy/disallowed-contacts",
    ] {
        let got = answer(&caller, LISTED, call, JSON, "{}").await;
        assert_eq!(
            (got.0, &got.1["error"]),
            (405, &json!("METHOD_NOT_ALLOWED")),
            "{call}"
        );
    }
    for call in ["POST send-text", "POST privacy/photo"] {
        for headers in ["", FORM, "content-type: text/plain;charset=UTF-8"] {
            let got = answer(&caller, LISTED, call, headers, "{}").await;
            let expected = (415, &json!("UNSUPPORTED_MEDIA_TYPE"));
            assert_eq!((got.0, &got.1["error"]), expected, "{call} {headers}");
        }
    }
    let head = caller.call(&format!("HEAD {LISTED}/status"), "", "").await;
    assert_eq!(head.unwrap().status, 200);
}
