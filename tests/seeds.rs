//! Schedules made from seeds: plays them on all cores and reports those that broke a promise.

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

/// The seed in the environment variable `name`, to play alone.
pub fn alone(name: &str) -> Option<u64> {
    let seed = env::var(name).ok()?;
    Some(seed.parse().expect("the seed is a number"))
}

/// Plays the `usual` seeds, or those in the environment variable `{name}S`, as `FROM..TO`. `play` returns
/// the promises that a seed broke.
///
/// # Errors
/// How many seeds broke any, and how to see the first of them.
pub fn play_all(
    name: &str,
    usual: Range<u64>,
    filter: &str,
    play: impl Fn(u64) -> Vec<String> + Sync,
) -> Result<(), String> {
    let seeds = env::var(format!("{name}S")).map_or(usual, |seeds| {
        let (from, to) = seeds.split_once("..").expect("seeds are FROM..TO");
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
            let broken = catch_unwind(AssertUnwindSafe(|| play(seed)))
                .unwrap_or_else(|_| vec!["panicked or did not end".into()]);
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
    match failed.iter().min() {
        None => Ok(()),
        Some(seed) => Err(format!(
            "{} of {seeds:?} failed; to see one: {name}={seed} cargo test --test tests {filter}",
            failed.len()
        )),
    }
}
