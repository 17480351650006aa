//! The whole proxy core in a seeded simulator: many fake clients and servers, a network that cuts, delays,
//! resets and drops, one to four workers, and virtual time. See README.md beside this file.

mod agenda;
mod clients;
mod dependent;
mod ejection;
mod faults;
mod frames;
mod keys;
mod limits;
mod memcached_client;
mod memcached_server;
mod mishaps;
mod network;
mod oracle;
mod patience;
mod plans;
mod properties;
mod redis_client;
mod redis_server;
mod rng;
mod scenario;
mod servers;
mod shards;
mod stalls;
mod want;
mod worker;
mod world;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use world::{Tally, World};

/// Seeds of a normal run; NUTHATCH_SIM_SEEDS=N runs more.
const USUAL_SEEDS: u64 = 10_000;

/// Seeds that once showed a bug, one per line; always run.
const REGRESSIONS: &str = include_str!("regressions.txt");

#[test]
fn every_seed_keeps_every_promise() {
    if let Some(seed) = number("NUTHATCH_SIM_SEED") {
        println!("seed {seed}: {:?}", World::new(seed, false, true).run());
        return;
    }
    let count = number("NUTHATCH_SIM_SEEDS").unwrap_or(USUAL_SEEDS);
    let first = number("NUTHATCH_SIM_FIRST").unwrap_or(0);
    let tally = run_all((first..first + count).collect(), false);
    println!("{count} seeds: {tally:?}");
    if count >= 500 {
        assert!(
            tally.replies > 100_000 / 4 && tally.lost > 500 && tally.ejections > 50,
            "too little happened: {tally:?}"
        );
        assert!(
            tally.probes > 50 && tally.late > 50 && tally.retries > 20,
            "too little of what fails in part: {tally:?}"
        );
        assert!(
            tally.misses > 50 && tally.refusals > 50,
            "too little was asked of ejected servers: {tally:?}"
        );
        assert!(
            tally.shed > 20 && tally.held_back > 200,
            "memory was never short: {tally:?}"
        );
        assert!(
            tally.dawdlers > 500,
            "too few clients were waited for: {tally:?}"
        );
        assert!(tally.failovers > 500, "too little failed over: {tally:?}");
        assert!(
            tally.stalled > 10 && tally.late_readers > 10,
            "too few clients read slowly: {tally:?}"
        );
        assert!(
            tally.refused_steps > 50,
            "too few handshakes were refused: {tally:?}"
        );
        assert!(
            tally.not_executed > 300 && tally.muted > 300 && tally.unheard > 100,
            "too little depended on what was refused: {tally:?}"
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
        false,
    );
}

#[test]
fn plans_replace_each_other_under_all_seeds() {
    if let Some(seed) = number("NUTHATCH_SIM_SEED") {
        println!("seed {seed}: {:?}", World::new(seed, true, true).run());
        return;
    }
    let count = number("NUTHATCH_SIM_SEEDS").unwrap_or(USUAL_SEEDS);
    let first = number("NUTHATCH_SIM_FIRST").unwrap_or(0);
    let tally = run_all((first..first + count).collect(), true);
    println!("{count} seeds: {tally:?}");
    if count >= 500 {
        assert!(tally.plans > 1_000, "too few plans: {tally:?}");
    }
}

/// A seed takes milliseconds; one that says nothing for so long is caught in a loop.
const PATIENCE: Duration = Duration::from_secs(180);

/// A thread's message about a seed.
enum News {
    Begun(u64),
    /// Ended, with its counts unless a property was violated.
    Ended(u64, Option<Box<Tally>>),
}

/// Runs the seeds on all processors; fails with the first seed that does not hold.
fn run_all(seeds: Vec<u64>, has_plans: bool) -> Tally {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let (tell, news) = mpsc::channel();
    let name = if has_plans { "plans" } else { "every_seed" };
    let (total, mut failures) = std::thread::scope(|scope| {
        for _ in 0..threads {
            let (seeds, next, tell) = (&seeds, &next, tell.clone());
            scope.spawn(move || run_some(seeds, has_plans, next, &tell));
        }
        drop(tell);
        collect(&news, name)
    });
    failures.sort_unstable();
    if let Some(seed) = failures.first() {
        panic!(
            "{} of {} seeds failed: {failures:?}\nreplay with a trace: {}",
            failures.len(),
            seeds.len(),
            replay(name, *seed)
        );
    }
    total
}

/// Runs seeds until none is left.
fn run_some(seeds: &[u64], has_plans: bool, next: &AtomicUsize, tell: &mpsc::Sender<News>) {
    while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
        let begun = tell.send(News::Begun(*seed));
        let world = || World::new(*seed, has_plans, false).run();
        let ended = catch_unwind(AssertUnwindSafe(world));
        if ended.is_err() {
            eprintln!("that was seed {seed}");
        }
        let told = begun.and_then(|()| tell.send(News::Ended(*seed, ended.ok().map(Box::new))));
        told.expect("the listener stays to the last word");
    }
}

/// Adds up the news; returns the seeds that failed. Does not wait for ever for a seed that never ends.
fn collect(news: &mpsc::Receiver<News>, name: &str) -> (Tally, Vec<u64>) {
    let mut digests = std::env::var_os("NUTHATCH_SIM_DIGESTS").map(|path| {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        file.expect("NUTHATCH_SIM_DIGESTS names a file")
    });
    let (mut total, mut failed, mut running) = (Tally::default(), Vec::new(), Vec::new());
    loop {
        match news.recv_timeout(PATIENCE) {
            Ok(News::Begun(seed)) => running.push(seed),
            Ok(News::Ended(seed, tally)) => {
                running.retain(|other| *other != seed);
                if let (Some(file), Some(tally)) = (&mut digests, &tally) {
                    writeln!(file, "{seed} {:016x}", tally.digest).expect("there is room");
                }
                match tally {
                    Some(tally) => total.add(&tally),
                    None => failed.push(seed),
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return (total, failed),
            Err(mpsc::RecvTimeoutError::Timeout) => give_up(name, &running),
        }
    }
}

/// Ends the process, as a thread that loops cannot be ended; past the harness, which keeps what is
/// printed until a test has ended.
fn give_up(name: &str, running: &[u64]) -> ! {
    let replays: Vec<String> = running.iter().map(|seed| replay(name, *seed)).collect();
    let text = format!("no end to seeds {running:?}\n{}\n", replays.join("\n"));
    let _ = std::io::stderr().write_all(text.as_bytes());
    std::process::exit(101)
}

fn replay(name: &str, seed: u64) -> String {
    format!("NUTHATCH_SIM_SEED={seed} cargo test -p proxy --test sim {name} -- --nocapture")
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")),
    )
}
