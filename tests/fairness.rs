//! Fairness between instances: a busy one costs another at most one turn, an idle one nothing. The queue of
//! one instance is in `queue`.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use zapi_to_ryze::{
    budget::{Budget, Quota},
    privacy::{Audience, Change, Operation, Setting},
    queue::Queues,
    ryze::{Client, Target},
};

use crate::pipes::{Fate, MAX_WAITING, Pipes, target};

const DEADLINE: Duration = Duration::from_secs(60);
const LATENCY: Duration = Duration::from_millis(100);
/// From one request to the next.
const TURN: Duration = Duration::from_secs(1);

/// Queues that send one request each [`TURN`].
fn queues() -> Arc<Queues> {
    let pipes = Pipes::new(|_| Fate::confirmed_after(LATENCY));
    let budget = Budget::new(Quota {
        share: 60,
        burst: 1,
        max_wait: DEADLINE,
    });
    Queues::new(
        budget,
        Client::new(pipes, DEADLINE),
        DEADLINE,
        MAX_WAITING,
        Arc::default(),
        CancellationToken::new(),
    )
}

/// Carries a change out that must succeed, and tells how long it took.
async fn call(queues: Arc<Queues>, target: Arc<Target>) -> Duration {
    let start = Instant::now();
    let change = Change {
        setting: Setting::Online,
        audience: Audience::Everyone,
    };
    let deadline = start + DEADLINE;
    let trace = Arc::default();
    let outcome = queues.submit(&target, Operation::Change(change), deadline, &trace);
    outcome.await.unwrap();
    start.elapsed()
}

/// How long another instance's change takes while so many callers wait at a busy one.
async fn behind(callers: usize) -> Duration {
    let queues = queues();
    let busy = target("busy");
    let mut crowd = JoinSet::new();
    crowd.spawn(call(Arc::clone(&queues), Arc::clone(&busy)));
    sleep(LATENCY / 2).await;
    for _ in 0..callers {
        crowd.spawn(call(Arc::clone(&queues), Arc::clone(&busy)));
    }
    sleep(TURN / 2).await;
    let took = call(Arc::clone(&queues), target("other")).await;
    crowd.join_all().await;
    took
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_of_one_instance_cost_another_one_turn() {
    // Permits are granted when a timer of whole milliseconds fires.
    let rounded = |took: Duration| Duration::from_millis(took.as_millis() as u64 / 10 * 10);
    let alone = rounded(behind(0).await);
    assert_eq!(rounded(behind(1).await), alone + TURN);
    assert_eq!(rounded(behind(1000).await), alone + TURN);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_never_ends_costs_others_every_second_turn() {
    let queues = queues();
    let busy = target("busy");
    let mut crowd = JoinSet::new();
    let mut others = JoinSet::new();
    for number in 0..1000 {
        crowd.spawn(call(Arc::clone(&queues), Arc::clone(&busy)));
        if number % 100 == 50 {
            others.spawn(call(Arc::clone(&queues), target(&number.to_string())));
        }
        sleep(TURN / 50).await;
    }
    let slowest = others.join_all().await.into_iter().max().unwrap();
    assert!(slowest <= 2 * TURN + LATENCY, "{slowest:?}");
    crowd.join_all().await;
}

#[tokio::test(start_paused = true)]
async fn lanes_of_idle_instances_cost_no_memory() {
    let pipes = Pipes::new(|_| Fate::confirmed_after(LATENCY));
    let budget = Budget::new(Quota {
        share: 1002,
        burst: 1000,
        max_wait: DEADLINE,
    });
    let queues = Queues::new(
        budget,
        Client::new(pipes, DEADLINE),
        DEADLINE,
        MAX_WAITING,
        Arc::default(),
        CancellationToken::new(),
    );
    let targets: Vec<_> = (0..1000).map(|it| target(&it.to_string())).collect();
    let mut calls = JoinSet::new();
    for target in &targets {
        calls.spawn(call(Arc::clone(&queues), Arc::clone(target)));
    }
    sleep(LATENCY / 2).await;
    assert!(targets.iter().all(|target| Arc::strong_count(target) > 2));
    calls.join_all().await;
    queues.idle().await;
    assert!(targets.iter().all(|target| Arc::strong_count(target) == 1));
    assert_eq!(Arc::strong_count(&queues), 1);
}
