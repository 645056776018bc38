//! Reads in the queue, among other reads and changes: which share a request, in which order, and with
//! which outcome. The rate limits of Ryze and WhatsApp are in `throttled`.

use std::time::Duration;

use tokio::time::sleep;
use zapi_to_ryze::privacy::{Audience, Failure, NoAnswer, Setting, Settings};

use super::{ALL, BOTH, Bench, NONE, ONLINE, READ, online, photo, slow};
use crate::pipes::{Ending, Fate, Pipes, budget, target};

/// The outcome of a read that shows only this value of the photo.
fn shown(audience: Audience) -> Result<Settings, Failure> {
    Ok([photo(audience)].into_iter().collect())
}

#[tokio::test(start_paused = true)]
async fn a_read_joins_another_that_is_not_sent_yet_and_never_one_in_flight() {
    let bench = Bench::new(slow(5)).warm_up().await;
    let one = target("one");
    let in_flight = bench.read(&one).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        sleep(Duration::from_secs(1)).await;
        waiting.push(bench.read(&one).await);
    }
    let elsewhere = bench.read(&target("other")).await;
    assert_eq!(in_flight.await.unwrap().1, 5);
    for (call, seconds) in waiting.into_iter().zip([9, 8, 7]) {
        assert_eq!(call.await.unwrap(), (Ok(Settings::default()), seconds));
    }
    assert_eq!(elsewhere.await.unwrap().1, 5);
    assert_eq!(bench.pipes.bodies(), [READ; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_client_reads_its_own_confirmed_write() {
    let bench = Bench::new(slow(5));
    let one = target("one");
    bench
        .call(&one, photo(Audience::Everyone))
        .await
        .await
        .unwrap()
        .0
        .unwrap();
    // Another read is in flight while the write is queued, and a third is queued all the time.
    let before = bench.read(&one).await;
    let write = bench.call(&one, photo(Audience::Nobody)).await;
    let during = bench.read(&one).await;
    write.await.unwrap().0.unwrap();
    let own = bench.read(&one).await;
    assert_eq!(before.await.unwrap().0, shown(Audience::Everyone));
    assert_eq!(during.await.unwrap().0, shown(Audience::Nobody));
    assert_eq!(own.await.unwrap().0, shown(Audience::Nobody));
    assert_eq!(bench.pipes.bodies()[..4], [ALL, READ, NONE, READ]);
}

#[tokio::test(start_paused = true)]
async fn reads_and_changes_alternate_in_the_order_of_their_oldest_calls() {
    let bench = Bench::new(slow(5));
    let one = target("one");
    let first = bench.call(&one, photo(Audience::Everyone)).await;
    let early = bench.read(&one).await;
    let change = bench.call(&one, photo(Audience::Nobody)).await;
    let joins = bench.read(&one).await;
    sleep(Duration::from_secs(7)).await;
    let late = bench.read(&one).await;
    let coalesced = bench.call(&one, online()).await;
    assert_eq!(first.await.unwrap(), (Ok(()), 5));
    for read in [early, joins] {
        assert_eq!(read.await.unwrap(), (shown(Audience::Everyone), 10));
    }
    assert_eq!(change.await.unwrap(), (Ok(()), 15));
    assert_eq!(coalesced.await.unwrap(), (Ok(()), 8));
    let (settings, seconds) = late.await.unwrap();
    assert_eq!(
        settings.unwrap().get(Setting::Online),
        Some(Audience::SameAsLastSeen)
    );
    assert_eq!(seconds, 13);
    assert_eq!(bench.pipes.bodies(), [ALL, READ, BOTH, READ]);
}

#[tokio::test(start_paused = true)]
async fn many_reads_and_changes_starve_neither_and_only_one_request_is_in_flight() {
    let bench = Bench::new(slow(5));
    let one = target("one");
    let (mut reads, mut changes) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        reads.push(bench.read(&one).await);
        changes.push(bench.call(&one, online()).await);
        sleep(Duration::from_secs(1)).await;
    }
    for read in reads {
        let (outcome, seconds) = read.await.unwrap();
        assert!(outcome.is_ok() && seconds <= 15, "{seconds} s: {outcome:?}");
    }
    for change in changes {
        let (outcome, seconds) = change.await.unwrap();
        assert!(outcome.is_ok() && seconds <= 15, "{seconds} s: {outcome:?}");
    }
    let arrivals = bench.pipes.arrivals();
    for pair in arrivals.windows(2) {
        assert_eq!((pair[1] - pair[0]).as_secs(), 5);
    }
    for (number, body) in bench.pipes.bodies().iter().enumerate() {
        assert_eq!(body, [READ, ONLINE][number % 2], "request {number}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_read_has_no_turn_and_no_request() {
    let bench = Bench::new(slow(5));
    let one = target("one");
    let first = bench.call(&one, photo(Audience::Everyone)).await;
    let leaves = bench.read(&one).await;
    let change = bench.call(&one, photo(Audience::Nobody)).await;
    let read = bench.read(&one).await;
    leaves.abort();
    first.await.unwrap().0.unwrap();
    assert_eq!(change.await.unwrap(), (Ok(()), 10), "its turn");
    assert_eq!(read.await.unwrap(), (shown(Audience::Nobody), 15));
    let sent = bench.read(&one).await;
    sleep(Duration::from_secs(1)).await;
    let alone = bench.read(&one).await;
    sent.abort();
    alone.abort();
    bench.queues.idle().await;
    assert_eq!(bench.pipes.bodies(), [ALL, NONE, READ, READ]);
}

#[tokio::test(start_paused = true)]
async fn a_read_joins_one_that_waits_for_the_budget_or_is_refused_at_once() {
    let budget = budget(60, 1, Duration::from_secs(1));
    let bench = Bench::with_budget(slow(0), budget);
    let one = target("one");
    let other = bench.read(&target("other")).await;
    other.await.unwrap().0.unwrap();
    let waits = bench.read(&one).await;
    let joins = bench.read(&one).await;
    let refused = bench.read(&target("third")).await;
    let (outcome, seconds) = refused.await.unwrap();
    let Err(Failure::Budget { retry_after }) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(retry_after > Duration::ZERO);
    assert_eq!(seconds, 0);
    assert_eq!(waits.await.unwrap().1, 1);
    assert_eq!(joins.await.unwrap().1, 1);
    assert_eq!(bench.pipes.bodies(), [READ; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_read_without_a_response_is_unknown_and_the_calls_behind_it_are_not_sent() {
    let bench = Bench::new(slow(170));
    let one = target("one");
    let sent = bench.read(&one).await;
    let change = bench.call(&one, online()).await;
    let read = bench.read(&one).await;
    assert_eq!(
        sent.await.unwrap(),
        (Err(Failure::Unknown(NoAnswer::TimedOut)), 30)
    );
    assert_eq!(change.await.unwrap(), (Err(Failure::NotSent), 22));
    assert_eq!(read.await.unwrap(), (Err(Failure::NotSent), 22));
    assert_eq!(bench.pipes.bodies(), [READ]);

    let bench = Bench::new(slow(23));
    let first = bench.read(&one).await;
    let late = bench.read(&one).await;
    sleep(Duration::from_secs(10)).await;
    let in_time = bench.read(&one).await;
    first.await.unwrap().0.unwrap();
    assert_eq!(late.await.unwrap(), (Err(Failure::NotSent), 22));
    assert_eq!(in_time.await.unwrap().1, 30, "sent at 23 s, not answered");
    assert_eq!(bench.pipes.bodies(), [READ; 2]);
}

/// Failures after which a read is retried, and its failure if the retry fails as well.
const FAILURES: [(Ending, &str); 3] = [
    (Ending::Close, "Unknown"),
    (Ending::Answer(500, "", ""), "Upstream"),
    (Ending::Answer(200, "", r#"{"success":false}"#), "Upstream"),
];

/// An upstream that takes 1 s, and ends the first requests so.
fn failing(requests: usize, ending: Ending) -> Pipes {
    Pipes::new(move |number| Fate {
        transit: Duration::ZERO,
        work: Duration::from_secs(1),
        ending: if number < requests {
            ending
        } else {
            Ending::Confirm
        },
    })
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_is_retried_once() {
    for (ending, _) in FAILURES {
        let bench = Bench::new(failing(1, ending));
        let read = bench.read(&target("one")).await;
        assert_eq!(read.await.unwrap(), (Ok(Settings::default()), 2));
        assert_eq!(bench.pipes.bodies(), [READ; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_twice_fails_no_other_call() {
    for (ending, failure) in FAILURES {
        let bench = Bench::new(failing(2, ending));
        let one = target("one");
        let read = bench.read(&one).await;
        let change = bench.call(&one, photo(Audience::Nobody)).await;
        let next = bench.read(&one).await;
        let (outcome, seconds) = read.await.unwrap();
        let outcome = outcome.unwrap_err();
        assert!(format!("{outcome:?}").starts_with(failure), "{outcome:?}");
        assert_eq!(seconds, 2);
        assert_eq!(change.await.unwrap(), (Ok(()), 3));
        // It was sent with the retry of the first.
        assert_eq!(next.await.unwrap(), (shown(Audience::Nobody), 4));
        assert_eq!(bench.pipes.bodies(), [READ, READ, NONE, READ]);
    }
}
