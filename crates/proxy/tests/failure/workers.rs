//! Requests about the clients of all workers: each worker does its part, and one that does not answer is told of.

use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings};

use crate::stage::{Stage, redis_pool};
use crate::waiting::CLIENT_ID;
use crate::words::{PING, bulk, get, redis};

/// What is said where a worker does not answer.
const BUSY: &str = "-ERR a worker of the proxy is too busy to answer; others may have done it\r\n";

fn administered() -> PoolSettings {
    let mut pool = redis_pool(1);
    pool.protocol = ProtocolSettings::Redis(RedisSettings {
        admin_commands: true,
        ..RedisSettings::default()
    });
    pool
}

/// Three workers with two clients each: client 0 and 3 are of worker 0, and so on. Their numbers are 1 to 6.
fn stage(pool: PoolSettings) -> Stage {
    let mut stage = Stage::with_workers(pool, 3, 7);
    for number in 0..6 {
        let client = stage.client_of(number % 3);
        let id = stage.ask(client, redis(&["CLIENT", "ID"]));
        assert_eq!(id, format!(":{}\r\n", number + 1));
    }
    stage
}

fn client(words: &[&str]) -> String {
    redis(&[&["CLIENT"], words].concat())
}

/// The numbers of the clients that are listed.
fn listed(stage: &mut Stage, asker: usize, words: &[&str]) -> Vec<u64> {
    let list = stage.ask(asker, client(&[&["LIST"], words].concat()));
    let (_, lines) = list.split_once("\r\n").expect("a bulk string");
    let number = |line: &str| line.strip_prefix("id=")?.split(' ').next()?.parse().ok();
    lines.lines().filter_map(number).collect()
}

#[test]
fn clients_of_all_workers_are_listed_in_order() {
    let mut stage = stage(redis_pool(1));
    for asker in 0..6 {
        assert_eq!(listed(&mut stage, asker, &[]), [1, 2, 3, 4, 5, 6]);
    }
    assert_eq!(listed(&mut stage, 1, &["ID", "6", "1", "9"]), [1, 6]);
    // As a line, it is asked of the others as an array.
    let list = stage.ask(0, "CLIENT LIST ID 2 3\r\n");
    assert_eq!(list.matches("id=").count(), 2, "{list}");
    stage.vanish(4);
    assert_eq!(listed(&mut stage, 0, &["TYPE", "normal"]), [1, 2, 3, 4, 6]);
    let odd = stage.ask(0, client(&["LIST", "TYPE", "odd"]));
    assert_eq!(odd, "-ERR Unknown client type 'odd'\r\n");
}

#[test]
fn the_reply_keeps_its_place_and_what_follows_does_not_wait_for_it() {
    let mut stage = stage(redis_pool(1));
    stage.busy_workers = [Some(2), None];
    let request = [client(&["LIST"]), get("k"), PING.to_owned()].concat();
    assert_eq!(stage.ask(0, request), "");
    let link = stage.link(0);
    assert_eq!(stage.heard(link), get("k"), "it is sent at once");
    stage.answer(link, bulk("v"));
    assert_eq!(stage.hear(0), "");
    stage.wait(999);
    assert_eq!(stage.hear(0), "");
    stage.wait(1);
    assert_eq!(stage.hear(0), format!("{BUSY}{}+PONG\r\n", bulk("v")));
    // One that cannot even be asked is not waited for.
    stage.busy_workers = [None, Some(1)];
    assert_eq!(stage.ask(0, client(&["LIST"])), BUSY);
    stage.busy_workers = [None, None];
    assert_eq!(listed(&mut stage, 0, &[]).len(), 6);
}

#[test]
fn who_leaves_meanwhile_gets_nothing_and_nobody_else_does() {
    let mut stage = stage(redis_pool(1));
    stage.busy_workers = [Some(1), None];
    assert_eq!(stage.ask(0, client(&["LIST"])), "");
    stage.vanish(0);
    let next = stage.client_of(0);
    assert_eq!(stage.ask(next, PING), "+PONG\r\n");
    stage.wait(2_000);
    assert_eq!(stage.hear(next), "");
}

