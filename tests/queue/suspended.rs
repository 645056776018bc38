//! Suspensions, on a paused clock: which calls fail without a request, for how long, and that other
//! instances are not affected.

use std::time::Duration;

use tokio::time::sleep;
use zapi_to_ryze::privacy::{Audience, Change, Failure, Limiter, NoAnswer, Operation, Setting};

use super::{Bench, in_turn, online, photo};
use crate::pipes::{Ending, target};

const SECOND: Duration = Duration::from_secs(1);
const DENIALS: [Ending; 3] = [
    Ending::Answer(401, "", r#"{"error":{"message":"Invalid token"}}"#),
    Ending::Answer(
        403,
        "",
        r#"{"error":{"message":"Instance token does not match"}}"#,
    ),
    Ending::Answer(404, "", r#"{"error":{"message":"Instance not found"}}"#),
];
const OVER_LIMIT: Ending = Ending::Answer(
    500,
    "",
    r#"{"error":{"message":"failed to update profile privacy: info query returned status 429: rate-overlimit"}}"#,
);
const SHOWN: Ending = Ending::Answer(
    200,
    "",
    r#"{"success":true,"settings":{"visibility":{"profile":"all","online":"all"}}}"#,
);

fn bench(endings: &[Ending]) -> Bench {
    Bench::new(in_turn(SECOND, endings))
}

fn hide() -> Change {
    photo(Audience::Nobody)
}

fn is_denied(outcome: &Result<(), Failure>) -> bool {
    matches!(outcome, Err(Failure::Denied { .. }))
}

/// The time until WhatsApp's limit resets, in seconds.
fn pause(outcome: &Result<(), Failure>) -> u64 {
    match outcome {
        Err(Failure::Throttled {
            by: Limiter::WhatsApp,
            retry_after,
        }) => retry_after.as_secs(),
        _ => panic!("{outcome:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_denied_instance_is_suspended_for_30_s_and_no_other_is() {
    for denial in DENIALS {
        let bench = bench(&[denial, Ending::Confirm]);
        let (one, other) = (target("one"), target("other"));
        let first = bench.call(&one, hide()).await;
        let waits = bench.call(&one, online()).await;
        let reads = bench.begin(&one, Operation::Read).await;
        for call in [first, waits, reads] {
            let (outcome, seconds) = call.await.unwrap();
            assert!(is_denied(&outcome), "{outcome:?}");
            assert_eq!(seconds, 1);
        }
        for operation in [Operation::Change(online()), Operation::Read] {
            let (outcome, seconds) = bench.begin(&one, operation).await.await.unwrap();
            assert!(is_denied(&outcome), "{outcome:?}");
            assert_eq!(seconds, 0);
        }
        assert_eq!(bench.pipes.bodies().len(), 1, "no request");
        bench.call(&other, hide()).await.await.unwrap().0.unwrap();
        // 1 s of the suspension is over.
        sleep(SECOND * 28).await;
        assert!(is_denied(&bench.call(&one, hide()).await.await.unwrap().0));
        assert_eq!(bench.pipes.bodies().len(), 2);
        sleep(SECOND * 2).await;
        bench.call(&one, hide()).await.await.unwrap().0.unwrap();
        bench.call(&one, hide()).await.await.unwrap().0.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_suspension_for_a_denial_does_not_grow() {
    let bench = bench(&[DENIALS[0], DENIALS[2], Ending::Confirm]);
    let one = target("one");
    for _ in 0..2 {
        assert!(is_denied(&bench.call(&one, hide()).await.await.unwrap().0));
        sleep(SECOND * 31).await;
    }
    bench.call(&one, hide()).await.await.unwrap().0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_denied_read_back_suspends_the_instance_and_leaves_the_sent_change_unknown() {
    let bench = bench(&[Ending::Close, DENIALS[0]]);
    let one = target("one");
    let sent = bench.call(&one, hide()).await;
    let waits = bench.call(&one, hide()).await;
    assert_eq!(
        sent.await.unwrap(),
        (Err(Failure::Unknown(NoAnswer::Closed)), 2)
    );
    assert!(is_denied(&waits.await.unwrap().0), "it was not sent");
    assert!(is_denied(&bench.call(&one, hide()).await.await.unwrap().0));
    assert_eq!(bench.pipes.bodies().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_queued_for_a_retry_keeps_its_failure_when_the_instance_is_denied() {
    // Both retries are isolated, and the first is denied.
    let failed = Ending::Answer(500, "", "");
    let bench = bench(&[Ending::Confirm, failed, SHOWN, DENIALS[1]]);
    let one = target("one");
    let first = bench.call(&one, photo(Audience::Everyone)).await;
    let coalesced = [
        bench.call(&one, hide()).await,
        bench.call(&one, online()).await,
    ];
    first.await.unwrap().0.unwrap();
    for call in coalesced {
        let (outcome, _) = call.await.unwrap();
        assert!(matches!(outcome, Err(Failure::Upstream(_))), "{outcome:?}");
    }
    assert_eq!(bench.pipes.bodies().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_whatsapp_throttles_is_suspended_longer_each_time_up_to_5_minutes() {
    let bench = bench(&[OVER_LIMIT]);
    let (one, other) = (target("one"), target("other"));
    for (requests, expected) in [10, 20, 40, 80, 160, 300, 300].into_iter().enumerate() {
        let first = bench.call(&one, hide()).await;
        let waits = bench.call(&one, online()).await;
        assert_eq!(pause(&first.await.unwrap().0), expected);
        assert_eq!(pause(&waits.await.unwrap().0), expected);
        let reads = bench.begin(&one, Operation::Read).await;
        assert_eq!(pause(&reads.await.unwrap().0), expected);
        assert_eq!(bench.pipes.bodies().len(), requests + 1, "no request");
        sleep(SECOND * expected as u32).await;
    }
    let elsewhere = bench.call(&other, hide()).await.await.unwrap();
    assert_eq!(pause(&elsewhere.0), 10, "its own");
}

#[tokio::test(start_paused = true)]
async fn a_successful_update_resets_the_suspension_and_a_read_does_not() {
    for (operation, success, expected) in [
        (Operation::Read, SHOWN, 20),
        (Operation::Change(hide()), Ending::Confirm, 10),
    ] {
        let bench = bench(&[OVER_LIMIT, success, OVER_LIMIT]);
        let one = target("one");
        assert_eq!(pause(&bench.call(&one, hide()).await.await.unwrap().0), 10);
        sleep(SECOND * 10).await;
        bench.begin(&one, operation).await.await.unwrap().0.unwrap();
        let again = bench.call(&one, hide()).await.await.unwrap();
        assert_eq!(pause(&again.0), expected);
    }
}

/// A field that WhatsApp throttles suspends the account. The other fields are read back and not retried.
#[tokio::test(start_paused = true)]
async fn fields_sent_with_a_throttled_one_are_read_back_once() {
    let applied = r#"{"success":true,"settings":{"visibility":{"lastSeen":"none"}}}"#;
    let bench = bench(&[
        Ending::Confirm,
        OVER_LIMIT,
        Ending::Answer(200, "", applied),
    ]);
    let one = target("one");
    let last_seen = Change {
        setting: Setting::LastSeen,
        audience: Audience::Nobody,
    };
    let first = bench.call(&one, photo(Audience::Everyone)).await;
    let [throttled, applied, skipped] = [
        bench.call(&one, hide()).await,
        bench.call(&one, last_seen).await,
        bench.call(&one, online()).await,
    ];
    first.await.unwrap().0.unwrap();
    assert_eq!(pause(&throttled.await.unwrap().0), 10);
    assert_eq!(applied.await.unwrap(), (Ok(()), 3));
    assert_eq!(
        pause(&skipped.await.unwrap().0),
        9,
        "the read-back took 1 s"
    );
    assert_eq!(bench.pipes.bodies().len(), 3);
}
