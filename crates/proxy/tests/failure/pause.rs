//! CLIENT PAUSE: requests of all clients wait, whichever worker has them, and go on in their order.

use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings};

use crate::stage::{Stage, redis_pool};
use crate::words::{PING, bulk, get, redis, set};

fn administered() -> PoolSettings {
    let mut pool = redis_pool(1);
    pool.protocol = ProtocolSettings::Redis(RedisSettings {
        admin_commands: true,
        ..RedisSettings::default()
    });
    pool
}

/// Two workers with a client each.
fn stage() -> Stage {
    let mut stage = Stage::with_workers(administered(), 2, 7);
    for worker in [0, 1] {
        stage.client_of(worker);
    }
    stage
}

fn pause(stage: &mut Stage, words: &[&str]) -> String {
    stage.ask(0, redis(&[&["CLIENT", "PAUSE"], words].concat()))
}

const UNPAUSE: &[&str] = &["CLIENT", "UNPAUSE"];

/// Answers what the servers were asked, in both workers: values and `OK`.
fn answer(stage: &mut Stage) -> String {
    let mut asked = String::new();
    for link in stage.links(0) {
        let heard = stage.heard(link);
        let replies = heard.matches("\r\nGET\r\n").map(|_| bulk("v"));
        let writes = heard.matches("\r\nSET\r\n").map(|_| "+OK\r\n".to_owned());
        let replies: String = replies.chain(writes).collect();
        stage.answer(link, replies);
        asked += &heard;
    }
    asked
}

#[test]
fn everything_waits_until_the_time_is_over() {
    let mut stage = stage();
    // What was sent before is not held back.
    stage.say(1, get("before"));
    assert_eq!(pause(&mut stage, &["500"]), "+OK\r\n");
    assert_eq!(answer(&mut stage), get("before"));
    assert_eq!(stage.hear(1), bulk("v"));
    for client in [0, 1] {
        stage.say(client, [PING, &get("k")].concat());
        assert_eq!(stage.hear(client), "");
    }
    stage.wait(499);
    assert_eq!(answer(&mut stage), "");
    stage.wait(1);
    assert_eq!(answer(&mut stage), get("k").repeat(2));
    for client in [0, 1] {
        assert_eq!(stage.hear(client), "+PONG\r\n".to_owned() + &bulk("v"));
        assert_eq!(stage.ask(client, PING), "+PONG\r\n");
    }
}

#[test]
fn only_what_may_change_data_waits_with_write() {
    let mut stage = stage();
    assert_eq!(pause(&mut stage, &["60000", "write"]), "+OK\r\n");
    stage.say(1, [get("a"), PING.to_owned()].concat());
    assert_eq!(answer(&mut stage), get("a"));
    assert_eq!(stage.hear(1), bulk("v") + "+PONG\r\n");
    for write in [
        set("a", "1"),
        redis(&["PUBLISH", "c", "m"]),
        redis(&["EVAL", "return 1", "1", "k"]),
        redis(&["FLUSHALL"]),
        redis(&["BLPOP", "q", "0"]),
        redis(&["SCRIPT", "LOAD", "return 1"]),
    ] {
        let client = stage.client_of(1);
        assert_eq!(stage.ask(client, &write), "", "{write}");
        assert_eq!(answer(&mut stage), "", "{write}");
        // Its order is kept: what is behind it waits, too.
        assert_eq!(stage.ask(client, PING), "", "{write}");
        stage.vanish(client);
    }
    // What a transaction holds waits with EXEC.
    let held = [redis(&["MULTI"]), set("a", "1")].concat();
    assert_eq!(stage.ask(1, held), "+OK\r\n+QUEUED\r\n");
    assert_eq!(stage.ask(1, redis(&["EXEC"])), "");
    assert_eq!(stage.ask(0, redis(UNPAUSE)), "+OK\r\n");
    assert!(answer(&mut stage).contains("MULTI"), "it is sent now");
}

#[test]
fn the_end_comes_at_once_and_the_last_pause_counts() {
    let mut stage = stage();
    assert_eq!(pause(&mut stage, &["600000", "ALL"]), "+OK\r\n");
    stage.say(1, set("a", "1"));
    assert_eq!(answer(&mut stage), "");
    assert_eq!(pause(&mut stage, &["100", "WRITE"]), "+OK\r\n");
    assert_eq!(stage.ask(0, PING), "+PONG\r\n", "not paused any more");
    stage.wait(100);
    assert_eq!(answer(&mut stage), set("a", "1"));
    assert_eq!(stage.hear(1), "+OK\r\n");
    assert_eq!(pause(&mut stage, &["600000"]), "+OK\r\n");
    stage.say(1, set("b", "1"));
    assert_eq!(answer(&mut stage), "");
    assert_eq!(stage.ask(0, redis(UNPAUSE)), "+OK\r\n");
    assert_eq!(answer(&mut stage), set("b", "1"));
    assert_eq!(stage.ask(0, redis(UNPAUSE)), "+OK\r\n", "there is none");
}

