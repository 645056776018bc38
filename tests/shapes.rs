//! The forms in which real clients send the calls: axios, requests, fetch, curl and Postman, each for
//! every call. Contents of bodies and queries are in `mapping.rs` and `refusals`.

use crate::harness::{Gateway, Setup, Upstream, confirms};

const BODY_CALLS: [(&str, &str, &str); 5] = [
    (
        "photo",
        "visualizationType",
        r#"{"visibility":{"profile":"all"}}"#,
    ),
    (
        "last-seen",
        "visualizationType",
        r#"{"visibility":{"lastSeen":"all"}}"#,
    ),
    (
        "description",
        "visualizationType",
        r#"{"visibility":{"status":"all"}}"#,
    ),
    (
        "online",
        "visualizationType",
        r#"{"visibility":{"online":"all"}}"#,
    ),
    ("group-add", "type", r#"{"permissions":{"groupAdd":"all"}}"#),
];

/// Calls without a body, and their results.
const QUERY_CALLS: [(&str, &str, u16); 5] = [
    ("POST", "read-receipts?value=disable", 200),
    ("POST", "messages-duration?value=days7", 422),
    ("POST", "messages-duration", 422),
    ("GET", "disallowed-contacts?type=photo", 422),
    ("GET", "disallowed-contacts", 422),
];

const TARGET: &str = "/instances/I1/token/T1/privacy/CALL";

/// Targets that mean the same as [`TARGET`].
const TARGETS: [(&str, &str); 6] = [
    ("double slash", "//instances/I1/token/T1/privacy/CALL"),
    (
        "slash after the token",
        "/instances/I1/token/T1//privacy/CALL",
    ),
    (
        "percent-encoded id",
        "/instances/%49%31/token/T1/privacy/CALL",
    ),
    (
        "percent-encoded token",
        "/instances/I1/token/%541/privacy/CALL",
    ),
    (
        "percent-encoded word",
        "/instances/I1/token/T1/priv%61cy/CALL",
    ),
    (
        "absolute form",
        "http://gateway/instances/I1/token/T1/privacy/CALL",
    ),
];

/// A Ryze that confirms every value that the tests send, and a gateway that lets them all go at once.
async fn start() -> (Upstream, Gateway) {
    let settings = r#"{"visibility":{"profile":"all","lastSeen":"all","status":"all","online":"all"},
        "privacy":{"readReceipts":"none"},"permissions":{"groupAdd":"all"}}"#;
    let upstream = Upstream::start(confirms(settings)).await;
    let setup = Setup {
        budget: "requests_per_minute = 1000\nburst = 1000",
        ..Setup::default()
    };
    let gateway = setup.start(&upstream.base_url).await;
    (upstream, gateway)
}

