//! Probes: the proxy itself checks whether an ejected server works again, without using a client's request.

use proxy::Cause;
use proxy::metrics::{PoolMetric, ServerMetric};
use proxy::settings::{PoolSettings, ProtocolSettings, RedisSettings};

use crate::stage::{ConnectResult, Stage, memcached_pool, millis, redis_pool};
use crate::words::{PING, REFUSED, get, redis};

fn pool() -> PoolSettings {
    with(redis_pool(2))
}

fn with(mut settings: PoolSettings) -> PoolSettings {
    settings.auto_eject_hosts = true;
    settings.server_retry_timeout = millis(5_000);
    settings
}

/// A stage whose server 1 is ejected, works again, and is being probed.
fn probed(settings: PoolSettings) -> (Stage, usize) {
    let mut stage = Stage::new(settings);
    stage.eject(1);
    stage.set_connect_result(1, ConnectResult::Open);
    stage.wait(4_999);
    assert!(stage.links(1).is_empty(), "its rest is not over");
    stage.wait(1);
    let probe = stage.link(1);
    (stage, probe)
}

#[test]
fn a_server_comes_back_when_it_has_answered_and_no_request_was_spent() {
    let (mut stage, probe) = probed(pool());
    assert_eq!(stage.heard(probe), PING);
    let (client, key) = (stage.client(), stage.key(1));
    stage.say(client, get(&key));
    let other = stage.link(0);
    assert_eq!(stage.heard(other), get(&key), "it is not back yet");
    assert_eq!(stage.heard(probe), "");
    stage.answer(other, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n");

    stage.answer(probe, "+PONG\r\n");
    assert!(stage.is_live(1) && !stage.is_open(probe));
    assert!(
        stage
            .log
            .contains(&"server 's1' is back on the ring".to_owned())
    );
    stage.say(client, get(&key));
    let link = stage.link(1);
    assert_eq!(stage.heard(link), get(&key));
    stage.answer(link, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n");
    assert_eq!(stage.count(PoolMetric::ServerEjects), 1);
    assert_eq!(stage.count_at(1, ServerMetric::Requests), 2);
}

#[test]
fn memcached_is_asked_for_its_version() {
    let (mut stage, probe) = probed(with(memcached_pool(2)));
    assert_eq!(stage.heard(probe), "version\r\n");
    stage.answer(probe, "VERS");
    assert!(!stage.is_live(1));
    stage.answer(probe, "ION 1.6.18\r\n");
    assert!(stage.is_live(1));
}

#[test]
fn one_worker_asks_and_all_hear_of_it() {
    let mut settings = pool();
    settings.server_failure_limit = 1;
    let mut stage = Stage::with_workers(settings, 3, 1);
    stage.eject(1);
    stage.set_connect_result(1, ConnectResult::Open);
    let before = stage.links_ever(1);
    stage.wait(5_000);
    assert_eq!(
        stage.links_ever(1),
        before + 1,
        "one probe of three workers"
    );
    let probe = stage.link(1);
    stage.answer(probe, "+PONG\r\n");
    let key = stage.key(1);
    for worker in 0..3 {
        let client = stage.client_of(worker);
        stage.say(client, get(&key));
    }
    let heard: Vec<String> = stage
        .links(1)
        .into_iter()
        .map(|link| stage.heard(link))
        .collect();
    assert_eq!(heard, vec![get(&key); 3], "each worker goes there again");
}

#[test]
fn pauses_between_probes_double_and_vary() {
    let pauses = |seed: u64| {
        let mut stage = Stage::with_workers(pool(), 1, seed);
        stage.eject(1);
        stage.wait(40_000);
        let opened = stage.opened(1);
        let between = opened.windows(2).map(|pair| pair[1] - pair[0]);
        between.collect::<Vec<_>>()
    };
    let first = pauses(1);
    for (pause, least) in first.iter().zip([5_000.0, 1_000.0, 2_000.0, 4_000.0]) {
        let most = if *pause >= 5_000.0 {
            least
        } else {
            least * 1.25
        };
        assert!((least..=most).contains(pause), "{first:?}");
    }
    assert!(first.len() > 7, "{first:?}");
    let later = &first[4..];
    assert!(
        later
            .iter()
            .all(|pause| (5_000.0..=6_250.0).contains(pause)),
        "{first:?}"
    );
    assert_ne!(first, pauses(99), "another proxy asks at other times");
}

#[test]
fn whatever_is_no_answer_keeps_it_out() {
    for cause in [Cause::Closed, Cause::Reset] {
        let (mut stage, probe) = probed(pool());
        stage.hang_up(probe, cause);
        assert!(!stage.is_live(1));
    }
    for garbage in ["+OK", "?what\r\n", "$99999999999999999999\r\n"] {
        let (mut stage, probe) = probed(pool());
        stage.answer(probe, garbage);
        assert!(!stage.is_live(1), "{garbage}");
    }
    let mut stage = Stage::new(pool());
    stage.eject(1);
    stage.wait(5_000);
    assert!(!stage.is_live(1), "refused");
    assert_eq!(stage.count(PoolMetric::ServerEjects), 1, "no new ejection");
}

#[test]
fn a_server_that_is_loading_or_busy_stays_out() {
    for excuse in [
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-BUSY Redis is busy running a script.\r\n",
        "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    ] {
        let (mut stage, probe) = probed(pool());
        stage.answer(probe, excuse);
        assert!(!stage.is_live(1) && !stage.is_open(probe), "{excuse}");
        stage.wait(1_250);
        let again = stage.link(1);
        stage.answer(again, "+PONG\r\n");
        assert!(stage.is_live(1), "{excuse}");
    }
}

#[test]
fn a_server_that_wants_a_password_is_there() {
    let (mut stage, probe) = probed(pool());
    stage.answer(probe, "-NOAUTH Authentication required.\r\n");
    assert!(stage.is_live(1));
}

#[test]
fn a_probe_gives_the_password_and_selects_first() {
    let mut settings = pool();
    settings.protocol = ProtocolSettings::Redis(RedisSettings {
        auth: Some(b"sesame"[..].into()),
        ..RedisSettings::default()
    });
    settings.servers[1].db = 3;
    settings.server_failure_limit = 1;
    let mut stage = Stage::new(settings);
    // The client must send the password too, so the server is ejected by hand.
    stage.set_connect_result(1, ConnectResult::Refusing);
    let client = stage.client();
    assert_eq!(stage.ask(client, redis(&["AUTH", "sesame"])), "+OK\r\n");
    assert_eq!(stage.ask(client, get(&stage.key(1))), REFUSED);
    stage.set_connect_result(1, ConnectResult::Open);
    stage.wait(5_000);
    let probe = stage.link(1);
    let said = redis(&["AUTH", "sesame"]) + &redis(&["SELECT", "3"]) + PING;
    assert_eq!(stage.heard(probe), said);
    stage.answer(probe, "+OK\r\n+OK\r\n");
    assert!(!stage.is_live(1));
    stage.answer(probe, "+PONG\r\n");
    assert!(stage.is_live(1));
}

#[test]
fn a_silent_probe_ends_after_the_time_out() {
    let mut settings = pool();
    settings.timeout = Some(millis(400));
    let (mut stage, probe) = probed(settings);
    stage.wait(399);
    assert!(stage.is_open(probe));
    stage.wait(1);
    assert!(!stage.is_open(probe) && !stage.is_live(1));
}

#[test]
fn without_a_time_out_or_with_a_long_one_it_ends_after_5_s() {
    for timeout in [None, Some(millis(600_000))] {
        let mut settings = pool();
        settings.timeout = timeout;
        let (mut stage, probe) = probed(settings);
        stage.set_connect_result(1, ConnectResult::Silent);
        stage.wait(4_999);
        assert!(stage.is_open(probe));
        stage.wait(1);
        assert!(!stage.is_open(probe));
        stage.wait(600_000);
        assert!(stage.links(1).len() <= 2, "probes pile up");
    }
}

#[test]
fn a_black_hole_is_no_server_connection_for_ever() {
    let mut settings = pool();
    settings.timeout = Some(millis(400));
    let mut stage = Stage::new(settings);
    stage.eject(1);
    stage.set_connect_result(1, ConnectResult::Silent);
    stage.wait(60_000);
    assert!(stage.links(1).len() <= 1);
    assert_eq!(stage.count_at(1, ServerMetric::ServerConnections), 0);
    stage.set_connect_result(1, ConnectResult::Open);
    while stage.links(1).is_empty() || stage.count_at(1, ServerMetric::ServerConnections) == 0 {
        stage.wait(10);
    }
    let probe = stage.link(1);
    assert_eq!(stage.count_at(1, ServerMetric::ServerConnections), 1);
    stage.answer(probe, "+PONG\r\n");
    assert_eq!(stage.count_at(1, ServerMetric::ServerConnections), 0);
}

#[test]
fn an_idle_pool_probes_all_the_same() {
    let (mut stage, probe) = probed(pool());
    assert_eq!(stage.heard(probe), PING);
    stage.answer(probe, "+PONG\r\n");
    stage.wait(600_000);
    assert!(stage.links(1).is_empty() && stage.is_live(1));
}

#[test]
fn no_rest_at_all_means_a_probe_at_once() {
    let mut settings = pool();
    settings.server_retry_timeout = millis(0);
    let mut stage = Stage::new(settings);
    stage.eject(1);
    stage.wait(0);
    stage.wait(10_000);
    let opened = stage.opened(1);
    assert!(opened.len() <= 12, "about one a second: {opened:?}");
    stage.set_connect_result(1, ConnectResult::Open);
    stage.wait(1_250);
    let probe = stage.link(1);
    stage.answer(probe, "+PONG\r\n");
    assert!(stage.is_live(1));
}

#[test]
fn a_probe_does_not_hold_up_the_end() {
    let (mut stage, _probe) = probed(pool());
    assert!(stage.shut_down());
}

#[test]
fn without_probes_a_request_finds_out() {
    let mut settings = pool();
    settings.failure.probe = false;
    settings.server_failure_limit = 1;
    let mut stage = Stage::new(settings);
    stage.eject(1);
    let (client, key) = (stage.client(), stage.key(1));
    stage.wait(4_999);
    assert!(!stage.is_live(1));
    stage.wait(1);
    assert!(stage.is_live(1), "back without a word");
    assert_eq!(stage.links_ever(1), 1);
    assert_eq!(stage.ask(client, get(&key)), REFUSED, "a request was spent");
    assert!(!stage.is_live(1));
    stage.set_connect_result(1, ConnectResult::Open);
    stage.wait(5_000);
    stage.say(client, get(&key));
    let link = stage.link(1);
    assert_eq!(stage.heard(link), get(&key));
}

#[test]
fn after_a_probe_the_full_limit_of_failures_ejects_again() {
    let mut settings = pool();
    settings.server_failure_limit = 2;
    let mut stage = Stage::new(settings);
    let (client, key) = (stage.client(), stage.key(1));
    stage.set_connect_result(1, ConnectResult::Refusing);
    stage.ask(client, get(&key));
    assert!(stage.is_live(1));
    stage.wait(1);
    stage.ask(client, get(&key));
    assert!(!stage.is_live(1));
    stage.set_connect_result(1, ConnectResult::Open);
    stage.wait(5_000);
    let probe = stage.link(1);
    stage.answer(probe, "+PONG\r\n");
    stage.set_connect_result(1, ConnectResult::Refusing);
    stage.wait(1);
    stage.ask(client, get(&key));
    assert!(stage.is_live(1), "one of two");
    stage.wait(1);
    stage.ask(client, get(&key));
    assert!(!stage.is_live(1));
}
