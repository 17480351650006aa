//! The failure policies of a pool with real servers that are killed, hang and return.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testkit::Client;

use crate::failure::kill_noticed;
use crate::fake::{Answer, Fake, say};
use crate::need;
use crate::rig::{Rig, memcached_ask, redis_front, text, wait_for};

const VALUE: &str = "$1\r\nv\r\n";
const ABSENT: &str = "$-1\r\n";
const REFUSED: &str = "-ERR Connection refused\r\n";
const TIMED_OUT: &str = "-ERR Connection timed out\r\n";
const FULL: &str = "-ERR Resource temporarily unavailable\r\n";

/// Ejects at the first failure, for one second.
const EJECT: [&str; 3] = [
    "auto_eject_hosts: true",
    "server_failure_limit: 1",
    "server_retry_timeout: 1000",
];

fn with<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    [&EJECT, lines].concat()
}

/// The error for a key of server 1 while that is ejected.
fn is_named(reply: &str) -> bool {
    reply.contains("Connection refused: server 's1' (") && reply.ends_with("is ejected\r\n")
}

#[test]
fn with_error_the_dead_server_is_named_and_its_keys_stay() {
    let mut rig = need!(
        Rig::redis(3, &with(&["eject_policy: error"])),
        "redis-server"
    );
    let keys = rig.keys();
    let mut client = rig.client();
    kill_noticed(&mut rig, 1);
    assert_eq!(client.ask(&["GET", &keys[1]]), REFUSED);
    for _ in 0..5 {
        let read = client.ask(&["GET", &keys[1]]);
        let write = client.ask(&["SET", &keys[1], "astray"]);
        assert!(is_named(&read) && is_named(&write), "{read}{write}");
        assert_eq!(client.ask(&["GET", &keys[0]]), VALUE);
        assert_eq!(client.ask(&["GET", &keys[2]]), VALUE);
    }
    let all = client.ask(&["MGET", &keys[0], &keys[1], &keys[2]]);
    assert!(is_named(&all), "{all}");
    for other in [0, 2] {
        let mut direct = rig.servers[other].client();
        assert_eq!(direct.ask(&["EXISTS", &keys[1]]), ":0\r\n");
    }
    rig.servers[1].restart();
    wait_for("the server is back, and empty", || {
        client.ask(&["GET", &keys[1]]) == ABSENT
    });
    assert_eq!(rig.pool_stat("server_ejects"), 1);
}

#[test]
fn with_miss_reads_are_missed_and_writes_are_not_lost_in_silence() {
    let mut rig = need!(
        Rig::redis(3, &with(&["eject_policy: miss"])),
        "redis-server"
    );
    let keys = rig.keys();
    let mut client = rig.client();
    kill_noticed(&mut rig, 1);
    assert_eq!(client.ask(&["GET", &keys[1]]), REFUSED);
    assert_eq!(client.ask(&["GET", &keys[1]]), ABSENT);
    assert_eq!(client.ask(&["HGETALL", &keys[1]]), "*0\r\n");
    assert_eq!(
        client.ask(&["MGET", &keys[0], &keys[1], &keys[2]]),
        "*3\r\n$1\r\nv\r\n$-1\r\n$1\r\nv\r\n"
    );
    assert_eq!(client.ask(&["EXISTS", &keys[0], &keys[1]]), ":1\r\n");
    let write = client.ask(&["SET", &keys[1], "astray"]);
    assert!(is_named(&write), "{write}");
    let removed = client.ask(&["DEL", &keys[1]]);
    assert!(is_named(&removed), "{removed}");
    rig.servers[1].restart();
    wait_for("writes are taken again", || {
        client.ask(&["SET", &keys[1], "home"]) == "+OK\r\n"
    });
    assert_eq!(rig.servers[1].client().ask(&["EXISTS", &keys[1]]), ":1\r\n");
}

