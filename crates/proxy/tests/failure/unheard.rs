//! Errors that no client gets, because it wants no reply, are counted, and logged from time to time.

use proxy::Cause;
use proxy::limits::MAX_IN_FLIGHT_SILENT;
use proxy::metrics::PoolMetric;
use proxy::settings::{EjectPolicy, PoolSettings};

use crate::stage::{ConnectResult, Stage, memcached_pool, millis, redis_pool};
use crate::words::{get, redis, set};

/// The log line.
fn line(count: u64, first: &str) -> String {
    let more = match count {
        1 => String::new(),
        _ => format!("; and {} more like it", count - 1),
    };
    format!("a request that wants no reply was refused or lost: {first}{more}")
}

/// A client of a pool.
fn client_of(settings: PoolSettings) -> (Stage, usize) {
    let mut stage = Stage::new(settings);
    let client = stage.client();
    (stage, client)
}

fn strict_memcached() -> PoolSettings {
    let mut settings = memcached_pool(1);
    settings.allow_flush = false;
    settings
}

const NO_FLUSH: &str = "CLIENT_ERROR flush_all not allowed: it destroys the data of all clients; to allow it set allow_flush: true in the pool";

#[test]
fn a_flush_that_is_not_allowed() {
    let (mut stage, client) = client_of(strict_memcached());
    assert_eq!(stage.ask(client, "flush_all noreply\r\n"), "");
    assert_eq!(stage.log, [line(1, NO_FLUSH)]);
    assert_eq!(stage.count(PoolMetric::Unheard), 1);
    assert_eq!(stage.links_ever(0), 0, "no server was asked");
    let heard = stage.ask(client, "flush_all\r\n");
    assert_eq!(heard, format!("{NO_FLUSH}\r\n"));
    assert_eq!(stage.count(PoolMetric::Unheard), 1, "that one was heard");
}

#[test]
fn it_is_logged_once_in_ten_seconds_and_nothing_is_left_out_of_the_count() {
    let (mut stage, client) = client_of(strict_memcached());
    stage.say(client, "flush_all noreply\r\n".repeat(30));
    assert_eq!(stage.log, [line(30, NO_FLUSH)], "in one go");
    stage.say(client, "incr k abc noreply\r\n".repeat(3));
    stage.wait(9_999);
    stage.say(client, "flush_all noreply\r\n");
    assert_eq!(stage.log.len(), 1);
    stage.wait(1);
    assert_eq!(stage.log.len(), 2, "although nothing else has happened");
    assert!(stage.log[1].ends_with("; and 3 more like it"));
    stage.wait(60_000);
    stage.say(client, "version\r\n");
    assert_eq!(stage.log.len(), 2, "nothing new");
    assert_eq!(stage.count(PoolMetric::Unheard), 34);
}

#[test]
fn lines_that_make_no_sense() {
    let long = "k".repeat(251);
    for request in [
        "set k x 0 1 noreply\r\nx\r\n".to_owned(),
        format!("set {long} 0 0 1 noreply\r\nx\r\n"),
        format!("set {long} 0 0 9000 noreply\r\n{}\r\n", "x".repeat(9_000)),
        format!("delete {long} noreply\r\n"),
        "incr k abc noreply\r\n".to_owned(),
        "touch k x noreply\r\n".to_owned(),
    ] {
        for cut in [request.len(), 20.min(request.len() - 3)] {
            let (mut stage, client) = client_of(memcached_pool(1));
            stage.say(client, &request[..cut]);
            assert_eq!(stage.ask(client, &request[cut..]), "", "{request}");
            assert_eq!(stage.count(PoolMetric::Unheard), 1, "{request}");
            assert_eq!(stage.log.len(), 1, "{:?}", stage.log);
            assert!(stage.log[0].starts_with(&line(1, "CLIENT_ERROR ")));
            assert_eq!(stage.links_ever(0), 0);
        }
    }
}

