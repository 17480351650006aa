//! What the proxy answers by itself, it answers in turns, so that no client keeps a worker from the others.

use proxy::limits::{TURN_BYTES, TURN_REQUESTS};
use proxy::settings::PoolSettings;

use crate::stage::{ConnectResult, Stage, memcached_pool, redis_pool};
use crate::words::{HELLO_3, PING, REFUSED, get, redis};

const PONG: &str = "+PONG\r\n";
const TURN: usize = TURN_REQUESTS as usize;

fn stage(settings: PoolSettings) -> Stage {
    let mut stage = Stage::new(settings);
    stage.ticks_by_hand = true;
    stage
}

#[test]
fn every_client_gets_its_turn() {
    let mut stage = stage(redis_pool(1));
    let [busy, other] = [(); 2].map(|()| stage.client());
    stage.say(busy, PING.repeat(2 * TURN + 10));
    assert_eq!(stage.hear(busy), PONG.repeat(TURN));
    // More of the same client in this tick, and others.
    stage.say(busy, PING.repeat(5));
    assert_eq!(stage.hear(busy), "");
    assert_eq!(stage.ask(other, PING), PONG);
    stage.tick();
    assert_eq!(stage.hear(busy), PONG.repeat(TURN));
    stage.tick();
    assert_eq!(stage.hear(busy), PONG.repeat(10), "one piece of its input");
    stage.tick();
    assert_eq!(stage.hear(busy), PONG.repeat(5));
    assert_eq!(stage.next_due(), None, "all is answered");
}

#[test]
fn a_turn_ends_with_many_bytes_too() {
    let mut stage = stage(redis_pool(1));
    let client = stage.client();
    stage.say(client, redis(&["COMMAND"]).repeat(3));
    let first = stage.hear(client);
    assert!(first.len() > TURN_BYTES, "one takes more than a turn");
    for _ in 0..2 {
        stage.tick();
        assert_eq!(stage.hear(client), first);
    }
    stage.tick();
    assert_eq!(stage.next_due(), None, "nothing is left for another turn");
}

/// What a pool answers at once or passes over.
fn cheap() -> [(PoolSettings, &'static str); 6] {
    [
        (redis_pool(1), "HELLO 9\r\n"),
        (redis_pool(1), "\r\n"),
        (redis_pool(1), "ECHO x\r\n"),
        (redis_pool(1), "nonsense\r\n"),
        (memcached_pool(1), "z\r\n"),
        (memcached_pool(1), "\r\n"),
    ]
}

#[test]
fn whatever_is_answered_at_once_counts() {
    for (settings, line) in cheap() {
        let mut stage = stage(settings);
        let [one, many] = [(); 2].map(|()| stage.client());
        let reply = stage.ask(one, line);
        stage.say(many, line.repeat(TURN + 3));
        assert_eq!(stage.hear(many), reply.repeat(TURN), "{line:?}");
        stage.tick();
        assert_eq!(stage.hear(many), reply.repeat(3), "{line:?}");
    }
}

#[test]
fn so_does_what_fails_at_once() {
    let mut settings = redis_pool(1);
    settings.auto_eject_hosts = true;
    let mut stage = Stage::new(settings);
    stage.eject(0);
    stage.ticks_by_hand = true;
    let client = stage.client();
    stage.say(client, get("k").repeat(TURN + 1));
    assert_eq!(stage.hear(client), REFUSED.repeat(TURN));
    stage.tick();
    assert_eq!(stage.hear(client), REFUSED);
}

#[test]
fn the_order_of_replies_stays_and_requests_to_servers_do_not_count() {
    let mut stage = stage(redis_pool(1));
    stage.set_connect_result(0, ConnectResult::Open);
    let client = stage.client();
    let requests = get("a") + &PING.repeat(TURN) + &get("b") + PING;
    stage.say(client, requests);
    let link = stage.link(0);
    assert_eq!(stage.heard(link), get("a"));
    stage.answer(link, "$1\r\nA\r\n");
    assert_eq!(
        stage.hear(client),
        "$1\r\nA\r\n".to_owned() + &PONG.repeat(TURN)
    );
    assert_eq!(stage.heard(link), "", "it is not its turn");
    stage.tick();
    assert_eq!(stage.heard(link), get("b"));
    assert_eq!(stage.hear(client), "");
    stage.answer(link, "$1\r\nB\r\n");
    assert_eq!(stage.hear(client), "$1\r\nB\r\n".to_owned() + PONG);

    let many = 10 * TURN;
    stage.say(client, redis(&["SET", "k", "v"]).repeat(many));
    assert_eq!(stage.heard(link), redis(&["SET", "k", "v"]).repeat(many));
}

#[test]
fn a_client_that_ends_before_its_turn_gets_everything() {
    let mut stage = stage(redis_pool(1));
    let [one, gone] = [(); 2].map(|()| stage.client());
    stage.say(one, PING.repeat(TURN + 3));
    stage.end(one);
    stage.say(gone, PING.repeat(TURN + 3));
    stage.vanish(gone);
    assert!(!stage.is_closed(one));
    stage.tick();
    assert_eq!(stage.hear(one), PONG.repeat(TURN + 3));
    stage.tick();
    assert!(stage.is_closed(one));
}

#[test]
fn what_waits_for_another_version_waits_beyond_a_turn() {
    let mut stage = stage(redis_pool(1));
    let client = stage.client();
    stage.say(
        client,
        PING.repeat(TURN) + &redis(&["HELLO", "3"]) + &get("k"),
    );
    assert_eq!(stage.hear(client), PONG.repeat(TURN));
    stage.tick();
    let link = stage.link(0);
    assert_eq!(stage.heard(link), redis(&["HELLO", "3"]));
    stage.tick();
    assert_eq!(stage.heard(link), "", "nothing goes in the old version");
    stage.answer(link, HELLO_3);
    assert!(stage.hear(client).starts_with("%7\r\n"));
    assert_eq!(stage.heard(link), get("k"));
}
