//! WAIT and WAITAOF: which servers are asked, and what becomes of their answers.

use proxy::Cause;

use crate::stage::{Stage, millis, redis_pool};
use crate::waiting::CLIENT_ID;
use crate::words::{PING, ejected, get, redis, set};

fn wait() -> String {
    redis(&["WAIT", "1", "0"])
}

/// A client that has written to these servers; its shared links.
fn writer(stage: &mut Stage, servers: &[usize]) -> (usize, Vec<usize>) {
    let client = stage.client();
    let mut links = Vec::new();
    for server in servers {
        let key = stage.key(*server);
        stage.say(client, set(&key, "v"));
        let link = stage.link(*server);
        stage.answer(link, "+OK\r\n");
        stage.heard(link);
        links.push(link);
    }
    stage.hear(client);
    (client, links)
}

/// The leased link of a server, on which the request has been sent behind a command.
fn asked(stage: &mut Stage, server: usize, request: &str) -> usize {
    let link = *stage.links(server).last().expect("it is asked");
    assert_eq!(stage.heard(link), CLIENT_ID);
    stage.answer(link, ":9\r\n");
    assert_eq!(stage.heard(link), format!("{PING}{request}"));
    link
}

#[test]
fn the_least_of_all_written_servers_is_the_answer() {
    let mut settings = redis_pool(3);
    settings.timeout = Some(millis(100));
    let mut stage = Stage::new(settings);
    let (client, links) = writer(&mut stage, &[0, 2]);
    // What is read does not count.
    let read = stage.key(1);
    stage.say(client, get(&read));
    let reader = stage.link(1);
    stage.answer(reader, "$-1\r\n");
    stage.hear(client);

    // Not before what is outstanding has been answered.
    let again = stage.key(0);
    stage.say(client, set(&again, "w") + &wait() + PING);
    assert_eq!((stage.links_ever(0), stage.links_ever(2)), (1, 1));
    stage.answer(links[0], "+OK\r\n");
    let one = asked(&mut stage, 0, &wait());
    let two = asked(&mut stage, 2, &wait());
    assert_eq!(stage.links_ever(1), 1);
    assert_eq!(stage.hear(client), "+OK\r\n");
    stage.answer(one, "+PONG\r\n:2\r\n");
    // No time-out ends it.
    stage.wait(60_000);
    assert_eq!(stage.hear(client), "");
    stage.answer(two, "+PONG\r\n");
    stage.answer(two, ":1\r\n");
    assert_eq!(stage.hear(client), ":1\r\n+PONG\r\n");

    // The connections are used again.
    stage.say(client, wait());
    assert_eq!(stage.heard(two), format!("{PING}{}", wait()));
    stage.answer(two, "+PONG\r\n:0\r\n");
    // The other one was not used for a minute.
    let one = asked(&mut stage, 0, &wait());
    stage.answer(one, "+PONG\r\n:5\r\n");
    assert_eq!(stage.hear(client), ":0\r\n");
}

#[test]
fn who_has_written_nothing_is_answered_at_once_by_the_proxy() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    assert_eq!(stage.ask(client, wait()), ":0\r\n");
    let aof = redis(&["WAITAOF", "1", "1", "0"]);
    assert_eq!(stage.ask(client, aof), "*2\r\n:0\r\n:0\r\n");
    for (request, error) in [
        (
            &["WAIT", "x", "0"][..],
            "value is not an integer or out of range",
        ),
        (
            &["WAIT", "1", "x"],
            "timeout is not an integer or out of range",
        ),
        (&["WAIT", "1", "-1"], "timeout is negative"),
        (
            &["WAITAOF", "1", "x", "0"],
            "value is not an integer or out of range",
        ),
    ] {
        let reply = stage.ask(client, redis(request));
        assert_eq!(reply, format!("-ERR {error}\r\n"), "{request:?}");
    }
    assert_eq!((stage.links_ever(0), stage.links_ever(1)), (0, 0));
}

#[test]
fn waitaof_has_the_least_of_each_number() {
    let mut stage = Stage::new(redis_pool(2));
    let (client, _) = writer(&mut stage, &[0, 1]);
    let request = redis(&["WAITAOF", "1", "1", "100"]);
    stage.say(client, &request);
    let one = asked(&mut stage, 0, &request);
    let two = asked(&mut stage, 1, &request);
    stage.answer(one, "+PONG\r\n*2\r\n:1\r\n:0\r\n");
    stage.answer(two, "+PONG\r\n*2\r\n:0\r\n:3\r\n");
    assert_eq!(stage.hear(client), "*2\r\n:0\r\n:0\r\n");
}

