//! Clients that want the proxy to hold much for them.

use std::net::TcpStream;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use testkit::eventually;

use crate::case::{Case, Finding, Limit};
use crate::rig::{REDIS, Rig, Setup};
use crate::wire;

const MIB: u64 = 1 << 20;

/// Size of a large value.
const LARGE: usize = 1_000_000;

/// Clients without a password, and what each sends of the argument that it announces.
const UNAUTHENTICATED: usize = 8;
const UNAUTHENTICATED_BYTES: usize = 100_000_000;

/// Values that are asked for at once and not read.
const UNREAD_VALUES: usize = 600;

/// Clients that do not read, and the values that each asks for.
const UNREAD_CLIENTS: usize = 40;
const UNREAD_EACH: usize = 32;

/// Clients that leave in the middle of a request.
const LEAVERS: usize = 200;

/// What the bystander may have in buffers when they are counted.
const BYSTANDERS_BYTES: u64 = 4_096;

/// How long the proxy may take to forget those who left.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(5);

/// Clients that have not given the password send large arguments.
pub(super) fn unauthenticated() -> Vec<Case> {
    let case = |name: &str, start: &'static str, rest: &'static str| Case {
        attack: "unauthenticated",
        name: name.into(),
        setup: Setup {
            has_password: true,
            ..REDIS
        },
        limit: Limit::Growth(16 * MIB),
        strike: Box::new(move |rig, until| send_unauthenticated(rig, start, rest, until)),
    };
    let auth = "*2\r\n$4\r\nAUTH\r\n$536870912\r\n";
    let set = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n";
    vec![
        case("AUTH of 512 MB", auth, "x"),
        case("SET of 512 MB", set, "x"),
        case("requests, replies unread", "", "PING\r\n"),
    ]
}

/// Clients send `start` and then nothing but `rest`, and read nothing.
fn send_unauthenticated(
    rig: &Rig,
    start: &str,
    rest: &str,
    until: Instant,
) -> Result<Finding, String> {
    let part = rest.repeat(UNAUTHENTICATED_BYTES / rest.len());
    let client = || -> Result<usize, String> {
        let mut stream = wire::connect(rig.address)?;
        wire::write_until(&mut stream, start.as_bytes(), until);
        let sent = wire::write_until(&mut stream, part.as_bytes(), until);
        thread::sleep(until.saturating_duration_since(Instant::now()));
        Ok(sent)
    };
    let sent = thread::scope(|scope| {
        let clients: Vec<_> = (0..UNAUTHENTICATED).map(|_| scope.spawn(client)).collect();
        let joined = |client: ScopedJoinHandle<'_, _>| {
            client.join().map_err(|_| "a client panicked".to_string())?
        };
        clients
            .into_iter()
            .map(joined)
            .sum::<Result<usize, String>>()
    })?;
    let note = format!("sent {:.1} MB", sent as f64 / 1e6);
    Ok(Finding { seen: 0, note })
}

/// Clients ask for large values and do not read them.
pub(super) fn unread() -> Vec<Case> {
    let case = |name: &str, args: &'static [&'static str], limit: Limit, mget: bool| Case {
        attack: "unread",
        name: name.into(),
        setup: Setup { args, ..REDIS },
        limit,
        strike: Box::new(move |rig, until| {
            store_large_values(rig);
            match mget {
                true => leave_unread(rig, 1, &mget_request(rig), until),
                false => leave_unread(rig, UNREAD_CLIENTS, &get_requests(rig), until),
            }
        }),
    };
    let small = &["--max-memory", "64m"];
    let limit = Limit::Peak(96 * MIB);
    vec![
        case("MGET of 600 MB", &[], Limit::Nothing, true),
        case("MGET, max_memory 64m", small, limit, true),
        case("40 x 32 GET of 1 MB", &[], Limit::Nothing, false),
        case("40 x 32 GET, max_memory 64m", small, limit, false),
    ]
}

