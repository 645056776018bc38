//! A change is confirmed, or its client learns that it was not made, or that its outcome is unknown: the
//! response to each failure, and its cost in requests. Retries and coalescing are in `queue`, the
//! meaning of each response of Ryze in `ryze_answers`. `truth` compares responses with the in-memory
//! Ryze.

mod truth;

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::harness::{Setup, Step, Upstream, answer, answers, refuses, refusing, soon};

const UPDATE: &str = r#"{"visibility":{"profile":"none"}}"#;
const GET: &str = "GET";

fn shows(profile: &str) -> Step {
    let settings = json!({"visibility": {"profile": profile}});
    answers(
        200,
        &json!({"success": true, "settings": settings}).to_string(),
    )
}

/// Reads the request and closes the connection.
fn closes() -> Step {
    Step::SendAndClose(String::new())
}

fn fails() -> Step {
    refuses(500, "out of order")
}

fn says(reason: &str) -> Step {
    refuses(500, &format!("failed to update profile privacy: {reason}"))
}

/// What Ryze does with the requests in order, and what a caller who hides the photo gets: status, error,
/// part of the message. Then how many of [`TRIES`] arrived.
type Case = (Vec<Step>, u16, &'static str, &'static str, usize);

/// The change, a look, the change once more and another look.
const TRIES: [&str; 4] = [UPDATE, GET, UPDATE, GET];

async fn check(setup: Setup, cases: Vec<Case>) {
    for (steps, status, error, message, requests) in cases {
        let name = format!("{steps:.300?}");
        let upstream = Upstream::script(steps).await;
        let gateway = setup.start(&upstream.base_url).await;
        let reply = gateway.set_photo("NONE").await;
        if status == 200 {
            assert!(reply.is_success(), "{name}: {}", reply.message.body);
        } else {
            println!("{name}: {} {}", reply.status, reply.message.body);
            reply.assert_failure(status, error);
            assert!(reply.text("message").contains(message), "no {message:?}");
        }
        assert_eq!(upstream.calls(), TRIES[..requests], "{name}");
    }
}

#[tokio::test]
async fn sent_and_not_confirmed() {
    const UNKNOWN: (u16, &str, &str) = (504, "GATEWAY_TIMEOUT", "may still take effect");
    let classes = [
        (closes(), UNKNOWN),
        (
            Step::SendAndClose("HTTP/1.1 200 OK\r\nCont".into()),
            UNKNOWN,
        ),
        (says("info query timed out"), UNKNOWN),
        (
            says("websocket disconnected before info query returned response"),
            UNKNOWN,
        ),
        (fails(), (502, "BAD_GATEWAY", "out of order")),
        (answers(503, ""), (502, "BAD_GATEWAY", "503")),
        (answers(200, "{}"), (502, "BAD_GATEWAY", "not confirm")),
        (
            Step::SendAndClose("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".into()),
            (502, "BAD_GATEWAY", "cut short"),
        ),
        (
            Step::Send(answer(302, "Location: /\r\n", "")),
            (502, "BAD_GATEWAY", "302"),
        ),
    ];
    for (step, (status, error, message)) in classes {
        let again = || step.clone();
        let failed = |steps, requests| (steps, status, error, message, requests);
        let made = |steps, requests| (steps, 200, "", "", requests);
        let cases = vec![
            made(vec![again(), shows("none")], 2),
            made(vec![again(), shows("all"), shows("none")], 3),
            made(vec![again(), shows("all"), again(), shows("none")], 4),
            failed(vec![again(), shows("all"), again(), shows("all")], 4),
            failed(vec![again(), fails()], 2),
            failed(vec![again(), closes()], 2),
            failed(vec![again(), shows("all"), refuses(400, "no")], 3),
        ];
        check(Setup::default(), cases).await;
    }
}

