//! `--commands`: what some commands take through the proxy and at a server directly: transactions, and SCAN of many keys.

use std::path::Path;
use std::time::Instant;

use testkit::{Client, Endpoint, Server};

use super::contender::{Contender, Kind, OURS, Rig};
use super::figures::cpu_nanos;
use super::load::Running;
use super::options::Options;
use super::programs::Bench;
use super::samples::median;
use super::setup;
use super::shape::Protocol;

/// Transactions per second, of ten commands each.
const RATE: u64 = 2_690;

/// Clients that send them.
const CLIENTS: usize = 50;

/// Keys that are scanned, in one pool of one server and one of three.
const KEYS: usize = 1_000_000;

/// Stores keys with a prefix and a range of numbers.
const FILL: &str = "for i = ARGV[2], ARGV[3] do redis.call('SET', ARGV[1] .. i, 'value') end \
                    return redis.status_reply('OK')";

/// Keys that one script stores: a fraction of a second's work, so that no time-out of the client ends it.
const FILLED_AT_ONCE: usize = 100_000;

/// Measures and prints tables.
///
/// # Errors
///
/// When something does not start, or a reply is wrong.
pub(super) fn run(bench: &Bench, options: &Options) -> Result<(), String> {
    transactions(bench, options)?;
    scans(bench, options)
}

/// One run of transactions.
struct Transactions {
    executed: f64,
    p50: f64,
    p99: f64,
    /// CPU for each, in nanoseconds.
    proxy: f64,
    server: f64,
    /// Connections that the server has accepted meanwhile.
    connections: f64,
}

fn transactions(bench: &Bench, options: &Options) -> Result<(), String> {
    let program = setup::build(&["nuthatch-bench"], &["transactions"])?.remove(0);
    println!(
        "{RATE} transactions of ten commands per second, from {CLIENTS} clients, for {} s; medians of {} rounds",
        options.seconds.as_secs().max(1),
        options.rounds
    );
    println!(
        "{:9} {:>10} {:>8} {:>8} {:>11} {:>11} {:>15}",
        "through", "executed", "p50 us", "p99 us", "proxy us", "server us", "new connections"
    );
    let kinds = [Kind::Direct, Kind::ours(bench, OURS, options.workers)];
    let mut rounds: Vec<Vec<Transactions>> = kinds.iter().map(|_| Vec::new()).collect();
    for _ in 0..options.rounds {
        for (kind, runs) in kinds.iter().zip(&mut rounds) {
            let rig = Rig::start(Protocol::Redis, 1, std::slice::from_ref(kind))?;
            runs.push(execute(&program, &rig, options)?);
        }
    }
    for (kind, runs) in kinds.iter().zip(&rounds) {
        let of =
            |part: fn(&Transactions) -> f64| median(&runs.iter().map(part).collect::<Vec<_>>());
        println!(
            "{:9} {:>10.0} {:>8.0} {:>8.0} {:>11.1} {:>11.1} {:>15.0}",
            kind.name(),
            of(|it| it.executed),
            of(|it| it.p50),
            of(|it| it.p99),
            of(|it| it.proxy / 1e3),
            of(|it| it.server / 1e3),
            of(|it| it.connections),
        );
    }
    Ok(())
}

fn execute(program: &Path, rig: &Rig, options: &Options) -> Result<Transactions, String> {
    let contender = &rig.contenders[0];
    let words = [
        program.display().to_string(),
        contender.address.to_string(),
        CLIENTS.to_string(),
        RATE.to_string(),
        options.seconds.as_secs().max(1).to_string(),
    ];
    let mut load = Running::spawn(&words)?;
    let ready = load.line()?;
    if ready.trim() != "ready" {
        return Err(load.failure(&ready));
    }
    let mut server = rig.servers[0].client();
    let (before, accepted) = (cpu(contender, rig)?, connections(&mut server)?);
    load.go()?;
    let line = load.line()?;
    let (after, now) = (cpu(contender, rig)?, connections(&mut server)?);
    let report: serde_json::Value = serde_json::from_str(&line).map_err(|_| load.failure(&line))?;
    let number = |name: &str| {
        let number = report[name].as_f64();
        number.ok_or_else(|| format!("no {name} in {line}"))
    };
    let executed = number("executed")?;
    Ok(Transactions {
        executed,
        p50: number("p50")?,
        p99: number("p99")?,
        proxy: (after.0 - before.0) as f64 / executed.max(1.0),
        server: (after.1 - before.1) as f64 / executed.max(1.0),
        connections: (now - accepted) as f64,
    })
}

