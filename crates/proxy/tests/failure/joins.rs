//! The reply to a request over several servers when some of them fail.

use proxy::Cause;

use crate::stage::{Stage, memcached_pool, redis_pool};
use crate::words::{bulk, redis, value};

/// What happens to one server's fragment.
#[derive(Clone, Copy)]
enum End {
    Value,
    Error,
    Hangup,
    Reset,
}

use End::{Error, Hangup, Reset, Value};

/// Asks for one key of each server, with these results; returns what the client gets.
fn ask(memcached: bool, ends: [End; 3]) -> String {
    let mut stage = Stage::new(match memcached {
        true => memcached_pool(3),
        false => redis_pool(3),
    });
    let keys: Vec<String> = (0..3).map(|server| stage.key(server)).collect();
    let client = stage.client();
    stage.say(
        client,
        match memcached {
            true => format!("get {}\r\n", keys.join(" ")),
            false => redis(&["MGET", &keys[0], &keys[1], &keys[2]]),
        },
    );
    // Not in the order of the fragments, which is the order that counts.
    for server in [2, 0, 1] {
        let link = stage.link(server);
        match (ends[server], memcached) {
            (Value, false) => stage.answer(link, format!("*1\r\n{}", bulk("v"))),
            (Value, true) => stage.answer(link, value(&keys[server], "v") + "END\r\n"),
            (Error, false) => stage.answer(link, format!("-ERR of {server}\r\n")),
            (Error, true) => stage.answer(link, format!("SERVER_ERROR of {server}\r\n")),
            (Hangup, _) => stage.hang_up(link, Cause::Closed),
            (Reset, _) => stage.hang_up(link, Cause::Reset),
        }
    }
    assert!(!stage.is_closed(client));
    stage.hear(client)
}

#[test]
fn the_first_fragment_that_was_lost_with_an_errno_speaks_for_all() {
    let told = [
        ([Value, Error, Value], "of 1"),
        ([Value, Error, Error], "of 1"),
        ([Error, Value, Reset], "Connection reset by peer"),
        ([Hangup, Error, Reset], "Connection reset by peer"),
        ([Hangup, Error, Value], "unknown"),
        ([Error, Hangup, Hangup], "of 0"),
        ([Hangup, Error, Error], "unknown"),
        ([Error, Hangup, Reset], "Connection reset by peer"),
    ];
    for (ends, words) in told {
        assert_eq!(ask(false, ends), format!("-ERR {words}\r\n"));
        // A failing memcached server is a miss for its keys, unless all servers fail.
        let values = ends.iter().filter(|end| matches!(end, Value)).count();
        let heard = ask(true, ends);
        match values {
            0 => assert_eq!(heard, format!("SERVER_ERROR {words}\r\n")),
            _ => {
                assert_eq!(heard.matches("VALUE ").count(), values, "{heard}");
                assert!(heard.ends_with("v\r\nEND\r\n"), "{heard}");
            }
        }
    }
    let all = format!("*3\r\n{}", bulk("v").repeat(3));
    assert_eq!(ask(false, [Value; 3]), all);
    assert_eq!(ask(true, [Value; 3]).matches("VALUE ").count(), 3);
}

#[test]
fn a_flush_reports_the_server_that_refused_it() {
    let mut stage = Stage::new(memcached_pool(3));
    let client = stage.client();
    stage.say(client, "flush_all\r\n");
    for (server, reply) in ["OK\r\n", "SERVER_ERROR of 1\r\n", "OK\r\n"]
        .iter()
        .enumerate()
    {
        let link = stage.link(server);
        stage.answer(link, reply);
    }
    assert_eq!(stage.hear(client), "SERVER_ERROR of 1\r\n");
}

#[test]
fn what_a_request_over_several_servers_waits_with_is_held_memory() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    let keys: Vec<String> = (0..1_000).map(|key| key.to_string()).collect();
    let mget: Vec<&str> = ["MGET"]
        .into_iter()
        .chain(keys.iter().map(String::as_str))
        .collect();
    stage.say(client, redis(&mget));
    let requests = stage.held();
    assert!(requests >= 4 * keys.len(), "{requests}: who owns which key");
    let link = stage.link(0);
    let heard = stage.heard(link);
    let mine = heard.matches('$').count() - 1;
    stage.answer(
        link,
        format!("*{mine}\r\n{}", bulk(&"v".repeat(100)).repeat(mine)),
    );
    let grown = stage.held() - requests;
    let (text, marks) = (mine * 108, mine * size_of::<u64>());
    assert!(grown >= text + marks, "{grown} for {text} and {marks}");
    assert!(
        grown <= 2 * text + 2 * marks + 4_096,
        "{grown} for {text} and {marks}"
    );
}
