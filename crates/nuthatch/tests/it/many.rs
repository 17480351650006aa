//! A thousand clients at once, and the order of one client's replies.

use std::sync::Barrier;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::Client;

use crate::need;
use crate::rig::{Rig, text};

const THREADS: usize = 8;
const CLIENTS_PER_THREAD: usize = 125;
const ROUNDS: usize = 10;

/// One client's pipeline and its expected replies.
type Script = fn(&str) -> (Vec<u8>, String);

#[test]
fn a_thousand_redis_clients_are_served_by_one_worker() {
    serve_a_thousand(need!(redis_rig("1"), "redis-server"), redis_script);
}

#[test]
fn a_thousand_redis_clients_are_served_by_two_workers() {
    serve_a_thousand(need!(redis_rig("2"), "redis-server"), redis_script);
}

#[test]
fn a_thousand_redis_clients_are_served_by_four_workers() {
    serve_a_thousand(need!(redis_rig("4"), "redis-server"), redis_script);
}

#[test]
fn a_thousand_memcached_clients_are_served_by_two_workers() {
    let servers = (0..3).map(|_| testkit::memcached());
    let servers = need!(servers.collect(), "memcached");
    let rig = Rig::before_memcached(servers, &["server_connections: 2"], &["--workers", "2"]);
    serve_a_thousand(rig, memcached_script);
}

fn redis_rig(workers: &str) -> Option<Rig> {
    Rig::redis_with(3, &[], &["--workers", workers])
}

fn serve_a_thousand(rig: Rig, script: Script) {
    allow_many_descriptors();
    let all_connected = Barrier::new(THREADS + 1);
    let all_answered = Barrier::new(THREADS + 1);
    let counted = Barrier::new(THREADS + 1);
    let talk = |thread: usize| {
        let mut clients: Vec<_> = (0..CLIENTS_PER_THREAD).map(|_| rig.client()).collect();
        let name = |index: usize| format!("t{thread}c{index}");
        all_connected.wait();
        for (index, client) in clients.iter_mut().enumerate() {
            client.send(&script(&name(index)).0);
        }
        for (index, client) in clients.iter_mut().enumerate() {
            let expected = script(&name(index)).1;
            let got = text(&client.exactly(expected.len()));
            assert_eq!(got, expected, "client {}", name(index));
        }
        all_answered.wait();
        counted.wait();
    };
    thread::scope(|scope| {
        for number in 0..THREADS {
            let talk = &talk;
            // A client that fails must not leave the others waiting at the barrier.
            scope.spawn(move || {
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| talk(number)))
                    .unwrap_or_else(|_| std::process::abort());
            });
        }
        all_connected.wait();
        all_answered.wait();
        let clients = rig.pool_stat("client_connections");
        counted.wait();
        assert_eq!(clients, (THREADS * CLIENTS_PER_THREAD) as i64);
    });
    assert_eq!(rig.pool_stat("forward_error"), 0);
}

/// SETs and GETs of the client's own keys, each with its own value, and an MGET over all servers.
fn redis_script(name: &str) -> (Vec<u8>, String) {
    let (mut send, mut expect) = (String::new(), String::new());
    for round in 0..ROUNDS {
        let (key, value) = (format!("{name}:{round}"), format!("{name}={round}"));
        send.push_str(&array(&["SET", &key, &value]));
        send.push_str(&array(&["GET", &key]));
        expect.push_str(&format!("+OK\r\n{}", bulk(&value)));
    }
    let keys: Vec<_> = (0..ROUNDS).map(|round| format!("{name}:{round}")).collect();
    let mget: Vec<_> = ["MGET"]
        .into_iter()
        .chain(keys.iter().map(String::as_str))
        .collect();
    send.push_str(&array(&mget));
    expect.push_str(&format!("*{ROUNDS}\r\n"));
    for round in 0..ROUNDS {
        expect.push_str(&bulk(&format!("{name}={round}")));
    }
    (send.into_bytes(), expect)
}

fn memcached_script(name: &str) -> (Vec<u8>, String) {
    let (mut send, mut expect) = (String::new(), String::new());
    for round in 0..ROUNDS {
        let (key, value) = (format!("{name}:{round}"), format!("{name}={round}"));
        let length = value.len();
        send.push_str(&format!(
            "set {key} {round} 0 {length}\r\n{value}\r\nget {key}\r\n"
        ));
        expect.push_str(&format!(
            "STORED\r\nVALUE {key} {round} {length}\r\n{value}\r\nEND\r\n"
        ));
        send.push_str(&format!("delete {key} noreply\r\nincr {key} 1\r\n"));
        expect.push_str("NOT_FOUND\r\n");
    }
    (send.into_bytes(), expect)
}

fn array(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| bulk(word)).collect();
    format!("*{}\r\n{}", words.len(), words.concat())
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// Raises the limit of descriptors as far as the machine permits.
pub(crate) fn allow_many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("the soft limit may be raised to the hard one");
}

#[test]
fn one_clients_requests_keep_their_order_on_one_server_connection() {
    keep_order(&["server_connections: 1"], "1");
}

#[test]
fn one_clients_requests_keep_their_order_on_four_server_connections() {
    keep_order(&["server_connections: 4"], "1");
    keep_order(&["server_connections: 4"], "2");
}

/// Several clients increment their own counters; every result must be the next number.
fn keep_order(lines: &[&str], workers: &str) {
    let rig = Rig::redis_with(2, lines, &["--workers", workers]);
    let rig = need!(rig, "redis-server");
    thread::scope(|scope| {
        for client in 0..6 {
            let connection = rig.client();
            scope.spawn(move || count(connection, client));
        }
    });
}

fn count(mut client: Client, number: usize) {
    for batch in 0..10 {
        for _ in 0..40 {
            for counter in ["a", "b", "c"] {
                client.command(&[b"INCR", format!("{counter}{number}").as_bytes()]);
            }
        }
        for step in 1..=40 {
            for _ in 0..3 {
                assert_eq!(text(&client.reply()), format!(":{}\r\n", batch * 40 + step));
            }
        }
    }
}

#[test]
fn a_read_sees_the_noreply_write_before_it() {
    let rig = need!(Rig::memcached(2, &["server_connections: 4"]), "memcached");
    let others: Vec<_> = (0..3).map(|_| rig.client()).collect();
    thread::scope(|scope| {
        for (number, client) in others.into_iter().enumerate() {
            scope.spawn(move || write_and_read(client, number));
        }
    });
}

fn write_and_read(mut client: Client, number: usize) {
    let key = format!("k{number}");
    for round in 0..200 {
        client.send(
            format!("set {key} 0 0 3 noreply\r\n{round:03}\r\nget {key}\r\nget other\r\n")
                .as_bytes(),
        );
        let expected = format!("VALUE {key} 0 3\r\n{round:03}\r\nEND\r\nEND\r\n");
        assert_eq!(text(&client.exactly(expected.len())), expected);
    }
}
