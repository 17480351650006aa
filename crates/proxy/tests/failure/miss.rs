//! `eject_policy: miss`: reads of an ejected server's keys are answered as if the keys did not exist.

use proxy::Cause;
use proxy::settings::{EjectPolicy, PoolSettings};

use crate::stage::{Stage, memcached_pool, redis_pool};
use crate::words::{HELLO_3, bulk, ejected, get, redis, set, value};

fn with(mut settings: PoolSettings) -> PoolSettings {
    settings.auto_eject_hosts = true;
    settings.failure.eject = EjectPolicy::Miss;
    settings
}

/// A request (`K` stands for a key of the ejected server) and its reply in RESP2 and in RESP3.
const READS: &[(&[&str], &str, &str)] = &[
    (&["GET", "K"], "$-1\r\n", "_\r\n"),
    (&["get", "K"], "$-1\r\n", "_\r\n"),
    (&["HGET", "K", "f"], "$-1\r\n", "_\r\n"),
    (&["ZSCORE", "K", "m"], "$-1\r\n", "_\r\n"),
    (&["LINDEX", "K", "0"], "$-1\r\n", "_\r\n"),
    (&["EXISTS", "K"], ":0\r\n", ":0\r\n"),
    (&["TTL", "K"], ":-2\r\n", ":-2\r\n"),
    (&["STRLEN", "K"], ":0\r\n", ":0\r\n"),
    (&["SCARD", "K"], ":0\r\n", ":0\r\n"),
    (&["TYPE", "K"], "+none\r\n", "+none\r\n"),
    (&["GETRANGE", "K", "0", "-1"], "$0\r\n\r\n", "$0\r\n\r\n"),
    (&["LRANGE", "K", "0", "-1"], "*0\r\n", "*0\r\n"),
    (&["SMEMBERS", "K"], "*0\r\n", "~0\r\n"),
    (&["HGETALL", "K"], "*0\r\n", "%0\r\n"),
    (
        &["HMGET", "K", "a", "b"],
        "*2\r\n$-1\r\n$-1\r\n",
        "*2\r\n_\r\n_\r\n",
    ),
    (
        &["SMISMEMBER", "K", "a", "b"],
        "*2\r\n:0\r\n:0\r\n",
        "*2\r\n:0\r\n:0\r\n",
    ),
    (&["MGET", "K"], "*1\r\n$-1\r\n", "*1\r\n_\r\n"),
    (
        &["MGET", "K", "K", "K"],
        "*3\r\n$-1\r\n$-1\r\n$-1\r\n",
        "*3\r\n_\r\n_\r\n_\r\n",
    ),
    (&["EXISTS", "K", "K"], ":0\r\n", ":0\r\n"),
    (&["DUMP", "K"], "$-1\r\n", "_\r\n"),
    (&["HGET", "K", "f"], "$-1\r\n", "_\r\n"),
    (&["ZRANK", "K", "m"], "$-1\r\n", "_\r\n"),
    (&["ZREVRANK", "K", "m"], "$-1\r\n", "_\r\n"),
    (&["LPOS", "K", "v"], "$-1\r\n", "_\r\n"),
    (&["SRANDMEMBER", "K"], "$-1\r\n", "_\r\n"),
    (&["HRANDFIELD", "K"], "$-1\r\n", "_\r\n"),
    (&["ZRANDMEMBER", "K"], "$-1\r\n", "_\r\n"),
    (&["SRANDMEMBER", "K", "2"], "*0\r\n", "*0\r\n"),
    (&["HRANDFIELD", "K", "2"], "*0\r\n", "*0\r\n"),
    (&["ZRANDMEMBER", "K", "2"], "*0\r\n", "*0\r\n"),
    (&["HKEYS", "K"], "*0\r\n", "*0\r\n"),
    (&["HVALS", "K"], "*0\r\n", "*0\r\n"),
    (&["ZRANGE", "K", "0", "1"], "*0\r\n", "*0\r\n"),
    (&["ZREVRANGE", "K", "0", "1"], "*0\r\n", "*0\r\n"),
    (&["ZRANGEBYSCORE", "K", "0", "1"], "*0\r\n", "*0\r\n"),
    (&["ZREVRANGEBYSCORE", "K", "1", "0"], "*0\r\n", "*0\r\n"),
    (&["ZRANGEBYLEX", "K", "[a", "[b"], "*0\r\n", "*0\r\n"),
    (&["ZREVRANGEBYLEX", "K", "[b", "[a"], "*0\r\n", "*0\r\n"),
    (&["XRANGE", "K", "-", "+"], "*0\r\n", "*0\r\n"),
    (&["XREVRANGE", "K", "+", "-"], "*0\r\n", "*0\r\n"),
    (&["GETBIT", "K", "0"], ":0\r\n", ":0\r\n"),
    (&["BITCOUNT", "K"], ":0\r\n", ":0\r\n"),
    (&["TOUCH", "K"], ":0\r\n", ":0\r\n"),
    (&["HLEN", "K"], ":0\r\n", ":0\r\n"),
    (&["HEXISTS", "K", "f"], ":0\r\n", ":0\r\n"),
    (&["HSTRLEN", "K", "f"], ":0\r\n", ":0\r\n"),
    (&["LLEN", "K"], ":0\r\n", ":0\r\n"),
    (&["SISMEMBER", "K", "m"], ":0\r\n", ":0\r\n"),
    (&["ZCARD", "K"], ":0\r\n", ":0\r\n"),
    (&["ZCOUNT", "K", "0", "1"], ":0\r\n", ":0\r\n"),
    (&["ZLEXCOUNT", "K", "-", "+"], ":0\r\n", ":0\r\n"),
    (&["XLEN", "K"], ":0\r\n", ":0\r\n"),
    (&["PFCOUNT", "K"], ":0\r\n", ":0\r\n"),
    (&["PTTL", "K"], ":-2\r\n", ":-2\r\n"),
    (&["EXPIRETIME", "K"], ":-2\r\n", ":-2\r\n"),
    (&["PEXPIRETIME", "K"], ":-2\r\n", ":-2\r\n"),
    (&["SUBSTR", "K", "0", "1"], "$0\r\n\r\n", "$0\r\n\r\n"),
    (&["ZMSCORE", "K", "a"], "*1\r\n$-1\r\n", "*1\r\n_\r\n"),
];

