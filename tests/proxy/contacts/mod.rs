//! Changes of a list of contacts that go to the fallback (`policy.contacts_blacklist = "fallback"`): which
//! calls, how they are forwarded, and which responses are a success. `order` has their place among the
//! calls to Ryze, `ended` responses that do not come, `shown` what the operator sees.

mod ended;
mod order;
mod shown;

use super::{After, Fallback, Meaning, OF_I1, Scene, wire};
use crate::harness::{Setup, Upstream, confirms, post};

const POLICY: &str = "contacts_blacklist = \"fallback\"";
const LIST: &str =
    r#"[{"action":"add","phone":"554411111111"},{"phone":"+5544","action":"remove"}]"#;
/// Z-API's response to a change that it made.
const MADE: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"success\":true}";
/// The calls that have a list, and the field of their mode.
const CALLS: [(&str, &str); 4] = [
    ("photo", "visualizationType"),
    ("last-seen", "visualizationType"),
    ("description", "visualizationType"),
    ("group-add", "type"),
];

fn setup() -> Setup {
    Setup {
        policy: POLICY,
        ..Setup::default()
    }
}

/// A call with a list of contacts.
fn call(name: &str, field: &str, list: &str) -> String {
    let body = format!("{{\"{field}\":\"CONTACT_BLACKLIST\",\"contactsBlacklist\":{list}}}");
    post(&format!("{OF_I1}/privacy/{name}"), &body)
}

fn photo_list() -> String {
    call("photo", "visualizationType", LIST)
}

/// A gateway with this response of the fallback.
async fn answering(answer: &str, setup: Setup) -> Scene {
    let fallback = Fallback::start(answer, After::Keep).await;
    let ryze = Upstream::start(confirms(
        r#"{"visibility":{"profile":"contact_blacklist"}}"#,
    ));
    Scene::with(setup, ryze.await, fallback, "").await
}

#[tokio::test]
async fn the_whole_call_goes_to_the_fallback_and_its_response_comes_back() {
    let body = "{ \"a\":[{}], \"success\" :\ttrue,\"b\":\"\\u00e7\"}";
    let head = wire(
        "HTTP/1.1 201 Fine\nX-Vendor: 1\nX-Request-Id: of-the-vendor\nSet-Cookie: a=1\n\
         Content-Type: application/json;charset=utf-8\nContent-Length: ",
    );
    let answer = format!("{head}{}\r\n\r\n{body}", body.len());
    let scene = answering(&answer, setup()).await;
    let head = "Host: g\nClient-Token: F1\nContent-Type: application/json; charset=UTF-8\n\
                User-Agent: legacy\nX-Latin: \u{e7}\nCookie: b=2\nX-Hop: 1\nConnection: x-hop\n\
                Accept-Encoding: gzip, br\n";
    for (name, field) in CALLS {
        let body = format!(
            "{{ \"unknown\":1,\n\"{field}\":\"CONTACT_BLACKLIST\",\"contactsBlacklist\" : {LIST}}}"
        );
        for (framing, framed) in [
            (format!("Content-Length: {}", body.len()), body.clone()),
            (
                "Transfer-Encoding: chunked".into(),
                format!("{:x}\n{}\n0\n\n", body.len(), body),
            ),
        ] {
            let target = format!("//instances/I1/token/%54%31/privacy/{name}?a=%20b");
            let head = wire(&format!("POST {target} HTTP/1.1\n{head}{framing}\n\n"));
            let framed = match framing.starts_with('T') {
                true => framed
                    .replace(&body, "BODY")
                    .replace('\n', "\r\n")
                    .replace("BODY", &body),
                false => framed,
            };
            let seen = scene.send(&format!("{head}{framed}")).await;
            let expected =
                answer.replace("Content-Length", "via: 1.1 zapi-to-ryze\r\nContent-Length");
            let date = seen.split("\r\ndate: ").nth(1).unwrap();
            let date = format!("\r\ndate: {}", date.lines().next().unwrap());
            assert_eq!(
                Meaning::of(&seen.replace(&date, "")),
                Meaning::of(&expected)
            );
            let sent = wire(&format!(
                "POST {target} HTTP/1.1\nHost: {}\nClient-Token: F1\n\
                 Content-Type: application/json; charset=UTF-8\nUser-Agent: legacy\n\
                 X-Latin: \u{e7}\nCookie: b=2\nAccept-Encoding: identity\n\
                 Via: 1.1 zapi-to-ryze\nContent-Length: {}\n\n",
                scene.fallback.authority,
                body.len(),
            ));
            let passed_on = scene.fallback.seen().pop().unwrap();
            assert_eq!(Meaning::of(&passed_on), Meaning::of(&(sent + &body)));
        }
    }
    assert_eq!(scene.fallback.seen().len(), 8);
    assert_eq!(scene.ryze.seen(), []);
}

#[tokio::test]
async fn everything_else_of_these_calls_stays_at_ryze() {
    let scene = answering(MADE, setup()).await;
    let bodies = [
        r#"{"visualizationType":"CONTACT_BLACKLIST"}"#,
        r#"{"visualizationType":"CONTACT_BLACKLIST","contactsBlacklist":null}"#,
        r#"{"visualizationType":"CONTACT_BLACKLIST","contactsBlacklist":[]}"#,
    ];
    for body in bodies {
        let request = post(&format!("{OF_I1}/privacy/photo"), body);
        assert!(scene.gateway.send(request).await.is_success(), "{body}");
    }
    // Without an effect at Z-API too.
    let body = format!("{{\"visualizationType\":\"ALL\",\"contactsBlacklist\":{LIST}}}");
    for name in ["photo", "online"] {
        let request = post(&format!("{OF_I1}/privacy/{name}"), &body);
        assert_eq!(
            scene.gateway.send(request).await.status,
            502,
            "not confirmed by Ryze"
        );
    }
    assert!(scene.ryze.seen().len() >= 5);
    assert_eq!(scene.fallback.seen().len(), 0);
}

