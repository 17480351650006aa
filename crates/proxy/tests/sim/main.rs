//! The whole proxy core in a seeded simulator: many fake clients and servers, a network that cuts, delays,
//! resets and drops, one to four workers, and virtual time. See README.md beside this file.

mod bytes;
mod client_timeouts;
mod client_transactions;
mod clients;
mod cross_shard;
mod dependent;
mod ejection;
mod events;
mod expected;
mod faults;
mod frames;
mod keys;
mod limits;
mod memcached_client;
mod memcached_meta;
mod memcached_server;
mod network;
mod noted;
mod oracle;
mod placement;
mod plans;
mod properties;
mod redis_client;
mod redis_server;
mod rng;
mod scenario;
mod server_errors;
mod server_requests;
mod server_transactions;
mod servers;
mod stalls;
mod subscribers;
mod waiting;
mod worker;
mod world;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use world::{Counts, World};

/// Seeds of a normal run; NUTHATCH_SIM_SEEDS=N runs more.
const USUAL_SEEDS: u64 = 6_000;

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
    let counts = run_all((first..first + count).collect(), false);
    println!("{count} seeds: {counts:?}");
    if count >= 500 {
        assert!(
            counts.replies > 100_000 / 4 && counts.lost > 500 && counts.ejections > 50,
            "too little happened: {counts:?}"
        );
        assert!(
            counts.probes > 50 && counts.late > 50 && counts.retries > 20,
            "too little of what fails in part: {counts:?}"
        );
        assert!(
            counts.misses > 50 && counts.refusals > 50,
            "too little was asked of ejected servers: {counts:?}"
        );
        assert!(
            counts.shed > 20 && counts.held_back > 200,
            "memory was never short: {counts:?}"
        );
        assert!(
            counts.dawdlers > 100,
            "too few clients were waited for: {counts:?}"
        );
        assert!(counts.failovers > 500, "too little failed over: {counts:?}");
        assert!(
            counts.stalled > 10 && counts.late_readers > 5,
            "too few clients read slowly: {counts:?}"
        );
        assert!(
            counts.refused_steps > 50,
            "too few handshakes were refused: {counts:?}"
        );
        assert!(
            counts.not_executed > 150
                && counts.transactions > 300
                && counts.muted > 300
                && counts.unheard > 100,
            "too little depended on what was refused: {counts:?}"
        );
        let waits = &counts.waits;
        assert!(
            waits.given > 200 && waits.lost > 20 && waits.cancelled > 20,
            "too few clients waited: {waits:?}"
        );
    }
}

#[test]
fn seeds_that_once_failed_keep_every_promise() {
    let seeds = REGRESSIONS
        .lines()
        .map(|line| line.split('#').next().unwrap_or("").trim());
    let seeds: Vec<u64> = seeds
        .filter(|seed| !seed.is_empty())
        .map(|seed| seed.parse().expect("a seed per line"))
        .collect();
    run_all(seeds.clone(), false);
    run_all(seeds, true);
}

#[test]
fn plans_replace_each_other_under_all_seeds() {
    if let Some(seed) = number("NUTHATCH_SIM_SEED") {
        println!("seed {seed}: {:?}", World::new(seed, true, true).run());
        return;
    }
    let count = number("NUTHATCH_SIM_SEEDS").unwrap_or(USUAL_SEEDS);
    let first = number("NUTHATCH_SIM_FIRST").unwrap_or(0);
    let counts = run_all((first..first + count).collect(), true);
    println!("{count} seeds: {counts:?}");
    if count >= 500 {
        assert!(counts.plans > 1_000, "too few plans: {counts:?}");
    }
}

/// A seed takes milliseconds; one that makes no progress for this long is in an endless loop.
const TIME_LIMIT: Duration = Duration::from_secs(180);

/// A thread's message about a seed.
enum News {
    Begun(u64),
    /// Ended, with its counts unless a property was violated.
    Ended(u64, Option<Box<Counts>>),
}

/// Runs the seeds on all processors; fails with the first seed that does not hold.
fn run_all(seeds: Vec<u64>, has_plans: bool) -> Counts {
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
fn collect(news: &mpsc::Receiver<News>, name: &str) -> (Counts, Vec<u64>) {
    let mut digests = std::env::var_os("NUTHATCH_SIM_DIGESTS").map(|path| {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        file.expect("NUTHATCH_SIM_DIGESTS names a file")
    });
    let (mut total, mut failed, mut running) = (Counts::default(), Vec::new(), Vec::new());
    loop {
        match news.recv_timeout(TIME_LIMIT) {
            Ok(News::Begun(seed)) => running.push(seed),
            Ok(News::Ended(seed, counts)) => {
                running.retain(|other| *other != seed);
                if let (Some(file), Some(counts)) = (&mut digests, &counts) {
                    writeln!(file, "{seed} {:016x}", counts.digest).expect("there is room");
                }
                match counts {
                    Some(counts) => total.add(&counts),
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
