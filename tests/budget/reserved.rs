//! Slots reserved for read-backs, which go first; forecasts and the promise with both purposes.

use std::time::Duration;

use proptest::prelude::*;
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, sleep, timeout},
};
use zapi_to_ryze::budget::{Allowance, Budget, Permit, Purpose, Refused};

use super::{MINUTE, millis, on_paused_clock, worst_minute};
use crate::pipes::budget;

const TOKEN: [u8; 32] = [0; 32];
const SECOND: Duration = Duration::from_secs(1);

async fn ask(budget: &Budget, purpose: Purpose, longest: Duration) -> Result<Permit, Refused> {
    budget.acquire_within(TOKEN, purpose, longest).await
}

/// Takes what there is at once, and tells how many that were.
async fn use_up(budget: &Budget, purpose: Purpose) -> u32 {
    for taken in 0.. {
        match ask(budget, purpose, Duration::ZERO).await {
            Ok(mut permit) => {
                permit.mark_sent();
                permit.record_response(None);
            }
            Err(_) => return taken,
        }
    }
    unreachable!()
}

#[tokio::test(start_paused = true)]
async fn two_slots_are_kept_where_there_are_ten() {
    for (share, kept) in [(1, 0), (2, 0), (9, 0), (10, 2), (11, 2), (100, 2)] {
        let budget = self::budget(share, share, Duration::ZERO);
        assert_eq!(use_up(&budget, Purpose::Call).await, share - kept);
        assert_eq!(use_up(&budget, Purpose::ReadBack).await, kept, "of {share}");
        // A read-back may take any.
        let budget = self::budget(share, share, Duration::ZERO);
        assert_eq!(use_up(&budget, Purpose::ReadBack).await, share);
        assert_eq!(use_up(&budget, Purpose::Call).await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn slots_that_read_backs_have_taken_count_for_calls() {
    let budget = self::budget(10, 10, Duration::ZERO);
    for _ in 0..2 {
        ask(&budget, Purpose::ReadBack, Duration::ZERO)
            .await
            .unwrap()
            .mark_sent();
    }
    assert_eq!(use_up(&budget, Purpose::Call).await, 6);
    assert_eq!(use_up(&budget, Purpose::ReadBack).await, 2);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_refusal_is_that_of_the_slots_that_are_open_to_it() {
    let budget = self::budget(10, 10, Duration::ZERO);
    for _ in 0..10 {
        let mut permit = ask(&budget, Purpose::ReadBack, Duration::ZERO)
            .await
            .unwrap();
        permit.mark_sent();
        drop(permit);
        sleep(SECOND).await;
    }
    // They are free again at 61 s, 62 s and so on.
    let retry = async |purpose| {
        let refused = ask(&budget, purpose, Duration::ZERO).await.unwrap_err();
        refused.retry_after.as_secs()
    };
    assert_eq!(retry(Purpose::ReadBack).await, 51);
    assert_eq!(retry(Purpose::Call).await, 53);
    sleep(SECOND * 53).await;
    ask(&budget, Purpose::Call, Duration::ZERO).await.unwrap();
    assert_eq!(
        use_up(&budget, Purpose::ReadBack).await,
        3,
        "the unused one too"
    );
}

#[tokio::test(start_paused = true)]
async fn a_read_back_goes_before_all_calls_and_behind_other_read_backs() {
    let budget = self::budget(60, 1, MINUTE);
    let start = Instant::now();
    ask(&budget, Purpose::Call, MINUTE)
        .await
        .unwrap()
        .mark_sent();
    let mut served = JoinSet::new();
    for (name, purpose) in [
        ("first call", Purpose::Call),
        ("second call", Purpose::Call),
        ("first look", Purpose::ReadBack),
        ("second look", Purpose::ReadBack),
    ] {
        let budget = budget.clone();
        served.spawn(async move {
            ask(&budget, purpose, MINUTE).await.unwrap().mark_sent();
            (start.elapsed().as_secs(), name)
        });
        yield_now().await;
    }
    let mut order = served.join_all().await;
    order.sort_unstable();
    assert_eq!(
        order,
        [
            (1, "first look"),
            (2, "second look"),
            (3, "first call"),
            (4, "second call")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_read_back_is_granted_at_once_while_calls_wait_for_slots() {
    let budget = self::budget(10, 10, MINUTE * 2);
    assert_eq!(use_up(&budget, Purpose::Call).await, 8);
    let waiting = budget.clone();
    let call = tokio::spawn(async move { ask(&waiting, Purpose::Call, MINUTE * 2).await });
    yield_now().await;
    let start = Instant::now();
    for _ in 0..2 {
        ask(&budget, Purpose::ReadBack, Duration::ZERO)
            .await
            .unwrap()
            .mark_sent();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(!call.is_finished());
    call.await.unwrap().unwrap();
    assert!(start.elapsed() >= MINUTE + SECOND);
}

/// Calls that wait have no claim on what Ryze allows before a read-back has.
#[tokio::test(start_paused = true)]
async fn a_read_back_goes_first_through_the_gate_too() {
    let budget = self::budget(60, 1, MINUTE * 2);
    let mut permit = ask(&budget, Purpose::Call, MINUTE).await.unwrap();
    permit.mark_sent();
    permit.record_response(Some(Allowance {
        remaining: 2,
        reset: SECOND * 50,
    }));
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let budget = budget.clone();
        calls.spawn(async move { drop(ask(&budget, Purpose::Call, MINUTE * 2).await) });
        yield_now().await;
    }
    let start = Instant::now();
    let look = ask(&budget, Purpose::ReadBack, SECOND * 5).await;
    look.expect("one of the two that are left").mark_sent();
    assert!(start.elapsed() <= SECOND * 2);
}

fn purpose() -> impl Strategy<Value = Purpose> {
    prop_oneof![3 => Just(Purpose::Call), 1 => Just(Purpose::ReadBack)]
}

/// A task that asks for a permit.
#[derive(Clone, Debug)]
struct Asker {
    pause_before: Duration,
    purpose: Purpose,
    longest: Duration,
    /// From the grant to the arrival, and from there to the end; none is never sent.
    times: Option<(Duration, Duration)>,
}

fn asker() -> impl Strategy<Value = Asker> {
    let pause = prop_oneof![20 => millis(0..300), 1 => millis(0..70_000)];
    let times = proptest::option::weighted(0.9, (millis(0..2000), millis(0..4000)));
    (pause, purpose(), millis(0..80_000), times).prop_map(
        |(pause_before, purpose, longest, times)| Asker {
            pause_before,
            purpose,
            longest,
            times,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_more_of_both_than_the_share_in_any_minute(
        share in 1..30_u32,
        burst in 1..30_u32,
        askers in prop::collection::vec(asker(), 50..300),
    ) {
        let arrivals = on_paused_clock(async {
            let budget = self::budget(share, burst.min(share), Duration::ZERO);
            let start = Instant::now();
            let mut requests = JoinSet::new();
            for asker in askers {
                sleep(asker.pause_before).await;
                let budget = budget.clone();
                requests.spawn(async move {
                    let mut permit = ask(&budget, asker.purpose, asker.longest).await.ok()?;
                    let (transit, work) = asker.times?;
                    permit.mark_sent();
                    sleep(transit).await;
                    let arrival = start.elapsed();
                    sleep(work).await;
                    permit.record_response(None);
                    Some((asker.purpose, arrival))
                });
            }
            requests.join_all().await
        });
        let arrivals: Vec<_> = arrivals.into_iter().flatten().collect();
        let of = |calls_alone: bool| {
            let meant = arrivals.iter().filter(|it| !calls_alone || it.0 == Purpose::Call);
            worst_minute(meant.map(|it| it.1).collect())
        };
        let kept = if share >= 10 { 2 } else { 0 };
        prop_assert!(of(false) <= share as usize);
        prop_assert!(of(true) <= (share - kept) as usize);
    }

    /// As for calls alone: until the time that a refusal names another is refused, and then it is not.
    #[test]
    fn a_refusal_names_the_earliest_time_with_both(
        share in 1..30_u32,
        burst in 1..30_u32,
        max_wait in millis(0..20_000),
        own in purpose(),
        askers in prop::collection::vec((millis(0..3000), purpose()), 1..80),
    ) {
        on_paused_clock(async {
            let budget = self::budget(share, burst.min(share), max_wait);
            let mut queue = JoinSet::new();
            for (pause, purpose) in askers {
                sleep(pause).await;
                let waiting = budget.clone();
                queue.spawn(async move {
                    if let Ok(mut permit) = ask(&waiting, purpose, max_wait).await {
                        permit.mark_sent();
                    }
                });
                yield_now().await;
            }
            let try_it = |after: Duration| {
                let budget = budget.clone();
                async move {
                    sleep(after).await;
                    timeout(Duration::ZERO, ask(&budget, own, max_wait)).await
                }
            };
            let Ok(Err(refused)) = try_it(Duration::ZERO).await else { return Ok(()) };
            let is_refused = |outcome| matches!(outcome, Ok(Err(_)));
            let little = Duration::from_millis(50);
            prop_assume!(refused.retry_after > little);
            let sooner = try_it(refused.retry_after - little).await;
            prop_assert!(is_refused(sooner), "admitted sooner");
            prop_assert!(!is_refused(try_it(little * 2).await), "not admitted then");
            Ok(())
        })?;
    }
}
