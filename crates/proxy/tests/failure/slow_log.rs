//! Requests that took long, and what is kept of them.

use std::time::Duration;

use proxy::metrics::PoolMetric;
use proxy::settings::PoolSettings;

use crate::stage::{Stage, memcached_pool, millis, redis_pool};
use crate::words::{get, redis, set, value};

/// A stage whose requests are slow from 10 ms on.
fn stage(pool: PoolSettings) -> Stage {
    Stage::new(PoolSettings {
        slow_log: Some(millis(10)),
        ..pool
    })
}

/// The command and key of each that is kept, newest first.
fn kept(stage: &Stage) -> Vec<(String, String)> {
    let latest = stage.share.slow_log().latest(usize::MAX);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let what = latest.iter().map(|slow| slow.what);
    what.map(|it| (text(it.command()), text(it.key())))
        .collect()
}

fn named(command: &str, key: &str) -> (String, String) {
    (command.to_owned(), key.to_owned())
}

#[test]
fn a_slow_request_is_kept_with_who_asked_what_and_where_the_time_went() {
    let mut stage = stage(redis_pool(1));
    let client = stage.client();
    assert_eq!(
        stage.ask(client, redis(&["CLIENT", "SETNAME", "app"])),
        "+OK\r\n"
    );
    stage.say(client, get("fast"));
    let link = stage.link(0);
    stage.wait(9);
    stage.answer(link, "$-1\r\n");
    assert_eq!(kept(&stage), []);

    // The server takes nothing for 4 ms.
    stage.narrow(link, 0);
    stage.say(client, set("slow", "value"));
    stage.wait(4);
    stage.narrow(link, usize::MAX);
    stage.wait(7);
    stage.answer(link, "+OK\r\n");
    let latest = stage.share.slow_log().latest(1);
    let slow = &latest[0];
    assert_eq!(kept(&stage), [named("SET", "slow")]);
    assert_eq!((slow.waited, slow.served), (millis(4), millis(7)));
    assert_eq!(
        (&*slow.server, &*slow.client.0, &*slow.client.1),
        ("s0", "10.1.0.0:5000", &b"app"[..])
    );
    assert_eq!((slow.number, slow.bytes), (0, set("slow", "value").len()));
    assert_eq!(stage.count(PoolMetric::SlowRequests), 1);
}

#[test]
fn only_those_that_waited_long_are_kept_and_each_has_its_own_name() {
    let mut stage = stage(redis_pool(1));
    let client = stage.client();
    stage.say(client, get("a") + &redis(&["incr", "b"]));
    let link = stage.link(0);
    stage.wait(6);
    stage.say(client, get("c"));
    stage.wait(6);
    // The reply to the second comes in two pieces.
    stage.answer(link, "$-1\r\n:1");
    stage.answer(link, "7\r\n$-1\r\n");
    assert_eq!(kept(&stage), [named("incr", "b"), named("GET", "a")]);
    assert_eq!(stage.hear(client), "$-1\r\n:17\r\n$-1\r\n");
}

#[test]
fn fragments_are_kept_each_with_its_server_and_waits_and_the_proxys_own_are_not() {
    let mut stage = stage(redis_pool(2));
    let client = stage.client();
    let keys = [stage.key(0), stage.key(1)];
    stage.say(client, redis(&["MGET", &keys[0], &keys[1]]));
    stage.wait(20);
    for server in 0..2 {
        let link = stage.link(server);
        stage.answer(link, "*1\r\n$-1\r\n");
    }
    let servers: Vec<_> = stage.share.slow_log().latest(9);
    let servers: Vec<&str> = servers.iter().map(|slow| &*slow.server).collect();
    assert_eq!(servers, ["s1", "s0"]);
    let before = kept(&stage);
    stage.say(client, redis(&["BLPOP", &keys[0], "0"]));
    stage.wait(50);
    assert_eq!(kept(&stage), before);
}

#[test]
fn a_stalled_server_fills_the_log_no_faster_than_a_few_at_a_time() {
    let mut stage = stage(memcached_pool(1));
    let client = stage.client();
    let requests: String = (0..30).map(|number| format!("get k{number}\r\n")).collect();
    stage.say(client, &requests);
    let link = stage.link(0);
    stage.wait(100);
    let replies: String = (0..30)
        .map(|number| value(&format!("k{number}"), "v") + "END\r\n")
        .collect();
    stage.answer(link, &replies);
    assert_eq!(stage.hear(client), replies);
    let kept = kept(&stage);
    assert_eq!((kept.len(), &kept[15]), (16, &named("get", "k0")));
}

#[test]
fn it_is_switched_on_and_off_by_a_plan_and_never_names_another_request() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, get("before"));
    let link = stage.link(0);
    let settings = stage.settings().clone();
    stage.apply(PoolSettings {
        slow_log: Some(Duration::ZERO),
        ..settings.clone()
    });
    stage.say(client, get("after"));
    stage.wait(1);
    stage.answer(link, "$-1\r\n$-1\r\n");
    assert_eq!(kept(&stage), [named("GET", "after"), named("", "")]);
    stage.say(client, get("late"));
    stage.apply(settings);
    stage.answer(link, "$-1\r\n");
    assert_eq!(kept(&stage).len(), 2);
}

#[test]
fn clients_of_redis_see_it_in_the_shapes_of_slowlog_and_commandlog() {
    let mut stage = stage(redis_pool(1));
    let client = stage.client();
    let key = "k".repeat(40);
    stage.say(client, set(&key, "v"));
    stage.wait(25);
    let link = stage.link(0);
    stage.answer(link, "+OK\r\n");
    stage.hear(client);
    assert_eq!(stage.ask(client, redis(&["SLOWLOG", "LEN"])), ":1\r\n");
    let entry = format!(
        "*6\r\n:0\r\n:1700000001\r\n:25000\r\n*2\r\n$3\r\nSET\r\n$50\r\n{}... (8 more bytes)\r\n$13\r\n10.1.0.0:5000\r\n$0\r\n\r\n",
        "k".repeat(32)
    );
    for asked in [
        &["SLOWLOG", "GET"][..],
        &["SLOWLOG", "GET", "-1"],
        &["slowlog", "get", "5"],
        &["COMMANDLOG", "GET", "1", "slow"],
    ] {
        assert_eq!(
            stage.ask(client, redis(asked)),
            format!("*1\r\n{entry}"),
            "{asked:?}"
        );
    }
    assert_eq!(
        stage.ask(client, redis(&["COMMANDLOG", "GET", "1", "large-reply"])),
        "*0\r\n"
    );
    assert_eq!(
        stage.ask(client, redis(&["COMMANDLOG", "LEN", "slow"])),
        ":1\r\n"
    );
    let wrong = stage.ask(client, redis(&["COMMANDLOG", "LEN", "odd"]));
    assert!(wrong.starts_with("-ERR type should be one of"), "{wrong}");
    let wrong = stage.ask(client, redis(&["SLOWLOG", "GET", "-2"]));
    assert_eq!(
        wrong,
        "-ERR count should be greater than or equal to -1\r\n"
    );
    assert_eq!(stage.ask(client, redis(&["SLOWLOG", "RESET"])), "+OK\r\n");
    assert_eq!(stage.ask(client, redis(&["SLOWLOG", "GET"])), "*0\r\n");
}
