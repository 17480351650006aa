//! Commands about all keys: what is made of the servers' replies.

use proxy::Cause;
use proxy::limits::MAX_JOINED;
use proxy::settings::EjectPolicy;

use crate::stage::{Stage, redis_pool};
use crate::words::{PING, bulk, redis};

fn stage() -> (Stage, usize, [usize; 3]) {
    let mut stage = Stage::new(redis_pool(3));
    let client = stage.client();
    for server in 0..3 {
        let key = stage.key(server);
        stage.say(client, redis(&["GET", &key]));
        let link = stage.link(server);
        stage.answer(link, "$-1\r\n");
        stage.heard(link);
    }
    stage.hear(client);
    let links = [0, 1, 2].map(|server| stage.link(server));
    (stage, client, links)
}

/// Every server's reply to the command, and what the client gets of them.
fn joined(command: &[&str], replies: [&str; 3]) -> String {
    let (mut stage, client, links) = stage();
    stage.say(client, redis(command) + PING);
    for (link, reply) in links.into_iter().zip(replies) {
        assert_eq!(stage.heard(link), redis(command));
        stage.answer(link, reply);
    }
    let heard = stage.hear(client);
    heard.strip_suffix("+PONG\r\n").expect("in step").to_owned()
}

#[test]
fn replies_of_all_servers_become_one() {
    assert_eq!(
        joined(&["DBSIZE"], [":1\r\n", ":20\r\n", ":300\r\n"]),
        ":321\r\n"
    );
    let keys = [
        "*1\r\n$1\r\na\r\n",
        "*0\r\n",
        "*2\r\n$1\r\nb\r\n$1\r\nc\r\n",
    ];
    let all = "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n";
    assert_eq!(joined(&["KEYS", "*"], keys), all);
    assert_eq!(joined(&["KEYS", "*"], ["*0\r\n"; 3]), "*0\r\n");
    assert_eq!(
        joined(&["RANDOMKEY"], ["$-1\r\n", "$1\r\nb\r\n", "$-1\r\n"]),
        "$1\r\nb\r\n"
    );
    assert_eq!(joined(&["RANDOMKEY"], ["$-1\r\n"; 3]), "$-1\r\n");
    let denied = "-NOPERM no\r\n";
    assert_eq!(joined(&["DBSIZE"], [":1\r\n", denied, ":1\r\n"]), denied);
    assert_eq!(joined(&["KEYS", "*"], ["*0\r\n", "*0\r\n", denied]), denied);
    let odd = "-ERR Invalid argument\r\n";
    assert_eq!(
        joined(&["RANDOMKEY"], [":1\r\n", "$-1\r\n", "$-1\r\n"]),
        odd
    );
    assert_eq!(joined(&["KEYS", "*"], ["+OK\r\n", "*0\r\n", "*0\r\n"]), odd);
}

/// The cursor in a reply to SCAN.
fn cursor(reply: &str) -> String {
    let mut lines = reply.split("\r\n");
    assert_eq!(lines.next(), Some("*2"), "{reply}");
    lines.nth(1).expect("a cursor").to_owned()
}

#[test]
fn a_scan_goes_from_server_to_server_by_its_cursor() {
    let (mut stage, client, links) = stage();
    let (mut at, mut seen) = ("0".to_owned(), Vec::new());
    for link in links {
        // Each server has two pages.
        for (asked, answered) in [("0", "17"), ("17", "0")] {
            let request = redis(&["SCAN", &at, "MATCH", "a*", "COUNT", "5"]);
            stage.say(client, request);
            let expected = redis(&["scan", asked, "MATCH", "a*", "COUNT", "5"]);
            assert_eq!(stage.heard(link), expected);
            let name = bulk(&format!("a{link}{asked}"));
            // Cut within the array of names, and elsewhere.
            let reply = format!("*2\r\n{}*1\r\n{name}", bulk(answered));
            let (head, tail) = reply.split_at(reply.len() - 4);
            stage.answer(link, head);
            stage.answer(link, tail);
            let heard = stage.hear(client);
            assert!(heard.ends_with(&format!("*1\r\n{name}")), "{heard}");
            at = cursor(&heard);
            seen.push(at.clone());
        }
    }
    assert_eq!(at, "0");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6, "every cursor is another");
}

#[test]
fn a_cursor_from_before_the_servers_changed_is_refused() {
    let (mut stage, client, links) = stage();
    stage.say(client, redis(&["SCAN", "0"]));
    stage.answer(links[0], "*2\r\n$1\r\n7\r\n*0\r\n");
    stage.heard(links[0]);
    let at = cursor(&stage.hear(client));
    stage.apply(redis_pool(2));
    let error = stage.ask(client, redis(&["SCAN", &at]));
    assert!(error.contains("begin with cursor 0 again"), "{error}");
    stage.apply(redis_pool(3));
    stage.say(client, redis(&["SCAN", &at]));
    assert_eq!(stage.heard(stage.links(0)[0]), redis(&["scan", "7"]));
}

