//! Invalid calls of a configured instance, which the gateway rejects and never forwards. `routing.rs` has
//! the calls that are forwarded.

use super::{After, FALLBACK_RESPONSE, Fallback, OF_I1, Scene, call};
use crate::harness::{Reply, Setup, Step, Upstream, photo, post, refuses};

/// Asserts that the gateway rejects each request and that it reaches neither upstream.
async fn are_rejected(setup: Setup, cases: &[(String, u16, &str)]) -> Vec<Reply> {
    let scene = Scene::start(setup).await;
    let mut replies = Vec::new();
    for (request, status, error) in cases {
        println!("{request}");
        let reply = scene.gateway.send(request).await;
        reply.assert_failure(*status, error);
        replies.push(reply);
    }
    assert_eq!(scene.fallback.seen(), [""; 0]);
    assert_eq!(scene.ryze.seen(), []);
    replies
}

#[tokio::test]
async fn an_invalid_call_of_a_configured_instance_is_not_forwarded() {
    let of_i1 = |method: &str, below: &str| call(method, &format!("{OF_I1}/privacy{below}"));
    let unsure = |headers: &str| photo("ALL").replace("Host: gateway\r\n", headers);
    let list = r#"{"visualizationType":"CONTACT_BLACKLIST","contactsBlacklist":[{"action":"add","phone":"5544"}]}"#;
    let (wrong_method, bad) = ("METHOD_NOT_ALLOWED", "BAD_REQUEST");
    let cases = [
        (of_i1("GET", "/photo"), 405, wrong_method),
        (of_i1("OPTIONS", "/photo"), 405, wrong_method),
        (of_i1("POST", ""), 405, wrong_method),
        (of_i1("GET", "/messages-duration"), 405, wrong_method),
        (of_i1("POST", "/disallowed-contacts"), 405, wrong_method),
        (
            photo("ALL").replace("/T1/", "/T2/"),
            400,
            "Instance not found",
        ),
        (
            call("POST", "/instances/I1/token/T2/privacy/messages-duration"),
            400,
            "Instance not found",
        ),
        (
            call("POST", "/instances/I1;a=b/token/T1/privacy/photo"),
            400,
            "Instance not found",
        ),
        (
            call("GET", "/instances/I1/token/T2/privacy/disallowed-contacts"),
            400,
            "Instance not found",
        ),
        (
            call("GET", "/instances/I1/token/T2/privacy"),
            400,
            "Instance not found",
        ),
        (of_i1("POST", "/photo"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (photo("all"), 400, bad),
        (of_i1("POST", "/read-receipts?value=on"), 400, bad),
        (
            post(&format!("{OF_I1}/privacy/photo"), list),
            422,
            "UNPROCESSABLE_ENTITY",
        ),
        (unsure(""), 400, bad),
        (unsure("Host: a\r\nHost: a\r\n"), 400, bad),
    ];
    are_rejected(Setup::default(), &cases).await;
    let setup = Setup {
        instance: "client_token = \"C1\"",
        ..Setup::default()
    };
    let calls = [
        photo("ALL"),
        of_i1("POST", "/messages-duration"),
        of_i1("GET", "/disallowed-contacts"),
    ];
    let missing = calls.map(|call| (call, 403, "Client-Token null not allowed"));
    are_rejected(setup, &missing).await;
}

#[tokio::test]
async fn a_mistyped_privacy_path_is_not_forwarded_in_any_spelling() {
    let of_i1 = [
        "/privacy/typo",
        "/privacy/",
        "/privacy/photo/",
        "/privacy/photo/x",
        "/privacy/messages-duration/",
        "/privacy/Photo",
        "/PRIVACY/photo",
        "//privacy//typo",
        "/privacy/%2e%2e/privacy/photo",
        "/x/../privacy/photo",
        "/./privacy/photo",
        "/%2E/privacy/messages-duration",
        "/privacy;a=b/photo",
        "/privacy%3Ba/photo",
        "/privacy/messages-duration;a",
        "/privacy%2Fphoto",
        "%2fprivacy/disallowed-contacts",
        "/%70rivac%79/typo",
        "/pri%76acy/typo",
        "/PRI%56ACY/photo",
        "/PriVacy/photo",
    ];
    let whole = [
        "//instances//I1//token//T1//privacy//typo",
        "/instances/%49%31/token/T1/privacy/typo",
        "/INSTANCES/I1/Token/T1/privacy/photo",
        "/x/../instances/I1/token/T1/privacy/photo",
        "/../instances/I1/token/T1/privacy/%2e/messages-duration",
        "/instances/I2/../I1/token/T1/privacy/typo",
        "/instances/I1/token/wrong/privacy/typo",
        "/instances/I1/token//privacy/photo",
        "http://api.z-api.io/instances/I1/token/T1/privacy/typo",
        "/instances/I1/privacy/photo",
        "/instances/I1/T1/privacy/photo",
        "/instance/I1/token/T1/privacy/photo",
        "/v1/instances/I1/token/T1/privacy/photo",
        "/instances/I1/token/T1/x/privacy/photo",
        "/instances/I1/token/T1%5Cprivacy/photo",
        "/instances/i1/token/T1/privacy/typo",
    ]
    .map(String::from);
    let targets = of_i1.iter().map(|below| format!("{OF_I1}{below}"));
    let cases: Vec<_> = targets
        .chain(whole)
        .map(|target| (call("POST", &target), 404, "NOT_FOUND"))
        .collect();
    are_rejected(Setup::default(), &cases).await;
    let mistaken = call("POST", &format!("{OF_I1}/privacy/photo-visualization"));
    let replies = are_rejected(Setup::default(), &[(mistaken, 404, "NOT_FOUND")]).await;
    assert!(replies[0].text("message").contains("use /privacy/photo"));
}

#[tokio::test]
async fn a_translated_call_is_never_forwarded() {
    let brief = Setup {
        server: "deadline = \"1s\"",
        ..Setup::default()
    };
    let failures = [
        (Step::Send(FALLBACK_RESPONSE.into()), 502),
        (refuses(500, "broken"), 502),
        (refuses(404, "Instance not found"), 424),
        (refuses(429, "Rate limit exceeded. Try again later."), 429),
        (Step::SendAndClose(String::new()), 504),
        (Step::Hang, 504),
    ];
    for (step, status) in failures {
        println!("{step:?}");
        let fallback = Fallback::start(FALLBACK_RESPONSE, After::Keep).await;
        let ryze = Upstream::start(step).await;
        let scene = Scene::with(brief.clone(), ryze, fallback, "").await;
        assert_eq!(scene.gateway.set_photo("ALL").await.status, status);
        assert!(!scene.ryze.seen().is_empty());
        assert_eq!(scene.fallback.seen(), [""; 0]);
    }
    let fallback = Fallback::start(FALLBACK_RESPONSE, After::Keep).await;
    let setup = Setup {
        fallback: format!("base_url = \"http://{}\"", fallback.authority),
        ..brief
    };
    let gateway = setup.start("http://127.0.0.1:1").await;
    gateway
        .set_photo("ALL")
        .await
        .assert_failure(502, "BAD_GATEWAY");
    assert_eq!(fallback.seen(), [""; 0]);
}
