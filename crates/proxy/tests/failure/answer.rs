//! `timeout_action: answer`: only the late request fails, and its reply is dropped if it still arrives.

use proxy::Cause;
use proxy::limits::{LONG_WINDOW, MAX_WINDOW};
use proxy::metrics::{PoolMetric, ServerMetric};
use proxy::settings::{PoolSettings, TimeoutAction};

use crate::stage::{ConnectResult, Stage, memcached_pool, millis, redis_pool};
use crate::words::{HELLO_3, TIMED_OUT, bulk, get, redis, value};

fn pool() -> PoolSettings {
    with(redis_pool(1))
}

fn with(mut settings: PoolSettings) -> PoolSettings {
    settings.timeout = Some(millis(300));
    settings.failure.timeout_action = TimeoutAction::Answer;
    settings
}

#[test]
fn only_the_late_request_fails_and_the_rest_stay_paired() {
    let mut stage = Stage::new(pool());
    let (early, late) = (stage.client(), stage.client());
    stage.say(early, get("a"));
    let link = stage.link(0);
    stage.wait(200);
    stage.say(late, get("b"));
    stage.wait(99);
    assert_eq!(stage.hear(early), "");
    stage.wait(1);
    assert_eq!(stage.hear(early), TIMED_OUT);
    assert_eq!(stage.hear(late), "");
    assert!(stage.is_open(link));
    stage.say(early, get("c"));
    stage.answer(link, bulk("A") + &bulk("B") + &bulk("C"));
    assert_eq!(stage.hear(late), bulk("B"));
    assert_eq!(stage.hear(early), bulk("C"));
    assert_eq!(stage.count_at(0, ServerMetric::ServerTimedout), 1);
    assert_eq!(stage.count_at(0, ServerMetric::Responses), 3);
    assert_eq!(stage.count_at(0, ServerMetric::OutQueue), 0);
    assert_eq!(stage.links_ever(0), 1);
}

#[test]
fn a_pipeline_of_late_requests_fails_in_order_each_at_its_time() {
    let mut stage = Stage::new(pool());
    let client = stage.client();
    stage.say(client, get("a") + &get("b"));
    stage.wait(100);
    stage.say(client, get("c"));
    stage.wait(200);
    assert_eq!(stage.hear(client), format!("{TIMED_OUT}{TIMED_OUT}"));
    stage.wait(99);
    assert_eq!(stage.hear(client), "");
    stage.wait(1);
    assert_eq!(stage.hear(client), TIMED_OUT);
}

#[test]
fn replies_stay_paired_wherever_the_stream_is_cut() {
    let stream = bulk("late") + "*2\r\n$-1\r\n:1\r\n" + &bulk("in time") + "-ERR odd\r\n";
    for cut in 0..=stream.len() {
        let mut stage = Stage::new(pool());
        let client = stage.client();
        stage.say(client, get("a") + &redis(&["LRANGE", "b", "0", "-1"]));
        stage.wait(300);
        assert_eq!(stage.hear(client), format!("{TIMED_OUT}{TIMED_OUT}"));
        stage.say(client, get("c") + &get("d"));
        let link = stage.link(0);
        stage.answer(link, &stream[..cut]);
        stage.wait(10);
        stage.answer(link, &stream[cut..]);
        let heard = stage.hear(client);
        assert_eq!(heard, bulk("in time") + "-ERR odd\r\n", "cut at {cut}");
    }
}

#[test]
fn a_reply_that_is_being_passed_on_is_not_cut() {
    let mut stage = Stage::new(pool());
    let (slow, next) = (stage.client(), stage.client());
    stage.say(slow, get("a"));
    stage.say(next, get("b"));
    let link = stage.link(0);
    stage.wait(200);
    stage.answer(link, "$8\r\nhalf");
    assert_eq!(stage.hear(slow), "$8\r\nhalf");
    stage.wait(100);
    assert_eq!(
        stage.hear(slow),
        "",
        "half of it is out: no error may follow"
    );
    assert_eq!(stage.hear(next), TIMED_OUT, "nothing of this one is out");
    assert!(!stage.is_closed(slow));
    stage.wait(900);
    stage.answer(link, "half\r\n");
    assert_eq!(stage.hear(slow), "half\r\n");
    stage.say(next, get("c"));
    stage.answer(link, bulk("B") + &bulk("C"));
    assert_eq!(stage.hear(next), bulk("C"));
}

#[test]
fn a_reply_that_breaks_off_closes_its_client_as_ever() {
    let mut stage = Stage::new(pool());
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.answer(link, "$8\r\nhalf");
    stage.wait(400);
    stage.hang_up(link, Cause::Reset);
    assert_eq!(stage.hear(client), "$8\r\nhalf");
    assert!(stage.is_closed(client));
}

