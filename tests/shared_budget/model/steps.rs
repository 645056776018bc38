//! Steps that meet a fault at a chosen moment: what Redis holds afterwards, and what is granted.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, sleep_until, timeout};
use zapi_to_ryze::budget::{
    Budget, Purpose,
    redis::{Decision, Lease, Mode, SharedLimiter, SharedQuota},
};

use super::server::{Keeps, Link, Server};

const LONGEST: Duration = Duration::from_secs(15);
const SECOND: Duration = Duration::from_secs(1);
const TENTH: Duration = Duration::from_millis(100);

fn quota(limit: u32) -> SharedQuota {
    SharedQuota::new(limit, limit, limit, LONGEST)
}

fn link(server: &Arc<Server>, distance: Duration) -> Arc<Link> {
    Link::new(server, distance, Duration::ZERO)
}

async fn until(process: &SharedLimiter, mode: Mode) {
    let reached = async {
        while process.mode() != mode {
            sleep(TENTH).await;
        }
    };
    timeout(SECOND * 300, reached).await.unwrap();
}

/// A process that shares the limit exactly.
async fn exact(link: &Arc<Link>, quota: SharedQuota) -> SharedLimiter {
    let process = SharedLimiter::with_store(Arc::clone(link) as _, "test", quota);
    process.start_heartbeat();
    sleep(SECOND).await;
    until(&process, Mode::Shared).await;
    process
}