fn store_large_values(rig: &Rig) {
    for server in [1, 2] {
        let (key, value) = (rig.key(server, "large"), vec![b'v'; LARGE]);
        let mut client = rig.direct(server);
        client.command(&[b"SET", key.as_bytes(), &value]);
        assert_eq!(client.reply(), b"+OK\r\n", "a server stores a megabyte");
    }
}

fn mget_request(rig: &Rig) -> Vec<u8> {
    let keys = (0..UNREAD_VALUES).map(|number| rig.key(1 + number % 2, "large"));
    let arguments: Vec<_> = std::iter::once("MGET".to_string()).chain(keys).collect();
    wire::request(arguments.iter())
}

fn get_requests(rig: &Rig) -> Vec<u8> {
    let get = |number: usize| {
        let key = rig.key(1 + number % 2, "large");
        wire::request(["GET", &key].iter())
    };
    (0..UNREAD_EACH).flat_map(get).collect()
}

/// So many clients send `bytes` and read nothing until the time is over.
fn leave_unread(
    rig: &Rig,
    clients: usize,
    bytes: &[u8],
    until: Instant,
) -> Result<Finding, String> {
    let mut streams = connect_all(rig, clients)?;
    for stream in &mut streams {
        wire::write_until(stream, bytes, until);
    }
    thread::sleep(until.saturating_duration_since(Instant::now()));
    let buffered = rig.pool_metric("buffered_bytes")?;
    let shed = rig.pool_metric("client_shed")?;
    let megabytes = buffered as f64 / 1e6;
    let note = format!("buffered_bytes {megabytes:.1} MB at the end, {shed} clients closed");
    Ok(Finding { seen: 0, note })
}

/// Clients leave in the middle of a request.
pub(super) fn left() -> Vec<Case> {
    let case = |name: &str, bytes: usize| Case {
        attack: "left",
        name: format!("{LEAVERS} clients, {name}"),
        setup: Setup {
            // Near its limit the proxy counts what it holds.
            args: &["--max-memory", "64m"],
            ..REDIS
        },
        limit: Limit::Seen(BYSTANDERS_BYTES, "buffered bytes afterwards"),
        strike: Box::new(move |rig, until| leave(rig, bytes, until)),
    };
    vec![
        case("up to 0.4 MB", 400_000),
        case("up to 1.1 MB", 1_100_000),
    ]
}

/// A fifth of the clients sends as many bytes of a value, the others send less.
fn leave(rig: &Rig, bytes: usize, until: Instant) -> Result<Finding, String> {
    let value = format!(
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2000000\r\n{}",
        "v".repeat(bytes)
    );
    let keys = format!("*1000000\r\n$3\r\nDEL\r\n{}", "$3\r\nkey\r\n".repeat(1_000));
    let behind = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$3\r\nGET\r\n$10\r\nhal";
    let halves = [&*value, &*keys, behind, "*3\r\n$3\r\nSET", "GET k"];
    let mut streams = connect_all(rig, LEAVERS)?;
    for (stream, half) in streams.iter_mut().zip(halves.iter().cycle()) {
        wire::write_until(stream, half.as_bytes(), until);
    }
    thread::sleep(until.saturating_duration_since(Instant::now()));
    let held = rig.pool_metric("buffered_bytes")?;
    if held == 0 {
        return Err("the proxy counted none of what was sent".into());
    }
    drop(streams);
    let mut seen = held;
    eventually(FORGOTTEN_WITHIN, || {
        thread::sleep(Duration::from_millis(100));
        seen = rig.pool_metric("buffered_bytes").unwrap_or(held);
        (seen <= BYSTANDERS_BYTES).then_some(())
    });
    let note = format!("{held} bytes were buffered, {seen} remain");
    Ok(Finding { seen, note })
}

fn connect_all(rig: &Rig, count: usize) -> Result<Vec<TcpStream>, String> {
    (0..count).map(|_| wire::connect(rig.address)).collect()
}
