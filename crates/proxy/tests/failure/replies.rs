//! CLIENT REPLY: clients get exactly the replies that they want, in order.

use proxy::Cause;
use proxy::limits::MAX_WINDOW;
use proxy::metrics::PoolMetric;
use proxy::settings::{EjectPolicy, TimeoutAction};

use crate::stage::{ConnectResult, Stage, memcached_pool, millis, redis_pool};
use crate::words::{HELLO_3, PING, bulk, get, redis, set};

fn reply(mode: &str) -> String {
    redis(&["CLIENT", "REPLY", mode])
}

/// Inline requests of a client whose replies are known at once.
fn local(lines: &[&str]) -> String {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let said = stage.ask(client, lines.join("\r\n") + "\r\n");
    assert_eq!(stage.links_ever(0), 0);
    said
}

#[test]
fn off_is_until_on_and_skip_is_once() {
    assert_eq!(local(&["CLIENT REPLY ON", "ECHO a"]), "+OK\r\n$1\r\na\r\n");
    assert_eq!(local(&["CLIENT REPLY OFF", "ECHO a", "ECHO b"]), "");
    assert_eq!(
        local(&["client reply off", "ECHO a", "Client Reply oN", "ECHO b"]),
        "+OK\r\n$1\r\nb\r\n"
    );
    assert_eq!(
        local(&["CLIENT REPLY SKIP", "ECHO a", "ECHO b"]),
        "$1\r\nb\r\n"
    );
    let skip = "CLIENT REPLY SKIP";
    assert_eq!(local(&[skip, skip, "ECHO a", "ECHO b"]), "$1\r\nb\r\n");
    assert_eq!(
        local(&[skip, "CLIENT REPLY ON", "ECHO a"]),
        "+OK\r\n$1\r\na\r\n"
    );
    assert_eq!(local(&[skip, "CLIENT REPLY OFF", "ECHO a", "ECHO b"]), "");
    let off_skip = ["CLIENT REPLY OFF", skip, "CLIENT REPLY ON", "ECHO a"];
    assert_eq!(local(&off_skip), "+OK\r\n$1\r\na\r\n");
    assert_eq!(
        local(&[skip, "", "ECHO a"]),
        "$1\r\na\r\n",
        "as Redis has it"
    );
}

#[test]
fn errors_are_no_exception() {
    let wrong = "-ERR wrong number of arguments for 'client|reply' command\r\n";
    assert_eq!(
        local(&["CLIENT REPLY", "CLIENT REPLY ON x"]),
        wrong.repeat(2)
    );
    assert_eq!(local(&["CLIENT REPLY maybe"]), "-ERR syntax error\r\n");
    let errors = [
        "GET",
        "NOSUCH",
        "MONITOR",
        "CLIENT REPLY maybe",
        "SELECT 1",
        "GET k",
    ];
    let off = [&["CLIENT REPLY OFF"][..], &errors, &["CLIENT REPLY ON"]];
    assert_eq!(local(&off.concat()), "+OK\r\n");
    for error in &errors[..5] {
        assert_eq!(local(&["CLIENT REPLY SKIP", error, "PING"]), "+PONG\r\n");
    }
}

#[test]
fn reset_wants_replies_again() {
    assert_eq!(
        local(&["CLIENT REPLY OFF", "ECHO a", "RESET", "ECHO b"]),
        "+RESET\r\n$1\r\nb\r\n"
    );
    assert_eq!(local(&["CLIENT REPLY SKIP", "RESET", "PING"]), "+PONG\r\n");
}

#[test]
fn the_end_comes_without_a_word() {
    for last in ["QUIT\r\n", "*1\r\n:no\r\n", "POST / HTTP/1.1\r\n"] {
        for mode in ["OFF", "SKIP"] {
            let mut stage = Stage::new(redis_pool(1));
            let client = stage.client();
            let asked = reply(mode) + last;
            assert_eq!(stage.ask(client, asked), "", "{mode}, {last:?}");
            assert!(stage.is_closed(client), "{mode}, {last:?}");
        }
    }
}

