//! Commands that administer servers and clients, and those that end what keeps a server busy.

use std::sync::Arc;

use proxy::Cause;
use proxy::metrics::PoolMetric;
use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings};

use crate::pools;
use crate::stage::{ConnectResult, Stage};
use crate::waiting::CLIENT_ID;
use crate::words::{PING, bulk, get, redis, set};

/// How long a server may take to answer what ends a script.
const PATIENCE: u64 = 5_000;

fn pool(servers: usize) -> PoolSettings {
    let redis = RedisSettings {
        admin_commands: true,
        ..RedisSettings::default()
    };
    PoolSettings {
        protocol: ProtocolSettings::Redis(redis),
        ..pools::redis_pool(servers)
    }
}

fn kill() -> String {
    redis(&["SCRIPT", "KILL"])
}

/// The links on which the servers hear a request that a client sends now, which is all that they hear on them.
fn interrupted(stage: &mut Stage, client: usize, servers: usize, request: &str) -> Vec<usize> {
    assert_eq!(stage.ask(client, request), "");
    let links = (0..servers).map(|server| *stage.links(server).last().expect("a new link"));
    let links: Vec<usize> = links.collect();
    for link in &links {
        assert_eq!(stage.heard(*link), request);
    }
    links
}

const NOT_BUSY: &str = "-NOTBUSY No scripts in execution right now.\r\n";
const UNKILLABLE: &str = "-UNKILLABLE Sorry the script already executed write commands.\r\n";

#[test]
fn a_script_is_ended_over_connections_that_do_not_wait_for_it() {
    let mut stage = Stage::new(pools::redis_pool(2));
    let (runs, kills) = (stage.client(), stage.client());
    let key = stage.key(0);
    let script = redis(&["EVAL", "while true do end", "1", &key]);
    stage.say(runs, &script);
    let busy = stage.link(0);
    assert_eq!(stage.heard(busy), script);
    for request in [kill(), redis(&["FUNCTION", "KILL"])] {
        let links = interrupted(&mut stage, kills, 2, &request);
        assert_ne!(links[0], busy);
        stage.answer(links[1], NOT_BUSY);
        assert_eq!(stage.hear(kills), "", "the other may be the busy one");
        stage.answer(links[0], "+OK\r\n");
        assert_eq!(stage.hear(kills), "+OK\r\n");
        assert!(links.iter().all(|link| !stage.is_open(*link)));
        assert!(stage.is_open(busy));
    }
    stage.answer(busy, "-ERR killed\r\n");
    assert_eq!(stage.hear(runs), "-ERR killed\r\n");
}

