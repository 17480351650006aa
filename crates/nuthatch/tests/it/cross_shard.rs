//! Commands with several keys: split and joined, sent to the first key's server, or refused.

use testkit::Client;

use crate::need;
use crate::rig::{Rig, wait_for};

const REFUSED: &str = "-CROSSSLOT Keys in request don't hash to the same server: give them a common part, as {a}:1 and {a}:2 have, and set hash_tag: \"{}\" in the pool (keys with braces move then)\r\n";

#[test]
fn commands_over_independent_keys_are_split_and_joined() {
    let rig = need!(Rig::redis(3, &[]), "redis-server");
    let keys = rig.keys();
    let (a, b, c) = (keys[0].as_str(), keys[1].as_str(), keys[2].as_str());
    let mut client = rig.client();
    assert_eq!(client.ask(&["MSET", a, "1", b, "2", c, "3"]), "+OK\r\n");
    let values = "*5\r\n$1\r\n3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n$1\r\n3\r\n";
    assert_eq!(client.ask(&["MGET", c, a, "none", b, c]), values);
    assert_eq!(client.ask(&["TOUCH", a, b, c, "none"]), ":3\r\n");
    assert_eq!(client.ask(&["EXISTS", a, b, c, a, "none"]), ":4\r\n");
    assert_eq!(client.ask(&["DEL", a, "none"]), ":1\r\n");
    assert_eq!(client.ask(&["UNLINK", a, b, c]), ":2\r\n");
    let fragments = rig.pool_stat("fragments");
    assert!((15..=18).contains(&fragments), "{fragments}");
    assert_eq!(rig.pool_stat("cross_shard"), 0);
}

#[test]
fn other_commands_of_nutcracker_go_to_the_first_keys_server_with_a_warning() {
    let rig = need!(Rig::redis(3, &[]), "redis-server");
    let keys = rig.keys();
    let (a, b) = (keys[0].as_str(), keys[1].as_str());
    let mut client = rig.client();
    assert_eq!(client.ask(&["DEL", a, b]), ":2\r\n");
    assert_eq!(client.ask(&["SADD", a, "m"]), ":1\r\n");
    assert_eq!(client.ask(&["SADD", b, "n"]), ":1\r\n");
    // The second key is on another server, so the first one's server does not have it.
    assert_eq!(client.ask(&["SUNION", a, b]), "*1\r\n$1\r\nm\r\n");
    assert_eq!(client.ask(&["SINTERSTORE", a, a, b]), ":0\r\n");
    assert_eq!(rig.pool_stat("cross_shard"), 2);
    let warning = "went to the first key's server; see cross_shard";
    wait_for("the warning is logged", || {
        rig.proxy.stderr().contains(warning)
    });
    let warnings = rig.proxy.stderr().matches(warning).count();
    assert_eq!(warnings, 1, "{}", rig.proxy.stderr());
}

/// A script that writes to each of its three keys, which are on three servers.
fn script(client: &mut Client, keys: &[String]) -> String {
    let text = "for _, key in ipairs(KEYS) do redis.call('APPEND', key, '!') end return #KEYS";
    client.ask(&["EVAL", text, "3", &keys[0], &keys[1], &keys[2]])
}

#[test]
fn a_script_over_several_servers_is_refused_to_clients_of_today_and_does_nothing() {
    let rig = need!(Rig::redis(3, &[]), "redis-server");
    let keys = rig.keys();
    let hellos: [&[&str]; 4] = [
        &["CLIENT", "SETINFO", "LIB-NAME", "library"],
        &["HELLO", "3"],
        &["SELECT", "0"],
        &["INFO"],
    ];
    for (count, hello) in hellos.iter().enumerate() {
        let mut client = rig.client();
        client.ask(hello);
        assert_eq!(script(&mut client, &keys), REFUSED, "{hello:?}");
        // Its other commands are served.
        let values = "*3\r\n$1\r\nv\r\n$1\r\nv\r\n$1\r\nv\r\n";
        assert_eq!(client.ask(&["MGET", &keys[0], &keys[1], &keys[2]]), values);
        let one = client.ask(&["EVAL", "return #KEYS", "2", &keys[1], &keys[1]]);
        assert_eq!(one, ":2\r\n");
        assert_eq!(rig.pool_stat("cross_shard_refused"), count as i64 + 1);
        assert_eq!(rig.pool_stat("cross_shard"), 0);
    }
}

