//! Requests that the access log tells of.

use proxy::settings::{FailurePolicy, PoolSettings, TimeoutAction};
use proxy::{AccessRecord, Cause, Outcome};

use crate::stage::{Stage, memcached_pool, millis, redis_pool};
use crate::words::{get, redis, set, value};

/// A stage whose every request is logged.
fn stage(pool: PoolSettings) -> Stage {
    Stage::new(PoolSettings {
        access_log: Some(1),
        ..pool
    })
}

/// Command, key, sizes, and what became of each request.
fn told(records: &[AccessRecord]) -> Vec<(String, String, usize, usize, Outcome)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let one = |it: &AccessRecord| {
        let (command, key) = (text(it.what.command()), text(it.what.key()));
        (command, key, it.bytes_in, it.bytes_out, it.outcome.clone())
    };
    records.iter().map(one).collect()
}

fn line(
    command: &str,
    key: &str,
    bytes: (usize, usize),
    outcome: Outcome,
) -> (String, String, usize, usize, Outcome) {
    (command.into(), key.into(), bytes.0, bytes.1, outcome)
}

#[test]
fn a_request_is_told_of_when_it_is_answered() {
    let mut stage = stage(redis_pool(1));
    let client = stage.client();
    stage.ask(client, redis(&["CLIENT", "SETNAME", "app"]));
    stage.say(client, set("first", "value"));
    let link = stage.link(0);
    assert_eq!(told(&stage.take_accesses()), []);
    stage.narrow(link, 0);
    stage.say(client, get("k"));
    stage.wait(4);
    stage.narrow(link, usize::MAX);
    stage.wait(7);
    stage.answer(link, "+OK\r\n$5\r\nva");
    stage.wait(2);
    stage.answer(link, "lue\r\n");
    let records = stage.take_accesses();
    let (first, second) = (set("first", "value").len(), get("k").len());
    assert_eq!(
        told(&records),
        [
            line("SET", "first", (first, 5), Outcome::Ok),
            line("GET", "k", (second, 11), Outcome::Ok)
        ]
    );
    let last = &records[1];
    assert_eq!((last.waited, last.served), (millis(4), Some(millis(9))));
    let who = (&*last.server, &*last.client.0, &*last.client.1);
    assert_eq!(who, ("s0", "10.1.0.0:5000", &b"app"[..]));
    assert_eq!(last.at.as_micros(), stage.now());
}

#[test]
fn what_becomes_of_requests_is_told() {
    let mut stage = stage(PoolSettings {
        timeout: Some(millis(100)),
        failure: FailurePolicy {
            timeout_action: TimeoutAction::Answer,
            ..FailurePolicy::default()
        },
        ..redis_pool(1)
    });
    let client = stage.client();
    stage.say(client, get("wrong"));
    let link = stage.link(0);
    stage.answer(link, "-WRONGTYPE no\r\n");
    stage.say(client, get("late"));
    stage.wait(150);
    stage.answer(link, "$-1\r\n");
    stage.say(client, get("lost"));
    stage.wait(3);
    stage.hang_up(link, Cause::Reset);
    let records = stage.take_accesses();
    let bytes = |key: &str| get(key).len();
    let lost = Outcome::Lost("the server reset the connection".into());
    assert_eq!(
        told(&records),
        [
            line("GET", "wrong", (bytes("wrong"), 15), Outcome::Error),
            line("GET", "late", (bytes("late"), 5), Outcome::Late),
            line("GET", "lost", (bytes("lost"), 0), lost)
        ]
    );
    assert_eq!((records[2].waited, records[2].served), (millis(3), None));
}

#[test]
fn each_part_of_a_request_is_told_of_by_itself() {
    let mut stage = stage(memcached_pool(2));
    let client = stage.client();
    let keys = [stage.key(0), stage.key(1)];
    stage.say(client, format!("get {} {}\r\n", keys[0], keys[1]));
    for (server, key) in keys.iter().enumerate() {
        let link = stage.link(server);
        stage.answer(link, value(key, "v") + "END\r\n");
    }
    let records = stage.take_accesses();
    let servers: Vec<&str> = records.iter().map(|it| &*it.server).collect();
    assert_eq!(servers, ["s0", "s1"]);
    assert!(records.iter().all(|it| it.outcome == Outcome::Ok));
}

#[test]
fn a_plan_switches_it_and_one_in_so_many_is_told_of() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let round = get("k").repeat(10);
    let run = |stage: &mut Stage| {
        for _ in 0..100 {
            stage.say(client, &round);
            let link = stage.link(0);
            stage.answer(link, "$-1\r\n".repeat(10));
            stage.hear(client);
        }
        stage.take_accesses().len()
    };
    assert_eq!(run(&mut stage), 0);
    stage.apply(PoolSettings {
        access_log: Some(10),
        hot_keys: Some(1),
        ..redis_pool(1)
    });
    assert!((70..140).contains(&run(&mut stage)));
    stage.say(client, get("under:way").repeat(30));
    stage.apply(redis_pool(1));
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n".repeat(30));
    assert_eq!(run(&mut stage), 0);
}
