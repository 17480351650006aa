//! Real Sentinels that promote replicas under load.
//!
//! `cargo xtask torture --sentinel 20` does more of them than the tests do usually, and tells how long each took.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Client, Process, Server, Tool, eventually, free_port};

use crate::discovery::Seat;
use crate::need;
use crate::rig::wait_for;

/// How much later than most Sentinels the proxy may use a new master.
const LAG: Duration = Duration::from_millis(200);

/// How long a failover may take: Sentinels are told to see a failure after half a second.
const FAILOVER_LIMIT: Duration = Duration::from_secs(30);

/// Masters with a replica each, and three Sentinels that watch them.
pub(crate) struct Watched {
    /// For each shard both servers; the first is the master at the beginning.
    pub(crate) shards: Vec<[Server; 2]>,
    sentinels: Vec<(u16, Process)>,
    _dir: tempfile::TempDir,
}

const NAMES: [&str; 2] = ["alpha", "beta"];

impl Watched {
    pub(crate) fn start() -> Option<Self> {
        let tool = Tool::find("redis-server")?;
        let mut shards = Vec::new();
        for _ in NAMES {
            let diskless = ["--repl-diskless-sync-delay", "0"];
            let pair = [
                testkit::redis_with(&diskless)?,
                testkit::redis_with(&diskless)?,
            ];
            follow(&pair[1], &pair[0]);
            shards.push(pair);
        }
        let dir = tempfile::tempdir().expect("a directory");
        let start = |number: usize| {
            let port = free_port();
            let conf = dir.path().join(format!("s{number}.conf"));
            fs::write(&conf, sentinel_conf(port, dir.path(), &shards)).expect("a file");
            let mut command = tool.command();
            command.arg(&conf).arg("--sentinel");
            (port, Process::spawn(command))
        };
        let sentinels = (0..3).map(start).collect();
        let watched = Self {
            shards,
            sentinels,
            _dir: dir,
        };
        watched.wait_until_they_know_all();
        Some(watched)
    }

    /// Sentinels find each other, and the replicas, through the masters.
    fn wait_until_they_know_all(&self) {
        for (port, _) in &self.sentinels {
            for name in NAMES {
                let knows_all = || {
                    let mut client =
                        Client::try_connect(&testkit::Endpoint::loopback(*port)).ok()?;
                    let about = client.ask(&["SENTINEL", "MASTER", name]);
                    let has = |key: &str, value: &str| {
                        about.contains(&format!("{key}\r\n${}\r\n{value}\r\n", value.len()))
                    };
                    (has("num-slaves", "1") && has("num-other-sentinels", "2")).then_some(())
                };
                let known = eventually(Duration::from_secs(40), knows_all);
                assert!(known.is_some(), "Sentinels do not find each other");
            }
        }
    }

    /// The port of a master as each Sentinel tells it.
    fn told(&self, name: &str) -> Vec<u16> {
        let told = |(port, _): &(u16, Process)| {
            let reply = Client::to_port(*port).ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]);
            let port = reply.trim_end().rsplit("\r\n").next()?.parse().ok()?;
            Some(port)
        };
        self.sentinels.iter().filter_map(told).collect()
    }

    fn seeds(&self) -> String {
        let seed = |(port, _): &(u16, Process)| format!("\"127.0.0.1:{port}\"");
        self.sentinels
            .iter()
            .map(seed)
            .collect::<Vec<_>>()
            .join(", ")
    }

    pub(crate) fn lines(&self) -> String {
        let (seeds, names) = (self.seeds(), NAMES.join(", "));
        format!("  timeout: 1000\n  servers: {{sentinel: [{seeds}], shards: [{names}]}}\n")
    }
}

fn sentinel_conf(port: u16, dir: &Path, shards: &[[Server; 2]]) -> String {
    let mut conf = format!("port {port}\nbind 127.0.0.1\ndir {}\n", dir.display());
    for (name, [master, _]) in NAMES.iter().zip(shards) {
        let master = master.port();
        let _ = write!(
            conf,
            "sentinel monitor {name} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {name} 500\n\
             sentinel failover-timeout {name} 1000\n"
        );
    }
    conf
}

