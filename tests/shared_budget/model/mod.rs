//! Several processes that share a budget, on a paused clock, with everything that can happen to them
//! and to Redis. The processes are the real ones, and so is the script; the network, the server and its
//! clock are a model.

mod differential;
mod fairness;
mod lua_redis;
mod schedule;
mod server;
mod steps;
mod world;

use std::{
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

use self::schedule::Schedule;

const SEEDS: Range<u64> = 0..100;

/// `SHARED_BUDGET_SEEDS=300..5000` plays others than the usual ones, and `SHARED_BUDGET_SEED=17` one, and
/// prints what happens.
#[test]
fn the_limit_holds_whatever_happens_to_redis() {
    if let Ok(seed) = env::var("SHARED_BUDGET_SEED") {
        let broken = play(seed.parse().expect("a number"), true);
        assert!(broken.is_empty(), "{}", broken.join("\n"));
        return;
    }
    let seeds = env::var("SHARED_BUDGET_SEEDS").map_or(SEEDS, |seeds| {
        let (from, to) = seeds.split_once("..").expect("FROM..TO");
        from.parse().unwrap()..to.parse().unwrap()
    });
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let broken = catch_unwind(AssertUnwindSafe(|| play(seed, false)))
                .unwrap_or_else(|_| vec!["panicked".into()]);
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
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} of {seeds:?} failed; to see one: SHARED_BUDGET_SEED={} cargo test --test tests model",
        failed.len(),
        failed[0],
    );
}

/// Plays the schedule of a seed, and tells which promises were broken.
fn play(seed: u64, is_shown: bool) -> Vec<String> {
    fastrand::seed(seed);
    let schedule = Schedule::new(seed);
    if is_shown {
        println!("{schedule:#?}");
    }
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let history = runtime.unwrap().block_on(world::play(&schedule, is_shown));
    history.broken(&schedule)
}
