//! Responses of the fallback: forwarded unchanged except for hop-by-hop fields. Invalid and missing
//! responses are in `connections.rs`.

use super::{After, Meaning, REQUEST, Scene, wire};

const DATE: &str = "Date: Thu, 01 Jan 1970 00:00:00 GMT\n";

/// Asserts how a response is forwarded; adds `Via` to the expected one.
async fn check(method: &str, answer: &str, after: After, expected: &str) {
    let scene = Scene::answering(&wire(answer), after).await;
    let got = scene.exchange(&REQUEST.replace("GET", method)).await;
    let own = "\nVia: 1.1 zapi-to-ryze\nConnection: close\n";
    let expected = wire(&expected.replacen('\n', own, 1));
    assert_eq!(
        Meaning::of(&got),
        Meaning::of(&expected),
        "{method} {answer}"
    );
    let seen = scene.fallback.seen();
    assert_eq!(
        seen.len(),
        1,
        "a request is sent once, and no redirect is followed"
    );
    assert!(seen[0].starts_with(&format!("{method} /x HTTP/1.1\r\n")));
}

#[tokio::test]
async fn a_response_is_forwarded_unchanged() {
    let json = "Content-Type: application/json\nContent-Length: 13\n\n{\"error\":\"a\"}";
    let cookies = "Set-Cookie: b=2; Path=/\nX-A: 1\nSet-Cookie: a=1\nX-A:\nContent-Length: 0\n\n";
    let latin = "X-Latin: \u{e7}\u{ff}\nServer: v\nContent-Length: 2\n\n\u{ff}\u{fe}";
    let gzip = "Content-Encoding: gzip\nVary: *\nContent-Length: 3\n\n\u{1f}\u{8b}\u{8}";
    let rows = [
        ("GET", "200 OK", "Content-Length: 2\n\nhi"),
        ("GET", "200 Fine  by me", "Content-Length: 0\n\n"),
        ("GET", "200 ", "Content-Length: 0\n\n"),
        ("GET", "299 X", "Content-Length: 1\n\n\0"),
        ("GET", "599 What?", "Content-Length: 0\n\n"),
        ("GET", "999 X", "Content-Length: 0\n\n"),
        ("GET", "200 OK", cookies),
        ("GET", "200 OK", latin),
        ("GET", "200 OK", gzip),
        (
            "GET",
            "206 Partial Content",
            "Content-Range: bytes 0-1/9\nContent-Length: 2\n\nab",
        ),
        (
            "GET",
            "200 OK",
            "Transfer-Encoding: chunked\n\n2\nhi\n0\n\n",
        ),
        ("GET", "200 OK", "Transfer-Encoding: chunked\n\n0\n\n"),
        ("GET", "200 OK", "Trailer: X-Sum\nContent-Length: 0\n\n"),
        ("DELETE", "204 No Content", "X-A: 1\n\n"),
        ("GET", "304 Not Modified", "ETag: \"a\"\n\n"),
        (
            "GET",
            "304 Not Modified",
            "ETag: W/\"a\"\nContent-Length: 12345\n\n",
        ),
        (
            "HEAD",
            "200 OK",
            "Content-Type: image/png\nContent-Length: 12345\n\n",
        ),
        ("HEAD", "200 OK", "Content-Length: 0\n\n"),
        ("HEAD", "404 Not Found", "X-A: 1\n\n"),
        ("HEAD", "304 Not Modified", "Content-Length: 5\n\n"),
        (
            "GET",
            "301 Moved Permanently",
            "Location: http://127.0.0.1:1/y\nContent-Length: 0\n\n",
        ),
        (
            "POST",
            "307 Temporary Redirect",
            "Location: /y\nContent-Length: 2\n\ngo",
        ),
        ("GET", "400 Bad Request", json),
        ("POST", "403 Forbidden", json),
        (
            "GET",
            "405 Method Not Allowed",
            "Allow: POST\nContent-Length: 0\n\n",
        ),
        (
            "GET",
            "429 Too Many Requests",
            "Retry-After: 7\nContent-Length: 0\n\n",
        ),
        ("GET", "500 Internal Server Error", json),
        (
            "GET",
            "503 Service Unavailable",
            "Retry-After: 1\nContent-Length: 0\n\n",
        ),
    ];
    for (method, status, rest) in rows {
        let answer = format!("HTTP/1.1 {status}\n{DATE}{rest}");
        check(method, &answer, After::Keep, &answer).await;
    }
}