/// Takes `count` slots, however long that takes.
async fn take(process: &SharedLimiter, count: usize) -> Vec<Lease> {
    let mut leases = Vec::new();
    while leases.len() < count {
        match process.acquire(Purpose::Call).await {
            Decision::Granted(lease) => leases.push(lease),
            Decision::NotBefore(time) | Decision::Unavailable { until: time } => {
                sleep_until(time).await
            }
        }
    }
    leases
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_is_taken_while_the_process_joins_is_in_redis_afterwards() {
    let server = Server::new();
    let link = link(&server, TENTH * 3);
    let process = exact(&link, quota(20)).await;
    link.cut(SECOND * 70);
    until(&process, Mode::Silent).await;
    until(&process, Mode::StaticShare).await;
    sleep(SECOND * 6).await;
    // Some of these are taken while the step that finds Redis again is in flight.
    let mut leases = Vec::new();
    while leases.len() < 18 {
        if let Decision::Granted(lease) = process.acquire(Purpose::Call).await {
            leases.push(lease);
        }
        sleep(TENTH * 2).await;
    }
    sleep(SECOND * 10).await;
    assert_eq!(server.slots(), leases.len());
}

#[tokio::test(start_paused = true)]
async fn slots_are_reported_to_a_state_that_has_lost_them() {
    let server = Server::new();
    let process = exact(&link(&server, TENTH), quota(10)).await;
    let leases = take(&process, 5).await;
    for keeps in [Keeps::Nothing, Keeps::Snapshot] {
        server.restart(SECOND * 2, keeps);
        sleep(SECOND * 10).await;
        assert_eq!(server.slots(), leases.len(), "{keeps:?}");
    }
    server.lose_state();
    sleep(SECOND * 10).await;
    assert_eq!(server.slots(), leases.len());
}

#[tokio::test(start_paused = true)]
async fn a_slot_whose_answer_is_too_late_is_given_back() {
    let server = Server::new();
    let process = exact(&link(&server, TENTH), quota(10)).await;
    server.pause(SECOND * 5);
    let taken = process.acquire(Purpose::Call).await;
    assert!(matches!(taken, Decision::Unavailable { .. }), "{taken:?}");
    sleep(SECOND * 4).await;
    until(&process, Mode::Shared).await;
    sleep(SECOND * 2).await;
    assert_eq!(server.slots(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slot_in_the_answer_that_shows_a_stepped_clock_is_not_used() {
    let server = Server::new();
    let process = exact(&link(&server, TENTH), quota(10)).await;
    server.step_clock(SECOND * 70, false);
    let taken = process.acquire(Purpose::Call).await;
    assert!(matches!(taken, Decision::Unavailable { .. }), "{taken:?}");
    assert_eq!(process.mode(), Mode::Silent);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_back_late_keeps_to_its_static_share_for_a_window_and_the_margin() {
    for (outage, is_late) in [(50, false), (57, true), (60, true), (70, true)] {
        let server = Server::new();
        let link = link(&server, Duration::from_millis(1));
        let quota = quota(10);
        let process = exact(&link, quota).await;
        // Right after a heartbeat, so that the loss is noticed with the next one.
        link.cut(SECOND * outage);
        sleep(SECOND * (outage + 3)).await;
        let is_exact = process.mode() == Mode::Shared;
        assert_eq!(is_exact, !is_late, "an outage of {outage} s");
        if is_late {
            // Back within the last three seconds, and a second before that at most.
            sleep(quota.release_delay + quota.margin - SECOND * 5).await;
            assert_eq!(process.mode(), Mode::StaticShare, "{outage}");
            sleep(SECOND * 7).await;
            assert_eq!(process.mode(), Mode::Shared, "{outage}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_with_slots_joins_for_a_window_and_the_margin() {
    let server = Server::new();
    let link = link(&server, Duration::from_millis(1));
    let quota = quota(10);
    let process = SharedLimiter::with_store(Arc::clone(&link) as _, "test", quota);
    let _leases = take(&process, 2).await;
    // It kept to its static share, so it need not contest.
    server.lose_state();
    sleep(SECOND * 3).await;
    sleep(quota.release_delay + quota.margin - SECOND * 4).await;
    assert_eq!(process.mode(), Mode::StaticShare);
    sleep(SECOND * 7).await;
    assert_eq!(process.mode(), Mode::Shared);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_from_a_new_state_while_the_old_one_may_have_been_in_use() {
    let quota = SharedQuota {
        static_share: 5,
        ..quota(10)
    };
    // The loss falls between two heartbeats of the process that has slots, at any distance to them.
    for phase in 0..10 {
        let server = Server::new();
        let one = exact(&link(&server, TENTH), quota).await;
        let other = exact(&link(&server, TENTH), quota).await;
        let _leases = take(&one, 3).await;
        sleep(TENTH * phase).await;
        server.lose_state();
        let third = SharedLimiter::with_store(link(&server, TENTH / 10), "test", quota);
        let (other, third) = tokio::join!(
            timeout(SECOND * 50, take(&other, 1)),
            timeout(SECOND * 50, take(&third, 1))
        );
        assert!(other.is_err() && third.is_err(), "{phase}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_keeps_to_its_static_share_for_a_window() {
    let server = Server::new();
    let quota = SharedQuota {
        static_share: 3,
        ..quota(9)
    };
    let one = SharedLimiter::with_store(link(&server, TENTH), "test", quota);
    assert!(timeout(SECOND * 50, take(&one, 4)).await.is_err());
    assert_eq!(server.slots(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_stepped_back_is_noticed_by_a_newcomer() {
    let server = Server::new();
    let killed = exact(&link(&server, TENTH), quota(10)).await;
    let _leases = take(&killed, 3).await;
    drop(killed);
    server.step_clock(SECOND * 70, true);
    let newcomer = SharedLimiter::with_store(link(&server, TENTH), "test", quota(10));
    assert!(timeout(SECOND * 50, take(&newcomer, 1)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_loss_and_a_return_are_noticed_without_a_call() {
    let server = Server::new();
    let process = exact(&link(&server, TENTH), quota(10)).await;
    server.restart(SECOND * 30, Keeps::Everything);
    sleep(SECOND * 3).await;
    assert_eq!(process.mode(), Mode::Silent);
    sleep(SECOND * 30).await;
    assert_eq!(process.mode(), Mode::StaticShare);
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_was_asked_for_a_read_back_is_not_given_to_a_call() {
    const TOKEN: [u8; 32] = [0; 32];
    let server = Server::new();
    let shared = exact(&link(&server, TENTH), quota(10)).await;
    let quota = zapi_to_ryze::budget::Quota {
        share: 10,
        burst: 10,
        max_wait: SECOND * 100,
    };
    let budget = Budget::new(quota).with_shared_limiter(shared);
    for _ in 0..8 {
        budget.acquire(TOKEN).await.unwrap().mark_sent();
    }
    // Two slots are left, for read-backs. The read-back stops waiting while its step is in flight.
    let read_back = budget.acquire_within(TOKEN, Purpose::ReadBack, SECOND * 100);
    assert!(timeout(TENTH / 2, read_back).await.is_err());
    let call = timeout(SECOND * 5, budget.acquire(TOKEN)).await;
    assert!(call.is_err(), "a call had a reserved slot: {call:?}");
    assert_eq!(server.slots(), 8);
}