#[test]
fn replies_of_servers_are_dropped_and_others_keep_their_turn() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    let (here, there) = (stage.key(0), stage.key(1));
    let asked = [
        get(&here),
        reply("SKIP"),
        get(&there),
        get(&here),
        reply("OFF"),
        redis(&["MGET", &here, &there]),
        set(&there, "v"),
        PING.to_owned(),
        reply("ON"),
        get(&there),
    ];
    stage.say(client, asked.concat());
    let (first, second) = (stage.link(0), stage.link(1));
    stage.answer(second, bulk("dropped"));
    stage.answer(second, "*1\r\n$7\r\ndropped\r\n+OK\r\n");
    stage.answer(second, bulk("last"));
    assert_eq!(stage.hear(client), "");
    stage.answer(first, bulk("one"));
    assert_eq!(stage.hear(client), bulk("one"));
    stage.answer(first, bulk("two"));
    let rest = bulk("two") + "+OK\r\n" + &bulk("last");
    assert_eq!(stage.hear(client), rest);
    stage.answer(first, "*1\r\n$7\r\ndropped\r\n");
    assert_eq!(stage.ask(client, PING), "+PONG\r\n");
    assert_eq!(stage.count(PoolMetric::Unheard), 0);
}

#[test]
fn nobody_waits_for_a_reply_that_is_not_wanted() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    let (hung, well) = (stage.key(0), stage.key(1));
    stage.say(client, reply("SKIP") + &set(&hung, "v") + &get(&well));
    let link = stage.link(1);
    stage.answer(link, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v"));
    stage.end(client);
    assert!(stage.is_closed(client));
}

#[test]
fn pieces_of_a_reply_that_is_not_wanted_are_dropped_however_it_ends() {
    for end in [None, Some(Cause::Reset)] {
        let mut stage = Stage::new(redis_pool(1));
        let client = stage.client();
        stage.say(client, reply("SKIP") + &get("large") + &get("k"));
        let link = stage.link(0);
        stage.answer(link, "$100\r\n".to_owned() + &"x".repeat(90));
        assert_eq!(stage.hear(client), "");
        match end {
            None => {
                stage.answer(link, "x".repeat(10) + "\r\n" + &bulk("v"));
                assert_eq!(stage.hear(client), bulk("v"));
            }
            Some(cause) => {
                stage.hang_up(link, cause);
                assert_eq!(stage.hear(client), "-ERR Connection reset by peer\r\n");
            }
        }
        assert!(!stage.is_closed(client), "it has seen no part");
    }
}

#[test]
fn a_late_reply_that_is_not_wanted_fails_without_a_word() {
    let mut settings = redis_pool(1);
    settings.timeout = Some(millis(100));
    settings.failure.timeout_action = TimeoutAction::Answer;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(
        client,
        reply("OFF") + &get("a") + &redis(&["MGET", "a", "b"]),
    );
    let link = stage.link(0);
    stage.wait(100);
    assert_eq!(stage.ask(client, reply("ON")), "+OK\r\n");
    stage.say(client, get("b"));
    stage.answer(link, bulk("late") + "*2\r\n$-1\r\n$-1\r\n" + &bulk("b"));
    assert_eq!(stage.hear(client), bulk("b"));
    assert_eq!(stage.count(PoolMetric::Unheard), 2);
}

