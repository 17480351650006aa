//! What happens to the keys of an ejected server.

use proxy::Cause;
use proxy::metrics::PoolMetric;
use proxy::settings::{EjectPolicy, PoolSettings};

use crate::stage::{ConnectResult, Stage, memcached_pool, millis, redis_pool};
use crate::words::{HELLO_3, PING, REFUSED, ejected, get, redis, set};

fn pool(policy: EjectPolicy) -> PoolSettings {
    with(redis_pool(3), policy)
}

fn with(mut settings: PoolSettings, policy: EjectPolicy) -> PoolSettings {
    settings.auto_eject_hosts = true;
    settings.failure.eject = policy;
    settings
}

/// Answers the probe of an ejected server, whose retry timeout must be over.
fn take_back(stage: &mut Stage, server: usize) {
    let probe = stage.link(server);
    assert_eq!(stage.heard(probe), PING);
    stage.answer(probe, "+PONG\r\n");
    assert!(stage.is_live(server) && !stage.is_open(probe));
}

#[test]
fn remap_moves_the_keys_to_the_others_and_back() {
    let mut stage = Stage::new(pool(EjectPolicy::Remap));
    let keys = stage.keys(1, 20);
    stage.eject(1);
    stage.set_connect_result(1, ConnectResult::Open);
    let client = stage.client();
    for key in &keys {
        stage.say(client, get(key));
    }
    let links = [stage.link(0), stage.link(2)];
    let moved: String = links.into_iter().map(|link| stage.heard(link)).collect();
    assert!(keys.iter().all(|key| moved.contains(&get(key))));
    stage.wait(30_000);
    take_back(&mut stage, 1);
    let other = stage.client();
    stage.say(other, get(&keys[0]));
    let home = stage.link(1);
    assert_eq!(stage.heard(home), get(&keys[0]));
}

#[test]
fn error_names_the_server_at_once_and_asks_nobody() {
    let mut stage = Stage::new(pool(EjectPolicy::Error));
    stage.eject(1);
    stage.set_connect_result(1, ConnectResult::Open);
    let (client, before) = (stage.client(), stage.links_ever(1));
    for key in stage.keys(1, 20) {
        assert_eq!(stage.ask(client, get(&key)), ejected(1));
        assert_eq!(stage.ask(client, set(&key, "v")), ejected(1));
    }
    assert_eq!(stage.links_ever(1), before);
    assert_eq!(stage.links(0).len() + stage.links(2).len(), 0);
    assert_eq!(
        stage.count(PoolMetric::ForwardError),
        41,
        "and the one that ejected"
    );
    stage.say(client, get(&stage.key(0)));
    let link = stage.link(0);
    stage.answer(link, "$1\r\nv\r\n");
    assert_eq!(
        stage.hear(client),
        "$1\r\nv\r\n",
        "other servers are not concerned"
    );
}

#[test]
fn error_is_said_in_memcacheds_words_and_the_block_is_swallowed() {
    let mut stage = Stage::new(with(memcached_pool(2), EjectPolicy::Error));
    stage.eject(1);
    let (client, key) = (stage.client(), stage.key(1));
    let line =
        "SERVER_ERROR Connection refused: server 's1' (10.0.0.1:7000:1): the server is ejected\r\n";
    assert_eq!(stage.ask(client, format!("get {key}\r\n")), line);
    let two = format!("set {key} 0 0 3\r\nabc\r\ndelete {key}\r\n");
    assert_eq!(stage.ask(client, two), format!("{line}{line}"));
    let silent = format!("set {key} 0 0 3 noreply\r\nabc\r\n");
    assert_eq!(stage.ask(client, silent), "");
    assert!(!stage.is_closed(client));
}

