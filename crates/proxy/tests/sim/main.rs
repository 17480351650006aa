//! The whole proxy core under a seeded simulator: many fake clients and servers, a network that cuts,
//! delays, resets and forgets, one to four workers, and virtual time. See README.md beside this file.

mod agenda;
mod clients;
mod ejection;
mod faults;
mod frames;
mod keys;
mod memcached_client;
mod memcached_server;
mod network;
mod oracle;
mod properties;
mod redis_client;
mod redis_server;
mod rng;
mod scenario;
mod servers;
mod shards;
mod worker;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use world::{Tally, World};

/// Seeds of a usual run; more with NUTHATCH_SIM_SEEDS=N.
const USUAL_SEEDS: u64 = 2_000;

/// Seeds that once showed a bug, one a line; run always.
const REGRESSIONS: &str = include_str!("regressions.txt");

#[test]
fn every_seed_keeps_every_promise() {
    if let Some(seed) = number("NUTHATCH_SIM_SEED") {
        println!("seed {seed}: {:?}", World::new(seed, true).run());
        return;
    }
    let count = number("NUTHATCH_SIM_SEEDS").unwrap_or(USUAL_SEEDS);
    let first = number("NUTHATCH_SIM_FIRST").unwrap_or(0);
    let tally = run_all((first..first + count).collect());
    println!("{count} seeds: {tally:?}");
    if count >= 500 {
        assert!(
            tally.replies > 100_000 / 4 && tally.lost > 500 && tally.ejections > 50,
            "too little happened: {tally:?}"
        );
    }
}

#[test]
fn seeds_that_once_failed_keep_every_promise() {
    let seeds = REGRESSIONS
        .lines()
        .map(|line| line.split('#').next().unwrap_or("").trim());
    run_all(
        seeds
            .filter(|seed| !seed.is_empty())
            .map(|seed| seed.parse().expect("a seed per line"))
            .collect(),
    );
}

/// Runs the seeds on all processors; fails with the first seed that does not hold.
fn run_all(seeds: Vec<u64>) -> Tally {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let (mut total, mut failures) = (Tally::default(), Vec::new());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| run_some(&seeds, &next)))
            .collect();
        for thread in threads {
            let (tally, failed) = thread.join().expect("failures are caught in the thread");
            total.add(&tally);
            failures.extend(failed);
        }
    });
    failures.sort_unstable();
    if let Some(seed) = failures.first() {
        panic!(
            "{} of {} seeds failed: {failures:?}\nreplay with a trace: \
             NUTHATCH_SIM_SEED={seed} cargo test -p proxy --test sim every_seed -- --nocapture",
            failures.len(),
            seeds.len()
        );
    }
    total
}

/// Runs seeds until none is left; returns what happened and which failed.
fn run_some(seeds: &[u64], next: &AtomicUsize) -> (Tally, Vec<u64>) {
    let (mut total, mut failed) = (Tally::default(), Vec::new());
    while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
        match catch_unwind(AssertUnwindSafe(|| World::new(*seed, false).run())) {
            Ok(tally) => total.add(&tally),
            Err(_) => {
                eprintln!("that was seed {seed}");
                failed.push(*seed);
            }
        }
    }
    (total, failed)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")),
    )
}
