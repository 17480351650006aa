//! Thousands of runs against real servers, including the inputs of `fuzz/seeds`.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use testkit::{Endpoint, Server};
use versus::{REDIS_ARGUMENTS, TestServer};

/// Number of runs; NUTHATCH_VERSUS_FIRST=N starts with others, NUTHATCH_VERSUS_PLAYS=N does more.
const PLAYS: u64 = 4_000;

/// Failing runs after which no more are done: what they have in common can be seen in as many.
const MOST_FAILURES: usize = 40;

#[test]
fn redis_through_the_core_is_redis() {
    let Some(server) = testkit::redis_unix(REDIS_ARGUMENTS) else {
        testkit::skip!("redis-server is not installed");
    };
    let used = play_all(&TestServer::redis(socket(&server)), "differential_redis");
    assert_all_needed(&used, "direct-redis-");
}

#[test]
fn memcached_through_the_core_is_memcached() {
    let Some(server) = testkit::memcached_unix(&[]) else {
        testkit::skip!("memcached is not installed");
    };
    let used = play_all(
        &TestServer::memcached(socket(&server)),
        "differential_memcached",
    );
    assert_all_needed(&used, "direct-memcached-");
}

/// A documented difference that occurs in no run may not exist any more.
fn assert_all_needed(used: &BTreeSet<&'static str>, protocol: &str) {
    let ids = versus::excuses();
    let unused: Vec<_> = ids
        .iter()
        .filter(|id| id.starts_with(protocol) && !used.contains(*id))
        .collect();
    let is_usual = number("NUTHATCH_VERSUS_FIRST").is_none();
    assert!(unused.is_empty() || !is_usual, "not needed: {unused:?}");
}

/// Runs the seeds of a fuzz target and generated inputs; returns the excuses that were needed.
///
/// # Panics
/// At the end, when some failed.
fn play_all(test_server: &TestServer, target: &str) -> BTreeSet<&'static str> {
    let (mut used, mut failed) = (BTreeSet::new(), Vec::new());
    let mut play = |name: String, data: &[u8]| {
        match catch_unwind(AssertUnwindSafe(|| test_server.play(data))) {
            Ok(excuses) => used.extend(excuses),
            Err(_) => {
                eprintln!("that was {name}");
                failed.push(name);
            }
        }
        failed.len() < MOST_FAILURES
    };
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let seeds = std::fs::read_dir(seeds.join(target)).expect("every fuzz target has seeds");
    for file in seeds {
        let path = file.expect("it was listed").path();
        let data = std::fs::read(&path).expect("a seed can be read");
        play(path.display().to_string(), &data);
    }
    let first = number("NUTHATCH_VERSUS_FIRST").unwrap_or(0);
    let count = number("NUTHATCH_VERSUS_PLAYS").unwrap_or(PLAYS);
    for number in first..first + count {
        if !play(format!("play {number}"), &input(number)) {
            break;
        }
    }
    assert!(failed.is_empty(), "{} failed: {failed:?}", failed.len());
    used
}

/// Up to 240 bytes that depend on the number only.
fn input(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 24
    };
    let len = next() % 240;
    (0..len).map(|_| next() as u8).collect()
}

fn socket(server: &Server) -> &Path {
    match server.endpoint() {
        Endpoint::Unix(path) => path,
        Endpoint::Tcp(_) => panic!("a unix socket was asked for"),
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")),
    )
}