/// How many connections the server has ever accepted.
fn connections(server: &mut Client) -> Result<u64, String> {
    let stats = server.ask(&["INFO", "stats"]);
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix("total_connections_received:"));
    let number = line.and_then(|number| number.trim().parse().ok());
    number.ok_or_else(|| format!("no number of connections in {stats}"))
}

/// CPU that the proxy, if there is one, and the servers have used, in nanoseconds.
fn cpu(contender: &Contender, rig: &Rig) -> Result<(u64, u64), String> {
    let proxy = contender.pid().map_or(Ok(0), cpu_nanos)?;
    let servers: Result<Vec<u64>, String> = rig.server_pids().into_iter().map(cpu_nanos).collect();
    Ok((proxy, servers?.iter().sum()))
}

fn scans(bench: &Bench, options: &Options) -> Result<(), String> {
    println!("\nSCAN of {KEYS} keys, 1,000 at a time");
    println!(
        "{:9} {:>7} {:>8} {:>8} {:>9} {:>10} {:>8}",
        "through", "servers", "replies", "keys", "seconds", "proxy CPU", "servers' CPU"
    );
    let ours = Kind::ours(bench, OURS, options.workers);
    for (kind, servers) in [(Kind::Direct, 1), (ours.clone(), 1), (ours, 3)] {
        let rig = Rig::start(Protocol::Redis, servers, std::slice::from_ref(&kind))?;
        for server in &rig.servers {
            fill(server, KEYS / servers)?;
        }
        let contender = &rig.contenders[0];
        let before = cpu(contender, &rig)?;
        let begin = Instant::now();
        let mut client = Client::connect(&Endpoint::Tcp(contender.address));
        let (replies, keys) = scan(&mut client)?;
        let seconds = begin.elapsed().as_secs_f64();
        let after = cpu(contender, &rig)?;
        let of = |after: u64, before: u64| (after - before) as f64 / 1e9;
        println!(
            "{:9} {servers:>7} {replies:>8} {keys:>8} {seconds:>9.2} {:>10.2} {:>8.2}",
            kind.name(),
            of(after.0, before.0),
            of(after.1, before.1),
        );
        if keys < KEYS / servers * servers {
            return Err("keys are missing".into());
        }
    }
    Ok(())
}

/// Scans everything; returns how many replies that took, and how many keys they had.
fn scan(client: &mut Client) -> Result<(usize, usize), String> {
    let (mut cursor, mut replies, mut keys) = ("0".to_owned(), 0, 0);
    loop {
        let reply = client.ask(&["SCAN", &cursor, "COUNT", "1000"]);
        let mut lines = reply.lines();
        // `*2`, the cursor's length, the cursor, the number of keys.
        let next = lines.nth(2).ok_or_else(|| reply.clone())?;
        let count = lines.next().and_then(|line| line.strip_prefix('*'));
        let count: usize = count
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| reply.clone())?;
        (replies, keys) = (replies + 1, keys + count);
        if next == "0" {
            return Ok((replies, keys));
        }
        next.clone_into(&mut cursor);
    }
}

/// Stores `count` keys that no other server has.
fn fill(server: &Server, count: usize) -> Result<(), String> {
    let mut client = server.client();
    let name = format!("key:{}:", server.port());
    for first in (0..count).step_by(FILLED_AT_ONCE) {
        let last = (first + FILLED_AT_ONCE).min(count) - 1;
        let (first, last) = (first.to_string(), last.to_string());
        let said = client.ask(&["EVAL", FILL, "0", &name, &first, &last]);
        if said != "+OK\r\n" {
            return Err(format!("keys were not stored: {said}"));
        }
    }
    Ok(())
}