#[test]
fn split_writes_and_pops_count_as_written() {
    let mut stage = Stage::new(redis_pool(3));
    let client = stage.client();
    let (one, two, queue) = (stage.key(0), stage.key(1), stage.key(2));
    stage.say(client, redis(&["MSET", &one, "v", &two, "v"]));
    for server in [0, 1] {
        let link = stage.link(server);
        stage.answer(link, "+OK\r\n");
    }
    stage.say(client, redis(&["BLPOP", &queue, "0"]));
    let leased = stage.link(2);
    stage.answer(leased, ":1\r\n");
    stage.answer(leased, "*-1\r\n");
    stage.hear(client);
    stage.heard(leased);
    stage.say(client, wait());
    for server in [0, 1] {
        let link = asked(&mut stage, server, &wait());
        stage.answer(link, "+PONG\r\n:1\r\n");
    }
    assert_eq!(stage.heard(leased), format!("{PING}{}", wait()));
    stage.answer(leased, "+PONG\r\n:1\r\n");
    assert_eq!(stage.hear(client), ":1\r\n");
}

#[test]
fn one_server_that_cannot_be_asked_is_an_error_and_never_a_number() {
    let mut settings = redis_pool(2);
    settings.auto_eject_hosts = true;
    settings.failure.eject = proxy::settings::EjectPolicy::Error;
    let mut stage = Stage::new(settings);
    let (client, _) = writer(&mut stage, &[0, 1]);
    stage.say(client, wait());
    let one = asked(&mut stage, 0, &wait());
    let two = asked(&mut stage, 1, &wait());
    stage.answer(one, "+PONG\r\n:1\r\n");
    stage.hang_up(two, Cause::Reset);
    assert_eq!(stage.hear(client), "-ERR Connection reset by peer\r\n");

    assert!(!stage.is_live(1));
    stage.say(client, wait());
    stage.answer(one, "+PONG\r\n:1\r\n");
    let told = stage.hear(client);
    assert!(
        told == ejected(1) || told == "-ERR Connection refused\r\n",
        "{told}"
    );
    // A server's own error is passed on.
    let mut stage = Stage::new(redis_pool(1));
    let (client, _) = writer(&mut stage, &[0]);
    stage.say(client, wait());
    let one = asked(&mut stage, 0, &wait());
    stage.answer(
        one,
        "+PONG\r\n-ERR WAIT cannot be used with replica instances.\r\n",
    );
    assert_eq!(
        stage.hear(client),
        "-ERR WAIT cannot be used with replica instances.\r\n"
    );
}

#[test]
fn a_client_that_leaves_waits_for_no_replica() {
    let mut stage = Stage::new(redis_pool(2));
    let (client, links) = writer(&mut stage, &[0, 1]);
    stage.say(client, wait());
    asked(&mut stage, 0, &wait());
    asked(&mut stage, 1, &wait());
    stage.vanish(client);
    let unblock = redis(&["CLIENT", "UNBLOCK", "9", "TIMEOUT"]);
    assert_eq!(stage.heard(links[0]), unblock);
    assert_eq!(stage.heard(links[1]), unblock);
}

#[test]
fn the_end_of_such_a_wait_by_another_client_ends_it_everywhere() {
    let mut stage = Stage::new(redis_pool(2));
    let (client, links) = writer(&mut stage, &[0, 1]);
    stage.say(client, wait());
    let one = asked(&mut stage, 0, &wait());
    let two = asked(&mut stage, 1, &wait());
    let other = stage.client();
    stage.say(other, redis(&["CLIENT", "UNBLOCK", "1"]));
    let unblock = redis(&["CLIENT", "UNBLOCK", "9", "TIMEOUT"]);
    for (link, leased) in [(links[0], one), (links[1], two)] {
        assert_eq!(stage.heard(link), unblock);
        stage.answer(link, ":1\r\n");
        stage.answer(leased, "+PONG\r\n:0\r\n");
    }
    assert_eq!(stage.hear(other), ":1\r\n");
    assert_eq!(stage.hear(client), ":0\r\n");
}

#[test]
fn a_wait_without_a_wanted_reply_holds_up_what_is_behind_it() {
    let mut stage = Stage::new(redis_pool(1));
    let (client, links) = writer(&mut stage, &[0]);
    let all = redis(&["CLIENT", "REPLY", "SKIP"]) + &wait() + &get("k");
    stage.say(client, all);
    let leased = asked(&mut stage, 0, &wait());
    assert_eq!(stage.heard(links[0]), "");
    stage.answer(leased, "+PONG\r\n:1\r\n");
    assert_eq!(stage.heard(links[0]), get("k"));
    stage.answer(links[0], "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n");
}
