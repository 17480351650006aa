//! `servers` as a mapping: where they are found.

use std::sync::Arc;

use proxy::settings::Address;

use super::super::{SentinelSource, ServerSource};
use super::{lines, load_text};

/// A Redis pool whose servers are found, which is told in line 4.
fn with(servers: &str) -> String {
    format!("a:\n  listen: 127.0.0.1:1\n  redis: true\n  servers: {servers}\n  redis_auth: 'x'\n")
}

#[test]
fn masters_are_servers_by_their_names() {
    let text =
        with("{sentinel: ['s:1', '::1:2'], shards: [b:7, aa], user: u, password: 'se cret'}");
    let config = load_text(&text).expect(&text);
    let pool = &config.pools[0];
    let discovery = pool.discovery.as_ref().expect("they are found");
    let expected = SentinelSource {
        seeds: vec![Address::tcp("s", 1), Address::tcp("::1", 2)],
        shards: vec![("b".into(), 7), ("aa".into(), 1)],
        user: Some("u".into()),
        password: Some("se cret".into()),
    };
    assert_eq!(discovery.source, ServerSource::Sentinel(Arc::new(expected)));
    let servers = &pool.settings.servers;
    let names: Vec<(&str, u32)> = servers.iter().map(|it| (&*it.name, it.weight)).collect();
    assert_eq!(names, [("b", 7), ("aa", 1)], "in the order of the ring");
    assert!(servers.iter().all(|it| it.address == Address::Unknown));
    let shown = "sentinels s:1 [::1]:2, shards b:7 aa, user u";
    assert_eq!(discovery.source.to_string(), shown);
    assert_eq!(config.effective["pools"]["a"]["servers"], shown);
    assert_eq!(pool.written["servers"].shown(), "(hidden)");
    assert!(!format!("{config:?}").contains("\"se cret\""), "{config:?}");
    let other = load_text(&text.replace("se cret", "other")).expect("another password");
    assert_ne!(other.pools[0].written, pool.written, "a reload tells of it");
}

#[test]
fn until_they_are_found_there_is_a_server_that_is_nowhere() {
    for (servers, expected, shown) in [
        (
            "{srv: _redis._tcp.x.org.}",
            ServerSource::Srv("_redis._tcp.x.org.".into()),
            "srv _redis._tcp.x.org.",
        ),
        (
            "{dns: x.org, port: 6379}",
            ServerSource::Dns("x.org".into(), 6379),
            "dns x.org, port 6379",
        ),
    ] {
        let config = load_text(&with(servers)).expect(servers);
        let pool = &config.pools[0];
        let discovery = pool.discovery.as_ref().expect("they are found");
        assert_eq!(discovery.source, expected);
        assert_eq!(discovery.source.to_string(), shown);
        assert_eq!(pool.settings.servers.len(), 1);
        assert_eq!(pool.settings.servers[0].address, Address::Unknown);
    }
}

fn assert_refused(servers: &str, expected: &str) {
    let report = load_text(&with(servers)).expect_err(servers);
    let expected = [format!("n.yml:{expected}")];
    assert_eq!(lines(&report), expected, "{servers}");
}

#[test]
fn mistakes_are_told_where_they_are() {
    for (servers, expected) in [
        ("{}", "4:12: `file` of a mapping of servers is missing"),
        (
            "{file: x, fil: x}",
            "4:22: `fil` is unknown in a mapping of servers",
        ),
        (
            "{file: []}",
            "4:19: `file` of a mapping of servers must be one word",
        ),
        (
            "{file: x, shards: [a]}",
            "4:30: `shards` is only valid with `sentinel`",
        ),
        (
            "{sentinel: [h:1], shards: [a], file: x}",
            "4:23: `file` and `sentinel` are two places to find servers",
        ),
    ] {
        assert_refused(servers, expected);
    }
}

#[test]
fn mistakes_of_sentinels_are_told() {
    for (servers, expected) in [
        (
            "{sentinel: [h:1]}",
            "4:12: `shards` of a mapping of servers is missing",
        ),
        (
            "{sentinel: h:1, shards: [a]}",
            "4:23: `sentinel` must be a list of 1 to 32 words",
        ),
        (
            "{sentinel: [h:1], shards: []}",
            "4:38: `shards` must be a list of 1 to 256 words",
        ),
        (
            "{sentinel: [h], shards: [a]}",
            "4:24: Sentinel `h` has an invalid \"hostname:port\" format",
        ),
        (
            "{sentinel: [h:1], shards: [a, a:2]}",
            "4:42: shard `a` is listed twice",
        ),
        (
            "{sentinel: [h:1], shards: ['a b']}",
            "4:39: shard `a b` is not valid",
        ),
        (
            "{sentinel: [h:1], shards: [a:0]}",
            "4:39: shard `a:0` is not valid",
        ),
        (
            "{sentinel: [h:1], shards: [a], user: u}",
            "4:12: `password` of a mapping of servers is missing",
        ),
        (
            "{srv: x.org, dns: x.org, port: 1}",
            "4:30: `srv` and `dns` are two places to find servers",
        ),
        (
            "{srv: x.org, port: 1}",
            "4:31: `port` is only valid with `dns`",
        ),
        (
            "{dns: x.org}",
            "4:12: `port` of a mapping of servers is missing",
        ),
        (
            "{dns: x.org, port: 0}",
            "4:31: `port` of a mapping of servers cannot be `0`",
        ),
        (
            "{srv: a..b}",
            "4:18: `srv` of a mapping of servers cannot be `a..b`",
        ),
        (
            "{dns: 'a b', port: 1}",
            "4:18: `dns` of a mapping of servers cannot be `a b`",
        ),
    ] {
        assert_refused(servers, expected);
    }
    let memcached = with("{sentinel: [h:1], shards: [a]}").replace("redis: true", "redis: false");
    let report = load_text(&memcached).expect_err("no Redis");
    let expected = "n.yml:4:12: Sentinels watch Redis servers only";
    assert!(lines(&report).contains(&expected.to_owned()), "{report}");
}
