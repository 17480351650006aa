//! Clients that write everything before they read, and clients that read steadily but more slowly than the
//! servers answer: both get every reply. Only clients that stop reading are closed, and that is logged.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::need;
use crate::rig::{Rig, wait_for};

const MB: usize = 1_000_000;

/// How long a read or a write may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);

fn connect(rig: &Rig) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", rig.port)).expect("the proxy listens");
    stream.set_nodelay(true).expect("a socket");
    stream.set_read_timeout(Some(TIME_LIMIT)).expect("a socket");
    stream
        .set_write_timeout(Some(TIME_LIMIT))
        .expect("a socket");
    stream
}

fn command(arguments: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", arguments.len()).into_bytes();
    arguments
        .iter()
        .for_each(|argument| out.extend(bulk(argument)));
    out
}

fn get(key: &str) -> Vec<u8> {
    command(&[b"GET", key.as_bytes()])
}

fn set(key: &str, value: &[u8]) -> Vec<u8> {
    command(&[b"SET", key.as_bytes(), value])
}

fn bulk(value: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}

fn value(size: usize) -> Vec<u8> {
    (0..size).map(|at| b'a' + (at % 23) as u8).collect()
}

/// Writes all of `requests`, and only then reads.
fn write_then_read(rig: &Rig, requests: &[u8], expected: &[u8]) {
    let mut stream = connect(rig);
    stream.write_all(requests).expect("all is taken");
    read_at(&mut stream, expected, usize::MAX);
}

/// Reads the `expected` bytes at this rate per second.
fn read_at(stream: &mut TcpStream, expected: &[u8], speed: usize) {
    let (begun, mut done) = (Instant::now(), 0);
    let mut buffer = vec![0; 256 << 10];
    while done < expected.len() {
        let due = Duration::from_secs_f64(done as f64 / speed as f64);
        thread::sleep(due.saturating_sub(begun.elapsed()));
        let most = buffer.len().min(expected.len() - done);
        let count = stream.read(&mut buffer[..most]).expect("the replies come");
        assert!(count > 0, "closed after {done} of {} bytes", expected.len());
        assert!(
            expected[done..].starts_with(&buffer[..count]),
            "a wrong reply within {done} to {}",
            done + count
        );
        done += count;
    }
}

/// Stores values of these sizes, as `v` and the size.
fn store(rig: &Rig, sizes: &[usize]) {
    for size in sizes {
        let request = set(&format!("v{size}"), &value(*size));
        write_then_read(rig, &request, b"+OK\r\n");
    }
}

#[test]
fn who_writes_everything_before_reading_gets_every_reply() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    store(&rig, &[100, 100_000, 20 * MB]);
    // Half a million small replies, 60 MB.
    let count = 500_000;
    let (request, reply) = (get("v100"), bulk(&value(100)));
    write_then_read(&rig, &request.repeat(count), &reply.repeat(count));
    // The same amount in both directions, mixed.
    let pair = [get("v100000"), set("other", &value(100_000))].concat();
    let replies = [&bulk(&value(100_000))[..], b"+OK\r\n"].concat();
    write_then_read(&rig, &pair.repeat(200), &replies.repeat(200));
    // One value each way, both larger than all socket buffers.
    let requests = [get("v20000000"), set("other", &value(20 * MB))].concat();
    let replies = [&bulk(&value(20 * MB))[..], b"+OK\r\n"].concat();
    write_then_read(&rig, &requests, &replies);
    assert_eq!(rig.pool_stat("client_overflow"), 0);
}

#[test]
fn who_writes_everything_to_memcached_before_reading_gets_every_reply() {
    let rig = need!(Rig::memcached(2, &[]), "memcached");
    let block = [b"set k 0 0 1000\r\n", &value(1_000)[..], b"\r\n"].concat();
    write_then_read(&rig, &block.repeat(20_000), &b"STORED\r\n".repeat(20_000));
    let hit = [b"VALUE k 0 1000\r\n", &value(1_000)[..], b"\r\nEND\r\n"].concat();
    write_then_read(&rig, &b"get k\r\n".repeat(30_000), &hit.repeat(30_000));
}

#[test]
fn who_reads_at_40_mb_per_second_gets_everything() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    store(&rig, &[10, 200_000, MB, 2 * MB, 60 * MB]);
    let read = |requests: Vec<u8>, expected: Vec<u8>| {
        let mut stream = connect(&rig);
        stream.write_all(&requests).expect("all is taken");
        read_at(&mut stream, &expected, 40 * MB);
    };
    let (small, large) = (bulk(&value(10)), bulk(&value(60 * MB)));
    read(
        [get("v60000000"), get("v10")].concat(),
        [large, small.clone()].concat(),
    );
    let two = bulk(&value(2 * MB));
    read(get("v2000000").repeat(30), two.repeat(30));
    // Earlier replies do not tell how large the next ones are.
    let middle = bulk(&value(200_000));
    read(
        [get("v10").repeat(2_000), get("v200000").repeat(300)].concat(),
        [small.repeat(2_000), middle.repeat(300)].concat(),
    );
    let mut mget: Vec<&[u8]> = vec![b"MGET"];
    mget.extend([b"v1000000".as_slice(); 300]);
    let one = bulk(&value(MB));
    let mut stream = connect(&rig);
    stream.write_all(&command(&mget)).expect("all is taken");
    let expected = [b"*300\r\n", &one.repeat(300)[..]].concat();
    read_at(&mut stream, &expected, usize::MAX);
    assert_eq!(rig.pool_stat("client_overflow"), 0);
}

#[test]
fn who_stops_reading_is_closed_after_client_stall_timeout_and_named_in_the_log() {
    let lines = ["client_stall_timeout: 1000", "client_min_rate: 1m"];
    let rig = need!(Rig::redis(1, &lines), "redis-server");
    store(&rig, &[10, MB]);
    let mut stalled = connect(&rig);
    stalled
        .write_all(&get("v1000000").repeat(40))
        .expect("all is taken");
    let mut steady = connect(&rig);
    steady
        .write_all(&get("v1000000").repeat(20))
        .expect("all is taken");
    // Twice as fast as required, for six seconds.
    read_at(&mut steady, &bulk(&value(MB)).repeat(12), 2 * MB);
    assert_eq!(rig.pool_stat("client_overflow"), 1);
    read_at(&mut steady, &bulk(&value(MB)).repeat(8), usize::MAX);
    let name = stalled.local_addr().expect("a socket").to_string();
    wait_for("it is logged", || {
        let log = rig.proxy.stderr();
        log.lines()
            .any(|line| line.contains(&format!("closing client {name}: ")))
    });
    let mut rest = Vec::new();
    let ended = stalled.read_to_end(&mut rest);
    assert!(ended.is_err() || rest.len() < 40 * MB, "it lost the rest");
}

#[test]
fn a_backlog_of_one_request_ends_the_deadlock_by_closing_who_never_reads() {
    let lines = ["client_backlog: 0", "client_stall_timeout: 1000"];
    let rig = need!(Rig::redis(1, &lines), "redis-server");
    store(&rig, &[MB]);
    let mut stream = connect(&rig);
    let request = set("other", &value(MB));
    let requests = [get("v1000000").repeat(60), request.repeat(40)].concat();
    let failed = stream.write_all(&requests).is_err();
    assert!(
        failed,
        "it is not read, and closed as it does not read either"
    );
    assert_eq!(rig.pool_stat("client_overflow"), 1);
}