#[tokio::test]
async fn nothing_malformed_leaves() {
    let setup = Setup {
        server: "max_body = 200",
        instance: "client_token = \"C1\"",
        ..setup()
    };
    let scene = answering(MADE, setup).await;
    let right = photo_list().replace("Host: gateway\r\n", "Host: g\r\nClient-Token: C1\r\n");
    let with_list = |list: &str| {
        let request = call("photo", "visualizationType", list);
        request.replace("Host: gateway\r\n", "Host: g\r\nClient-Token: C1\r\n")
    };
    let cases = [
        (right.replace("/T1/", "/T2/"), 400),
        (right.replace("Client-Token: C1\r\n", ""), 403),
        (right.replace(": C1", ": C2"), 403),
        (right.replace("POST", "PUT"), 405),
        (right.replace("application/json", "text/plain"), 415),
        (right.replace("Host", "Content-Encoding: gzip\r\nHost"), 415),
        (right.replace("CONTACT_BLACKLIST", "CONTACT-BLACKLIST"), 400),
        (right.replace("visualizationType", "visualizationKind"), 400),
        (right.replace("unused", ""), 200),
        (with_list(r#"["554411111111"]"#), 400),
        (with_list(r#"{"action":"add","phone":"5544"}"#), 400),
        (with_list(r#"[{"action":"keep","phone":"5544"}]"#), 400),
        (with_list(r#"[{"action":"add","phone":"me"}]"#), 400),
        (with_list(r#"[{"action":"add"}]"#), 400),
        (
            with_list(r#"[{"action":"add","phone":"1","phone":"2"}]"#),
            400,
        ),
        (
            with_list(r#"[],"contactsBlacklist":[{"action":"add","phone":"1"}]"#),
            400,
        ),
        (with_list(&format!("[{}1]", " ".repeat(200))), 413),
    ];
    for (request, status) in cases {
        assert_eq!(
            scene.gateway.send(&request).await.status,
            status,
            "{request}"
        );
    }
    assert_eq!(scene.fallback.seen().len(), 1, "the right one");
    assert_eq!(scene.ryze.seen(), []);
}

/// Z-API sends some errors with 200. Every other status is its own word.
#[tokio::test]
async fn a_status_of_success_counts_only_with_the_word_of_success() {
    let not_found =
        r#"{"error":"NOT_FOUND","message":"Unable to find matching target resource method"}"#;
    let cases = [
        (200, r#"{"success":true}"#, None),
        (299, r#"{"success":true,"error":"x"}"#, None),
        (400, not_found, None),
        (403, r#"{"success":false}"#, None),
        (302, "", None),
        (503, "<html>", None),
        (200, not_found, Some(not_found)),
        (200, r#"{"success":false}"#, Some(r#"{"success":false}"#)),
        (201, r#"{"success":"true"}"#, Some(r#"{"success":"true"}"#)),
        (200, r#"[{"success":true}]"#, Some(r#"[{"success":true}]"#)),
        (
            200,
            r#"{"success":true,"success":false}"#,
            Some(r#"{"success":true,"success":false}"#),
        ),
        (200, "<html>", Some("<html>")),
        (200, "", Some("so the change is not confirmed")),
        // Neither a secret nor a phone number is quoted.
        (
            200,
            r#"{"error":"no 554411111111"}"#,
            Some(r#"{"error":"no [removed]"#),
        ),
        (
            200,
            r#"{"error":"Client-Token Fclient-token0 not allowed"}"#,
            Some("so the change is not confirmed"),
        ),
        (
            200,
            r#"{"error":"ryze-secret"}"#,
            Some("so the change is not confirmed"),
        ),
    ];
    for (status, body, shown) in cases {
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let scene = answering(&answer, setup()).await;
        let request = photo_list().replace("Host: g", "Client-Token: Fclient-token0\r\nHost: g");
        let reply = scene.gateway.send(request).await;
        let Some(shown) = shown else {
            assert_eq!((reply.status, &*reply.message.body), (status, body));
            assert_eq!(reply.header("content-type"), None);
            continue;
        };
        reply.assert_failure(502, "BAD_GATEWAY");
        let message = reply.text("message");
        let what = format!("the fallback answered {status} without \"success\":true");
        assert!(message.starts_with(&what), "{message}");
        assert!(message.ends_with(shown), "{message}");
        assert_eq!(scene.fallback.seen().len(), 1, "it is not repeated");
    }
}

#[tokio::test]
async fn ryzes_budget_is_not_touched() {
    let setup = Setup {
        budget: "requests_per_minute = 1\nmax_wait = \"0s\"",
        ..setup()
    };
    let scene = answering(MADE, setup).await;
    assert!(
        scene
            .gateway
            .set_photo("CONTACT_BLACKLIST")
            .await
            .is_success()
    );
    assert_eq!(
        scene.gateway.set_photo("CONTACT_BLACKLIST").await.status,
        429
    );
    for _ in 0..5 {
        assert!(scene.gateway.send(photo_list()).await.is_success());
    }
    assert_eq!(scene.fallback.seen().len(), 5);
    assert_eq!(scene.ryze.seen().len(), 1);
}
