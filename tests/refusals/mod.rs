//! Invalid requests: each gets its response, and nothing is sent to Ryze. `head` is about heads, `body`
//! about bodies and queries. Limits of time and number are in `limits.rs`.

mod body;
mod head;

use crate::harness::{Reply, Setup, Upstream, confirms, photo, post};

const PHOTO: &str = "/instances/I1/token/T1/privacy/photo";

/// A name, a raw request, and a part of the message that is expected.
type Case<'c> = (&'c str, String, &'c str);

/// Checks that each request is answered with the status and the error, and reaches no upstream.
async fn check(setup: Setup, status: u16, error: &str, cases: &[Case<'_>]) -> Vec<Reply> {
    let upstream = Upstream::start(confirms(r#"{"visibility":{"profile":"all"}}"#)).await;
    let gateway = setup.start(&upstream.base_url).await;
    let mut replies = Vec::new();
    for (name, request, message) in cases {
        let reply = gateway.send(request).await;
        println!("{name}: {} {}", reply.status, reply.message.body);
        reply.assert_failure(status, error);
        assert!(reply.text("message").contains(message), "no {message:?}");
        replies.push(reply);
    }
    assert_eq!(upstream.seen(), [], "Ryze saw a request");
    replies
}

/// The photo call with other headers than `Host: gateway`.
fn with_host(headers: &str) -> String {
    photo("ALL").replace("Host: gateway\r\n", headers)
}

#[tokio::test]
async fn the_first_check_that_fails_is_the_one_that_is_told() {
    let long = "x".repeat(100);
    let json = "Content-Type: application/json\r\n";
    let host = "Host: g\r\n";
    let rows = [
        ("", "GET", "x", "wrong", "", 400, "BAD_REQUEST"),
        (host, "GET", "x", "wrong", "", 404, "NOT_FOUND"),
        (host, "GET", "photo", "wrong", "", 405, "METHOD_NOT_ALLOWED"),
        (
            host,
            "POST",
            "photo",
            "wrong",
            "",
            400,
            "Instance not found",
        ),
        (
            host,
            "POST",
            "photo",
            "T1",
            "",
            403,
            "Client-Token null not allowed",
        ),
        (
            host,
            "POST",
            "photo",
            "T1",
            "Client-Token: C\r\n",
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (
            host,
            "POST",
            "photo",
            "T1",
            json,
            413,
            "REQUEST_ENTITY_TOO_LARGE",
        ),
    ];
    for (host, method, name, token, headers, status, error) in rows {
        let client_token = if headers == json {
            "Client-Token: C\r\n"
        } else {
            ""
        };
        let request = format!(
            "{method} /instances/I1/token/{token}/privacy/{name} HTTP/1.1\r\n\
             {host}{headers}{client_token}Content-Length: {}\r\n\r\n{long}",
            long.len()
        );
        let setup = Setup {
            server: "max_body = 10",
            instance: "client_token = \"C\"",
            ..Setup::default()
        };
        check(setup, status, error, &[(error, request, "")]).await;
    }
}

#[tokio::test]
async fn what_ryze_cannot_do() {
    let list = |name: &str, key: &str| {
        let contacts = r#""contactsBlacklist":[{"action":"add","phone":"5544"}]"#;
        let body = format!("{{\"{key}\":\"CONTACT_BLACKLIST\",{contacts}}}");
        post(&format!("/instances/I1/token/T1/privacy/{name}"), &body)
    };
    let bare = |method: &str, rest: &str| {
        format!("{method} /instances/I1/token/T1/privacy/{rest} HTTP/1.1\r\nHost: g\r\n\r\n")
    };
    let key = "policy.contacts_blacklist";
    let cases = [
        ("photo", list("photo", "visualizationType"), key),
        ("last seen", list("last-seen", "visualizationType"), key),
        ("description", list("description", "visualizationType"), key),
        ("group add", list("group-add", "type"), key),
        (
            "duration",
            bare("POST", "messages-duration?value=days7"),
            "how long",
        ),
        (
            "contacts",
            bare("GET", "disallowed-contacts?type=photo"),
            "contacts",
        ),
    ];
    for reply in check(Setup::default(), 422, "UNPROCESSABLE_ENTITY", &cases).await {
        assert!(reply.text("message").contains("Nothing was changed"));
    }
}

#[tokio::test]
async fn what_the_http_library_answers_itself() {
    let upstream = Upstream::start(confirms("{}")).await;
    let gateway = Setup::default().start(&upstream.base_url).await;
    let get = |headers: &str| format!("GET / HTTP/1.1\r\nHost: g\r\n{headers}\r\n");
    let long = "x".repeat(70_000);
    let cases = [
        ("not HTTP", "hello\r\n\r\n".to_owned(), 400),
        ("a space in a name", get("X : y\r\n"), 400),
        ("a length that is none", get("Content-Length: -1\r\n"), 400),
        (
            "two lengths",
            get("Content-Length: 1\r\nContent-Length: 2\r\n"),
            400,
        ),
        ("long headers", get(&format!("X: {long}\r\n")), 431),
    ];
    for (name, request, status) in cases {
        let reply = gateway.send(&request).await;
        let got = (reply.status, reply.message.body.as_str());
        assert_eq!(got, (status, ""), "{name}");
    }
    assert_eq!(upstream.seen(), []);
}
