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

use std::ops::Range;

use tokio::runtime::Builder;

use self::schedule::Schedule;
use crate::seeds;

const SEEDS: Range<u64> = 0..100;

/// `SHARED_BUDGET_SEEDS=300..5000` plays others than the usual ones, and `SHARED_BUDGET_SEED=17` one, and
/// prints what happens.
#[test]
fn the_limit_holds_whatever_happens_to_redis() {
    const SEED: &str = "SHARED_BUDGET_SEED";
    if let Some(seed) = seeds::alone(SEED) {
        let broken = play(seed, true);
        assert!(broken.is_empty(), "{}", broken.join("\n"));
        return;
    }
    let played = seeds::play_all(SEED, SEEDS, "model", |seed| play(seed, false));
    played.unwrap_or_else(|failed| panic!("{failed}"));
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
