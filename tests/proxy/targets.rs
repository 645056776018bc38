//! Request line and `Host` of forwarded requests. Other fields are in `heads.rs`.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::net::TcpStream;
use zapi_to_ryze::{
    config,
    net::{Connect, Opening},
    proxy::Proxy,
};

use super::{After, FALLBACK_RESPONSE, Fallback, Meaning, OF_I1, Scene, bytes, call, confirming};
use crate::harness::{PATIENCE, Setup};

async fn scene(path: &str) -> Scene {
    let fallback = Fallback::start(FALLBACK_RESPONSE, After::Keep).await;
    Scene::with(Setup::default(), confirming().await, fallback, path).await
}

#[tokio::test]
async fn a_target_is_forwarded_byte_for_byte() {
    let targets = [
        "/",
        "//",
        "/?",
        "/x?",
        "/x??a=b?&&=",
        "/a%2fb%2Fc/%e7%E7%00?q=%2b+%20%zz%",
        "//a//b/./../c/%2e%2E/",
        "/%7Euser/~user;p=1/a:b@c!$&'()*,=",
        r#"/a"b{c}d|e\f^g[h]?{}|\^[]`'"#,
        "/send-text?phone=5511999999999&message=a%20b+c&url=http://x/?y",
        "/http://other/",
        "/send-text?nome=Jo\u{c3}\u{a3}o&emoji=\u{f0}\u{9f}\u{98}\u{80}&%C3%A3",
        "/\u{c3}\u{a7}/\u{e2}\u{80}\u{ae}?",
        "/instances/I1/token/T1/contatos/Jo\u{c3}\u{a3}o",
        "/instances/\u{c3}\u{a7}/token/T1/privacy/photo",
        "/instances/I1/token/T1/privacy\u{c3}\u{a7}",
    ];
    for path in ["", "/", "/v1", "/v1%2f//"] {
        let scene = scene(path).await;
        let prefix = path.trim_end_matches('/');
        for target in targets {
            let request = format!("PATCH {target} HTTP/1.1\r\nHost: g\r\n\r\n");
            let seen = scene.passed_on(&request).await;
            let line = format!("PATCH {prefix}{target} HTTP/1.1\r\n");
            assert!(seen.starts_with(&line), "{line:?}: {seen}");
        }
    }
}

#[tokio::test]
async fn a_call_without_a_counterpart_is_forwarded_in_utf_8() {
    let scene = scene("").await;
    let target = format!("{OF_I1}/privacy/messages-duration?value=Jo\u{c3}\u{a3}o");
    let seen = scene.passed_on(&call("POST", &target)).await;
    assert!(
        seen.starts_with(&format!("POST {target} HTTP/1.1\r\n")),
        "{seen}"
    );
}

/// A client of the gateway itself is told to percent-encode.
#[tokio::test]
async fn utf_8_is_rejected_where_the_gateway_answers() {
    let targets = [
        "/privacy/photo?nome=Jo\u{c3}\u{a3}o",
        "/privacy/read-receipts?value=enable&nome=Jo\u{c3}\u{a3}o",
        "/privacy/photo/\u{c3}\u{a3}",
        "/privacy?\u{c3}\u{a3}",
    ];
    let scene = scene("").await;
    let alone = Setup::default().start("http://127.0.0.1:1").await;
    for target in targets {
        let request = bytes(&call("POST", &format!("{OF_I1}{target}")));
        for gateway in [&scene.gateway, &alone] {
            let reply = gateway.send(&request).await;
            reply.assert_failure(400, "BAD_REQUEST");
            assert!(reply.text("message").contains("percent-encode"), "{target}");
        }
    }
    let unknown = bytes(&call("GET", "/x?nome=Jo\u{c3}\u{a3}o"));
    alone.send(unknown).await.assert_failure(400, "BAD_REQUEST");
    assert_eq!(scene.fallback.seen(), [""; 0]);
}

