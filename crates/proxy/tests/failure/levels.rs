//! What is logged at which level, and how often.

use proxy::Cause;
use proxy::settings::EjectPolicy;

use crate::stage::{ConnectResult, Stage, memcached_pool, redis_pool};
use crate::words::{get, redis, set};

/// The lines since the last call.
fn new_lines(stage: &mut Stage) -> Vec<String> {
    std::mem::take(&mut stage.log)
}

#[test]
fn what_a_client_repeats_is_one_line_per_second_and_every_time_is_counted() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, "MONITOR\r\n".repeat(1_000));
    let line = "parsed unsupported command 'monitor'";
    // It is told after the first turn of the client.
    assert_eq!(stage.log, [format!("{line}; and 63 more like it")]);
    stage.say(client, "MONITOR\r\n".repeat(1_500));
    stage.wait(500);
    let other = stage.client();
    stage.say(other, "MONITOR\r\n".repeat(500));
    assert_eq!(stage.log.len(), 1);
    stage.wait(500);
    let second = format!("{line}; and {} more like it", 3_000 - 64 - 1);
    assert_eq!(stage.log[1..], [second], "although nothing else happens");
    stage.wait(60_000);
    assert_eq!(stage.log.len(), 2);
    assert_eq!(stage.next_due(), None);
}

#[test]
fn a_dead_server_does_not_hide_another() {
    let mut stage = Stage::new(redis_pool(3));
    let client = stage.client();
    let keys: Vec<String> = (0..3).map(|server| stage.key(server)).collect();
    for server in 0..2 {
        stage.set_connect_result(server, ConnectResult::Refusing);
    }
    for _ in 0..5 {
        keys.iter().for_each(|key| stage.say(client, get(key)));
    }
    let line = |server: usize| {
        format!("connection to server 's{server}' closed, 1 requests lost: Connection refused")
    };
    assert_eq!(new_lines(&mut stage), [line(0), line(1)]);
    stage.wait(1_000);
    let more = |server| line(server) + "; and 3 more like it";
    assert_eq!(new_lines(&mut stage), [more(0), more(1)]);
}

#[test]
fn at_the_end_everything_is_told() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, "MONITOR\r\n");
    stage.say(client, "MONITOR\r\n".repeat(3));
    assert_eq!(stage.log.len(), 1);
    stage.shut_down();
    assert!(
        stage.log[1].ends_with("; and 2 more like it"),
        "{:?}",
        stage.log
    );
}

#[test]
fn from_level_6_connections_are_told_and_from_7_what_becomes_of_them() {
    let mut settings = redis_pool(1);
    settings.auto_eject_hosts = true;
    settings.server_failure_limit = 1;
    settings.failure.eject = EjectPolicy::Error;
    for level in [5, 6, 7] {
        let mut stage = Stage::new(settings.clone());
        stage.log_level(level);
        let client = stage.client();
        stage.say(client, get("k"));
        let link = stage.link(0);
        stage.hang_up(link, Cause::Reset);
        stage.vanish(client);
        stage.wait(31_000);
        let link = stage.link(0);
        stage.answer(link, "+PONG\r\n");
        let lines = [
            (6, "client connected"),
            (6, "connection to server 's0' made"),
            (7, "connection to server 's0' takes requests"),
            (
                1,
                "connection to server 's0' closed, 1 requests lost: Connection reset by peer",
            ),
            (4, "ejected server 's0' for 30000 ms"),
            (6, "client closed: its connection was lost"),
            (7, "probing ejected server 's0'"),
            (6, "connection to server 's0' made"),
            (5, "server 's0' is back on the ring"),
        ];
        let due = lines.iter().filter(|(from, _)| *from <= level);
        let mut due: Vec<&str> = due.map(|(_, line)| *line).collect();
        let mut told = new_lines(&mut stage);
        // What is limited and what is not are in lists of their own.
        due.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, due, "level {level}");
    }
}

#[test]
fn from_level_8_requests_are_told_and_from_9_their_keys_but_never_a_value_or_a_password() {
    for (level, told) in [
        (7, [].as_slice()),
        (
            8,
            &[
                "request 'AUTH' of 26 bytes",
                "request 'SET' of 35 bytes, key of 4 bytes, server 's0'",
                "request 'MGET' of 28 bytes, key of 1 bytes, server 's0'",
                "request 'PING' of 14 bytes",
            ],
        ),
        (
            11,
            &[
                "request 'AUTH' of 26 bytes",
                "request 'SET' of 35 bytes, key 'k\\r\\nk' of 4 bytes, server 's0'",
                "request 'MGET' of 28 bytes, key 'a' of 1 bytes, server 's0'",
                "request 'PING' of 14 bytes",
            ],
        ),
    ] {
        let mut stage = Stage::new(redis_pool(1));
        stage.log_level(level);
        let client = stage.client();
        new_lines(&mut stage);
        stage.say(client, redis(&["AUTH", "sesame"]));
        stage.say(client, set("k\r\nk", "secret"));
        stage.say(client, redis(&["MGET", "a", "b"]) + "PING\r\n");
        let lines = new_lines(&mut stage);
        let requests: Vec<&String> = lines
            .iter()
            .filter(|line| line.starts_with("request"))
            .collect();
        assert_eq!(requests, told, "level {level}");
        assert!(
            !lines
                .iter()
                .any(|line| line.contains("sesame") || line.contains("secret"))
        );
        stage.log_level(7);
        stage.say(client, get("k"));
        assert_eq!(new_lines(&mut stage).len(), 0, "not any more");
    }
}

#[test]
fn requests_of_memcached_are_told_too() {
    let mut stage = Stage::new(memcached_pool(1));
    stage.log_level(9);
    let client = stage.client();
    new_lines(&mut stage);
    stage.say(client, "set k 0 0 6\r\nsecret\r\nget a b\r\nversion\r\n");
    let lines = new_lines(&mut stage);
    let requests: Vec<&String> = lines
        .iter()
        .filter(|line| line.starts_with("request"))
        .collect();
    assert_eq!(
        requests,
        [
            "request 'set' of 21 bytes, key 'k' of 1 bytes, server 's0'",
            "request 'get' of 9 bytes, key 'a' of 1 bytes, server 's0'",
            "request 'version' of 9 bytes",
        ]
    );
}
