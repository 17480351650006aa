//! `failover` with real servers: keys of a dead server are served by another pool, live there for a limited
//! time, and return.

use std::thread;
use std::time::{Duration, Instant};

use testkit::{Client, Server, free_port};

use crate::failure::kill_noticed;
use crate::need;
use crate::rig::{Rig, memcached_ask, pool, text, wait_for};

const ABSENT: &str = "$-1\r\n";

const LINES: [&str; 5] = [
    "auto_eject_hosts: true",
    "server_failure_limit: 1",
    "server_retry_timeout: 1000",
    "failover: gutter",
    "failover_ttl: 30",
];

/// Three servers in `pool` and two in `gutter`, with two workers.
struct Gutter {
    rig: Rig,
    others: Vec<Server>,
    /// One key for each of the three servers.
    keys: Vec<String>,
}

impl Gutter {
    fn new(redis: bool) -> Option<Self> {
        let server = |_| match redis {
            true => testkit::redis(),
            false => testkit::memcached(),
        };
        let servers: Option<Vec<Server>> = (0..3).map(server).collect();
        let others: Option<Vec<Server>> = (0..2).map(server).collect();
        let (servers, others) = (servers?, others?);
        let protocol = format!("redis: {redis}");
        let lines = [&LINES[..], &[protocol.as_str()]].concat();
        let endpoints: Vec<_> = others.iter().map(Server::endpoint).collect();
        let listen = format!("127.0.0.1:{}", free_port());
        let more = pool("gutter", &listen, &endpoints, &["hash: md5", &protocol]);
        let rig = Rig::start(servers, &lines, &["--workers", "2"], redis, &more);
        let keys = rig.keys();
        Some(Self { rig, others, keys })
    }

    /// Kills server 1 and waits until all workers know.
    fn kill(&mut self, mut is_refused: impl FnMut() -> bool) {
        kill_noticed(&mut self.rig, 1);
        wait_for("the server is ejected", || !is_refused());
        assert_eq!(self.rig.pool_stat("server_ejects"), 1);
    }

    /// The server of the failover pool that has a Redis key, and the key's TTL there in milliseconds.
    fn life(&self, key: &str) -> i64 {
        let lives = self.others.iter().map(|server| {
            let reply = server.client().ask(&["PTTL", key]);
            let number = reply.trim_start_matches(':').trim_end();
            number.parse::<i64>().expect("a number")
        });
        lives.max().expect("there are others")
    }

    fn other_stat(&self, name: &str) -> i64 {
        let stats = self.rig.stats();
        let of = |server: &str| stats["gutter"][server][name].as_i64().expect("a number");
        of("s0") + of("s1")
    }
}

fn is_limited(life: i64) -> bool {
    (1..=30_000).contains(&life)
}

#[test]
fn redis_clients_go_on_in_the_gutter_and_nothing_outlives_the_limit() {
    let mut gutter = need!(Gutter::new(true), "redis-server");
    let (key, well) = (gutter.keys[1].clone(), gutter.keys[0].clone());
    let mut client = gutter.rig.client();
    assert_eq!(gutter.other_stat("server_connections"), 0);
    let mut probing = gutter.rig.client();
    let get = key.clone();
    gutter.kill(move || probing.ask(&["GET", &get]).starts_with('-'));

    assert_eq!(client.ask(&["GET", &key]), ABSENT);
    assert_eq!(client.ask(&["GET", &well]), "$1\r\nv\r\n");
    assert_eq!(client.ask(&["SET", &key, "new"]), "+OK\r\n");
    assert_eq!(client.ask(&["GET", &key]), "$3\r\nnew\r\n");
    assert!(is_limited(gutter.life(&key)));
    assert_eq!(client.ask(&["SET", &key, "n", "PX", "5000"]), "+OK\r\n");
    assert_eq!(client.ask(&["APPEND", &key, "x"]), ":2\r\n");
    let life = gutter.life(&key);
    assert!((1..=5_000).contains(&life), "never more: {life}");
    assert_eq!(client.ask(&["PERSIST", &key]), ":1\r\n");
    wait_for("it is limited again", || is_limited(gutter.life(&key)));

    writes_of_every_kind(&gutter, &mut client, &key, &well);
    assert!(gutter.rig.pool_stat("failovers") > 20);
    assert!(gutter.other_stat("requests") > 20);

    gutter.rig.servers[1].restart();
    let mut client = gutter.rig.client();
    wait_for("the key is at home again", || {
        client.ask(&["SET", &key, "home"]) == "+OK\r\n"
            && gutter.rig.servers[1].client().ask(&["TTL", &key]) == ":-1\r\n"
    });
    assert_eq!(client.ask(&["GET", &key]), "$4\r\nhome\r\n");
    wait_for("nothing is kept open", || {
        gutter.other_stat("server_connections") == 0
    });
}

