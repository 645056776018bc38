//! Heads: validity, path, method, credentials and content type.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{PHOTO, check, with_host};
use crate::harness::{Setup, Upstream, confirms, photo, post};

#[tokio::test]
async fn an_unsound_head() {
    let coded = |codings: &str| {
        let json = "Content-Type: application/json\r\n";
        format!("POST {PHOTO} HTTP/1.1\r\nHost: g\r\n{json}{codings}\r\n0\r\n\r\n")
    };
    let chunked = "Transfer-Encoding: chunked\r\n";
    let target = |line: &str| format!("{line} HTTP/1.1\r\nHost: g\r\n\r\n");
    let two_tokens = "Host: g\r\nClient-Token: a\r\nclient-token: a\r\n";
    let cases = [
        ("no host", with_host(""), "host is missing"),
        (
            "two hosts",
            with_host("Host: a\r\nHost: a\r\n"),
            "host stands twice",
        ),
        (
            "a path for a host",
            with_host("Host: a/b\r\n"),
            "host is malformed",
        ),
        ("an empty host", with_host("Host:\r\n"), "host is malformed"),
        (
            "a port alone",
            with_host("Host: :80\r\n"),
            "host is malformed",
        ),
        (
            "a user in the host",
            with_host("Host: u@a\r\n"),
            "host is malformed",
        ),
        (
            "a port that is none",
            with_host("Host: a:b\r\n"),
            "host is malformed",
        ),
        (
            "a port that is too high",
            with_host("Host: a:65536\r\n"),
            "host is malformed",
        ),
        (
            "two client tokens",
            with_host(two_tokens),
            "client-token stands twice",
        ),
        (
            "another coding under the chunks",
            coded("Transfer-Encoding: gzip, chunked\r\n"),
            "only Transfer-Encoding",
        ),
        (
            "chunks of chunks",
            coded(&chunked.repeat(2)),
            "transfer-encoding stands twice",
        ),
        (
            "not ASCII",
            target("POST /instances/I1/token/T1/privacy/ph\u{f6}to"),
            "ASCII",
        ),
        ("not ASCII in the query", target("POST /x?\u{e7}"), "ASCII"),
        ("asterisk form", target("OPTIONS *"), "target"),
        ("authority form", target("POST example.com:443"), "target"),
        ("CONNECT", target("CONNECT example.com:443"), "target"),
    ];
    check(Setup::default(), 400, "BAD_REQUEST", &cases).await;
}

#[tokio::test]
async fn an_unknown_path() {
    const SENTENCE: &str = "Unable to find matching target resource method";
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: g\r\n\r\n");
    let paths = [
        "/",
        "/instances",
        "/instances/I1/token/T1",
        "/instances/I1/token/T1/privacy/",
        "/instances/I1/token/T1/privacy/photo/",
        "/instances/I1/token/T1/privacy/photo/x",
        "/instances/I1/token/T1/privacy/Photo",
        "/Instances/I1/token/T1/privacy/photo",
        "/instances/I1/token/T1/send-text",
        "/instances/I1/token/T1/privacy%2Fphoto",
        "/x/../instances/I1/token/T1/privacy/photo",
        "/instances/wrong/token/wrong/privacy/nothing",
    ];
    let cases = paths.map(|path| (path, get(path), SENTENCE));
    for reply in check(Setup::default(), 404, "NOT_FOUND", &cases).await {
        assert!(reply.text("message").starts_with(SENTENCE));
    }
    let near = [
        ("/instances/I1/token/T1/privacy/lastSeen", "last-seen"),
        (
            "/instances/I1/token/T1/privacy/read_receipts",
            "read-receipts",
        ),
        ("/instances/I1/token/T1/privacy/photo/", "photo"),
        ("/Instances/I1/token/T1/privacy/photo", "photo"),
        ("/privacy/onlin", "online"),
    ];
    for (path, call) in near {
        let hint = format!("did you mean /instances/{{id}}/token/{{token}}/privacy/{call}?");
        let cases = [(path, get(path), &*hint)];
        check(Setup::default(), 404, "NOT_FOUND", &cases).await;
    }
    let far = ["/", "/instances/I1/token/T1/send-text", "/privacy/call-add"];
    let cases = far.map(|path| (path, get(path), SENTENCE));
    for reply in check(Setup::default(), 404, "NOT_FOUND", &cases).await {
        assert!(!reply.text("message").contains("did you mean"));
    }
    let mistaken = post("/instances/I1/token/T1/privacy/photo-visualization", "{}");
    let hint = [("a known mistake", mistaken, "use /privacy/photo")];
    check(Setup::default(), 404, "NOT_FOUND", &hint).await;
}