#[test]
fn what_a_server_refuses() {
    let (mut stage, client) = client_of(memcached_pool(1));
    let three = "set k 0 0 1 noreply\r\nx\r\n".repeat(3);
    stage.say(client, three + "add k 0 0 1 noreply\r\nx\r\n");
    let link = stage.link(0);
    stage.answer(
        link,
        "STORED\r\nSERVER_ERROR object too large for cache\r\n",
    );
    stage.answer(link, "SERVER_ERR");
    stage.answer(link, "OR out of memory storing object\r\nNOT_STORED\r\n");
    assert_eq!(stage.hear(client), "");
    assert_eq!(stage.count(PoolMetric::Unheard), 2);
    let first = "server 's0' answered SERVER_ERROR object too large for cache";
    assert_eq!(stage.log, [line(1, first)]);
    stage.wait(10_000);
    stage.say(client, "version\r\n");
    assert_eq!(stage.log[1], line(1, "server 's0' answered with an error"));

    let (mut stage, client) = client_of(redis_pool(1));
    stage.say(client, redis(&["CLIENT", "REPLY", "OFF"]) + &get("k"));
    let link = stage.link(0);
    stage.answer(link, "-WRONGTYPE \x07 no\r\n");
    let first = "server 's0' answered -WRONGTYPE \\x07 no";
    assert_eq!(stage.log, [line(1, first)]);
}

#[test]
fn what_a_server_refuses_although_its_client_has_gone() {
    let (mut stage, client) = client_of(memcached_pool(1));
    stage.say(client, "set k 0 0 1 noreply\r\nx\r\nquit\r\n");
    assert!(stage.is_closed(client));
    let link = stage.link(0);
    stage.answer(link, "SERVER_ERROR out of memory\r\n");
    assert_eq!(stage.count(PoolMetric::Unheard), 1);
    let other = stage.client();
    stage.say(other, "set k 0 0 1 noreply\r\nx\r\nquit\r\n");
    stage.hang_up(link, Cause::Reset);
    assert_eq!(stage.count(PoolMetric::Unheard), 2);
    let third = stage.client();
    stage.say(third, "set k 0 0 1\r\nx\r\n");
    stage.vanish(third);
    let link = stage.link(0);
    stage.hang_up(link, Cause::Reset);
    assert_eq!(stage.count(PoolMetric::Unheard), 2, "it wanted its reply");
}

#[test]
fn what_is_lost_with_a_server() {
    let (mut stage, client) = client_of(memcached_pool(1));
    stage.say(client, "set k 0 0 1 noreply\r\nx\r\n".repeat(5));
    let link = stage.link(0);
    stage.answer(link, "STORED\r\n");
    stage.hang_up(link, Cause::Reset);
    assert_eq!(stage.count(PoolMetric::Unheard), 4);
    let first = "server 's0' (10.0.0.0:7000:1): the server reset the connection";
    assert_eq!(stage.log[1..], [line(4, first)]);
    assert_eq!(stage.count(PoolMetric::ForwardError), 0);

    let mut settings = redis_pool(2);
    settings.timeout = Some(millis(100));
    let (mut stage, client) = client_of(settings);
    let (here, there) = (stage.key(0), stage.key(1));
    let mget = redis(&["MGET", &here, &there]);
    stage.say(client, redis(&["CLIENT", "REPLY", "SKIP"]) + &mget);
    stage.wait(100);
    assert_eq!(stage.count(PoolMetric::Unheard), 2, "each fragment");
}

