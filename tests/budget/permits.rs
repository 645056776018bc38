//! Single permits: their order, the cost of an unused one, and the `retry_after` of a refusal.

use std::time::Duration;

use proptest::prelude::*;
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, advance, sleep, timeout},
};
use zapi_to_ryze::budget::{Allowance, Budget, Quota, RefusedBy};

use super::{MINUTE, millis, on_paused_clock};
use crate::pipes::budget;

const TOKEN: [u8; 32] = [0; 32];

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_in_order_and_at_the_pace() {
    let budget = self::budget(60, 2, Duration::from_secs(30));
    let start = Instant::now();
    let mut waiting = JoinSet::new();
    for number in 0..6 {
        let budget = budget.clone();
        waiting.spawn(async move {
            let mut permit = budget.acquire(TOKEN).await.unwrap();
            permit.mark_sent();
            (number, start.elapsed().as_secs())
        });
        tokio::task::yield_now().await;
    }
    let mut served = Vec::new();
    while let Some(turn) = waiting.join_next().await {
        served.push(turn.unwrap());
    }
    assert_eq!(served, [(0, 0), (1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]);
}

#[tokio::test(start_paused = true)]
async fn nobody_overtakes_who_waits_in_the_moment_of_a_grant() {
    let budget = self::budget(60, 1, Duration::from_secs(30));
    let start = Instant::now();
    let mut served = JoinSet::new();
    let mut ask = |name, after| {
        let budget = budget.clone();
        served.spawn(async move {
            sleep(Duration::from_secs(after)).await;
            budget.acquire(TOKEN).await.unwrap().mark_sent();
            (start.elapsed().as_secs(), name)
        });
    };
    ask("first", 0);
    // One of the late ones wakes before the grant, whatever the order of the timers.
    ask("late", 1);
    ask("waiting", 0);
    yield_now().await;
    ask("late", 1);
    let mut order = served.join_all().await;
    order.sort_unstable();
    assert_eq!(
        order,
        [(0, "first"), (1, "waiting"), (2, "late"), (3, "late")]
    );
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_was_not_used_comes_back_at_once() {
    let budget = self::budget(1, 1, Duration::ZERO);
    let permit = budget.acquire(TOKEN).await.unwrap();
    assert!(budget.acquire(TOKEN).await.is_err());
    drop(permit);
    let mut permit = budget.acquire(TOKEN).await.expect("nothing was sent");
    permit.mark_sent();
    permit.mark_not_sent();
    drop(permit);
    let mut permit = budget
        .acquire(TOKEN)
        .await
        .expect("it turned out that nothing was sent");
    permit.mark_sent();
    drop(permit);
    advance(MINUTE).await;
    assert!(
        budget.acquire(TOKEN).await.is_err(),
        "the guard of 1 s is not over"
    );
    advance(Duration::from_secs(1)).await;
    assert!(budget.acquire(TOKEN).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn turns_that_come_back_do_not_add_up_to_a_burst() {
    let budget = self::budget(60, 3, Duration::ZERO);
    let first = budget.acquire(TOKEN).await.unwrap();
    first.record_response(None);
    let unused = [
        first,
        budget.acquire(TOKEN).await.unwrap(),
        budget.acquire(TOKEN).await.unwrap(),
    ];
    drop(unused);
    budget.acquire(TOKEN).await.unwrap().mark_sent();
    assert!(budget.acquire(TOKEN).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_idle_time_does_not_let_out_more_than_the_burst() {
    let budget = self::budget(60, 2, Duration::ZERO);
    sleep(Duration::from_secs(100)).await;
    for _ in 0..2 {
        budget.acquire(TOKEN).await.unwrap().mark_sent();
    }
    let refused = budget.acquire(TOKEN).await.unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_is_passed_over() {
    let budget = self::budget(60, 1, Duration::from_secs(2));
    let first = budget.acquire(TOKEN).await.unwrap();
    first.record_response(None);
    for _ in 0..50 {
        let left = timeout(Duration::from_millis(1), budget.acquire(TOKEN)).await;
        assert!(
            left.is_err(),
            "waits, and is refused by nobody who left before"
        );
    }
    let start = Instant::now();
    budget.acquire(TOKEN).await.unwrap();
    assert!(start.elapsed() <= Duration::from_secs(1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Until the time that a refusal names a new request is refused, and from then on it is not.
    #[test]
    fn a_refusal_names_the_earliest_time_of_an_admission(
        share in 1..30_u32,
        burst in 1..30_u32,
        max_wait in millis(0..20_000),
        pauses in prop::collection::vec(millis(0..3000), 1..80),
    ) {
        on_paused_clock(async {
            let budget = self::budget(share, burst.min(share), max_wait);
            let mut queue = JoinSet::new();
            for pause in pauses {
                sleep(pause).await;
                let waiting = budget.clone();
                queue.spawn(async move {
                    // Answered at once, for how long an answer takes cannot be foretold.
                    if let Ok(mut permit) = waiting.acquire(TOKEN).await {
                        permit.mark_sent();
                    }
                });
            }
            let refusal = timeout(Duration::ZERO, budget.acquire(TOKEN)).await;
            let Ok(Err(refused)) = refusal else { return Ok(()) };
            let ask = |after: Duration| {
                let budget = budget.clone();
                async move {
                    // In steps of the clock, for others wait as well.
                    sleep(after).await;
                    matches!(timeout(Duration::ZERO, budget.acquire(TOKEN)).await, Ok(Err(_)))
                }
            };
            // tokio's timers are up to 1 ms late, and grants follow each other.
            let little = Duration::from_millis(50);
            prop_assume!(refused.retry_after > little);
            prop_assert!(ask(refused.retry_after - little).await, "admitted sooner");
            prop_assert!(!ask(little * 2).await, "not admitted then");
            Ok(())
        })?;
    }
}

/// Ryze's word for a token holds whether the token is configured or not: it may come back.
#[tokio::test(start_paused = true)]
async fn a_limit_that_still_holds_outlives_a_reload() {
    let budget = self::budget(1000, 1000, Duration::ZERO);
    let limited = async |token: u8, seconds: u64| {
        let mut permit = budget.acquire([token; 32]).await.unwrap();
        permit.mark_sent();
        permit.record_response(Some(Allowance {
            remaining: 0,
            reset: Duration::from_secs(seconds),
        }));
    };
    limited(1, 50).await;
    limited(2, 10).await;
    sleep(Duration::from_secs(20)).await;
    for configured in [vec![[3; 32]], vec![], vec![[1; 32]]] {
        budget.retain(configured.into_iter());
        let refused = budget.acquire([1; 32]).await.unwrap_err();
        assert_eq!(refused.by, RefusedBy::Upstream);
        assert_eq!(refused.retry_after, Duration::from_secs(30));
    }
    budget.acquire([2; 32]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_budget_for_each_token_that_has_a_use_for_it() {
    let quota = Quota {
        share: 1,
        burst: 1,
        max_wait: Duration::ZERO,
    };
    for (budget, served) in [(Budget::new(quota), 1), (Budget::per_token(quota), 5)] {
        let mut permits = 0;
        for token in 0..5 {
            for _ in 0..2 {
                if let Ok(mut permit) = budget.acquire([token; 32]).await {
                    permit.mark_sent();
                    permits += 1;
                }
            }
        }
        assert_eq!((permits, budget.count()), (served, served));
        // Past the hold of the slots all but the one in use are dropped.
        sleep(Duration::from_secs(61)).await;
        let _permit = budget.acquire([9; 32]).await;
        assert_eq!(budget.count(), 1);
    }
}

/// A reload takes the token away and the next one puts it back, while a request is in flight with it.
#[tokio::test(start_paused = true)]
async fn what_the_answer_to_a_request_in_flight_says_of_its_token_outlives_a_reload() {
    let reset = Duration::from_secs(10);
    for is_known in [false, true] {
        let budget = self::budget(100, 100, Duration::from_secs(30));
        if is_known {
            budget.acquire(TOKEN).await.unwrap().record_response(None);
        }
        let mut in_flight = budget.acquire(TOKEN).await.unwrap();
        in_flight.mark_sent();
        budget.retain([[1; 32]].into_iter());
        in_flight.record_response(Some(Allowance {
            remaining: 0,
            reset,
        }));
        drop(in_flight);
        budget.retain([TOKEN].into_iter());
        let begun = Instant::now();
        budget.acquire(TOKEN).await.unwrap();
        assert_eq!(begun.elapsed(), reset, "{is_known}");
    }
}

/// Each token is granted at its own reset, whichever call came first.
#[tokio::test(start_paused = true)]
async fn of_several_upstream_limits_the_earliest_reset_grants_first() {
    for resets in [[50, 10], [10, 50]] {
        let budget = self::budget(1000, 1000, Duration::from_secs(60));
        for (token, seconds) in [1, 2].into_iter().zip(resets) {
            let mut permit = budget.acquire([token; 32]).await.unwrap();
            permit.mark_sent();
            permit.record_response(Some(Allowance {
                remaining: 0,
                reset: Duration::from_secs(seconds),
            }));
        }
        let start = Instant::now();
        let granted = async |token: u8| {
            drop(budget.acquire([token; 32]).await.unwrap());
            start.elapsed().as_secs()
        };
        let (one, other) = tokio::join!(granted(1), granted(2));
        assert_eq!([one, other], resets);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_caution_of_a_start_for_a_token_that_waits() {
    let budget = self::budget(1000, 1000, Duration::from_secs(60));
    let mut first = budget.acquire([1; 32]).await.unwrap();
    first.mark_sent();
    let start = Instant::now();
    let waits = async {
        let _permit = budget.acquire([1; 32]).await.unwrap();
        start.elapsed().as_secs()
    };
    let reload = async {
        sleep(Duration::from_secs(1)).await;
        budget.retain(vec![[2; 32]].into_iter());
        // Another token's permit that ends makes the dispatcher look again.
        drop(budget.acquire([2; 32]).await.unwrap());
    };
    let (granted, ()) = tokio::join!(waits, reload);
    assert_eq!(granted, 2);
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_has_the_least_that_any_token_has_left() {
    let quota = Quota {
        share: 100,
        burst: 100,
        max_wait: Duration::ZERO,
    };
    for budget in [Budget::new(quota), Budget::per_token(quota)] {
        let mut permits = Vec::new();
        for token in 0..16_u8 {
            let mut permit = budget.acquire([token; 32]).await.unwrap();
            permit.mark_sent();
            permit.record_response(Some(Allowance {
                remaining: 20 + u32::from(token),
                reset: Duration::from_secs(50),
            }));
            permits.push(permit);
        }
        assert_eq!(budget.snapshot(0).remaining, Some(20));
    }
}
