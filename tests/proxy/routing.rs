//! Calls that are forwarded to the fallback without a request to Ryze. `refusals.rs` has those that must
//! not be.

use super::{After, FALLBACK_RESPONSE, Fallback, OF_I1, Scene, call};
use crate::harness::{Setup, Step, Upstream, start};

/// Calls that are forwarded if there is a fallback, and their status if there is none.
fn forwarded() -> Vec<(String, u16)> {
    let of = |method: &str, below: &str, status| (call(method, below), status);
    let of_i1 = |method, below: &str| of(method, &format!("{OF_I1}{below}"), 404);
    let of_other =
        |method, below: &str, status| of(method, &format!("/instances/I2/token/T1{below}"), status);
    vec![
        of("GET", "/", 404),
        of("GET", "/favicon.ico", 404),
        of("POST", "//", 404),
        of("GET", "/instances/I1", 404),
        of("GET", "/x?/instances/I1/token/T1/privacy/photo", 404),
        of("GET", "/privacy/photo", 404),
        of_i1("POST", "/send-text"),
        of_i1("GET", "/status"),
        of_i1("DELETE", "/messages?messageId=1"),
        of_i1("POST", "/privacyphoto"),
        of("POST", "/instances/I1/token/wrong/send-text", 404),
        of_other("POST", "/send-text", 404),
        of_other("POST", "/privacy/photo", 400),
        of_other("GET", "/privacy/photo", 405),
        of_other("POST", "/privacy/read-receipts?value=enable", 400),
        of_other("POST", "/privacy/messages-duration?value=days7", 400),
        of_other("GET", "/privacy/disallowed-contacts?type=photo", 400),
        of_other("GET", "/privacy", 400),
        of_other("GET", "/privacy/typo", 404),
    ]
}

#[tokio::test]
async fn untranslated_calls_are_forwarded() {
    let scene = Scene::start(Setup::default()).await;
    for (number, (request, _)) in forwarded().iter().enumerate() {
        let answer = scene.send(request).await;
        assert!(
            answer.starts_with("HTTP/1.1 299 Vendor\r\n"),
            "{request}: {answer}"
        );
        let seen = scene.fallback.seen();
        assert_eq!(seen.len(), number + 1, "{request}");
        let line = |message: &str| message.lines().next().unwrap().to_owned();
        assert_eq!(line(&seen[number]), line(request));
    }
    assert_eq!(scene.ryze.seen(), []);
}

#[tokio::test]
async fn without_a_fallback_they_are_rejected() {
    let ryze = Upstream::start(Step::Hang).await;
    let gateway = Setup::default().start(&ryze.base_url).await;
    for (request, status) in forwarded() {
        let answer = gateway.send(&request).await;
        assert_eq!(answer.status, status, "{request}");
        if status == 404 {
            let message = answer.text("message");
            assert!(
                message.starts_with("Unable to find matching target resource method;"),
                "{message}"
            );
            assert!(message.contains("no [fallback]"), "{message}");
        }
    }
    // A fallback would not get this one either.
    let typo = call("POST", &format!("{OF_I1}/privacy/typo"));
    let message = gateway.send(&typo).await.text("message");
    assert!(!message.contains("[fallback]"), "{message}");
    assert_eq!(ryze.seen(), []);
}

#[tokio::test]
async fn without_an_instance_the_gateway_is_a_plain_proxy() {
    let fallback = Fallback::start(FALLBACK_RESPONSE, After::Keep).await;
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [fallback]\nbase_url = \"http://{}\"\n",
        fallback.authority
    );
    let gateway = start(&toml).await;
    for (request, _) in forwarded() {
        assert_eq!(gateway.send(&request).await.status, 299, "{request}");
    }
    assert_eq!(gateway.set_photo("ALL").await.status, 299);
}

#[tokio::test]
async fn calls_without_a_counterpart_are_forwarded_after_authentication() {
    let setup = Setup {
        instance: "client_token = \"C1\"",
        ..Setup::default()
    };
    let scene = Scene::start(setup).await;
    let calls = [
        ("POST", "/privacy/messages-duration?value=days7"),
        ("GET", "/privacy/disallowed-contacts?type=photo"),
        ("GET", "//%70rivacy/disallowed-contacts"),
    ];
    for (method, below) in calls {
        let target = format!("{OF_I1}{below}");
        let request =
            call(method, &target).replace("Host: g\r\n", "Host: g\r\nClient-Token: C1\r\n");
        assert_eq!(scene.gateway.send(&request).await.status, 299);
        let seen = scene.fallback.seen().pop().unwrap();
        assert!(
            seen.starts_with(&format!("{method} {target} HTTP/1.1\r\n")),
            "{seen}"
        );
        assert!(seen.contains("\r\nclient-token: C1\r\n"), "{seen}");
    }
    assert_eq!(scene.ryze.seen(), []);
}

#[tokio::test]
async fn a_forwarded_call_uses_no_budget() {
    let setup = Setup {
        budget: "requests_per_minute = 1\nmax_wait = \"1s\"",
        ..Setup::default()
    };
    let scene = Scene::start(setup).await;
    let forward = async || {
        for _ in 0..20 {
            let answer = scene.gateway.send(call("GET", "/status")).await;
            assert_eq!(answer.status, 299);
        }
    };
    forward().await;
    assert_eq!(scene.ryze.seen(), []);
    assert!(scene.gateway.set_photo("ALL").await.is_success());
    assert_eq!(scene.gateway.set_photo("ALL").await.status, 429);
    forward().await;
    assert_eq!(scene.fallback.seen().len(), 40);
    assert_eq!(scene.ryze.seen().len(), 1);
}
