//! Reads that go to replicas.

use std::sync::Arc;
use std::time::Duration;

use proxy::Cause;
use proxy::metrics::{PoolMetric, ServerMetric};
use proxy::settings::{Address, PoolSettings, ReadFrom, ReadSettings, ReplicaSettings};

use crate::cluster;
use crate::stage::{ConnectResult, Stage, millis, redis_pool};
use crate::words::{bulk, get, redis, set};

const OK: &str = "+OK\r\n";
const READONLY: &str = "*1\r\n$8\r\nREADONLY\r\n";
const WINDOW: u64 = 200;

/// The replica with this number of a server. In a stage it comes behind all servers.
fn replica(server: usize, number: usize) -> ReplicaSettings {
    ReplicaSettings::at(
        Address::tcp(&format!("10.1.{server}.{number}"), 7_000),
        None,
    )
}

/// The pool with so many replicas of each server, from which reads come.
fn with_replicas(mut settings: PoolSettings, from: ReadFrom, count: usize) -> PoolSettings {
    for (place, server) in settings.servers.iter_mut().enumerate() {
        let replicas = (0..count).map(|number| replica(place, number));
        server.replication.replicas = replicas.collect();
    }
    settings.reads = Some(Arc::new(ReadSettings {
        from,
        own_writes: millis(WINDOW),
        zone: Some("here".into()),
    }));
    settings
}

/// A pool of one server with so many replicas.
fn one(from: ReadFrom, replicas: usize) -> PoolSettings {
    with_replicas(redis_pool(1), from, replicas)
}

/// What the only link to a server has heard; nothing if there is no link.
fn heard(stage: &mut Stage, server: usize) -> String {
    let links = stage.links(server);
    links.into_iter().map(|link| stage.heard(link)).collect()
}

#[test]
fn reads_go_to_a_replica_and_everything_else_to_the_server() {
    let mut stage = Stage::new(with_replicas(redis_pool(2), ReadFrom::PreferReplica, 1));
    let keys = [stage.key(0), stage.key(1)];
    for (server, key) in keys.iter().enumerate() {
        let client = stage.client();
        stage.say(client, get(key));
        let link = stage.link(2 + server);
        assert_eq!(stage.heard(link), get(key));
        stage.answer(link, bulk("v"));
        assert_eq!(stage.hear(client), bulk("v"));
        for request in [
            set(key, "1"),
            redis(&["INCR", key]),
            redis(&["EVAL", "return 1", "1", key]),
            redis(&["GETDEL", key]),
        ] {
            let client = stage.client();
            stage.say(client, &request);
            let link = stage.link(server);
            assert_eq!(stage.heard(link), request);
            stage.answer(link, OK);
            assert_eq!(stage.hear(client), OK);
        }
    }
    assert_eq!(stage.count(PoolMetric::ReplicaReads), 2);
    assert_eq!(stage.count_at(2, ServerMetric::Requests), 1);
}

#[test]
fn a_request_for_keys_of_several_servers_goes_to_a_replica_of_each() {
    let mut stage = Stage::new(with_replicas(redis_pool(2), ReadFrom::Replica, 2));
    let (client, keys) = (stage.client(), [stage.key(0), stage.key(1)]);
    stage.say(client, redis(&["MGET", &keys[0], &keys[1]]));
    let of = |stage: &Stage, replicas: [usize; 2]| {
        let links = replicas.map(|replica| stage.links(replica));
        links.concat()[0]
    };
    let (first, second) = (of(&stage, [2, 3]), of(&stage, [4, 5]));
    assert_eq!(stage.heard(first), redis(&["mget", &keys[0]]));
    assert_eq!(stage.heard(second), redis(&["mget", &keys[1]]));
    stage.answer(second, format!("*1\r\n{}", bulk("b")));
    stage.answer(first, format!("*1\r\n{}", bulk("a")));
    assert_eq!(
        stage.hear(client),
        format!("*2\r\n{}{}", bulk("a"), bulk("b"))
    );
    assert_eq!(stage.count(PoolMetric::ReplicaReads), 2);
}

