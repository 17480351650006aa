//! `auto_eject_hosts`: servers leave the ring and come back.

use std::thread;
use std::time::Instant;

use testkit::Client;

use crate::failure::kill_noticed;
use crate::need;
use crate::rig::{Rig, memcached_ask, wait_for};

const REFUSED: &str = "-ERR Connection refused\r\n";
const ABSENT: &str = "$-1\r\n";

/// Longer than a test's server needs to start, and not too long to wait for.
const RETRY: &str = "server_retry_timeout: 3000";

#[test]
fn a_failing_server_is_ejected_after_its_limit_and_comes_back() {
    let lines = ["auto_eject_hosts: true", "server_failure_limit: 2", RETRY];
    let mut rig = need!(Rig::redis(3, &lines), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    kill_noticed(&mut rig, 1);
    assert_eq!(client.ask(&["GET", &keys[1]]), REFUSED);
    assert_eq!(client.ask(&["GET", &keys[1]]), REFUSED);
    // Now another server owns the key; keys of other servers have not moved.
    assert_eq!(client.ask(&["GET", &keys[1]]), ABSENT);
    assert_eq!(client.ask(&["SET", &keys[1], "elsewhere"]), "+OK\r\n");
    assert_eq!(client.ask(&["GET", &keys[0]]), "$1\r\nv\r\n");
    assert_eq!(client.ask(&["GET", &keys[2]]), "$1\r\nv\r\n");
    assert_eq!(rig.pool_stat("server_ejects"), 1);
    assert!(rig.server_stat(1, "server_ejected_at") > 0);

    rig.servers[1].restart();
    let mut direct = rig.servers[1].client();
    wait_for("the server gets its keys again", || {
        assert_eq!(client.ask(&["SET", &keys[1], "home"]), "+OK\r\n");
        direct.ask(&["EXISTS", &keys[1]]) == ":1\r\n"
    });
}

#[test]
fn a_pool_of_one_ejected_server_refuses_until_its_retry_time() {
    let lines = ["auto_eject_hosts: true", "server_failure_limit: 1", RETRY];
    let mut rig = need!(Rig::redis(1, &lines), "redis-server");
    let key = rig.keys().remove(0);
    let mut client = rig.client();
    kill_noticed(&mut rig, 0);
    assert_eq!(client.ask(&["GET", &key]), REFUSED);
    let ejected = Instant::now();
    rig.servers[0].restart();
    let reply = client.ask(&["GET", &key]);
    if ejected.elapsed().as_millis() < 3000 {
        assert_eq!(reply, REFUSED, "the server is back, its retry time is not");
    }
    wait_for("the retry time passes", || {
        client.ask(&["GET", &key]) == ABSENT
    });
    assert_eq!(rig.pool_stat("server_ejects"), 1);
}

#[test]
fn when_every_server_is_ejected_requests_are_refused_at_once() {
    let lines = [
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 60000",
    ];
    let mut rig = need!(Rig::redis(2, &lines), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    kill_noticed(&mut rig, 0);
    kill_noticed(&mut rig, 1);
    assert_eq!(client.ask(&["GET", &keys[0]]), REFUSED);
    assert_eq!(client.ask(&["GET", &keys[1]]), REFUSED);
    assert_eq!(rig.pool_stat("server_ejects"), 2);
    let before = rig.server_stat(0, "server_err") + rig.server_stat(1, "server_err");
    for _ in 0..5 {
        assert_eq!(client.ask(&["GET", &keys[0]]), REFUSED);
        assert_eq!(client.ask(&["MGET", &keys[0], &keys[1]]), REFUSED);
    }
    let after = rig.server_stat(0, "server_err") + rig.server_stat(1, "server_err");
    assert_eq!(before, after, "nobody tried to connect");
}

#[test]
fn an_ejection_is_counted_once_however_many_workers_see_it() {
    let lines = [
        "auto_eject_hosts: true",
        "server_failure_limit: 3",
        "server_retry_timeout: 60000",
    ];
    let rig = Rig::redis_with(2, &lines, &["--workers", "4"]);
    let mut rig = need!(rig, "redis-server");
    let key = rig.keys().remove(1);
    let mut clients: Vec<_> = (0..16).map(|_| rig.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(&["GET", &key]), "$1\r\nv\r\n");
    }
    kill_noticed(&mut rig, 1);
    let settle = |mut client: Client| {
        let replies: Vec<_> = (0..20).map(|_| client.ask(&["GET", &key])).collect();
        replies.into_iter().filter(|reply| reply == ABSENT).count()
    };
    let absent: Vec<_> = thread::scope(|scope| {
        let handles: Vec<_> = clients
            .into_iter()
            .map(|client| scope.spawn(|| settle(client)))
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().expect("a client"))
            .collect()
    });
    assert!(absent.iter().all(|count| *count > 0), "{absent:?}");
    assert_eq!(rig.pool_stat("server_ejects"), 1);
}

#[test]
fn an_idle_server_that_closes_its_connection_is_not_ejected() {
    let lines = ["auto_eject_hosts: true", "server_failure_limit: 1", RETRY];
    let rig = need!(Rig::redis(2, &lines), "redis-server");
    let keys = rig.keys();
    let killed = rig.servers[1]
        .client()
        .ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert_eq!(killed, ":1\r\n");
    wait_for("the proxy notices", || {
        rig.server_stat(1, "server_connections") == 0
    });
    assert_eq!(rig.client().ask(&["GET", &keys[1]]), "$1\r\nv\r\n");
    assert_eq!(rig.pool_stat("server_ejects"), 0);
}

#[test]
fn memcached_servers_are_ejected_too() {
    let lines = ["auto_eject_hosts: true", "server_failure_limit: 2", RETRY];
    let mut rig = need!(Rig::memcached(3, &lines), "memcached");
    let keys = rig.keys();
    let mut client = rig.client();
    kill_noticed(&mut rig, 1);
    let get = format!("get {}\r\n", keys[1]);
    for _ in 0..2 {
        assert_eq!(
            memcached_ask(&mut client, &get),
            "SERVER_ERROR Connection refused\r\n"
        );
    }
    assert_eq!(memcached_ask(&mut client, &get), "END\r\n");
    rig.servers[1].restart();
    let mut direct = rig.servers[1].client();
    wait_for("the server gets its keys again", || {
        let set = format!("set {} 0 0 1\r\nv\r\n", keys[1]);
        assert_eq!(memcached_ask(&mut client, &set), "STORED\r\n");
        direct.send(get.as_bytes());
        direct.until(b"END\r\n").starts_with(b"VALUE")
    });
}
