//! The queue of one instance, on a paused clock. This file has the order and coalescing of changes and
//! the outcome of each call; `reading` has reads, `certainty` read-backs and retries, `suspended`
//! suspensions, `throttled` the rate limits of Ryze and WhatsApp, `waiting` the bound of the queue,
//! `turn` the turns for another upstream, `rotation` reloads that replace tokens. The number of requests
//! a minute is in `tests/budget`.

mod certainty;
mod reading;
mod rotation;
mod suspended;
mod throttled;
mod turn;
mod waiting;

use std::{sync::Arc, time::Duration};

use tokio::{
    task::{JoinHandle, yield_now},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use zapi_to_ryze::{
    budget::Budget,
    privacy::{Audience, Change, Failure, NoAnswer, Operation, Setting, Settings},
    queue::Queues,
    ryze::{Client, Target},
};

use crate::pipes::{Ending, Fate, MAX_WAITING, Pipes, budget, target};

const DEADLINE: Duration = Duration::from_secs(30);

/// Request bodies.
const ALL: &str = r#"{"visibility":{"profile":"all"}}"#;
const NONE: &str = r#"{"visibility":{"profile":"none"}}"#;
const ONLINE: &str = r#"{"visibility":{"online":"match_last_seen"}}"#;
const BOTH: &str = r#"{"visibility":{"profile":"none","online":"match_last_seen"}}"#;
const READ: &str = "";

fn photo(audience: Audience) -> Change {
    Change {
        setting: Setting::ProfilePhoto,
        audience,
    }
}

fn online() -> Change {
    Change {
        setting: Setting::Online,
        audience: Audience::SameAsLastSeen,
    }
}

/// Queues to an upstream, with a large budget unless a test sets another.
struct Bench {
    budget: Budget,
    pipes: Pipes,
    queues: Arc<Queues>,
    abort: CancellationToken,
}

impl Bench {
    fn new(pipes: Pipes) -> Self {
        Self::with_budget(pipes, budget(1000, 1000, Duration::from_secs(10)))
    }

    fn with_budget(pipes: Pipes, budget: Budget) -> Self {
        let client = Client::new(pipes.clone(), Duration::from_secs(180));
        let abort = CancellationToken::new();
        let queues = Queues::new(
            budget.clone(),
            client,
            DEADLINE,
            MAX_WAITING,
            Arc::default(),
            abort.clone(),
        );
        Self {
            budget,
            pipes,
            queues,
            abort,
        }
    }

    /// Ends the slow start of a token, as its first response does.
    async fn warm_up(self) -> Self {
        let permit = self.budget.acquire(target("any").token_digest()).await;
        permit.unwrap().record_response(None);
        self
    }

    /// Submits a call, and returns when it is queued or in flight. It yields its outcome and its duration in
    /// seconds.
    async fn call(&self, target: &Arc<Target>, change: Change) -> Call {
        self.begin(target, Operation::Change(change)).await
    }

    /// The same for a call with another deadline.
    async fn call_within(&self, target: &Arc<Target>, change: Change, deadline: Duration) -> Call {
        self.start_within(target, Operation::Change(change), deadline, drop)
            .await
    }

    /// The same for a read.
    async fn read(&self, target: &Arc<Target>) -> Call<Settings> {
        self.start(target, Operation::Read, |settings| settings)
            .await
    }

    /// The same for any operation, without the settings.
    async fn begin(&self, target: &Arc<Target>, operation: Operation) -> Call {
        self.start(target, operation, drop).await
    }

    async fn start<T: Send + 'static>(
        &self,
        target: &Arc<Target>,
        operation: Operation,
        map: fn(Settings) -> T,
    ) -> Call<T> {
        self.start_within(target, operation, DEADLINE, map).await
    }

    async fn start_within<T: Send + 'static>(
        &self,
        target: &Arc<Target>,
        operation: Operation,
        deadline: Duration,
        map: fn(Settings) -> T,
    ) -> Call<T> {
        let (queues, target) = (Arc::clone(&self.queues), Arc::clone(target));
        let start = Instant::now();
        let call = tokio::spawn(async move {
            let outcome = queues
                .submit(&target, operation, start + deadline, &Arc::default())
                .await;
            (outcome.map(map), start.elapsed().as_secs())
        });
        yield_now().await;
        call
    }
}

/// An upstream that ends its requests so, in order, and all further ones as the last. Each takes `work`.
fn in_turn(work: Duration, endings: &[Ending]) -> Pipes {
    let endings = endings.to_vec();
    Pipes::new(move |number| Fate {
        transit: Duration::ZERO,
        work,
        ending: *endings.get(number).or(endings.last()).unwrap(),
    })
}