/// After each of these the TTL of what it writes is limited, and its reply is the usual one.
fn writes_of_every_kind(gutter: &Gutter, client: &mut Client, key: &str, well: &str) {
    let far = "4102444800";
    for (write, reply) in [
        (&["SETEX", key, "1000", "v"][..], "+OK\r\n"),
        (&["PSETEX", key, "1000000", "v"], "+OK\r\n"),
        (&["SET", key, "v", "EXAT", far], "+OK\r\n"),
        (&["SET", key, "v", "KEEPTTL"], "+OK\r\n"),
        (&["GETSET", key, "w"], "$1\r\nv\r\n"),
        (&["GETEX", key, "EX", "1000"], "$1\r\nw\r\n"),
        (&["EXPIRE", key, "1000"], ":1\r\n"),
        (&["EXPIREAT", key, far], ":1\r\n"),
        (&["MSET", key, "1", well, "2"], "+OK\r\n"),
        (&["INCR", key], ":2\r\n"),
        (
            &["EVAL", "return redis.call('set', KEYS[1], 'e')", "1", key],
            "+OK\r\n",
        ),
        (&["SETRANGE", key, "0", "large"], ":5\r\n"),
        (&["DEL", key], ":1\r\n"),
        (&["SETNX", key, "v"], ":1\r\n"),
        (&["DEL", key], ":1\r\n"),
        (&["HSET", key, "f", "v"], ":1\r\n"),
        (&["DEL", key], ":1\r\n"),
        (&["LPUSH", key, "v", "w"], ":2\r\n"),
        (&["SORT", key, "ALPHA", "STORE", key], ":2\r\n"),
        (&["DEL", key], ":1\r\n"),
        (&["XADD", key, "1-1", "f", "v"], "$3\r\n1-1\r\n"),
        (&["DEL", key], ":1\r\n"),
        (&["ZADD", key, "1", "m"], ":1\r\n"),
    ] {
        assert_eq!(client.ask(write), reply, "{write:?}");
        if write[0] != "DEL" {
            // The follow-up comes after the write on its connection, and a direct client may read before it.
            wait_for(write[0], || is_limited(gutter.life(key)));
        }
    }
}

#[test]
fn a_large_pipeline_in_the_gutter_is_answered_in_order() {
    let mut gutter = need!(Gutter::new(true), "redis-server");
    let key = gutter.keys[1].clone();
    let mut probing = gutter.rig.client();
    let get = key.clone();
    gutter.kill(move || probing.ask(&["GET", &get]).starts_with('-'));
    let mut client = gutter.rig.client();
    let large = "x".repeat(200_000);
    let mut expected = String::new();
    for round in 0..300 {
        client.command(&[b"RPUSH", key.as_bytes(), b"v"]);
        client.command(&[b"LLEN", key.as_bytes()]);
        expected.push_str(&format!(":{0}\r\n:{0}\r\n", round + 1));
    }
    client.command(&[b"SET", key.as_bytes(), large.as_bytes()]);
    client.command(&[b"STRLEN", key.as_bytes()]);
    expected.push_str("+OK\r\n:200000\r\n");
    assert_eq!(text(&client.exactly(expected.len())), expected);
    assert!(is_limited(gutter.life(&key)));
}