#[test]
fn a_lost_read_that_is_not_wanted_is_not_sent_again() {
    let mut settings = redis_pool(1);
    settings.failure.retry_reads = true;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    for _ in 0..40 {
        stage.say(client, get("k"));
        let link = stage.link(0);
        stage.answer(link, bulk("v"));
        stage.hear(client);
    }
    stage.say(client, reply("SKIP") + &get("quiet") + &get("loud"));
    let link = stage.link(0);
    stage.hang_up(link, Cause::Reset);
    let again = stage.link(0);
    assert_eq!(stage.heard(again), get("loud"));
    stage.answer(again, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v"));
    assert_eq!(stage.count(PoolMetric::Retries), 1);
}

#[test]
fn a_read_that_counts_as_missing_is_no_failure() {
    let mut settings = redis_pool(2);
    settings.auto_eject_hosts = true;
    settings.failure.eject = EjectPolicy::Miss;
    let mut stage = Stage::new(settings);
    stage.eject(1);
    let (client, gone) = (stage.client(), stage.key(1));
    let quiet = [
        reply("OFF"),
        get(&gone),
        redis(&["MGET", &gone, &gone]),
        redis(&["MGET", &gone]),
    ];
    assert_eq!(stage.ask(client, quiet.concat()), "");
    assert_eq!(stage.count(PoolMetric::Unheard), 0);
    let quiet = [set(&gone, "v"), redis(&["DEL", &gone, &stage.key(0)])];
    assert_eq!(stage.ask(client, quiet.concat()), "");
    assert_eq!(stage.count(PoolMetric::Unheard), 2);
}

#[test]
fn a_version_is_changed_without_a_word() {
    for granted in [true, false] {
        let mut stage = Stage::new(redis_pool(1));
        let client = stage.client();
        let asked = [reply("SKIP"), redis(&["HELLO", "3"]), redis(&["GET", "k"])];
        stage.say(client, asked.concat());
        let link = stage.link(0);
        let answer = if granted { HELLO_3 } else { "-NOPROTO no\r\n" };
        stage.answer(link, answer);
        assert_eq!(stage.hear(client), "");
        let link = stage.link(0);
        stage.answer(link, if granted { "_\r\n" } else { "$-1\r\n" });
        let null = if granted { "_\r\n" } else { "$-1\r\n" };
        assert_eq!(stage.hear(client), null);
        assert_eq!(stage.count(PoolMetric::Unheard), i64::from(!granted));
    }
}

#[test]
fn what_waits_for_its_turn_is_still_to_be_skipped_then() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, redis(&["HELLO", "3"]));
    let link = stage.link(0);
    stage.answer(link, HELLO_3);
    stage.hear(client);
    let asked = [
        get("k"),
        reply("SKIP"),
        redis(&["HELLO", "2"]),
        PING.to_owned(),
    ];
    stage.say(client, asked.concat());
    stage.answer(link, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v") + "+PONG\r\n");
    let null = stage.ask(client, redis(&["CLIENT", "GETNAME"]));
    assert_eq!(null, "$-1\r\n", "it speaks RESP2 again");
}

#[test]
fn within_a_transaction_it_is_refused() {
    let said = local(&["MULTI", "CLIENT REPLY OFF", "PING", "DISCARD", "PING"]);
    let lines: Vec<&str> = said.split_inclusive("\r\n").collect();
    assert!(lines[1].starts_with("-ERR unsupported command 'client reply'"));
    assert_eq!(lines[2..], ["+QUEUED\r\n", "+OK\r\n", "+PONG\r\n"]);
    let said = local(&["CLIENT REPLY SKIP", "MULTI", "GET", "EXEC", "PING"]);
    let starts = ["-ERR wrong number", "-EXECABORT ", "+PONG\r\n"];
    let lines = said.split_inclusive("\r\n").zip(starts);
    lines.for_each(|(line, start)| assert!(line.starts_with(start), "{said}"));
}

#[test]
fn one_that_wants_no_replies_is_held_back_like_others() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, reply("OFF") + &set("k", "v").repeat(MAX_WINDOW + 8));
    let link = stage.link(0);
    assert_eq!(stage.heard(link), set("k", "v").repeat(MAX_WINDOW));
    stage.answer(link, "+OK\r\n".repeat(MAX_WINDOW));
    assert_eq!(stage.heard(link), set("k", "v").repeat(8));
    stage.say(client, reply("ON"));
    assert_eq!(stage.hear(client), "+OK\r\n");
}

#[test]
fn a_request_without_reply_is_not_sent_where_it_cannot_be() {
    let mut stage = Stage::new(memcached_pool(1));
    stage.set_connect_result(0, ConnectResult::Refusing);
    let client = stage.client();
    assert_eq!(stage.ask(client, "set k 0 0 1 noreply\r\nx\r\n"), "");
    assert_eq!(stage.count(PoolMetric::Unheard), 1);
    stage.end(client);
    assert!(stage.is_closed(client), "nothing of it is outstanding");
}
