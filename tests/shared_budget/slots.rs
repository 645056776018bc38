//! Slots and pace of the limit while Redis is available. `outage` is about its loss.

use std::time::Duration;

use rustls::RootCertStore;
use tokio::time::{Instant, sleep};
use zapi_to_ryze::budget::{
    Purpose,
    redis::{Decision, SharedLimiter, SharedQuota},
};

use super::{
    LONGEST, RELEASE_DELAY, is_about, lease, next, process, redis::Redis, sharing, silence, slots,
    wait,
};
use crate::harness::soon;

#[tokio::test]
#[ignore = "needs redis-server"]
async fn all_processes_share_one_limit() {
    let redis = Redis::start().await;
    let processes: [_; 4] = sharing(&redis, slots(6)).await;
    let mut leases = Vec::new();
    for turn in 0..20 {
        match processes[turn % 4].acquire(Purpose::Call).await {
            Decision::Granted(lease) => leases.push(lease),
            Decision::NotBefore(time) => {
                // A slot in flight is free when it was held, and that could begin now.
                let wait = time - Instant::now();
                assert!(is_about(wait, RELEASE_DELAY), "{wait:?}");
            }
            Decision::Unavailable { .. } => panic!("Redis is there"),
        }
    }
    assert_eq!(leases.len(), 6);
    let other =
        SharedLimiter::new(&redis.url(), "other", slots(6), RootCertStore::empty()).unwrap();
    let _ = lease(other.acquire(Purpose::Call).await);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_slot_is_free_when_it_was_held_long_enough_or_given_back() {
    let redis = Redis::start().await;
    let [one, other] = sharing(&redis, slots(2)).await;
    let [first, second] = [
        lease(one.acquire(Purpose::Call).await),
        lease(one.acquire(Purpose::Call).await),
    ];
    assert!(is_about(
        wait(other.acquire(Purpose::Call).await),
        RELEASE_DELAY
    ));
    one.release(first);
    let third = soon(async {
        loop {
            if let Decision::Granted(lease) = other.acquire(Purpose::Call).await {
                break lease;
            }
        }
    })
    .await;
    let over = Instant::now();
    one.release_later(second);
    let _ = soon(next(&other)).await;
    let waited = over.elapsed();
    assert!(
        waited >= RELEASE_DELAY && is_about(RELEASE_DELAY, waited),
        "{waited:?}"
    );
    other.release_later(third);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn the_pace_is_that_of_all_processes() {
    // Shorter than a lease, as it always is.
    const INTERVAL: Duration = Duration::from_millis(2_500);
    let redis = Redis::start().await;
    let quota = SharedQuota {
        burst: 2,
        interval: INTERVAL,
        ..slots(100)
    };
    let [one, other] = sharing(&redis, quota).await;
    let first = lease(one.acquire(Purpose::Call).await);
    let _ = lease(other.acquire(Purpose::Call).await);
    assert!(is_about(wait(other.acquire(Purpose::Call).await), INTERVAL));
    let given_back = Instant::now();
    one.release(first);
    soon(async { while !matches!(other.acquire(Purpose::Call).await, Decision::Granted(_)) {} })
        .await;
    assert!(given_back.elapsed() < INTERVAL / 2);
    assert!(is_about(wait(one.acquire(Purpose::Call).await), INTERVAL));
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn the_slots_of_a_killed_process_come_back_when_no_request_of_it_can_count() {
    let redis = Redis::start().await;
    let [killed, other] = [(); 2].map(|()| process(&redis.url(), slots(1)));
    let taken = Instant::now();
    let _ = lease(killed.acquire(Purpose::Call).await);
    drop(killed);
    let _ = soon(next(&other)).await;
    let waited = taken.elapsed();
    let lease = LONGEST + RELEASE_DELAY;
    assert!(waited >= lease && is_about(lease, waited), "{waited:?}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn nothing_stays_in_redis_for_ever() {
    let redis = Redis::start().await;
    let [one] = sharing(&redis, slots(2)).await;
    let expires = async || {
        let time = redis.tell("PTTL zapi-to-ryze:test").await;
        let time: i64 = time.trim_start_matches(':').parse().unwrap();
        assert!((1..=3_600_000).contains(&time), "{time}");
    };
    let [first, second] = [
        lease(one.acquire(Purpose::Call).await),
        lease(one.acquire(Purpose::Call).await),
    ];
    expires().await;
    one.release_later(first);
    one.release(second);
    sleep(Duration::from_millis(100)).await;
    expires().await;
    assert_eq!(redis.tell("DBSIZE").await, ":1");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_password_lets_in() {
    let redis = Redis::start_with(&["--requirepass", "p@ss/word"]).await;
    let with = |login: &str| {
        let url = format!("redis://{login}{}/3", redis.address);
        process(&url, slots(1))
    };
    for wrong in ["", ":wrong@", "nobody:p%40ss%2Fword@"] {
        assert!(is_about(
            silence(with(wrong).acquire(Purpose::Call).await),
            RELEASE_DELAY
        ));
    }
    let _ = lease(with(":p%40ss%2Fword@").acquire(Purpose::Call).await);
    assert!(is_about(
        wait(with("default:p%40ss%2Fword@").acquire(Purpose::Call).await),
        RELEASE_DELAY
    ));
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn tls_is_spoken_with_a_server_that_is_trusted() {
    let (redis, url, roots) = Redis::start_with_tls().await;
    let trusting = SharedLimiter::new(&url, "test", slots(1), roots.clone()).unwrap();
    let _ = lease(trusting.acquire(Purpose::Call).await);
    let other_name = url.replace("localhost", "127.0.0.1");
    for (url, roots) in [(&url, RootCertStore::empty()), (&other_name, roots)] {
        let wary = SharedLimiter::new(url, "test", slots(1), roots).unwrap();
        assert!(is_about(
            silence(wary.acquire(Purpose::Call).await),
            RELEASE_DELAY
        ));
    }
    let plain = process(&redis.url(), slots(1));
    assert!(is_about(
        wait(plain.acquire(Purpose::Call).await),
        RELEASE_DELAY
    ));
}

#[test]
fn what_is_no_url_of_redis_is_refused() {
    for url in [
        "",
        "redis",
        "http://localhost",
        "redis+unix:///socket",
        "unix:///x",
    ] {
        let shared = SharedLimiter::new(url, "test", slots(1), RootCertStore::empty());
        assert!(shared.is_err(), "{url}");
    }
}
