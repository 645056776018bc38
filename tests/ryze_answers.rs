//! Every answer that Ryze documents, and those that it should never give: what the caller gets of
//! each. Connections that fail belong here too; time limits belong in `limits.rs`.

use crate::harness::{Setup, Step, Upstream, answer, answers, confirms, refuses, refusing};

/// What Ryze does, and what is expected of the caller's answer: status, error, part of the message.
type Case = (Step, u16, &'static str, &'static str);

/// Requests of an operation that is refused, or throttled, or not carried out for certain.
const ONE: usize = 1;
/// An update, and a read-back that tells nothing.
const READ_BACK: usize = 2;
/// An update, a read-back that does not show it, and the update once more.
const TWICE: usize = 3;

async fn check(requests: usize, cases: Vec<Case>) {
    for (step, status, error, message) in cases {
        let upstream = Upstream::start(step.clone()).await;
        let gateway = Setup::default().start(&upstream.base_url).await;
        let reply = gateway.set_photo("CONTACTS").await;
        let step = format!("{step:.200?}");
        println!("{step}: {} {}", reply.status, reply.message.body);
        reply.assert_failure(status, error);
        assert!(reply.text("message").contains(message), "no {message:?}");
        assert!(!reply.message.body.contains("ryze-secret"));
        assert_eq!(upstream.seen().len(), requests, "{step}");
    }
}