#[tokio::test]
async fn hop_by_hop_fields_are_removed() {
    let rows = [
        "Connection: close\n",
        "Connection: keep-alive, x-hop\nKeep-Alive: timeout=5\nX-Hop: 1\n",
        "X-Hop: 1\nConnection: X-Hop\nConnection: \u{ff},, Y\nY: 1\n",
        "Connection: Upgrade\nUpgrade: h2,h2c\n",
        "Proxy-Authenticate: Basic\nProxy-Connection: close\n",
        "Connection: Content-Length\n",
        "Transfer_Encoding: chunked\nContent_Length: 9\nKeep_Alive: a\n",
    ];
    let untouched = format!("HTTP/1.1 200 OK\n{DATE}Content-Length: 2\n\nhi");
    for headers in rows {
        let answer = untouched.replacen('\n', &format!("\n{headers}"), 1);
        check("GET", &answer, After::Keep, &untouched).await;
    }
}

#[tokio::test]
async fn a_body_is_reframed_if_necessary() {
    let ok = format!("HTTP/1.1 200 OK\n{DATE}");
    let with = |answer: &str, header: &str| answer.replacen('\n', &format!("\n{header}\n"), 1);
    let chunked = format!("{ok}Transfer-Encoding: chunked\n\n2\nhi\n0\n\n");
    let empty = format!("{ok}Transfer-Encoding: chunked\n\n0\n\n");
    let sized = format!("{ok}Content-Length: 2\n\nhi");
    let rows = [
        ("closed", format!("{ok}\nhi"), &chunked),
        ("closed at once", format!("{ok}\n"), &empty),
        ("another case", chunked.replace(": c", ": C"), &chunked),
        ("extensions", chunked.replace("2\n", "2;a=b\n"), &chunked),
        (
            "a wrong length",
            with(&chunked, "Content-Length: 1"),
            &chunked,
        ),
        ("a length twice", with(&sized, "Content-Length: 2"), &sized),
        ("a length as a list", sized.replace(": 2", ": 2, 2"), &sized),
    ];
    for (name, answer, expected) in rows {
        println!("{name}");
        check("GET", &answer, After::Close, expected).await;
    }
    let bare = format!("{ok}\n");
    check(
        "HEAD",
        &with(&bare, "Transfer-Encoding: chunked"),
        After::Keep,
        &bare,
    )
    .await;
    let bare = format!("HTTP/1.1 204 No Content\n{DATE}\n");
    check("GET", &with(&bare, "Content-Length: 0"), After::Keep, &bare).await;
}

#[tokio::test]
async fn http_1_0_on_either_side() {
    let chunked = "Transfer-Encoding: chunked\n\n2\nhi\n0\n\n";
    let answer = format!("HTTP/1.0 200 OK\n{DATE}\nhi");
    let old = Scene::answering(&wire(&answer), After::Close).await;
    let got = old.exchange(REQUEST).await;
    let expected = wire(&format!(
        "HTTP/1.1 200 OK\n{DATE}Via: 1.0 zapi-to-ryze\nConnection: close\n{chunked}"
    ));
    assert_eq!(Meaning::of(&got), Meaning::of(&expected));
    let answer = format!("HTTP/1.1 200 OK\n{DATE}{chunked}");
    let new = Scene::answering(&wire(&answer), After::Keep).await;
    let got = new.exchange("GET /x HTTP/1.0\r\n\r\n").await;
    let expected = wire(&format!(
        "HTTP/1.0 200 OK\n{DATE}Via: 1.1 zapi-to-ryze\n\nhi"
    ));
    assert_eq!(Meaning::of(&got), Meaning::of(&expected));
}

#[tokio::test]
async fn an_interim_response_is_not_the_final_one() {
    let hints = "HTTP/1.1 103 Early Hints\nLink: </a>\n\nHTTP/1.1 102 Processing\n\n";
    let answer = format!("HTTP/1.1 200 OK\n{DATE}Content-Length: 2\n\nhi");
    check("GET", &format!("{hints}{answer}"), After::Keep, &answer).await;
}

/// The final response may arrive with them.
#[tokio::test]
async fn a_response_after_more_than_100_interim_ones_is_refused() {
    for (number, status) in [(100, "200"), (101, "502")] {
        let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(number);
        let answer = format!("{hints}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        let scene = Scene::answering(&answer, After::Keep).await;
        let got = scene.exchange(REQUEST).await;
        assert_eq!(got.get(9..12), Some(status), "{number}: {got}");
    }
}

/// hyper's own limit is 100 fields. The call may have been carried out.
#[tokio::test]
async fn a_head_may_have_512_fields() {
    for number in [100, 101, 500] {
        let fields = (0..number).map(|it| format!("set-cookie: {it}=0123456789abcd\r\n"));
        let fields: String = fields.collect();
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nhi");
        let scene = Scene::answering(&answer, After::Keep).await;
        let got = scene.exchange(REQUEST).await;
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{number}: {got}");
        assert!(got.contains(&fields), "{number}: {got}");
    }
}