#[test]
fn what_no_scan_is_answered_with_is_an_error() {
    for odd in [
        "*0\r\n",
        "*2\r\n:1\r\n*0\r\n",
        "$1\r\n0\r\n",
        "*3\r\n$1\r\n0\r\n*0\r\n*0\r\n",
    ] {
        let (mut stage, client, links) = stage();
        stage.say(client, redis(&["SCAN", "0"]) + PING);
        stage.answer(links[0], odd);
        assert_eq!(
            stage.hear(client),
            "-ERR Invalid argument\r\n+PONG\r\n",
            "{odd:?}"
        );
    }
    let (mut stage, client, links) = stage();
    stage.say(client, redis(&["SCAN", "0"]));
    stage.answer(
        links[0],
        format!("*2\r\n{}*0\r\n", bulk(&u64::MAX.to_string())),
    );
    let error = "-ERR the server gives cursors that are too large to be passed on\r\n";
    assert_eq!(stage.hear(client), error);
    stage.say(client, redis(&["SCAN", "0"]));
    stage.hang_up(links[0], Cause::Reset);
    assert_eq!(stage.hear(client), "-ERR Connection reset by peer\r\n");
}

#[test]
fn more_keys_than_may_be_held_are_an_error_and_others_are_served() {
    let (mut stage, client, links) = stage();
    let other = stage.client();
    stage.say(client, redis(&["KEYS", "*"]) + PING);
    let key = stage.key(0);
    stage.say(other, redis(&["GET", &key]));
    let name = bulk(&"k".repeat(1 << 20));
    let count = MAX_JOINED / name.len() + 10;
    stage.answer(links[0], format!("*{count}\r\n"));
    for _ in 0..count {
        stage.answer(links[0], &name);
        assert!(stage.held() < 2 * MAX_JOINED);
    }
    let heard = stage.hear(client);
    assert!(
        heard.starts_with(
            "-ERR the reply is larger than 64 MB: ask for less at a time (SCAN, for KEYS)"
        ),
        "{heard}"
    );
    assert!(heard.ends_with("\r\n+PONG\r\n"));
    stage.answer(links[0], "$1\r\nv\r\n");
    assert_eq!(stage.hear(other), "$1\r\nv\r\n");
    for link in [links[1], links[2]] {
        stage.answer(link, "*0\r\n");
    }
    assert_eq!(stage.ask(client, PING), "+PONG\r\n");
}

const SHA: &str = "$4\r\n5ac1\r\n";

#[test]
fn scripts_are_loaded_everywhere_and_known_where_every_server_knows_them() {
    let load = ["SCRIPT", "LOAD", "return 1"];
    assert_eq!(joined(&load, [SHA; 3]), SHA);
    let odd = "-ERR Invalid argument\r\n";
    assert_eq!(joined(&load, [SHA, SHA, "$4\r\n5ac2\r\n"]), odd);
    let error = "-ERR Error compiling script\r\n";
    assert_eq!(joined(&load, [error; 3]), error);
    assert_eq!(
        joined(&["SCRIPT", "FLUSH", "ASYNC"], ["+OK\r\n"; 3]),
        "+OK\r\n"
    );
    let exists = ["SCRIPT", "EXISTS", "a", "b"];
    let (both, first) = ("*2\r\n:1\r\n:1\r\n", "*2\r\n:1\r\n:0\r\n");
    assert_eq!(joined(&exists, [both, first, both]), first);
    assert_eq!(joined(&exists, [both; 3]), both);
    for wrong in ["*1\r\n:1\r\n", "*2\r\n:1\r\n+x\r\n", ":1\r\n"] {
        assert_eq!(joined(&exists, [both, wrong, both]), odd, "{wrong:?}");
    }
}

#[test]
fn a_script_of_many_kilobytes_goes_to_every_server_whole() {
    let (mut stage, client, links) = stage();
    let script = format!("return '{}'", "x".repeat(200_000));
    let request = redis(&["SCRIPT", "LOAD", &script]);
    for piece in request.as_bytes().chunks(30_000) {
        stage.say(client, piece);
    }
    for link in links {
        assert!(stage.heard(link) == request, "the request as it was sent");
        stage.answer(link, SHA);
    }
    assert_eq!(stage.hear(client), SHA);
}

#[test]
fn an_ejected_server_need_not_know_scripts_but_its_keys_count() {
    let mut settings = redis_pool(3);
    settings.auto_eject_hosts = true;
    settings.failure.eject = EjectPolicy::Error;
    let mut stage = Stage::new(settings);
    stage.eject(1);
    let client = stage.client();
    stage.say(client, redis(&["SCRIPT", "LOAD", "return 1"]));
    for server in [0, 2] {
        stage.answer(stage.link(server), SHA);
    }
    assert_eq!(stage.hear(client), SHA);
    stage.say(client, redis(&["DBSIZE"]));
    for server in [0, 2] {
        stage.answer(stage.link(server), ":1\r\n");
    }
    let error = stage.hear(client);
    assert!(error.contains("the server is ejected"), "{error}");
    stage.eject(0);
    stage.eject(2);
    let error = stage.ask(client, redis(&["SCRIPT", "EXISTS", "a"]));
    assert!(error.contains("the server is ejected"), "{error}");
}
