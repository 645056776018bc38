//! Turns, on a paused clock: a change that another upstream carries out has its place in the queue, alone,
//! once, and to its end. Which calls get one is in `proxy/contacts`.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    task::{JoinHandle, yield_now},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use zapi_to_ryze::{
    net::{Connect, Opening},
    privacy::{Audience, Failure, NoAnswer},
    queue::Queues,
    ryze::{Client, Target},
};

use super::{ALL, Bench, DEADLINE, NONE, ONLINE, READ, in_turn, online, photo, slow};
use crate::pipes::{Ending, budget, target, target_of};

const SECOND: Duration = Duration::from_secs(1);
/// Longer than any work takes that ends.
const LIMIT: Duration = Duration::from_secs(60);
const THROTTLED: Ending = Ending::Answer(
    500,
    "",
    r#"{"error":{"message":"failed to update profile privacy: info query returned status 429: rate-overlimit"}}"#,
);

/// When a piece of work began and ended, in seconds from the start.
type Work = (u64, Option<u64>);

/// The other upstream.
#[derive(Clone)]
struct Other {
    start: Instant,
    seen: Arc<Mutex<Vec<Work>>>,
}

type Outcome = JoinHandle<(Result<&'static str, Failure>, u64)>;

impl Other {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            seen: Arc::default(),
        }
    }

    fn seen(&self) -> Vec<Work> {
        self.seen.lock().unwrap().clone()
    }

    async fn work(self, time: Duration) -> &'static str {
        let place = {
            let mut seen = self.seen.lock().unwrap();
            seen.push((self.start.elapsed().as_secs(), None));
            seen.len() - 1
        };
        sleep(time).await;
        self.seen.lock().unwrap()[place].1 = Some(self.start.elapsed().as_secs());
        "done"
    }

    /// Queues a piece of work that takes so long, and returns when it is queued or has begun.
    async fn call(&self, bench: &Bench, target: &Arc<Target>, time: Duration) -> Outcome {
        let (queues, target) = (Arc::clone(&bench.queues), Arc::clone(target));
        let (work, begin) = (self.clone().work(time), Instant::now());
        let call = tokio::spawn(async move {
            let deadline = begin + DEADLINE;
            let outcome = queues.run_in_turn(&target, deadline, LIMIT, work).await;
            (outcome, begin.elapsed().as_secs())
        });
        for _ in 0..5 {
            yield_now().await;
        }
        call
    }
}

#[tokio::test(start_paused = true)]
async fn it_runs_after_the_calls_before_it_and_before_those_behind_it() {
    let bench = Bench::new(slow(5)).warm_up().await;
    let (one, other) = (target("one"), Other::new());
    let first = bench.call(&one, photo(Audience::Everyone)).await;
    let before = bench.call(&one, photo(Audience::Nobody)).await;
    let turn = other.call(&bench, &one, SECOND * 7).await;
    let behind = bench.call(&one, photo(Audience::Everyone)).await;
    let reads = bench.read(&one).await;
    let elsewhere = bench.call(&target("other"), online()).await;
    assert_eq!(bench.queues.instance_status(&one).0, 4);
    assert_eq!(elsewhere.await.unwrap(), (Ok(()), 5));
    assert_eq!(first.await.unwrap(), (Ok(()), 5));
    assert_eq!(before.await.unwrap(), (Ok(()), 10));
    sleep(SECOND).await;
    assert_eq!(other.seen(), [(10, None)]);
    assert_eq!(bench.pipes.bodies()[2..], [NONE]);
    assert_eq!(turn.await.unwrap(), (Ok("done"), 17));
    assert_eq!(behind.await.unwrap(), (Ok(()), 22));
    assert_eq!(reads.await.unwrap().1, 27);
    assert_eq!(bench.pipes.bodies()[3..], [ALL, READ]);
}