/// Requests that change something, or whose reply cannot be made up, get the error.
const OTHERS: &[&[&str]] = &[
    &["SET", "K", "v"],
    &["MSET", "K", "v", "K", "w"],
    &["DEL", "K"],
    &["DEL", "K", "K"],
    &["UNLINK", "K"],
    &["INCR", "K"],
    &["GETSET", "K", "v"],
    &["GETDEL", "K"],
    &["EXPIRE", "K", "10"],
    &["LPUSH", "K", "v"],
    &["SPOP", "K"],
    &["EVAL", "return 1", "1", "K"],
    &["OBJECT", "ENCODING", "K"],
    &["SORT", "K"],
    &["ZRANK", "K", "m", "WITHSCORE"],
    &["LPOS", "K", "v", "COUNT", "2"],
];

fn of<'a>(args: &'a [&'a str], key: &'a str) -> Vec<&'a str> {
    let put = |arg: &&'a str| if *arg == "K" { key } else { *arg };
    args.iter().map(put).collect()
}

#[test]
fn reads_are_missed_and_everything_else_is_an_error() {
    let mut stage = Stage::new(with(redis_pool(3)));
    stage.eject(1);
    let (client, key) = (stage.client(), stage.key(1));
    for (args, answer, _) in READS {
        assert_eq!(
            stage.ask(client, redis(&of(args, &key))),
            *answer,
            "{args:?}"
        );
    }
    for args in OTHERS {
        let answer = stage.ask(client, redis(&of(args, &key)));
        assert_eq!(answer, ejected(1), "{args:?}");
    }
    assert!(!stage.is_closed(client));
}

#[test]
fn a_client_of_resp3_gets_its_own_nulls() {
    let mut stage = Stage::new(with(redis_pool(3)));
    stage.eject(1);
    let (client, key) = (stage.client(), stage.key(1));
    stage.say(client, redis(&["HELLO", "3"]));
    for server in [0, 2] {
        let link = stage.link(server);
        stage.answer(link, HELLO_3);
    }
    assert!(stage.hear(client).starts_with('%'));
    for (args, _, answer) in READS {
        assert_eq!(
            stage.ask(client, redis(&of(args, &key))),
            *answer,
            "{args:?}"
        );
    }
}

