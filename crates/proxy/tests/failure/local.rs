//! Requests that the proxy answers itself, without any server.

use std::sync::Arc;

use proxy::limits::{MAX_CLIENT_NAME, MAX_KEY};
use proxy::settings::{ProtocolSettings, RedisSettings};

use crate::alone::Alone;
use crate::pubsub::subscriber;
use crate::stage::{Stage, redis_pool};
use crate::words::redis;

#[test]
fn a_password_is_asked_for_and_a_wrong_one_takes_the_right_one_back() {
    let auth = Some(Arc::from(&b"secret"[..]));
    let mut alone = Alone::with(RedisSettings {
        auth,
        ..RedisSettings::default()
    });
    let denied = "-NOAUTH Authentication required\r\n";
    assert_eq!(alone.ask("GET k"), denied);
    for wrong in ["secre", "secrets", "Secret", "x"] {
        assert_eq!(
            alone.ask(&format!("AUTH {wrong}")),
            "-ERR invalid password\r\n"
        );
        assert_eq!(alone.ask("GET k"), denied);
    }
    let wrong_pass = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    assert_eq!(alone.ask("AUTH somebody secret"), wrong_pass);
    assert_eq!(alone.ask("AUTH default x"), wrong_pass);
    assert_eq!(alone.ask("AUTH default secret"), "+OK\r\n");
    assert_eq!(alone.ask("ECHO hello"), "$5\r\nhello\r\n");
    assert_eq!(alone.ask("AUTH secret"), "+OK\r\n");
    assert_eq!(alone.ask("AUTH x"), "-ERR invalid password\r\n");
    assert_eq!(alone.ask("GET k"), denied);
    assert_eq!(alone.ask("AUTH secret"), "+OK\r\n");
    assert_eq!(alone.ask("RESET"), "+RESET\r\n");
    assert_eq!(alone.ask("GET k"), denied);
}

#[test]
fn without_a_password_nobody_needs_one() {
    let mut alone = Alone::new();
    assert_eq!(
        alone.ask("AUTH x"),
        "-ERR Client sent AUTH, but no password is set\r\n"
    );
    assert_eq!(alone.ask("AUTH default x"), "+OK\r\n");
    assert!(alone.ask("AUTH somebody x").starts_with("-WRONGPASS"));
    assert_eq!(alone.ask("PING"), "+PONG\r\n");
    assert_eq!(alone.ask("PING hello"), "$5\r\nhello\r\n");
    assert_eq!(alone.ask("SELECT 0"), "+OK\r\n");
    assert!(
        alone
            .ask("SELECT 1")
            .starts_with("-ERR DB index is out of range")
    );
    assert_eq!(
        alone.ask("SELECT x"),
        "-ERR value is not an integer or out of range\r\n"
    );
    assert_eq!(alone.ask("QUIT"), "+OK\r\n");
    assert!(alone.stage.is_closed(alone.client));
}

#[test]
fn clients_have_numbers_of_their_own_whatever_their_worker() {
    let mut stage = Stage::with_workers(redis_pool(1), 3, 7);
    let mut numbers = Vec::new();
    for worker in [0, 1, 2, 0, 2, 2] {
        let client = stage.client_of(worker);
        numbers.push(stage.ask(client, redis(&["CLIENT", "ID"])));
    }
    assert_eq!(
        numbers,
        [1, 2, 3, 4, 6, 9].map(|number| format!(":{number}\r\n"))
    );
}

#[test]
fn a_key_that_is_too_long_is_refused_wherever_it_stands() {
    let mut alone = Alone::new();
    let long = "k".repeat(MAX_KEY + 1);
    for (request, name) in [
        (vec!["GET", &long], "get"),
        (vec!["MGET", "a", &long], "mget"),
        (vec!["MSET", "a", "1", &long, "2"], "mset"),
        (vec!["SINTER", "a", "b", &long], "sinter"),
    ] {
        let reply = alone.stage.ask(alone.client, redis(&request));
        let expected = format!("-ERR key of '{name}' is longer than {MAX_KEY} bytes\r\n");
        assert_eq!(reply, expected);
        assert_eq!(alone.stage.links_ever(0), 0);
    }
    let longest = redis(&["GET", &long[1..]]);
    alone.stage.say(alone.client, &longest);
    let link = alone.stage.link(0);
    assert_eq!(alone.stage.heard(link), longest);
}