#[tokio::test]
async fn a_call_with_a_body_is_taken_from_every_program_that_says_it_is_json() {
    const JSON: &str = "Content-Type: application/json\r\n";
    let mut shapes = vec![
        (
            "axios",
            TARGET,
            "Accept: application/json, text/plain, */*\r\nContent-Type: application/json\r\n\
             Client-Token: c\r\nUser-Agent: axios/1.13.2\r\n\
             Accept-Encoding: gzip, compress, deflate, br\r\nConnection: keep-alive\r\n",
            200,
        ),
        (
            "requests",
            TARGET,
            "User-Agent: python-requests/2.32\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n\
             Connection: keep-alive\r\nContent-Type: application/json\r\n",
            200,
        ),
        (
            "fetch",
            TARGET,
            "connection: keep-alive\r\ncontent-type: application/json\r\naccept: */*\r\n\
             accept-language: *\r\nsec-fetch-mode: cors\r\nuser-agent: node\r\n\
             accept-encoding: gzip, deflate\r\n",
            200,
        ),
        (
            "Postman",
            TARGET,
            "Content-Type: application/json\r\nUser-Agent: PostmanRuntime/7.43\r\nAccept: */*\r\n\
             Cache-Control: no-cache\r\nPostman-Token: 7\r\nAccept-Encoding: gzip, deflate, br\r\n\
             Connection: keep-alive\r\n",
            200,
        ),
        (
            "charset",
            TARGET,
            "Content-Type: application/json; charset=utf-8\r\n",
            200,
        ),
        (
            "letter case",
            TARGET,
            "CONTENT-TYPE: Application/JSON;charset=UTF-8\r\n",
            200,
        ),
        (
            "empty Client-Token",
            TARGET,
            "client-token:\r\nContent-Type: application/json\r\n",
            200,
        ),
        (
            "curl -d",
            TARGET,
            "Content-Type: application/x-www-form-urlencoded\r\n",
            415,
        ),
        (
            "fetch of a string",
            TARGET,
            "Content-Type: text/plain;charset=UTF-8\r\n",
            415,
        ),
        (
            "requests' data",
            TARGET,
            "User-Agent: python-requests/2.32\r\n",
            415,
        ),
    ];
    shapes.extend(TARGETS.map(|(name, target)| (name, target, JSON, 200)));
    shapes.push((
        "a query",
        "/instances/I1/token/T1/privacy/CALL?x=1",
        JSON,
        200,
    ));
    let (upstream, gateway) = start().await;
    let mut expected = Vec::new();
    for (call, key, asked) in BODY_CALLS {
        for (name, target, headers, status) in &shapes {
            let target = target.replace("CALL", call);
            let body = format!("{{\"{key}\":\"ALL\"}}");
            let length = body.len();
            let request = format!(
                "POST {target} HTTP/1.1\r\nHost: gateway\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
            );
            let reply = gateway.send(request).await;
            if *status == 200 {
                assert!(reply.is_success(), "{call}, {name}: {:?}", reply.message);
                expected.push(asked);
            } else {
                reply.assert_failure(*status, "UNSUPPORTED_MEDIA_TYPE");
            }
        }
    }
    let seen: Vec<_> = upstream.seen().into_iter().map(|it| it.body).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_call_without_a_body_is_never_refused_for_one() {
    let mut shapes = vec![
        (
            "axios",
            TARGET,
            "Accept: application/json, text/plain, */*\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "requests, Postman, fetch",
            TARGET,
            "Accept: */*\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "curl",
            TARGET,
            "User-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n",
        ),
        (
            "empty JSON",
            TARGET,
            "Content-Type: application/json\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "an object",
            TARGET,
            "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        ),
        (
            "another value",
            TARGET,
            "Content-Type: application/json\r\nContent-Length: 18\r\n\r\n{\"value\":\"enable\"}",
        ),
        (
            "anything",
            TARGET,
            "Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nnope",
        ),
        (
            "encoded",
            TARGET,
            "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        ),
        (
            "chunked",
            TARGET,
            "Transfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n",
        ),
    ];
    shapes.extend(TARGETS.map(|(name, target)| (name, target, "\r\n")));
    let (upstream, gateway) = start().await;
    let mut carried_out = 0;
    for (method, call, status) in QUERY_CALLS {
        for (name, target, rest) in &shapes {
            let target = target.replace("CALL", call);
            let request = format!("{method} {target} HTTP/1.1\r\nHost: gateway\r\n{rest}");
            let reply = gateway.send(request).await;
            if status == 200 {
                assert!(reply.is_success(), "{call}, {name}: {:?}", reply.message);
                carried_out += 1;
            } else {
                reply.assert_failure(status, "UNPROCESSABLE_ENTITY");
                assert!(
                    reply.text("message").contains("Nothing was changed"),
                    "{name}"
                );
            }
        }
    }
    let seen: Vec<_> = upstream.seen().into_iter().map(|it| it.body).collect();
    assert_eq!(
        seen,
        vec![r#"{"privacy":{"readReceipts":"none"}}"#; carried_out]
    );
}

#[tokio::test]
async fn a_query_is_read_as_a_form() {
    let (_upstream, gateway) = start().await;
    for query in [
        "value=d%69sable",
        "%76alue=disable",
        "x=1&value=disable&y",
        "&value=disable&",
        "Value=enable&value=disable",
    ] {
        let target = TARGET.replace("CALL", "read-receipts");
        let request = format!("POST {target}?{query} HTTP/1.1\r\nHost: gateway\r\n\r\n");
        let reply = gateway.send(request).await;
        assert!(reply.is_success(), "{query}: {}", reply.message.body);
    }
}
