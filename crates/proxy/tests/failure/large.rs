//! A request of very many keys is split in turns, and joined in turns, so that no client keeps a worker from the others.

use proxy::limits::TURN_KEYS;
use proxy::settings::PoolSettings;

use crate::stage::{Stage, memcached_pool, redis_pool};
use crate::words::{PING, REFUSED, bulk, get, redis};

const COUNT: usize = 3 * TURN_KEYS;
const PONG: &str = "+PONG\r\n";

fn stage(settings: PoolSettings) -> Stage {
    let mut stage = Stage::new(settings);
    stage.ticks_by_hand = true;
    stage
}

fn keys() -> Vec<String> {
    (0..COUNT).map(|key| format!("k{key}")).collect()
}

fn command(name: &str) -> String {
    let keys = keys();
    let words: Vec<&str> = keys.iter().map(String::as_str).collect();
    redis(&[&[name], &words[..]].concat())
}

/// Says it in pieces, as a socket is read: no chunk has the whole request.
fn say(stage: &mut Stage, client: usize, request: impl AsRef<[u8]>) {
    for piece in request.as_ref().chunks(64 << 10) {
        stage.say(client, piece);
    }
}

/// Lets the proxy do what is due at once, at most so many turns; returns how many it took.
fn work(stage: &mut Stage, most: usize) -> usize {
    let start = stage.now();
    for turn in 0..most {
        match stage.next_due() {
            Some((due, _)) if due <= start => stage.tick(),
            _ => return turn,
        }
    }
    most
}

/// How many keys the server was asked for by the one request that it has heard.
fn asked(stage: &mut Stage, server: usize) -> usize {
    let heard = stage.heard(stage.link(server));
    assert_eq!(heard.matches('*').count(), 1, "one request for each server");
    heard.matches('$').count() - 1
}

#[test]
fn others_are_served_between_the_turns() {
    let mut stage = stage(redis_pool(2));
    let [many, other] = [(); 2].map(|()| stage.client());
    say(&mut stage, many, command("EXISTS") + PING);
    for turn in 0..6 {
        assert_eq!(stage.ask(other, PING), PONG, "before turn {turn}");
        assert!(
            stage.links(0).is_empty(),
            "nothing is sent before turn {turn}"
        );
        assert_eq!(work(&mut stage, 1), 1);
    }
    let counts = [0, 1].map(|server| asked(&mut stage, server));
    assert_eq!(counts[0] + counts[1], COUNT);
    assert_eq!(work(&mut stage, 9), 1, "what came behind it");
    for (server, count) in counts.into_iter().enumerate() {
        assert_eq!(stage.hear(many), "");
        stage.answer(stage.link(server), format!(":{count}\r\n"));
    }
    assert_eq!(stage.hear(many), format!(":{COUNT}\r\n{PONG}"));
    assert_eq!(stage.next_due(), None);
}

#[test]
fn the_replies_are_joined_in_turns() {
    let mut stage = stage(redis_pool(2));
    let client = stage.client();
    say(&mut stage, client, command("MGET"));
    work(&mut stage, 99);
    let [first, second] = [0, 1].map(|server| asked(&mut stage, server));
    let nulls = |count| format!("*{count}\r\n{}", "$-1\r\n".repeat(count));
    stage.answer(stage.link(0), nulls(first));
    assert_eq!(stage.hear(client), "");
    stage.answer(stage.link(1), nulls(second));
    let piece = "$-1\r\n".repeat(TURN_KEYS);
    assert_eq!(stage.hear(client), format!("*{COUNT}\r\n{piece}"));
    for _ in 0..2 {
        assert_eq!(stage.hear(client), "");
        stage.tick();
        assert_eq!(stage.hear(client), piece);
    }
    assert_eq!(stage.next_due(), None);
    assert_eq!(stage.ask(client, PING), PONG);
}

#[test]
fn memcached_has_the_same_turns() {
    let mut stage = stage(memcached_pool(2));
    let client = stage.client();
    say(
        &mut stage,
        client,
        format!("get {}\r\nz\r\n", keys().join(" ")),
    );
    assert_eq!(work(&mut stage, 99), 7);
    for server in [0, 1] {
        let heard = stage.heard(stage.link(server));
        assert!(heard.starts_with("get k") && heard.ends_with("\r\n"));
        stage.answer(stage.link(server), "END\r\n");
    }
    work(&mut stage, 99);
    assert_eq!(
        stage.hear(client),
        "END\r\nERROR unsupported command 'z'\r\n"
    );
}

