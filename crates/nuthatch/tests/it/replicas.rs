//! Reads from replicas: listed ones, those of a real Redis Cluster, and those that real Sentinels tell.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Client, Cluster, Proxy, Server, eventually, free_port};

use crate::latency::ctl;
use crate::need;
use crate::rig::{ALL_COUNTERS, BIN, TIME_LIMIT, nuthatch, wait_for};
use crate::sentinel::{Watched, follow};

/// How long reads follow a write to its server, in these tests.
const WINDOW: Duration = Duration::from_millis(300);

/// Masters with so many replicas each; the first of each row is the master.
fn shards(masters: usize, replicas: usize) -> Option<Vec<Vec<Server>>> {
    let mut shards = Vec::new();
    for _ in 0..masters {
        let mut shard = Vec::new();
        for _ in 0..=replicas {
            shard.push(testkit::redis_with(&["--repl-diskless-sync-delay", "0"])?);
        }
        for replica in &shard[1..] {
            follow(replica, &shard[0]);
        }
        // A master passes nothing on to a replica that has just got all data until that has acknowledged it.
        let (mut master, count) = (shard[0].client(), replicas.to_string());
        master.ask(&["SET", "in-step", "1"]);
        assert_eq!(
            master.ask(&["WAIT", &count, "9000"]),
            format!(":{count}\r\n")
        );
        shards.push(shard);
    }
    Some(shards)
}

fn configuration(port: u16, shards: &[Vec<Server>], lines: &str) -> String {
    let mut text = format!(
        "p:\n  listen: 127.0.0.1:{port}\n  redis: true\n  timeout: 1000\n{lines}  servers:\n"
    );
    for (number, shard) in shards.iter().enumerate() {
        text += &format!("    - {}:1 s{number}\n", shard[0].addr());
    }
    text += "  replicas:\n";
    for (number, shard) in shards.iter().enumerate() {
        let replicas: Vec<String> = shard[1..].iter().map(|it| it.addr().to_string()).collect();
        text += &format!("    s{number}: [{}]\n", replicas.join(", "));
    }
    text
}

/// How many GETs a server has executed.
fn gets(ask: impl Fn(&[&str]) -> String) -> u64 {
    let info = ask(&["INFO", "commandstats"]);
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_get:calls="));
    let count = line.and_then(|line| line.split(',').next()?.parse().ok());
    count.unwrap_or(0)
}

fn gets_of(server: &Server) -> u64 {
    gets(|words| server.client().ask(words))
}

/// What became of the requests of [`write_and_read`].
#[derive(Default)]
struct Seen {
    replies: AtomicU64,
    errors: AtomicU64,
}

/// What clients may rely on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// They find what they wrote, at once and for ever.
    Kept,
    /// At once; later it may seem to be gone, while slots are moved.
    KeptAtOnce,
    /// Masters may lose what they have acknowledged: nothing but their own values.
    Own,
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// Whether a reply is a value that was written before the one with this number, or none at all.
fn is_older(reply: &str, number: u64) -> bool {
    let value = reply.split_once("\r\nv").map(|(_, value)| value.trim_end());
    let value = value.and_then(|value| value.parse::<u64>().ok());
    reply == "$-1\r\n" || value.is_some_and(|value| value <= number)
}

