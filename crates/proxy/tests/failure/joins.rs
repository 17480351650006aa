//! The reply to a request over several servers when some of them fail.

use proxy::Cause;
use proxy::limits::{MAX_FRAGMENT_LINE, MAX_STATISTICS, PASS_ON_AT_LEAST};

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

/// A client that has asked two servers for two keys each, in turns: the requests of both links.
fn ask_two(memcached: bool) -> (Stage, usize, [usize; 2], [Vec<String>; 2]) {
    let mut stage = Stage::new(match memcached {
        true => memcached_pool(2),
        false => redis_pool(2),
    });
    let keys = [0, 1].map(|server| stage.keys(server, 2));
    let client = stage.client();
    let [a, b] = &keys;
    stage.say(
        client,
        match memcached {
            true => format!("get {} {} {} {}\r\n", a[0], b[0], a[1], b[1]),
            false => redis(&["MGET", &a[0], &b[0], &a[1], &b[1]]),
        },
    );
    let links = [0, 1].map(|server| stage.link(server));
    (stage, client, links, keys)
}

fn large() -> String {
    "v".repeat(PASS_ON_AT_LEAST)
}

#[test]
fn a_large_reply_is_passed_on_in_key_order_as_far_as_it_is_known() {
    let (mut stage, client, [one, two], _) = ask_two(false);
    let large = bulk(&large());
    stage.answer(one, format!("*2\r\n{large}"));
    assert_eq!(stage.hear(client), "", "the other server may refuse");
    stage.answer(two, "*2\r\n");
    assert_eq!(stage.hear(client), format!("*4\r\n{large}"));
    stage.answer(one, &large);
    assert_eq!(stage.hear(client), "", "the second key comes first");
    stage.answer(two, bulk("b"));
    assert_eq!(stage.hear(client), bulk("b") + &large);
    stage.answer(two, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n");
    assert!(stage.held() < 4_096, "{} bytes are held", stage.held());
}

#[test]
fn so_are_the_values_of_memcached() {
    let (mut stage, client, [one, two], [a, b]) = ask_two(true);
    let large = large();
    stage.answer(one, value(&a[0], &large));
    assert_eq!(stage.hear(client), value(&a[0], &large));
    stage.answer(two, value(&b[1], "b"));
    assert_eq!(stage.hear(client), value(&b[1], "b"));
    stage.answer(one, "END\r\n");
    assert_eq!(stage.hear(client), "", "the other server has not ended");
    stage.answer(two, "END\r\n");
    assert_eq!(stage.hear(client), "END\r\n");
}

#[test]
fn a_small_reply_waits_for_the_last_server() {
    let (mut stage, client, [one, two], _) = ask_two(false);
    stage.answer(one, "*2\r\n".to_owned() + &bulk("a").repeat(2));
    stage.answer(two, "*2\r\n$1\r\nb\r\n");
    assert_eq!(stage.hear(client), "");
    stage.hang_up(two, Cause::Reset);
    assert_eq!(stage.hear(client), "-ERR Connection reset by peer\r\n");
    assert!(!stage.is_closed(client));
}

#[test]
fn a_client_is_closed_when_the_rest_of_its_reply_is_lost() {
    let (mut stage, client, [one, two], _) = ask_two(false);
    let large = bulk(&large());
    stage.answer(two, "*2\r\n");
    stage.answer(one, format!("*2\r\n{large}"));
    stage.hang_up(two, Cause::Reset);
    assert_eq!(stage.hear(client), format!("*4\r\n{large}"));
    assert!(
        stage.is_closed(client),
        "an error would be taken for a value"
    );
    stage.answer(one, large);
}

#[test]
fn it_gets_an_error_while_an_earlier_reply_is_missing() {
    let mut stage = Stage::new(redis_pool(3));
    let keys = [0, 1, 2].map(|server| stage.key(server));
    let client = stage.client();
    let requests = redis(&["GET", &keys[2]]) + &redis(&["MGET", &keys[0], &keys[1]]);
    stage.say(client, requests + "PING\r\n");
    let [one, two, three] = [0, 1, 2].map(|server| stage.link(server));
    stage.answer(two, "*1\r\n");
    stage.answer(one, format!("*1\r\n{}", bulk(&large())));
    stage.hang_up(two, Cause::Reset);
    assert_eq!(stage.hear(client), "");
    stage.answer(three, bulk("c"));
    let error = "-ERR Connection reset by peer\r\n";
    assert_eq!(stage.hear(client), bulk("c") + error + "+PONG\r\n");
    assert!(!stage.is_closed(client));
}

#[test]
fn a_memcached_server_that_fails_meanwhile_is_a_miss_for_the_rest_of_its_keys() {
    let (mut stage, client, [one, two], [a, b]) = ask_two(true);
    stage.answer(two, value(&b[0], "b"));
    stage.answer(one, value(&a[0], &large()));
    stage.hang_up(two, Cause::Reset);
    stage.answer(one, value(&a[1], "a") + "END\r\n");
    let whole = [(&a[0], &large()[..]), (&b[0], "b"), (&a[1], "a")];
    let whole: String = whole.map(|(key, text)| value(key, text)).concat();
    assert_eq!(stage.hear(client), whole + "END\r\n");
}

/// What no server answers to its part of a request, whole or as far as it has come.
#[test]
fn a_reply_of_another_form_ends_the_connection_at_once() {
    let endless = "x".repeat(MAX_FRAGMENT_LINE + 1);
    let wrong = [
        ("MGET", "*3\r\n$1\r\na\r\n".to_owned()),
        ("MGET", "*1\r\n$1\r\na\r\n".to_owned()),
        ("MGET", "*1000000000\r\n".to_owned()),
        ("MGET", "%1\r\n".to_owned()),
        ("MGET", "*2\r\n*1000000000\r\n$1\r\na\r\n".to_owned()),
        ("MGET", "*2\r\n$1\r\na\r\n*2\r\n:1\r\n".to_owned()),
        ("MGET", format!("-{endless}")),
        ("MGET", format!("$1000000000\r\n{endless}")),
        ("DEL", format!(":{endless}")),
        (
            "EXISTS",
            "*1000000000\r\n".to_owned() + &":1\r\n".repeat(MAX_FRAGMENT_LINE / 4),
        ),
        ("get", "VALUE k 0 0\r\n\r\n".repeat(3)),
        ("stats", "STAT x 1\r\n".repeat(MAX_STATISTICS / 10 + 1)),
        (
            "flush_all",
            "STAT x 1\r\n".repeat(MAX_FRAGMENT_LINE / 10 + 1),
        ),
    ];
    for (command, reply) in wrong {
        let is_memcached = command.starts_with(|first: char| first.is_ascii_lowercase());
        let (mut stage, client, [one, two], [a, b]) = ask_two(is_memcached);
        for (link, reply) in [(one, "*2\r\n$-1\r\n$-1\r\n"), (two, "*2\r\n$-1\r\n$-1\r\n")] {
            stage.answer(link, if is_memcached { "END\r\n" } else { reply });
        }
        stage.hear(client);
        stage.say(
            client,
            match command {
                "get" => format!("get {} {} {} {}\r\n", a[0], b[0], a[1], b[1]),
                command if is_memcached => format!("{command}\r\n"),
                command => redis(&[command, &a[0], &b[0], &a[1], &b[1]]),
            },
        );
        let shown = &reply[..reply.len().min(40)];
        stage.answer(one, &reply);
        assert!(!stage.is_open(one), "{command}: {shown:?}");
        assert!(
            stage.held() < 8_192,
            "{command} {shown:?}: {}",
            stage.held()
        );
        let rest = match (command, is_memcached) {
            ("stats" | "get", _) => "END\r\n",
            (_, true) => "OK\r\n",
            ("MGET", _) => "*2\r\n$-1\r\n$-1\r\n",
            _ => ":0\r\n",
        };
        stage.answer(two, rest);
        let heard = stage.hear(client);
        match command {
            "get" => assert_eq!(heard, "END\r\n"),
            "stats" => assert!(
                heard.ends_with("STAT servers_missing 1\r\nEND\r\n"),
                "{heard}"
            ),
            _ => assert!(heard.contains("ERR"), "{command} {shown:?}: {heard:?}"),
        }
        assert!(!stage.is_closed(client));
    }
}