#[test]
fn an_argument_that_arrives_in_pieces_and_is_too_long_is_never_taken_for_an_empty_one() {
    let too_long = "-ERR an argument is too long for a command that the proxy answers itself\r\n";
    let long = "x".repeat(70_000);
    let ask = |stage: &mut Stage, client: usize, words: &[&str]| {
        for piece in redis(words).as_bytes().chunks(10_000) {
            stage.say(client, piece);
        }
        stage.hear(client)
    };
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let named = ask(&mut stage, client, &["CLIENT", "SETNAME", "n"]);
    assert_eq!(named, "+OK\r\n");
    for words in [
        &["PING", &long][..],
        &["ECHO", &long],
        &["CLIENT", "SETNAME", &long],
        &["CLIENT", "SETINFO", "LIB-NAME", &long],
        &["HELLO", "2", "SETNAME", &long],
        &["COMMAND", "GETKEYS", "GET", &long],
        &["PUBSUB", "NUMSUB", &long],
    ] {
        let reply = ask(&mut stage, client, words);
        assert_eq!(reply, too_long, "{}", words[0]);
    }
    let name = ask(&mut stage, client, &["CLIENT", "GETNAME"]);
    assert_eq!(name, "$1\r\nn\r\n");
    let words = ["COMMAND", "GETKEYS", "SET", "k", &long];
    assert_eq!(ask(&mut stage, client, &words), "*1\r\n$1\r\nk\r\n");
    assert_eq!(stage.links_ever(0), 0);
    let (mut stage, client, ..) = subscriber(redis_pool(1));
    assert_eq!(ask(&mut stage, client, &["PING", &long]), too_long);
}

#[test]
fn a_clients_name_is_short_and_has_no_spaces() {
    let mut alone = Alone::new();
    let longest = "n".repeat(MAX_CLIENT_NAME);
    for (name, is_fine) in [
        ("worker-1", true),
        ("two words", false),
        ("new\nline", false),
        (&longest, true),
        (&format!("{longest}n"), false),
    ] {
        let reply = alone
            .stage
            .ask(alone.client, redis(&["CLIENT", "SETNAME", name]));
        assert_eq!(reply == "+OK\r\n", is_fine, "{name:?}: {reply}");
        let kept = alone.ask("CLIENT GETNAME").contains(name);
        assert_eq!(kept, is_fine, "{name:?}");
    }
}

#[test]
fn what_hello_is_told_besides_is_taken_or_named() {
    let mut alone = Alone::new();
    assert!(alone.ask("HELLO 2 SETNAME worker").contains("proto"));
    assert_eq!(alone.ask("CLIENT GETNAME"), "$6\r\nworker\r\n");
    for rest in ["FOO a b", "FOO", "AUTH a", "SETNAME", "SETNAME other FOO"] {
        let option = rest.trim_start_matches("SETNAME other ").split(' ').next();
        let expected = format!(
            "-ERR Syntax error in HELLO option '{}'\r\n",
            option.unwrap_or_default()
        );
        assert_eq!(alone.ask(&format!("HELLO 2 {rest}")), expected);
    }
    assert_eq!(alone.ask("CLIENT GETNAME"), "$6\r\nworker\r\n");
}

#[test]
fn a_plan_that_takes_the_password_away_asks_nobody_for_it() {
    let with = |password: Option<&str>| {
        let auth = password.map(|password| Arc::from(password.as_bytes()));
        let mut settings = redis_pool(1);
        settings.protocol = ProtocolSettings::Redis(RedisSettings {
            auth,
            ..RedisSettings::default()
        });
        settings
    };
    let mut stage = Stage::new(with(Some("secret")));
    let client = stage.client();
    let denied = "-NOAUTH Authentication required\r\n";
    assert_eq!(stage.ask(client, redis(&["GET", "k"])), denied);
    stage.publish(with(None));
    stage.say(client, redis(&["GET", "k"]));
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n");
    stage.say(client, redis(&["HELLO", "3"]));
    let newer = stage.links(0)[1];
    stage.answer(newer, "%1\r\n$5\r\nproto\r\n:3\r\n");
    assert!(stage.hear(client).starts_with("%7\r\n"));
    stage.publish(with(Some("secret")));
    assert_eq!(stage.ask(client, redis(&["GET", "k"])), denied);
}
