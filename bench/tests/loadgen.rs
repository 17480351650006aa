//! The load generator against servers that are correct, wrong, slow, or close the connection.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may fail as loudly as tests"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nuthatch_bench::load::{Keyspace, Options, Report, run};
use nuthatch_bench::paths::answer;

/// Changes the replies to one batch of requests.
type Bend = dyn Fn(u64, Vec<u8>) -> Vec<u8> + Send + Sync;

/// A Redis server that has every key; `bend` gets each reply with its number.
fn server(keys: Keyspace, bend: Arc<Bend>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ordinal = Arc::new(AtomicU64::new(0));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (keys, bend, ordinal) = (keys.clone(), bend.clone(), ordinal.clone());
            thread::spawn(move || serve(stream.unwrap(), &keys, &*bend, &ordinal));
        }
    });
    address
}

fn serve(stream: TcpStream, keys: &Keyspace, bend: &Bend, ordinal: &AtomicU64) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read_request(&mut reader) {
        let (reply, _) = answer(nuthatch_bench::load::Protocol::Redis, keys, &request);
        let reply = bend(ordinal.fetch_add(1, Ordering::SeqCst), reply);
        if reply.is_empty() || writer.write_all(&reply).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut raw = Vec::new();
    reader
        .read_until(b'\n', &mut raw)
        .ok()
        .filter(|&len| len > 0)?;
    for _ in 0..number(&raw) {
        let at = raw.len();
        reader.read_until(b'\n', &mut raw).ok()?;
        let len = number(&raw[at..]);
        let at = raw.len();
        raw.resize(at + len + 2, 0);
        reader.read_exact(&mut raw[at..]).ok()?;
    }
    Some(raw)
}

fn number(line: &[u8]) -> usize {
    let text = String::from_utf8_lossy(&line[1..]);
    text.trim_end().parse().unwrap()
}

fn load(bend: impl Fn(u64, Vec<u8>) -> Vec<u8> + Send + Sync + 'static, line: &str) -> Report {
    let target = server(Keyspace::new(1_000, 40), Arc::new(bend));
    let line = format!("--target {target} --keys 1000 --size 40 {line}");
    let words: Vec<String> = line.split(' ').map(String::from).collect();
    run(&Options::parse(&words).unwrap()).unwrap()
}

fn honest(_: u64, reply: Vec<u8>) -> Vec<u8> {
    reply
}

#[test]
fn honest_servers_pass_with_every_mix_and_the_counts_are_kept() {
    for mix in ["get", "set", "mixed", "mget --batch 40"] {
        let line = format!("--mix {mix} --clients 3 --pipeline 5 --requests 1001 --seconds 60");
        let report = load(honest, &line);
        assert!(report.is_flawless(), "{mix}: {}", report.faults());
        assert_eq!(report.answered, 1_001);
        assert!(report.p50 > 0.0 && report.p50 <= report.p99 && report.p99 <= report.max);
    }
    let report = load(honest, "--mix fill --clients 4 --pipeline 8 --seconds 60");
    assert_eq!((report.answered, report.is_flawless()), (1_000, true));
}

#[test]
fn a_run_ends_when_its_time_is_over() {
    let start = Instant::now();
    let report = load(honest, "--clients 2 --seconds 0.3");
    assert!(report.is_flawless() && report.answered > 0);
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn one_lie_in_a_thousand_replies_is_found() {
    let line = "--clients 2 --pipeline 4 --requests 1000 --seconds 60";
    let twist = |number, mut reply: Vec<u8>| {
        if number == 500 {
            reply[25] ^= 1;
        }
        reply
    };
    let report = load(twist, line);
    assert_eq!((report.wrong, report.answered), (1, 1_000));
    let lose = |number, reply| {
        if number == 500 {
            b"$-1\r\n".to_vec()
        } else {
            reply
        }
    };
    assert_eq!(load(lose, line).missing, 1);
    let fail = |number, reply| {
        if number == 500 {
            b"-ERR x\r\n".to_vec()
        } else {
            reply
        }
    };
    assert_eq!(load(fail, line).errors, 1);
    let extra = |number, reply: Vec<u8>| {
        if number == 999 {
            reply.repeat(2)
        } else {
            reply
        }
    };
    assert_eq!(load(extra, line).wrong, 1);
    let leave = |number, reply| if number == 500 { Vec::new() } else { reply };
    let report = load(leave, line);
    assert!((1..=4).contains(&report.unanswered), "{}", report.faults());
}

#[test]
fn swapped_replies_are_misordered() {
    let held = std::sync::Mutex::new(Vec::new());
    let swap = move |number, reply: Vec<u8>| match number {
        100 => {
            *held.lock().unwrap() = reply;
            // Send nothing yet, but keep the connection open.
            b"$".to_vec()
        }
        101 => {
            let rest = [&reply[1..], &held.lock().unwrap()].concat();
            rest.to_vec()
        }
        _ => reply,
    };
    let report = load(
        swap,
        "--clients 1 --pipeline 20 --requests 400 --seconds 60",
    );
    // The first reply belongs to a request that still waits; the other one's request does not wait any more.
    let faults = (report.misordered, report.wrong, report.answered);
    assert_eq!(faults, (1, 1, 400), "{}", report.faults());
}

#[test]
fn a_stall_is_charged_to_every_request_that_was_due_in_it() {
    let stall = |number, reply| {
        if number == 300 {
            thread::sleep(Duration::from_millis(300));
        }
        reply
    };
    // 1,000 per second on one connection: the stall of 0.3 s falls on 300 of the 1,000 requests.
    let report = load(stall, "--clients 1 --rate 1000 --seconds 1");
    assert!(report.is_flawless(), "{}", report.faults());
    assert_eq!((report.answered, report.unsent), (1_000, 0));
    assert!(report.p99 > 250_000.0, "p99 {} us", report.p99);
    assert!(report.max >= 299_000.0, "max {} us", report.max);
    // A closed loop would hide it: one slow request of a thousand.
    let closed = load(stall, "--clients 1 --requests 1000 --seconds 60");
    assert!(closed.p99 < 250_000.0, "p99 {} us", closed.p99);
}

#[test]
fn an_open_loop_sends_what_is_due_at_once_to_one_client_and_no_more_than_was_asked_for() {
    let plain = |_, reply| reply;
    let line = "--clients 3 --rate 1000 --pipeline 50 --requests 120 --seconds 60";
    let report = load(plain, line);
    assert!(report.is_flawless(), "{}", report.faults());
    assert_eq!((report.answered, report.unsent), (120, 0));
    // The third group is due after 100 of 1,000 milliseconds, and there is none after it.
    assert!(report.seconds >= 0.1, "{} s", report.seconds);
}

#[test]
fn nobody_there_is_an_error() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let words = ["--target".to_string(), free.to_string()];
    let error = run(&Options::parse(&words).unwrap()).unwrap_err();
    assert!(error.contains("cannot connect"), "{error}");
}