#[test]
fn a_client_reads_at_the_server_what_it_has_written_there_for_a_while() {
    let mut stage = Stage::new(one(ReadFrom::PreferReplica, 1));
    let (client, other) = (stage.client(), stage.client());
    // The write is not answered yet.
    stage.say(client, set("a", "1") + &get("a"));
    let server = stage.link(0);
    assert_eq!(stage.heard(server), set("a", "1") + &get("a"));
    stage.wait(10 * WINDOW);
    stage.say(client, get("a"));
    assert_eq!(stage.heard(server), get("a"));
    stage.answer(server, OK.to_owned() + &bulk("1") + &bulk("1"));
    // From when it was seen answered.
    stage.wait(10);
    for _ in 0..2 {
        stage.say(client, get("a"));
        assert_eq!(stage.heard(server), get("a"));
        stage.answer(server, bulk("1"));
        stage.wait(WINDOW - 1);
    }
    stage.wait(1);
    stage.say(client, get("a"));
    let replica = stage.link(1);
    assert_eq!(
        (stage.heard(server), stage.heard(replica)),
        ("".into(), get("a"))
    );
    // Others never wait for it.
    stage.say(other, get("a"));
    assert_eq!(stage.heard(replica), get("a"));
}

#[test]
fn a_write_to_one_server_leaves_reads_of_others_at_their_replicas() {
    let mut stage = Stage::new(with_replicas(redis_pool(2), ReadFrom::PreferReplica, 1));
    let (client, keys) = (stage.client(), [stage.key(0), stage.key(1)]);
    stage.say(client, set(&keys[0], "1") + &get(&keys[1]) + &get(&keys[0]));
    let (server, replica) = (stage.link(0), stage.link(3));
    assert_eq!(stage.heard(server), set(&keys[0], "1") + &get(&keys[0]));
    assert_eq!(stage.heard(replica), get(&keys[1]));
}

#[test]
fn a_write_waits_until_its_clients_reads_at_replicas_are_answered() {
    let mut stage = Stage::new(one(ReadFrom::PreferReplica, 1));
    let client = stage.client();
    stage.say(client, get("a") + &get("b") + &set("a", "1") + &get("a"));
    let replica = stage.link(1);
    assert_eq!(stage.heard(replica), get("a") + &get("b"));
    assert_eq!(heard(&mut stage, 0), "");
    stage.answer(replica, bulk("0"));
    assert_eq!(heard(&mut stage, 0), "");
    stage.answer(replica, bulk("0"));
    let server = stage.link(0);
    assert_eq!(stage.heard(server), set("a", "1") + &get("a"));
    stage.answer(server, OK.to_owned() + &bulk("1"));
    assert_eq!(stage.hear(client), bulk("0") + &bulk("0") + OK + &bulk("1"));
}

#[test]
fn without_read_your_writes_nothing_waits_and_nothing_is_kept_at_the_server() {
    let mut settings = one(ReadFrom::PreferReplica, 1);
    settings.reads = Some(Arc::new(ReadSettings {
        from: ReadFrom::PreferReplica,
        own_writes: Duration::ZERO,
        zone: None,
    }));
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, get("a") + &set("a", "1") + &get("a"));
    let (server, replica) = (stage.link(0), stage.link(1));
    assert_eq!(stage.heard(server), set("a", "1"));
    assert_eq!(stage.heard(replica), get("a") + &get("a"));
    // The replies are in order all the same.
    stage.answer(server, OK);
    assert_eq!(stage.hear(client), "");
    stage.answer(replica, bulk("0") + &bulk("1"));
    assert_eq!(stage.hear(client), bulk("0") + OK + &bulk("1"));
}

#[test]
fn what_depends_on_watched_keys_is_read_at_the_server() {
    let mut stage = Stage::new(one(ReadFrom::Replica, 1));
    let client = stage.client();
    stage.say(client, redis(&["WATCH", "a"]));
    let leased = stage.link(0);
    stage.answer(leased, ":1\r\n");
    assert!(stage.heard(leased).ends_with(&redis(&["WATCH", "a"])));
    stage.answer(leased, "+OK\r\n*0\r\n-ERR DISCARD without MULTI\r\n");
    stage.answer(leased, OK);
    assert_eq!(stage.hear(client), OK);
    stage.say(client, get("a"));
    assert_eq!(heard(&mut stage, 0), get("a"));
    assert!(stage.links(1).is_empty());
}

