//! Guessing credentials reveals nothing: an unknown id looks like a wrong token. What the log contains
//! of a guess is tested in `secrets/`, that secrets are compared in constant time in `structure.rs`.

use crate::harness::{Message, Setup, Upstream, confirms};

/// Two instances, one of which asks for a `Client-Token`.
const SECOND: &str = "client_token = \"C1\"\n[[instances]]\nzapi_instance = \"I2\"\n\
                      zapi_token = \"T2\"\nryze_instance = \"b\"\nryze_token = \"t\"";

/// An answer without the time of day.
fn without_what_is_new(answer: Message) -> (Vec<String>, String) {
    let lines = answer
        .head
        .lines()
        .filter(|line| !line.starts_with("date: ") && !line.starts_with("x-request-id: "));
    (lines.map(str::to_owned).collect(), answer.body)
}

#[tokio::test]
async fn an_unknown_id_and_a_wrong_token_have_the_same_answer() {
    let ryze = Upstream::start(confirms("{}")).await;
    let setup = Setup {
        instance: SECOND,
        ..Setup::default()
    };
    let gateway = setup.start(&ryze.base_url).await;
    let calls = [
        ("POST", "photo", "{\"visualizationType\":\"ALL\"}"),
        ("POST", "photo", ""),
        ("POST", "read-receipts?value=enable", ""),
        ("POST", "messages-duration?value=days7", ""),
        ("GET", "disallowed-contacts?type=photo", ""),
        ("GET", "", ""),
    ];
    let client_tokens = ["", "Client-Token: C1\r\n", "Client-Token: C9\r\n"];
    for (method, call, body) in calls {
        for client_token in client_tokens {
            let mut answers = Vec::new();
            for (id, token) in [
                ("X9", "T1"),
                ("X9", "T9"),
                ("I1", "T9"),
                ("I2", "T1"),
                ("I1", ""),
            ] {
                let call = if call.is_empty() {
                    ""
                } else {
                    &format!("/{call}")
                };
                let token = if token.is_empty() { "%00" } else { token };
                let request = format!(
                    "{method} /instances/{id}/token/{token}/privacy{call} HTTP/1.1\r\nHost: g\r\n\
                     Content-Type: application/json\r\n{client_token}Content-Length: {}\r\n\r\n\
                     {body}",
                    body.len()
                );
                let reply = gateway.send(request).await;
                reply.assert_failure(400, "Instance not found");
                answers.push(without_what_is_new(reply.message));
            }
            let first = &answers[0];
            assert!(answers.iter().all(|answer| answer == first), "{answers:?}");
        }
    }
    assert_eq!(ryze.seen(), []);
}
