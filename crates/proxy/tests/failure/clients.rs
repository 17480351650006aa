//! `client_idle_timeout` and `client_request_timeout`.

use proxy::limits::LARGE_WINDOW;
use proxy::metrics::PoolMetric;
use proxy::settings::PoolSettings;

use crate::stage::{Stage, memcached_pool, millis, redis_pool};
use crate::words::{bulk, get, set};

/// Clients are checked four times per timeout.
fn idle(limit: u64) -> PoolSettings {
    with_idle(redis_pool(1), limit)
}

fn with_idle(mut settings: PoolSettings, limit: u64) -> PoolSettings {
    settings.failure.client_idle_timeout = Some(millis(limit));
    settings
}

fn request(limit: u64) -> PoolSettings {
    with_request(redis_pool(1), limit)
}

fn with_request(mut settings: PoolSettings, limit: u64) -> PoolSettings {
    settings.failure.client_request_timeout = Some(millis(limit));
    settings
}

#[test]
fn an_idle_client_is_closed_in_time_and_counted() {
    let mut stage = Stage::new(idle(1_000));
    let client = stage.client();
    stage.wait(999);
    assert!(!stage.is_closed(client));
    stage.wait(250);
    assert!(stage.is_closed(client));
    assert_eq!(stage.count(PoolMetric::ClientErr), 1);
    assert_eq!(stage.count(PoolMetric::ClientConnections), 0);
    assert_eq!(
        stage.log,
        ["closing idle client: client_idle_timeout".to_owned()]
    );
    assert!(stage.shut_down());
}

#[test]
fn requests_and_replies_keep_a_client() {
    let mut stage = Stage::new(idle(1_000));
    let client = stage.client();
    for _ in 0..5 {
        stage.wait(900);
        assert_eq!(stage.ask(client, "PING\r\n"), "+PONG\r\n");
    }
    stage.wait(900);
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.wait(900);
    stage.answer(link, "$-1\r\n");
    stage.hear(client);
    stage.wait(999);
    assert!(
        !stage.is_closed(client),
        "idle since the reply, not the request"
    );
    stage.wait(251);
    assert!(stage.is_closed(client));
}

#[test]
fn who_waits_for_a_reply_is_not_idle() {
    let mut stage = Stage::new(idle(1_000));
    let client = stage.client();
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.wait(60_000);
    assert!(!stage.is_closed(client));
    stage.answer(link, "$-1\r\n");
    stage.wait(999);
    assert!(!stage.is_closed(client), "it may still read its reply");
    assert_eq!(stage.hear(client), "$-1\r\n");
    stage.wait(1_250);
    assert!(stage.is_closed(client));
}

#[test]
fn who_waits_for_a_quiet_request_is_not_idle() {
    let mut stage = Stage::new(with_idle(memcached_pool(1), 1_000));
    let client = stage.client();
    stage.say(client, "set k 0 0 1 noreply\r\nv\r\n");
    stage.wait(60_000);
    assert!(!stage.is_closed(client));
}

#[test]
fn who_reads_nothing_of_its_replies_is_late_and_who_reads_is_not() {
    let mut stage = Stage::new(idle(1_000));
    let [deaf, slow, waits] = [(); 3].map(|()| stage.client());
    for client in [deaf, slow, waits] {
        stage.say(client, get("k"));
    }
    let link = stage.link(0);
    stage.wait(5_000);
    stage.answer(link, bulk(&"v".repeat(1_000)).repeat(2));
    // One more reply is owed to the first, whose server is slow; that is no excuse.
    stage.say(deaf, get("k"));
    for _ in 0..3 {
        stage.wait(990);
        assert_eq!(stage.hear_some(slow, 1).len(), 1);
    }
    assert!(stage.is_closed(deaf) && !stage.is_closed(slow));
    assert!(!stage.is_closed(waits), "it waits for its server");
    let line = "closing client that has read nothing of its replies: client_idle_timeout";
    assert_eq!(stage.log, [line.to_owned()]);
    stage.wait(1_499);
    assert!(stage.is_closed(slow));
}

#[test]
fn a_reply_that_comes_late_is_not_unread_at_once() {
    let mut stage = Stage::new(idle(1_000));
    let client = stage.client();
    stage.say(client, get("k"));
    let link = stage.link(0);
    // At the moment of a check, the reply is there and nothing was read for long.
    stage.wait(10_000);
    stage.answer(link, bulk("v"));
    stage.wait(1_000);
    assert!(!stage.is_closed(client));
    stage.wait(500);
    assert!(stage.is_closed(client));
}

#[test]
fn who_is_held_back_is_not_idle_and_starts_anew() {
    let mut settings = idle(1_000);
    settings.failure.client_request_timeout = Some(millis(1_000));
    let mut stage = Stage::new(settings);
    let client = stage.client();
    let half = "*2\r\n$3\r\nGET\r\n";
    stage.say(client, get("k").repeat(LARGE_WINDOW + 1) + half);
    let link = stage.link(0);
    stage.wait(60_000);
    assert!(!stage.is_closed(client));
    stage.answer(link, "$-1\r\n".repeat(LARGE_WINDOW));
    stage.answer(link, "$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n".repeat(LARGE_WINDOW + 1));
    stage.wait(999);
    assert!(!stage.is_closed(client), "it could not go on before");
    stage.wait(251);
    assert!(stage.is_closed(client));
}

