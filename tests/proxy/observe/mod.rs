//! Instances with `mode = "observe"`: the fallback answers all their calls as if they were not in the
//! configuration; log, metrics and status say what would have happened. Ryze is never called.

mod bodies;
mod reload;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{After, FALLBACK_RESPONSE, Fallback, Meaning, OF_I1, Scene, confirming};
use crate::{
    harness::{Setup, soon, start},
    operator::Operated,
    process::request_lines,
};

const OBSERVE: &str = "mode = \"observe\"\nclient_token = \"C1\"";
const TOKEN: &str = "Client-Token: C1\r\n";
const JSON: &str = "Client-Token: C1\r\nContent-Type: application/json\r\n";
/// What the log says of an observed call.
type Verdict = (Option<&'static str>, Option<&'static str>);

const TRANSLATED: Verdict = (Some("translated"), None);
const FORWARDED: Verdict = (Some("forwarded"), None);
const NO_PRIVACY_CALL: Verdict = (None, None);

const fn refused(reason: &'static str) -> Verdict {
    (Some("refused"), Some(reason))
}

fn request(method: &str, target: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nHost: g\r\nConnection: close\r\n{headers}\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// Calls of the instance `I1`, and what would have happened to each.
fn calls() -> Vec<(String, Verdict)> {
    let of_i1 = |method, below: &str, headers, body| {
        request(method, &format!("{OF_I1}{below}"), headers, body)
    };
    let photo = |headers, body| of_i1("POST", "/privacy/photo", headers, body);
    let sound = r#"{"visualizationType":"ALL"}"#;
    let list = r#"{"visualizationType":"CONTACT_BLACKLIST","contactsBlacklist":[{"action":"add","phone":"5544"}]}"#;
    let large = " ".repeat(200) + sound;
    let text = "Client-Token: C1\r\nContent-Type: text/plain\r\n";
    let other = "Client-Token: C2\r\nContent-Type: application/json\r\n";
    let encoded = "//instances/%49%31/token/T1//privacy/photo?x=1";
    vec![
        (photo(JSON, sound), TRANSLATED),
        (request("POST", encoded, JSON, sound), TRANSLATED),
        (
            of_i1("POST", "/privacy/read-receipts?value=enable", TOKEN, "x"),
            TRANSLATED,
        ),
        (of_i1("GET", "/privacy", TOKEN, ""), TRANSLATED),
        (
            of_i1("GET", "/privacy/disallowed-contacts?type=photo", TOKEN, ""),
            FORWARDED,
        ),
        (
            of_i1("POST", "/privacy/messages-duration?value=days7", TOKEN, ""),
            FORWARDED,
        ),
        (photo(JSON, list), refused("contacts_list")),
        (
            photo(JSON, r#"{"visualizationType":"contacts"}"#),
            refused("bad_request"),
        ),
        (photo(JSON, "{"), refused("bad_request")),
        (photo(JSON, ""), refused("bad_request")),
        (
            of_i1("POST", "/privacy/read-receipts?value=true", TOKEN, ""),
            refused("bad_request"),
        ),
        (photo(text, sound), refused("unsupported_media_type")),
        (photo(JSON, &large), refused("body_too_large")),
        (
            of_i1("HEAD", "/privacy/photo", TOKEN, ""),
            refused("wrong_method"),
        ),
        (
            of_i1("PUT", "/privacy/photo", JSON, sound),
            refused("wrong_method"),
        ),
        (
            of_i1("POST", "/privacy/typo", JSON, sound),
            refused("unknown_path"),
        ),
        (
            of_i1("POST", "/privacy/photo/", JSON, sound),
            refused("unknown_path"),
        ),
        (
            request("POST", "/x;I1/privacy", JSON, sound),
            refused("unknown_path"),
        ),
        (
            request("POST", "/instances/I1/token/T2/privacy/photo", JSON, sound),
            refused("unknown_instance"),
        ),
        (
            request("POST", "/instances/i1/token/T1/privacy/photo", JSON, sound),
            refused("unknown_instance"),
        ),
        (photo("", sound), refused("client_token_missing")),
        (photo(other, sound), refused("client_token_wrong")),
        (of_i1("POST", "/send-text", JSON, "{}"), NO_PRIVACY_CALL),
        (of_i1("GET", "/status", "", ""), NO_PRIVACY_CALL),
    ]
}

/// Sends a request that closes its connection and reads until the end.
async fn exchange(address: std::net::SocketAddr, request: &str) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(client.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn the_fallback_answers_each_call_as_if_the_instance_were_not_configured() {
    // Without it the gateway adds its own, which may differ by a second.
    let dated = "HTTP/1.1 299 Vendor\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\n";
    let response = FALLBACK_RESPONSE.replacen("HTTP/1.1 299 Vendor\r\n", dated, 1);
    let fallback = Fallback::start(&response, After::Close).await;
    let ryze = confirming().await;
    let setup = Setup {
        server: "max_body = 150",
        instance: OBSERVE,
        fallback: format!("base_url = \"http://{}\"", fallback.authority),
        ..Setup::default()
    };
    let observing = Operated::start(&setup.toml(&ryze.base_url)).await;
    let proxy = start(&format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[fallback]\n{}\n",
        setup.fallback
    ))
    .await;
    let calls = calls();
    for (request, _) in &calls {
        let observed = exchange(observing.address, request).await;
        let plain = exchange(proxy.address, request).await;
        assert!(
            observed.starts_with("HTTP/1.1 299 Vendor\r\n"),
            "{observed}"
        );
        assert_eq!(Meaning::of(&observed), Meaning::of(&plain), "{request}");
        let seen = fallback.seen();
        assert_eq!(seen[seen.len() - 2], seen[seen.len() - 1], "{request}");
    }
    assert_eq!(fallback.seen().len(), 2 * calls.len());
    assert_eq!(ryze.connections(), 0);

    let count = |verdict: Verdict| calls.iter().filter(|(_, it)| *it == verdict).count();
    for (labels, verdict) in [
        ("verdict=\"translated\",reason=\"\"", TRANSLATED),
        ("verdict=\"forwarded\",reason=\"\"", FORWARDED),
        (
            "verdict=\"refused\",reason=\"contacts_list\"",
            refused("contacts_list"),
        ),
        (
            "verdict=\"refused\",reason=\"wrong_method\"",
            refused("wrong_method"),
        ),
    ] {
        let sample = format!("zapi_to_ryze_observed_total{{{labels}}}");
        let value = observing.sample(&sample).await;
        assert_eq!(
            value.map(|it| it as usize),
            Some(count(verdict)),
            "{labels}"
        );
    }
    let instance = observing.status().await["instances"][0].take();
    assert_eq!(
        [&instance["mode"], &instance["outcome"]],
        [&json!("observe"), &Value::Null]
    );
    // Two of the refused calls do not name the instance by its id.
    assert_eq!(
        instance["observed"],
        json!({
            "translated": 4, "forwarded": 2, "refused": 14, "unread": 0,
            "last_refusal": "client_token_wrong",
        })
    );

    observing.gateway.signal("TERM");
    let log = observing.gateway.ended().await.stderr;
    let lines = request_lines(&log);
    assert_eq!(lines.len(), calls.len(), "{log}");
    for (line, (request, (observed, reason))) in lines.iter().zip(&calls) {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            [
                &event["observed"],
                &event["observed_reason"],
                &event["outcome"]
            ],
            [&json!(observed), &json!(reason), &json!("forwarded")],
            "{request}"
        );
    }
}

#[tokio::test]
async fn calls_of_a_translated_instance_are_kept_beside_an_observed_one() {
    const SECOND: &str = "mode = \"observe\"\n[[instances]]\nzapi_instance = \"I2\"\n\
                          zapi_token = \"T2\"\nryze_instance = \"other\"\nryze_token = \"t\"";
    let setup = Setup {
        instance: SECOND,
        ..Setup::default()
    };
    let scene = Scene::start(setup).await;
    let post = |target: &str| request("POST", target, "", "");
    for target in [
        "/x/I1/I2/privacy",
        "/instances/I2/token/I1/privacy/photo",
        "/instances/i2/token/T2/privacy",
        "/instances/I2/token/T2/privacy/typo",
    ] {
        let answer = scene.send(&post(target)).await;
        assert!(answer.starts_with("HTTP/1.1 40"), "{target}: {answer}");
    }
    assert_eq!(scene.fallback.seen(), [""; 0]);
    for target in [
        "/instances/I1/token/I2/privacy/typo",
        "/instances/I1/token/T1/privacy/photo",
        "/instances/i1/token/T1/privacy/photo",
    ] {
        let answer = scene.send(&post(target)).await;
        assert!(answer.starts_with("HTTP/1.1 299 "), "{target}: {answer}");
    }
    assert_eq!(scene.ryze.connections(), 0);
}
