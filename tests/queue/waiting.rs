//! How many calls of one instance may wait, and until when, on a paused clock.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use zapi_to_ryze::{
    privacy::{Audience, Failure},
    queue::Queues,
    ryze::Client,
};

use super::{Bench, DEADLINE, online, photo, slow};
use crate::pipes::target;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn of_one_instance_only_so_many_may_wait_whether_they_were_sent_or_not() {
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
    // Each that leaves or has its answer makes room for one more.
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

/// What was sent waits for its answer, what was not is told when it cannot be sent any more: neither
/// waits for the other.
#[tokio::test(start_paused = true)]
async fn who_was_not_sent_is_told_so_while_a_request_is_in_flight() {
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