#[test]
fn a_client_as_twemproxy_served_it_keeps_the_first_keys_server() {
    let rig = need!(Rig::redis(3, &[]), "redis-server");
    let keys = rig.keys();
    let (mut client, mut other) = (rig.client(), rig.client());
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    assert_eq!(script(&mut client, &keys), ":3\r\n");
    assert_eq!(client.ask(&["GET", &keys[0]]), "$2\r\nv!\r\n");
    // What it said to the others of its keys is where nobody looks.
    assert_eq!(client.ask(&["GET", &keys[1]]), "$1\r\nv\r\n");
    client.ask(&["CLIENT", "SETNAME", "late"]);
    assert_eq!(script(&mut client, &keys), ":3\r\n");

    other.ask(&["CLIENT", "SETNAME", "early"]);
    let mut rules = || {
        let list = other.ask(&["CLIENT", "LIST"]);
        ["late", "early"].map(|name| {
            let is_it = |line: &&str| line.contains(&format!(" name={name} "));
            let line = list.lines().find(is_it).expect("it is listed");
            line.rsplit(' ').next().expect("a field").to_owned()
        })
    };
    assert_eq!(rules(), ["cross-shard=first_key", "cross-shard=undecided"]);
    assert_eq!(client.ask(&["RESET"]), "+RESET\r\n");
    client.ask(&["CLIENT", "SETNAME", "late"]);
    assert_eq!(rules()[0], "cross-shard=undecided");
    assert_eq!(script(&mut client, &keys), REFUSED);
    assert_eq!(rules()[0], "cross-shard=error");
    assert_eq!(rig.pool_stat("cross_shard"), 2);
    assert_eq!(rig.pool_stat("cross_shard_refused"), 1);
}

