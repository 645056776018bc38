//! The gateway's own call, `GET …/privacy`: its request to Ryze and the response to the client. When a
//! read is sent, and with which others, is in `queue`.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{
    Message, Reply, Setup, Step, Upstream, answer, answers, confirms, refuses, refusing,
};

const PATH: &str = "/instances/I1/token/T1/privacy";
/// What is shown where Ryze shows nothing that Z-API has a word for.
const NOTHING: &str = r#"{"photo":null,"lastSeen":null,"description":null,"online":null,"groupAdd":null,"readReceipts":null}"#;

fn call(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: gateway\r\n\r\n")
}

/// Reads from a gateway whose Ryze does this, and returns what Ryze saw.
async fn read(setup: &Setup, step: Step, request: &str) -> (Reply, Vec<Message>) {
    let upstream = Upstream::start(step).await;
    let gateway = setup.start(&upstream.base_url).await;
    (gateway.send(request).await, upstream.seen())
}

/// Checks that settings of Ryze are shown so.
async fn check_shown(settings: &str, expected: &str) {
    let (reply, seen) = read(&Setup::default(), confirms(settings), &call("GET", PATH)).await;
    assert_eq!(reply.message.body, expected, "{settings}");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(seen.len(), 1);
}

#[tokio::test]
async fn the_settings_are_shown_in_z_apis_words() {
    check_shown(
        r#"{"permissions":{"groupAdd":"contacts","callAdd":"known"},"privacy":{"readReceipts":"all"},
            "visibility":{"lastSeen":"none","status":"all","profile":"contacts","online":"match_last_seen"}}"#,
        r#"{"photo":"CONTACTS","lastSeen":"NONE","description":"ALL","online":"SAME_LAST_SEEN","groupAdd":"CONTACTS","readReceipts":"enable"}"#,
    )
    .await;
}

#[tokio::test]
async fn every_value_of_every_setting_has_its_word_or_is_null() {
    /// Ryze's words and Z-API's, with none where it has none.
    type Words = [(&'static str, Option<&'static str>); 10];
    let words = |who: [Option<&'static str>; 5]| -> Words {
        let [all, contacts, contact_blacklist, none, match_last_seen] = who;
        [
            ("all", all),
            ("contacts", contacts),
            ("contact_blacklist", contact_blacklist),
            ("none", none),
            ("match_last_seen", match_last_seen),
            ("known", None),
            ("", None),
            ("ALL", None),
            ("contact_whitelist", None),
            ("all ", None),
        ]
    };
    let [all, contacts, except] = ["ALL", "CONTACTS", "CONTACT_BLACKLIST"].map(Some);
    let who = words([all, contacts, except, Some("NONE"), None]);
    let online = words([all, None, None, None, Some("SAME_LAST_SEEN")]);
    let group = words([all, contacts, except, None, None]);
    let switch = words([Some("enable"), None, None, Some("disable"), None]);
    for (section, field, key, words) in [
        ("visibility", "profile", "photo", who),
        ("visibility", "lastSeen", "lastSeen", who),
        ("visibility", "status", "description", who),
        ("visibility", "online", "online", online),
        ("permissions", "groupAdd", "groupAdd", group),
        ("privacy", "readReceipts", "readReceipts", switch),
    ] {
        for (value, word) in words {
            let settings = format!("{{\"{section}\":{{\"{field}\":\"{value}\"}}}}");
            let shown = word.map_or("null".into(), |word| format!("\"{word}\""));
            let expected =
                NOTHING.replace(&format!("\"{key}\":null"), &format!("\"{key}\":{shown}"));
            check_shown(&settings, &expected).await;
        }
    }
}

#[tokio::test]
async fn what_ryze_does_not_show_is_null() {
    for settings in [
        "{}",
        r#"{"visibility":null,"privacy":[],"permissions":"all"}"#,
        r#"{"visibility":{},"privacy":{"lastSeen":"all"}}"#,
        r#"{"visibility":{"profile":null,"lastSeen":1,"status":["all"],"online":{}}}"#,
    ] {
        check_shown(settings, NOTHING).await;
    }
}

