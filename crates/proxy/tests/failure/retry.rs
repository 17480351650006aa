//! `retry_reads`: a pure read that was lost with its connection is sent again, once.

use proxy::Cause;
use proxy::metrics::PoolMetric;
use proxy::settings::{EjectPolicy, PoolSettings, TimeoutAction};

use crate::stage::{ConnectResult, Stage, memcached_pool, millis, redis_pool};
use crate::words::{PING, TIMED_OUT, bulk, get, redis, set, value};

const RESET: &str = "-ERR Connection reset by peer\r\n";

fn pool() -> PoolSettings {
    with(redis_pool(2))
}

fn with(mut settings: PoolSettings) -> PoolSettings {
    settings.failure.retry_reads = true;
    settings
}

/// A stage with a client that has made enough requests for this many retries.
fn saved(settings: PoolSettings, retries: usize) -> (Stage, usize) {
    let mut stage = Stage::new(settings);
    let (client, key) = (stage.client(), stage.key(0));
    for _ in 0..retries * 10 {
        stage.say(client, get(&key));
        let link = stage.links(0)[0];
        stage.answer(link, "$-1\r\n");
        stage.hear(client);
    }
    (stage, client)
}

#[test]
fn a_lost_read_is_sent_once_more_over_another_connection() {
    let (mut stage, client) = saved(pool(), 5);
    let key = stage.key(0);
    stage.say(client, get(&key));
    let lost = stage.link(0);
    stage.hang_up(lost, Cause::Reset);
    assert_eq!(stage.hear(client), "");
    let again = stage.link(0);
    assert_eq!(stage.heard(again), get(&key));
    stage.answer(again, bulk("v"));
    assert_eq!(stage.hear(client), bulk("v"));
    assert_eq!(stage.count(PoolMetric::Retries), 1);

    stage.say(client, get(&key));
    stage.hang_up(again, Cause::Reset);
    let last = stage.link(0);
    stage.hang_up(last, Cause::Reset);
    assert_eq!(stage.hear(client), RESET, "once, not twice");
}

#[test]
fn memcached_reads_are_sent_once_more() {
    let mut stage = Stage::new(with(memcached_pool(1)));
    let client = stage.client();
    for _ in 0..10 {
        stage.say(client, "get k\r\n");
        let link = stage.link(0);
        stage.answer(link, "END\r\n");
    }
    stage.hear(client);
    stage.say(client, "gets k\r\n");
    let lost = stage.link(0);
    stage.hang_up(lost, Cause::Closed);
    let again = stage.link(0);
    assert_eq!(stage.heard(again), "gets k\r\n");
    stage.answer(again, format!("{}END\r\n", value("k", "v")));
    assert_eq!(stage.hear(client), format!("{}END\r\n", value("k", "v")));
}

#[test]
fn a_write_is_never_sent_twice() {
    let (mut stage, client) = saved(pool(), 5);
    let key = stage.key(0);
    for request in [
        set(&key, "v"),
        redis(&["INCR", &key]),
        redis(&["GETDEL", &key]),
        redis(&["EVAL", "return 1", "1", &key]),
    ] {
        stage.say(client, &request);
        let lost = stage.link(0);
        stage.hang_up(lost, Cause::Reset);
        assert_eq!(stage.hear(client), RESET, "{request}");
        assert!(stage.links(0).is_empty());
        stage.say(client, get(&key));
        let link = stage.link(0);
        stage.answer(link, "$-1\r\n");
        stage.hear(client);
    }
    assert_eq!(stage.count(PoolMetric::Retries), 0);
}

#[test]
fn a_reply_of_which_something_was_seen_is_not_begun_again() {
    let (mut stage, client) = saved(pool(), 2);
    let key = stage.key(0);
    stage.say(client, get(&key));
    let lost = stage.link(0);
    stage.answer(lost, "$5\r\nhal");
    stage.hang_up(lost, Cause::Reset);
    assert_eq!(stage.hear(client), "$5\r\nhal");
    assert!(stage.is_closed(client) && stage.links(0).is_empty());
}

