//! `failover`: keys of an ejected server are served by another pool, and live there for at most one minute.

use hashkit::HashKind;
use proxy::Cause;
use proxy::metrics::{PoolMetric, ServerMetric};
use proxy::settings::{
    Address, CrossShard, EjectPolicy, PoolSettings, ProtocolSettings, RedisSettings,
    ServerSettings, TimeoutAction,
};

use crate::stage::{ConnectResult, Stage, memcached_pool, millis, redis_pool};
use crate::words::{HELLO_3, REFUSED, TIMED_OUT, bulk, ejected, get, redis, set, value};

/// What the proxy sends first on each connection to the other pool of a Redis pool, and the reply of a server
/// that supports limiting a TTL.
const QUESTION: &str =
    "*5\r\n$7\r\nPEXPIRE\r\n$8\r\nnuthatch\r\n$1\r\n1\r\n$2\r\nLT\r\n$2\r\nGT\r\n";
const KNOWN: &str = "-ERR GT and LT options at the same time are not compatible\r\n";
const RESET: &str = "-ERR Connection reset by peer\r\n";

/// The request that follows a write of `key`.
fn limit(key: &str) -> String {
    redis(&["PEXPIRE", key, "60000", "LT"])
}

fn ejecting(mut settings: PoolSettings) -> PoolSettings {
    settings.auto_eject_hosts = true;
    settings
}

/// The other pool, with its own server names and hash.
fn other(mut settings: PoolSettings) -> PoolSettings {
    settings.name = "gutter".into();
    settings.placement.hash = HashKind::Md5;
    for (index, server) in settings.servers.iter_mut().enumerate() {
        *server = ServerSettings {
            name: format!("g{index}"),
            pname: format!("10.0.1.{index}:7000:1"),
            address: Address::tcp(&format!("10.0.1.{index}"), 7_000),
            ..server.clone()
        };
    }
    ejecting(settings)
}

/// Two servers, 0 and 1, and `others` of the other pool, numbered from 2.
fn stage(others: usize) -> Stage {
    let (settings, other) = (ejecting(redis_pool(2)), other(redis_pool(others)));
    Stage::with_failover(settings, Some(other), 1, 7)
}

fn memcached_stage(others: usize) -> Stage {
    let (settings, other) = (ejecting(memcached_pool(2)), other(memcached_pool(others)));
    Stage::with_failover(settings, Some(other), 1, 7)
}

/// The link to a server of the other pool, whose support for limiting a TTL is known.
fn ready(stage: &mut Stage, server: usize) -> usize {
    let link = stage.link(server);
    assert_eq!(stage.heard(link), QUESTION);
    stage.answer(link, KNOWN);
    link
}