#[test]
fn silence_closes_the_connection() {
    let mut stage = Stage::new(pool());
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.wait(1_199);
    assert_eq!(stage.hear(client), TIMED_OUT);
    stage.say(client, get("b"));
    assert!(stage.is_open(link));
    stage.wait(1);
    assert!(!stage.is_open(link), "four times 300 ms");
    assert_eq!(
        stage.hear(client),
        TIMED_OUT,
        "what is lost with it is answered at once"
    );
    stage.say(client, get("c"));
    assert_eq!(stage.links_ever(0), 2, "the next one opens another");
}

#[test]
fn a_short_time_out_leaves_a_second_of_silence() {
    let mut settings = pool();
    settings.timeout = Some(millis(10));
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.wait(999);
    assert!(stage.is_open(link));
    stage.wait(1);
    assert!(!stage.is_open(link));
}

#[test]
fn any_word_ends_the_silence() {
    let mut stage = Stage::new(pool());
    let client = stage.client();
    stage.say(client, get("a") + &get("b") + &get("c"));
    let link = stage.link(0);
    for _ in 0..3 {
        stage.wait(1_100);
        stage.answer(link, "$1\r\n");
        stage.wait(1_100);
        assert!(stage.is_open(link));
        stage.answer(link, "x\r\n");
    }
    stage.wait(60_000);
    assert!(stage.is_open(link), "it owes nothing");
    assert_eq!(stage.hear(client), TIMED_OUT.repeat(3));
}

#[test]
fn a_word_of_the_handshake_is_a_word() {
    let mut settings = pool();
    settings.servers[0].db = 3;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.wait(250);
    stage.answer(link, "+OK\r\n");
    stage.wait(1_199);
    assert!(stage.is_open(link));
    assert_eq!(stage.hear(client), TIMED_OUT);
    stage.wait(1);
    assert!(!stage.is_open(link));
}

#[test]
fn a_long_calm_before_is_no_silence() {
    let mut stage = Stage::new(pool());
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n");
    stage.wait(3_600_000);
    stage.hear(client);
    stage.say(client, get("b"));
    stage.wait(1_199);
    assert!(stage.is_open(link), "silent since it was asked");
    assert_eq!(stage.hear(client), TIMED_OUT);
    stage.wait(1);
    assert!(!stage.is_open(link));
}

#[test]
fn a_connection_that_is_not_ready_is_closed_for_there_is_nothing_to_drop() {
    let mut stage = Stage::new(pool());
    stage.set_connect_result(0, ConnectResult::Silent);
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.wait(300);
    assert!(!stage.is_open(link));
    assert_eq!(stage.hear(client), TIMED_OUT);
}

#[test]
fn quiet_requests_are_dropped_quietly() {
    let mut stage = Stage::new(with(memcached_pool(1)));
    let client = stage.client();
    stage.say(client, "set a 0 0 1 noreply\r\nx\r\nget b\r\n");
    let link = stage.link(0);
    stage.wait(300);
    assert_eq!(stage.hear(client), "SERVER_ERROR Connection timed out\r\n");
    stage.say(client, "get c\r\n");
    stage.end(client);
    let c = value("c", "3");
    stage.answer(
        link,
        format!("STORED\r\n{}END\r\n{c}END\r\n", value("b", "2")),
    );
    assert_eq!(stage.hear(client), format!("{c}END\r\n"));
    assert!(stage.is_closed(client), "nothing of it is outstanding");
}

#[test]
fn quiet_requests_that_were_late_leave_their_places_to_others() {
    let mut stage = Stage::new(with(memcached_pool(1)));
    let client = stage.client();
    stage.say(client, "set a 0 0 1 noreply\r\nx\r\n".repeat(MAX_WINDOW));
    let link = stage.link(0);
    stage.heard(link);
    stage.say(client, "get b\r\n");
    assert_eq!(stage.heard(link), "", "as many as may be are under way");
    stage.wait(300);
    assert_eq!(stage.heard(link), "get b\r\n");
}

#[test]
fn a_late_fragment_fails_the_whole_and_is_dropped_when_it_comes() {
    let mut stage = Stage::new(with(redis_pool(2)));
    let client = stage.client();
    let (here, there) = (stage.key(0), stage.key(1));
    stage.say(client, redis(&["MGET", &here, &there]));
    let (well, ill) = (stage.link(0), stage.link(1));
    stage.answer(well, format!("*1\r\n{}", bulk("v")));
    stage.wait(299);
    assert_eq!(stage.hear(client), "");
    stage.wait(1);
    assert_eq!(stage.hear(client), TIMED_OUT);
    stage.say(client, get(&there));
    stage.answer(ill, format!("*1\r\n{}{}", bulk("late"), bulk("right")));
    assert_eq!(stage.hear(client), bulk("right"));
}