#[test]
fn nor_is_one_that_was_seen_and_not_yet_passed_on() {
    let (mut stage, client) = saved(pool(), 5);
    stage.say(client, get(&stage.key(1)) + &get(&stage.key(0)));
    let (first, lost) = (stage.link(1), stage.link(0));
    stage.answer(lost, "$5\r\nhal");
    stage.hang_up(lost, Cause::Reset);
    assert!(stage.links(0).is_empty());
    stage.answer(first, "$-1\r\n");
    assert_eq!(stage.hear(client), format!("$-1\r\n{RESET}"));
}

#[test]
fn retries_are_a_tenth_of_the_requests() {
    let (mut stage, client) = saved(pool(), 2);
    let key = stage.key(0);
    stage.say(client, get(&key).repeat(5));
    let lost = stage.link(0);
    stage.hang_up(lost, Cause::Reset);
    let again = stage.link(0);
    assert_eq!(stage.heard(again), get(&key).repeat(2));
    stage.answer(again, bulk("1") + &bulk("2"));
    let heard = stage.hear(client);
    assert_eq!(heard, bulk("1") + &bulk("2") + &RESET.repeat(3));
    assert_eq!(stage.count(PoolMetric::Retries), 2);
}

#[test]
fn several_reads_of_a_client_are_sent_again_over_one_of_several_connections() {
    let mut settings = pool();
    settings.server_connections = 2;
    let (mut stage, client) = saved(settings, 5);
    let (key, other) = (stage.key(0), stage.client());
    stage.say(client, get(&key).repeat(3));
    stage.say(other, get(&key));
    let links = stage.links(0);
    let lost = links[0];
    stage.heard(lost);
    stage.hang_up(lost, Cause::Reset);
    assert_eq!(stage.hear(client), "");
    let replies = "$-1\r\n".repeat(8);
    let heard: usize = stage
        .links(0)
        .into_iter()
        .map(|link| {
            let asked = stage.heard(link).matches("GET").count();
            stage.answer(link, &replies[..5 * asked]);
            asked
        })
        .sum();
    assert_eq!(heard, 4);
    assert_eq!(stage.hear(client), "$-1\r\n".repeat(3));
    assert_eq!(stage.hear(other), "$-1\r\n");
}