#[test]
fn a_pause_holds_back_no_more_than_the_backlog_and_ends_with_the_process() {
    let mut pool = administered();
    pool.clients.backlog = 1_000;
    let mut stage = Stage::new(pool);
    let (asks, waits) = (stage.client(), stage.client());
    assert_eq!(
        stage.ask(asks, redis(&["CLIENT", "PAUSE", "600000"])),
        "+OK\r\n"
    );
    for _ in 0..100 {
        stage.say(waits, set("k", &"x".repeat(100)));
    }
    assert!(
        stage.unread_by_proxy(waits) > 5_000,
        "it stays in the socket"
    );
    stage.end(waits);
    assert!(!stage.is_closed(waits), "it is served first");
    assert!(stage.shut_down(), "what is unparsed is dropped, as ever");
}

#[test]
fn what_makes_no_sense_is_refused_and_so_is_who_may_not() {
    let mut stage = stage();
    for (words, error) in [
        (&["x"][..], "timeout is not an integer or out of range"),
        (&["-1"], "timeout is not an integer or out of range"),
        (
            &["600001"],
            "timeout is too long: the proxy pauses clients for at most 600000 ms",
        ),
        (&["1", "READ"], "CLIENT PAUSE mode must be WRITE or ALL"),
        (&["1", "ALL", "x"], "syntax error"),
    ] {
        assert_eq!(pause(&mut stage, words), format!("-ERR {error}\r\n"));
    }
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let refused = stage.ask(client, redis(&["CLIENT", "PAUSE", "1"]));
    assert!(refused.contains("admin_commands"), "{refused}");
    let refused = stage.ask(client, redis(UNPAUSE));
    assert!(refused.contains("admin_commands"), "{refused}");
}

#[test]
fn a_worker_that_does_not_answer_is_told_of() {
    let mut stage = stage();
    stage.busy_workers = [Some(1), None];
    assert_eq!(pause(&mut stage, &["60000"]), "");
    stage.wait(1_000);
    let heard = stage.hear(0);
    assert!(
        heard.contains("too busy to answer; others may have done it"),
        "{heard}"
    );
    assert_eq!(stage.ask(0, PING), "", "this worker has");
    assert_eq!(stage.ask(1, PING), "+PONG\r\n");
}

#[test]
fn what_is_put_back_may_fill_the_backlog_again_and_the_rest_is_read_all_the_same() {
    let mut pool = administered();
    pool.clients.backlog = 30_000;
    let mut stage = Stage::new(pool);
    let (asks, client) = (stage.client(), stage.client());
    let begun = stage.ask(asks, redis(&["CLIENT", "PAUSE", "60000", "WRITE"]));
    assert_eq!(begun, "+OK\r\n");
    // WAIT waits for the reply to GET, and with it the beginning of SET.
    let (first, rest) = (get("first"), get("rest"));
    let write = set("a", &"x".repeat(20_000));
    stage.say(client, &first);
    stage.say(client, redis(&["WAIT", "0", "0"]) + &write[..10_000]);
    stage.say(client, write[10_000..].to_owned() + &rest.repeat(600));
    // There is room in the backlog while SET is in pieces, and none when it is put back as a whole.
    let link = stage.link(0);
    assert_eq!(stage.heard(link), first);
    stage.answer(link, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v") + ":0\r\n");
    stage.say(client, &rest);
    assert_eq!(stage.unread_by_proxy(client), rest.len());
    assert_eq!(stage.ask(asks, redis(UNPAUSE)), "+OK\r\n");
    let mut sent = String::new();
    while sent.len() < write.len() + 601 * rest.len() {
        let heard = stage.heard(link);
        assert!(!heard.is_empty(), "the rest is read when there is room");
        let count = heard.matches("GET").count();
        let wrote = if sent.is_empty() { "+OK\r\n" } else { "" };
        stage.answer(link, wrote.to_owned() + &bulk("v").repeat(count));
        stage.hear(client);
        sent += &heard;
    }
    assert_eq!(sent, write + &rest.repeat(601));
}