#[test]
fn a_late_fragment_of_a_multi_get_is_a_miss() {
    let mut stage = Stage::new(with(memcached_pool(2)));
    let client = stage.client();
    let (here, there) = (stage.key(0), stage.key(1));
    stage.say(client, format!("get {there} {here}\r\n"));
    let (well, ill) = (stage.link(0), stage.link(1));
    let block = value(&here, "v");
    stage.answer(well, format!("{block}END\r\n"));
    stage.wait(300);
    assert_eq!(stage.hear(client), format!("{block}END\r\n"));
    stage.say(client, format!("delete {there}\r\n"));
    stage.answer(ill, format!("{}END\r\nDELETED\r\n", value(&there, "late")));
    assert_eq!(stage.hear(client), "DELETED\r\n");
}

#[test]
fn several_connections_to_a_server_keep_their_pairs_and_a_clients_order() {
    let mut settings = pool();
    settings.server_connections = 4;
    let mut stage = Stage::new(settings);
    let clients: Vec<usize> = (0..4).map(|_| stage.client()).collect();
    for client in &clients {
        stage.say(*client, get(&format!("a{client}")));
    }
    let links = stage.links(0);
    assert_eq!(links.len(), 4);
    stage.wait(300);
    for client in &clients {
        assert_eq!(stage.hear(*client), TIMED_OUT);
        stage.say(*client, get(&format!("b{client}")));
    }
    for (client, link) in clients.iter().zip(&links) {
        let both = get(&format!("a{client}")) + &get(&format!("b{client}"));
        assert_eq!(stage.heard(*link), both, "behind its late one");
        stage.answer(*link, bulk("late") + &bulk(&format!("b{client}")));
        assert_eq!(stage.hear(*client), bulk(&format!("b{client}")));
    }
    stage.say(clients[3], get("c"));
    assert_eq!(
        stage.heard(links[0]),
        get("c"),
        "free again, it takes the first that is"
    );
}

#[test]
fn a_late_request_does_not_hold_its_client_to_the_version_of_before() {
    for connections in [1, 2] {
        let mut settings = pool();
        settings.server_connections = connections;
        let mut stage = Stage::new(settings);
        let client = stage.client();
        stage.say(client, get("a") + &redis(&["HELLO", "3"]));
        let before = stage.link(0);
        stage.wait(300);
        assert_eq!(stage.hear(client), TIMED_OUT);
        let after = stage.links(0)[1];
        assert_eq!(stage.heard(after), redis(&["HELLO", "3"]));
        stage.answer(after, HELLO_3);
        assert!(stage.hear(client).starts_with('%'));
        stage.say(client, get("b"));
        assert_eq!(stage.heard(before), get("a"));
        assert_eq!(stage.heard(after), get("b"));
        stage.answer(before, bulk("late"));
        stage.answer(after, bulk("B"));
        assert_eq!(stage.hear(client), bulk("B"));
    }
}

#[test]
fn who_has_left_is_not_missed() {
    let mut stage = Stage::new(pool());
    let (gone, stays) = (stage.client(), stage.client());
    stage.say(gone, get("a"));
    stage.say(stays, get("b"));
    let link = stage.link(0);
    stage.vanish(gone);
    stage.wait(300);
    assert_eq!(stage.hear(stays), TIMED_OUT);
    stage.say(stays, get("c"));
    stage.answer(link, bulk("A") + &bulk("B") + &bulk("C"));
    assert_eq!(stage.hear(stays), bulk("C"));
}

#[test]
fn a_reply_after_the_tombstones_is_out_of_step() {
    let mut stage = Stage::new(pool());
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.wait(300);
    stage.answer(link, bulk("A") + &bulk("nobody asked"));
    assert!(!stage.is_open(link));
    assert_eq!(stage.hear(client), TIMED_OUT);
}

#[test]
fn requests_that_are_late_together_are_one_failure() {
    let mut settings = pool();
    settings.auto_eject_hosts = true;
    settings.server_failure_limit = 2;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    for _ in 0..LONG_WINDOW {
        stage.say(client, get("a"));
        stage.wait(20);
    }
    stage.wait(299);
    assert!(stage.is_live(0), "all were sent before the first was late");
    stage.say(client, get("b"));
    stage.wait(299);
    assert!(stage.is_live(0));
    stage.wait(1);
    assert!(!stage.is_live(0), "and one that was sent after");
    assert_eq!(stage.count(PoolMetric::ServerEjects), 1);
}

#[test]
fn a_server_that_is_always_late_is_ejected() {
    let mut settings = pool();
    settings.auto_eject_hosts = true;
    settings.server_failure_limit = 2;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.wait(301);
    stage.answer(link, bulk("late"));
    assert!(stage.is_live(0));
    stage.say(client, get("b"));
    stage.wait(301);
    assert!(!stage.is_live(0), "a late reply is no success");
}

#[test]
fn a_reply_in_time_forgives() {
    let mut settings = pool();
    settings.auto_eject_hosts = true;
    settings.server_failure_limit = 2;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.wait(301);
    stage.say(client, get("b"));
    stage.answer(link, bulk("late") + &bulk("b"));
    stage.say(client, get("c"));
    stage.wait(301);
    assert!(stage.is_live(0));
}