#[test]
fn with_the_ejection_the_read_goes_where_its_key_is_now() {
    let mut settings = pool();
    settings.auto_eject_hosts = true;
    let (mut stage, client) = saved(settings, 2);
    let key = stage.key(0);
    stage.say(client, get(&key));
    let lost = stage.link(0);
    stage.set_connect_result(0, ConnectResult::Refusing);
    stage.hang_up(lost, Cause::Reset);
    let other = stage.link(1);
    assert_eq!(stage.heard(other), get(&key));
    stage.answer(other, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n");
}

#[test]
fn where_keys_stay_there_is_nowhere_to_go() {
    let mut settings = pool();
    settings.auto_eject_hosts = true;
    settings.failure.eject = EjectPolicy::Error;
    let (mut stage, client) = saved(settings, 2);
    stage.say(client, get(&stage.key(0)));
    let lost = stage.link(0);
    stage.hang_up(lost, Cause::Reset);
    assert_eq!(stage.hear(client), RESET);
    assert!(stage.links(0).is_empty() && stage.links(1).is_empty());
}

#[test]
fn a_read_never_sees_a_later_write_of_its_own_client() {
    let (mut stage, client) = saved(pool(), 5);
    let (key, other) = (stage.key(0), stage.key(1));
    for later in [
        set(&key, "new"),
        set(&other, "v"),
        redis(&["MSET", &key, "new", &other, "new"]),
        redis(&["FLUSHALL"]),
    ] {
        stage.say(client, get(&key) + &later);
        let lost = stage.link(0);
        stage.hang_up(lost, Cause::Reset);
        assert!(stage.hear(client).starts_with(RESET), "{later}");
        assert!(stage.links(0).is_empty(), "{later}");
        if let [link] = stage.links(1)[..]
            && !stage.heard(link).is_empty()
        {
            stage.answer(link, "+OK\r\n");
        }
        stage.hear(client);
    }
    assert_eq!(stage.count(PoolMetric::Retries), 0);
}

#[test]
fn what_was_sent_before_a_read_and_reads_after_it_do_not_matter() {
    let (mut stage, client) = saved(pool(), 5);
    let (key, other) = (stage.key(0), stage.key(1));
    let mget = redis(&["MGET", &key, &other]);
    stage.say(client, set(&key, "v") + &get(&key) + &mget + PING);
    let lost = stage.link(0);
    stage.answer(lost, "+OK\r\n");
    stage.hang_up(lost, Cause::Reset);
    let again = stage.link(0);
    assert_eq!(stage.heard(again), get(&key));
    stage.answer(again, bulk("v"));
    let second = stage.link(1);
    stage.answer(second, "*1\r\n$-1\r\n");
    assert_eq!(
        stage.hear(client),
        format!("+OK\r\n{}{RESET}+PONG\r\n", bulk("v"))
    );
}

#[test]
fn nor_of_a_later_one_that_wants_no_reply_even_when_that_is_over() {
    let mut settings = with(memcached_pool(2));
    settings.auto_eject_hosts = true;
    settings.server_connections = 2;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    let (key, other) = (stage.key(0), stage.key(1));
    for _ in 0..20 {
        stage.say(client, format!("get {key}\r\n"));
        let link = stage.link(0);
        stage.answer(link, "END\r\n");
    }
    stage.hear(client);
    stage.say(
        client,
        format!("get {key}\r\nset {other} 0 0 1 noreply\r\nv\r\n"),
    );
    let quiet = stage.link(1);
    stage.answer(quiet, "STORED\r\n");
    let lost = stage.link(0);
    stage.hang_up(lost, Cause::Reset);
    assert_eq!(
        stage.hear(client),
        "SERVER_ERROR Connection reset by peer\r\n"
    );
    assert_eq!(stage.count(PoolMetric::Retries), 0);
}

#[test]
fn a_connection_is_given_up_before_its_reads_are_sent_again() {
    let mut settings = pool();
    settings.timeout = Some(millis(300));
    let (mut stage, client) = saved(settings, 2);
    let key = stage.key(0);
    stage.say(client, get(&key));
    let lost = stage.link(0);
    stage.answer(lost, "?bogus\r\n");
    let again = stage.link(0);
    assert!(again != lost && stage.heard(again) == get(&key));
    stage.wait(300);
    assert_eq!(stage.hear(client), TIMED_OUT);
    assert!(stage.links(0).is_empty());
}

#[test]
fn a_late_read_does_not_wait_behind_itself() {
    let mut settings = pool();
    settings.timeout = Some(millis(300));
    settings.failure.timeout_action = TimeoutAction::Answer;
    let (mut stage, client) = saved(settings, 2);
    stage.say(client, get(&stage.key(0)));
    let link = stage.link(0);
    stage.heard(link);
    stage.wait(300);
    assert_eq!(stage.hear(client), TIMED_OUT);
    assert_eq!(stage.heard(link), "");
}

#[test]
fn a_read_that_can_never_be_sent_fails() {
    let (mut stage, client) = saved(pool(), 5);
    let link = stage.link(0);
    stage.hang_up(link, Cause::Closed);
    stage.set_connect_result(0, ConnectResult::Refusing);
    let answer = stage.ask(client, get(&stage.key(0)));
    assert_eq!(answer, "-ERR Connection refused\r\n");
}

#[test]
fn without_the_setting_nothing_is_sent_twice() {
    let mut settings = pool();
    settings.failure.retry_reads = false;
    let (mut stage, client) = saved(settings, 5);
    stage.say(client, get(&stage.key(0)));
    let lost = stage.link(0);
    stage.hang_up(lost, Cause::Reset);
    assert_eq!(stage.hear(client), RESET);
}
