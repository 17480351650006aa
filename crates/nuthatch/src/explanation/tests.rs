//! What is told of keys, in pools that are served and in such that are not.

use std::sync::Arc;
use std::time::Duration;

use proxy::settings::{
    Address, EjectPolicy, FailoverSettings, MemcachedSettings, PoolSettings, ProtocolSettings,
    ReadFrom, ReadSettings, ReplicaSettings, ServerSettings,
};
use proxy::{FailoverPool, Memory, PoolShare};

use serde_json::Value;

use super::*;
use crate::clock::Clock;

fn settings(name: &str, servers: &[&str], change: impl Fn(&mut PoolSettings)) -> PoolSettings {
    let server = |server: &&str| ServerSettings {
        name: (*server).to_owned(),
        pname: format!("{server}:1:1"),
        address: Address::tcp(server, 1),
        weight: 1,
        db: 0,
        replication: Default::default(),
    };
    let servers = servers.iter().map(server).collect();
    let protocol = ProtocolSettings::Memcached(MemcachedSettings::default());
    let mut settings = PoolSettings::new(name, servers, protocol);
    settings.auto_eject_hosts = true;
    settings.placement.tag = Some(hashkit::HashTag {
        open: b'{',
        close: b'}',
    });
    change(&mut settings);
    settings
}

fn share(settings: PoolSettings, failover: Option<FailoverPool>) -> Arc<PoolShare> {
    PoolShare::new(settings, failover, &Arc::new(Memory::new(0)), 1)
}

#[test]
fn a_key_of_a_cluster_has_a_slot_and_a_server_if_that_is_known() {
    let mut map = proxy::SlotMap::default();
    map.set(12_182, 1);
    let cluster = |it: &mut PoolSettings| it.slots = Some(Arc::new(map.clone()));
    let pool = share(settings("p", &["one", "two"], cluster), None);
    let told = Explanation::of_idle(&pool, b"foo");
    let text = told.text();
    assert!(
        text.contains("slot    12182, by the map of the cluster\n"),
        "{text}"
    );
    assert!(text.contains("now     two"), "{text}");
    let json = told.json();
    assert_eq!(
        (&json["slot"], &json["server"]),
        (&12_182.into(), &"two".into())
    );
    let told = Explanation::of_idle(&pool, b"bar");
    let text = told.text();
    assert!(
        text.contains("slot    5061; the nodes of the cluster know"),
        "{text}"
    );
    assert!(text.contains("now     any node"), "{text}");
    assert_eq!(told.json()["server"], Value::Null);
}

#[test]
fn replicas_that_may_be_read_are_told() {
    let with_replicas = |it: &mut PoolSettings| {
        let at = |host: &str| ReplicaSettings::at(Address::tcp(host, 1), None);
        it.servers[0].replication.replicas = vec![at("r1"), at("r2")];
        it.reads = Some(Arc::new(ReadSettings {
            from: ReadFrom::PreferReplica,
            own_writes: Duration::ZERO,
            zone: None,
        }));
    };
    let told = Explanation::of_idle(&share(settings("p", &["one"], with_replicas), None), b"k");
    let text = told.text();
    let expected = "reads   may go to its replicas r1:1, r2:1 (`read_from: prefer_replica`)\n";
    assert!(text.contains(expected), "{text}");
    assert_eq!(told.json()["reads"]["replicas"][1], "r2:1");
    let told = Explanation::of_idle(&share(settings("p", &["one"], |_| {}), None), b"k");
    assert!(!told.text().contains("reads") && told.json().get("reads").is_none());
}

#[test]
fn everything_that_decides_is_told() {
    let modula = |it: &mut PoolSettings| {
        it.placement.distribution = hashkit::Distribution::Modula;
        it.placement.hash = hashkit::HashKind::Crc32a;
        it.servers[0].weight = 2;
    };
    let pool = share(settings("p", &["one", "two"], modula), None);
    // The hash is 0xcbf43926, which modulo 3 is 2: the slot of `two`.
    let explanation = Explanation::of_idle(&pool, b"a{123456789}b");
    let text = "pool p, key a{123456789}b\n  \
                hashed  123456789 (hash_tag: {})\n  \
                hash    0xcbf43926 (crc32a)\n  \
                ring    slot 2, index 2 of 3 (modula)\n  \
                server  two (two:1), weight 1\n  \
                now     two (two:1)\n  \
                if that server were ejected: one (one:1)\n";
    assert_eq!(explanation.text(), text);
    let json = explanation.json();
    let expected = serde_json::json!({
        "pool": "p", "key": "a{123456789}b", "distribution": "modula", "server": "two", "address": "two:1",
        "index": 1, "function": "crc32a", "hash": "0xcbf43926", "slot": 2, "hash_tag": "{}",
        "hashed": "123456789", "position": 2, "positions": 3,
        "now": { "to": "server", "pool": "p", "server": "two", "address": "two:1", "index": 1 },
        "if_ejected": { "to": "server", "pool": "p", "server": "one", "address": "one:1", "index": 0 },
    });
    assert_eq!(json, expected);
}

/// The lines after the place, without times.
fn tail(pool: &Arc<PoolShare>, clock: Clock) -> Vec<String> {
    let text = Explanation::of_served(pool, b"key", clock, &Arc::default()).text();
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("  server"));
    lines.map(str::to_owned).collect()
}

const IDLE: &str = "0 connections, 0 requests in flight, 0 queued";

