//! Scripts that a server does not know: they are loaded ahead of their first call on a connection.

use std::time::Duration;

use proxy::Cause;
use proxy::settings::{ProtocolSettings, RedisSettings, TimeoutAction, TransactionScope};

use crate::stage::{Stage, redis_pool};
use crate::words::{PING, bulk, get, redis};

const BODY: &str = "return 1";
const SHA: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
const NOSCRIPT: &str = "-NOSCRIPT No matching script. Please use EVAL.\r\n";

fn load() -> String {
    redis(&["SCRIPT", "LOAD", BODY])
}

fn call(key: &str) -> String {
    redis(&["EVALSHA", SHA, "1", key])
}

/// Loads the script on every server.
fn load_everywhere(stage: &mut Stage, client: usize, servers: usize) {
    stage.say(client, load());
    for server in 0..servers {
        let link = stage.link(server);
        assert_eq!(stage.heard(link), load());
        stage.answer(link, bulk(SHA));
    }
    assert_eq!(stage.hear(client), bulk(SHA));
}

/// Calls the script, which is loaded ahead if `is_loaded_ahead`, and is there then.
fn call_and_answer(stage: &mut Stage, client: usize, server: usize, is_loaded_ahead: bool) {
    let key = stage.key(server);
    stage.say(client, call(&key));
    let link = stage.link(server);
    let ahead = if is_loaded_ahead {
        load()
    } else {
        String::new()
    };
    assert_eq!(stage.heard(link), ahead + &call(&key));
    if is_loaded_ahead {
        stage.answer(link, bulk(SHA));
    }
    stage.answer(link, ":1\r\n");
    assert_eq!(stage.hear(client), ":1\r\n");
}

#[test]
fn a_script_is_loaded_ahead_of_its_first_call_on_each_connection() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    load_everywhere(&mut stage, client, 2);
    for server in [0, 1] {
        call_and_answer(&mut stage, client, server, true);
        call_and_answer(&mut stage, client, server, false);
    }
    // A server that is restarted knows nothing. Other clients' connections are the same.
    let other = stage.client();
    stage.hang_up(stage.link(0), Cause::Closed);
    call_and_answer(&mut stage, other, 0, true);
    call_and_answer(&mut stage, client, 0, false);
    call_and_answer(&mut stage, client, 1, false);
}

#[test]
fn what_was_executed_at_one_server_can_be_called_at_another() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    let (first, second) = (stage.key(0), stage.key(1));
    // Nobody has sent it yet.
    stage.say(client, call(&second));
    assert_eq!(stage.heard(stage.link(1)), call(&second));
    stage.answer(stage.link(1), NOSCRIPT);
    assert_eq!(stage.hear(client), NOSCRIPT);
    let eval = redis(&["EVAL", BODY, "1", &first]);
    stage.say(client, &eval);
    assert_eq!(stage.heard(stage.link(0)), eval);
    stage.answer(stage.link(0), ":1\r\n");
    assert_eq!(stage.hear(client), ":1\r\n");
    call_and_answer(&mut stage, client, 1, true);
    let other_case = redis(&["evalsha_ro", &SHA.to_ascii_uppercase(), "1", &second]);
    stage.say(client, &other_case);
    assert_eq!(stage.heard(stage.link(1)), other_case);
}

#[test]
fn nothing_overtakes_what_was_pipelined_and_replies_stay_in_step() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    load_everywhere(&mut stage, client, 1);
    let set = redis(&["SET", "k", "v"]);
    let keys = redis(&["EVALSHA", SHA, "2", "k", "other"]);
    let keyless = redis(&["EVALSHA", SHA, "0"]);
    stage.say(
        client,
        [&*set, &call("k"), &keys, PING, &keyless, &get("k")].concat(),
    );
    let link = stage.link(0);
    assert_eq!(
        stage.heard(link),
        [&*set, &load(), &call("k"), &keys, &keyless, &get("k")].concat()
    );
    let replies = [
        "+OK\r\n",
        &bulk(SHA),
        ":1\r\n",
        ":2\r\n",
        ":3\r\n",
        "$1\r\nv\r\n",
    ]
    .concat();
    for byte in replies.bytes() {
        stage.answer(link, (byte as char).to_string());
    }
    assert_eq!(
        stage.hear(client),
        "+OK\r\n:1\r\n:2\r\n+PONG\r\n:3\r\n$1\r\nv\r\n"
    );
}

