//! Clients that pipeline what takes a server long: others must not wait behind it until their requests time out, and
//! the server is ejected.

use proxy::limits::{CROWDED_LONG_WINDOW, LARGE_WINDOW, LONG_WINDOW, MAX_WINDOW};
use proxy::metrics::PoolMetric;
use proxy::settings::{FailurePolicy, PoolSettings, TimeoutAction};

use crate::stage::{ConnectResult, Stage, millis, redis_pool};
use crate::words::{TIMED_OUT, bulk, get, redis, set};

/// What the bystander asks, and the reply to everything.
const BYSTANDER: &str = "bystander";
const REPLY: &str = ":1\r\n";

fn pool() -> PoolSettings {
    PoolSettings {
        timeout: Some(millis(400)),
        auto_eject_hosts: true,
        server_failure_limit: 2,
        ..redis_pool(1)
    }
}

fn sort() -> String {
    redis(&["SORT", "a"])
}

/// How many requests have been written to the server.
fn count(heard: &str) -> usize {
    heard.matches('*').count()
}

/// What a bystander has waited while clients pipelined 600 requests each.
struct Seen {
    /// The longest wait for a reply, in milliseconds.
    longest: u64,
    replies: u64,
    /// Requests of the others that were answered.
    answered: usize,
}

/// The server carries out what it has read, `cost` milliseconds for each request but the bystander's, and sends all
/// replies together, as redis-server does. The bystander asks for one thing at a time.
fn attack(settings: PoolSettings, request: &str, clients: usize, cost: u64) -> Seen {
    let mut stage = Stage::new(settings);
    let bystander = stage.client();
    stage.say(bystander, get(BYSTANDER));
    let attackers: Vec<_> = (0..clients).map(|_| stage.client()).collect();
    for client in &attackers {
        stage.say(*client, request.repeat(600));
    }
    let link = stage.link(0);
    let mut seen = Seen {
        longest: 0,
        replies: 0,
        answered: 0,
    };
    let (mut now, mut asked) = (0, 0);
    while now < 5_000 {
        let heard = stage.heard(link);
        let slow = count(&heard) - heard.matches(BYSTANDER).count();
        let time = 1 + cost * slow as u64;
        stage.wait(time);
        now += time;
        assert!(stage.is_open(link), "a request has timed out");
        stage.answer(link, REPLY.repeat(count(&heard)));
        for client in &attackers {
            seen.answered += stage.hear(*client).len() / REPLY.len();
        }
        let reply = stage.hear(bystander);
        if !reply.is_empty() {
            assert_eq!(reply, REPLY);
            seen.longest = seen.longest.max(now - asked);
            seen.replies += 1;
            asked = now;
            stage.say(bystander, get(BYSTANDER));
        }
    }
    seen
}

#[test]
fn nobody_times_out_behind_pipelines_of_slow_commands() {
    for (request, clients, cost) in [
        (sort(), 1, 4),
        (sort(), 1, 20),
        (sort(), 4, 4),
        (sort(), 4, 10),
        (sort(), 16, 4),
        (redis(&["ZUNIONSTORE", "a", "1", "a"]), 4, 4),
        (redis(&["BITCOUNT", "a"]), 4, 4),
        (redis(&["HGETALL", "a"]), 1, 4),
    ] {
        let case = format!("{clients} x {cost} ms, {request:?}");
        let answer = PoolSettings {
            failure: FailurePolicy {
                timeout_action: TimeoutAction::Answer,
                ..pool().failure
            },
            ..pool()
        };
        for settings in [pool(), answer] {
            let seen = attack(settings, &request, clients, cost);
            assert!(seen.longest < 390, "{} ms: {case}", seen.longest);
            assert!(seen.replies > 30, "{case}");
            let busy = seen.answered as u64 * cost;
            assert!(busy > 4_000 || seen.answered == 600 * clients, "{case}");
        }
    }
}

#[test]
fn commands_that_may_take_long_begin_with_few_and_quick_replies_let_in_more() {
    let mut stage = Stage::new(pool());
    let client = stage.client();
    stage.say(client, sort().repeat(300));
    let link = stage.link(0);
    let mut under_way = count(&stage.heard(link));
    assert_eq!(under_way, LONG_WINDOW);
    for most in [16, 32, LARGE_WINDOW, LARGE_WINDOW] {
        stage.wait(1);
        stage.answer(link, REPLY.repeat(under_way));
        under_way = count(&stage.heard(link));
        assert_eq!(under_way, most);
    }
    // They are known to be quick now, for as long as the client goes on with them.
    stage.wait(1);
    for _ in 0..10 {
        stage.answer(link, REPLY.repeat(under_way));
        under_way = count(&stage.heard(link));
    }
    stage.hear(client);
    stage.wait(500);
    stage.say(client, sort().repeat(100));
    assert_eq!(count(&stage.heard(link)), LARGE_WINDOW);
    stage.answer(link, REPLY.repeat(LARGE_WINDOW));
    stage.answer(link, REPLY.repeat(LARGE_WINDOW));
    stage.answer(link, REPLY.repeat(4));
    stage.heard(link);
    stage.wait(1_000);
    stage.say(client, sort().repeat(100));
    assert_eq!(count(&stage.heard(link)), LONG_WINDOW, "after a pause");
    // Where others wait already, fewer of them are added.
    let other = stage.client();
    stage.say(other, sort().repeat(100));
    assert_eq!(count(&stage.heard(link)), CROWDED_LONG_WINDOW);
}