/// Makes a server a replica of another, and waits until it has what that has.
pub(crate) fn follow(replica: &Server, master: &Server) {
    let port = master.port().to_string();
    let mut client = replica.client();
    client.ask(&["REPLICAOF", "127.0.0.1", &port]);
    wait_for("the replica is there", || {
        let info = client.ask(&["INFO", "replication"]);
        info.contains("master_link_status:up")
    });
}

/// What clients saw.
#[derive(Default)]
struct Seen {
    replies: AtomicU64,
    errors: AtomicU64,
    /// When each shard was last served, in microseconds since the beginning.
    served: [AtomicU64; 2],
}

/// Has the clients end when it is dropped.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A client that writes and reads its own keys of one shard, and checks every reply.
fn write_and_read(
    port: u16,
    keys: &[String],
    shard: usize,
    seen: &Seen,
    (began, stop): (Instant, &AtomicBool),
) {
    let mut client = Client::to_port(port);
    let mut written: HashMap<&str, u64> = HashMap::new();
    for number in 1.. {
        for key in keys {
            let value = format!("{key}={number}");
            written.insert(key, number);
            let set = client.ask(&["SET", key, &value]);
            let get = client.ask(&["GET", key]);
            assert!(set == "+OK\r\n" || set.starts_with('-'), "{set}");
            if let Some(value) = get.strip_prefix('$').filter(|it| !it.starts_with("-1")) {
                let (_, value) = value.split_once("\r\n").expect("a bulk");
                let (of, found) = value.trim_end().split_once('=').expect("a value");
                assert_eq!(of, key, "the value of another key");
                assert!(
                    found.parse::<u64>().expect("a number") <= written[key.as_str()],
                    "{get}"
                );
            } else {
                assert!(get == "$-1\r\n" || get.starts_with('-'), "{get}");
            }
            for reply in [&set, &get] {
                let count = if reply.starts_with('-') {
                    &seen.errors
                } else {
                    &seen.replies
                };
                count.fetch_add(1, Ordering::Relaxed);
            }
            if set == "+OK\r\n" {
                let now = u64::try_from(began.elapsed().as_micros()).expect("some minutes");
                seen.served[shard].fetch_max(now, Ordering::Relaxed);
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
            thread::sleep(Duration::from_micros(500));
        }
    }
}

/// Some keys of each shard.
fn keys(watched: &Watched, seat: &Seat) -> [Vec<String>; 2] {
    let mut keys = [Vec::new(), Vec::new()];
    let mut client = seat.client();
    for number in 0..100 {
        let key = format!("key:{number}");
        assert_eq!(client.ask(&["SET", &key, &format!("{key}=0")]), "+OK\r\n");
        let holds =
            |shard: &usize| watched.shards[*shard][0].client().ask(&["EXISTS", &key]) == ":1\r\n";
        let shard = (0..2).find(holds).expect("a shard has it");
        keys[shard].push(key);
    }
    assert!(keys.iter().all(|keys| keys.len() >= 10));
    keys
}

#[test]
fn failovers_move_no_key_and_are_followed_at_once() {
    let mut watched = need!(Watched::start(), "redis-server");
    let count = std::env::var("NUTHATCH_FAILOVERS").ok();
    let count: usize = count.map_or(2, |it| it.parse().expect("a number"));
    let dir = tempfile::tempdir().expect("a directory");
    let seat = Seat::start_in(dir, &watched.lines());
    let keys = keys(&watched, &seat);
    let (seen, stop, began) = (Seen::default(), AtomicBool::new(false), Instant::now());
    thread::scope(|scope| {
        // Whatever happens, the clients end.
        let _stop = Stop(&stop);
        for client in 0..4 {
            let keys: Vec<String> = {
                let mine = keys[client % 2].iter().skip(client / 2).step_by(2);
                mine.cloned().collect()
            };
            let (port, seen, stop) = (seat.port, &seen, &stop);
            scope.spawn(move || write_and_read(port, &keys, client % 2, seen, (began, stop)));
        }
        for number in 0..count {
            let shard = number % 2;
            fail_over(&mut watched, shard, &seen, began);
        }
    });
    let (replies, errors) = (seen.replies.into_inner(), seen.errors.into_inner());
    println!("{count} failovers: {replies} replies and {errors} errors, no wrong reply");
    assert!(replies > 100 && errors > 0, "{replies} {errors}");
    // Each key is where it was.
    for (shard, keys) in keys.iter().enumerate() {
        for server in &watched.shards[1 - shard] {
            let mut client = server.client();
            let others = keys
                .iter()
                .filter(|key| client.ask(&["EXISTS", key]) != ":0\r\n");
            assert_eq!(others.count(), 0, "keys have moved");
        }
    }
    let status = seat.pool();
    assert_eq!(status["discovery"]["problem"], Value::Null, "{status}");
    assert_eq!(status["servers"][0]["name"], "beta");
}

/// Kills the master of a shard, waits until its replica serves, and makes the killed one the replica.
fn fail_over(watched: &mut Watched, shard: usize, seen: &Seen, began: Instant) {
    let name = NAMES[shard];
    let old = watched.told(name)[0];
    let is_old = |server: &Server| server.port() == old;
    let master = watched.shards[shard]
        .iter()
        .position(is_old)
        .expect("one of the two");
    watched.shards[shard][master].kill();
    let killed = began.elapsed();
    let elected = eventually(FAILOVER_LIMIT, || {
        let told = watched.told(name);
        (told.iter().filter(|port| **port != old).count() >= 2).then(|| began.elapsed())
    });
    let elected = elected.expect("most Sentinels tell of another master");
    let served = eventually(FAILOVER_LIMIT, || {
        let served = Duration::from_micros(seen.served[shard].load(Ordering::Relaxed));
        (served > killed + Duration::from_millis(100)).then_some(served)
    });
    let served = served.expect("the new master is used");
    let lag = served.saturating_sub(elected);
    println!(
        "{name}: most Sentinels had another master {} ms after the kill, clients were served {} ms after that",
        (elected - killed).as_millis(),
        lag.as_millis()
    );
    assert!(lag <= LAG, "{lag:?}");
    let [one, other] = &mut watched.shards[shard];
    let (old, new) = if master == 0 {
        (one, other)
    } else {
        (other, one)
    };
    old.restart();
    follow(old, new);
    // Sentinels wait for twice their time-out between two failovers of a master.
    let knows = |port: u16| {
        let about = Client::to_port(port).ask(&["SENTINEL", "REPLICAS", name]);
        about.contains("\r\nslave\r\n") && about.contains("master-link-status\r\n$2\r\nok")
    };
    let all_know = || {
        watched
            .sentinels
            .iter()
            .all(|(port, _)| knows(*port))
            .then_some(())
    };
    assert!(
        eventually(FAILOVER_LIMIT, all_know).is_some(),
        "the replica is not known"
    );
    thread::sleep(Duration::from_millis(2_500));
}

#[test]
fn a_master_that_was_demoted_is_left_without_a_kill() {
    let watched = need!(Watched::start(), "redis-server");
    let dir = tempfile::tempdir().expect("a directory");
    let seat = Seat::start_in(dir, &watched.lines());
    let mut client = seat.client();
    let port = |index: usize| format!("alpha@{}", watched.shards[0][index].port());
    assert!(seat.servers().contains(&port(0)));
    let reply = Client::to_port(watched.sentinels[0].0).ask(&["SENTINEL", "FAILOVER", "alpha"]);
    assert_eq!(reply, "+OK\r\n");
    wait_for("the new master is used", || {
        seat.servers().contains(&port(1))
    });
    let key = "key:0";
    wait_for("writes are taken", || {
        client.ask(&["SET", key, "v"]) == "+OK\r\n"
    });
    assert!(seat.log().contains("changed alpha (now 127.0.0.1:"));
    // A reload keeps what was found, and another shard list what is known of its masters.
    let (seeds, lines) = (watched.seeds(), watched.lines());
    seat.reload(&format!("  backlog: 100\n{lines}"));
    assert!(seat.servers().contains(&port(1)));
    seat.reload(&format!(
        "  servers: {{sentinel: [{seeds}], shards: [alpha]}}\n"
    ));
    assert_eq!(seat.servers(), [port(1)]);
}
