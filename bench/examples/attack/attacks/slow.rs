//! Commands that keep a server busy for long, many at once: others wait behind them at the same server.

use std::thread;
use std::time::{Duration, Instant};

use testkit::Client;

use crate::case::{Case, Finding, Limit};
use crate::flood::Flood;
use crate::rig::{REDIS, Rig, Setup};
use crate::wire;

/// The server that is kept busy.
const SERVER: usize = 1;

/// Commands of one round, and the time from a round to the next.
const ROUND: usize = 600;
const EVERY: Duration = Duration::from_secs(1);

/// How long one command takes, at least.
const COST: Duration = Duration::from_micros(3_700);

/// Elements that are tried first, and the most.
const FEW: usize = 2_000;
const MANY: usize = 1_000_000;

/// Pause of the neighbour between two requests.
const PAUSE: Duration = Duration::from_millis(2);

/// What an operator has who wants failures to be noticed soon.
const SETUP: Setup = Setup {
    settings: &[
        "timeout: 400",
        "auto_eject_hosts: true",
        "server_failure_limit: 2",
        "server_retry_timeout: 2000",
    ],
    ..REDIS
};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("600 x SORT", "SORT", 1),
        case("4 clients, 600 x SORT", "SORT", 4),
        case("4 clients, 600 x ZUNIONSTORE", "ZUNIONSTORE", 4),
    ]
}

fn case(name: &str, command: &'static str, clients: usize) -> Case {
    Case {
        attack: "slow",
        name: name.into(),
        setup: SETUP,
        limit: Limit::Seen(10, "% errors of a neighbour at that server"),
        strike: Box::new(move |rig, until| {
            let request = find_slow(rig, command)?;
            // What it took to find one is not part of the attack.
            let until = Instant::now() + until.saturating_duration_since(Instant::now()).max(EVERY);
            let flood = Flood {
                address: rig.address,
                round: &request.repeat(ROUND),
                every: EVERY,
                clients,
            };
            thread::scope(|scope| {
                let neighbour = scope.spawn(|| ask(rig, until));
                let flooded = flood.run(until);
                let neighbour = neighbour.join().map_err(|_| "the neighbour panicked")??;
                flooded.map(|flooded| neighbour.finding(&flooded.note))
            })
        }),
    }
}

/// A request of that command that takes so long.
fn find_slow(rig: &Rig, command: &str) -> Result<Vec<u8>, String> {
    let key = rig.key(SERVER, "k");
    let words: Vec<String> = match command {
        "SORT" => vec![
            command.into(),
            key.clone(),
            "LIMIT".into(),
            "0".into(),
            "1".into(),
        ],
        _ => vec![
            command.into(),
            rig.key(SERVER, "to"),
            "1".into(),
            key.clone(),
        ],
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut direct = rig.direct(SERVER);
    let mut elements = FEW;
    while elements <= MANY {
        fill(&mut direct, command, &key, elements);
        let quickest = (0..3).map(|_| {
            let start = Instant::now();
            direct.ask(&words);
            start.elapsed()
        });
        if quickest.min().is_some_and(|quickest| quickest >= COST) {
            return Ok(wire::request(words.iter()));
        }
        elements += elements / 4;
    }
    Err(format!("{command} of {MANY} elements is not slow"))
}

/// Stores so many elements.
fn fill(direct: &mut Client, command: &str, key: &str, elements: usize) {
    direct.ask(&["DEL", key]);
    let numbers: Vec<String> = (0..elements)
        .map(|number| (number * 7_919 % elements).to_string())
        .collect();
    for part in numbers.chunks(1_000) {
        let mut words = vec![if command == "SORT" { "RPUSH" } else { "ZADD" }, key];
        for number in part {
            words.push(number);
            if command != "SORT" {
                words.push(number);
            }
        }
        direct.ask(&words);
    }
}

/// What became of the neighbour's requests.
struct Neighbour {
    errors: u64,
    asked: u64,
    longest: Duration,
    last_error: String,
}

impl Neighbour {
    fn finding(self, note: &str) -> Finding {
        let Self {
            errors,
            asked,
            longest,
            last_error,
        } = self;
        let longest = longest.as_millis();
        Finding {
            seen: (100 * errors).div_ceil(asked.max(1)),
            note: format!(
                "{errors} of {asked} failed, longest wait {longest} ms{last_error}; clients {note}"
            ),
        }
    }
}

/// Asks the busy server for one thing at a time.
fn ask(rig: &Rig, until: Instant) -> Result<Neighbour, String> {
    let key = rig.key(SERVER, "neighbour");
    rig.direct(SERVER).ask(&["SET", &key, "v"]);
    let get = wire::request(["GET", &key].iter());
    let mut stream = wire::connect(rig.address)?;
    let mut seen = Neighbour {
        errors: 0,
        asked: 0,
        longest: Duration::ZERO,
        last_error: String::new(),
    };
    while Instant::now() < until {
        let start = Instant::now();
        let result = wire::exchange(&mut stream, &get, b"$1\r\nv\r\n");
        seen.asked += 1;
        seen.longest = seen.longest.max(start.elapsed());
        if let Err(error) = result {
            seen.errors += 1;
            seen.last_error = format!(", the last: {error}");
        }
        thread::sleep(PAUSE);
    }
    Ok(seen)
}