#[test]
fn the_error_keeps_its_turn() {
    let mut stage = Stage::new(pool(EjectPolicy::Error));
    stage.eject(1);
    let client = stage.client();
    let asked = get(&stage.key(0)) + &get(&stage.key(1)) + &get(&stage.key(2));
    assert_eq!(
        stage.ask(client, asked),
        "",
        "nothing before the first is answered"
    );
    let (first, last) = (stage.link(0), stage.link(2));
    stage.answer(last, "$1\r\n2\r\n");
    assert_eq!(stage.hear(client), "");
    stage.answer(first, "$1\r\n0\r\n");
    assert_eq!(
        stage.hear(client),
        format!("$1\r\n0\r\n{}$1\r\n2\r\n", ejected(1))
    );
}

#[test]
fn with_error_and_miss_no_key_ever_moves() {
    for policy in [EjectPolicy::Error, EjectPolicy::Miss] {
        let mut stage = Stage::new(pool(policy));
        for round in 0..12 {
            let out = round % 3;
            stage.eject(out);
            check_homes(&mut stage, out);
            stage.set_connect_result(out, ConnectResult::Open);
            stage.wait(30_000);
            take_back(&mut stage, out);
            check_homes(&mut stage, 3);
        }
    }
}

/// Asks for keys of every server: each request reaches the key's own server, or none if that server is `out`.
fn check_homes(stage: &mut Stage, out: usize) {
    for server in 0..3 {
        for key in stage.keys(server, 15) {
            let client = stage.client();
            stage.say(client, get(&key));
            for other in 0..3 {
                let heard: String = stage
                    .links(other)
                    .into_iter()
                    .map(|link| stage.heard(link))
                    .collect();
                let expected = if other == server && server != out {
                    get(&key)
                } else {
                    String::new()
                };
                assert_eq!(
                    heard, expected,
                    "{key} of {server} at {other}, {out} is out"
                );
            }
            if server != out {
                let link = stage.link(server);
                stage.answer(link, "$-1\r\n");
            }
            stage.vanish(client);
        }
    }
}

#[test]
fn what_is_under_way_when_a_server_is_ejected_fails_and_what_follows_is_told_so() {
    let mut stage = Stage::new(pool(EjectPolicy::Error));
    let (client, key) = (stage.client(), stage.key(1));
    stage.say(client, get(&key));
    let link = stage.link(1);
    stage.hang_up(link, Cause::Reset);
    assert_eq!(stage.hear(client), "-ERR Connection reset by peer\r\n");
    assert_eq!(stage.ask(client, get(&key)), ejected(1));
}

#[test]
fn error_replies_that_say_so_eject_too_and_the_link_stays_in_step() {
    let mut stage = Stage::new(pool(EjectPolicy::Error));
    let (client, key) = (stage.client(), stage.key(1));
    stage.say(client, get(&key) + &get(&key));
    let link = stage.link(1);
    stage.answer(link, "-LOADING Redis is loading the dataset in memory\r\n");
    assert!(!stage.is_live(1));
    stage.answer(link, "$1\r\nv\r\n");
    let heard = stage.hear(client);
    assert_eq!(
        heard,
        "-LOADING Redis is loading the dataset in memory\r\n$1\r\nv\r\n"
    );
    assert!(
        !stage.is_live(1),
        "an answer to an older request is no probe"
    );
    assert_eq!(stage.ask(client, get(&key)), ejected(1));
    assert!(stage.is_open(link));
}

#[test]
fn a_pool_of_one_server_behaves_the_same() {
    let mut settings = with(redis_pool(1), EjectPolicy::Error);
    settings.server_retry_timeout = millis(500);
    let mut stage = Stage::new(settings.clone());
    stage.eject(0);
    let client = stage.client();
    assert_eq!(stage.ask(client, get("k")), ejected(0));

    settings.failure.eject = EjectPolicy::Remap;
    let mut stage = Stage::new(settings);
    stage.eject(0);
    let client = stage.client();
    assert_eq!(
        stage.ask(client, get("k")),
        REFUSED,
        "nobody is left, as with nutcracker"
    );
}

