//! What several processes keep for read-backs together.

use std::time::Duration;

use tokio::{task::yield_now, time::Instant};
use zapi_to_ryze::budget::{
    Budget, Purpose, RefusedBy,
    redis::{Mode, SharedQuota},
};

use super::{RELEASE_DELAY, is_about, lease, process, redis::Redis, sharing, slots, until, wait};
use crate::harness::soon;

#[tokio::test]
#[ignore = "needs redis-server"]
async fn two_slots_of_all_processes_are_kept_where_there_are_ten() {
    let redis = Redis::start().await;
    let [one, other] = sharing(&redis, slots(10)).await;
    for _ in 0..4 {
        for process in [&one, &other] {
            let _ = lease(process.acquire(Purpose::Call).await);
        }
    }
    for process in [&one, &other] {
        assert!(is_about(
            wait(process.acquire(Purpose::Call).await),
            RELEASE_DELAY
        ));
    }
    let look = lease(one.acquire(Purpose::ReadBack).await);
    let _ = lease(other.acquire(Purpose::ReadBack).await);
    assert!(is_about(
        wait(one.acquire(Purpose::ReadBack).await),
        RELEASE_DELAY
    ));
    one.release(look);
    soon(async { while redis.tell("ZCOUNT zapi-to-ryze:test 0 +inf").await != ":9" {} }).await;
    // What came back is one of those that are kept.
    assert!(is_about(
        wait(other.acquire(Purpose::Call).await),
        RELEASE_DELAY
    ));
    let _ = lease(other.acquire(Purpose::ReadBack).await);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn none_is_kept_below_ten() {
    let redis = Redis::start().await;
    let [one] = sharing(&redis, slots(9)).await;
    for _ in 0..9 {
        let _ = lease(one.acquire(Purpose::Call).await);
    }
    assert!(is_about(
        wait(one.acquire(Purpose::ReadBack).await),
        RELEASE_DELAY
    ));
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn two_slots_of_the_static_share_are_kept() {
    let mut redis = Redis::start().await;
    let quota = SharedQuota {
        static_share: 10,
        burst: 10,
        ..slots(20)
    };
    let one = process(&redis.url(), quota);
    let in_flight = lease(one.acquire(Purpose::Call).await);
    redis.stop();
    until(&one, Mode::Silent).await;
    until(&one, Mode::StaticShare).await;
    for _ in 0..7 {
        let _ = lease(one.acquire(Purpose::Call).await);
    }
    assert!(is_about(
        wait(one.acquire(Purpose::Call).await),
        RELEASE_DELAY
    ));
    for _ in 0..2 {
        let _ = lease(one.acquire(Purpose::ReadBack).await);
    }
    assert!(is_about(
        wait(one.acquire(Purpose::ReadBack).await),
        RELEASE_DELAY
    ));
    one.release_later(in_flight);
}

/// A process whose calls wait for slots, and one that comes with a read-back.
#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_read_back_goes_before_the_calls_that_wait() {
    const TOKEN: [u8; 32] = [0; 32];
    let redis = Redis::start().await;
    let [shared] = sharing(&redis, slots(10)).await;
    // The slot, and the turn of a read-back before it.
    let longest = RELEASE_DELAY + Duration::from_secs(60) / 10 + Duration::from_secs(2);
    let quota = zapi_to_ryze::budget::Quota {
        share: 10,
        burst: 10,
        max_wait: longest,
    };
    let budget = Budget::new(quota).with_shared_limiter(shared);
    for _ in 0..8 {
        let mut permit = budget.acquire(TOKEN).await.unwrap();
        permit.mark_sent();
        permit.record_response(None);
    }
    let waiting = budget.clone();
    let call = tokio::spawn(async move { waiting.acquire(TOKEN).await.map(drop) });
    yield_now().await;
    let start = Instant::now();
    for _ in 0..2 {
        let look = budget.acquire_within(TOKEN, Purpose::ReadBack, Duration::from_secs(1));
        let mut look = soon(look).await.unwrap();
        look.mark_sent();
    }
    assert!(start.elapsed() < RELEASE_DELAY / 2, "{:?}", start.elapsed());
    let late = budget.acquire_within(TOKEN, Purpose::ReadBack, Duration::from_millis(100));
    let refused = soon(late).await.unwrap_err();
    assert!(refused.retry_after < RELEASE_DELAY && refused.by == RefusedBy::Budget);
    soon(call).await.unwrap().unwrap();
}
