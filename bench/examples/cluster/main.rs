//! A real Redis Cluster behind the proxy: its masters are killed and its slots are moved one after the other, while clients
//! that know of no cluster check every reply.
//!
//! Each client has keys of its own, most of one hash slot, which are moved. It pipelines, so that order matters, and knows
//! for each key which values it may have: exactly the one that was stored last, or, after an error, also any that was sent
//! since.

mod client;
mod options;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, Counts};
use options::Options;
use testkit::Cluster;

/// A node is failed after that.
const NODE_TIMEOUT: Duration = Duration::from_millis(500);

/// What clients may notice beyond the cluster's own failover time.
const BEYOND: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{}", options::USAGE);
        return ExitCode::SUCCESS;
    }
    match Options::parse(&words).and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("torture --cluster: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<bool, String> {
    let mut cluster = Cluster::start(NODE_TIMEOUT).ok_or("redis-server is not installed")?;
    let port = testkit::free_port();
    let seeds: Vec<String> = cluster
        .addresses()
        .iter()
        .map(ToString::to_string)
        .collect();
    // One that answers is enough, so the others are not named.
    let conf = format!(
        "cluster:\n  listen: 127.0.0.1:{port}\n  redis: true\n  cluster: [{}]\n  timeout: 5000\n",
        seeds[..3].join(", ")
    );
    let proxy = testkit::nuthatch(&options.nuthatch, &[], &conf);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..options.clients)
        .map(|number| {
            let (stop, seed) = (Arc::clone(&stop), options.seed);
            thread::spawn(move || Client::new(port, number, seed).run(&stop))
        })
        .collect();
    let begin = Instant::now();
    thread::sleep(Duration::from_secs(1));
    let faults = make_faults(&mut cluster, options);
    stop.store(true, Ordering::Relaxed);
    let counts: Vec<Counts> = clients
        .into_iter()
        .map(|client| {
            client
                .join()
                .map_err(|_| "a client has panicked".to_owned())
        })
        .collect::<Result<_, _>>()?;
    let log = proxy.stderr();
    drop(proxy);
    Ok(report(options, &faults, counts, begin.elapsed(), &log))
}

/// What was done to the cluster.
struct Faults {
    /// When each failover began, and how long the cluster took for it.
    failovers: Vec<(Instant, Duration)>,
    migrations: usize,
    keys_moved: usize,
}

/// Failovers and migrations in turn.
fn make_faults(cluster: &mut Cluster, options: &Options) -> Faults {
    let mut faults = Faults {
        failovers: Vec::new(),
        migrations: 0,
        keys_moved: 0,
    };
    let most = options.failovers.max(options.migrations);
    for round in 0..most {
        if round < options.migrations {
            let slot = client::slot_of_client(round as u16 % options.clients);
            let from = cluster.owner(slot).unwrap_or_default();
            let masters = cluster.masters();
            let others: Vec<usize> = masters.into_iter().filter(|node| *node != from).collect();
            let to = others[round % others.len()];
            faults.keys_moved += cluster.migrate(slot, from, to, Duration::from_millis(20));
            faults.migrations += 1;
            if options.is_verbose {
                println!("slot {slot} moved from node {from} to {to}");
            }
        }
        if round < options.failovers {
            let masters = cluster.masters();
            let master = masters[round % masters.len()];
            let begin = Instant::now();
            let taken = cluster.fail_over(master);
            faults.failovers.push((begin, taken));
            if options.is_verbose {
                println!("node {master} failed over within {} ms", taken.as_millis());
            }
        }
        thread::sleep(Duration::from_millis(300));
    }
    faults
}

fn report(
    options: &Options,
    faults: &Faults,
    counts: Vec<Counts>,
    time: Duration,
    log: &str,
) -> bool {
    let mut sum = Counts::default();
    counts.into_iter().for_each(|counts| sum.add(counts));
    let mut outside = 0;
    let mut longest_beyond = Duration::ZERO;
    for (at, line) in &sum.errors {
        let window =
            |(begin, taken): &(Instant, Duration)| *begin <= *at && *at <= *begin + *taken + BEYOND;
        if !faults.failovers.iter().any(window) {
            outside += 1;
            if outside <= 5 {
                println!("outside of failovers: {line}");
            }
        }
    }
    for (number, (begin, taken)) in faults.failovers.iter().enumerate() {
        let next = faults.failovers.get(number + 1).map(|(next, _)| *next);
        let errors = sum.errors.iter().map(|(at, _)| *at);
        let own = errors.filter(|at| at >= begin && next.is_none_or(|next| *at < next));
        if let Some(last) = own.max() {
            longest_beyond = longest_beyond.max((last - *begin).saturating_sub(*taken));
        }
    }
    let slowest = faults.failovers.iter().map(|(_, taken)| *taken).max();
    println!(
        "seed {}: {} requests in {} s, {} wrong, {} misordered, {} errors of which {outside} outside of failovers and {} ms after; {} \
         failovers of at most {} ms, {} migrations with {} keys; the last error at most {} ms after the cluster had failed over; {} lines logged",
        options.seed,
        sum.requests,
        time.as_secs(),
        sum.wrong,
        sum.misordered,
        sum.errors.len(),
        BEYOND.as_millis(),
        faults.failovers.len(),
        slowest.unwrap_or_default().as_millis(),
        faults.migrations,
        faults.keys_moved,
        longest_beyond.as_millis(),
        log.lines().count(),
    );
    for (_, line) in sum
        .errors
        .iter()
        .filter(|(_, line)| client::is_of_cluster(line))
        .take(5)
    {
        println!("an answer that no client should get: {line}");
    }
    let leaked = sum
        .errors
        .iter()
        .filter(|(_, line)| client::is_of_cluster(line))
        .count();
    sum.told.iter().take(5).for_each(|line| println!("{line}"));
    if options.is_verbose {
        println!("{log}");
    }
    sum.wrong == 0 && sum.misordered == 0 && outside == 0 && leaked == 0
}
