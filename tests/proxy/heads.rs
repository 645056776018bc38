//! Heads of forwarded requests: which fields are unchanged, which are removed, and which requests are
//! not forwarded.

use super::{After, Meaning, Scene, bytes, wire};
use crate::harness::{Setup, photo};

/// Asserts how the headers of a request are forwarded; adds `host` and `via` to the expected ones.
async fn check(cases: &[(&str, &str)]) {
    let scene = Scene::start(Setup::default()).await;
    for (sent, expected) in cases {
        let request = wire(&format!("POST /x HTTP/1.1\nHost: gateway\n{sent}\n"));
        let seen = scene.passed_on(&request).await;
        let own = format!(
            "host: {}\nvia: 1.1 zapi-to-ryze\n",
            scene.fallback.authority
        );
        let expected = wire(&format!("POST /x HTTP/1.1\n{expected}{own}\n"));
        assert_eq!(Meaning::of(&seen), Meaning::of(&expected), "{sent}");
    }
}

#[tokio::test]
async fn end_to_end_fields_are_forwarded_unchanged() {
    let untouched = [
        "",
        "Client-Token: F1\nAuthorization: Bearer a, b\n",
        "Cookie: a=1; b=\"2\"\nCookie: c=3\n",
        "X-A: 2\nX-B: 1\nX-A: 1\nx-a:\nX-a: 2\n",
        "X-Latin: \u{e7}\u{ff}\nX-Tab: a\tb\nX-Comma: a,, b\n",
        "Accept-Encoding: gzip, br\nRange: bytes=0-1\nIf-None-Match: \"a\"\n",
        "X-Forwarded-For: 192.0.2.1\nForwarded: for=192.0.2.1\nUser-Agent: legacy\n",
        "Content-Length: 0\n",
        "Content-Type: application/json\nContent-Length: 0\n",
        "Expect: a-surprise\n",
        "Trailer: X-Sum\nMax-Forwards: 0\n",
        "Origin: null\nReferer: http://a/\n",
    ];
    check(&untouched.map(|headers| (headers, headers))).await;
}

