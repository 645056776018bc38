//! Changes and reads that Ryze or WhatsApp send away for their own limits: when they are tried again, and
//! who is left alone for how long.

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
async fn a_change_that_ryze_sent_away_is_tried_again_when_the_limit_is_lifted() {
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
async fn a_limit_that_lasts_too_long_is_told_at_once() {
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
    assert_eq!(bench.pipes.bodies().len(), 1, "the gate is closed");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_whatsapp_throttles_is_left_alone_longer_each_time() {
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
            assert_eq!(bench.pipes.bodies().len(), requests, "it is left alone");
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
        "its own success has not come yet"
    );
}

/// A proxy's `Date` is later than the reset of the server behind it.
#[tokio::test(start_paused = true)]
async fn a_reset_in_the_past_does_not_let_one_request_out_after_the_other() {
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

/// Answers the first request after a second with Ryze's 429, and confirms the others.
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
async fn who_ryze_sent_away_waits_again_in_its_old_place() {
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
async fn who_was_sent_away_can_leave_from_its_old_place() {
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
async fn whatsapps_limit_on_a_read_pauses_the_lane_and_only_an_update_ends_it() {
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
    assert_eq!(bench.pipes.bodies(), [READ], "it is left alone");
    sleep(Duration::from_secs(6)).await;
    bench.read(&one).await.await.unwrap().0.unwrap();
    assert_eq!(pause().await, 20, "a read does not end it");
    sleep(Duration::from_secs(20)).await;
    bench.call(&one, online()).await.await.unwrap().0.unwrap();
    assert_eq!(pause().await, 10, "an update does");
}

#[tokio::test(start_paused = true)]
async fn whatsapps_limit_is_told_to_who_waits_beside_a_read() {
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
