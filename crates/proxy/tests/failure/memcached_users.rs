//! Users of memcached pools: who has to say who they are, and what each may do.

use std::sync::Arc;

use proxy::acl::{Acl, digest};
use proxy::limits::{AUTHENTICATE_WITHIN, FREE_FAILURES};
use proxy::metrics::PoolMetric;
use proxy::settings::PoolSettings;
use proxy::{MemcachedCommands, memcached_users};

use crate::stage::{Stage, memcached_pool};

/// `printf %s secret | sha256sum`
const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

const LOGIN: &str = "set x 0 0 10\r\napp secret\r\n";
const NOBODY: &str = "CLIENT_ERROR unauthenticated\r\n";
const WRONG: &str = "CLIENT_ERROR authentication failure\r\n";

/// A pool with these users, each with its rules; who has no `nopass` and is not `off` has the password.
fn with(pool: PoolSettings, users: &[(&str, &str)]) -> PoolSettings {
    let user = |(name, rules): &(&str, &str)| {
        let mut acl = Acl::new(true);
        acl.add(rules, &MemcachedCommands).expect(rules);
        if acl.enabled && !acl.nopass {
            let digest = digest(SECRET).expect("a digest");
            acl.add_digest(digest).expect("one");
        }
        (Box::from(*name), acl)
    };
    let users = memcached_users(users.iter().map(user).collect());
    PoolSettings {
        users: Some(Arc::new(users)),
        ..pool
    }
}

fn guarded(rules: &str) -> PoolSettings {
    with(memcached_pool(1), &[("app", rules)])
}

/// A client that has said who it is.
fn known(stage: &mut Stage) -> usize {
    let client = stage.client();
    assert_eq!(stage.ask(client, LOGIN), "STORED\r\n");
    client
}

/// Whether the only server gets exactly this request and its reply passes.
fn is_served(stage: &mut Stage, client: usize, request: &str, reply: &str) -> bool {
    stage.say(client, request);
    let [link] = stage.links(0)[..] else {
        return false;
    };
    if stage.heard(link) != request {
        return false;
    }
    stage.answer(link, reply);
    stage.hear(client) == reply
}

#[test]
fn whatever_is_asked_needs_a_login_first_and_nothing_is_logged() {
    let mut stage = Stage::new(guarded("+@all allkeys"));
    let client = stage.client();
    let lines = [
        "get a",
        "quit",
        "mn",
        "",
        "nonsense",
        "set x",
        "stats",
        "flush_all",
    ];
    for line in lines {
        let reply = stage.ask(client, format!("{line}\r\n"));
        assert_eq!(reply, NOBODY, "{line}");
    }
    // As of memcached: it is a line, and so is its data.
    assert_eq!(stage.ask(client, "add a 0 0 1\r\nv\r\n"), NOBODY.repeat(2));
    let bad = stage.ask(client, "set x 0 0 3\r\napp\r\n");
    assert_eq!(bad, "CLIENT_ERROR bad authentication token format\r\n");
    assert_eq!(stage.log, [""; 0]);
    assert_eq!(stage.count(PoolMetric::LoginFailures), 0);
    assert_eq!(stage.ask(client, LOGIN), "STORED\r\n");
    // A further one is a `set` as any.
    assert!(is_served(&mut stage, client, LOGIN, "STORED\r\n"));
    assert!(!stage.is_closed(client));
}

/// Every reply is given once, and what follows the login is sent, wherever the bytes are cut.
#[test]
fn a_login_in_pieces_is_the_same_and_what_follows_it_is_sent() {
    let before = "get a\r\nset x 0 0 9\r\napp wrong\r\nset x 0 0 10 noreply\r\napp secret\r\n";
    let behind = "set k 0 0 1\r\nv\r\nget k\r\n";
    let all = [before, behind].concat();
    let cuts = (0..all.len()).map(|cut| vec![&all[..cut], &all[cut..]]);
    let bytes = (0..all.len()).map(|at| &all[at..=at]).collect();
    for pieces in cuts.chain([bytes]) {
        let mut stage = Stage::new(guarded("+get +set ~k"));
        let client = stage.client();
        for piece in &pieces {
            stage.say(client, piece);
        }
        let link = stage.link(0);
        assert_eq!(stage.heard(link), behind, "{pieces:?}");
        stage.answer(link, "STORED\r\nEND\r\n");
        let expected = [NOBODY, WRONG, "STORED\r\nSTORED\r\nEND\r\n"].concat();
        assert_eq!(stage.hear(client), expected, "{pieces:?}");
    }
}

