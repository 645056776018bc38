//! Read-backs and retries after a failed request, on a paused clock, and that no failure promises too
//! much. Every request takes a second, so the time of an outcome counts the requests.
//!
//! `leaving` has calls that are cancelled, late or refused by the budget, `together` coalesced calls,
//! `partial` updates that were applied in part, `repeated_value` the value of a retry, `outage` a Ryze
//! that is unreachable. The same over sockets is in `tests/certainty`.

mod leaving;
mod outage;
mod partial;
mod repeated_value;
mod together;

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use zapi_to_ryze::{
    net::ConnectFault,
    privacy::{Audience, Change, Failure, Fault, Malformed, NoAnswer, Operation, Report, Setting},
    ryze::Target,
};

use super::{Bench, Call, DEADLINE, in_turn, online, photo};
use crate::pipes::{Ending, budget, target};

const SECOND: Duration = Duration::from_secs(1);

const HIDE: &str = r#"{"visibility":{"profile":"none"}}"#;
const SHOW: &str = r#"{"visibility":{"profile":"all"}}"#;
const ONLINE: &str = r#"{"visibility":{"online":"match_last_seen"}}"#;
const BOTH: &str = r#"{"visibility":{"profile":"none","online":"match_last_seen"}}"#;
/// The body of a read.
const READ: &str = "";