#[test]
fn states_and_policies_are_told() {
    let clock = Clock::start();
    let failures = |count| format!("{count} failures in a row of 2 that eject, {IDLE}");
    for (eject, nowhere) in [
        (
            EjectPolicy::Remap,
            "nowhere, as no server is in use: an error",
        ),
        (
            EjectPolicy::Error,
            "nowhere, as keys stay with their servers: an error",
        ),
        (
            EjectPolicy::Miss,
            "nowhere: reads are answered as if it did not exist, writes by an error",
        ),
    ] {
        let pool = share(settings("p", &["one"], |it| it.failure.eject = eject), None);
        let server = pool.plan().servers[0].clone();
        let lines = [
            "  server  one (one:1), weight 1".to_owned(),
            format!("  state   live, {}", failures(0)),
            "  now     one (one:1)".to_owned(),
            format!("  if that server were ejected: {nowhere}"),
        ];
        assert_eq!(tail(&pool, clock), lines);
        pool.eject(&server, clock.now());
        let lines = tail(&pool, clock);
        assert!(
            lines[1].starts_with("  state   ejected (probed in "),
            "{lines:?}"
        );
        assert_eq!(&lines[2..], [format!("  now     {nowhere}")]);
        pool.hold(&server);
        let state = &tail(&pool, clock)[1];
        assert!(
            state.starts_with("  state   drained and ejected (probed in"),
            "{state}"
        );
        let json = Explanation::of_served(&pool, b"key", clock, &Arc::default()).json();
        assert_eq!(json["state"]["state"], "drained");
        let until = json["state"]["ejected_until"].as_f64().expect("a time");
        let epoch = clock.to_epoch_micros(clock.now()) as f64 / 1e6;
        assert!(
            until > epoch + 20.0 && until < epoch + 31.0,
            "{until} {epoch}"
        );
        let to = if eject == EjectPolicy::Miss {
            "miss"
        } else {
            "error"
        };
        assert_eq!(
            (&json["now"]["to"], &json["if_ejected"]),
            (&to.into(), &Value::Null)
        );
    }
}

#[test]
fn the_failover_pool_is_named() {
    let clock = Clock::start();
    let other = share(settings("spare", &["three"], |_| {}), None);
    let failover = FailoverPool {
        pool: Arc::clone(&other),
        seconds: 60,
    };
    let with_failover = |it: &mut PoolSettings| {
        it.failure.failover = Some(FailoverSettings {
            pool: "spare".into(),
            seconds: 60,
        });
    };
    let pool = share(settings("p", &["one"], with_failover), Some(failover));
    let spare = "three (three:1) of the failover pool spare, where it is kept for 60 s at most";
    assert_eq!(
        tail(&pool, clock)[3],
        format!("  if that server were ejected: {spare}")
    );
    pool.hold(&pool.plan().servers[0]);
    let lines = tail(&pool, clock);
    assert_eq!(lines[2], format!("  now     {spare}"));
    assert!(
        lines[3].starts_with("          live, 0 failures"),
        "{lines:?}"
    );
    assert!(lines[4].ends_with("ejected: nowhere, as keys stay with their servers: an error"));
    let json = Explanation::of_served(&pool, b"key", clock, &Arc::default()).json();
    let now = &json["now"];
    assert_eq!(
        (&now["to"], &now["pool"]),
        (&"failover_server".into(), &"spare".into())
    );
    assert_eq!(
        (&now["ttl_cap_seconds"], &now["state"]["state"]),
        (&60.into(), &"live".into())
    );
}

#[test]
fn what_is_not_hashed_or_not_text_is_said() {
    let plain = |_: &mut PoolSettings| {};
    let random = |it: &mut PoolSettings| {
        it.placement.distribution = hashkit::Distribution::Random;
        it.auto_eject_hosts = false;
    };
    let one = share(settings("p", &["one"], plain), None);
    let text = Explanation::of_idle(&one, b"\x1b\xff").text();
    assert!(
        text.starts_with("pool p, key \\x1b\\xff\n  ring    the only server"),
        "{text}"
    );
    let two = share(settings("p", &["one", "two"], random), None);
    let text = Explanation::of_idle(&two, b"k").text();
    let expected = "pool p, key k\n  ring    any of 2 servers, drawn for each request (random)\n  \
                    now     a server that is drawn for each request\n";
    assert_eq!(text, expected);
    assert_eq!(
        Explanation::of_idle(&two, b"k").json()["now"]["to"],
        "any_server"
    );
    let two = share(
        settings("p", &["one", "two"], |it| it.auto_eject_hosts = false),
        None,
    );
    let explanation = Explanation::of_idle(&two, b"a{\xff}");
    let json = explanation.json();
    assert_eq!(json["hashed_hex"], "ff");
    assert!(
        explanation
            .text()
            .contains("if that server were drained (`auto_eject_hosts: false`")
    );
    let text = Explanation::of_idle(&two, b"a").text();
    assert!(
        text.contains("the whole key, which has no tag (hash_tag: {})"),
        "{text}"
    );
}

/// The index is that of the point in the ring's own order.
#[test]
fn the_point_is_the_one_that_owns_the_hash() {
    let pool = share(settings("p", &["one", "two", "three"], |_| {}), None);
    let ring = ring(&pool.plan().settings);
    let points: Vec<_> = ring.points().collect();
    for number in 0..500 {
        let json = Explanation::of_idle(&pool, format!("{number}").as_bytes()).json();
        let hex = |name: &str| {
            let text = json[name].as_str().expect("a number");
            u32::from_str_radix(text.trim_start_matches("0x"), 16).expect("hexadecimal")
        };
        let position = json["position"].as_u64().expect("an index") as usize;
        assert_eq!(json["positions"], points.len());
        assert_eq!(points[position].point, hex("point"));
        assert_eq!(json["index"], points[position].index);
        let hash = hex("hash");
        assert!(points[position].point >= hash || points.iter().all(|it| it.point < hash));
        assert!(position == 0 || points[position - 1].point < hash);
    }
}
