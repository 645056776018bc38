//! Thousands of schedules of calls, disconnects, latencies, faults of Ryze and Z-API, late landings, other users of
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
mod zapi;

use std::{collections::BTreeMap, ops::Range, sync::Mutex};

use tokio::runtime::Builder;

use self::{history::History, schedule::Schedule};
use crate::seeds;

const SEEDS: Range<u64> = 0..2000;

#[test]
fn every_promise_holds_in_every_schedule() {
    const SEED: &str = "SIMULATION_SEED";
    if let Some(seed) = seeds::alone(SEED) {
        return replay(seed);
    }
    let seen = Mutex::new(BTreeMap::<_, usize>::new());
    let played = seeds::play_all(SEED, SEEDS, "simulation", |seed| {
        let schedule = Schedule::new(seed);
        let history = play(&schedule);
        let (broken, counts) = check::check(&schedule, &history);
        let mut seen = seen.lock().unwrap();
        for (what, count) in counts {
            *seen.entry(what).or_default() += count;
        }
        broken
    });
    println!("seen: {:?}", seen.into_inner().unwrap());
    played.unwrap_or_else(|failed| panic!("{failed}"));
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
