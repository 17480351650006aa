//! Commands with several keys: split and joined, sent to the first key's server, or refused.

use crate::need;
use crate::rig::{Rig, wait_for};

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
    wait_for("the warning is logged", || {
        rig.proxy.stderr().contains("cross_shard")
    });
    let warnings = rig.proxy.stderr().matches("cross_shard").count();
    assert_eq!(warnings, 1, "{}", rig.proxy.stderr());
}

#[test]
fn cross_shard_error_refuses_them() {
    let lines = ["cross_shard: error", "hash_tag: \"{}\""];
    let rig = need!(Rig::redis(3, &lines), "redis-server");
    let keys = rig.keys();
    let (a, b) = (keys[0].as_str(), keys[1].as_str());
    let mut client = rig.client();
    let refused = "-CROSSSLOT Keys in request don't hash to the same server\r\n";
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