#[test]
fn a_script_that_is_missing_all_the_same_is_loaded_for_the_next_try() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    load_everywhere(&mut stage, client, 1);
    call_and_answer(&mut stage, client, 0, true);
    // Somebody has flushed the scripts at the server.
    let key = stage.key(0);
    stage.say(client, call(&key));
    let link = stage.link(0);
    stage.heard(link);
    stage.answer(link, NOSCRIPT);
    assert_eq!(stage.hear(client), NOSCRIPT);
    call_and_answer(&mut stage, client, 0, true);
    // An error of another kind means nothing for it, nor does one of loading it.
    stage.say(client, call(&key));
    stage.heard(link);
    stage.answer(link, "-ERR NOSCRIPT\r\n");
    assert_eq!(stage.hear(client), "-ERR NOSCRIPT\r\n");
    call_and_answer(&mut stage, client, 0, false);
    stage.say(client, redis(&["SCRIPT", "FLUSH"]));
    stage.answer(link, "+OK\r\n");
    stage.hear(client);
    stage.heard(link);
    stage.say(client, call(&key));
    assert_eq!(stage.heard(link), call(&key), "it was to be forgotten");
    stage.answer(link, NOSCRIPT);
    assert_eq!(stage.hear(client), NOSCRIPT);
    load_everywhere(&mut stage, client, 1);
    stage.say(client, call(&key));
    assert_eq!(stage.heard(link), load() + &call(&key));
    stage.answer(link, "-NOPERM this user has no permissions\r\n:1\r\n");
    assert_eq!(stage.hear(client), ":1\r\n");
}

#[test]
fn another_client_relies_on_what_is_loaded_for_one_that_has_left() {
    let mut stage = Stage::new(redis_pool(1));
    let (client, other) = (stage.client(), stage.client());
    load_everywhere(&mut stage, client, 1);
    let link = stage.link(0);
    stage.narrow(link, 0);
    let key = stage.key(0);
    stage.say(client, call(&key));
    stage.vanish(client);
    stage.say(other, call(&key));
    stage.narrow(link, usize::MAX);
    assert_eq!(stage.heard(link), load() + &call(&key).repeat(2));
    stage.answer(link, bulk(SHA) + &":1\r\n".repeat(2));
    assert_eq!(stage.hear(other), ":1\r\n");
}

#[test]
fn a_late_server_owes_the_clients_the_calls_and_nobody_the_script() {
    for action in [TimeoutAction::Answer, TimeoutAction::Close] {
        let mut settings = redis_pool(1);
        settings.timeout = Some(Duration::from_millis(100));
        settings.failure.timeout_action = action;
        let mut stage = Stage::new(settings);
        let client = stage.client();
        load_everywhere(&mut stage, client, 1);
        let key = stage.key(0);
        let link = stage.link(0);
        stage.say(client, call(&key));
        stage.wait(150);
        let late = stage.hear(client);
        assert_eq!(late, "-ERR Connection timed out\r\n");
        if action == TimeoutAction::Answer {
            stage.heard(link);
            stage.answer(link, bulk(SHA) + ":1\r\n");
            call_and_answer(&mut stage, client, 0, false);
        } else {
            assert!(!stage.is_open(link));
            call_and_answer(&mut stage, client, 0, true);
        }
        assert_eq!(stage.ask(client, PING), "+PONG\r\n");
    }
}

