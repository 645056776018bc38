//! The rate limits of Ryze and WhatsApp, on a paused clock: when calls are retried, and how long an
//! instance is suspended.

use std::time::Duration;

use tokio::time::sleep;
use zapi_to_ryze::privacy::{Audience, Failure, Limiter};

use super::{ALL, BOTH, Bench, NONE, ONLINE, READ, online, photo};
use crate::pipes::{Ending, Fate, Pipes, target};

const MINUTE: &str = "Date: Sat, 21 Nov 2026 20:00:00 GMT\r\n\
    X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1795291215\r\n";

fn in_turn(endings: &[Ending]) -> Pipes {
    super::in_turn(Duration::ZERO, endings)
}

#[tokio::test(start_paused = true)]
async fn a_change_that_ryze_rate_limited_is_retried_after_the_reset() {
    let bench = Bench::new(in_turn(&[Ending::Answer(429, MINUTE, ""), Ending::Confirm]));
    let (one, other) = (target("one"), target("other"));
    let first = bench.call(&one, photo(Audience::Everyone)).await;
    sleep(Duration::from_secs(1)).await;
    let joins = bench.call(&one, online()).await;
    let refused = bench.call(&other, online()).await;
    let (outcome, seconds) = refused.await.unwrap();
    let Err(Failure::Throttled { by, retry_after }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!((by, seconds), (Limiter::Upstream, 0));
    // 15 s to the reset, 1 s of them over, and 10 s that a change may wait.
    assert_eq!(retry_after.as_millis(), 4000);
    assert_eq!(first.await.unwrap(), (Ok(()), 15));
    assert_eq!(joins.await.unwrap(), (Ok(()), 14));
    assert_eq!(bench.pipes.bodies().len(), 2, "both in one");
}

#[tokio::test(start_paused = true)]
async fn a_limit_with_a_late_reset_fails_the_call_at_once() {
    let bench = Bench::new(in_turn(&[Ending::Answer(429, "", "")]));
    let one = target("one");
    let (outcome, seconds) = bench.call(&one, online()).await.await.unwrap();
    let Err(Failure::Throttled { by, retry_after }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!((by, seconds), (Limiter::Upstream, 0));
    assert_eq!(retry_after, Duration::from_secs(60));
    let next = bench.call(&one, online()).await.await.unwrap();
    assert!(matches!(next.0, Err(Failure::Throttled { .. })), "{next:?}");
    assert_eq!(bench.pipes.bodies().len(), 1, "the upstream limit holds");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_whatsapp_throttles_is_suspended_longer_each_time() {
    const THROTTLED: Ending = Ending::Answer(
        500,
        "",
        r#"{"error":{"message":"failed to update online privacy: info query returned status 429: rate-overlimit"}}"#,
    );
    let bench = Bench::new(in_turn(&[THROTTLED, THROTTLED, Ending::Confirm, THROTTLED]));
    let (one, other) = (target("one"), target("other"));
    let mut pauses = Vec::new();
    for requests in [1, 2] {
        for _ in 0..3 {
            let (outcome, _) = bench.call(&one, online()).await.await.unwrap();
            let Err(Failure::Throttled { by, retry_after }) = outcome else {
                panic!("{outcome:?}");
            };
            assert_eq!(by, Limiter::WhatsApp);
            pauses.push(retry_after.as_secs());
            assert_eq!(bench.pipes.bodies().len(), requests, "it is suspended");
            sleep(Duration::from_secs(2)).await;
        }
        sleep(Duration::from_secs(10 * requests as u64)).await;
    }
    assert_eq!(pauses, [10, 8, 6, 20, 18, 16]);
    assert_eq!(bench.call(&other, online()).await.await.unwrap().0, Ok(()));
    sleep(Duration::from_secs(10)).await;
    let (outcome, _) = bench.call(&one, online()).await.await.unwrap();
    let Err(Failure::Throttled { retry_after, .. }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        retry_after,
        Duration::from_secs(40),
        "the success was another instance's"
    );
}

/// A proxy's `Date` is later than the reset of the server behind it.
#[tokio::test(start_paused = true)]
async fn after_a_reset_in_the_past_requests_are_still_limited() {
    let past = "Date: Sat, 21 Nov 2026 20:00:00 GMT\r\n\
        X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1795291199\r\n";
    let ending = Ending::Answer(429, past, "");
    let bench = Bench::new(super::in_turn(Duration::from_millis(100), &[ending]));
    for number in 0..100 {
        let target = target(&number.to_string());
        bench.call(&target, online()).await;
        sleep(Duration::from_millis(400)).await;
    }
    let requests = bench.pipes.bodies().len();
    assert!(requests <= 2, "{requests} requests in 40 s");
}

/// An upstream that takes 1 s, ends the first request with Ryze's 429, and confirms all others.
fn throttled_once() -> Pipes {
    Pipes::new(|number| Fate {
        transit: Duration::ZERO,
        work: Duration::from_secs(1),
        ending: match number {
            0 => Ending::Answer(429, MINUTE, ""),
            _ => Ending::Confirm,
        },
    })
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_call_is_requeued_in_its_old_place() {
    let bench = Bench::new(throttled_once());
    let one = target("one");
    let read = bench.read(&one).await;
    let change = bench.call(&one, photo(Audience::Nobody)).await;
    let joins = bench.read(&one).await;
    assert_eq!(read.await.unwrap().1, 17, "1 s, 15 s to the reset, and 1 s");
    assert_eq!(joins.await.unwrap().1, 17);
    assert_eq!(change.await.unwrap(), (Ok(()), 18));
    assert_eq!(bench.pipes.bodies(), [READ, READ, NONE]);

    let bench = Bench::new(throttled_once());
    let change = bench.call(&one, photo(Audience::Nobody)).await;
    let read = bench.read(&one).await;
    let joins = bench.call(&one, online()).await;
    assert_eq!(change.await.unwrap(), (Ok(()), 17));
    assert_eq!(joins.await.unwrap(), (Ok(()), 17));
    assert_eq!(read.await.unwrap().1, 18);
    assert_eq!(bench.pipes.bodies(), [NONE, BOTH, READ]);
}

#[tokio::test(start_paused = true)]
async fn a_requeued_call_can_be_cancelled() {
    let bench = Bench::new(throttled_once());
    let one = target("one");
    let leaves = bench.call(&one, photo(Audience::Everyone)).await;
    let read = bench.read(&one).await;
    let change = bench.call(&one, online()).await;
    sleep(Duration::from_secs(2)).await;
    leaves.abort();
    assert_eq!(read.await.unwrap().1, 17);
    assert_eq!(change.await.unwrap(), (Ok(()), 18));
    assert_eq!(bench.pipes.bodies(), [ALL, READ, ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn whatsapps_limit_on_a_read_suspends_the_instance_and_only_an_update_resets_the_length() {
    const THROTTLED: Ending = Ending::Answer(
        429,
        "",
        r#"{"error":{"message":"info query returned status 429: rate-overlimit"}}"#,
    );
    let bench = Bench::new(in_turn(&[
        THROTTLED,
        Ending::Confirm,
        THROTTLED,
        Ending::Confirm,
        THROTTLED,
    ]));
    let one = target("one");
    let pause = async || match bench.read(&one).await.await.unwrap() {
        (
            Err(Failure::Throttled {
                by: Limiter::WhatsApp,
                retry_after,
            }),
            0,
        ) => retry_after.as_secs(),
        other => panic!("{other:?}"),
    };
    assert_eq!(pause().await, 10);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(pause().await, 6);
    let (outcome, _) = bench.call(&one, online()).await.await.unwrap();
    assert!(
        matches!(outcome, Err(Failure::Throttled { .. })),
        "{outcome:?}"
    );
    assert_eq!(bench.pipes.bodies(), [READ], "it is suspended");
    sleep(Duration::from_secs(6)).await;
    bench.read(&one).await.await.unwrap().0.unwrap();
    assert_eq!(pause().await, 20, "a read does not reset the length");
    sleep(Duration::from_secs(20)).await;
    bench.call(&one, online()).await.await.unwrap().0.unwrap();
    assert_eq!(pause().await, 10, "an update does");
}

#[tokio::test(start_paused = true)]
async fn whatsapps_limit_on_a_read_fails_the_queued_changes() {
    let bench = Bench::new(Pipes::new(|_| Fate {
        transit: Duration::ZERO,
        work: Duration::from_secs(1),
        ending: Ending::Answer(429, "", r#"{"error":{"message":"rate-overlimit"}}"#),
    }));
    let one = target("one");
    let read = bench.read(&one).await;
    let change = bench.call(&one, online()).await;
    let throttled = Failure::Throttled {
        by: Limiter::WhatsApp,
        retry_after: Duration::from_secs(10),
    };
    assert_eq!(read.await.unwrap(), (Err(throttled.clone()), 1));
    assert_eq!(change.await.unwrap(), (Err(throttled), 1));
    assert_eq!(bench.pipes.bodies(), [READ]);
}