/// Writes and reads keys of its own in pipelines, and checks that each reply is that to its request, and that it reads
/// what it wrote. `from` is the number of its first value.
fn write_and_read(
    port: u16,
    client: usize,
    (promise, from): (Promise, u64),
    seen: &Seen,
    stop: &AtomicBool,
) {
    let mut connection = Client::to_port(port);
    for number in from.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (value, keys) = (
            format!("v{number}"),
            (0..8).map(|key| format!("c{client}:{key}")),
        );
        let mut expected = Vec::new();
        for key in keys {
            connection.command(&[b"SET", key.as_bytes(), value.as_bytes()]);
            connection.command(&[b"GET", key.as_bytes()]);
            connection.command(&[b"ECHO", key.as_bytes()]);
            expected.extend(["+OK\r\n".to_owned(), bulk(&value), bulk(&key)]);
        }
        for expected in expected {
            let reply = String::from_utf8(connection.reply()).expect("text");
            let is_error = reply.starts_with('-');
            let is_right = reply == expected
                || is_error
                || promise == Promise::Own && is_older(&reply, number);
            assert!(is_right, "{reply} and not {expected}");
            let count = if is_error {
                &seen.errors
            } else {
                &seen.replies
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        // Now and then it only reads, for so long that replicas are read.
        if number % 20 == client as u64 {
            let until = Instant::now() + 2 * WINDOW;
            while Instant::now() < until {
                let reply = connection.ask(&["GET", &format!("c{client}:1")]);
                let is_right = match promise {
                    Promise::Kept => reply == bulk(&value),
                    Promise::KeptAtOnce | Promise::Own => is_older(&reply, number),
                };
                assert!(
                    is_right || reply.starts_with("-ERR"),
                    "{reply} after {value}"
                );
            }
        }
    }
}

/// Runs some clients while `during` does something.
fn under_load(port: u16, terms: (Promise, u64), during: impl FnOnce()) -> Seen {
    let (seen, stop) = (Seen::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        for client in 0..4 {
            let (seen, stop) = (&seen, &stop);
            scope.spawn(move || write_and_read(port, client, terms, seen, stop));
        }
        during();
        stop.store(true, Ordering::Relaxed);
    });
    seen
}

/// Keys that are far from each other on a ring.
fn keys(count: u64) -> impl Iterator<Item = String> {
    let key = |number: u64| format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (1..=count).map(key)
}

#[test]
fn listed_replicas_are_read_and_clients_find_what_they_wrote() {
    let mut shards = need!(shards(2, 2), "redis-server");
    let (port, dir) = (free_port(), tempfile::tempdir().expect("a directory"));
    let socket = dir.path().join("control");
    let lines = "  read_from: prefer_replica\n  read_your_writes: 300\n";
    let conf = configuration(port, &shards, lines).replace("timeout: 1000", "timeout: 5000");
    let control = socket.to_str().expect("text");
    let proxy = nuthatch(&["--control", control, ALL_COUNTERS], &conf);
    let seen = under_load(port, (Promise::Kept, 0), || {
        thread::sleep(Duration::from_secs(3));
    });
    assert_eq!(seen.errors.load(Ordering::Relaxed), 0);
    assert!(seen.replies.load(Ordering::Relaxed) > 100);
    for replica in shards.iter().flat_map(|shard| &shard[1..]) {
        assert!(gets_of(replica) > 0, "{}", gets_of(replica));
    }
    let figures: Value = serde_json::from_str(&proxy.stats()).expect("JSON");
    let pool = &figures["p"];
    assert!(pool["replica_reads"].as_i64() > Some(0), "{pool}");
    let replica = &pool[shards[1][2].addr().to_string()];
    assert!(replica["requests"].as_i64() > Some(0), "{pool}");
    // One is killed, and only what it had is lost.
    let seen = under_load(port, (Promise::Kept, 1_000_000), || {
        thread::sleep(Duration::from_millis(700));
        shards[0][1].kill();
        thread::sleep(Duration::from_secs(2));
    });
    assert!(seen.errors.load(Ordering::Relaxed) < 20);
    let status = ctl(&socket, &["status"]).success();
    assert!(
        status.contains("ejected") && status.contains("replica of s0"),
        "{status}"
    );
    // Without `read_from` nothing is read there any more.
    let quiet = conf.replace("prefer_replica", "master");
    fs::write(proxy.conf(), quiet).expect("a file");
    ctl(&socket, &["reload"]).success();
    let before = gets_of(&shards[1][1]);
    let mut client = Client::to_port(port);
    for key in keys(100) {
        client.ask(&["GET", &key]);
    }
    assert_eq!(gets_of(&shards[1][1]), before);
}

#[test]
fn a_replica_that_hangs_is_passed_over_and_comes_back() {
    let mut shards = need!(shards(1, 1), "redis-server");
    let port = free_port();
    let lines = "  read_from: prefer_replica\n  read_your_writes: 0\n";
    let _proxy = nuthatch(&[], &configuration(port, &shards, lines));
    let mut client = Client::to_port(port);
    client.ask(&["GET", "a"]);
    shards[0][1].stop();
    assert_eq!(client.ask(&["GET", "a"]), "-ERR Connection timed out\r\n");
    for _ in 0..20 {
        assert_eq!(client.ask(&["GET", "a"]), "$-1\r\n");
    }
    shards[0][1].cont();
    let before = gets_of(&shards[0][1]);
    wait_for("the replica is read again", || {
        client.ask(&["GET", "a"]);
        gets_of(&shards[0][1]) > before + 1
    });
}