#[tokio::test]
async fn sent_and_refused_or_throttled() {
    let refusals: [(Step, u16, &str); 8] = [
        (
            refuses(400, "Invalid request body"),
            424,
            "FAILED_DEPENDENCY",
        ),
        (refuses(401, "Invalid token"), 424, "FAILED_DEPENDENCY"),
        (
            refuses(403, "Instance token does not match"),
            424,
            "FAILED_DEPENDENCY",
        ),
        (refuses(404, "Instance not found"), 424, "FAILED_DEPENDENCY"),
        (
            refuses(503, "Instance is not connected to WhatsApp"),
            400,
            "You are not connected.",
        ),
        (
            says("info query returned status 403: forbidden"),
            424,
            "FAILED_DEPENDENCY",
        ),
        (
            says("info query returned status 429: rate-overlimit"),
            429,
            "TOO_MANY_REQUESTS",
        ),
        (
            refuses(429, "Rate limit exceeded."),
            429,
            "TOO_MANY_REQUESTS",
        ),
    ];
    let case = |(step, status, error)| (vec![step, shows("none")], status, error, "", 1);
    check(Setup::default(), refusals.map(case).into()).await;
}

#[tokio::test]
async fn what_cannot_be_paid_for_is_told_as_it_is() {
    for (budget, requests) in [
        ("requests_per_minute = 1", 1),
        ("requests_per_minute = 2", 2),
        ("requests_per_minute = 3", 3),
        ("requests_per_minute = 4", 4),
    ] {
        let setup = Setup {
            budget,
            ..Setup::default()
        };
        let steps = vec![fails(), shows("all"), fails(), shows("all")];
        let case = (steps, 502, "BAD_GATEWAY", "out of order", requests);
        check(setup, vec![case]).await;
    }
}

#[tokio::test]
async fn a_denied_instance_gets_its_answer_without_a_request() {
    let upstream = Upstream::script(vec![refuses(401, "Invalid token"), shows("none")]).await;
    let gateway = Setup::default().start(&upstream.base_url).await;
    for _ in 0..3 {
        let reply = gateway.set_photo("NONE").await;
        reply.assert_failure(424, "FAILED_DEPENDENCY");
        assert_eq!(
            reply.text("message"),
            "Ryze refuses this instance's token (\"Invalid token\"); the operator of the gateway \
             sets ryze_token. Nothing was changed."
        );
    }
    let read = "GET /instances/I1/token/T1/privacy HTTP/1.1\r\nHost: gateway\r\n\r\n";
    gateway
        .send(read)
        .await
        .assert_failure(424, "FAILED_DEPENDENCY");
    assert_eq!(upstream.calls(), [UPDATE]);
}

#[tokio::test]
async fn a_read_is_asked_once_more() {
    const CALL: &str = "GET /instances/I1/token/T1/privacy HTTP/1.1\r\nHost: gateway\r\n\r\n";
    for (steps, status, requests) in [
        (vec![closes(), shows("none")], 200, 2),
        (vec![fails(), shows("none")], 200, 2),
        (vec![closes()], 504, 2),
        (vec![fails()], 502, 2),
        (vec![refuses(400, "no")], 424, 1),
    ] {
        let upstream = Upstream::script(steps).await;
        let gateway = Setup::default().start(&upstream.base_url).await;
        let reply = gateway.send(CALL).await;
        assert_eq!(reply.status, status, "{}", reply.message.body);
        assert_eq!(upstream.calls(), vec![GET; requests]);
    }
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_under_a_request_is_nobodys_error() {
    // The second request is read on the connection of the first, which then ends without an answer.
    let steps = vec![shows("none"), closes(), shows("all"), shows("none")];
    let upstream = Upstream::script(steps).await;
    let gateway = Setup::default().start(&upstream.base_url).await;
    for _ in 0..2 {
        assert!(gateway.set_photo("NONE").await.is_success());
    }
    assert_eq!(upstream.calls(), [UPDATE, UPDATE, GET, UPDATE]);
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_before_a_request_is_nobodys_error() {
    let Step::Send(bytes) = shows("none") else {
        unreachable!()
    };
    let upstream = Upstream::start(Step::SendAndClose(bytes)).await;
    let gateway = Setup::default().start(&upstream.base_url).await;
    for _ in 0..20 {
        assert!(gateway.set_photo("NONE").await.is_success());
    }
}

#[tokio::test]
async fn a_ryze_that_comes_up_late_is_nobodys_error() {
    let (socket, base_url) = refusing();
    let gateway = Setup::default().start(&base_url).await;
    let call = gateway.set_photo("NONE");
    let start = async {
        sleep(Duration::from_secs(1)).await;
        Upstream::on(socket.listen(8).unwrap(), vec![shows("none")])
    };
    let (reply, upstream) = soon(async { tokio::join!(call, start) }).await;
    assert!(reply.is_success(), "{}", reply.message.body);
    assert_eq!(upstream.calls(), [UPDATE]);
}
