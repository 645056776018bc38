//! Offers of another protocol (RFC 9110, 7.8): the gateway and the fallback go on in HTTP/1.1.

use tokio::io::AsyncWriteExt as _;

use super::{After, FALLBACK_RESPONSE, Meaning, OF_I1, REQUEST, Scene, bytes, wire};
use crate::harness::{Reply, Setup, Step, Upstream, photo};

/// Apache HttpClient 5.4 and later, browsers, curl, and lists of protocols.
const OFFERS: [&str; 7] = [
    "Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "connection: keep-alive, UPGRADE\r\nupgrade: h2c, websocket\r\n",
    "Connection: upgrade\r\nUpgrade: TLS/1.2\r\nUpgrade: IRC/6.9\r\n",
    "Upgrade: websocket\r\n",
    "Connection: Upgrade\r\nUpgrade: no protocol, \"\r\n",
];

#[tokio::test]
async fn a_request_is_forwarded_without_its_offer() {
    let scene = Scene::start(Setup::default()).await;
    let mut client = scene.connect().await;
    let requests = [
        ("GET", ""),
        ("OPTIONS", ""),
        ("POST", "Content-Length: 2\r\n\r\nhi"),
        ("GET", "Content-Length: 2\r\n\r\nhi"),
    ];
    for offer in OFFERS {
        for (method, body) in requests {
            let plain = format!("{method} /x HTTP/1.1\r\nHost: g\r\nX-A: 1\r\n");
            let body = if body.is_empty() { "\r\n" } else { body };
            let request = format!("{plain}{offer}{body}");
            client.write_all(&bytes(&request)).await.unwrap();
            assert_eq!(Reply::read(&mut client).await.status, 299, "{request}");
            let seen = scene.fallback.seen().pop().unwrap();
            let expected = scene.passed_on(&format!("{plain}{body}")).await;
            assert_eq!(Meaning::of(&seen), Meaning::of(&expected), "{request}");
        }
    }
}

#[tokio::test]
async fn a_translated_call_ignores_its_offer() {
    let scene = Scene::start(Setup::default()).await;
    let mut client = scene.connect().await;
    for offer in OFFERS {
        let call = photo("ALL").replacen("\r\n", &format!("\r\n{offer}"), 1);
        client.write_all(&bytes(&call)).await.unwrap();
        assert!(Reply::read(&mut client).await.is_success(), "{offer}");
        let unknown = format!("GET {OF_I1}/privacy/x HTTP/1.1\r\nHost: g\r\n{offer}\r\n");
        client.write_all(&bytes(&unknown)).await.unwrap();
        assert_eq!(Reply::read(&mut client).await.status, 404, "{offer}");
    }
    assert_eq!(scene.fallback.seen(), [""; 0]);
}

#[tokio::test]
async fn a_fallback_that_switches_protocols_is_disconnected() {
    let switch = "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: websocket\n\n";
    for more in ["", "\u{81}\u{2}hi", &wire(FALLBACK_RESPONSE)] {
        let answer = wire(switch) + more;
        let scene = Scene::answering(&answer, After::Keep).await;
        let mut client = scene.connect().await;
        for connections in 1..4 {
            let request = REQUEST.replace("Connection: close\r\n", OFFERS[1]);
            client.write_all(&bytes(&request)).await.unwrap();
            let reply = Reply::read(&mut client).await;
            reply.assert_failure(502, "BAD_GATEWAY");
            assert_eq!(scene.fallback.connections(), connections, "{answer:?}");
        }
        client.write_all(&bytes(&photo("ALL"))).await.unwrap();
        assert!(Reply::read(&mut client).await.is_success());
    }
}

#[tokio::test]
async fn a_switch_of_ryze_is_a_failure() {
    let switch = "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: a\n\n";
    let ryze = Upstream::start(Step::Send(wire(switch))).await;
    let gateway = Setup::default().start(&ryze.base_url).await;
    let reply = gateway.set_photo("ALL").await;
    reply.assert_failure(502, "BAD_GATEWAY");
}