/// The proxy of a cluster whose replicas are read.
fn proxy_of(cluster: &Cluster, lines: &str) -> (Proxy, u16) {
    let (port, seed) = (free_port(), cluster.addresses()[0]);
    let conf = format!(
        "c:\n  listen: 127.0.0.1:{port}\n  redis: true\n  timeout: 5000\n  cluster: [{seed}]\n{lines}"
    );
    (testkit::nuthatch(BIN.as_ref(), &[], &conf), port)
}

#[test]
fn replicas_of_a_cluster_are_read_while_slots_move_and_a_master_fails() {
    let mut cluster = need!(Cluster::start(Duration::from_millis(500)), "redis-server");
    let lines = "  read_from: replica\n  read_your_writes: 300\n";
    let (proxy, port) = proxy_of(&cluster, lines);
    let counts = |cluster: &Cluster| -> Vec<u64> {
        let of = |node| gets(|words| cluster.ask(node, words));
        (0..cluster.len()).map(of).collect()
    };
    let masters = cluster.masters();
    let mut client = Client::to_port(port);
    let found = eventually(TIME_LIMIT, || {
        let reply = client.ask(&["GET", "key"]);
        (reply == "$-1\r\n").then_some(())
    });
    assert!(found.is_some(), "{}", proxy.stderr());
    let before = counts(&cluster);
    for number in 0..300 {
        assert_eq!(client.ask(&["GET", &format!("key{number}")]), "$-1\r\n");
    }
    let after = counts(&cluster);
    for node in 0..cluster.len() {
        let more = after[node] - before[node];
        assert_eq!(more > 0, !masters.contains(&node), "node {node}: {more}");
    }
    // No reply is wrong, and none tells of the cluster.
    let slot = hashkit::slot_of(b"c1:1");
    let seen = under_load(port, (Promise::KeptAtOnce, 0), || {
        let from = cluster.owner(slot).expect("a master has the slot");
        let to = masters.iter().find(|node| **node != from).expect("another");
        cluster.migrate(slot, from, *to, Duration::from_millis(10));
        thread::sleep(Duration::from_millis(500));
    });
    assert_eq!(seen.errors.load(Ordering::Relaxed), 0);
    let master = cluster.masters()[0];
    let seen = under_load(port, (Promise::Own, 1_000_000), || {
        cluster.fail_over(master);
        thread::sleep(Duration::from_secs(1));
    });
    assert!(seen.replies.load(Ordering::Relaxed) > 1_000);
    let mut client = Client::to_port(port);
    wait_for("all is well", || {
        (0..100).all(|number| client.ask(&["GET", &format!("key{number}")]) == "$-1\r\n")
    });
}

#[test]
fn replicas_that_sentinels_tell_are_read() {
    let mut watched = need!(Watched::start(), "redis-server");
    let port = free_port();
    let lines = watched.lines();
    let conf = format!(
        "p:\n  listen: 127.0.0.1:{port}\n  redis: true\n  read_from: prefer_replica\n  read_your_writes: 0\n{lines}"
    );
    let _proxy = nuthatch(&[], &conf);
    let mut client = Client::to_port(port);
    wait_for("the replicas are read", || {
        for key in keys(50) {
            client.ask(&["GET", &key]);
        }
        watched.shards.iter().all(|pair| gets_of(&pair[1]) > 10)
    });
    let before: Vec<u64> = watched
        .shards
        .iter()
        .map(|pair| gets_of(&pair[0]))
        .collect();
    for key in keys(50) {
        assert_eq!(client.ask(&["GET", &key]), "$-1\r\n");
    }
    let after: Vec<u64> = watched
        .shards
        .iter()
        .map(|pair| gets_of(&pair[0]))
        .collect();
    assert_eq!(before, after, "masters are not read");
    // A replica that leaves is read no more.
    watched.shards[0][1].stop();
    let is_served = || {
        let replies = (0..50).map(|number| client.ask(&["GET", &format!("key{number}")]));
        replies
            .collect::<Vec<_>>()
            .iter()
            .all(|reply| reply == "$-1\r\n")
    };
    wait_for("the master is read instead", is_served);
    watched.shards[0][1].cont();
}
