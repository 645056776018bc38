//! Changes of one instance, one by one or coalesced: every sequence of calls and disconnects ends with the
//! settings that it would have had one by one, and each request has exactly the content that a plain model
//! predicts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::prelude::*;
use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use zapi_to_ryze::{
    privacy::{Audience, Change, Operation, Setting, Settings},
    queue::Queues,
    ryze::{Client, wire},
};

use crate::pipes::{Fate, MAX_WAITING, Pipes, budget, target};

const AUDIENCES: [Audience; 4] = [
    Audience::Everyone,
    Audience::Contacts,
    Audience::ContactsExcept,
    Audience::Nobody,
];
/// How long Ryze takes over a request, in steps.
const WORK: u64 = 5;
const STEP: Duration = Duration::from_secs(1);

fn change() -> impl Strategy<Value = Change> {
    let setting = proptest::sample::select(&Setting::ALL[..]);
    let audience = proptest::sample::select(&AUDIENCES[..]);
    (setting, audience).prop_map(|(setting, audience)| Change { setting, audience })
}

/// What happens between one moment and the next.
#[derive(Clone, Debug)]
enum Event {
    /// A caller comes.
    Comes(Change),
    /// One of the callers who came leaves.
    Leaves(proptest::sample::Index),
    /// Time passes, in steps.
    Passes(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        5 => change().prop_map(Event::Comes),
        2 => any::<proptest::sample::Index>().prop_map(Event::Leaves),
        3 => (1..4_u64).prop_map(Event::Passes),
    ];
    proptest::collection::vec(event, 1..40)
}

/// The bodies that Ryze must get: a request at once if none is in flight, else one for all waiting calls
/// when its response arrives.
fn expected(events: &[Event]) -> Vec<String> {
    let mut bodies = Vec::new();
    let mut waiting: BTreeMap<usize, Change> = BTreeMap::new();
    let (mut came, mut now, mut busy_until) = (0, 0, 0);
    let mut fold = |waiting: &mut BTreeMap<usize, Change>| {
        let mut latest = Settings::default();
        for change in std::mem::take(waiting).into_values() {
            latest.set(change.setting, change.audience);
        }
        bodies.push(String::from_utf8(wire::update(&latest).to_vec()).unwrap());
    };
    for event in events {
        match event {
            Event::Comes(change) => {
                waiting.insert(came, *change);
                came += 1;
                if now >= busy_until {
                    fold(&mut waiting);
                    busy_until = now + WORK;
                }
            }
            Event::Leaves(who) if came > 0 => drop(waiting.remove(&who.index(came))),
            Event::Leaves(_) => (),
            Event::Passes(steps) => {
                now += steps;
                if now >= busy_until && !waiting.is_empty() {
                    fold(&mut waiting);
                    busy_until += WORK;
                }
            }
        }
    }
    if !waiting.is_empty() {
        fold(&mut waiting);
    }
    bodies
}

/// The bodies that it gets.
async fn sent(events: &[Event]) -> Vec<String> {
    // Its answers come a moment before a step ends, so that no two things happen at once.
    let work = STEP * u32::try_from(WORK).unwrap() - STEP / 1000;
    let pipes = Pipes::new(move |_| Fate::confirmed_after(work));
    let client = Client::new(pipes.clone(), Duration::from_secs(180));
    let budget = budget(1000, 1000, Duration::from_secs(10));
    let queues = Queues::new(
        budget,
        client,
        Duration::from_secs(3600),
        MAX_WAITING,
        Arc::default(),
        CancellationToken::new(),
    );
    let target = target("one");
    let mut callers = Vec::new();
    let mut now = Instant::now();
    for event in events {
        match event {
            Event::Comes(change) => {
                let (queues, target) = (Arc::clone(&queues), Arc::clone(&target));
                let operation = Operation::Change(*change);
                callers.push(tokio::spawn(async move {
                    let deadline = Instant::now() + Duration::from_secs(3600);
                    queues
                        .submit(&target, operation, deadline, &Arc::default())
                        .await
                }));
            }
            Event::Leaves(who) if !callers.is_empty() => callers[who.index(callers.len())].abort(),
            Event::Leaves(_) => (),
            Event::Passes(steps) => {
                now += STEP * u32::try_from(*steps).unwrap();
                sleep_until(now).await;
            }
        }
        for _ in 0..20 {
            yield_now().await;
        }
    }
    for caller in callers {
        // A client that left has no outcome; all others are confirmed.
        if let Ok(outcome) = caller.await {
            outcome.unwrap();
        }
    }
    queues.idle().await;
    pipes.bodies()
}

fn run<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    runtime.unwrap().block_on(future)
}

proptest! {
    #[test]
    fn folded_is_the_same_as_one_by_one(
        before in proptest::collection::vec(change(), 0..8),
        changes in proptest::collection::vec(change(), 0..30),
        cut: proptest::sample::Index,
    ) {
        let before: Settings = before.into_iter().collect();
        let mut one_by_one = before;
        for change in &changes {
            one_by_one.set(change.setting, change.audience);
        }
        // Folded in any two parts.
        let (first, second) = changes.split_at(cut.index(changes.len() + 1));
        let mut folded = before;
        for part in [first, second] {
            let update: Settings = part.iter().copied().collect();
            update.iter().for_each(|it| folded.set(it.setting, it.audience));
        }
        prop_assert_eq!(folded, one_by_one);
        for setting in Setting::ALL {
            let latest = changes.iter().rev().find(|it| it.setting == setting);
            let expected = latest.map_or(before.get(setting), |it| Some(it.audience));
            prop_assert_eq!(one_by_one.get(setting), expected);
        }
    }

    #[test]
    fn callers_who_come_and_leave_are_folded_as_the_model_says(events in events()) {
        prop_assert_eq!(run(sent(&events)), expected(&events));
    }
}