#[tokio::test]
async fn hop_by_hop_fields_are_removed() {
    check(&[
        ("Keep-Alive: timeout=5\nProxy-Connection: keep-alive\n", ""),
        (
            "Proxy-Authorization: Basic YTpi\nProxy-Authenticate: Basic\n",
            "",
        ),
        ("TE: gzip\n", ""),
        ("Connection: keep-alive\nA: 1\n", "A: 1\n"),
        (
            "Connection: X-Hop\nX-Hop: 1\nX-Other: 2\nX-Hop: 3\n",
            "X-Other: 2\n",
        ),
        ("X-Hop: 1\nA: 1\nConnection: A , ,\tx-HOP,\n", ""),
        ("Connection: A\nA: 1\nB: 1\nconnection: B\nC: 1\n", "C: 1\n"),
        (
            "Connection: A, \u{ff}, no name, \"B\"\nA: 1\nB: 1\n",
            "B: 1\n",
        ),
        ("Connection:\nConnection: ,\nA: 1\n", "A: 1\n"),
        (
            "Connection: Client-Token, Cookie\nClient-Token: F1\nCookie: a\n",
            "",
        ),
        ("Connection: Host, Via, Connection\n", ""),
        ("Connection: Via\nVia: 1.1 edge\n", ""),
        ("Connection: Content-Length\nContent-Length: 0\n", ""),
        ("Upgrade: websocket\n", ""),
        ("Connection: Upgrade\n", ""),
        (
            "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\n",
            "",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_field_that_spells_a_hop_or_framing_field_in_other_characters_is_removed() {
    check(&[
        (
            "Transfer_Encoding: chunked\nContent_Length: 9\nKeep_Alive: a\n",
            "",
        ),
        ("TRANSFER_ENCODING: chunked\ncontent.length: 9\n", ""),
        (
            "Proxy_Connection: a\nProxy_Authorization: a\nProxy+Authenticate: a\n",
            "",
        ),
        (
            "Content_Length: 9\nContent-Length: 0\n",
            "Content-Length: 0\n",
        ),
    ])
    .await;
    let untouched = [
        "Client_Token: a\nX_Request_Id: b\nUser_Agent: c\n",
        "Content_Lengths: 9\nX_Content_Length: 9\nTransferEncoding: a\n",
        "_: a\nT_E: b\nUp_grade: c\nContent_Type: d\nKeep-_Alive: e\n",
    ];
    check(&untouched.map(|headers| (headers, headers))).await;
}

#[tokio::test]
async fn te_trailers_is_forwarded() {
    let taken = "TE: trailers\nConnection: te\n";
    check(&[
        ("TE: trailers\nConnection: TE\n", taken),
        ("Connection: TE\nTE: gzip;q=0.5, Trailers\n", taken),
        ("TE: gzip\nTE: trailers\nConnection: te, close\n", taken),
        ("TE: trailersx\nConnection: te\n", ""),
    ])
    .await;
}

#[tokio::test]
async fn the_gateway_appends_itself_to_via() {
    let scene = Scene::start(Setup::default()).await;
    let rows = [
        ("1.1", "", "Via: 1.1 zapi-to-ryze\n"),
        ("1.0", "", "Via: 1.0 zapi-to-ryze\n"),
        (
            "1.1",
            "Via: 1.0 a, 1.1 b (c)\n",
            "Via: 1.0 a, 1.1 b (c)\nVia: 1.1 zapi-to-ryze\n",
        ),
        (
            "1.0",
            "Via: 1.1 zapi-to-ryze\nVia: HTTP/2 edge\n",
            "Via: 1.1 zapi-to-ryze\nVia: HTTP/2 edge\nVia: 1.0 zapi-to-ryze\n",
        ),
    ];
    for (version, sent, expected) in rows {
        let request = wire(&format!("GET /x HTTP/{version}\nHost: gateway\n{sent}\n"));
        let seen = scene.passed_on(&request).await;
        let host = &scene.fallback.authority;
        let expected = wire(&format!("GET /x HTTP/1.1\nHost: {host}\n{expected}\n"));
        assert_eq!(Meaning::of(&seen), Meaning::of(&expected), "{sent}");
    }
    let seen = scene.passed_on("GET /x HTTP/1.0\r\n\r\n").await;
    assert!(
        seen.contains(&scene.fallback.authority),
        "without a host: {seen}"
    );
}

#[tokio::test]
async fn max_forwards_is_decremented_for_options_only() {
    let scene = Scene::start(Setup::default()).await;
    let rows = [
        ("OPTIONS", "1", "0"),
        ("OPTIONS", "10", "9"),
        ("OPTIONS", "many", "many"),
        ("GET", "0", "0"),
        ("GET", "5", "5"),
    ];
    for (method, sent, expected) in rows {
        let request = format!("{method} /x HTTP/1.1\r\nHost: g\r\nMax-Forwards: {sent}\r\n\r\n");
        let seen = scene.passed_on(&request).await;
        let header = format!("\r\nmax-forwards: {expected}\r\n");
        assert!(seen.contains(&header), "{method} {sent}: {seen}");
    }
    let seen = scene
        .passed_on("OPTIONS /x HTTP/1.1\r\nHost: g\r\n\r\n")
        .await;
    assert!(!seen.contains("max-forwards"), "{seen}");
}

/// hyper's own limit is 100 fields.
#[tokio::test]
async fn a_head_may_have_256_fields() {
    let fields = |number: usize| -> String {
        let fields = (0..number).map(|it| format!("x-number-{it}: 0123456789abcdef\r\n"));
        fields.collect()
    };
    let scene = Scene::start(Setup::default()).await;
    for number in [100, 101, 250] {
        let sent = fields(number);
        let request = format!("GET /x HTTP/1.1\r\nHost: g\r\n{sent}\r\n");
        let seen = scene.passed_on(&request).await;
        assert!(seen.contains(&sent), "{number}: {seen}");
        let translated = photo("ALL").replacen("\r\n", &format!("\r\n{sent}"), 1);
        assert!(
            scene.gateway.send(translated).await.is_success(),
            "{number}"
        );
    }
    let request = format!("GET /x HTTP/1.1\r\nHost: g\r\n{}\r\n", fields(260));
    assert_eq!(scene.gateway.send(request).await.status, 431);
    let answer = format!("HTTP/1.1 200 OK\r\n{}\r\n", fields(3000));
    let scene = Scene::answering(&answer, After::Close).await;
    let reply = scene
        .gateway
        .send("GET /x HTTP/1.1\r\nHost: g\r\n\r\n")
        .await;
    reply.assert_failure(502, "BAD_GATEWAY");
    let message = reply.text("message");
    assert!(message.contains("too large; it may have"), "{message}");
}

#[tokio::test]
async fn requests_that_are_not_forwarded() {
    let get = |headers: &str| wire(&format!("GET /x HTTP/1.1\nHost: g\n{headers}\n"));
    let line = |line: &str| format!("{line} HTTP/1.1\r\nHost: g\r\n\r\n");
    let (bad, wrong_method) = ("BAD_REQUEST", "METHOD_NOT_ALLOWED");
    let cases = [
        (line("TRACE /x"), 405, wrong_method),
        (
            line("OPTIONS /x").replace("g\r", "g\r\nMax-Forwards: 0\r"),
            405,
            wrong_method,
        ),
        (line("CONNECT api.z-api.io:443"), 400, bad),
        (line("OPTIONS *"), 400, bad),
        (get("Host: g\n"), 400, bad),
        (get("Client-Token: a\nClient-Token: a\n"), 400, bad),
        ("GET /x HTTP/1.1\r\n\r\n".into(), 400, bad),
        (
            get(
                "Via: 1.1 zapi-to-ryze, 1.1 zapi-to-ryze\nVia: 1.1 a, 1.0 zapi-to-ryze\nVia: 1.1 zapi-to-ryze\n",
            ),
            502,
            "BAD_GATEWAY",
        ),
    ];
    let scene = Scene::start(Setup::default()).await;
    for (request, status, error) in cases {
        println!("{request}");
        let reply = scene.gateway.send(bytes(&request)).await;
        reply.assert_failure(status, error);
        let has_allow = reply
            .header("allow")
            .is_some_and(|allow| allow.contains("PATCH"));
        assert_eq!(has_allow, status == 405, "{:?}", reply.message);
    }
    assert_eq!(scene.fallback.seen(), [""; 0]);
}