/// The HTTP library rejects these with an empty response. From `#` on, it drops the target.
#[tokio::test]
async fn limits_of_the_http_library() {
    let scene = scene("").await;
    for target in [
        "/x?\"",
        "/<",
        "/>",
        "/x?<",
        "/x?>",
        "/x?\u{e3}o",
        "/\u{e3}",
        "/\u{c3}?\u{a3}",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: g\r\n\r\n");
        let answer = scene.exchange(&request).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{target}: {answer}"
        );
        assert!(answer.ends_with("\r\n\r\n"), "{target}: {answer}");
    }
    assert_eq!(scene.fallback.seen(), [""; 0]);
    let seen = scene.passed_on(&call("GET", "/x?a#b")).await;
    assert!(seen.starts_with("GET /x?a HTTP/1.1\r\n"), "{seen}");
}

#[tokio::test]
async fn path_and_query_of_an_absolute_target_are_forwarded() {
    let targets = [
        ("http://api.z-api.io", "/"),
        ("http://api.z-api.io/", "/"),
        ("https://u:p@API.z-api.io:443/a%2f//b?", "/a%2f//b?"),
        ("http://[::1]:80/?q", "/?q"),
        ("http://api.z-api.io?q=/", "/?q=/"),
        ("http://api.z-api.io?Jo\u{c3}\u{a3}o", "/?Jo\u{c3}\u{a3}o"),
    ];
    for path in ["", "/v1"] {
        let scene = scene(path).await;
        for (target, expected) in targets {
            let request = format!("GET {target} HTTP/1.1\r\nHost: api.z-api.io\r\n\r\n");
            let seen = scene.passed_on(&request).await;
            let own = format!(
                "host: {}\r\nvia: 1.1 zapi-to-ryze\r\n\r\n",
                scene.fallback.authority
            );
            let expected = format!("GET {path}{expected} HTTP/1.1\r\n{own}");
            assert_eq!(Meaning::of(&seen), Meaning::of(&expected), "{target}");
        }
    }
}

#[tokio::test]
async fn a_method_is_forwarded_unchanged() {
    let scene = scene("").await;
    for method in [
        "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "get", "M-SEARCH",
    ] {
        let seen = scene
            .passed_on(&format!("{method} /x HTTP/1.1\r\nHost: g\r\n\r\n"))
            .await;
        assert!(
            seen.starts_with(&format!("{method} /x HTTP/1.1\r\n")),
            "{seen}"
        );
    }
}

/// Connects to this address, whatever the URL.
struct Here(String);

impl Connect for Here {
    fn connect(&self) -> Opening<'_> {
        Box::pin(async move { Ok(Box::new(TcpStream::connect(&self.0).await?) as _) })
    }
}

#[tokio::test]
async fn the_host_is_taken_from_the_base_url() {
    let urls = [
        ("https://api.z-api.io", "api.z-api.io"),
        ("http://api.z-api.io/v1", "api.z-api.io"),
        ("http://api.z-api.io:8080", "api.z-api.io:8080"),
        ("https://api.z-api.io:443", "api.z-api.io:443"),
        ("http://[::1]", "[::1]"),
    ];
    let fallback = Fallback::start(FALLBACK_RESPONSE, After::Keep).await;
    for (url, host) in urls {
        let config = config::Fallback {
            base_url: url.parse().unwrap(),
            connect_timeout: PATIENCE,
            idle_timeout: PATIENCE,
            ca_file: None,
        };
        let proxy = Proxy::new(&config, Here(fallback.authority.clone())).unwrap();
        let request = Request::get("/x").header("Host", "gateway:1");
        let request = request.body(Full::<Bytes>::default()).unwrap();
        assert_eq!(proxy.forward(request).await.unwrap().status(), 299);
        let seen = fallback.seen().pop().unwrap();
        assert!(seen.contains(&format!("\r\nhost: {host}\r\n")), "{seen}");
    }
}