#[tokio::test]
async fn a_wrong_method() {
    let call = |method: &str, name: &str| {
        format!("{method} /instances/x/token/y/privacy/{name} HTTP/1.1\r\nHost: g\r\n\r\n")
    };
    let methods = [
        "GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post", "PROPFIND",
    ];
    let cases = methods.map(|method| (method, call(method, "photo"), ""));
    let error = "METHOD_NOT_ALLOWED";
    for reply in check(Setup::default(), 405, error, &cases).await {
        assert_eq!(reply.header("allow"), Some("POST"));
        assert_eq!(
            reply.message.body,
            r#"{"success":false,"error":"METHOD_NOT_ALLOWED","message":"HTTP 405 Method Not Allowed"}"#
        );
    }
    let case = [("POST", call("POST", "disallowed-contacts"), "")];
    let replies = check(Setup::default(), 405, error, &case).await;
    assert_eq!(replies[0].header("allow"), Some("GET"));
}

#[tokio::test]
async fn a_head_request_is_answered_without_a_body() {
    let upstream = Upstream::start(confirms("{}")).await;
    let gateway = Setup::default().start(&upstream.base_url).await;
    let mut caller = TcpStream::connect(gateway.address).await.unwrap();
    let request = format!("HEAD {PHOTO} HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n");
    caller.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    caller.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_caller_who_is_not_known() {
    let setup = Setup {
        instance: "client_token = \"C1\"\n[[instances]]\nzapi_instance = \"I2\"\n\
                   zapi_token = \"T2\"\nryze_instance = \"b\"\nryze_token = \"t\"",
        ..Setup::default()
    };
    let from = |id: &str, token: &str| {
        post(
            &format!("/instances/{id}/token/{token}/privacy/photo"),
            "{}",
        )
    };
    let unknown = [
        ("unknown id", from("X", "T1"), ""),
        ("wrong token", from("I1", "T9"), ""),
        ("another's token", from("I1", "T2"), ""),
        ("a longer token", from("I1", "T11"), ""),
        ("a shorter token", from("I1", "T"), ""),
        ("another case", from("i1", "T1"), ""),
        ("encoded twice", from("%2549%2531", "T1"), ""),
        ("not UTF-8", from("I1", "%ff"), ""),
    ];
    let missing = [
        ("none", from("I1", "T1"), ""),
        ("empty", with_host("Host: g\r\nClient-Token: \r\n"), ""),
    ];
    let wrong = [
        (
            "wrong",
            with_host("Host: g\r\nClient-Token: forged\r\n"),
            "",
        ),
        (
            "not ASCII",
            with_host("Host: g\r\nClient-Token: f\u{f6}rged\r\n"),
            "",
        ),
    ];
    let mut replies = check(setup.clone(), 400, "Instance not found", &unknown).await;
    replies.extend(
        check(
            setup.clone(),
            403,
            "Client-Token null not allowed",
            &missing,
        )
        .await,
    );
    replies.extend(check(setup, 403, "Client-Token not allowed", &wrong).await);
    for reply in replies {
        let body = reply.message.body;
        assert!(
            !body.contains("message") && !body.contains("rged"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_not_announced_as_json() {
    let announced = |headers: &str| {
        let call = photo("ALL").replace("Content-Type: application/json\r\n", headers);
        // Nothing of the body is read, so nothing of it may be needed.
        call.replace(
            "Content-Length: 27\r\n\r\n{\"visualizationType\":\"ALL\"}",
            "\r\n",
        )
    };
    let json = "Content-Type: application/json\r\n";
    let cases = [
        ("nothing", String::new()),
        (
            "curl -d",
            "Content-Type: application/x-www-form-urlencoded\r\n".into(),
        ),
        ("fetch", "Content-Type: text/plain;charset=UTF-8\r\n".into()),
        (
            "another type",
            "Content-Type: application/json-patch+json\r\n".into(),
        ),
        ("two", format!("{json}Content-Type: text/plain\r\n")),
        ("encoded", format!("{json}Content-Encoding: gzip\r\n")),
        (
            "encoded once",
            format!("{json}Content-Encoding: identity, gzip\r\n"),
        ),
    ]
    .map(|(name, headers)| (name, announced(&headers), "send"));
    for reply in check(Setup::default(), 415, "UNSUPPORTED_MEDIA_TYPE", &cases).await {
        assert_eq!(reply.header("accept-post"), Some("application/json"));
    }
}