#[test]
fn requests_are_short_until_then() {
    let long = "k".repeat(2_048);
    let cases = [
        (
            format!("get {long}\r\n"),
            "CLIENT_ERROR line is longer than 2048 bytes\r\n",
        ),
        (
            "set x 0 0 2049\r\n".to_owned(),
            "CLIENT_ERROR unauthenticated: data of more than 2048 bytes\r\n",
        ),
        (
            "set x 0 0 2147483646\r\n".to_owned(),
            "CLIENT_ERROR unauthenticated: data of more than 2048 bytes\r\n",
        ),
        (
            "GET / HTTP/1.1\r\n".to_owned(),
            "CLIENT_ERROR HTTP is not supported\r\n",
        ),
    ];
    for (request, reply) in cases {
        for step in [request.len(), 1] {
            let mut stage = Stage::new(guarded("+@all allkeys"));
            let client = stage.client();
            for piece in request.as_bytes().chunks(step) {
                stage.say(client, piece);
            }
            assert_eq!(stage.hear(client), reply);
            assert!(stage.is_closed(client), "{reply}");
        }
    }
    let mut stage = Stage::new(guarded("+@all allkeys"));
    for _ in 0..100 {
        let client = stage.client();
        stage.say(client, "set x 0 0 2048\r\n");
        stage.say(client, "x".repeat(2_048));
    }
    assert!(stage.held() < 100 * 16 * 1024, "{}", stage.held());
    // Afterwards the usual limits apply, behind the login, too.
    let mut stage = Stage::new(guarded("+@all allkeys"));
    let client = stage.client();
    let large = format!("set k 0 0 100000\r\n{}\r\n", "v".repeat(100_000));
    stage.say(client, [LOGIN, &large].concat());
    let link = stage.link(0);
    assert_eq!(stage.heard(link), large);
    stage.answer(link, "STORED\r\n");
    assert_eq!(stage.hear(client), "STORED\r\nSTORED\r\n");
}

#[test]
fn who_does_not_say_who_it_is_is_closed_after_a_while() {
    let within = AUTHENTICATE_WITHIN.as_millis() as u64;
    let mut stage = Stage::new(guarded("+@all allkeys"));
    let known = known(&mut stage);
    let stranger = stage.client();
    stage.wait(within - 1);
    assert!(!stage.is_closed(stranger));
    stage.wait(within / 4 + 10);
    assert!(stage.is_closed(stranger) && !stage.is_closed(known));
}

#[test]
fn attempts_wait_after_many_failures() {
    let mut stage = Stage::new(guarded("+@all allkeys"));
    let client = stage.client();
    let failures = FREE_FAILURES as usize + 1;
    // Of an unknown user as of a known one.
    let wrong = "set x 0 0 12\r\nnobody wrong\r\n".repeat(failures);
    assert_eq!(stage.ask(client, wrong), WRONG.repeat(failures));
    let refused = "CLIENT_ERROR too many attempts to authenticate from this address have failed, the next is heard in 1 seconds\r\n";
    assert_eq!(stage.ask(client, LOGIN), refused);
    stage.wait(499);
    assert_eq!(stage.ask(client, LOGIN), refused);
    stage.wait(1);
    assert_eq!(stage.ask(client, LOGIN), "STORED\r\n");
    assert_eq!(stage.count(PoolMetric::LoginFailures), failures as i64);
    assert_eq!(stage.count(PoolMetric::LoginsRefused), 2);
    assert!(
        stage.log[0].contains("wrong name or password"),
        "{:?}",
        stage.log
    );
    assert!(!stage.log.join("").contains("secret"), "{:?}", stage.log);
}