#[test]
fn nothing_is_asked_of_all_servers_while_one_is_ejected() {
    for policy in [EjectPolicy::Remap, EjectPolicy::Error, EjectPolicy::Miss] {
        let mut stage = Stage::new(pool(policy));
        stage.eject(1);
        stage.set_connect_result(1, ConnectResult::Silent);
        let (client, before) = (stage.client(), stage.links_ever(1));
        stage.say(client, redis(&["FLUSHALL"]));
        for server in [0, 2] {
            let link = stage.link(server);
            assert_eq!(stage.heard(link), redis(&["FLUSHALL"]));
            stage.answer(link, "+OK\r\n");
        }
        assert_eq!(stage.hear(client), ejected(1), "{policy:?}");
        assert_eq!(stage.links_ever(1), before, "{policy:?}");
    }
}

#[test]
fn statistics_are_those_of_the_servers_that_are_there() {
    let mut stage = Stage::new(with(memcached_pool(2), EjectPolicy::Remap));
    stage.eject(1);
    stage.set_connect_result(1, ConnectResult::Silent);
    let client = stage.client();
    stage.say(client, "stats\r\n");
    let link = stage.link(0);
    stage.answer(link, "STAT pid 1\r\nEND\r\n");
    let reply = "STAT pid 7\r\nSTAT servers_missing 1\r\nEND\r\n";
    assert_eq!(stage.hear(client), reply);
    stage.say(client, "stats servers\r\n");
    stage.answer(link, "STAT pid 1\r\nEND\r\n");
    assert_eq!(stage.hear(client), "STAT s0:pid 1\r\nEND\r\n");
}

#[test]
fn hello_3_does_not_wait_for_an_ejected_server() {
    let mut stage = Stage::new(pool(EjectPolicy::Error));
    stage.eject(1);
    stage.set_connect_result(1, ConnectResult::Silent);
    let client = stage.client();
    assert_eq!(stage.ask(client, redis(&["HELLO", "3"])), "");
    for server in [0, 2] {
        let link = stage.link(server);
        assert_eq!(stage.heard(link), redis(&["HELLO", "3"]));
        stage.answer(link, HELLO_3);
    }
    assert!(stage.hear(client).starts_with('%'), "granted at once");
    assert!(stage.links(1).is_empty());
}

#[test]
fn hello_3_does_not_wait_for_a_server_that_refuses_to_be_connected_to() {
    let mut stage = Stage::new(redis_pool(3));
    stage.set_connect_result(1, ConnectResult::Refusing);
    let client = stage.client();
    stage.say(client, redis(&["HELLO", "3"]));
    for server in [0, 2] {
        assert_eq!(stage.hear(client), "", "not all have been heard");
        let link = stage.link(server);
        stage.answer(link, HELLO_3);
    }
    assert!(stage.hear(client).starts_with('%'), "granted at once");

    let mut alone = Stage::new(redis_pool(1));
    alone.set_connect_result(0, ConnectResult::Refusing);
    let client = alone.client();
    let reply = alone.ask(client, redis(&["HELLO", "3"]));
    assert_eq!(reply, REFUSED, "there is nobody to ask");
}

#[test]
fn what_a_script_returns_is_no_failure_of_its_server() {
    let mut settings = pool(EjectPolicy::Remap);
    settings.server_failure_limit = 2;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    let key = stage.key(1);
    let script = redis(&["EVAL", "return redis.error_reply('OOM')", "1", &key]);
    for error in ["-OOM mine\r\n", "-BUSY mine\r\n", "-LOADING mine\r\n"] {
        stage.say(client, &script);
        let link = stage.link(1);
        stage.answer(link, error);
        assert_eq!(stage.hear(client), error);
    }
    assert!(stage.is_live(1));
    // Nor does it speak for the server: what others were answered still counts.
    let busy = "-BUSY Redis is busy running a script.\r\n";
    for request in [get(&key), script, get(&key)] {
        assert!(stage.is_live(1));
        stage.say(client, request);
        let link = stage.link(1);
        stage.answer(link, busy);
        assert_eq!(stage.hear(client), busy);
    }
    assert!(!stage.is_live(1));
}