#[test]
fn with_miss_memcached_clients_go_on() {
    let mut rig = need!(
        Rig::memcached(3, &with(&["eject_policy: miss"])),
        "memcached"
    );
    let keys = rig.keys();
    let mut client = rig.client();
    kill_noticed(&mut rig, 1);
    let get = format!("get {}\r\n", keys[1]);
    assert_eq!(
        memcached_ask(&mut client, &get),
        "SERVER_ERROR Connection refused\r\n"
    );
    assert_eq!(memcached_ask(&mut client, &get), "END\r\n");
    client.send(format!("get {} {}\r\n", keys[1], keys[0]).as_bytes());
    let found = text(&client.until(b"END\r\n"));
    assert_eq!(found, format!("VALUE {} 0 1\r\nv\r\nEND\r\n", keys[0]));
    let set = format!("set {} 0 0 1\r\nw\r\n", keys[1]);
    let answer = memcached_ask(&mut client, &set);
    assert!(is_named(&answer), "{answer}");
    rig.servers[1].restart();
    wait_for("the server is back", || {
        memcached_ask(&mut client, &set) == "STORED\r\n"
    });
}

#[test]
fn a_frozen_server_is_probed_and_no_request_of_a_client_waits_for_it_again() {
    let mut rig = need!(Rig::redis(2, &with(&["timeout: 1000"])), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    rig.servers[1].stop();
    assert_eq!(client.ask(&["GET", &keys[1]]), TIMED_OUT);
    let frozen = Instant::now();
    // Long enough for two probes, each of which finds that the server still hangs.
    while frozen.elapsed() < Duration::from_millis(4_000) {
        assert_eq!(client.ask(&["GET", &keys[1]]), ABSENT);
        thread::sleep(Duration::from_millis(10));
    }
    rig.servers[1].cont();
    wait_for("the server has its keys again", || {
        client.ask(&["GET", &keys[1]]) == VALUE
    });
    assert_eq!(rig.pool_stat("server_ejects"), 1);
    assert_eq!(rig.server_stat(1, "server_timedout"), 1);
}

#[test]
fn without_probes_requests_of_clients_find_out() {
    let lines = with(&["timeout: 300", "probe: false"]);
    let mut rig = need!(Rig::redis(2, &lines), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    rig.servers[1].stop();
    assert_eq!(client.ask(&["GET", &keys[1]]), TIMED_OUT);
    wait_for("a request is spent", || {
        client.ask(&["GET", &keys[1]]) == TIMED_OUT
    });
    assert_eq!(rig.pool_stat("server_ejects"), 2);
}

#[test]
fn with_answer_a_late_request_fails_alone_and_the_connection_is_kept() {
    let lines = ["timeout: 1000", "timeout_action: answer"];
    let mut rig = need!(Rig::redis(2, &lines), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    rig.servers[1].stop();
    for _ in 0..2 {
        client.command(&[b"GET", keys[1].as_bytes()]);
    }
    assert_eq!(text(&client.reply()), TIMED_OUT);
    assert_eq!(text(&client.reply()), TIMED_OUT);
    client.command(&[b"STRLEN", keys[1].as_bytes()]);
    rig.servers[1].cont();
    assert_eq!(
        text(&client.reply()),
        ":1\r\n",
        "its own reply, not a late one"
    );
    for _ in 0..20 {
        assert_eq!(client.ask(&["GET", &keys[1]]), VALUE);
    }
    assert_eq!(rig.server_stat(1, "server_total"), 1, "one connection");
    assert_eq!(rig.server_stat(1, "server_connections"), 1);
}

#[test]
fn with_answer_silence_closes_the_connection() {
    let lines = ["timeout: 500", "timeout_action: answer"];
    let mut rig = need!(Rig::redis(2, &lines), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    rig.servers[1].stop();
    assert_eq!(client.ask(&["GET", &keys[1]]), TIMED_OUT);
    assert_eq!(rig.server_stat(1, "server_connections"), 1);
    wait_for("the connection is given up", || {
        rig.server_stat(1, "server_connections") == 0
    });
    rig.servers[1].cont();
    assert_eq!(client.ask(&["GET", &keys[1]]), VALUE);
}

#[test]
fn a_handshake_that_hangs_is_given_up_after_connect_timeout() {
    let password = ["--requirepass", "sesame"];
    let server = need!(testkit::redis_with(&password), "redis-server");
    let lines = ["redis_auth: sesame", "connect_timeout: 300"];
    let mut rig = Rig::before_redis(vec![server], &lines, &[]);
    let mut client = rig.client();
    assert_eq!(client.ask(&["AUTH", "sesame"]), "+OK\r\n");
    rig.servers[0].stop();
    let asked = Instant::now();
    assert_eq!(client.ask(&["GET", "k"]), TIMED_OUT);
    assert!(asked.elapsed() >= Duration::from_millis(300));
    rig.servers[0].cont();
    assert_eq!(client.ask(&["GET", "k"]), ABSENT);
}

#[test]
fn idle_clients_are_closed_and_waiting_ones_are_not() {
    let lines = ["client_idle_timeout: 500"];
    let mut rig = need!(Rig::redis(1, &lines), "redis-server");
    let begun = Instant::now();
    let (mut idle, mut waiting) = (rig.client(), rig.client());
    rig.servers[0].stop();
    waiting.command(&[b"GET", b"k"]);
    assert!(idle.rest().is_empty());
    assert!(begun.elapsed() >= Duration::from_millis(500));
    assert!(waiting.is_silent(Duration::from_millis(700)));
    rig.servers[0].cont();
    assert_eq!(text(&waiting.reply()), ABSENT);
    assert!(waiting.rest().is_empty(), "now it is idle");
    assert_eq!(rig.pool_stat("client_err"), 2);
}

#[test]
fn a_request_that_drips_is_cut_off_and_others_go_on() {
    let lines = ["client_request_timeout: 500"];
    let rig = need!(Rig::redis(1, &lines), "redis-server");
    let (mut dripping, mut other) = (rig.client(), rig.client());
    let begun = Instant::now();
    for byte in b"*2\r\n$3\r\nGET\r\n$100\r\n" {
        dripping.send(&[*byte]);
        assert_eq!(other.ask(&["GET", "k"]), ABSENT);
        thread::sleep(Duration::from_millis(10));
    }
    assert!(dripping.rest().is_empty());
    assert!(begun.elapsed() >= Duration::from_millis(500));
    thread::sleep(Duration::from_millis(700));
    assert_eq!(
        other.ask(&["GET", "k"]),
        ABSENT,
        "idle clients are not meant"
    );
}

#[test]
fn a_hung_server_gets_a_bounded_queue_and_what_it_has_it_answers() {
    let mut rig = need!(Rig::redis(2, &[]), "redis-server");
    let keys = rig.keys();
    rig.servers[1].stop();
    let mut waiting: Vec<Client> = (0..33).map(|_| rig.client()).collect();
    for client in &mut waiting {
        for _ in 0..32 {
            client.command(&[b"GET", keys[1].as_bytes()]);
        }
    }
    wait_for("all of it is queued", || {
        rig.server_stat(1, "in_queue") + rig.server_stat(1, "out_queue") == 33 * 32
    });
    thread::sleep(Duration::from_millis(1_100));
    let mut client = rig.client();
    let asked = Instant::now();
    assert_eq!(client.ask(&["GET", &keys[1]]), FULL);
    assert!(asked.elapsed() < Duration::from_millis(500), "told at once");
    assert_eq!(client.ask(&["GET", &keys[0]]), VALUE);
    rig.servers[1].cont();
    for client in &mut waiting {
        for _ in 0..32 {
            assert_eq!(text(&client.reply()), VALUE);
        }
    }
    assert_eq!(client.ask(&["GET", &keys[1]]), VALUE);
}

#[test]
fn a_lost_read_is_sent_once_more_and_a_lost_write_is_not() {
    let losses = AtomicUsize::new(0);
    let fake = Fake::redis(move |command| match command[1].as_str() {
        "lost" if losses.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => {
            Answer::Last(Vec::new())
        }
        _ => say("+fine\r\n"),
    });
    let (_proxy, port) = redis_front(&[fake.endpoint()], &["retry_reads: true"]);
    let mut client = Client::to_port(port);
    for _ in 0..20 {
        assert_eq!(client.ask(&["GET", "x"]), "+fine\r\n");
    }
    assert_eq!(client.ask(&["GET", "lost"]), "+fine\r\n");
    assert_eq!(client.ask(&["INCR", "lost"]), "-ERR unknown\r\n");
}
