//! Clients of a pool with a password that have not given it: little is read of them, nothing is done for them,
//! and they do not stay.

use proxy::limits::{AUTHENTICATE_WITHIN, UNAUTHENTICATED_BYTES};
use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings};

use crate::stage::{Stage, redis_pool};
use crate::words::{PING, get, redis, set};

const NOAUTH: &str = "-NOAUTH Authentication required\r\n";

fn guarded() -> PoolSettings {
    let mut settings = redis_pool(1);
    settings.protocol = ProtocolSettings::Redis(RedisSettings {
        auth: Some((*b"secret").into()),
        ..RedisSettings::default()
    });
    settings
}

fn auth() -> String {
    redis(&["AUTH", "secret"])
}

#[test]
fn whatever_is_asked_needs_the_password_first_and_nothing_is_logged() {
    let mut stage = Stage::new(guarded());
    let client = stage.client();
    let asked = [
        PING.to_owned(),
        get("k"),
        redis(&["nonsense"]),
        redis(&["GET"]),
        redis(&["EVAL", "return 1", "x"]),
        "z\r\n".into(),
    ];
    assert_eq!(
        stage.ask(client, asked.concat()),
        NOAUTH.repeat(asked.len())
    );
    let wrong_number = stage.ask(client, redis(&["AUTH"]));
    assert!(
        wrong_number.starts_with("-ERR wrong number"),
        "{wrong_number}"
    );
    assert_eq!(stage.log, [""; 0]);
    assert_eq!(stage.ask(client, redis(&["AUTH", "secret"])), "+OK\r\n");
    assert_eq!(stage.ask(client, PING), "+PONG\r\n");
}

#[test]
fn requests_are_short_until_the_password_was_given() {
    let most = "x".repeat(16 << 10);
    let more = "x".repeat((16 << 10) + 1);
    let cases = [
        (redis(&["ECHO", &most]), NOAUTH, false),
        (redis(&["x"; 10]), NOAUTH, false),
        (
            format!("*2\r\n$4\r\nECHO\r\n${}\r\n", more.len()),
            "-ERR Protocol error: unauthenticated bulk length\r\n",
            true,
        ),
        (
            "*11\r\n".into(),
            "-ERR Protocol error: unauthenticated multibulk length\r\n",
            true,
        ),
    ];
    for (request, reply, is_closed) in cases {
        // In one piece and byte by byte.
        for step in [request.len(), 1] {
            let mut stage = Stage::new(guarded());
            let client = stage.client();
            for piece in request.as_bytes().chunks(step) {
                stage.say(client, piece);
            }
            assert_eq!(stage.hear(client), reply);
            assert_eq!(stage.is_closed(client), is_closed);
        }
    }
    // Afterwards the usual limits apply, in the same packet, too.
    let mut stage = Stage::new(guarded());
    let client = stage.client();
    let large = set("k", &more);
    stage.say(client, auth() + &large + &redis(&["ECHO"; 11]));
    let link = stage.link(0);
    stage.answer(link, "+OK\r\n");
    assert_eq!(stage.heard(link), auth() + &large);
    stage.answer(link, "+OK\r\n");
    let heard = stage.hear(client);
    let arity = "-ERR wrong number of arguments for 'echo' command\r\n";
    assert_eq!(heard, "+OK\r\n+OK\r\n".to_owned() + arity);
}

#[test]
fn memory_is_not_taken_before_that() {
    let mut stage = Stage::new(guarded());
    for _ in 0..100 {
        let client = stage.client();
        stage.say(client, "*2\r\n$4\r\nECHO\r\n$16384\r\n");
        stage.say(client, "x".repeat(16 << 10));
        stage.say(client, "x".repeat(16 << 10));
    }
    assert!(stage.held() < 100 * 64 * 1024, "{}", stage.held());
}

#[test]
fn who_reads_nothing_or_sends_without_end_is_closed() {
    // Few requests at a time, and replies that it does not read.
    let mut stage = Stage::new(guarded());
    let client = stage.client();
    let mut asked = 0;
    while !stage.is_closed(client) {
        stage.say(client, PING.repeat(10));
        asked += 10;
        assert!(asked * NOAUTH.len() < 2 * UNAUTHENTICATED_BYTES);
    }
    assert!(asked * NOAUTH.len() > UNAUTHENTICATED_BYTES);
    // Many at a time: those that wait for their turn count, too.
    let mut stage = Stage::new(guarded());
    stage.ticks_by_hand = true;
    let [greedy, other] = [(); 2].map(|()| stage.client());
    let many = PING.repeat(UNAUTHENTICATED_BYTES / PING.len() / 2 + 100);
    stage.say(greedy, &many);
    assert!(!stage.is_closed(greedy));
    stage.say(greedy, &many);
    assert!(stage.is_closed(greedy));
    // One with the password may, and one that had it.
    let wrong = redis(&["AUTH", "wrong"]);
    stage.say(other, auth() + &many + &wrong + &many);
    stage.say(other, &many);
    for _ in 0..1_000 {
        stage.tick();
    }
    assert!(!stage.is_closed(other));
    let heard = stage.hear(other);
    assert!(heard.starts_with("+OK\r\n+PONG\r\n") && heard.ends_with(NOAUTH));
}

#[test]
fn who_does_not_give_it_is_closed_after_a_while() {
    let within = AUTHENTICATE_WITHIN.as_millis() as u64;
    let mut stage = Stage::new(guarded());
    let [idle, busy, known, revoked] = [(); 4].map(|()| stage.client());
    for client in [known, revoked] {
        assert_eq!(stage.ask(client, auth()), "+OK\r\n");
    }
    let wrong = stage.ask(revoked, redis(&["AUTH", "wrong"]));
    assert_eq!(wrong, "-ERR invalid password\r\n");
    for _ in 0..10 {
        stage.wait(within / 10 - 1);
        assert_eq!(stage.ask(busy, PING), NOAUTH);
    }
    assert!(!stage.is_closed(idle) && !stage.is_closed(busy));
    stage.wait(within / 4 + 10);
    assert!(stage.is_closed(idle) && stage.is_closed(busy));
    assert!(!stage.is_closed(known) && !stage.is_closed(revoked));
    let line = "closing client that has not given the password of the pool";
    assert_eq!(stage.log, [format!("{line}; and 1 more like it")]);
    stage.wait(10 * within);
    assert_eq!(stage.next_due(), None, "nobody is left to wait for");
    assert!(!stage.is_closed(known) && !stage.is_closed(revoked));
    // A pool without a password has no strangers.
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.wait(10 * within);
    assert!(!stage.is_closed(client));
}