#[test]
fn keys_of_an_ejected_server_are_served_by_the_other_pool_and_come_home() {
    let mut stage = stage(1);
    let (client, key, well) = (stage.client(), stage.key(0), stage.key(1));
    assert_eq!(stage.links_ever(2), 0, "nothing is opened ahead");
    stage.eject(0);
    stage.say(client, get(&key) + &get(&well));
    let link = ready(&mut stage, 2);
    assert_eq!(stage.heard(link), get(&key));
    let own = stage.link(1);
    assert_eq!(stage.heard(own), get(&well), "others stay where they are");
    stage.answer(own, bulk("well"));
    stage.answer(link, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n".to_owned() + &bulk("well"));
    assert_eq!(stage.count(PoolMetric::Failovers), 1);
    assert_eq!(stage.count_at(2, ServerMetric::Requests), 1);

    stage.set_connect_result(0, ConnectResult::Open);
    stage.wait(30_000);
    let probe = stage.link(0);
    stage.answer(probe, "+PONG\r\n");
    assert!(stage.is_live(0));
    stage.say(client, get(&key));
    let home = stage.link(0);
    assert_eq!(stage.heard(home), get(&key));
    stage.answer(home, bulk("home"));
    assert_eq!(stage.hear(client), bulk("home"));
    stage.wait(9_999);
    assert!(stage.is_open(link));
    stage.wait(2);
    assert!(!stage.is_open(link), "nobody needs it any more");
    assert_eq!(stage.count_at(2, ServerMetric::ServerConnections), 0);
}

#[test]
fn writes_there_are_capped_and_the_reply_is_the_servers() {
    let mut stage = stage(1);
    stage.eject(0);
    let (client, key) = (stage.client(), stage.key(0));
    stage.say(client, set(&key, "v"));
    let link = ready(&mut stage, 2);
    assert_eq!(stage.heard(link), redis(&["SET", &key, "v", "EX", "60"]));
    stage.answer(link, "+OK\r\n");
    assert_eq!(stage.hear(client), "+OK\r\n");

    let push = redis(&["LPUSH", &key, "v"]);
    stage.say(client, push.clone() + &get(&key));
    assert_eq!(stage.heard(link), push + &limit(&key) + &get(&key));
    stage.answer(link, ":1\r\n:1\r\n-WRONGTYPE no\r\n");
    assert_eq!(stage.hear(client), ":1\r\n-WRONGTYPE no\r\n");

    for as_it_is in [
        redis(&["SETEX", &key, "60", "v"]),
        redis(&["DEL", &key]),
        redis(&["TTL", &key]),
    ] {
        stage.say(client, &as_it_is);
        assert_eq!(stage.heard(link), as_it_is);
        stage.answer(link, ":1\r\n");
        assert_eq!(stage.hear(client), ":1\r\n");
    }
}

#[test]
fn a_large_value_is_passed_on_whole() {
    let mut stage = stage(1);
    stage.eject(0);
    let (client, key) = (stage.client(), stage.key(0));
    let large = "x".repeat(300_000);
    let request = set(&key, &large);
    let (first, rest) = request.split_at(1_000);
    stage.say(client, first);
    stage.say(client, rest);
    let link = ready(&mut stage, 2);
    let heard = stage.heard(link);
    assert!(heard == redis(&["SET", &key, &large, "EX", "60"]));

    let request = redis(&["APPEND", &key, &large]);
    stage.say(client, &request[..70_000]);
    stage.say(client, &request[70_000..]);
    assert!(stage.heard(link) == request + &limit(&key));
}

#[test]
fn split_requests_go_where_each_key_is() {
    let mut stage = stage(2);
    let mine = stage.keys(0, 6);
    let well = stage.key(1);
    stage.eject(0);
    let client = stage.client();
    for key in &mine {
        stage.say(client, get(key));
    }
    let mut asked: Vec<(String, usize)> = Vec::new();
    for server in [2, 3] {
        let link = ready(&mut stage, server);
        let heard = stage.heard(link);
        let here = mine.iter().filter(|key| heard.contains(&get(key)));
        asked.extend(here.map(|key| (key.clone(), link)));
    }
    assert_eq!(asked.len(), mine.len(), "each key at one server");
    let (a, b) = (asked[0].clone(), asked[asked.len() - 1].clone());
    assert_ne!(a.1, b.1, "keys of both servers are needed");

    let writer = stage.client();
    let mset = redis(&["MSET", &a.0, "1", &well, "2", &b.0, "3"]);
    stage.say(writer, mset);
    let part = |key: &str, value: &str| redis(&["mset", key, value]);
    assert_eq!(stage.heard(a.1), part(&a.0, "1") + &limit(&a.0));
    assert_eq!(stage.heard(b.1), part(&b.0, "3") + &limit(&b.0));
    let own = stage.link(1);
    assert_eq!(stage.heard(own), part(&well, "2"));
    for (link, gets) in [
        (a.1, asked.iter().filter(|(_, link)| *link == a.1).count()),
        (b.1, asked.iter().filter(|(_, link)| *link == b.1).count()),
    ] {
        stage.answer(link, "$-1\r\n".repeat(gets) + "+OK\r\n:1\r\n");
    }
    stage.answer(own, "+OK\r\n");
    assert_eq!(stage.hear(writer), "+OK\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n".repeat(6));

    stage.say(writer, redis(&["MGET", &b.0, &well, &a.0]));
    stage.answer(a.1, "*1\r\n$1\r\na\r\n");
    stage.answer(b.1, "*1\r\n$1\r\nb\r\n");
    stage.answer(own, "*1\r\n$1\r\nw\r\n");
    assert_eq!(
        stage.hear(writer),
        "*3\r\n$1\r\nb\r\n$1\r\nw\r\n$1\r\na\r\n"
    );
}

#[test]
fn memcached_times_are_capped() {
    let mut stage = memcached_stage(1);
    stage.eject(0);
    let (client, keys) = (stage.client(), stage.keys(0, 2));
    let (a, b) = (&keys[0], &keys[1]);
    for (asked, sent, reply) in [
        (
            format!("set {a} 5 0 1\r\nv\r\n"),
            format!("set {a} 5 60 1\r\nv\r\n"),
            "STORED\r\n",
        ),
        (
            format!("add {a} 5 30 1\r\nv\r\n"),
            format!("add {a} 5 30 1\r\nv\r\n"),
            "NOT_STORED\r\n",
        ),
        (
            format!("cas {a} 5 1999999999 1 77\r\nv\r\n"),
            format!("cas {a} 5 60 1 77\r\nv\r\n"),
            "EXISTS\r\n",
        ),
        (
            format!("append {a} 0 0 1\r\nv\r\n"),
            format!("append {a} 0 0 1\r\nv\r\n"),
            "STORED\r\n",
        ),
        (
            format!("touch {a} 100\r\n"),
            format!("touch {a} 60\r\n"),
            "TOUCHED\r\n",
        ),
        (
            format!("incr {a} 1\r\n"),
            format!("incr {a} 1\r\n"),
            "2\r\n",
        ),
        (
            format!("gat 0 {a}\r\n"),
            format!("gat 60 {a}\r\n"),
            "END\r\n",
        ),
        (
            format!("gats 1000 {a} {b}\r\n"),
            format!("gats 60 {a} {b} \r\n"),
            "END\r\n",
        ),
        (
            format!("delete {a}\r\n"),
            format!("delete {a}\r\n"),
            "DELETED\r\n",
        ),
    ] {
        stage.say(client, &asked);
        let link = stage.link(2);
        assert_eq!(stage.heard(link), sent);
        stage.answer(link, reply);
        assert_eq!(stage.hear(client), reply);
    }
}

#[test]
fn so_they_are_in_the_flags_of_meta_commands() {
    let mut stage = memcached_stage(1);
    stage.eject(0);
    let (client, a) = (stage.client(), &stage.key(0));
    for (asked, sent, reply) in [
        (
            format!("ms {a} 1 q c\r\nv\r\n"),
            format!("ms {a} 1 c T60\r\nv\r\n"),
            "NS c0\r\n",
        ),
        (
            format!("ms {a} 1 T0 N0 q\r\nv\r\n"),
            format!("ms {a} 1 T60 N60\r\nv\r\n"),
            "EX\r\n",
        ),
        (
            format!("mg {a} T-1 N100 v q\r\n"),
            format!("mg {a} T-1 N60 v\r\n"),
            "VA 0 W\r\n\r\n",
        ),
        (format!("mg {a} v\r\n"), format!("mg {a} v\r\n"), "EN\r\n"),
        (
            format!("ma {a} N0\r\n"),
            format!("ma {a} N60\r\n"),
            "HD\r\n",
        ),
        (
            format!("md {a} I x\r\n"),
            format!("md {a} I x T60\r\n"),
            "NF\r\n",
        ),
    ] {
        stage.say(client, &asked);
        let link = stage.link(2);
        assert_eq!(stage.heard(link), sent);
        stage.answer(link, reply);
        assert_eq!(stage.hear(client), reply);
    }
}

#[test]
fn so_they_are_where_no_reply_is_wanted() {
    let mut stage = memcached_stage(1);
    stage.eject(0);
    let (client, a) = (stage.client(), &stage.key(0));
    stage.say(
        client,
        format!("set {a} 0 100 1  noreply\r\nv\r\nget {a}\r\n"),
    );
    let link = stage.link(2);
    assert_eq!(
        stage.heard(link),
        format!("set {a} 0 60 1\r\nv\r\nget {a}\r\n")
    );
    let found = value(a, "v") + "END\r\n";
    stage.answer(link, "STORED\r\n".to_owned() + &found);
    assert_eq!(stage.hear(client), found);
    let large = "y".repeat(200_000);
    stage.say(
        client,
        format!("set {a} 0 0 200000 noreply\r\n{}", &large[..5_000]),
    );
    stage.say(client, format!("{}\r\n", &large[5_000..]));
    assert!(stage.heard(link) == format!("set {a} 0 60 200000\r\n{large}\r\n"));
}

#[test]
fn a_multi_get_is_joined_over_both_pools() {
    let mut stage = memcached_stage(1);
    stage.eject(0);
    let (client, key, well) = (stage.client(), stage.key(0), stage.key(1));
    stage.say(client, format!("get {key} {well}\r\n"));
    let (link, own) = (stage.link(2), stage.link(1));
    stage.answer(own, value(&well, "w") + "END\r\n");
    stage.answer(link, value(&key, "k") + "END\r\n");
    let found = value(&key, "k") + &value(&well, "w") + "END\r\n";
    assert_eq!(stage.hear(client), found);
}

#[test]
fn where_the_other_pool_cannot_help_eject_policy_decides() {
    for (policy, read) in [
        (EjectPolicy::Remap, ejected(0)),
        (EjectPolicy::Error, ejected(0)),
        (EjectPolicy::Miss, "$-1\r\n".to_owned()),
    ] {
        let mut settings = ejecting(redis_pool(2));
        settings.failure.eject = policy;
        let other = other(redis_pool(1));
        let mut stage = Stage::with_failover(settings, Some(other), 1, 7);
        stage.eject(0);
        let (client, key) = (stage.client(), stage.key(0));
        stage.set_connect_result(2, ConnectResult::Refusing);
        assert_eq!(stage.ask(client, get(&key)), REFUSED, "to be found out");
        assert!(!stage.is_live(2));
        assert_eq!(stage.ask(client, get(&key)), read);
        assert_eq!(stage.ask(client, set(&key, "v")), ejected(0));
        assert!(stage.links(1).is_empty(), "no key moves to a neighbour");
        stage.set_connect_result(2, ConnectResult::Open);
        stage.wait(30_000);
        let probe = stage.link(2);
        assert_eq!(stage.heard(probe), "*1\r\n$4\r\nPING\r\n");
        stage.answer(probe, "+PONG\r\n");
        assert!(stage.is_live(2));
        stage.say(client, get(&key));
        let link = ready(&mut stage, 2);
        assert_eq!(stage.heard(link), get(&key));
    }
}

#[test]
fn within_the_other_pool_its_own_policy_says_where_keys_are() {
    let mut stage = stage(2);
    stage.eject(0);
    let client = stage.client();
    let keys = stage.keys(0, 8);
    stage.set_connect_result(2, ConnectResult::Refusing);
    for key in &keys {
        stage.say(client, get(key));
    }
    assert!(!stage.is_live(2));
    let link = ready(&mut stage, 3);
    let before = stage.heard(link).matches("GET").count();
    assert!(before > 0);
    for key in &keys {
        stage.say(client, get(key));
    }
    let again = stage.heard(link);
    assert_eq!(
        again.matches("GET").count(),
        keys.len(),
        "all are there now"
    );
}

#[test]
fn settings_of_connections_are_the_other_pools() {
    let mut other = other(redis_pool(1));
    other.timeout = Some(millis(200));
    other.server_failure_limit = 10;
    other.failure.timeout_action = TimeoutAction::Answer;
    other.server_connections = 2;
    other.servers[0].db = 3;
    other.protocol = ProtocolSettings::Redis(RedisSettings {
        auth: Some(b"theirs"[..].into()),
        ..RedisSettings::default()
    });
    let mut stage = Stage::with_failover(ejecting(redis_pool(2)), Some(other), 1, 7);
    stage.eject(0);
    let (client, key) = (stage.client(), stage.key(0));
    stage.say(client, get(&key));
    let link = stage.link(2);
    let hello = redis(&["AUTH", "theirs"]) + &redis(&["SELECT", "3"]) + QUESTION;
    assert_eq!(stage.heard(link), hello);
    stage.answer(link, "+OK\r\n+OK\r\n".to_owned() + KNOWN);
    stage.wait(200);
    assert_eq!(stage.hear(client), TIMED_OUT);
    assert!(stage.is_open(link), "late requests fail alone");
    let second = stage.client();
    stage.say(second, get(&key));
    assert_eq!(stage.links(2).len(), 2, "two connections");
}

#[test]
fn a_server_that_cannot_cap_is_not_written_to() {
    let mut stage = stage(1);
    stage.eject(0);
    let (client, key) = (stage.client(), stage.key(0));
    stage.say(client, set(&key, "v"));
    let link = stage.link(2);
    stage.answer(
        link,
        "-ERR wrong number of arguments for 'pexpire' command\r\n",
    );
    assert_eq!(
        stage.hear(client),
        "-ERR the failover server cannot limit the time to live\r\n"
    );
    assert!(!stage.is_open(link) && stage.is_live(2));
    assert_eq!(stage.heard(link), QUESTION);
    assert!(
        stage
            .log
            .iter()
            .any(|line| line.contains("'g0' is of no use for failover"))
    );
}

#[test]
fn a_lost_read_is_sent_to_the_other_pool() {
    let mut settings = ejecting(redis_pool(2));
    settings.failure.retry_reads = true;
    let mut stage = Stage::with_failover(settings, Some(other(redis_pool(1))), 1, 7);
    let (client, key) = (stage.client(), stage.key(0));
    for _ in 0..10 {
        stage.say(client, get(&key));
        let link = stage.link(0);
        stage.answer(link, "$-1\r\n");
    }
    stage.hear(client);
    stage.say(client, get(&key));
    let lost = stage.link(0);
    stage.set_connect_result(0, ConnectResult::Refusing);
    stage.hang_up(lost, Cause::Reset);
    let link = ready(&mut stage, 2);
    assert_eq!(stage.heard(link), get(&key));
    stage.answer(link, bulk("gutter"));
    assert_eq!(stage.hear(client), bulk("gutter"));
}

#[test]
fn a_client_that_leaves_leaves_its_writes_capped() {
    let mut stage = stage(1);
    stage.eject(0);
    let (client, key) = (stage.client(), stage.key(0));
    let push = redis(&["LPUSH", &key, "v"]);
    stage.say(client, &push);
    stage.vanish(client);
    let link = ready(&mut stage, 2);
    assert_eq!(stage.heard(link), push + &limit(&key));
    stage.answer(link, ":1\r\n:1\r\n");
    assert!(stage.is_open(link));
}

#[test]
fn a_write_lost_there_fails_once() {
    let mut stage = stage(1);
    stage.eject(0);
    let (client, key) = (stage.client(), stage.key(0));
    let push = redis(&["LPUSH", &key, "v"]);
    stage.say(client, push.clone() + &push);
    let link = ready(&mut stage, 2);
    stage.answer(link, ":1\r\n");
    stage.hang_up(link, Cause::Reset);
    assert_eq!(stage.hear(client), format!(":1\r\n{RESET}"));
    stage.end(client);
    assert!(stage.is_closed(client), "nothing of it is left");
}

#[test]
fn keys_of_one_command_must_be_at_one_server_of_either_pool() {
    let mut settings = ejecting(redis_pool(2));
    settings.protocol = ProtocolSettings::Redis(RedisSettings {
        cross_shard: CrossShard::Error,
        ..RedisSettings::default()
    });
    let mut stage = Stage::with_failover(settings, Some(other(redis_pool(1))), 1, 7);
    let (mine, well) = (stage.keys(0, 2), stage.key(1));
    stage.eject(0);
    let client = stage.client();
    let refused = stage.ask(client, redis(&["SUNION", &mine[0], &well]));
    assert!(refused.starts_with("-CROSSSLOT "), "{refused}");
    let store = redis(&["SUNIONSTORE", &mine[0], &mine[1]]);
    stage.say(client, &store);
    let link = ready(&mut stage, 2);
    assert_eq!(stage.heard(link), store + &limit(&mine[0]));
    stage.answer(link, ":0\r\n:0\r\n");
    assert_eq!(stage.hear(client), ":0\r\n");
}

#[test]
fn what_goes_to_every_server_goes_to_the_pools_own() {
    let mut stage = stage(1);
    stage.eject(0);
    let client = stage.client();
    stage.say(client, redis(&["FLUSHALL"]));
    let own = stage.link(1);
    stage.answer(own, "+OK\r\n");
    assert_eq!(stage.hear(client), ejected(0));
    assert_eq!(stage.links_ever(2), 0);
}

#[test]
fn resp3_is_spoken_there_too() {
    let mut stage = stage(1);
    let client = stage.client();
    stage.say(client, redis(&["HELLO", "3"]));
    for server in [0, 1] {
        let link = stage.link(server);
        stage.answer(link, HELLO_3);
    }
    assert!(stage.hear(client).starts_with('%'));
    assert_eq!(stage.links_ever(2), 0);
    let key = stage.key(0);
    stage.eject(0);
    stage.say(client, get(&key));
    let link = stage.link(2);
    assert_eq!(stage.heard(link), redis(&["HELLO", "3"]) + QUESTION);
    stage.answer(link, HELLO_3.to_owned() + KNOWN);
    assert_eq!(stage.heard(link), get(&key));
    stage.answer(link, "_\r\n");
    assert_eq!(stage.hear(client), "_\r\n");
}

#[test]
fn workers_agree_and_count_each_ejection_once() {
    let (settings, other) = (ejecting(redis_pool(2)), other(redis_pool(1)));
    let mut stage = Stage::with_failover(settings, Some(other), 2, 7);
    stage.eject(0);
    let key = stage.key(0);
    let clients = [stage.client_of(0), stage.client_of(1)];
    for client in clients {
        stage.say(client, get(&key));
    }
    let links = stage.links(2);
    assert_eq!(links.len(), 2, "one of each worker");
    for link in links {
        assert_eq!(stage.heard(link), QUESTION);
        stage.answer(link, KNOWN);
        assert_eq!(stage.heard(link), get(&key));
    }
    assert_eq!(stage.count(PoolMetric::ServerEjects), 1);
    assert_eq!(stage.count(PoolMetric::Failovers), 2);
}