#[test]
fn a_replica_that_fails_is_passed_over_until_it_answers_a_probe() {
    let mut stage = Stage::new(one(ReadFrom::PreferReplica, 1));
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(1);
    stage.hang_up(link, Cause::Reset);
    assert_eq!(stage.hear(client), "-ERR Connection reset by peer\r\n");
    assert!(!stage.is_live(1));
    stage.set_connect_result(1, ConnectResult::Refusing);
    // The server is asked instead, and nothing is lost by finding out whether the replica is back.
    for _ in 0..20 {
        stage.say(client, get("a"));
        let server = stage.link(0);
        assert_eq!(stage.heard(server), get("a"));
        stage.answer(server, bulk("v"));
        assert_eq!(stage.hear(client), bulk("v"));
        stage.wait(500);
    }
    assert!(stage.links_ever(1) < 8, "{}", stage.links_ever(1));
    stage.set_connect_result(1, ConnectResult::Open);
    stage.wait(7_000);
    stage.say(client, get("a"));
    let (server, probe) = (stage.link(0), stage.link(1));
    assert_eq!(stage.heard(probe), "*1\r\n$4\r\nPING\r\n");
    stage.answer(server, bulk("v"));
    stage.answer(probe, "+PONG\r\n");
    stage.hear(client);
    stage.say(client, get("a"));
    let replica = stage.link(1);
    assert_eq!(stage.heard(replica), get("a"));
    assert_eq!(stage.count(PoolMetric::ServerEjects), 1);
}

#[test]
fn one_that_loads_its_data_is_passed_over() {
    let mut stage = Stage::new(one(ReadFrom::PreferReplica, 1));
    let client = stage.client();
    stage.say(client, get("a"));
    let replica = stage.link(1);
    let line = "-LOADING Redis is loading the dataset in memory\r\n";
    stage.answer(replica, line);
    assert_eq!(stage.hear(client), line);
    stage.say(client, get("a"));
    let server = stage.link(0);
    assert_eq!(stage.heard(server), get("a"));
}

#[test]
fn another_replica_takes_over_and_with_none_reads_fail_if_only_replicas_are_read() {
    let mut stage = Stage::new(one(ReadFrom::Replica, 2));
    let client = stage.client();
    for server in [1, 2] {
        stage.set_connect_result(server, ConnectResult::Refusing);
    }
    let refused = "-ERR Connection refused\r\n";
    assert_eq!(stage.ask(client, get("a")), refused);
    assert_eq!(stage.ask(client, get("a")), refused);
    assert_eq!(stage.ask(client, get("a")), "-ERR no replica is in use\r\n");
    assert_eq!(stage.links_ever(0), 0);
    assert_eq!(stage.links_ever(1) + stage.links_ever(2), 2);
}

