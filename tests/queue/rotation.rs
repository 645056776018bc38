//! Reloads that replace an instance's token or configuration entry while calls are queued or in flight,
//! on a paused clock. The queue is the same by the instance's name, and what a response says of a token
//! holds for that token alone.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};
use zapi_to_ryze::{
    budget::{Allowance, Purpose},
    privacy::{Audience, Failure, Limiter},
    redact::SecretIndex,
    ryze::Target,
};

use super::{ALL, BOTH, Bench, NONE, ONLINE, READ, in_turn, online, photo, slow};
use crate::pipes::{Ending, budget, target_of};

const SECOND: Duration = Duration::from_secs(1);
const CONTACTS: &str = r#"{"visibility":{"profile":"contacts"}}"#;
const DENIED: Ending = Ending::Answer(401, "", r#"{"error":{"message":"Invalid token"}}"#);
/// Ryze's limit is exceeded, and resets in 15 s.
const OVER_LIMIT: Ending = Ending::Answer(
    429,
    "Date: Sat, 21 Nov 2026 20:00:00 GMT\r\nX-RateLimit-Remaining: 0\r\n\
     X-RateLimit-Reset: 1795291215\r\n",
    "",
);
const THROTTLED: Ending = Ending::Answer(
    500,
    "",
    r#"{"error":{"message":"failed to update profile privacy: info query returned status 429: rate-overlimit"}}"#,
);

/// Two entries of one instance with different tokens.
fn two() -> [Arc<Target>; 2] {
    [target_of("1", "one", "a"), target_of("2", "one", "b")]
}

fn old() -> Arc<Target> {
    target_of("1", "one", "old")
}

fn new() -> Arc<Target> {
    target_of("1", "one", "new")
}

fn bench(endings: &[Ending]) -> Bench {
    let bench = Bench::new(in_turn(SECOND, endings));
    bench.queues.configure(&[old()]);
    bench
}

#[tokio::test(start_paused = true)]
async fn calls_of_two_tokens_are_never_coalesced() {
    let bench = Bench::new(slow(5));
    let [a, b] = two();
    bench.queues.configure(&[Arc::clone(&a), Arc::clone(&b)]);
    let mut calls = Vec::new();
    for (target, audience) in [
        (&a, Audience::Everyone),
        (&a, Audience::Everyone),
        (&b, Audience::Nobody),
        // It could share a request with the second, but must not overtake the third.
        (&a, Audience::Contacts),
    ] {
        calls.push(bench.call(target, photo(audience)).await);
    }
    for (call, seconds) in calls.into_iter().zip([5, 10, 15, 20]) {
        assert_eq!(call.await.unwrap(), (Ok(()), seconds));
    }
    assert_eq!(bench.pipes.bodies(), [ALL, ALL, NONE, CONTACTS]);
    assert_eq!(bench.pipes.tokens(), ["a", "a", "b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn the_queue_survives_new_ids_and_tokens_of_its_instance() {
    let (both_changed, added_again) = (target_of("2", "one", "new"), target_of("3", "one", "new"));
    for (reloads, target) in [
        (vec![vec![new()]], new()),
        (vec![vec![Arc::clone(&both_changed)]], both_changed),
        (vec![vec![], vec![Arc::clone(&added_again)]], added_again),
    ] {
        let bench = Bench::new(slow(5));
        bench.queues.configure(&[old()]);
        let in_flight = bench.call(&old(), photo(Audience::Contacts)).await;
        let older = bench.call(&old(), photo(Audience::Everyone)).await;
        for targets in reloads {
            bench.queues.configure(&targets);
            yield_now().await;
        }
        let newer = bench.call(&target, photo(Audience::Nobody)).await;
        sleep(SECOND * 4).await;
        assert_eq!(bench.pipes.bodies(), [CONTACTS], "one in flight");
        assert_eq!(in_flight.await.unwrap(), (Ok(()), 5));
        for call in [older, newer] {
            assert_eq!(call.await.unwrap(), (Ok(()), 10));
        }
        assert_eq!(bench.pipes.bodies(), [CONTACTS, NONE], "both in one");
        assert_eq!(bench.pipes.tokens(), ["old", "new"]);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_rejection_of_the_old_token_calls_are_sent_with_the_new_one() {
    for refusal in [DENIED, OVER_LIMIT] {
        let bench = bench(&[refusal, Ending::Confirm]);
        let refused = bench.call(&old(), photo(Audience::Nobody)).await;
        let waits = bench.call(&old(), online()).await;
        let reads = bench.read(&old()).await;
        sleep(SECOND / 2).await;
        bench.queues.configure(&[new()]);
        assert_eq!(refused.await.unwrap(), (Ok(()), 2));
        assert_eq!(waits.await.unwrap(), (Ok(()), 2));
        assert_eq!(reads.await.unwrap().1, 3);
        assert_eq!(bench.queues.instance_status(&new()), (0, None));
        assert_eq!(bench.pipes.bodies(), [NONE, BOTH, READ]);
        assert_eq!(bench.pipes.tokens(), ["old", "new", "new"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_denial_of_one_token_does_not_suspend_another_of_its_instance() {
    let bench = Bench::new(in_turn(SECOND, &[DENIED, Ending::Confirm]));
    let [a, b] = two();
    bench.queues.configure(&[Arc::clone(&a), Arc::clone(&b)]);
    let denied = bench.call(&a, online()).await;
    let waits = bench.call(&a, online()).await;
    let of_other = bench.call(&b, photo(Audience::Nobody)).await;
    for call in [denied, waits] {
        let (outcome, seconds) = call.await.unwrap();
        assert!(
            matches!(outcome, Err(Failure::Denied { .. })),
            "{outcome:?}"
        );
        assert_eq!(seconds, 1);
    }
    let cause = |target| {
        bench
            .queues
            .instance_status(target)
            .1
            .map(|suspended| suspended.cause)
    };
    assert_eq!((cause(&a), cause(&b)), (Some("denied"), None));
    assert_eq!(of_other.await.unwrap(), (Ok(()), 2));
    assert_eq!(cause(&a), Some("denied"), "that was another token's");
    assert_eq!(bench.pipes.tokens(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn an_exceeded_limit_of_one_token_refuses_no_call_of_another() {
    let bench = Bench::new(in_turn(
        SECOND,
        &[Ending::Answer(429, "", ""), Ending::Confirm],
    ));
    let [a, b] = two();
    bench.queues.configure(&[Arc::clone(&a), Arc::clone(&b)]);
    let away = bench.call(&a, online()).await;
    let waits = bench.call(&a, online()).await;
    let of_other = bench.call(&b, photo(Audience::Nobody)).await;
    for call in [away, waits] {
        let (outcome, _) = call.await.unwrap();
        assert!(matches!(
            outcome,
            Err(Failure::Throttled {
                by: Limiter::Upstream,
                ..
            })
        ));
    }
    assert_eq!(of_other.await.unwrap(), (Ok(()), 2));
    assert_eq!(bench.pipes.tokens(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_the_limit_of_a_replaced_token_is_sent_at_once() {
    for (reload, seconds) in [(new(), 2), (old(), 15)] {
        let bench = Bench::new(in_turn(Duration::ZERO, &[OVER_LIMIT, Ending::Confirm]));
        bench.queues.configure(&[old()]);
        let away = bench.call(&old(), photo(Audience::Nobody)).await;
        let joins = bench.call(&old(), online()).await;
        sleep(SECOND * 2).await;
        bench.queues.configure(&[reload]);
        for call in [away, joins] {
            assert_eq!(call.await.unwrap(), (Ok(()), seconds));
        }
        assert_eq!(bench.pipes.bodies(), [NONE, BOTH]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_back_continues_with_the_new_token() {
    let shown = Ending::Answer(
        200,
        "",
        r#"{"success":true,"settings":{"visibility":{"profile":"none"}}}"#,
    );
    // When the token is replaced, the read-back waits for a limit, or is rejected afterwards.
    let limited = Ending::Answer(
        500,
        "Date: Sat, 21 Nov 2026 20:00:00 GMT\r\nX-RateLimit-Remaining: 0\r\n\
         X-RateLimit-Reset: 1795291215\r\n",
        "",
    );
    let failed = Ending::Answer(500, "", "");
    for (endings, tokens, millis) in [
        (vec![limited, shown], vec!["old", "new"], 2500),
        (vec![failed, DENIED, shown], vec!["old", "old", "new"], 3000),
        (
            vec![failed, OVER_LIMIT, shown],
            vec!["old", "old", "new"],
            3000,
        ),
    ] {
        let bench = bench(&endings);
        let start = Instant::now();
        let call = bench.call(&old(), photo(Audience::Nobody)).await;
        sleep(SECOND * 3 / 2).await;
        bench.queues.configure(&[new()]);
        call.await.unwrap().0.unwrap();
        assert_eq!(start.elapsed().as_millis(), millis);
        assert_eq!(bench.pipes.tokens(), tokens);
        assert_eq!(bench.queues.instance_status(&new()), (0, None));
    }
}

/// A permit counts for the limit of the token that it was acquired for.
#[tokio::test(start_paused = true)]
async fn a_permit_for_the_old_token_is_not_used_for_the_new_one() {
    let budget = budget(1000, 1000, SECOND * 30);
    let bench = Bench::with_budget(slow(0), budget.clone());
    bench.queues.configure(&[old()]);
    // Ryze allows the new token nothing for 10 s.
    let permit = |target: Arc<Target>| {
        let budget = budget.clone();
        async move {
            let token = target.token_digest();
            let permit = budget.acquire_within(token, Purpose::Call, Duration::ZERO);
            permit.await.unwrap()
        }
    };
    let mut limited = permit(new()).await;
    limited.mark_sent();
    limited.record_response(Some(Allowance {
        remaining: 0,
        reset: SECOND * 10,
    }));
    // Until its first response, a token has at most one request in flight.
    let first = permit(old()).await;
    let call = bench.call(&old(), online()).await;
    assert!(bench.pipes.bodies().is_empty());
    // The permit is granted in the moment in which the token is replaced.
    drop(first);
    bench.queues.configure(&[new()]);
    assert_eq!(call.await.unwrap(), (Ok(()), 10));
    assert_eq!(bench.pipes.tokens(), ["new"]);
}

#[tokio::test(start_paused = true)]
async fn whatsapps_throttle_is_the_accounts_whatever_its_token() {
    let bench = bench(&[THROTTLED, THROTTLED, DENIED, Ending::Confirm]);
    let throttled = async |target: &Arc<Target>| {
        let call = bench.call(target, photo(Audience::Nobody)).await;
        let (outcome, _) = call.await.unwrap();
        let Err(Failure::Throttled { by, retry_after }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(by, Limiter::WhatsApp);
        retry_after.as_secs()
    };
    assert_eq!(throttled(&old()).await, 10);
    bench.queues.configure(&[new()]);
    assert_eq!(throttled(&new()).await, 10);
    bench.queues.configure(&[]);
    bench.queues.configure(&[new()]);
    assert_eq!(throttled(&new()).await, 10);
    sleep(SECOND * 10).await;
    bench.queues.configure(&[]);
    bench.queues.configure(&[new()]);
    assert_eq!(throttled(&new()).await, 20, "the suspension doubles");
    // A denial of the token does not come from WhatsApp.
    sleep(SECOND * 20).await;
    let denied = bench.call(&new(), online()).await.await.unwrap().0;
    assert!(matches!(denied, Err(Failure::Denied { .. })), "{denied:?}");
    bench.queues.configure(&[new()]);
    bench.call(&new(), online()).await.await.unwrap().0.unwrap();
    assert_eq!(bench.pipes.bodies(), [NONE, NONE, ONLINE, ONLINE]);
}

/// The request's head was read before the reload, and its body after it.
#[tokio::test(start_paused = true)]
async fn a_call_that_arrives_with_a_replaced_token_is_sent_with_the_new_one() {
    let bench = bench(&[Ending::Confirm, DENIED]);
    bench.queues.configure(&[new()]);
    bench.call(&old(), online()).await.await.unwrap().0.unwrap();
    for _ in 0..2 {
        // The second fails at once, because its instance is suspended.
        let denied = bench.call(&old(), online()).await.await.unwrap().0;
        assert!(matches!(denied, Err(Failure::Denied { .. })), "{denied:?}");
    }
    assert_eq!(bench.pipes.tokens(), ["new", "new"]);
}

/// A token that a reload has replaced stays secret in the answer to a request that was sent before.
#[tokio::test(start_paused = true)]
async fn the_secrets_of_the_moment_of_sending_are_hidden_too() {
    const TELLS: Ending = Ending::Answer(
        400,
        "",
        r#"{"error":{"message":"no call with o%6cd/t for r%65tired"}}"#,
    );
    let secrets = |all: &[&'static str]| Arc::new(SecretIndex::new(all.iter().copied()));
    for (before, after, is_hidden) in [
        ("old/t", "new/t", true),
        ("retired", "new/t", true),
        ("new/t", "old/t", true),
        ("new/t", "newer/t", false),
    ] {
        let bench = Bench::new(in_turn(SECOND, &[TELLS]));
        bench.queues.redact(secrets(&[before]));
        let call = bench.call(&target_of("1", "one", "token"), online()).await;
        sleep(SECOND / 2).await;
        bench.queues.redact(secrets(&[after]));
        let (outcome, _) = call.await.unwrap();
        let Err(Failure::Refused { report, .. }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(report.message.is_none(), is_hidden, "{before}: {report}");
    }
}