const HIDDEN: Ending = Ending::Answer(
    200,
    "",
    r#"{"success":true,"settings":{"visibility":{"profile":"none","online":"all"}}}"#,
);
const SHOWN: Ending = Ending::Answer(
    200,
    "",
    r#"{"success":true,"settings":{"visibility":{"profile":"all","online":"all"}}}"#,
);
const FAILED: Ending = Ending::Answer(500, "", r#"{"error":{"message":"out of order"}}"#);
const TIMED_OUT: Ending = Ending::Answer(
    500,
    "",
    r#"{"error":{"message":"failed to update profile privacy: info query timed out"}}"#,
);
const FORBIDDEN: Ending = Ending::Answer(
    500,
    "",
    r#"{"error":{"message":"failed to update profile privacy: info query returned status 403: forbidden"}}"#,
);
const DENIED: Ending = Ending::Answer(401, "", r#"{"error":{"message":"Invalid token"}}"#);

fn hide() -> Change {
    photo(Audience::Nobody)
}

fn bench(endings: &[Ending]) -> Bench {
    Bench::new(in_turn(SECOND, endings))
}

fn upstream(fault: Fault) -> Result<(), Failure> {
    Err(Failure::Upstream(fault))
}

/// Ryze's error response.
fn answered(status: u16, message: Option<&str>) -> Fault {
    Fault::Answered(Report {
        status,
        message: message.map(str::to_owned),
    })
}

/// The failure by [`FAILED`].
fn failed() -> Result<(), Failure> {
    upstream(answered(500, Some("out of order")))
}

/// Hides the photo, and returns the outcome, its time, and the bodies of the requests.
async fn hidden_through(endings: &[Ending]) -> (Result<(), Failure>, u64, Vec<String>) {
    let bench = bench(endings);
    let (outcome, seconds) = bench.call(&target("one"), hide()).await.await.unwrap();
    bench.queues.idle().await;
    (outcome, seconds, bench.pipes.bodies())
}

/// Calls that are all in the second request, the one with the first of the endings.
async fn coalesced(endings: &[Ending], changes: &[Change]) -> (Bench, Arc<Target>, Vec<Call>) {
    let bench = bench(&[&[Ending::Confirm], endings].concat());
    let one = target("one");
    let about = Change {
        setting: Setting::About,
        audience: Audience::Everyone,
    };
    let first = bench.call(&one, about).await;
    let mut calls = Vec::new();
    for change in changes {
        calls.push(bench.call(&one, *change).await);
    }
    assert_eq!(first.await.unwrap(), (Ok(()), 1));
    (bench, one, calls)
}

async fn outcomes(calls: Vec<Call>) -> Vec<Result<(), Failure>> {
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(call.await.unwrap().0);
    }
    outcomes
}

/// Endings that leave open whether a change was applied, and its failure if that stays unknown.
fn open() -> [(Ending, Result<(), Failure>); 6] {
    [
        (Ending::Close, Err(Failure::Unknown(NoAnswer::Closed))),
        (TIMED_OUT, Err(Failure::Unknown(NoAnswer::WhatsAppTimedOut))),
        (FAILED, failed()),
        (Ending::Answer(503, "", ""), upstream(answered(503, None))),
        (
            Ending::Answer(307, "Location: /\r\n", ""),
            upstream(answered(307, None)),
        ),
        (
            Ending::Answer(200, "", "{}"),
            upstream(Fault::Malformed(Malformed::NoSettings)),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_value_that_the_read_back_shows_is_a_success() {
    for (ending, _) in open() {
        let (outcome, seconds, bodies) = hidden_through(&[ending, HIDDEN]).await;
        assert_eq!((outcome, seconds), (Ok(()), 2), "{ending:?}");
        assert_eq!(bodies, [HIDE, READ], "{ending:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_the_read_back_does_not_show_is_retried_and_read_back_once_more() {
    for (ending, failure) in open() {
        let script = [ending, SHOWN, Ending::Confirm];
        let (outcome, _, bodies) = hidden_through(&script).await;
        assert_eq!(
            (outcome, bodies),
            (Ok(()), [HIDE, READ, HIDE].map(String::from).into())
        );

        let script = [ending, SHOWN, ending, HIDDEN];
        let (outcome, _, bodies) = hidden_through(&script).await;
        assert_eq!(outcome, Ok(()), "{ending:?}");
        assert_eq!(bodies, [HIDE, READ, HIDE, READ]);

        let script = [ending, SHOWN, ending, SHOWN];
        let (outcome, seconds, bodies) = hidden_through(&script).await;
        assert_eq!((outcome, seconds), (failure, 4), "{ending:?}");
        assert_eq!(bodies, [HIDE, READ, HIDE, READ]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_to_the_retry_that_shows_the_settings_is_not_read_back() {
    let (outcome, _, bodies) = hidden_through(&[SHOWN, SHOWN, SHOWN]).await;
    assert_eq!(outcome, upstream(Fault::NotConfirmed));
    assert_eq!(bodies, [HIDE, READ, HIDE]);
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_read_back_nothing_is_sent() {
    for (ending, failure) in open() {
        for read_back in [Ending::Close, FAILED, DENIED, Ending::Answer(429, "", "")] {
            let (outcome, seconds, bodies) = hidden_through(&[ending, read_back]).await;
            assert_eq!(
                (outcome, seconds),
                (failure.clone(), 2),
                "{ending:?}, {read_back:?}"
            );
            assert_eq!(bodies, [HIDE, READ], "{ending:?}, {read_back:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_change_is_not_retried() {
    for ending in [
        FORBIDDEN,
        DENIED,
        Ending::Answer(400, "", ""),
        Ending::Answer(415, "", ""),
        Ending::Answer(501, "", ""),
        Ending::Answer(
            503,
            "",
            r#"{"error":{"message":"Instance is not connected to WhatsApp"}}"#,
        ),
        Ending::Answer(429, "", r#"{"error":{"message":"rate-overlimit"}}"#),
        Ending::Answer(429, "", ""),
    ] {
        let (outcome, seconds, bodies) = hidden_through(&[ending, HIDDEN]).await;
        assert!(!outcome.unwrap_err().leaves_open(), "{ending:?}");
        assert_eq!((seconds, bodies.len()), (1, 1), "{ending:?}");
    }
}

/// The first attempt may still take effect, so no failure of the retry promises that it did not.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_retry_does_not_promise_that_nothing_was_changed() {
    for (ending, failure) in open() {
        for refusal in [
            FORBIDDEN,
            DENIED,
            Ending::Answer(400, "", ""),
            Ending::Answer(
                400,
                "",
                r#"{"error":{"message":"Instance is not connected to WhatsApp"}}"#,
            ),
            Ending::Answer(429, "", r#"{"error":{"message":"rate-overlimit"}}"#),
            Ending::Answer(429, "", ""),
        ] {
            let (outcome, seconds, bodies) = hidden_through(&[ending, SHOWN, refusal]).await;
            assert_eq!(
                (outcome, seconds),
                (failure.clone(), 3),
                "{ending:?}, {refusal:?}"
            );
            assert_eq!(bodies, [HIDE, READ, HIDE], "{ending:?}, {refusal:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_at_either_attempt_is_unknown() {
    for script in [
        [Ending::Close, SHOWN, FAILED, SHOWN],
        [FAILED, SHOWN, Ending::Close, SHOWN],
    ] {
        let (outcome, _, bodies) = hidden_through(&script).await;
        assert_eq!(
            (outcome, bodies.len()),
            (Err(Failure::Unknown(NoAnswer::Closed)), 4),
            "{script:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_is_retried_once() {
    for (ending, _) in open() {
        for (script, is_known, requests) in [
            ([ending, SHOWN], true, 2),
            ([ending, ending], false, 2),
            ([DENIED, SHOWN], false, 1),
        ] {
            let bench = bench(&script);
            let call = bench.begin(&target("one"), Operation::Read).await;
            assert_eq!(call.await.unwrap().0.is_ok(), is_known, "{script:?}");
            bench.queues.idle().await;
            assert_eq!(bench.pipes.bodies().len(), requests, "{script:?}");
        }
    }
    // A read promises nothing: it gets the failure of the last attempt.
    let bench = bench(&[FAILED, Ending::Answer(400, "", "")]);
    let call = bench.begin(&target("one"), Operation::Read).await;
    let (outcome, _) = call.await.unwrap();
    assert!(
        matches!(outcome, Err(Failure::Refused { .. })),
        "{outcome:?}"
    );
}
