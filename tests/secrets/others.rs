//! What Ryze says of another instance: its secrets do not reach the caller or the log, and a message
//! without one does.

use crate::{
    harness::{Reply, Upstream, photo, refuses},
    operator::Operated,
};

const INSTANCES: [[&str; 3]; 2] = [
    ["uHqLmZtReBvo", "WkPztYnVbSiw", "JdsXcGfQaLun"],
    // Shorter than what stands in no other text by chance.
    ["zq4", "kw-v2", "x9"],
];
const ROTATED: &str = "TbrNeMuYiOpl";

/// The instance that calls, two more with these secrets, and a last one with this token.
fn configuration(base_url: &str, token: &str) -> String {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [ryze]\nbase_url = {base_url:?}\n"
    );
    let callers = [["T1", "", "own-token-of-I1"], ["T9", "", token]];
    for (number, [zapi, client, ryze]) in [callers[0], INSTANCES[0], INSTANCES[1], callers[1]]
        .into_iter()
        .enumerate()
    {
        text += &format!(
            "[[instances]]\nzapi_instance = \"I{}\"\nzapi_token = {zapi:?}\nryze_instance = \"r{number}\"\n\
             ryze_token = {ryze:?}\n",
            number + 1
        );
        if !client.is_empty() {
            text += &format!("client_token = {client:?}\n");
        }
    }
    text
}

/// Messages that quote this secret. No other rule removes it.
fn quoting(secret: &str) -> [String; 3] {
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    [
        format!("the token {secret} is not of this instance"),
        format!("expected token={},", secret.to_uppercase()),
        format!("bad url /{percent}/x"),
    ]
}

#[track_caller]
fn assert_hidden(reply: &Reply, message: Option<&String>) {
    let told = reply.text("message");
    assert!(told.contains("(status 400)"), "{message:?}: {told}");
}

#[tokio::test]
async fn nothing_surfaces_of_another_instances_secrets() {
    let secrets = INSTANCES.into_iter().flatten().chain([ROTATED]);
    let messages: Vec<_> = secrets.flat_map(quoting).collect();
    let mut steps: Vec<_> = messages.iter().map(|it| refuses(400, it)).collect();
    // The log has the reason of an instance that is denied.
    steps.push(refuses(401, &messages[0]));
    let upstream = Upstream::script(steps).await;
    let operated = Operated::start(&configuration(&upstream.base_url, "before-rotation")).await;
    let mut messages = messages.iter();
    let at_the_start = operated.send(photo("ALL")).await;
    assert_hidden(&at_the_start, messages.next());
    let rotated = configuration(&upstream.base_url, ROTATED);
    operated.reload(&rotated).await;
    for message in messages {
        assert_hidden(&operated.send(photo("ALL")).await, Some(message));
    }
    operated
        .send(photo("ALL"))
        .await
        .assert_failure(424, "FAILED_DEPENDENCY");
    operated.gateway.signal("TERM");
    let log = operated.gateway.ended().await.stderr;
    assert!(log.contains("\"failure\":\"status 401\""), "{log}");
    assert!(!log.contains(INSTANCES[0][0]), "{log}");
}

#[tokio::test]
async fn a_message_without_a_secret_is_told() {
    let step = refuses(400, "the value is not one of those that the kwx9 knows");
    let upstream = Upstream::start(step).await;
    let operated = Operated::start(&configuration(&upstream.base_url, ROTATED)).await;
    let reply = operated.send(photo("ALL")).await;
    assert!(
        reply.text("message").contains("that the kwx9 knows"),
        "{:?}",
        reply.message
    );
}