#[tokio::test]
async fn ryze_sees_a_bare_get_for_the_instance_and_nothing_of_the_caller() {
    let setup = Setup {
        instance: "[[instances]]\nzapi_instance = \"I2\"\nzapi_token = \"T2\"\n\
                   ryze_instance = \"a b/ç?\"\nryze_token = \"t2\"",
        ..Setup::default()
    };
    let upstream = Upstream::start(confirms("{}")).await;
    let gateway = setup.start(&format!("{}/prefix", upstream.base_url)).await;
    let reply = gateway
        .send(
            "GET //instances/%492/token/T2/privacy?type=photo HTTP/1.1\r\nHost: gateway\r\n\
             Client-Token: c\r\nAuthorization: a\r\nCookie: b\r\ntoken: forged\r\n\
             Accept: text/html\r\nContent-Type: application/json\r\nUser-Agent: legacy\r\n\
             X-Forwarded-For: 192.0.2.1\r\nContent-Length: 25\r\n\r\n{\"visualizationType\":\"X\"}",
        )
        .await;
    assert_eq!((reply.status, reply.message.body.as_str()), (200, NOTHING));
    let seen = &upstream.seen()[0];
    assert_eq!(
        seen.first_line(),
        "GET /prefix/api/profile/getPrivacy/a%20b%2F%C3%A7%3F HTTP/1.1"
    );
    assert_eq!(
        seen.header_names(),
        [
            "accept-encoding",
            "host",
            "token",
            "user-agent",
            "x-request-id"
        ]
    );
    assert_eq!(seen.header("token"), Some("t2"));
    assert_eq!(seen.body, "");
}

#[tokio::test]
async fn a_body_means_nothing() {
    let bodies = [
        "Content-Length: 0\r\n\r\n",
        "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        "Content-Type: text/plain\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n",
        // More than is read of any body.
        "Content-Length: 1000000\r\n\r\nnope",
    ];
    for body in bodies {
        let request = format!("GET {PATH} HTTP/1.1\r\nHost: g\r\n{body}");
        let (reply, seen) = read(&Setup::default(), confirms("{}"), &request).await;
        assert_eq!((reply.status, reply.message.body.as_str()), (200, NOTHING));
        assert_eq!(seen[0].body, "", "{body}");
    }
}

#[tokio::test]
async fn each_path_takes_its_own_method_alone() {
    let upstream = Upstream::start(confirms("{}")).await;
    let gateway = Setup::default().start(&upstream.base_url).await;
    let setters = [
        "photo",
        "last-seen",
        "description",
        "online",
        "group-add",
        "read-receipts?value=enable",
        "messages-duration?value=days7",
    ];
    let mut cases: Vec<_> = setters
        .iter()
        .map(|name| ("GET", format!("{PATH}/{name}"), "POST"))
        .collect();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get"] {
        cases.push((method, PATH.into(), "GET"));
    }
    for (method, path, allowed) in cases {
        let reply = gateway.send(call(method, &path)).await;
        reply.assert_failure(405, "METHOD_NOT_ALLOWED");
        assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
    }
    let mut caller = TcpStream::connect(gateway.address).await.unwrap();
    let head = format!("HEAD {PATH}/photo HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n");
    caller.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    caller.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.contains("\r\nallow: POST\r\n") && answer.ends_with("\r\n\r\n"));
    assert_eq!(upstream.seen(), []);
}

#[tokio::test]
async fn head_is_answered_with_the_head_of_get() {
    let upstream = Upstream::start(confirms("{}")).await;
    let gateway = Setup::default().start(&upstream.base_url).await;
    for path in [PATH, &format!("{PATH}/disallowed-contacts?type=photo")] {
        let heads = ["GET", "HEAD"].map(async |method| {
            let mut caller = TcpStream::connect(gateway.address).await.unwrap();
            let request = call(method, path).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
            caller.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            caller.read_to_string(&mut answer).await.unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let is_stable = |line: &&str| {
                !["date:", "x-request-id:"]
                    .iter()
                    .any(|it| line.starts_with(it))
            };
            let lines: Vec<_> = head.lines().filter(is_stable).map(str::to_owned).collect();
            (lines, body.len())
        });
        let [get, head] = heads;
        let (get, head) = (get.await, head.await);
        assert_eq!((head.0, head.1), (get.0.clone(), 0));
        assert!(
            get.0.contains(&format!("content-length: {}", get.1)),
            "{get:?}"
        );
    }
    let seen: Vec<_> = upstream
        .seen()
        .iter()
        .map(|it| it.first_line().to_owned())
        .collect();
    assert_eq!(seen, ["GET /api/profile/getPrivacy/main HTTP/1.1"; 2]);
}

#[tokio::test]
async fn who_may_not_call_reads_nothing() {
    let setup = Setup {
        instance: "client_token = \"C1\"",
        ..Setup::default()
    };
    let upstream = Upstream::start(confirms("{}")).await;
    let gateway = setup.start(&upstream.base_url).await;
    let with = |token: &str, header: &str| {
        let path = PATH.replace("T1", token);
        call("GET", &path).replace("Host: gateway\r\n", &format!("Host: gateway\r\n{header}"))
    };
    for (request, status, error) in [
        (
            with("T2", "Client-Token: C1\r\n"),
            400,
            "Instance not found",
        ),
        (with("T1", ""), 403, "Client-Token null not allowed"),
        (
            with("T1", "Client-Token:\r\n"),
            403,
            "Client-Token null not allowed",
        ),
        (
            with("T1", "Client-Token: C2\r\n"),
            403,
            "Client-Token not allowed",
        ),
    ] {
        gateway.send(request).await.assert_failure(status, error);
    }
    assert_eq!(upstream.seen(), []);
    let reply = gateway.send(with("T1", "CLIENT-TOKEN: C1\r\n")).await;
    assert_eq!(reply.message.body, NOTHING);
}

