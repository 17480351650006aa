//! Measures how the cost of placing keys grows with the number of servers: building the ring and looking up a
//! key.
//!
//! Prints one line per given number of servers: servers, nanoseconds per build, nanoseconds per lookup.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hashkit::{Member, Placement};

/// Minimum duration of each measurement.
const LONG_ENOUGH: Duration = Duration::from_millis(100);

/// Maximum number of servers.
const MOST_SERVERS: usize = 10_000;

fn main() -> ExitCode {
    for word in std::env::args().skip(1) {
        match word.parse() {
            Ok(servers @ 1..=MOST_SERVERS) => {
                let (build, lookup) = measure(servers);
                println!("{servers} {build:.0} {lookup:.2}");
            }
            _ => {
                eprintln!("placement: {word} is not a number of servers from 1 to {MOST_SERVERS}");
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::SUCCESS
}

/// Nanoseconds to build a ketama ring of `servers` servers, and to look up one key.
fn measure(servers: usize) -> (f64, f64) {
    let names: Vec<String> = (0..servers)
        .map(|number| format!("10.0.{}.{}:6379", number / 250, number % 250))
        .collect();
    let members: Vec<Member<'_>> = names
        .iter()
        .map(|name| Member {
            name: name.as_bytes(),
            weight: 1,
            live: true,
        })
        .collect();
    let placement = Placement::default();
    let build = nanos_each(|_| {
        black_box(placement.ring(black_box(&members)));
    });
    let ring = placement.ring(&members);
    let keys: Vec<String> = (0..4_096)
        .map(|number| format!("user:{number}:session"))
        .collect();
    let lookup = nanos_each(|turn| {
        let key = keys[turn % keys.len()].as_bytes();
        black_box(placement.place(&ring, black_box(key), || 0));
    });
    (build, lookup)
}

fn nanos_each(mut work: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    let mut turns = 0;
    // The clock is read once per many rounds, so that it hardly counts.
    let mut batch = 1;
    while start.elapsed() < LONG_ENOUGH {
        for turn in turns..turns + batch {
            work(turn);
        }
        turns += batch;
        batch = (batch * 2).min(10_000);
    }
    start.elapsed().as_nanos() as f64 / turns as f64
}