/// An MSET of large values among very many small ones.
fn mset() -> String {
    let large = "v".repeat(100_000);
    let mut words = vec!["MSET".to_owned()];
    for (at, key) in keys().into_iter().enumerate() {
        words.push(key);
        words.push(if at % 20_000 == 7 {
            large.clone()
        } else {
            at.to_string()
        });
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    redis(&words)
}

#[test]
fn large_values_come_with_their_keys() {
    let mut stage = stage(redis_pool(2));
    let client = stage.client();
    let request = mset();
    say(&mut stage, client, request);
    work(&mut stage, 99);
    let mut pairs = 0;
    for server in [0, 1] {
        let heard = stage.heard(stage.link(server));
        let words: Vec<&str> = heard.split("\r\n").skip(4).step_by(2).collect();
        for pair in words.chunks_exact(2) {
            let at: usize = pair[0][1..].parse().expect("a key");
            match at % 20_000 {
                7 => assert_eq!(pair[1].len(), 100_000),
                _ => assert_eq!(pair[1], at.to_string()),
            }
            pairs += 1;
        }
        stage.answer(stage.link(server), "+OK\r\n");
    }
    assert_eq!(pairs, COUNT);
    assert_eq!(stage.hear(client), "+OK\r\n");
}

#[test]
fn it_begins_anew_when_a_server_is_ejected_meanwhile() {
    for turns in 0..6 {
        let mut settings = redis_pool(3);
        settings.auto_eject_hosts = true;
        let mut stage = stage(settings);
        let client = stage.client();
        say(&mut stage, client, command("EXISTS"));
        assert_eq!(work(&mut stage, turns), turns);
        stage.eject(2);
        work(&mut stage, 99);
        let counts = [0, 1].map(|server| asked(&mut stage, server));
        assert_eq!(counts[0] + counts[1], COUNT, "after {turns} turns");
    }
}

#[test]
fn it_begins_anew_when_the_plan_changes_meanwhile() {
    for turns in 0..6 {
        let mut stage = stage(redis_pool(2));
        let client = stage.client();
        say(&mut stage, client, command("EXISTS"));
        assert_eq!(work(&mut stage, turns), turns);
        stage.apply(redis_pool(3));
        work(&mut stage, 99);
        let counts = [0, 1, 2].map(|server| asked(&mut stage, server));
        assert_eq!(counts.iter().sum::<usize>(), COUNT, "after {turns} turns");
        assert!(counts[2] > 0, "after {turns} turns");
    }
}

#[test]
fn it_waits_for_requests_on_a_connection_that_is_draining() {
    let mut stage = stage(redis_pool(2));
    let client = stage.client();
    let first = get(&stage.key(1));
    say(&mut stage, client, first + &command("EXISTS"));
    work(&mut stage, 2);
    // The second server leaves; what it owes is to be answered first.
    let leaving = stage.link(1);
    stage.apply(redis_pool(1));
    assert_eq!(work(&mut stage, 99), 1);
    assert!(stage.links(0).is_empty());
    stage.answer(leaving, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v"));
    work(&mut stage, 99);
    assert_eq!(asked(&mut stage, 0), COUNT);
    stage.answer(stage.link(0), format!(":{COUNT}\r\n"));
    assert_eq!(stage.hear(client), format!(":{COUNT}\r\n"));
}

#[test]
fn it_fails_when_no_server_is_left() {
    let mut settings = redis_pool(2);
    settings.auto_eject_hosts = true;
    let mut stage = stage(settings);
    let client = stage.client();
    say(&mut stage, client, command("MGET") + PING);
    work(&mut stage, 1);
    stage.eject(0);
    stage.eject(1);
    work(&mut stage, 99);
    assert_eq!(stage.hear(client), REFUSED.to_owned() + PONG);
}

#[test]
fn a_client_that_has_ended_gets_its_reply_and_one_that_is_gone_leaves_nothing() {
    let mut stage = stage(redis_pool(1));
    // With one server it is no split request.
    let [ended, gone] = [(); 2].map(|()| stage.client());
    stage.apply(redis_pool(2));
    for client in [ended, gone] {
        say(&mut stage, client, command("EXISTS"));
    }
    work(&mut stage, 1);
    stage.end(ended);
    stage.vanish(gone);
    work(&mut stage, 99);
    let counts = [0, 1].map(|server| asked(&mut stage, server));
    for (server, count) in counts.into_iter().enumerate() {
        stage.answer(stage.link(server), format!(":{count}\r\n"));
    }
    assert_eq!(stage.hear(ended), format!(":{COUNT}\r\n"));
    assert!(stage.is_closed(ended));
    assert!(stage.held() < 8_192, "{} bytes are held", stage.held());
}

#[test]
fn what_it_holds_counts_as_memory() {
    let mut stage = stage(redis_pool(2));
    let client = stage.client();
    let request = command("EXISTS");
    let len = request.len();
    say(&mut stage, client, request);
    for turn in 0..5 {
        let held = stage.held();
        assert!(held > len, "{held} of {len} in turn {turn}");
        stage.tick();
    }
    stage.tick();
    stage.shut_down();
}