#[test]
fn clients_of_other_workers_are_closed_and_counted() {
    let mut stage = stage(administered());
    assert_eq!(stage.ask(0, client(&["KILL", "ID", "2"])), ":1\r\n");
    assert!(stage.is_closed(1) && !stage.is_closed(4));
    assert_eq!(stage.ask(0, client(&["KILL", "ID", "2"])), ":0\r\n");
    assert_eq!(stage.ask(0, client(&["KILL", "10.1.0.2:5000"])), "+OK\r\n");
    assert!(stage.is_closed(2));
    let none = stage.ask(0, client(&["KILL", "10.1.0.2:5000"]));
    assert_eq!(none, "-ERR No such client\r\n");
    let all = client(&["KILL", "TYPE", "normal"]);
    assert_eq!(stage.ask(4, all), ":3\r\n", "itself not");
    let open: Vec<usize> = (0..6).filter(|client| !stage.is_closed(*client)).collect();
    assert_eq!(open, [4]);
    let other = stage.client_of(0);
    let all = client(&["KILL", "TYPE", "normal", "SKIPME", "no"]);
    assert_eq!(stage.ask(4, all), ":2\r\n");
    assert!(stage.is_closed(4) && stage.is_closed(other));
}

#[test]
fn one_that_wants_no_reply_is_obeyed_all_the_same() {
    let mut stage = stage(administered());
    let off = client(&["REPLY", "OFF"]);
    assert_eq!(stage.ask(0, off + &client(&["KILL", "ID", "3"])), "");
    assert!(stage.is_closed(2));
    assert_eq!(stage.ask(0, client(&["REPLY", "ON"])), "+OK\r\n");
}

#[test]
fn subscribers_of_all_workers_are_counted_and_each_pattern_once() {
    let mut stage = stage(redis_pool(1));
    for subscriber in [1, 2, 3, 4] {
        stage.say(subscriber, redis(&["SUBSCRIBE", "news"]));
        stage.say(subscriber, redis(&["PSUBSCRIBE", "n*"]));
    }
    stage.say(4, redis(&["PSUBSCRIBE", "other*"]));
    let confirmed = |word: &str, name: &str| format!("*3\r\n{}{}:1\r\n", bulk(word), bulk(name));
    // Each worker asks the server for what its clients want, one thing after the other.
    for _ in 0..4 {
        for link in stage.links(0) {
            let asked = stage.heard(link);
            for (word, name) in [
                ("SUBSCRIBE", "news"),
                ("PSUBSCRIBE", "n*"),
                ("PSUBSCRIBE", "other*"),
            ] {
                if asked.contains(&redis(&[word, name])) {
                    stage.answer(link, confirmed(&word.to_ascii_lowercase(), name));
                }
            }
        }
    }
    let numbers = redis(&["PUBSUB", "NUMSUB", "news", "none"]);
    let expected = format!("*4\r\n{}:4\r\n{}:0\r\n", bulk("news"), bulk("none"));
    for asker in [0, 5] {
        assert_eq!(stage.ask(asker, &numbers), expected);
        assert_eq!(stage.ask(asker, redis(&["PUBSUB", "NUMPAT"])), ":2\r\n");
    }
    stage.vanish(2);
    let expected = format!("*4\r\n{}:3\r\n{}:0\r\n", bulk("news"), bulk("none"));
    assert_eq!(stage.ask(5, &numbers), expected);
}

#[test]
fn the_wait_of_another_worker_s_client_is_ended() {
    let mut stage = stage(redis_pool(1));
    let wait = redis(&["BLPOP", "q", "0"]);
    stage.say(1, &wait);
    let leased = stage.link(0);
    assert_eq!(stage.heard(leased), CLIENT_ID);
    stage.answer(leased, ":77\r\n");
    assert_eq!(stage.heard(leased), wait);
    let unblock = client(&["UNBLOCK", "2", "ERROR"]);
    assert_eq!(stage.ask(0, &unblock), ":1\r\n");
    let shared = stage.links(0)[1];
    assert_eq!(
        stage.heard(shared),
        redis(&["CLIENT", "UNBLOCK", "77", "ERROR"])
    );
    stage.answer(leased, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    stage.answer(shared, ":1\r\n");
    assert_eq!(
        stage.hear(1),
        "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
    );
    assert_eq!(stage.ask(1, PING), "+PONG\r\n");
    for nobody in ["2", "5", "99", "0", "-1"] {
        let unblock = client(&["UNBLOCK", nobody]);
        assert_eq!(stage.ask(0, unblock), ":0\r\n", "{nobody}");
    }
    // Only that worker is asked, so that it does not matter what the others do.
    stage.busy_workers = [Some(1), Some(2)];
    assert_eq!(stage.ask(0, client(&["UNBLOCK", "4"])), ":0\r\n");
    assert_eq!(stage.ask(0, client(&["UNBLOCK", "3"])), BUSY);
}
