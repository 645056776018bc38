//! One budget for several gateways, with a real Redis.
//!
//! `redis` is that Redis; `slots` is about the library's own type with times of a few seconds,
//! `outage` about what it does without Redis, and `gateways` about whole processes.

mod gateways;
mod model;
mod outage;
mod redis;
mod reserved;
mod slots;

use std::time::Duration;

use self::redis::Redis;
use crate::harness::soon;

use rustls::RootCertStore;
use tokio::time::{Instant, sleep, sleep_until};
use zapi_to_ryze::budget::{
    Purpose,
    redis::{Decision, Lease, Mode, SharedLimiter, SharedQuota},
};

/// How long slots are held in these tests.
const RELEASE_DELAY: Duration = Duration::from_secs(2);

/// The longest request in these tests.
const LONGEST: Duration = Duration::from_secs(1);

/// `limit` slots, and a pace that never limits.
fn slots(limit: u32) -> SharedQuota {
    SharedQuota {
        release_delay: RELEASE_DELAY,
        margin: Duration::from_millis(500),
        grace: Duration::ZERO,
        interval: Duration::from_millis(1),
        ..SharedQuota::new(limit, limit, 1, LONGEST)
    }
}

/// A process that shares a budget.
fn process(url: &str, quota: SharedQuota) -> SharedLimiter {
    SharedLimiter::new(url, "test", quota, RootCertStore::empty()).unwrap()
}

/// Processes that share the limit exactly: one of them has watched its state for a whole window.
async fn sharing<const N: usize>(redis: &Redis, quota: SharedQuota) -> [SharedLimiter; N] {
    let processes = [(); N].map(|()| process(&redis.url(), quota));
    for process in &processes {
        process.start_heartbeat();
    }
    sleep(quota.release_delay).await;
    for process in &processes {
        until(process, Mode::Shared).await;
    }
    processes
}

async fn until(process: &SharedLimiter, mode: Mode) {
    let step = Duration::from_millis(5);
    soon(async {
        while process.mode() != mode {
            sleep(step).await
        }
    })
    .await;
}

/// Takes a slot that must be there.
#[track_caller]
fn lease(taken: Decision) -> Lease {
    match taken {
        Decision::Granted(lease) => lease,
        other => panic!("no slot: {other:?}"),
    }
}

/// The time to wait for a slot that must not be there yet.
#[track_caller]
fn wait(taken: Decision) -> Duration {
    match taken {
        Decision::NotBefore(time) => time.saturating_duration_since(Instant::now()),
        other => panic!("not to be waited for: {other:?}"),
    }
}

/// The time for which Redis must be lost.
#[track_caller]
fn silence(taken: Decision) -> Duration {
    match taken {
        Decision::Unavailable { until } => until.saturating_duration_since(Instant::now()),
        other => panic!("not lost: {other:?}"),
    }
}

/// Takes the next slot, however long that takes.
async fn next(process: &SharedLimiter) -> Lease {
    loop {
        match process.acquire(Purpose::Call).await {
            Decision::Granted(lease) => return lease,
            Decision::NotBefore(time) | Decision::Unavailable { until: time } => {
                sleep_until(time).await
            }
        }
    }
}

/// Whether a time is what it should be, give or take what a busy machine needs.
fn is_about(time: Duration, expected: Duration) -> bool {
    time <= expected + Duration::from_millis(10) && time + Duration::from_secs(1) > expected
}