/// Requests of a user with these rules, and of which it may not send: the words after the user's name.
const DENIED: &[(&str, &str, &str)] = &[
    ("+@read ~a*", "set a 0 0 1\r\nv\r\n", "may not use 'set'"),
    (
        "+@read ~a*",
        "get b\r\n",
        "may not use 'get' with one of its keys",
    ),
    (
        "+@read ~a*",
        "get a1 a2 b\r\n",
        "may not use 'get' with one of its keys",
    ),
    ("+@read ~a*", "gat 1 a\r\n", "may not use 'gat'"),
    (
        "+@read ~a*",
        "mg a v T0\r\n",
        "may not use flag 'T' of 'mg', which needs 'touch'",
    ),
    (
        "+@read ~a*",
        "mg a v N0\r\n",
        "may not use flag 'N' of 'mg', which needs 'add'",
    ),
    (
        "+@read ~a*",
        "mg a v X\r\n",
        "may not use flag 'X' of 'mg', which needs 'add'",
    ),
    ("+@read ~a*", "flush_all\r\n", "may not use 'flush_all'"),
    ("+@read ~a*", "stats\r\n", "may not use 'stats'"),
    ("+@read ~a*", "verbosity 1\r\n", "may not use 'verbosity'"),
    (
        "+@read ~a*",
        "me b\r\n",
        "may not use 'me' with one of its keys",
    ),
    ("+@read ~a*", "md a q\r\n", "may not use 'md'"),
    // It is `b`, and `a` in base64 is `YQ==`.
    (
        "+@read ~a* ~YQ*",
        "mg Yg== v b\r\n",
        "may not use 'mg' with one of its keys",
    ),
    (
        "+@all ~YQ*",
        "ms YQ== 1 b\r\nv\r\n",
        "may not use 'ms' with one of its keys",
    ),
    (
        "+@all %R~a",
        "set a 0 0 1\r\nv\r\n",
        "may not use 'set' with one of its keys",
    ),
    (
        "+@all %R~a",
        "mg a T0\r\n",
        "may not use 'mg' with one of its keys",
    ),
    (
        "+@all %W~a",
        "get a\r\n",
        "may not use 'get' with one of its keys",
    ),
    (
        "+@all %W~a",
        "incr a 1\r\n",
        "may not use 'incr' with one of its keys",
    ),
    (
        "+@all %W~a",
        "gats 0 a\r\n",
        "may not use 'gats' with one of its keys",
    ),
    (
        "+@all %W~a",
        "ma a v\r\n",
        "may not use 'ma' with one of its keys",
    ),
    ("", "get a\r\n", "may not use 'get'"),
];

#[test]
fn what_a_user_may_not_send_is_refused_as_a_whole() {
    for (rules, request, expected) in DENIED {
        let mut stage = Stage::new(guarded(rules));
        let client = known(&mut stage);
        let behind = "mn\r\nversion\r\n";
        let expected = format!("CLIENT_ERROR not permitted: user 'app' {expected}\r\n");
        stage.say(client, [request, behind].concat());
        let link = stage.link(0);
        assert_eq!(stage.heard(link), "version\r\n", "{rules}: {request}");
        stage.answer(link, "VERSION 1\r\n");
        let heard = stage.hear(client);
        assert_eq!(
            heard,
            [&expected, "MN\r\nVERSION 1\r\n"].concat(),
            "{rules}: {request}"
        );
        assert_eq!(stage.count(PoolMetric::NotPermitted), 1);
        assert!(
            stage.log[0].contains("user 'app' may not send '"),
            "{:?}",
            stage.log
        );
    }
}

#[test]
fn what_a_user_may_send_is_sent_as_it_is() {
    for (rules, request, reply) in [
        ("+@read ~a*", "get a1\r\n", "END\r\n"),
        ("+@read ~a*", "mg a v R30 s q\r\n", "EN\r\n"),
        ("+@read ~b", "mg Yg== v b\r\n", "EN\r\n"),
        ("+@read ~a*", "me a\r\n", "EN\r\n"),
        ("+mg +touch ~a", "mg a T0\r\n", "HD\r\n"),
        ("+@all %W~a", "set a 0 0 1\r\nv\r\n", "STORED\r\n"),
        ("+@all %W~a", "ma a\r\n", "HD\r\n"),
        ("+@all %R~a %W~a ~c", "get a\r\n", "END\r\n"),
        ("+@all -stats ~a", "ms a 1\r\nv\r\n", "HD\r\n"),
        ("", "version\r\n", "VERSION 1\r\n"),
        ("allkeys +@all", "get anything\r\n", "END\r\n"),
    ] {
        let mut stage = Stage::new(guarded(rules));
        let client = known(&mut stage);
        stage.say(client, request);
        let link = stage.link(0);
        // What is quiet is asked for.
        assert_eq!(stage.heard(link), request.replace(" q\r", "\r"), "{rules}");
        stage.answer(link, reply);
        let expected = if request.contains(" q\r") { "" } else { reply };
        assert_eq!(stage.hear(client), expected, "{rules}: {request}");
        assert_eq!(stage.count(PoolMetric::NotPermitted), 0);
    }
}