#[test]
fn if_nothing_was_ended_the_most_telling_error_is_the_reply() {
    for (replies, expected) in [
        ([NOT_BUSY, NOT_BUSY], NOT_BUSY),
        ([NOT_BUSY, UNKILLABLE], UNKILLABLE),
        ([UNKILLABLE, NOT_BUSY], UNKILLABLE),
        ([NOT_BUSY, "-ERR x\r\n"], "-ERR x\r\n"),
        (["-ERR x\r\n", "+OK\r\n"], "+OK\r\n"),
    ] {
        let mut stage = Stage::new(pools::redis_pool(2));
        let client = stage.client();
        let links = interrupted(&mut stage, client, 2, &kill());
        for (link, reply) in links.iter().zip(replies) {
            stage.answer(*link, reply);
        }
        assert_eq!(stage.hear(client), expected);
    }
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_and_one_that_is_ejected_is_asked() {
    let mut settings = pools::redis_pool(2);
    settings.auto_eject_hosts = true;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.eject(1);
    stage.set_connect_result(1, ConnectResult::Open);
    let links = interrupted(&mut stage, client, 2, &kill());
    stage.answer(links[1], "+OK\r\n");
    stage.wait(PATIENCE - 1);
    assert_eq!(stage.hear(client), "");
    stage.wait(1);
    assert_eq!(stage.hear(client), "+OK\r\n");
    assert!(!stage.is_open(links[0]));

    let mut stage = Stage::new(pools::redis_pool(1));
    let client = stage.client();
    let links = interrupted(&mut stage, client, 1, &kill());
    stage.wait(PATIENCE);
    assert_eq!(stage.hear(client), "-ERR Connection timed out\r\n");
    assert!(!stage.is_open(links[0]));
    assert_eq!(stage.ask(client, PING), "+PONG\r\n");
}

#[test]
fn a_busy_server_is_given_the_password_and_asked_nothing_more() {
    let mut settings = pools::redis_pool(1);
    settings.servers[0].db = 3;
    let secret = RedisSettings {
        auth: Some(Arc::from(&b"secret"[..])),
        ..RedisSettings::default()
    };
    settings.protocol = ProtocolSettings::Redis(secret);
    let mut stage = Stage::new(settings);
    let client = stage.client();
    assert_eq!(stage.ask(client, redis(&["AUTH", "secret"])), "+OK\r\n");
    stage.say(client, kill());
    let link = stage.link(0);
    assert_eq!(stage.heard(link), redis(&["AUTH", "secret"]));
    stage.answer(link, "+OK\r\n");
    assert_eq!(stage.heard(link), kill());
    stage.answer(link, "+OK\r\n");
    assert_eq!(stage.hear(client), "+OK\r\n");
}

#[test]
fn whoever_leaves_ends_no_script_later() {
    let mut stage = Stage::new(pools::redis_pool(1));
    let client = stage.client();
    stage.set_connect_result(0, ConnectResult::Silent);
    stage.say(client, kill());
    let link = stage.link(0);
    stage.vanish(client);
    assert!(!stage.is_open(link));

    // What was sent is not called back.
    let client = stage.client();
    stage.set_connect_result(0, ConnectResult::Open);
    let links = interrupted(&mut stage, client, 1, &kill());
    stage.vanish(client);
    stage.answer(links[0], "+OK\r\n");
    assert!(!stage.is_open(links[0]));
}

#[test]
fn nothing_is_administered_unless_the_pool_allows_it() {
    let commands = [
        &["CONFIG", "SET", "maxmemory", "1"][..],
        &["CONFIG", "RESETSTAT"],
        &["CONFIG", "REWRITE"],
        &["CLIENT", "KILL", "ID", "1"],
        &["SAVE"],
        &["SHUTDOWN"],
        &["DEBUG", "SLEEP", "1"],
        &["REPLICAOF", "NO", "ONE"],
    ];
    let mut stage = Stage::new(pools::redis_pool(1));
    let client = stage.client();
    for command in commands {
        let told = stage.ask(client, redis(command));
        assert!(told.contains("set admin_commands: true"), "{told}");
    }
    let mut several = Stage::new(pool(2));
    let client = several.client();
    for command in &commands[4..] {
        let told = several.ask(client, redis(command));
        assert!(told.contains("the pool has several"), "{told}");
    }
    assert_eq!((stage.links_ever(0), several.links_ever(0)), (0, 0));
}

/// Every server's reply to the command, and what the client gets of them.
fn joined(command: &[&str], replies: [&str; 2]) -> String {
    let mut stage = Stage::new(pool(2));
    let client = stage.client();
    stage.say(client, redis(command) + PING);
    for (server, reply) in replies.into_iter().enumerate() {
        let link = stage.link(server);
        assert_eq!(stage.heard(link), redis(command));
        stage.answer(link, reply);
    }
    let heard = stage.hear(client);
    heard.strip_suffix("+PONG\r\n").expect("in step").to_owned()
}

#[test]
fn settings_of_every_server_are_changed_and_whoever_has_not_done_it_is_named() {
    let set = |replies| joined(&["CONFIG", "SET", "maxmemory", "1"], replies);
    assert_eq!(set(["+OK\r\n"; 2]), "+OK\r\n");
    assert_eq!(
        set(["+OK\r\n", "-ERR no such thing\r\n"]),
        "-ERR server 's1': ERR no such thing; 1 of 2 servers have done it\r\n"
    );
    assert_eq!(
        set(["-ERR a\r\n", "-ERR b\r\n"]),
        "-ERR server 's0': ERR a; 0 of 2 servers have done it\r\n"
    );
    let mut stage = Stage::new(pool(2));
    let client = stage.client();
    stage.set_connect_result(0, ConnectResult::Refusing);
    stage.say(client, redis(&["CONFIG", "RESETSTAT"]));
    let link = stage.link(1);
    stage.answer(link, "+OK\r\n");
    let told = stage.hear(client);
    assert!(told.starts_with("-ERR server 's0': "), "{told}");
    assert!(
        told.ends_with("; 1 of 2 servers have done it\r\n"),
        "{told}"
    );
}

fn table(pairs: &[(&str, &str)]) -> String {
    let texts = pairs.iter().map(|(name, value)| bulk(name) + &bulk(value));
    format!("*{}\r\n{}", 2 * pairs.len(), texts.collect::<String>())
}

#[test]
fn settings_are_shown_that_all_servers_have_alike() {
    let one = table(&[("port", "1"), ("maxmemory", "5"), ("save", "")]);
    let other = table(&[("save", ""), ("port", "2"), ("maxmemory", "5")]);
    let alike = table(&[("maxmemory", "5"), ("save", "")]);
    let only = table(&[("save", "")]);
    let get = |names: &[&str], replies| joined(&[&["CONFIG", "GET"], names].concat(), replies);
    assert_eq!(get(&["*"], [&one, &other]), alike);
    assert_eq!(
        get(&["port", "maxmemory"], [&one, &other]),
        "-ERR 'port' is '1' at server 's0' and '2' at 's1'\r\n"
    );
    assert_eq!(
        get(&["save", "x"], [&only, "*0\r\n"]),
        "-ERR 'save' is '' at server 's0' and unknown at 's1'\r\n"
    );
    assert_eq!(get(&["save"], [&only, &only]), only);
    assert_eq!(get(&["nosuch"], ["*0\r\n"; 2]), "*0\r\n");
    let denied = "-NOPERM no\r\n";
    assert_eq!(get(&["*"], [&one, denied]), denied);
    assert_eq!(
        get(&["*"], [&one, "*1\r\n:1\r\n"]),
        "-ERR Invalid argument\r\n"
    );
}

#[test]
fn what_is_about_the_only_server_has_a_connection_of_its_own() {
    let mut stage = Stage::new(pool(1));
    let (client, other) = (stage.client(), stage.client());
    stage.say(client, set("k", "v") + &redis(&["SAVE"]) + PING);
    let shared = stage.link(0);
    assert_eq!(stage.heard(shared), set("k", "v"), "and nothing else yet");
    stage.answer(shared, "+OK\r\n");
    let own = stage.links(0)[1];
    assert_eq!(stage.heard(own), CLIENT_ID);
    stage.answer(own, ":7\r\n");
    assert_eq!(stage.heard(own), redis(&["SAVE"]));
    stage.say(other, get("k"));
    assert_eq!(stage.heard(shared), get("k"), "nobody else waits");
    stage.answer(own, "+OK\r\n");
    assert_eq!(stage.hear(client), "+OK\r\n+OK\r\n+PONG\r\n");

    // One that succeeds has no reply.
    stage.say(client, redis(&["SHUTDOWN", "NOSAVE"]));
    assert_eq!(stage.heard(own), redis(&["SHUTDOWN", "NOSAVE"]));
    stage.hang_up(own, Cause::Closed);
    assert_eq!(stage.hear(client), "-ERR unknown\r\n");
    assert_eq!(stage.ask(client, PING), "+PONG\r\n");

    stage.answer(shared, "$-1\r\n");
    for command in [
        &["LASTSAVE"][..],
        &["CONFIG", "GET", "*"],
        &["CONFIG", "SET", "a", "b"],
    ] {
        stage.say(client, redis(command));
        let heard = stage.heard(shared);
        assert_eq!(heard, redis(command));
        stage.answer(shared, "+OK\r\n");
        assert_eq!(stage.hear(client), "+OK\r\n", "as the server says");
    }
    let new = stage.client();
    let told = stage.ask(new, redis(&["DEBUG", "PROTOCOL", "push"]));
    assert!(told.contains("it sends what answers no request"), "{told}");
}

#[test]
fn clients_are_closed_by_what_they_are() {
    let mut stage = Stage::new(pool(1));
    let clients: Vec<usize> = (0..6).map(|_| stage.client()).collect();
    let asks = clients[0];
    let kill = |stage: &mut Stage, words: &[&str]| {
        stage.ask(asks, redis(&[&["CLIENT", "KILL"], words].concat()))
    };
    assert_eq!(
        kill(&mut stage, &["10.1.0.9:5000"]),
        "-ERR No such client\r\n"
    );
    assert_eq!(kill(&mut stage, &["10.1.0.1:5000"]), "+OK\r\n");
    assert!(stage.is_closed(clients[1]));
    assert_eq!(kill(&mut stage, &["ID", "3"]), ":1\r\n");
    assert!(stage.is_closed(clients[2]) && !stage.is_closed(clients[3]));
    assert_eq!(kill(&mut stage, &["ID", "3"]), ":0\r\n");
    assert_eq!(
        kill(&mut stage, &["ADDR", "10.1.0.3:5000", "TYPE", "pubsub"]),
        ":0\r\n"
    );
    assert_eq!(
        kill(&mut stage, &["ADDR", "10.1.0.3:5000", "TYPE", "normal"]),
        ":1\r\n"
    );
    assert!(stage.is_closed(clients[3]));
    assert_eq!(kill(&mut stage, &["MAXAGE", "2"]), ":0\r\n");
    assert_eq!(kill(&mut stage, &["TYPE", "master"]), ":0\r\n");
    assert_eq!(
        kill(&mut stage, &["USER", "nobody"]),
        "-ERR No such user 'nobody'\r\n"
    );
    stage.wait(3_000);
    let young = stage.client();
    // Itself it leaves out.
    assert_eq!(kill(&mut stage, &["MAXAGE", "2"]), ":2\r\n");
    assert!(stage.is_closed(clients[5]) && !stage.is_closed(young));
    for wrong in [
        &["ID", "0"][..],
        &["ID", "x"],
        &["MAXAGE", "-1"],
        &["TYPE", "x"],
        &["SKIPME", "maybe"],
        &["NOSUCH", "1"],
        &["ID", "1", "ADDR"],
    ] {
        let told = kill(&mut stage, wrong);
        assert!(told.starts_with("-ERR "), "{told}");
    }
    // Everybody, with what is at the proxy's end.
    let all = [
        "LADDR",
        "127.0.0.1:22121",
        "USER",
        "default",
        "SKIPME",
        "no",
    ];
    assert_eq!(kill(&mut stage, &all), ":2\r\n");
    assert!(stage.is_closed(young) && stage.is_closed(asks));
    assert_eq!(stage.count(PoolMetric::ClientErr), 0);
}

#[test]
fn a_client_that_is_closed_waits_no_more() {
    let mut stage = Stage::new(pool(1));
    let (waits, asks) = (stage.client(), stage.client());
    stage.say(waits, redis(&["BLPOP", "q", "0"]));
    let leased = stage.link(0);
    stage.heard(leased);
    stage.answer(leased, ":77\r\n");
    assert_eq!(
        stage.ask(asks, redis(&["CLIENT", "KILL", "ID", "1"])),
        ":1\r\n"
    );
    let shared = stage.links(0)[1];
    assert_eq!(
        stage.heard(shared),
        redis(&["CLIENT", "UNBLOCK", "77", "TIMEOUT"])
    );
    // Requests under way do not shift those of others.
    let other = stage.client();
    stage.say(other, get("a"));
    assert_eq!(
        stage.ask(asks, redis(&["CLIENT", "KILL", "ID", "3"])),
        ":1\r\n"
    );
    stage.say(asks, get("b"));
    stage.answer(shared, ":1\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_eq!(stage.hear(asks), "$1\r\nb\r\n");
}
