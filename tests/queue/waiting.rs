//! The bound of a queue, and how long a call stays in it, on a paused clock.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use zapi_to_ryze::{
    privacy::{Audience, Failure},
    queue::Queues,
    ryze::Client,
};

use super::{Bench, DEADLINE, online, photo, slow};
use crate::pipes::{budget, target};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_bound_counts_queued_calls_and_those_in_flight() {
    let mut bench = Bench::new(slow(10)).warm_up().await;
    let client = Client::new(bench.pipes.clone(), Duration::from_secs(180));
    bench.queues = Queues::new(
        bench.budget.clone(),
        client,
        DEADLINE,
        3,
        Arc::default(),
        CancellationToken::new(),
    );
    let (one, other) = (target("one"), target("other"));
    let sent = bench.call(&one, photo(Audience::Everyone)).await;
    let waits = bench.call(&one, photo(Audience::Nobody)).await;
    let leaves = bench.call(&one, online()).await;
    let beyond = bench.call(&one, online()).await;
    assert_eq!(beyond.await.unwrap(), (Err(Failure::QueueFull), 0));
    let elsewhere = bench.call(&other, online()).await;
    // Each call that is cancelled or completed admits one more.
    leaves.abort();
    assert!(leaves.await.unwrap_err().is_cancelled());
    let instead = bench.call(&one, online()).await;
    let beyond = bench.read(&one).await;
    assert_eq!(beyond.await.unwrap(), (Err(Failure::QueueFull), 0));
    assert_eq!(sent.await.unwrap(), (Ok(()), 10));
    let next = bench.read(&one).await;
    let beyond = bench.read(&one).await;
    assert_eq!(beyond.await.unwrap(), (Err(Failure::QueueFull), 0));
    assert_eq!(elsewhere.await.unwrap(), (Ok(()), 10));
    for call in [waits, instead] {
        assert_eq!(call.await.unwrap(), (Ok(()), 20));
    }
    assert!(next.await.unwrap().0.is_ok());
    assert_eq!(bench.pipes.bodies().len(), 4);
}

/// A sent call waits for its response, and a queued one fails when its time to be sent is over, whatever
/// is in flight.
#[tokio::test(start_paused = true)]
async fn a_queued_call_fails_in_time_while_a_request_is_in_flight() {
    let bench = Bench::new(slow(28));
    let one = target("one");
    let sent = bench.call(&one, photo(Audience::Everyone)).await;
    sleep(SECOND).await;
    let waits = bench.call(&one, online()).await;
    sleep(SECOND * 23).await;
    assert!(waits.is_finished() && !sent.is_finished());
    assert_eq!(waits.await.unwrap(), (Err(Failure::NotSent), 22));
    assert_eq!(sent.await.unwrap(), (Ok(()), 28));
    bench.queues.idle().await;
    assert_eq!(bench.pipes.bodies().len(), 1);
}

/// A call that has left does not count in the wait that is expected for others.
#[tokio::test(start_paused = true)]
async fn a_call_that_leaves_gives_up_its_place_in_the_budget_at_once() {
    let budget = budget(2, 1, SECOND * 35);
    let bench = Bench::with_budget(slow(0), budget);
    let first = bench.call(&target("first"), online()).await;
    first.await.unwrap().0.unwrap();
    let leaves = bench.call(&target("one"), online()).await;
    sleep(SECOND).await;
    leaves.abort();
    sleep(SECOND).await;
    // The pacer sends one request every 30 s.
    let deadline = SECOND * 60;
    let next = bench
        .call_within(&target("other"), online(), deadline)
        .await;
    assert_eq!(next.await.unwrap(), (Ok(()), 28));
}
