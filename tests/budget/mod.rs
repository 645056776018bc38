//! The promise of the budget, on a paused clock: in any 60 s never more arrivals than the share, with
//! any calls, waits, failures and disconnects. `permits` is about single permits, `reserved` about slots
//! that are reserved for read-backs.

mod permits;
mod reserved;

use std::{sync::Arc, time::Duration};

use governor::{Quota, RateLimiter, clock::FakeRelativeClock};
use proptest::prelude::*;
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use zapi_to_ryze::{
    privacy::{Audience, Change, Operation, Setting},
    queue::Queues,
    ryze::Client,
};

use crate::pipes::{Ending, Fate, MAX_WAITING, Pipes, budget, target};

const MINUTE: Duration = Duration::from_secs(60);
const ALL: Change = Change {
    setting: Setting::ProfilePhoto,
    audience: Audience::Everyone,
};

/// The most arrivals in any 60 s, both ends counted.
fn worst_minute(mut arrivals: Vec<Duration>) -> usize {
    arrivals.sort();
    let mut first = 0;
    let mut worst = 0;
    for (index, arrival) in arrivals.iter().enumerate() {
        while *arrival - arrivals[first] > MINUTE {
            first += 1;
        }
        worst = worst.max(index - first + 1);
    }
    worst
}

/// Runs on a paused clock of its own.
fn on_paused_clock<F: Future>(test: F) -> F::Output {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(test)
}

