//! `connect_timeout`, and the default effect of `timeout`.

use proxy::Cause;
use proxy::metrics::{PoolMetric, ServerMetric};
use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings};

use crate::stage::{ConnectResult, Stage, memcached_pool, millis, redis_pool};
use crate::words::{REFUSED, TIMED_OUT, get, redis};

fn pool() -> PoolSettings {
    let mut settings = redis_pool(1);
    settings.failure.connect_timeout = Some(millis(200));
    settings
}

fn with_password(settings: PoolSettings) -> PoolSettings {
    PoolSettings {
        protocol: ProtocolSettings::Redis(RedisSettings {
            auth: Some(b"sesame"[..].into()),
            ..RedisSettings::default()
        }),
        ..settings
    }
}

#[test]
fn a_connect_that_takes_too_long_fails_its_requests_and_the_next_one_is_tried() {
    let mut stage = Stage::new(pool());
    stage.set_connect_result(0, ConnectResult::Silent);
    let (early, late) = (stage.client(), stage.client());
    stage.say(early, get("k"));
    let link = stage.link(0);
    stage.wait(150);
    stage.say(late, get("k"));
    stage.wait(49);
    assert_eq!(stage.hear(early), "");
    stage.wait(1);
    assert_eq!(stage.hear(early), TIMED_OUT);
    assert_eq!(
        stage.hear(late),
        TIMED_OUT,
        "who came later waited for the same"
    );
    assert!(!stage.is_open(link));
    assert_eq!(stage.count_at(0, ServerMetric::ServerTimedout), 1);
    stage.set_connect_result(0, ConnectResult::Open);
    stage.say(early, get("k"));
    let link = stage.link(0);
    assert_eq!(stage.heard(link), get("k"));
}

#[test]
fn the_handshake_counts_as_connecting() {
    let mut stage = Stage::new(with_password(pool()));
    let client = stage.client();
    stage.ask(client, redis(&["AUTH", "sesame"]));
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.wait(199);
    assert!(stage.is_open(link));
    assert_eq!(stage.heard(link), redis(&["AUTH", "sesame"]));
    stage.wait(1);
    assert!(!stage.is_open(link));
    assert_eq!(stage.hear(client), TIMED_OUT);

    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.wait(199);
    stage.answer(link, "+OK\r\n");
    stage.wait(60_000);
    assert!(stage.is_open(link), "a connection in time is left in peace");
    stage.answer(link, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n");
}

#[test]
fn preconnected_ones_are_given_up_too() {
    let mut settings = pool();
    settings.preconnect = true;
    settings.auto_eject_hosts = true;
    let mut stage = Stage::new(settings);
    stage.set_connect_result(0, ConnectResult::Silent);
    stage.start();
    let link = stage.link(0);
    stage.wait(200);
    assert!(!stage.is_open(link) && !stage.is_live(0));
    assert_eq!(stage.count(PoolMetric::ServerEjects), 1);
}

#[test]
fn memcached_needs_no_handshake() {
    let mut settings = memcached_pool(1);
    settings.failure.connect_timeout = Some(millis(200));
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, "get k\r\n");
    let link = stage.link(0);
    stage.wait(60_000);
    assert!(
        stage.is_open(link),
        "connected: the time is the request's now"
    );
}

#[test]
fn time_outs_of_requests_and_of_connecting_are_apart() {
    let mut settings = pool();
    settings.timeout = Some(millis(1_000));
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.wait(999);
    assert!(stage.is_open(link));
    stage.wait(1);
    assert_eq!(stage.hear(client), TIMED_OUT);
    stage.set_connect_result(0, ConnectResult::Silent);
    stage.say(client, get("k"));
    stage.wait(199);
    assert_eq!(stage.hear(client), "");
    stage.wait(1);
    assert_eq!(stage.hear(client), TIMED_OUT);
}

#[test]
fn a_request_gives_up_on_a_slow_connect_even_without_connect_timeout() {
    let mut settings = redis_pool(1);
    settings.timeout = Some(millis(300));
    let mut stage = Stage::new(settings);
    stage.set_connect_result(0, ConnectResult::Silent);
    let client = stage.client();
    stage.say(client, get("k"));
    stage.wait(299);
    assert_eq!(stage.hear(client), "");
    stage.wait(1);
    assert_eq!(stage.hear(client), TIMED_OUT);
}

#[test]
fn by_default_everything_on_the_connection_fails_with_the_late_request() {
    let mut settings = redis_pool(1);
    settings.timeout = Some(millis(300));
    let mut stage = Stage::new(settings);
    let (early, late) = (stage.client(), stage.client());
    stage.say(early, get("a"));
    let link = stage.link(0);
    stage.wait(299);
    stage.say(late, get("b"));
    stage.wait(1);
    assert_eq!(stage.hear(early), TIMED_OUT);
    assert_eq!(stage.hear(late), TIMED_OUT);
    assert!(!stage.is_open(link) && !stage.is_closed(early) && !stage.is_closed(late));
}

#[test]
fn connections_that_time_out_in_turn_eject_all_the_same() {
    let mut settings = redis_pool(1);
    settings.timeout = Some(millis(300));
    settings.auto_eject_hosts = true;
    settings.server_failure_limit = 3;
    let mut stage = Stage::with_workers(settings, 2, 1);
    let clients = [stage.client_of(0), stage.client_of(1)];
    // Each worker's connection dies while the other's is being established.
    stage.say(clients[0], get("k"));
    stage.wait(150);
    for turn in 1..8 {
        if !stage.is_live(0) {
            break;
        }
        let client = clients[turn % 2];
        stage.hear(client);
        stage.say(client, get("k"));
        stage.wait(150);
    }
    assert!(!stage.is_live(0));
}

#[test]
fn a_server_that_closes_an_idle_connection_has_not_failed() {
    let mut settings = redis_pool(1);
    settings.auto_eject_hosts = true;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n");
    stage.hang_up(link, Cause::Closed);
    assert!(stage.is_live(0));
}

#[test]
fn a_server_that_is_down_is_not_dialled_for_each_request() {
    let mut settings = redis_pool(1);
    settings.auto_eject_hosts = false;
    let mut stage = Stage::new(settings);
    stage.set_connect_result(0, ConnectResult::Refusing);
    let client = stage.client();
    for _ in 0..257 {
        assert_eq!(stage.ask(client, get("k")), REFUSED);
    }
    assert_eq!(stage.links_ever(0), 257, "the first ones are tried at once");
    for _ in 0..1_000 {
        assert_eq!(stage.ask(client, get("k")), REFUSED, "at once");
    }
    assert_eq!(stage.links_ever(0), 257);
    for attempts in 258..268 {
        // At random 50 to 100 ms later.
        stage.wait(49);
        assert_eq!(stage.ask(client, get("k")), REFUSED);
        assert_eq!(stage.links_ever(0), attempts - 1);
        stage.wait(51);
        assert_eq!(stage.ask(client, get("k")), REFUSED);
        assert_eq!(stage.links_ever(0), attempts);
    }
    // It is back: one reply, and what fails is tried again at once.
    stage.set_connect_result(0, ConnectResult::Open);
    stage.wait(100);
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n");
    stage.set_connect_result(0, ConnectResult::Refusing);
    stage.hang_up(link, Cause::Reset);
    for attempts in 269..520 {
        assert_eq!(stage.ask(client, get("k")), REFUSED);
        assert_eq!(stage.links_ever(0), attempts);
    }
}