#[tokio::test(start_paused = true)]
async fn two_of_an_instance_run_one_after_the_other_and_two_instances_at_once() {
    let bench = Bench::new(slow(5));
    let (one, other) = (target("one"), Other::new());
    let first = other.call(&bench, &one, SECOND * 3).await;
    let second = other.call(&bench, &one, SECOND * 3).await;
    let elsewhere = other.call(&bench, &target("other"), SECOND).await;
    assert_eq!(first.await.unwrap(), (Ok("done"), 3));
    assert_eq!(second.await.unwrap(), (Ok("done"), 6));
    assert_eq!(elsewhere.await.unwrap(), (Ok("done"), 1));
    assert_eq!(other.seen(), [(0, Some(3)), (0, Some(1)), (3, Some(6))]);
    assert_eq!(bench.pipes.bodies().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_update_before_it_is_read_back_and_retried_first() {
    let lost = Ending::Close;
    let shown = Ending::Answer(
        200,
        "",
        r#"{"success":true,"settings":{"visibility":{"profile":"all"}}}"#,
    );
    let bench = Bench::new(in_turn(SECOND, &[lost, shown, Ending::Confirm]));
    let (one, other) = (target("one"), Other::new());
    let hides = bench.call(&one, photo(Audience::Nobody)).await;
    let turn = other.call(&bench, &one, SECOND).await;
    assert_eq!(hides.await.unwrap(), (Ok(()), 3));
    assert_eq!(turn.await.unwrap(), (Ok("done"), 4));
    assert_eq!(bench.pipes.bodies(), [NONE, READ, NONE]);
    assert_eq!(other.seen(), [(3, Some(4))]);
}

#[tokio::test(start_paused = true)]
async fn without_it_the_calls_around_it_are_coalesced() {
    let bench = Bench::new(slow(5));
    let (one, other) = (target("one"), Other::new());
    let first = bench.call(&one, photo(Audience::Everyone)).await;
    let before = bench.call(&one, photo(Audience::Nobody)).await;
    let leaves = other.call(&bench, &one, SECOND).await;
    let behind = bench.call(&one, online()).await;
    leaves.abort();
    for (call, seconds) in [(first, 5), (before, 10), (behind, 10)] {
        assert_eq!(call.await.unwrap(), (Ok(()), seconds));
    }
    assert_eq!(other.seen(), []);
    assert_eq!(bench.queues.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn it_runs_to_its_end_after_its_client_disconnects() {
    let bench = Bench::new(slow(1));
    let (one, other) = (target("one"), Other::new());
    let leaves = other.call(&bench, &one, SECOND * 9).await;
    sleep(SECOND).await;
    leaves.abort();
    let behind = bench.call(&one, online()).await;
    // A drain waits for both.
    bench.queues.idle().await;
    assert_eq!(other.seen(), [(0, Some(9))]);
    assert_eq!(behind.await.unwrap(), (Ok(()), 9));
}

#[tokio::test(start_paused = true)]
async fn after_its_deadline_it_is_unknown_and_the_calls_behind_it_still_wait_for_its_end() {
    let bench = Bench::new(slow(1));
    let (one, other) = (target("one"), Other::new());
    let late = other.call(&bench, &one, SECOND * 40).await;
    let unsent = bench.call(&one, photo(Audience::Nobody)).await;
    let unsent_turn = other.call(&bench, &one, SECOND).await;
    sleep(SECOND * 20).await;
    let behind = bench.call(&one, online()).await;
    assert_eq!(
        late.await.unwrap(),
        (Err(Failure::Unknown(NoAnswer::TimedOut)), 30)
    );
    assert_eq!(unsent.await.unwrap(), (Err(Failure::NotSent), 22));
    assert_eq!(unsent_turn.await.unwrap(), (Err(Failure::NotSent), 22));
    assert_eq!(behind.await.unwrap(), (Ok(()), 21));
    assert_eq!(other.seen(), [(0, Some(40))]);
    assert_eq!(bench.pipes.bodies(), [ONLINE]);
}

#[tokio::test(start_paused = true)]
async fn work_without_an_end_holds_the_queue_until_the_limit() {
    let bench = Bench::new(slow(1));
    let one = target("one");
    let work = bench
        .queues
        .run_in_turn(&one, Instant::now() + DEADLINE, LIMIT, pending::<()>());
    assert_eq!(work.await, Err(Failure::Unknown(NoAnswer::TimedOut)));
    sleep(SECOND * 20).await;
    let behind = bench.call(&one, online()).await;
    assert_eq!(behind.await.unwrap(), (Ok(()), 11), "60 s after the begin");
}

#[tokio::test(start_paused = true)]
async fn neither_a_suspension_nor_the_budget_refuses_it() {
    let budget = budget(1, 1, Duration::ZERO);
    let bench = Bench::with_budget(in_turn(SECOND, &[THROTTLED]), budget);
    let (one, other) = (target("one"), Other::new());
    let throttled = bench.call(&one, photo(Audience::Nobody)).await;
    let waits = other.call(&bench, &one, SECOND).await;
    assert!(throttled.await.unwrap().0.is_err());
    assert_eq!(waits.await.unwrap(), (Ok("done"), 2));
    let refused = bench.call(&one, online()).await;
    let suspended = |outcome: &_| matches!(outcome, Err(Failure::Throttled { .. }));
    assert!(suspended(&refused.await.unwrap().0));
    let arrives = other.call(&bench, &one, SECOND).await;
    assert_eq!(arrives.await.unwrap(), (Ok("done"), 1));
    sleep(SECOND * 20).await;
    let refused = bench.call(&one, online()).await;
    let behind = other.call(&bench, &one, SECOND).await;
    assert!(matches!(
        refused.await.unwrap(),
        (Err(Failure::Budget { .. }), 0)
    ));
    assert_eq!(behind.await.unwrap(), (Ok("done"), 1));
    assert_eq!(bench.pipes.bodies(), [NONE]);
}

/// A call in front waits for the budget, and leaves: the permit is not waited for any more.
#[tokio::test(start_paused = true)]
async fn it_does_not_wait_for_a_permit_of_a_call_that_has_left() {
    let budget = budget(2, 1, SECOND * 35);
    let bench = Bench::with_budget(slow(0), budget);
    let first = bench.call(&target("first"), online()).await;
    first.await.unwrap().0.unwrap();
    let (one, other) = (target("one"), Other::new());
    let leaves = bench.call(&one, photo(Audience::Nobody)).await;
    let turn = other.call(&bench, &one, SECOND).await;
    sleep(SECOND).await;
    assert_eq!(other.seen(), []);
    leaves.abort();
    assert_eq!(turn.await.unwrap(), (Ok("done"), 2));
}

#[tokio::test(start_paused = true)]
async fn an_abort_completes_it_at_once() {
    let bench = Bench::new(slow(1));
    let (one, other) = (target("one"), Other::new());
    let begun = other.call(&bench, &one, SECOND * 9).await;
    let waits = other.call(&bench, &one, SECOND).await;
    sleep(SECOND).await;
    bench.abort.cancel();
    assert_eq!(
        begun.await.unwrap(),
        (Err(Failure::Unknown(NoAnswer::TimedOut)), 1)
    );
    assert_eq!(waits.await.unwrap(), (Err(Failure::NotSent), 1));
}

#[tokio::test(start_paused = true)]
async fn it_counts_in_the_bound_of_the_queue() {
    let mut bench = Bench::new(slow(5)).warm_up().await;
    bench.queues = Queues::new(
        bench.budget.clone(),
        Client::new(bench.pipes.clone(), Duration::from_secs(180)),
        DEADLINE,
        2,
        Arc::default(),
        CancellationToken::new(),
    );
    let (one, other) = (target("one"), Other::new());
    let begun = other.call(&bench, &one, SECOND * 5).await;
    let waits = other.call(&bench, &one, SECOND).await;
    let beyond = bench.call(&one, online()).await;
    assert_eq!(beyond.await.unwrap(), (Err(Failure::QueueFull), 0));
    let beyond = other.call(&bench, &one, SECOND).await;
    assert_eq!(beyond.await.unwrap(), (Err(Failure::QueueFull), 0));
    assert_eq!(begun.await.unwrap(), (Ok("done"), 5));
    assert_eq!(waits.await.unwrap(), (Ok("done"), 6));
}

/// The order holds across a reload that replaces token and entry, and in both of an instance's entries.
#[tokio::test(start_paused = true)]
async fn a_reload_keeps_its_place() {
    let bench = Bench::new(slow(5)).warm_up().await;
    let [old, new] =
        [("1", "old"), ("2", "new")].map(|(entry, token)| target_of(entry, "one", token));
    bench.queues.configure(&[Arc::clone(&old)]);
    let other = Other::new();
    let sent = bench.call(&old, photo(Audience::Everyone)).await;
    let before = bench.call(&old, photo(Audience::Nobody)).await;
    let turn = other.call(&bench, &old, SECOND * 5).await;
    bench.queues.configure(&[Arc::clone(&new)]);
    let behind = bench.call(&new, photo(Audience::Everyone)).await;
    sleep(SECOND * 12).await;
    assert_eq!(other.seen(), [(10, None)]);
    // Another one while it is in flight.
    bench.queues.configure(&[old, new]);
    for (call, seconds) in [(sent, 5), (before, 10), (behind, 20)] {
        assert_eq!(call.await.unwrap(), (Ok(()), seconds));
    }
    assert_eq!(turn.await.unwrap(), (Ok("done"), 15));
    assert_eq!(bench.pipes.bodies(), [ALL, NONE, ALL]);
    assert_eq!(bench.pipes.tokens(), ["old", "new", "new"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_leaves_its_outcome_unknown_and_the_queue_goes_on() {
    let bench = Bench::new(slow(1));
    let one = target("one");
    let work = async { panic!("the work") };
    let work = bench
        .queues
        .run_in_turn::<()>(&one, Instant::now() + DEADLINE, LIMIT, work);
    assert_eq!(work.await, Err(Failure::Unknown(NoAnswer::Panicked)));
    let behind = bench.call(&one, online()).await;
    assert_eq!(behind.await.unwrap(), (Ok(()), 1));
}

/// A connector that ends its worker.
struct Panics;

impl Connect for Panics {
    fn connect(&self) -> Opening<'_> {
        Box::pin(async {
            sleep(SECOND).await;
            panic!("the worker")
        })
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_turn_nothing_was_sent() {
    let bench = Bench::new(slow(1));
    let client = Client::new(Panics, Duration::from_secs(180));
    let (one, other) = (target("one"), Other::new());
    let queues = Queues::new(
        bench.budget.clone(),
        client,
        DEADLINE,
        2,
        Arc::default(),
        CancellationToken::new(),
    );
    let bench = Bench { queues, ..bench };
    let sent = bench.call(&one, online()).await;
    let waits = other.call(&bench, &one, SECOND).await;
    assert_eq!(
        sent.await.unwrap(),
        (Err(Failure::Unknown(NoAnswer::Panicked)), 1)
    );
    assert_eq!(waits.await.unwrap(), (Err(Failure::NotSent), 1));
    assert_eq!(other.seen(), []);
}