#[test]
fn memcached_clients_go_on_in_the_gutter_and_what_is_there_expires() {
    let mut gutter = need!(Gutter::new(false), "memcached");
    let (key, well) = (gutter.keys[1].clone(), gutter.keys[0].clone());
    let mut probing = gutter.rig.client();
    let get = format!("get {key}\r\n");
    gutter.kill(move || memcached_ask(&mut probing, &get).starts_with("SERVER_ERROR"));

    let mut client = gutter.rig.client();
    for (write, reply) in [
        (format!("set {key} 0 0 1\r\nw\r\n"), "STORED\r\n"),
        (format!("append {key} 0 0 1\r\nx\r\n"), "STORED\r\n"),
        (format!("touch {key} 1000\r\n"), "TOUCHED\r\n"),
        (format!("add {key} 0 0 1\r\nw\r\n"), "NOT_STORED\r\n"),
    ] {
        assert_eq!(memcached_ask(&mut client, &write), reply, "{write}");
        let life = memcached_life(&gutter, &key);
        assert!((1..=30).contains(&life), "{write}: {life}");
    }
    client.send(format!("set {key} 0 0 1 noreply\r\nq\r\ngat 0 {key} {well}\r\n").as_bytes());
    let found = format!("VALUE {key} 0 1\r\nq\r\nVALUE {well} 0 1\r\nv\r\nEND\r\n");
    assert_eq!(text(&client.exactly(found.len())), found);
    assert!((1..=30).contains(&memcached_life(&gutter, &key)));

    let short = format!("set {key} 0 1 1\r\ns\r\n");
    assert_eq!(memcached_ask(&mut client, &short), "STORED\r\n");
    let begun = Instant::now();
    wait_for("a shorter time holds", || {
        memcached_ask(&mut client, &format!("incr {key} 1\r\n")) == "NOT_FOUND\r\n"
    });
    assert!(begun.elapsed() < Duration::from_secs(10));

    gutter.rig.servers[1].restart();
    let set = format!("set {key} 0 0 4\r\nhome\r\n");
    wait_for("the key is at home again", || {
        let stored = memcached_ask(&mut client, &set) == "STORED\r\n";
        let mut home = gutter.rig.servers[1].client();
        home.send(format!("get {key}\r\n").as_bytes());
        let found = home.until(b"END\r\n").starts_with(b"VALUE");
        thread::sleep(Duration::from_millis(20));
        stored && found
    });
}

/// The TTL of an item in the failover pool, in seconds, from its meta command; -1 for none, -2 if there is no
/// item.
fn memcached_life(gutter: &Gutter, key: &str) -> i64 {
    let lives = gutter.others.iter().map(|server| {
        let line = memcached_ask(&mut server.client(), &format!("mg {key} t\r\n"));
        match line.trim_end().split_once(" t") {
            Some((_, seconds)) => seconds.parse().expect("a number"),
            None => -2,
        }
    });
    lives.max().expect("there are others")
}

#[test]
fn without_gutter_servers_the_dead_server_is_named() {
    let mut gutter = need!(Gutter::new(true), "redis-server");
    let key = gutter.keys[1].clone();
    for server in &mut gutter.others {
        server.kill();
    }
    let mut client = gutter.rig.client();
    kill_noticed(&mut gutter.rig, 1);
    // The failover pool does not eject (auto_eject_hosts is not set there), so its own failure is reported.
    wait_for("the gutter is asked", || {
        gutter.rig.pool_stat("failovers") > 0 || {
            let answer = client.ask(&["GET", &key]);
            assert_eq!(answer, "-ERR Connection refused\r\n");
            false
        }
    });
    assert_eq!(client.ask(&["GET", &gutter.keys[0]]), "$1\r\nv\r\n");
}