/// `noreply` is silent, its data is no request, and the value may come in pieces.
#[test]
fn the_data_of_a_refused_set_is_swallowed() {
    for length in [9, 200_000] {
        let data = "flush_all".repeat(length / 9 + 1);
        let data = &data[..length];
        let request =
            format!("set a 0 0 {length} noreply\r\n{data}\r\nset a 0 0 {length}\r\n{data}\r\n");
        let mut stage = Stage::new(guarded("+get ~a"));
        let client = known(&mut stage);
        for piece in request.as_bytes().chunks(50_000) {
            stage.say(client, piece);
        }
        let error = "CLIENT_ERROR not permitted: user 'app' may not use 'set'\r\n";
        assert_eq!(stage.hear(client), error);
        assert_eq!(stage.count(PoolMetric::NotPermitted), 2);
        assert!(is_served(&mut stage, client, "get a\r\n", "END\r\n"));
    }
}

#[test]
fn keys_of_several_servers_are_checked_before_anything_is_sent() {
    let mut stage = Stage::new(with(memcached_pool(3), &[("app", "+get ~s*")]));
    let client = known(&mut stage);
    let many: Vec<String> = (0..50).map(|number| format!("s{number}")).collect();
    let error = "CLIENT_ERROR not permitted: user 'app' may not use 'get' with one of its keys\r\n";
    let heard = stage.ask(client, format!("get {} other\r\n", many.join(" ")));
    assert_eq!(heard, error);
    assert!((0..3).all(|server| stage.links_ever(server) == 0));
}

#[test]
fn a_default_user_without_password_is_there_from_the_beginning() {
    let users = [("default", "nopass +set ~x"), ("app", "+@all allkeys")];
    let mut stage = Stage::new(with(memcached_pool(1), &users));
    let client = stage.client();
    let error = "CLIENT_ERROR not permitted: user 'default' may not use 'get'\r\n";
    assert_eq!(stage.ask(client, "get x\r\n"), error);
    // There is no way to become another one.
    assert!(is_served(&mut stage, client, LOGIN, "STORED\r\n"));
    assert_eq!(stage.ask(client, "get x\r\n"), error);
    assert_eq!(stage.listed(9)[0].about.user.as_deref(), Some("default"));
}

#[test]
fn other_users_take_effect_for_clients_that_are_connected() {
    let both = [("app", "+get ~a"), ("other", "+get ~a")];
    let mut stage = Stage::new(with(memcached_pool(1), &both));
    let client = known(&mut stage);
    let gone = stage.client();
    assert_eq!(
        stage.ask(gone, "set x 0 0 12\r\nother secret\r\n"),
        "STORED\r\n"
    );
    assert!(is_served(&mut stage, client, "get a\r\n", "END\r\n"));
    stage.apply(guarded("+get ~b"));
    assert!(stage.is_closed(gone) && !stage.is_closed(client));
    assert!(
        stage
            .ask(client, "get a\r\n")
            .starts_with("CLIENT_ERROR not permitted")
    );
    assert!(is_served(&mut stage, client, "get b\r\n", "END\r\n"));
    // Without users everything is permitted again.
    stage.apply(memcached_pool(1));
    assert!(is_served(&mut stage, client, "get a\r\n", "END\r\n"));
}

/// A client that was there before has to say who it is, and has time for that; what it had begun is no login.
#[test]
fn users_may_come_in_the_middle_of_a_request() {
    let within = AUTHENTICATE_WITHIN.as_millis() as u64;
    for (length, have) in [(10, 4), (100_000, 70_000)] {
        let request = format!(
            "set x 0 0 {length}\r\n{}\r\n",
            "app secret".repeat(length / 10)
        );
        let mut stage = Stage::new(memcached_pool(1));
        let [client, idle] = [(); 2].map(|()| stage.client());
        stage.say(client, &request[..have]);
        let at = request.find('\n').expect("a line") + 5;
        stage.say(client, &request[have..at.max(have)]);
        stage.apply(guarded("+get ~a"));
        let heard = stage.ask(client, &request[at.max(have)..]);
        assert_eq!(heard, NOBODY, "{length}");
        assert_eq!(stage.links_ever(0), 0);
        stage.wait(2 * within);
        assert!(!stage.is_closed(client) && !stage.is_closed(idle));
        assert_eq!(stage.ask(client, LOGIN), "STORED\r\n");
    }
}