#[test]
fn what_cannot_be_sent() {
    let quiet = |key: &str| format!("set {key} 0 0 1 noreply\r\nx\r\n");
    let mut settings = memcached_pool(2);
    settings.auto_eject_hosts = true;
    settings.failure.eject = EjectPolicy::Error;
    let mut stage = Stage::new(settings.clone());
    stage.eject(1);
    stage.log.clear();
    let client = stage.client();
    let everywhere = "verbosity 1 noreply\r\n";
    stage.say(client, quiet(&stage.key(1)) + everywhere);
    let first = "server 's1' (10.0.0.1:7000:1): the server is ejected";
    assert_eq!(stage.log, [line(2, first)]);

    settings.failure.eject = EjectPolicy::Remap;
    let mut stage = Stage::new(settings);
    stage.eject(0);
    stage.set_connect_result(1, ConnectResult::Refusing);
    let client = stage.client();
    stage.say(client, format!("get {}\r\n", stage.key(1)));
    stage.log.clear();
    stage.say(client, quiet("k"));
    assert_eq!(
        stage.log,
        [line(1, "every server of pool 'pool' is ejected")]
    );
}

#[test]
fn what_a_silent_server_has_no_room_for() {
    let mut stage = Stage::new(redis_pool(1));
    for _ in 0..MAX_IN_FLIGHT_SILENT / 32 {
        let client = stage.client();
        stage.say(client, get("k").repeat(32));
    }
    stage.wait(1_000);
    let client = stage.client();
    let quiet = redis(&["CLIENT", "REPLY", "SKIP"]) + &set("k", "v");
    assert_eq!(stage.ask(client, quiet), "");
    let first = "server 's0' (10.0.0.0:7000:1): the server's queue is full";
    assert_eq!(stage.log, [line(1, first)]);
}

#[test]
fn what_the_proxy_itself_refuses_a_redis_client() {
    for (request, first) in [
        (
            "MONITOR",
            "-ERR unsupported command 'monitor': servers are administered directly, not through the proxy",
        ),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("NOSUCH", "-ERR unknown command 'NOSUCH'"),
        (
            "SELECT 1",
            "-ERR DB index is out of range: a pool has one database, see redis_db and databases",
        ),
        (
            "SINTERCARD 2 a b",
            "-CROSSSLOT Keys in request don't hash to the same server: give them a common part, as {a}:1 and {a}:2 have, and set hash_tag: \"{}\" in the pool (keys with braces move then)",
        ),
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ("\"", "-ERR Protocol error: unbalanced quotes in request"),
    ] {
        let (mut stage, client) = client_of(redis_pool(2));
        let asked = format!("CLIENT REPLY OFF\r\nPING\r\n{request}\r\n");
        assert_eq!(stage.ask(client, asked), "");
        assert_eq!(stage.log, [line(1, first)], "{request}");
        assert_eq!(stage.count(PoolMetric::Unheard), 1);
    }
}

#[test]
fn what_is_dropped_for_memory_when_its_client_has_gone() {
    let mut stage = Stage::with_memory(memcached_pool(1), 1, 7, 1 << 20);
    stage.set_connect_result(0, ConnectResult::Silent);
    let value = "x".repeat(300_000);
    for noreply in [" noreply", " noreply", ""] {
        let client = stage.client();
        stage.say(client, format!("set k 0 0 300000{noreply}\r\n{value}\r\n"));
        stage.vanish(client);
    }
    assert_eq!(stage.count(PoolMetric::Unheard), 0);
    let client = stage.client();
    stage.say(client, format!("set k 0 0 300000\r\n{value}\r\n"));
    assert_eq!(stage.count(PoolMetric::Unheard), 2);
    assert!(!stage.is_closed(client));
    stage.say(client, "version\r\n");
    assert_eq!(stage.log, [line(2, "the proxy is short of memory")]);
}

#[test]
fn where_every_reply_is_wanted_nothing_is_unheard() {
    let mut settings = memcached_pool(1);
    settings.allow_flush = false;
    let (mut stage, client) = client_of(settings);
    stage.say(client, "flush_all\r\nbogus\r\nset k 0 0 1\r\nx\r\n");
    let link = stage.link(0);
    stage.answer(link, "SERVER_ERROR no\r\n");
    stage.say(client, "get k\r\n");
    stage.hang_up(link, Cause::Reset);
    assert_eq!(stage.count(PoolMetric::Unheard), 0);
    let told = |line: &String| line.contains("no reply");
    assert!(!stage.log.iter().any(told), "{:?}", stage.log);
}