type Call<T = ()> = JoinHandle<(Result<T, Failure>, u64)>;

fn slow(seconds: u64) -> Pipes {
    Pipes::new(move |_| Fate::confirmed_after(Duration::from_secs(seconds)))
}

#[tokio::test(start_paused = true)]
async fn at_most_one_update_of_an_instance_is_in_flight_and_other_instances_do_not_wait() {
    let bench = Bench::new(slow(5)).warm_up().await;
    let (one, other) = (target("one"), target("other"));
    let first = bench.call(&one, photo(Audience::Everyone)).await;
    let second = bench.call(&one, photo(Audience::Nobody)).await;
    let elsewhere = bench.call(&other, photo(Audience::Everyone)).await;
    assert_eq!(first.await.unwrap(), (Ok(()), 5));
    assert_eq!(elsewhere.await.unwrap(), (Ok(()), 5));
    assert_eq!(bench.pipes.bodies().len(), 2);
    assert_eq!(second.await.unwrap(), (Ok(()), 10));
    let bodies = bench.pipes.bodies();
    assert_eq!(bodies[2], NONE);
}

#[tokio::test(start_paused = true)]
async fn queued_changes_are_coalesced_into_one_update_with_the_latest_values() {
    let bench = Bench::new(slow(5));
    let one = target("one");
    let first = bench.call(&one, photo(Audience::Everyone)).await;
    let mut waiting = Vec::new();
    for change in [
        photo(Audience::Nobody),
        online(),
        photo(Audience::Contacts),
        photo(Audience::ContactsExcept),
    ] {
        waiting.push(bench.call(&one, change).await);
    }
    first.await.unwrap().0.unwrap();
    for call in waiting {
        assert_eq!(call.await.unwrap(), (Ok(()), 10));
    }
    assert_eq!(
        bench.pipes.bodies()[1..],
        [r#"{"visibility":{"profile":"contact_blacklist","online":"match_last_seen"}}"#]
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_cancelled_before_it_is_sent_is_not_in_the_request_and_the_value_that_it_replaced_is()
 {
    let bench = Bench::new(slow(5));
    let one = target("one");
    let first = bench.call(&one, photo(Audience::Everyone)).await;
    let stays = bench.call(&one, photo(Audience::Contacts)).await;
    let leaves = bench.call(&one, photo(Audience::Nobody)).await;
    let alone = bench.call(&one, online()).await;
    leaves.abort();
    alone.abort();
    first.await.unwrap().0.unwrap();
    stays.await.unwrap().0.unwrap();
    bench.queues.idle().await;
    assert_eq!(
        bench.pipes.bodies()[1..],
        [r#"{"visibility":{"profile":"contacts"}}"#]
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_is_followed_to_its_end_after_its_client_disconnects() {
    let bench = Bench::new(slow(5));
    let one = target("one");
    let leaves = bench.call(&one, photo(Audience::Everyone)).await;
    sleep(Duration::from_secs(1)).await;
    leaves.abort();
    let next = bench.call(&one, photo(Audience::Nobody)).await;
    assert_eq!(
        next.await.unwrap(),
        (Ok(()), 9),
        "4 s behind the one that was sent"
    );
    assert_eq!(bench.pipes.bodies().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_late_response_the_sent_call_is_unknown_and_the_queued_one_unsent() {
    let bench = Bench::new(slow(170));
    let one = target("one");
    let sent = bench.call(&one, photo(Audience::Everyone)).await;
    let waiting = bench.call(&one, photo(Audience::Nobody)).await;
    assert_eq!(
        sent.await.unwrap(),
        (Err(Failure::Unknown(NoAnswer::TimedOut)), 30)
    );
    let (outcome, seconds) = waiting.await.unwrap();
    assert!(matches!(outcome, Err(Failure::NotSent)), "{outcome:?}");
    assert_eq!(seconds, 22, "when it can no longer be sent");
    // The worker still waits for the response, so that the older value cannot land after a newer one.
    sleep(Duration::from_secs(125)).await;
    let next = bench.call(&one, online()).await;
    assert_eq!(bench.pipes.bodies().len(), 1);
    sleep(Duration::from_secs(16)).await;
    assert_eq!(bench.pipes.bodies().len(), 2);
    drop(next);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_time_for_a_response_is_not_sent() {
    let bench = Bench::new(slow(23));
    let one = target("one");
    let first = bench.call(&one, photo(Audience::Everyone)).await;
    let late = bench.call(&one, photo(Audience::Nobody)).await;
    sleep(Duration::from_secs(10)).await;
    let in_time = bench.call(&one, online()).await;
    first.await.unwrap().0.unwrap();
    let (outcome, seconds) = late.await.unwrap();
    assert!(matches!(outcome, Err(Failure::NotSent)), "{outcome:?}");
    assert_eq!(seconds, 22, "when it can no longer be sent");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.pipes.bodies()[1..], [ONLINE]);
    in_time.abort();
}

#[tokio::test(start_paused = true)]
async fn a_change_joins_one_that_waits_for_the_budget_or_is_refused_at_once() {
    let budget = self::budget(60, 1, Duration::from_secs(1));
    let bench = Bench::with_budget(slow(0), budget);
    let one = target("one");
    bench
        .call(&target("other"), online())
        .await
        .await
        .unwrap()
        .0
        .unwrap();
    let waits = bench.call(&one, photo(Audience::Everyone)).await;
    let joins = bench.call(&one, photo(Audience::Nobody)).await;
    let refused = bench.call(&target("third"), photo(Audience::Nobody)).await;
    let (outcome, seconds) = refused.await.unwrap();
    assert!(
        matches!(outcome, Err(Failure::Budget { .. })),
        "{outcome:?}"
    );
    assert_eq!(seconds, 0);
    assert_eq!(waits.await.unwrap(), (Ok(()), 1));
    assert_eq!(joins.await.unwrap(), (Ok(()), 1));
    assert_eq!(bench.pipes.bodies()[1..], [NONE]);
}

#[tokio::test(start_paused = true)]
async fn an_unsent_request_costs_no_slot_and_the_worker_continues_after_every_failure() {
    let budget = self::budget(1, 1, Duration::from_secs(60));
    let bench = Bench::with_budget(Pipes::refusing(), budget.clone());
    let call = bench.call(&target("one"), online()).await;
    let (outcome, _) = call.await.unwrap();
    assert!(matches!(outcome, Err(Failure::Upstream(_))), "{outcome:?}");
    bench.queues.idle().await;
    assert!(
        budget.acquire([0; 32]).await.is_ok(),
        "the slot was released"
    );

    // Each failure hits the update and its read-back.
    let endings = [
        Ending::Close,
        Ending::Close,
        Ending::Answer(500, "", ""),
        Ending::Answer(500, "", ""),
        Ending::Hang,
        Ending::Confirm,
    ];
    let pipes = Pipes::new(move |number| Fate {
        transit: Duration::ZERO,
        work: Duration::ZERO,
        ending: endings[number % endings.len()],
    });
    let bench = Bench::new(pipes);
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        let call = bench.call(&target("one"), online()).await;
        outcomes.push(call.await.unwrap().0);
        bench.queues.idle().await;
    }
    assert_eq!(outcomes[0], Err(Failure::Unknown(NoAnswer::Closed)));
    assert!(matches!(outcomes[1], Err(Failure::Upstream(_))));
    assert_eq!(outcomes[2], Err(Failure::Unknown(NoAnswer::TimedOut)));
    assert_eq!(outcomes[3], Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_abort_completes_all_calls_at_once() {
    let bench = Bench::new(slow(100));
    let one = target("one");
    let sent = bench.call(&one, photo(Audience::Everyone)).await;
    let waiting = bench.call(&one, photo(Audience::Nobody)).await;
    sleep(Duration::from_secs(1)).await;
    bench.abort.cancel();
    assert_eq!(
        sent.await.unwrap(),
        (Err(Failure::Unknown(NoAnswer::TimedOut)), 1)
    );
    assert!(matches!(waiting.await.unwrap(), (Err(Failure::NotSent), 1)));
}

#[tokio::test(start_paused = true)]
async fn late_calls_are_removed_from_the_queue_of_the_budget() {
    let budget = self::budget(2, 1, Duration::from_secs(1000));
    let bench = Bench::with_budget(slow(0), budget);
    let first = bench.call(&target("first"), online()).await;
    first.await.unwrap().0.unwrap();
    let late = bench.call(&target("one"), online()).await;
    sleep(Duration::from_secs(20)).await;
    let in_time = bench.call(&target("other"), online()).await;
    assert_eq!(late.await.unwrap(), (Err(Failure::NotSent), 22));
    assert_eq!(
        in_time.await.unwrap(),
        (Ok(()), 10),
        "the turn of the late one"
    );
}
