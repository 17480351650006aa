//! The departure of the proxy: clients that asked are told, then all are closed one after the other between two requests.

use std::time::Duration;

use proxy::Departure;
use proxy::metrics::PoolMetric;
use proxy::settings::{ProtocolSettings, RedisSettings};

use crate::stage::{Stage, redis_pool};
use crate::words::{HELLO_3, bulk, get, redis};

const DEPARTURE: Departure = Departure {
    number: 17,
    seconds: 20,
    stays: false,
};

/// A stage whose pool tells clients to go there.
fn stage(drain_to: Option<&str>) -> Stage {
    let mut pool = redis_pool(1);
    pool.protocol = ProtocolSettings::Redis(RedisSettings {
        drain_to: drain_to.map(Into::into),
        ..RedisSettings::default()
    });
    Stage::new(pool)
}

/// A client with RESP3, and the connection that its requests take.
fn resp3_client(stage: &mut Stage) -> (usize, usize) {
    let client = stage.client();
    stage.say(client, redis(&["HELLO", "3"]));
    let known = stage.links(0);
    let link = *known.last().expect("a connection for RESP3");
    if stage.heard(link) == redis(&["HELLO", "3"]) {
        stage.answer(link, HELLO_3);
    }
    assert!(stage.hear(client).starts_with("%7\r\n"));
    (client, link)
}

fn ask_to_be_told(stage: &mut Stage, client: usize, kind: &[&str]) -> String {
    let words = [&["CLIENT", "MAINT_NOTIFICATIONS", "ON"], kind].concat();
    stage.ask(client, redis(&words))
}

fn moving(endpoint: &str) -> String {
    format!(">4\r\n$6\r\nMOVING\r\n:17\r\n:20\r\n{endpoint}")
}

#[test]
fn who_asks_is_told_with_the_endpoint_that_it_can_be_told() {
    for (drain_to, kind, granted) in [
        (None, "none", Some("_\r\n".to_owned())),
        (None, "internal-ip", None),
        (Some("lb:6379"), "none", Some("_\r\n".to_owned())),
        (Some("lb:6379"), "internal-ip", Some(bulk("lb:6379"))),
        (Some("lb:6379"), "External-FQDN", Some(bulk("lb:6379"))),
    ] {
        let mut stage = stage(drain_to);
        let (client, _) = resp3_client(&mut stage);
        let kinds = ["moving-endpoint-type", kind];
        let reply = ask_to_be_told(&mut stage, client, &kinds);
        assert_eq!(reply == "+OK\r\n", granted.is_some(), "{kind}: {reply}");
        stage.announce(DEPARTURE);
        let expected = granted.map_or(String::new(), |endpoint| moving(&endpoint));
        assert_eq!(stage.hear(client), expected, "{drain_to:?} {kind}");
    }
}

#[test]
fn who_does_not_ask_or_speaks_resp2_or_has_it_switched_off_is_not_told() {
    let mut stage = stage(None);
    let (silent, _) = resp3_client(&mut stage);
    let (off, _) = resp3_client(&mut stage);
    assert_eq!(ask_to_be_told(&mut stage, off, &[]), "+OK\r\n");
    let switch_off = redis(&["CLIENT", "MAINT_NOTIFICATIONS", "OFF"]);
    assert_eq!(stage.ask(off, switch_off), "+OK\r\n");
    let old = stage.client();
    let refused = ask_to_be_told(&mut stage, old, &[]);
    assert!(refused.contains("it needs RESP3"), "{refused}");
    for wrong in [&["x"][..], &["moving-endpoint-type", "x"], &["a", "b", "c"]] {
        let reply = ask_to_be_told(&mut stage, silent, wrong);
        assert_eq!(reply, "-ERR syntax error\r\n", "{wrong:?}");
    }
    assert_eq!(stage.announce(DEPARTURE), 0);
    for client in [silent, off, old] {
        assert_eq!(stage.hear(client), "");
    }
}

#[test]
fn the_notification_never_lands_within_a_reply() {
    let mut stage = stage(None);
    let (client, link) = resp3_client(&mut stage);
    assert_eq!(ask_to_be_told(&mut stage, client, &[]), "+OK\r\n");
    stage.say(client, get("a") + &get("b"));
    assert_eq!(stage.heard(link), get("a") + &get("b"));
    stage.answer(link, "$5\r\nhe");
    assert_eq!(stage.announce(DEPARTURE), 1);
    stage.answer(link, "llo\r\n$1\r\nx\r\n");
    let expected = format!("$5\r\nhello\r\n{}$1\r\nx\r\n", moving("_\r\n"));
    assert_eq!(stage.hear(client), expected);
}

#[test]
fn idle_clients_are_closed_evenly_over_the_time() {
    let mut stage = stage(None);
    let clients: Vec<usize> = (0..4).map(|_| stage.client()).collect();
    stage.wait(1_000);
    let new = stage.client();
    stage.begin_leaving(Duration::from_secs(8));
    let closed = |stage: &Stage| clients.iter().filter(|it| stage.is_closed(**it)).count();
    for expected in 1..=4 {
        assert_eq!(closed(&stage), expected);
        stage.wait(1_999);
        assert_eq!(closed(&stage), expected);
        assert!(!stage.is_closed(new), "its first request is on its way");
        stage.wait(1);
    }
    assert!(stage.is_closed(new));
    let ends = stage.count(PoolMetric::ClientEof);
    assert_eq!((ends, stage.count(PoolMetric::ClientErr)), (5, 0));
    assert!(stage.shut_down());
}

#[test]
fn a_busy_client_is_closed_when_all_it_has_asked_is_answered() {
    let mut stage = stage(None);
    let client = stage.client();
    stage.say(client, get("a") + &get("b"));
    let link = stage.link(0);
    stage.begin_leaving(Duration::ZERO);
    stage.answer(link, "$1\r\n1\r\n");
    assert_eq!(stage.hear(client), "$1\r\n1\r\n");
    assert!(!stage.is_closed(client), "the second request is out");
    stage.say(client, get("c"));
    assert_eq!(stage.heard(link), get("a") + &get("b") + &get("c"));
    stage.answer(link, "$1\r\n2\r\n$1\r\n3\r\n");
    assert_eq!(stage.hear(client), "$1\r\n2\r\n$1\r\n3\r\n");
    assert!(stage.is_closed(client));
}

#[test]
fn nobody_is_closed_within_a_request_or_a_transaction() {
    let mut stage = stage(None);
    let (writes, transacts) = (stage.client(), stage.client());
    let request = get("a");
    stage.say(writes, &request[..7]);
    assert_eq!(stage.ask(transacts, redis(&["MULTI"])), "+OK\r\n");
    stage.begin_leaving(Duration::ZERO);
    stage.wait(10_000);
    assert!(!stage.is_closed(writes) && !stage.is_closed(transacts));
    assert_eq!(stage.ask(transacts, redis(&["DISCARD"])), "+OK\r\n");
    assert!(stage.is_closed(transacts));
    stage.say(writes, &request[7..]);
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n");
    assert_eq!(stage.hear(writes), "$-1\r\n");
    assert!(stage.is_closed(writes));
}

#[test]
fn who_stays_busy_is_closed_by_the_shutdown() {
    let mut stage = stage(None);
    let client = stage.client();
    stage.say(client, get("a"));
    stage.begin_leaving(Duration::ZERO);
    assert!(!stage.shut_down());
    let link = stage.link(0);
    stage.say(client, get("b"));
    assert_eq!(stage.heard(link), get("a"), "nothing further is accepted");
    stage.answer(link, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n");
    assert!(stage.is_closed(client));
}