/// Checks what a reader gets of each, and that it does not speak of a change.
async fn check_failures(cases: Vec<(Step, u16, &str, &str)>) {
    let setup = Setup {
        server: "deadline = \"1s\"",
        ..Setup::default()
    };
    for (step, status, error, message) in cases {
        let (reply, seen) = read(&setup, step.clone(), &call("GET", PATH)).await;
        let shown = format!("{step:.200?}");
        println!("{shown}: {} {}", reply.status, reply.message.body);
        reply.assert_failure(status, error);
        let text = reply.text("message");
        assert!(text.contains(message), "no {message:?}");
        for word in ["chang", "effect", "ryze-secret"] {
            assert!(!text.contains(word), "{text}");
        }
        assert_eq!(reply.header("retry-after").is_some(), status == 429);
        // What may be otherwise the next time is asked once more, if there is time left.
        let is_asked_again = matches!(status, 502 | 504) && !matches!(step, Step::Hang);
        assert_eq!(seen.len(), 1 + usize::from(is_asked_again));
    }
}

#[tokio::test]
async fn every_failure_of_ryze_is_told_without_a_word_of_a_change() {
    const REFUSED: &str = "FAILED_DEPENDENCY";
    const GATEWAY: &str = "BAD_GATEWAY";
    const SLOW: &str = "GATEWAY_TIMEOUT";
    const MANY: &str = "TOO_MANY_REQUESTS";
    const ANSWER: &str = "Ryze did not answer in time";
    let mut cases = vec![
        (
            refuses(400, "Invalid request body"),
            424,
            REFUSED,
            "Invalid request body",
        ),
        (
            refuses(401, "Invalid token ryze-secret"),
            424,
            REFUSED,
            "status 401",
        ),
        (
            refuses(403, "Instance token does not match"),
            424,
            REFUSED,
            "does not match",
        ),
        (
            refuses(404, "Instance not found"),
            424,
            REFUSED,
            "Instance not found",
        ),
        (refuses(500, "out of order"), 502, GATEWAY, "out of order"),
        (answers(503, "<html>"), 502, GATEWAY, "status 503"),
        (
            Step::Send(answer(302, "Location: /\r\n", "")),
            502,
            GATEWAY,
            "302",
        ),
        (
            refuses(429, "Rate limit exceeded. Try again later."),
            429,
            MANY,
            "Ryze's",
        ),
        (refuses(429, "rate-overlimit"), 429, MANY, "WhatsApp"),
        (Step::Hang, 504, SLOW, ANSWER),
        (Step::SendAndClose(String::new()), 504, SLOW, ANSWER),
        (
            Step::SendAndClose("HTTP/1.1 200 OK\r\nCont".into()),
            504,
            SLOW,
            ANSWER,
        ),
    ];
    for status in [400, 503] {
        let step = refuses(status, "Instance is not connected to WhatsApp");
        cases.push((step, 400, "You are not connected.", ""));
    }
    check_failures(cases).await;
}

#[tokio::test]
async fn an_answer_that_shows_no_settings_is_ryzes_failure() {
    let bodies = [
        "",
        "<html>ok</html>",
        r#""ok""#,
        r#"{"success":true}"#,
        r#"{"success":true,"settings":null}"#,
        r#"{"success":true,"settings":[]}"#,
        r#"{"success":false,"settings":{}}"#,
        r#"{"success":"true","settings":{}}"#,
        r#"{"settings":{}}"#,
        r#"{"success":true,"settings":{}"#,
        r#"{"success":true,"settings":{},"settings":{}}"#,
        r#"{"success":true,"settings":{"visibility":{"profile":"none","profile":"all"}}}"#,
    ];
    let settings = r#"{"success":true,"settings":{}}"#;
    let mut cases = Vec::from(bodies.map(|body| answers(200, body)));
    cases.push(answers(201, settings));
    cases.push(Step::Send(answer(
        200,
        "Content-Encoding: gzip\r\n",
        settings,
    )));
    cases.push(Step::SendAndClose(
        "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".into(),
    ));
    cases.push(Step::SendAndClose("hello\r\n\r\n".into()));
    let cases = cases.into_iter();
    check_failures(cases.map(|step| (step, 502, "BAD_GATEWAY", "")).collect()).await;
}

#[tokio::test]
async fn a_ryze_that_cannot_be_reached_is_said_to_be_so() {
    let (_socket, base_url) = refusing();
    let gateway = Setup::default().start(&base_url).await;
    let reply = gateway.send(call("GET", PATH)).await;
    reply.assert_failure(502, "BAD_GATEWAY");
    assert!(reply.text("message").contains("connection refused"));
}