#[test]
fn one_long_command_at_a_time_and_short_ones_begin_as_ever() {
    let mut stage = Stage::new(pool());
    let client = stage.client();
    stage.ask(client, sort());
    let link = stage.link(0);
    stage.answer(link, REPLY);
    stage.heard(link);
    stage.say(client, set("a", "v").repeat(2_000));
    assert_eq!(count(&stage.heard(link)), MAX_WINDOW);
    let other = stage.client();
    stage.say(other, get("a").repeat(200));
    assert_eq!(count(&stage.heard(link)), LARGE_WINDOW);
}

#[test]
fn without_a_timeout_nothing_waits_for_too_long() {
    let mut settings = pool();
    settings.timeout = None;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, sort().repeat(200));
    let link = stage.link(0);
    for _ in 0..3 {
        assert_eq!(count(&stage.heard(link)), LARGE_WINDOW);
        stage.wait(5_000);
        stage.answer(link, REPLY.repeat(LARGE_WINDOW));
    }
}

#[test]
fn short_commands_that_wait_for_too_long_are_halved_and_double_again() {
    let mut stage = Stage::new(pool());
    let (client, single) = (stage.client(), stage.client());
    stage.say(client, set("a", "v").repeat(20_000));
    stage.say(single, get("a").repeat(LONG_WINDOW));
    let link = stage.link(0);
    let mut most = MAX_WINDOW;
    assert_eq!(count(&stage.heard(link)), most + LONG_WINDOW);
    stage.wait(49);
    stage.answer(link, REPLY.repeat(most));
    assert_eq!(count(&stage.heard(link)), most, "in time");
    stage.answer(link, REPLY.repeat(LONG_WINDOW));
    while most > LONG_WINDOW {
        stage.wait(51);
        stage.answer(link, REPLY.repeat(most));
        most /= 2;
        assert_eq!(count(&stage.heard(link)), most);
    }
    stage.wait(51);
    stage.answer(link, REPLY.repeat(most));
    assert_eq!(count(&stage.heard(link)), most, "no fewer than this");
    // Nobody else is concerned.
    stage.hear(single);
    stage.say(single, get("a").repeat(30));
    assert_eq!(count(&stage.heard(link)), 30);
    stage.answer(link, REPLY.repeat(most + 30));
    while most < MAX_WINDOW {
        most *= 2;
        stage.wait(12);
        assert_eq!(count(&stage.heard(link)), most);
        stage.answer(link, REPLY.repeat(most));
    }
}

#[test]
fn a_window_is_forgotten_when_nothing_has_waited_for_too_long() {
    let mut stage = Stage::new(pool());
    let client = stage.client();
    stage.say(client, set("a", "v").repeat(40));
    let link = stage.link(0);
    stage.heard(link);
    stage.wait(51);
    stage.answer(link, REPLY.repeat(40));
    stage.hear(client);
    stage.say(client, set("a", "v").repeat(40));
    assert_eq!(count(&stage.heard(link)), 20);
    stage.answer(link, REPLY.repeat(20));
    stage.answer(link, REPLY.repeat(20));
    stage.heard(link);
    stage.hear(client);
    stage.wait(6 * 400);
    stage.say(client, set("a", "v").repeat(2_000));
    assert_eq!(count(&stage.heard(link)), MAX_WINDOW);
}

#[test]
fn a_server_that_stops_halves_the_windows_once_and_its_return_widens_them() {
    let mut settings = pool();
    settings.auto_eject_hosts = false;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.answer(link, REPLY);
    stage.hear(client);
    stage.heard(link);
    for most in [LARGE_WINDOW, LARGE_WINDOW / 2, LARGE_WINDOW / 2] {
        stage.say(client, get("a").repeat(most));
        let link = stage.link(0);
        assert_eq!(count(&stage.heard(link)), most);
        stage.wait(400);
        assert_eq!(stage.hear(client), TIMED_OUT.repeat(most));
    }
    stage.say(client, get("a").repeat(200));
    let link = stage.link(0);
    for most in [LARGE_WINDOW / 2, LARGE_WINDOW, LARGE_WINDOW] {
        assert_eq!(count(&stage.heard(link)), most);
        stage.wait(1);
        stage.answer(link, bulk("A").repeat(most));
    }
    assert_eq!(stage.count(PoolMetric::ServerEjects), 0);
}

#[test]
fn the_way_to_a_distant_server_makes_no_request_slow() {
    let mut stage = Stage::new(pool());
    stage.set_connect_result(0, ConnectResult::Silent);
    let client = stage.client();
    stage.say(client, set("a", "v").repeat(10_000));
    let link = stage.link(0);
    stage.wait(180);
    stage.let_in(link);
    for _ in 0..3 {
        assert_eq!(count(&stage.heard(link)), MAX_WINDOW);
        stage.wait(200);
        stage.answer(link, REPLY.repeat(MAX_WINDOW));
    }
    assert_eq!(count(&stage.heard(link)), MAX_WINDOW);
    stage.wait(240);
    stage.answer(link, REPLY.repeat(MAX_WINDOW));
    assert_eq!(count(&stage.heard(link)), MAX_WINDOW / 2);
}