#[test]
fn a_request_must_be_whole_in_time_however_it_drips() {
    let mut stage = Stage::new(request(1_000));
    let client = stage.client();
    let text = set("k", &"v".repeat(200));
    let mut bytes = text.as_bytes().iter();
    for _ in 0..99 {
        let byte = bytes.next().expect("the request is longer");
        stage.say(client, [*byte]);
        stage.wait(10);
    }
    assert!(!stage.is_closed(client));
    for byte in bytes.by_ref().take(27) {
        if !stage.is_closed(client) {
            stage.say(client, [*byte]);
        }
        stage.wait(10);
    }
    assert!(stage.is_closed(client));
    assert_eq!(
        stage.log,
        ["closing client in the middle of a request: client_request_timeout".to_owned()]
    );
    assert_eq!(stage.links_ever(0), 0, "nothing of it reached a server");
}

#[test]
fn a_large_body_must_be_whole_in_time_too() {
    let mut stage = Stage::new(request(1_000));
    let client = stage.client();
    let text = set("k", &"v".repeat(900_000));
    for piece in text.as_bytes().chunks(1_000).take(126) {
        if !stage.is_closed(client) {
            stage.say(client, piece);
        }
        stage.wait(10);
    }
    assert!(stage.is_closed(client));
}

#[test]
fn a_request_in_time_is_served() {
    let mut stage = Stage::new(request(1_000));
    let client = stage.client();
    let text = get("key");
    let (first, last) = text.split_at(text.len() - 1);
    stage.say(client, first);
    stage.wait(999);
    stage.say(client, last);
    stage.wait(60_000);
    assert!(
        !stage.is_closed(client),
        "idle clients are not concerned, nor waiting ones"
    );
    let link = stage.link(0);
    assert_eq!(stage.heard(link), text);
}

#[test]
fn uploads_that_always_end_in_the_middle_of_a_request_go_on() {
    let mut stage = Stage::new(request(1_000));
    let client = stage.client();
    let text = set("k", &"v".repeat(100));
    let stream = text.repeat(40);
    let mut sent = 0;
    // Every piece ends in the middle of a request, and every request is complete within 600 ms.
    for piece in stream.as_bytes().chunks(text.len() / 2 + 1) {
        stage.say(client, piece);
        sent += piece.len();
        if let [link] = stage.links(0)[..] {
            let whole = stage.heard(link).matches("SET").count();
            stage.answer(link, "+OK\r\n".repeat(whole));
            stage.hear(client);
        }
        stage.wait(300);
        assert!(!stage.is_closed(client), "after {sent} bytes");
    }
}

#[test]
fn a_reply_does_not_give_a_stalled_request_more_time() {
    let mut stage = Stage::new(request(1_000));
    let client = stage.client();
    stage.say(client, get("a") + "*2\r\n$3\r\nGE");
    let link = stage.link(0);
    stage.wait(900);
    stage.answer(link, bulk("A"));
    assert_eq!(stage.hear(client), bulk("A"));
    stage.wait(349);
    assert!(stage.is_closed(client));
}

#[test]
fn what_is_dropped_of_a_refused_request_must_come_in_time_too() {
    let mut stage = Stage::new(with_request(memcached_pool(1), 1_000));
    let client = stage.client();
    let long = format!("set {} 0 0 100\r\nv", "k".repeat(251));
    assert!(stage.ask(client, long).starts_with("CLIENT_ERROR"));
    stage.wait(999);
    assert!(!stage.is_closed(client));
    stage.wait(251);
    assert!(stage.is_closed(client));
}

#[test]
fn who_has_sent_the_whole_of_a_refused_request_is_idle_since_then() {
    let mut stage = Stage::new(with_idle(memcached_pool(1), 1_000));
    let client = stage.client();
    let key = "k".repeat(251);
    stage.say(client, format!("set {key} 0 0 20\r\n"));
    assert!(stage.hear(client).starts_with("CLIENT_ERROR"));
    stage.wait(900);
    stage.say(client, "x".repeat(10));
    stage.wait(900);
    stage.say(client, format!("{}\r\n", "x".repeat(10)));
    stage.wait(999);
    assert!(!stage.is_closed(client));
    stage.wait(251);
    assert!(stage.is_closed(client));
}

#[test]
fn a_half_sent_request_is_no_idleness() {
    let mut stage = Stage::new(with_idle(request(10_000), 1_000));
    let client = stage.client();
    stage.say(client, "*2\r\n");
    stage.wait(9_999);
    assert!(!stage.is_closed(client));
    stage.wait(251);
    assert!(stage.is_closed(client));
}

#[test]
fn without_the_settings_nobody_is_closed() {
    let mut stage = Stage::new(redis_pool(1));
    let (idle, stalled) = (stage.client(), stage.client());
    stage.say(stalled, "*2\r\n");
    stage.wait(86_400_000);
    assert!(!stage.is_closed(idle) && !stage.is_closed(stalled));
}

#[test]
fn the_end_waits_for_replies_that_are_owed() {
    let mut stage = Stage::new(redis_pool(1));
    let (client, idle) = (stage.client(), stage.client());
    stage.say(client, get("a"));
    assert!(!stage.shut_down());
    assert!(stage.is_closed(idle) && !stage.is_closed(client));
    let link = stage.link(0);
    stage.answer(link, bulk("A"));
    assert_eq!(stage.hear(client), bulk("A"));
    assert!(stage.is_closed(client) && stage.shut_down());
}