#[test]
fn a_read_that_a_replica_has_lost_is_repeated_elsewhere_with_retry_reads() {
    let mut settings = one(ReadFrom::PreferReplica, 1);
    settings.failure.retry_reads = true;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    for _ in 0..100 {
        // Retries are earned.
        stage.say(client, get("a"));
        let replica = stage.link(1);
        stage.answer(replica, bulk("v"));
        stage.hear(client);
    }
    stage.say(client, get("a"));
    let replica = stage.link(1);
    stage.hang_up(replica, Cause::Closed);
    assert_eq!(stage.hear(client), "");
    let server = stage.link(0);
    assert_eq!(stage.heard(server), get("a"));
    stage.answer(server, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v"));
}

#[test]
fn the_keys_of_an_ejected_server_are_read_at_its_replicas() {
    let mut settings = one(ReadFrom::PreferReplica, 1);
    settings.auto_eject_hosts = true;
    settings.failure.eject = proxy::settings::EjectPolicy::Error;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.set_connect_result(0, ConnectResult::Refusing);
    assert_eq!(
        stage.ask(client, set("a", "1")),
        "-ERR Connection refused\r\n"
    );
    assert!(!stage.is_live(0));
    let other = stage.client();
    stage.say(other, get("a"));
    let replica = stage.link(1);
    assert_eq!(stage.heard(replica), get("a"));
}

#[test]
fn a_plan_takes_replicas_away_and_brings_others() {
    let mut stage = Stage::new(one(ReadFrom::PreferReplica, 1));
    let client = stage.client();
    stage.say(client, get("a"));
    let old = stage.link(1);
    let mut settings = one(ReadFrom::PreferReplica, 1);
    settings.servers[0].replication.replicas = vec![replica(0, 7)];
    stage.apply(settings);
    // What it has is still answered.
    stage.answer(old, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v"));
    stage.say(client, get("a"));
    let new = stage.link(2);
    assert_eq!(stage.heard(new), get("a"));
    stage.answer(new, bulk("v"));
    stage.wait(1_000);
    assert!(!stage.is_open(old));
    stage.apply(redis_pool(1));
    stage.hear(client);
    stage.say(client, get("a"));
    let server = stage.link(0);
    assert_eq!(stage.heard(server), get("a"));
}

#[test]
fn those_in_the_zone_of_the_proxy_are_read_first() {
    let mut settings = one(ReadFrom::Zone, 3);
    settings.servers[0].replication.replicas[1].zone = Some("here".into());
    settings.servers[0].replication.replicas[2].zone = Some("there".into());
    let mut stage = Stage::new(settings);
    for _ in 0..20 {
        let client = stage.client();
        stage.say(client, get("a"));
        let near = stage.link(2);
        assert_eq!(stage.heard(near), get("a"));
        stage.answer(near, bulk("v"));
    }
    let near = stage.link(2);
    stage.hang_up(near, Cause::Reset);
    for _ in 0..20 {
        let client = stage.client();
        stage.say(client, get("a"));
    }
    assert!(stage.links(0).is_empty() && !stage.links(1).is_empty() && !stage.links(3).is_empty());
}

#[test]
fn the_server_itself_is_read_where_it_is_in_the_zone_of_the_proxy() {
    let mut settings = one(ReadFrom::Zone, 1);
    settings.servers[0].replication.zone = Some("here".into());
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, get("a"));
    let server = stage.link(0);
    assert_eq!(stage.heard(server), get("a"));
}

/// Sends a read, which whoever gets it answers after `times` of it in milliseconds. Returns who it was.
fn read_in(stage: &mut Stage, client: usize, times: &[u64]) -> usize {
    stage.say(client, get("a"));
    let open = (0..times.len()).filter(|server| !stage.links(*server).is_empty());
    for server in open.collect::<Vec<_>>() {
        let link = stage.link(server);
        if stage.heard(link) == get("a") {
            stage.wait(times[server]);
            stage.answer(link, bulk("v"));
            stage.hear(client);
            return server;
        }
    }
    panic!("nobody was asked");
}

#[test]
fn the_fastest_is_read_and_others_are_tried_again_when_it_becomes_slow() {
    let mut stage = Stage::new(one(ReadFrom::Fastest, 2));
    let client = stage.client();
    let mut counts = |times: [u64; 3], rounds: usize| {
        let mut counts = [0; 3];
        for _ in 0..rounds {
            counts[read_in(&mut stage, client, &times)] += 1;
        }
        counts
    };
    counts([20, 2, 10], 200);
    let counts_then = counts([20, 2, 10], 300);
    assert!(counts_then[1] > 270, "{counts_then:?}");
    counts([2, 30, 10], 300);
    let counts_now = counts([2, 30, 10], 300);
    assert!(counts_now[0] > 270, "{counts_now:?}");
}

#[test]
fn the_less_busy_of_two_replicas_is_read() {
    let mut stage = Stage::new(one(ReadFrom::Replica, 2));
    for _ in 0..40 {
        let client = stage.client();
        stage.say(client, get("a"));
    }
    let asked = [1, 2].map(|server| heard(&mut stage, server).matches("GET").count());
    assert_eq!(asked, [20, 20]);
}

/// A cluster of two masters with one replica each.
fn cluster_with_replicas() -> PoolSettings {
    with_replicas(cluster::cluster(2), ReadFrom::PreferReplica, 1)
}

#[test]
fn replicas_of_a_cluster_are_asked_for_reads() {
    let mut stage = Stage::new(cluster_with_replicas());
    let (client, key) = (stage.client(), cluster::key(2, 1));
    stage.say(client, get(&key));
    let replica = stage.link(3);
    assert_eq!(stage.heard(replica), READONLY);
    stage.answer(replica, OK);
    assert_eq!(stage.heard(replica), get(&key));
    stage.answer(replica, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v"));
}

/// A stage in which the replica of node 0 is connected, a client, and a key of that node.
fn reading(stage: &mut Stage) -> (usize, usize, String) {
    let (client, key) = (stage.client(), cluster::key(2, 0));
    stage.say(client, get(&key));
    let replica = stage.link(2);
    stage.answer(replica, OK);
    stage.answer(replica, bulk("v"));
    stage.heard(replica);
    stage.hear(client);
    (client, replica, key)
}

#[test]
fn keys_of_a_slot_that_moves_are_read_at_its_master() {
    let mut stage = Stage::new(cluster_with_replicas());
    let (client, replica, key) = reading(&mut stage);
    let reads_at = |stage: &mut Stage, node: usize| {
        stage.say(client, get(&key));
        let link = stage.link(node);
        assert_eq!(stage.heard(link), get(&key));
        stage.answer(link, bulk("v"));
        assert_eq!(stage.hear(client), bulk("v"));
    };
    stage.say(client, set(&key, "1"));
    let master = stage.link(0);
    assert_eq!(stage.heard(master), set(&key, "1"));
    stage.answer(master, cluster::ask(&key, 1));
    let new = stage.link(1);
    stage.answer(new, format!("{OK}{OK}"));
    assert_eq!(stage.hear(client), OK);
    // Longer than its own writes are read at the master.
    for _ in 0..3 {
        stage.wait(3_000);
        reads_at(&mut stage, 0);
    }
    stage.wait(6_000);
    assert_eq!(stage.heard(replica), "");
    reads_at(&mut stage, 2);
}

#[test]
fn what_a_replica_of_a_cluster_cannot_answer_its_master_does() {
    let lines = [
        "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-CLUSTERDOWN The cluster is down\r\n",
    ];
    for line in lines {
        let mut stage = Stage::new(cluster_with_replicas());
        let (client, replica, key) = reading(&mut stage);
        stage.say(client, get(&key));
        stage.answer(replica, line);
        let master = stage.link(0);
        assert_eq!(stage.heard(master), get(&key), "{line}");
        stage.answer(master, bulk("v"));
        assert_eq!(stage.hear(client), bulk("v"));
        assert!(!stage.is_live(2));
    }
}

#[test]
fn a_slot_that_has_moved_is_read_where_it_is_now() {
    let mut stage = Stage::new(cluster_with_replicas());
    let (client, replica, key) = reading(&mut stage);
    stage.say(client, get(&key) + &get(&key));
    stage.answer(replica, cluster::moved(&key, 1));
    let master = stage.link(1);
    assert_eq!(stage.heard(master), get(&key));
    stage.answer(master, bulk("1"));
    // The second one was answered before it was moved.
    stage.answer(replica, bulk("0"));
    assert_eq!(stage.hear(client), bulk("1") + &bulk("0"));
    stage.say(client, get(&key));
    let other = stage.link(3);
    stage.answer(other, OK);
    assert_eq!(stage.heard(other), READONLY.to_owned() + &get(&key));
}

#[test]
fn reads_that_a_replica_of_a_cluster_has_lost_its_master_answers() {
    let mut stage = Stage::new(cluster_with_replicas());
    let (client, replica, key) = reading(&mut stage);
    let both = redis(&["MGET", &key, &cluster::key(2, 1)]);
    stage.say(client, get(&key) + &get(&key) + &both);
    stage.hang_up(replica, Cause::Reset);
    let (master, other) = (stage.link(0), stage.link(3));
    for _ in 0..2 {
        assert_eq!(stage.heard(master), get(&key));
        stage.answer(master, bulk("v"));
    }
    assert_eq!(stage.heard(master), redis(&["mget", &key]));
    stage.answer(master, "*1\r\n".to_owned() + &bulk("v"));
    stage.answer(other, OK);
    stage.answer(other, "*1\r\n".to_owned() + &bulk("w"));
    let joined = format!("*2\r\n{}{}", bulk("v"), bulk("w"));
    assert_eq!(stage.hear(client), bulk("v") + &bulk("v") + &joined);
    assert_eq!(stage.count(PoolMetric::Retries), 3);
    assert!(!stage.is_live(2));
}