/// One caller of a schedule.
#[derive(Clone, Debug)]
struct Caller {
    pause_before: Duration,
    instance: usize,
    hangs_up_after: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Schedule {
    share: u32,
    burst: u32,
    max_wait: Duration,
    /// At most 1 s, the guard of the slots, below the longest transit: what is on its way when its
    /// connection is closed may arrive that much later.
    request_timeout: Duration,
    callers: Vec<Caller>,
    fates: Vec<Fate>,
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let ending = prop_oneof![
        6 => Just(Ending::Confirm),
        1 => Just(Ending::Answer(500, "", "")),
        1 => Just(Ending::Close),
        1 => Just(Ending::Hang),
    ];
    let fate =
        (millis(0..3000), millis(0..4000), ending).prop_map(|(transit, work, ending)| Fate {
            transit,
            work,
            ending,
        });
    // Mostly crowds, at times a pause in which the budget recovers.
    let pause = prop_oneof![30 => millis(0..20), 10 => millis(0..700), 1 => millis(0..70_000)];
    let caller = (
        pause,
        0..200_usize,
        proptest::option::weighted(0.2, millis(0..9000)),
    );
    let caller = caller.prop_map(|(pause_before, instance, hangs_up_after)| Caller {
        pause_before,
        instance,
        hangs_up_after,
    });
    let share = 1..60_u32;
    (
        share.prop_flat_map(|share| (Just(share), 1..=share)),
        millis(0..90_000),
        millis(2001..20_000),
        prop::collection::vec(caller, 100..500),
        prop::collection::vec(fate, 1..30),
    )
        .prop_map(
            |((share, burst), max_wait, request_timeout, callers, fates)| Schedule {
                share,
                burst,
                max_wait,
                request_timeout,
                callers,
                fates,
            },
        )
}

/// Plays a schedule and returns when requests arrived.
async fn play(schedule: Schedule) -> Vec<Duration> {
    let start = Instant::now();
    let fates = schedule.fates;
    let pipes = Pipes::new(move |number| fates[number % fates.len()]);
    let client = Client::new(pipes.clone(), schedule.request_timeout);
    let budget = budget(schedule.share, schedule.burst, schedule.max_wait);
    let deadline = Duration::from_secs(30);
    let queues = Queues::new(
        budget,
        client,
        deadline,
        MAX_WAITING,
        Arc::default(),
        CancellationToken::new(),
    );
    let mut callers = JoinSet::new();
    for caller in schedule.callers {
        sleep(caller.pause_before).await;
        let queues = Arc::clone(&queues);
        callers.spawn(async move {
            let target = target(&caller.instance.to_string());
            let until = Instant::now() + deadline;
            let trace = Arc::default();
            let outcome = queues.submit(&target, Operation::Change(ALL), until, &trace);
            match caller.hangs_up_after {
                Some(patience) => drop(timeout(patience, outcome).await),
                None => drop(outcome.await),
            }
            assert!(
                Instant::now() <= until + Duration::from_millis(2),
                "an answer too late"
            );
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    queues.idle().await;
    pipes
        .arrivals()
        .into_iter()
        .map(|arrival| arrival - start)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_more_arrivals_than_the_share_in_any_minute(schedule in schedule()) {
        let share = schedule.share as usize;
        let arrivals = on_paused_clock(play(schedule));
        prop_assert!(worst_minute(arrivals) <= share);
    }
}

#[test]
fn the_whole_share_is_used_and_not_more_at_a_hundred_a_minute() {
    let arrivals = on_paused_clock(play(Schedule {
        share: 100,
        burst: 20,
        max_wait: Duration::from_secs(10),
        request_timeout: Duration::from_secs(20),
        callers: (0..2000)
            .map(|instance| Caller {
                pause_before: Duration::from_millis(100),
                instance,
                hangs_up_after: None,
            })
            .collect(),
        fates: (0..23)
            .map(|number| Fate {
                transit: Duration::from_millis(number * 97 % 1500),
                work: Duration::from_millis(number * 61 % 400),
                ending: Ending::Confirm,
            })
            .collect(),
    }));
    // Two slots are kept for read-backs, of which there are none here.
    assert_eq!(worst_minute(arrivals), 98);
}

#[test]
fn callers_who_hang_up_do_not_use_up_the_pace() {
    let second = Duration::from_secs(1);
    let schedule = |patience: u32, max_wait: u32| Schedule {
        share: 60,
        burst: 1,
        max_wait: second * max_wait,
        request_timeout: second * 20,
        callers: (0..600)
            .map(|instance| Caller {
                pause_before: second / 10,
                instance,
                hangs_up_after: Some(second * patience),
            })
            .collect(),
        fates: vec![Fate::confirmed_after(Duration::ZERO)],
    };
    for (patience, max_wait) in [(5, 10), (20, 10), (5, 60), (60, 60)] {
        let arrivals = on_paused_clock(play(schedule(patience, max_wait)));
        let in_time = arrivals.iter().filter(|arrival| **arrival < MINUTE);
        let in_time = in_time.count();
        println!("patience {patience} s, max_wait {max_wait} s: {in_time} arrivals");
        // Less than one a second where a turn comes in the moment in which all have left.
        assert!(in_time >= 50, "{in_time}");
    }
}

/// Sends whenever governor lets it, for three minutes after an idle one.
fn arrivals_with_governor_alone(quota: Quota, jitter: impl Fn(u64) -> Duration) -> Vec<Duration> {
    let clock = FakeRelativeClock::default();
    let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
    let step = Duration::from_millis(10);
    clock.advance(MINUTE);
    let mut arrivals = Vec::new();
    for tick in 0..18_000 {
        while limiter.check().is_ok() {
            arrivals.push(MINUTE + step * tick + jitter(arrivals.len() as u64));
        }
        clock.advance(step);
    }
    arrivals
}

#[test]
fn governor_alone_breaks_the_promise() {
    let per_minute = |burst: u32| {
        Quota::per_minute(100.try_into().unwrap()).allow_burst(burst.try_into().unwrap())
    };
    let jitter = |number: u64| Duration::from_millis(number * 7919 % 1500);
    let whole = worst_minute(arrivals_with_governor_alone(per_minute(100), |_| {
        Duration::ZERO
    }));
    let paced = worst_minute(arrivals_with_governor_alone(per_minute(20), |_| {
        Duration::ZERO
    }));
    let one = worst_minute(arrivals_with_governor_alone(per_minute(1), jitter));
    println!(
        "worst minute without slots: burst 100: {whole}, burst 20: {paced}, burst 1 with jitter: {one}"
    );
    assert!(whole >= 199, "{whole}");
    assert!(paced >= 119, "{paced}");
    assert!(one > 100, "{one}");
}