#[test]
fn an_mget_has_nulls_where_the_ejected_servers_keys_stand() {
    let mut stage = Stage::new(with(redis_pool(3)));
    stage.eject(1);
    let client = stage.client();
    let (here, gone) = (stage.keys(0, 2), stage.keys(1, 2));
    stage.say(
        client,
        redis(&["MGET", &gone[0], &here[0], &gone[1], &here[1]]),
    );
    let link = stage.link(0);
    assert_eq!(stage.heard(link), redis(&["mget", &here[0], &here[1]]));
    stage.answer(link, format!("*2\r\n{}$-1\r\n", bulk("v")));
    let heard = stage.hear(client);
    assert_eq!(heard, format!("*4\r\n$-1\r\n{}$-1\r\n$-1\r\n", bulk("v")));

    stage.say(client, redis(&["EXISTS", &gone[0], &here[0], &here[1]]));
    stage.answer(link, ":2\r\n");
    assert_eq!(stage.hear(client), ":2\r\n");
}

#[test]
fn a_server_that_fails_is_no_miss() {
    let mut stage = Stage::new(with(redis_pool(3)));
    stage.eject(1);
    let client = stage.client();
    stage.say(client, redis(&["MGET", &stage.key(1), &stage.key(0)]));
    let link = stage.link(0);
    stage.hang_up(link, Cause::Reset);
    assert_eq!(stage.hear(client), "-ERR Connection reset by peer\r\n");
    assert_eq!(stage.ask(client, get(&stage.key(0))), "$-1\r\n");
}

#[test]
fn an_error_for_a_write_leaves_the_other_servers_part_done() {
    let mut stage = Stage::new(with(redis_pool(3)));
    stage.eject(1);
    let client = stage.client();
    stage.say(client, redis(&["DEL", &stage.key(1), &stage.key(0)]));
    let link = stage.link(0);
    stage.answer(link, ":1\r\n");
    assert_eq!(stage.hear(client), ejected(1));
    stage.say(client, set(&stage.key(0), "v"));
    stage.answer(link, "+OK\r\n");
    assert_eq!(stage.hear(client), "+OK\r\n");
}

#[test]
fn memcached_reads_are_missed() {
    let mut stage = Stage::new(with(memcached_pool(3)));
    stage.eject(1);
    let (client, key) = (stage.client(), stage.key(1));
    for line in ["get K", "gets K", "gat 10 K", "get K K", "gets K K K"] {
        let line = line.replace('K', &key);
        assert_eq!(
            stage.ask(client, format!("{line}\r\n")),
            "END\r\n",
            "{line}"
        );
    }
    for line in ["incr K 1", "delete K", "touch K 10", "set K 0 0 1\r\nv"] {
        let line = line.replace('K', &key);
        let answer = stage.ask(client, format!("{line}\r\n"));
        assert!(
            answer.starts_with("SERVER_ERROR Connection refused: server 's1'"),
            "{line}: {answer}"
        );
    }
}

#[test]
fn a_multi_get_has_what_the_others_have() {
    let mut stage = Stage::new(with(memcached_pool(3)));
    stage.eject(1);
    stage.eject(2);
    let client = stage.client();
    let (here, gone, lost) = (stage.key(0), stage.key(1), stage.key(2));
    stage.say(client, format!("get {gone} {here} {lost}\r\n"));
    let link = stage.link(0);
    assert_eq!(stage.heard(link), format!("get {here} \r\n"));
    stage.answer(link, format!("{}END\r\n", value(&here, "v")));
    assert_eq!(stage.hear(client), format!("{}END\r\n", value(&here, "v")));
    assert_eq!(
        stage.ask(client, format!("get {gone} {lost}\r\n")),
        "END\r\n",
        "two ejected servers"
    );
    stage.say(client, format!("get {gone} {here}\r\n"));
    stage.hang_up(link, Cause::Reset);
    assert_eq!(
        stage.hear(client),
        "SERVER_ERROR Connection reset by peer\r\n",
        "nobody has answered"
    );
}