#[test]
fn first_key_is_kept_for_all_on_request() {
    let rig = need!(Rig::redis(3, &["cross_shard: first_key"]), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    client.ask(&["HELLO", "3"]);
    assert_eq!(script(&mut client, &keys), ":3\r\n");
    assert_eq!(rig.pool_stat("cross_shard"), 1);
}

#[test]
fn a_line_at_start_says_which_setting_keeps_the_first_key_for_all() {
    let line = "; `cross_shard: first_key` keeps ";
    let lines = |rig: Rig| rig.proxy.stderr().matches(line).count();
    let open = need!(Rig::redis(2, &[]), "redis-server");
    wait_for("it is logged", || open.proxy.stderr().contains(line));
    assert_eq!(lines(open), 1);
    for given in ["auto", "first_key", "error"] {
        let setting = format!("cross_shard: {given}");
        let rig = need!(Rig::redis(2, &[&setting]), "redis-server");
        assert_eq!(lines(rig), 0, "{given}");
    }
    let single = need!(Rig::redis(1, &[]), "redis-server");
    assert_eq!(lines(single), 0, "there is nothing to choose");
    let memcached = need!(Rig::memcached(2, &[]), "memcached");
    assert_eq!(lines(memcached), 0);
}

/// Stores a list of two elements, and weights by which they are sorted the other way round. Returns the list's key.
fn list(client: &mut Client, tag: &str) -> String {
    let key = format!("list{tag}");
    assert_eq!(client.ask(&["RPUSH", &key, "a", "b"]), ":2\r\n");
    for (element, weight) in [("a", "2"), ("b", "1")] {
        let weight_of = format!("w{tag}:{element}");
        assert_eq!(client.ask(&["SET", &weight_of, weight]), "+OK\r\n");
    }
    key
}

#[test]
fn sort_by_patterns_is_served_where_they_name_keys_of_the_same_server() {
    let lines = ["cross_shard: error", "hash_tag: \"{}\""];
    let rig = need!(Rig::redis(3, &lines), "redis-server");
    let mut client = rig.client();
    let sorted = "*2\r\n$1\r\nb\r\n$1\r\na\r\n";
    let tagged = list(&mut client, "{t}");
    for sort in ["SORT", "SORT_RO"] {
        assert_eq!(client.ask(&[sort, &tagged, "BY", "w{t}:*"]), sorted);
        let values = client.ask(&[sort, &tagged, "BY", "w{t}:*", "GET", "w{t}:*"]);
        assert_eq!(values, "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    }
    let untagged = list(&mut client, "");
    for sort in ["SORT", "SORT_RO"] {
        for pattern in ["BY", "GET"] {
            let reply = client.ask(&[sort, &untagged, pattern, "w:*"]);
            assert!(reply.starts_with("-CROSSSLOT BY and GET may "), "{reply}");
        }
        let reply = client.ask(&[sort, &untagged, "BY", "nosort", "GET", "#"]);
        assert_eq!(reply, "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    }
    assert_eq!(rig.pool_stat("cross_shard_refused"), 4);

    // As twemproxy does it, and in a pool of one server, where nothing is elsewhere.
    let rig = need!(Rig::redis(3, &[]), "redis-server");
    let mut client = rig.client();
    let key = list(&mut client, "");
    let reply = client.ask(&["SORT", &key, "BY", "w:*", "ALPHA"]);
    assert!(reply.starts_with("*2\r\n"), "{reply}");
    assert_eq!(rig.pool_stat("cross_shard"), 1);
    let rig = need!(Rig::redis(1, &["cross_shard: error"]), "redis-server");
    let mut client = rig.client();
    let key = list(&mut client, "");
    assert_eq!(client.ask(&["SORT", &key, "BY", "w:*"]), sorted);
    assert_eq!(rig.pool_stat("cross_shard_refused"), 0);
}

#[test]
fn cross_shard_error_refuses_them() {
    let lines = ["cross_shard: error", "hash_tag: \"{}\""];
    let rig = need!(Rig::redis(3, &lines), "redis-server");
    let keys = rig.keys();
    let (a, b) = (keys[0].as_str(), keys[1].as_str());
    let mut client = rig.client();
    // The pool has a hash tag already.
    let refused = "-CROSSSLOT Keys in request don't hash to the same server: give them a common part, as {a}:1 and {a}:2 have\r\n";
    assert_eq!(client.ask(&["SUNION", a, b]), refused);
    assert_eq!(client.ask(&["RPOPLPUSH", a, b]), refused);
    assert_eq!(client.ask(&["MGET", a, b]), "*2\r\n$1\r\nv\r\n$1\r\nv\r\n");
    assert_eq!(client.ask(&["SADD", "{t}1", "m"]), ":1\r\n");
    assert_eq!(client.ask(&["SADD", "{t}2", "n"]), ":1\r\n");
    assert_eq!(
        client.ask(&["SUNIONSTORE", "{t}3", "{t}1", "{t}2"]),
        ":2\r\n"
    );
}

#[test]
fn commands_that_nutcracker_lacks_are_refused_when_their_keys_part() {
    let rig = need!(Rig::redis(3, &["hash_tag: \"{}\""]), "redis-server");
    let keys = rig.keys();
    let (a, b) = (keys[0].as_str(), keys[1].as_str());
    let mut client = rig.client();
    for request in [
        ["RENAME", a, b].as_slice(),
        &["MSETNX", a, "1", b, "2"],
        &["BITOP", "AND", a, a, b],
        &["SINTERCARD", "2", a, b],
    ] {
        let reply = client.ask(request);
        assert!(reply.starts_with("-CROSSSLOT "), "{request:?}: {reply}");
    }
    assert_eq!(client.ask(&["MSETNX", "{t}1", "1", "{t}2", "2"]), ":1\r\n");
    assert_eq!(client.ask(&["RENAME", "{t}1", "{t}3"]), "+OK\r\n");
    assert_eq!(client.ask(&["GET", "{t}3"]), "$1\r\n1\r\n");
    assert_eq!(rig.pool_stat("cross_shard"), 0);
}

#[test]
fn what_destroys_data_everywhere_needs_a_setting() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    for flush in ["FLUSHALL", "FLUSHDB"] {
        let reply = client.ask(&[flush]);
        assert!(
            reply.starts_with("-ERR ") && reply.contains("allow_flush"),
            "{reply}"
        );
    }
    assert_eq!(client.ask(&["GET", &keys[0]]), "$1\r\nv\r\n");

    for flush in ["FLUSHALL", "FLUSHDB"] {
        let rig = need!(Rig::redis(2, &["allow_flush: true"]), "redis-server");
        let keys = rig.keys();
        let mut client = rig.client();
        assert_eq!(client.ask(&[flush]), "+OK\r\n");
        assert_eq!(
            client.ask(&["MGET", &keys[0], &keys[1]]),
            "*2\r\n$-1\r\n$-1\r\n"
        );
    }
}
