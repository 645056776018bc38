//! Thousands of schedules of calls, disconnects, latencies, faults of Ryze, late landings, other users of
//! the token, reloads and restarts, each generated from a seed and run on a paused clock. Single rules in
//! single situations are in `queue` and `budget`.
//!
//! `SIMULATION_SEEDS=5000..9000` runs other seeds, and `SIMULATION_SEED=17` runs one and prints its
//! history.

mod check;
mod fault;
mod history;
mod link;
mod process;
mod ryze;
mod schedule;
mod trace;
mod world;

use std::{
    collections::BTreeMap,
    env,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use tokio::runtime::Builder;

use self::{history::History, schedule::Schedule};

const SEEDS: Range<u64> = 0..2000;

#[test]
fn every_promise_holds_in_every_schedule() {
    if let Ok(seed) = env::var("SIMULATION_SEED") {
        return replay(seed.parse().expect("SIMULATION_SEED is a number"));
    }
    let seeds = env::var("SIMULATION_SEEDS").map_or(SEEDS, |seeds| {
        let (from, to) = seeds
            .split_once("..")
            .expect("SIMULATION_SEEDS is FROM..TO");
        from.parse().unwrap()..to.parse().unwrap()
    });
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
    let seen = Mutex::new(BTreeMap::<_, usize>::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let played = catch_unwind(AssertUnwindSafe(|| {
                let schedule = Schedule::new(seed);
                let history = play(&schedule);
                check::check(&schedule, &history)
            }));
            let (broken, counts) =
                played.unwrap_or_else(|_| (vec!["panicked or did not end".into()], Vec::new()));
            for (what, count) in counts {
                *seen.lock().unwrap().entry(what).or_default() += count;
            }
            if !broken.is_empty() {
                println!("seed {seed}: {}", broken.join("; "));
                failed.lock().unwrap().push(seed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(work);
        }
    });
    println!("seen in {seeds:?}: {:?}", seen.into_inner().unwrap());
    let failed = failed.into_inner().unwrap();
    let Some(seed) = failed.iter().min() else {
        return;
    };
    panic!(
        "{} of {seeds:?} failed; to see one: SIMULATION_SEED={seed} cargo test --test tests simulation",
        failed.len()
    );
}

fn replay(seed: u64) {
    let schedule = Schedule::new(seed);
    println!("{schedule:#?}");
    let history = play(&schedule);
    println!("{history}");
    let (broken, _) = check::check(&schedule, &history);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn play(schedule: &Schedule) -> History {
    fastrand::seed(schedule.seed);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(world::play(schedule))
}
