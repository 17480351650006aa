//! What the proxy answers by itself, it answers in turns, so that no client keeps a worker from the others.

use proxy::limits::{BROADCAST_WINDOW, TURN_BYTES, TURN_REQUESTS};
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

/// The requests of one client that go to both servers, each answered with what `answer` makes of the server's and the
/// request's numbers; returns what the client is told.
fn told_by_all(
    settings: PoolSettings,
    request: &str,
    count: usize,
    answer: impl Fn(usize, usize) -> String,
) -> String {
    let mut stage = stage(settings);
    let client = stage.client();
    stage.say(client, request.repeat(count));
    let links = [stage.link(0), stage.link(1)];
    let (mut heard, mut most, mut told) = ([0; 2], 0, String::new());
    for answered in 0..count {
        for (server, link) in links.into_iter().enumerate() {
            heard[server] += stage.heard(link).matches(request).count();
        }
        assert_eq!(heard[0], heard[1]);
        most = most.max(heard[0] - answered);
        for (server, link) in links.into_iter().enumerate() {
            stage.answer(link, answer(server, answered));
        }
        told += &stage.hear(client);
    }
    assert_eq!(most, BROADCAST_WINDOW, "{request:?}");
    assert_eq!(stage.next_due(), None, "all is answered");
    told
}

/// They keep every server busy, and the worker when it joins the answers.
#[test]
fn few_requests_to_every_server_are_under_way_and_all_are_answered_in_order() {
    let count = 5 * BROADCAST_WINDOW;
    let items = |server: usize, number: usize| {
        let items = 1_000 * server + number;
        format!("STAT curr_items {items}\r\nEND\r\n")
    };
    let told = told_by_all(memcached_pool(2), "stats\r\n", count, items);
    let sum = |number: usize| {
        let items = 1_000 + 2 * number;
        format!("STAT curr_items {items}\r\nSTAT servers_missing 0\r\nEND\r\n")
    };
    assert_eq!(told, (0..count).map(sum).collect::<String>());
    let flush = redis(&["FLUSHALL"]);
    let told = told_by_all(redis_pool(2), &flush, count, |_, _| "+OK\r\n".into());
    assert_eq!(told, "+OK\r\n".repeat(count));
}

#[test]
fn those_that_fail_at_once_take_turns() {
    let mut settings = memcached_pool(2);
    settings.auto_eject_hosts = true;
    let mut stage = Stage::new(settings);
    stage.eject(0);
    stage.eject(1);
    stage.ticks_by_hand = true;
    let client = stage.client();
    stage.say(client, "stats\r\n".repeat(TURN + 3));
    let told = stage.hear(client);
    let line = told.lines().next().expect("an error").to_owned() + "\r\n";
    assert!(line.starts_with("SERVER_ERROR "), "{line}");
    assert_eq!(told, line.repeat(TURN));
    stage.tick();
    assert_eq!(stage.hear(client), line.repeat(3));
}