#[tokio::test]
async fn success_is_only_said_when_it_is_confirmed() {
    const UNCONFIRMED: &str = "not confirm";
    let unconfirmed = [
        r#"{"success":true,"settings":{"visibility":{"profile":"all"}}}"#,
        r#"{"success":true,"settings":{"visibility":{"profile":""}}}"#,
        r#"{"success":true,"settings":{"visibility":{"profile":"CONTACTS"}}}"#,
        r#"{"success":true,"settings":{"visibility":{"profile":null}}}"#,
        r#"{"success":true,"settings":{"visibility":{"status":"contacts"}}}"#,
        r#"{"success":true,"settings":{"privacy":{"profile":"contacts"}}}"#,
        r#"{"success":true,"settings":{}}"#,
    ];
    let malformed = [
        r#"{"success":true}"#,
        r#"{"success":false,"settings":{"visibility":{"profile":"contacts"}}}"#,
        r#"{"settings":{"visibility":{"profile":"contacts"}}}"#,
        r#"{"success":true,"settings":{"visibility":{"profile":"contacts","profile":"all"}}}"#,
        r#"{"success":true,"settings":{"visibility":{"profile":"contacts"}}"#,
        r#"[{"success":true}]"#,
        r#""ok""#,
        "<html>ok</html>",
        "",
    ];
    let case = |body| (answers(200, body), 502, "BAD_GATEWAY", UNCONFIRMED);
    check(TWICE, unconfirmed.map(case).into()).await;
    check(READ_BACK, malformed.map(case).into()).await;
    let confirmed = r#"{"visibility":{"profile":"contacts"}}"#;
    let body = format!(r#"{{"success":true,"settings":{confirmed}}}"#);
    check(
        READ_BACK,
        vec![
            (answers(201, &body), 502, "BAD_GATEWAY", "201"),
            (answers(202, &body), 502, "BAD_GATEWAY", "202"),
            (
                Step::Send(answer(200, "Content-Encoding: gzip\r\n", &body)),
                502,
                "BAD_GATEWAY",
                "encoded",
            ),
        ],
    )
    .await;
    let upstream = Upstream::start(confirms(confirmed)).await;
    let gateway = Setup::default().start(&upstream.base_url).await;
    assert!(gateway.set_photo("CONTACTS").await.is_success());
}

#[tokio::test]
async fn every_documented_error() {
    const REFUSED: &str = "FAILED_DEPENDENCY";
    let mut cases = vec![
        (
            refuses(400, "At least one privacy setting must be provided"),
            424,
            REFUSED,
            "At least one",
        ),
        (
            refuses(400, "Invalid profile value: x. Valid values: all"),
            424,
            REFUSED,
            "Invalid profile",
        ),
        (
            refuses(400, "Invalid request body"),
            424,
            REFUSED,
            "Invalid request body",
        ),
        (refuses(401, "Missing token"), 424, REFUSED, "Missing token"),
        (refuses(401, "Invalid token"), 424, REFUSED, "Invalid token"),
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
        (
            answers(404, "404 page not found"),
            424,
            REFUSED,
            "status 404",
        ),
        (refuses(501, "not supported"), 424, REFUSED, "not supported"),
    ];
    let failed = vec![
        (
            refuses(500, "out of order"),
            502,
            "BAD_GATEWAY",
            "out of order",
        ),
        (refuses(503, "degraded"), 502, "BAD_GATEWAY", "degraded"),
        (answers(502, "<html>"), 502, "BAD_GATEWAY", "status 502"),
        (
            refuses(500, "call 5544999887766 failed"),
            502,
            "BAD_GATEWAY",
            "call [removed] failed",
        ),
    ];
    // Ryze's own 405, 413 and 415 are never the caller's doing.
    for status in [405, 413, 415] {
        cases.push((refuses(status, "no"), 424, REFUSED, "no"));
    }
    for status in [400, 500, 503] {
        let step = refuses(status, "Instance is not connected to WhatsApp");
        cases.push((step, 400, "You are not connected.", ""));
    }
    check(ONE, cases).await;
    check(READ_BACK, failed).await;
}

#[tokio::test]
async fn every_reason_of_a_field_that_failed() {
    let certain = [
        (
            "info query returned status 429: rate-overlimit",
            429,
            "TOO_MANY_REQUESTS",
            "WhatsApp",
        ),
        (
            "info query returned status 400: bad-request",
            424,
            "FAILED_DEPENDENCY",
            "bad-request",
        ),
        (
            "info query returned status 401: not-authorized",
            424,
            "FAILED_DEPENDENCY",
            "not-authorized",
        ),
        (
            "info query returned status 403: forbidden",
            424,
            "FAILED_DEPENDENCY",
            "forbidden",
        ),
        (
            "info query returned status 406: not-acceptable",
            424,
            "FAILED_DEPENDENCY",
            "not-acceptable",
        ),
        ("websocket not connected", 400, "You are not connected.", ""),
    ];
    let uncertain = [
        (
            "info query returned status 500: internal-server-error",
            502,
            "BAD_GATEWAY",
            "500",
        ),
        (
            "info query returned status 503: service-unavailable",
            502,
            "BAD_GATEWAY",
            "503",
        ),
        (
            "info query timed out",
            504,
            "GATEWAY_TIMEOUT",
            "may still take effect",
        ),
        (
            "websocket disconnected before info query returned response",
            504,
            "GATEWAY_TIMEOUT",
            "may still take effect",
        ),
    ];
    for at in [500, 503] {
        let case = |(reason, status, error, message)| {
            let text = format!("failed to update profile privacy: {reason}");
            (refuses(at, &text), status, error, message)
        };
        check(ONE, certain.map(case).into()).await;
        check(READ_BACK, uncertain.map(case).into()).await;
    }
    let throttled = refuses(429, "info query returned status 429: rate-overlimit");
    check(ONE, vec![(throttled, 429, "TOO_MANY_REQUESTS", "WhatsApp")]).await;
}

#[tokio::test]
async fn a_429_says_whose_limit_it_is_and_when_it_ends() {
    let date = "Date: Sat, 21 Nov 2026 20:00:00 GMT\r\n";
    let at = "Sat, 21 Nov 2026 20:00:09 GMT";
    let reset = |seconds: i64| format!("{date}X-RateLimit-Reset: {}\r\n", 1_795_291_200 + seconds);
    // Too short for another try.
    let setup = Setup {
        server: "deadline = \"1s\"",
        ..Setup::default()
    };
    let cases = [
        (reset(17), "17"),
        (reset(0), "1"),
        // A reset in the past says nothing.
        (reset(-1), "60"),
        (reset(4000), "61"),
        (format!("{date}X-RateLimit-Reset: soon\r\n"), "60"),
        (String::new(), "60"),
        ("Retry-After: 7\r\n".into(), "7"),
        ("Retry-After: 4000\r\n".into(), "61"),
        ("Retry-After: 0\r\n".into(), "60"),
        ("Retry-After: soon\r\n".into(), "60"),
        (format!("Retry-After: {at}\r\n"), "60"),
        (format!("{date}Retry-After: {at}\r\n"), "9"),
        (format!("Date: {at}\r\nRetry-After: {at}\r\n"), "60"),
        // The longer of the two.
        (reset(17) + "Retry-After: 7\r\n", "17"),
        (reset(3) + "Retry-After: 7\r\n", "7"),
        (reset(-5) + "Retry-After: 7\r\n", "7"),
    ];
    let body = r#"{"success":false,"error":{"message":"Rate limit exceeded. Try again later."}}"#;
    for (headers, seconds) in cases {
        let upstream = Upstream::start(Step::Send(answer(429, &headers, body))).await;
        let gateway = setup.start(&upstream.base_url).await;
        let reply = gateway.set_photo("ALL").await;
        reply.assert_failure(429, "TOO_MANY_REQUESTS");
        assert!(reply.text("message").contains("Ryze's"));
        assert_eq!(reply.header("retry-after"), Some(seconds), "{headers}");
    }
    let step = refuses(
        500,
        "failed to update profile privacy: info query returned status 429: rate-overlimit",
    );
    let upstream = Upstream::start(step).await;
    let gateway = setup.start(&upstream.base_url).await;
    assert_eq!(
        gateway.set_photo("ALL").await.header("retry-after"),
        Some("10")
    );
}

#[tokio::test]
async fn answers_that_are_none() {
    const GATEWAY: &str = "BAD_GATEWAY";
    let large = answer(200, "", &"x".repeat(70_000));
    let endless = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        format!("1000\r\n{}\r\n", "x".repeat(4096)).repeat(40)
    );
    let flood = answer(200, &"X-Header: y\r\n".repeat(3000), "{}");
    let long = answer(200, &format!("X: {}\r\n", "y".repeat(400_000)), "{}");
    let deep = answer(
        200,
        "",
        &format!("{{\"success\":true,\"settings\":{}", "[".repeat(30_000)),
    );
    check(
        READ_BACK,
        vec![
            (
                Step::Send(answer(301, "Location: http://127.0.0.1:1/\r\n", "")),
                502,
                GATEWAY,
                "301",
            ),
            (
                Step::Send(answer(307, "Location: /elsewhere\r\n", "")),
                502,
                GATEWAY,
                "307",
            ),
            (
                Step::SendAndClose("hello\r\n\r\n".into()),
                502,
                GATEWAY,
                "not HTTP",
            ),
            (Step::SendAndClose(large), 502, GATEWAY, "too large"),
            (
                Step::Send("HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n".into()),
                502,
                GATEWAY,
                "too large",
            ),
            (Step::SendAndClose(endless), 502, GATEWAY, "too large"),
            (Step::SendAndClose(flood), 502, GATEWAY, "not HTTP"),
            (Step::SendAndClose(long), 502, GATEWAY, "not HTTP"),
            (Step::SendAndClose(deep), 502, GATEWAY, "not confirm"),
            (
                Step::SendAndClose("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".into()),
                502,
                GATEWAY,
                "cut short",
            ),
            (
                Step::SendAndClose(String::new()),
                504,
                "GATEWAY_TIMEOUT",
                "may still take effect",
            ),
            (
                Step::SendAndClose("HTTP/1.1 200 OK\r\nCont".into()),
                504,
                "GATEWAY_TIMEOUT",
                "may still take effect",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn many_headers_are_no_failure() {
    let body = r#"{"success":true,"settings":{"visibility":{"profile":"all"}}}"#;
    for number in [100, 500] {
        let step = Step::Send(answer(
            200,
            &"X-Header: 0123456789abcdef\r\n".repeat(number),
            body,
        ));
        let upstream = Upstream::start(step).await;
        let gateway = Setup::default().start(&upstream.base_url).await;
        assert!(gateway.set_photo("ALL").await.is_success(), "{number}");
    }
}

#[tokio::test]
async fn a_ryze_that_cannot_be_reached() {
    let (_socket, base_url) = refusing();
    let setup = Setup {
        server: "deadline = \"1s\"",
        ..Setup::default()
    };
    let gateway = setup.start(&base_url).await;
    let reply = gateway.set_photo("ALL").await;
    reply.assert_failure(502, "BAD_GATEWAY");
    assert!(reply.text("message").contains("connection refused"));
}

#[tokio::test]
async fn a_kept_connection_that_ryze_closed_is_not_the_callers_error() {
    let bytes = answer(
        200,
        "",
        r#"{"success":true,"settings":{"visibility":{"profile":"all"}}}"#,
    );
    let upstream = Upstream::start(Step::SendAndClose(bytes)).await;
    let gateway = Setup::default().start(&upstream.base_url).await;
    for _ in 0..5 {
        assert!(gateway.set_photo("ALL").await.is_success());
    }
    assert_eq!(upstream.connections(), 5);
}

#[tokio::test]
async fn what_a_message_may_not_show() {
    let long = "x".repeat(300);
    let cases = [
        ("+55 11 9999-8888 is away".to_owned(), "[removed] is away"),
        ("(55) 44 99988 7766".to_owned(), "[removed]"),
        ("call 55_44_99988·7766@lid".to_owned(), "call [removed] lid"),
        ("%35%35%34%34 is away".to_owned(), "[removed] is away"),
        ("５５４４９９９８８ is away".to_owned(), "[removed] is away"),
        (
            "Basic dW5rbm93bi10b2tlbg== failed".to_owned(),
            "Basic [removed] failed",
        ),
        (
            // The instance's own token.
            "Basic cnl6ZS1zZWNyZXQ= failed".to_owned(),
            "status 500",
        ),
        ("RYZE-SECR was used".to_owned(), "status 500"),
        ("token ryze-secr was used".to_owned(), "status 500"),
        ("ryze-\\u0000secret".to_owned(), "status 500"),
        (" \\n ".to_owned(), "status 500"),
        (long.clone(), &long[..200]),
        ("status 429, at 12:30".to_owned(), "status 429, at 12:30"),
    ];
    for (message, shown) in cases {
        let upstream = Upstream::start(refuses(500, &message)).await;
        let gateway = Setup::default().start(&upstream.base_url).await;
        let reply = gateway.set_photo("ALL").await;
        reply.assert_failure(502, "BAD_GATEWAY");
        let told = reply.text("message");
        let quoted = told.strip_prefix("Ryze failed (").unwrap();
        let (quoted, _) = quoted.split_once("); send it again").unwrap();
        assert_eq!(quoted.trim_matches('"'), shown, "{message}");
    }
}

#[tokio::test]
async fn a_failure_of_a_field_that_nobody_asked_for_proves_nothing() {
    let message = "failed to update callAdd privacy: info query returned status 403: forbidden";
    check(
        READ_BACK,
        vec![(refuses(500, message), 502, "BAD_GATEWAY", "callAdd")],
    )
    .await;
    let message = "failed to update online privacy: info query returned status 403: forbidden";
    check(
        READ_BACK,
        vec![(refuses(500, message), 502, "BAD_GATEWAY", "another setting")],
    )
    .await;
}

#[tokio::test]
async fn an_answer_with_a_byte_order_mark_or_encoded_as_itself_is_read() {
    let confirmed = r#"{"success":true,"settings":{"visibility":{"profile":"contacts"}}}"#;
    for (headers, mark) in [
        ("", "\u{feff}"),
        ("Content-Encoding: identity\r\n", ""),
        ("Content-Encoding:\r\nContent-Encoding: IDENTITY\r\n", ""),
    ] {
        let step = Step::Send(answer(200, headers, &format!("{mark}{confirmed}")));
        let upstream = Upstream::start(step).await;
        let gateway = Setup::default().start(&upstream.base_url).await;
        let reply = gateway.set_photo("CONTACTS").await;
        assert!(reply.is_success(), "{headers:?} {}", reply.message.body);
    }
}

#[tokio::test]
async fn an_encoding_matters_only_where_success_is_said() {
    let encoded = |status| Step::Send(answer(status, "Content-Encoding: gzip\r\n", "?"));
    check(ONE, vec![(encoded(401), 424, "FAILED_DEPENDENCY", "401")]).await;
    check(
        READ_BACK,
        vec![(encoded(200), 502, "BAD_GATEWAY", "encoded")],
    )
    .await;
}
