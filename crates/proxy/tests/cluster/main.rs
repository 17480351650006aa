//! Pools of a Redis Cluster in a seeded simulator: slots move key by key, masters are replaced or die, nodes hear of it
//! late, replicas lag, several publishers change the plan, and clients check every reply. What no client may notice:
//! redirections, another order of its requests for keys of the same slot, a request that is executed twice or in part,
//! a read that does not show the client's own writes. Replay one seed with a trace:
//! `NUTHATCH_SIM_SEED=N cargo test -p proxy --test cluster -- --nocapture`.

mod clients;
mod nodes;
mod resp;
#[path = "../sim/rng.rs"]
mod rng;
mod shell;
mod steps;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use world::{Counts, World};

/// Seeds of a normal run; NUTHATCH_SIM_SEEDS=N runs more.
const USUAL_SEEDS: u64 = 3_000;

/// Seeds that once showed a bug; always run.
const REGRESSIONS: [u64; 6] = [132, 356, 705, 1417, 8936, 101_203];

#[test]
fn no_client_notices_what_happens_in_a_cluster() {
    if let Some(seed) = number("NUTHATCH_SIM_SEED") {
        println!("seed {seed}: {:?}", World::new(seed, true).run());
        return;
    }
    let first = number("NUTHATCH_SIM_FIRST").unwrap_or(0);
    let count = number("NUTHATCH_SIM_SEEDS").unwrap_or(USUAL_SEEDS);
    let seeds: Vec<u64> = REGRESSIONS
        .into_iter()
        .chain(first..first + count)
        .collect();
    let counts = run_all(&seeds);
    println!("{count} seeds: {counts:?}");
    if count >= 1_000 {
        let often = [
            counts.replies / 100,
            counts.transactions / 10,
            counts.replica_reads as usize / 10,
            counts.moves,
            counts.failovers,
            counts.crashes,
            counts.plans,
            counts.errors,
        ];
        let is_enough = often
            .iter()
            .chain(&counts.redirects)
            .all(|count| *count > 200);
        assert!(is_enough, "too little happened: {counts:?}");
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs the seeds on all processors; fails with those that do not hold.
fn run_all(seeds: &[u64]) -> Counts {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let run = || {
        let (mut counts, mut failed) = (Counts::default(), Vec::new());
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            match catch_unwind(AssertUnwindSafe(|| World::new(*seed, false).run())) {
                Ok(more) => counts.add(&more),
                Err(_) => failed.push(*seed),
            }
        }
        (counts, failed)
    };
    let (mut counts, mut failed) = (Counts::default(), Vec::new());
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        for thread in all {
            let (more, others) = thread.join().expect("what panics is caught");
            counts.add(&more);
            failed.extend(others);
        }
    });
    failed.sort_unstable();
    assert_eq!(
        failed,
        [],
        "seeds that do not hold: NUTHATCH_SIM_SEED=N cargo test -p proxy --test cluster -- --nocapture"
    );
    counts
}