#[test]
fn functions_and_long_scripts_are_never_loaded_by_the_proxy() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let key = stage.key(0);
    let long = format!("return '{}'", "x".repeat(70_000));
    for request in [
        redis(&["EVAL", &long, "1", &key]),
        redis(&["FCALL", SHA, "1", &key]),
        // The digest of nothing: a long script is not taken for it.
        redis(&[
            "EVALSHA",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "1",
            &key,
        ]),
        redis(&["EVALSHA", "nonsense", "1", &key]),
    ] {
        stage.say(client, &request);
        let link = stage.link(0);
        assert!(stage.heard(link) == request, "as it was sent");
        stage.answer(link, "$-1\r\n");
        assert_eq!(stage.hear(client), "$-1\r\n");
    }
}

#[test]
fn a_script_that_a_transaction_calls_is_loaded_ahead_of_it() {
    const TRIAL: &str = "*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n*1\r\n$7\r\nDISCARD\r\n";
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    load_everywhere(&mut stage, client, 1);
    let link = stage.link(0);
    let keyless = redis(&["EVALSHA", SHA, "0"]);
    let block = [&redis(&["MULTI"]), &*call("k"), &keyless, &redis(&["EXEC"])].concat();
    for is_first in [true, false] {
        stage.say(client, &block);
        if is_first {
            assert_eq!(stage.heard(link), TRIAL);
            stage.answer(link, "+OK\r\n*0\r\n-ERR DISCARD without MULTI\r\n");
            assert_eq!(stage.heard(link), load() + &block);
            stage.answer(link, bulk(SHA));
        } else {
            assert_eq!(stage.heard(link), block);
        }
        let queued = "+QUEUED\r\n".repeat(2);
        stage.answer(link, format!("+OK\r\n{queued}*2\r\n:1\r\n:1\r\n"));
        assert_eq!(
            stage.hear(client),
            format!("+OK\r\n{queued}*2\r\n:1\r\n:1\r\n")
        );
    }
    // With several servers nothing tells where one without keys is to run.
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    let heard = stage.ask(client, &block);
    let lines: Vec<&str> = heard.lines().collect();
    assert!(
        lines[2].starts_with("-ERR 'evalsha' without keys"),
        "{heard}"
    );
    assert!(lines[3].starts_with("-EXECABORT "), "{heard}");
}

#[test]
fn each_part_of_a_split_transaction_has_its_scripts_ahead_and_its_fragments() {
    let mut settings = redis_pool(2);
    settings.protocol = ProtocolSettings::Redis(RedisSettings {
        transactions: TransactionScope::PerShard,
        ..RedisSettings::default()
    });
    let mut stage = Stage::new(settings);
    let client = stage.client();
    load_everywhere(&mut stage, client, 2);
    let keys = [stage.key(0), stage.key(1)];
    let both = redis(&["MSETEX", "2", &keys[0], "a", &keys[1], "b", "EX", "9"]);
    let (multi, exec) = (redis(&["MULTI"]), redis(&["EXEC"]));
    stage.say(
        client,
        [&*multi, &call(&keys[0]), &both, &call(&keys[1]), &exec].concat(),
    );
    for server in [0, 1] {
        let link = stage.link(server);
        stage.heard(link);
        stage.answer(link, "+OK\r\n*0\r\n-ERR DISCARD without MULTI\r\n");
    }
    for (server, value, is_first) in [(0, "a", true), (1, "b", false)] {
        let part = redis(&["msetex", "1", &keys[server], value, "EX", "9"]);
        let parts = match is_first {
            true => call(&keys[server]) + &part,
            false => part + &call(&keys[server]),
        };
        let link = stage.link(server);
        let heard = stage.heard(link);
        assert_eq!(heard, load() + &multi + &parts + &exec, "{server}");
    }
    for (server, replies) in [(0, ":7\r\n:1\r\n"), (1, ":0\r\n:8\r\n")] {
        let queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n";
        stage.answer(stage.link(server), bulk(SHA) + queued + "*2\r\n" + replies);
    }
    let queued = "+OK\r\n".to_owned() + &"+QUEUED\r\n".repeat(3);
    assert_eq!(stage.hear(client), queued + "*3\r\n:7\r\n:0\r\n:8\r\n");
}
