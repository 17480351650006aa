//! How many requests a client may have in flight, what happens to further ones, and which clients are closed
//! for reading too slowly.

use proxy::Cause;
use proxy::limits::{LARGE_WINDOW, MAX_WINDOW, WINDOW_BYTES};
use proxy::metrics::PoolMetric;
use proxy::settings::PoolSettings;

use crate::stage::{Stage, memcached_pool, millis, redis_pool};
use crate::words::{PING, REFUSED, bulk, get, redis, set};

const MIB: usize = 1 << 20;

fn big(size: usize) -> String {
    "x".repeat(size)
}

#[test]
fn few_requests_with_replies_of_any_size_are_under_way_and_many_with_small_ones() {
    for (request, most) in [
        (get("a"), LARGE_WINDOW),
        (redis(&["SET", "a", "v", "GET"]), LARGE_WINDOW),
        (redis(&["EVAL", "x", "1", "a"]), LARGE_WINDOW),
        (redis(&["MGET", "a", "b"]), LARGE_WINDOW),
        (redis(&["BITCOUNT", "a"]), LARGE_WINDOW),
        (redis(&["SINTERSTORE", "a", "a"]), LARGE_WINDOW),
        (set("a", "v"), MAX_WINDOW),
        (redis(&["SET", "a", "v", "EX", "10"]), MAX_WINDOW),
        (redis(&["DEL", "a", "b"]), MAX_WINDOW),
    ] {
        let mut stage = Stage::new(redis_pool(1));
        let client = stage.client();
        stage.say(client, request.repeat(most + most / 2 + 7));
        let link = stage.link(0);
        let one = stage.heard(link).len() / most;
        stage.answer(link, "+OK\r\n".repeat(most / 2 - 1));
        assert_eq!(stage.heard(link), "", "not one by one: {request:?}");
        stage.answer(link, "+OK\r\n");
        assert_eq!(stage.heard(link).len(), one * (most / 2), "{request:?}");
        stage.answer(link, "+OK\r\n".repeat(most));
        assert_eq!(stage.heard(link).len(), one * 7);
    }
    for (request, most) in [
        ("get a\r\n", LARGE_WINDOW),
        ("set a 0 0 1\r\nv\r\n", MAX_WINDOW),
        ("set a 0 0 1 noreply\r\nv\r\n", MAX_WINDOW),
    ] {
        let mut stage = Stage::new(memcached_pool(1));
        let client = stage.client();
        stage.say(client, request.repeat(2 * MAX_WINDOW));
        let link = stage.link(0);
        let heard = stage.heard(link).matches('a').count();
        assert_eq!(heard, most, "{request:?}");
    }
}

#[test]
fn small_replies_so_far_do_not_let_many_large_ones_come() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    for _ in 0..50 {
        stage.say(client, get("a").repeat(LARGE_WINDOW));
        let link = stage.link(0);
        stage.answer(link, bulk("A").repeat(LARGE_WINDOW));
        stage.hear(client);
    }
    let link = stage.link(0);
    stage.heard(link);
    stage.say(client, get("a").repeat(1_000));
    assert_eq!(stage.heard(link), get("a").repeat(LARGE_WINDOW));
    let mut answered = 0;
    for _ in 0..1_000 {
        if stage.heard(link).is_empty() && answered >= LARGE_WINDOW {
            break;
        }
        stage.answer(link, bulk(&big(MIB)));
        answered += 1;
    }
    assert_eq!(answered, LARGE_WINDOW, "none of it was read");
    assert!(stage.held() < 60 * MIB);
}

#[test]
fn an_error_of_the_proxys_own_tells_nothing_of_how_large_replies_are() {
    let mut stage = Stage::new(redis_pool(2));
    let (client, lost, well) = (stage.client(), stage.key(0), stage.key(1));
    stage.set_connect_result(0, crate::stage::ConnectResult::Refusing);
    stage.say(client, get(&well));
    let link = stage.link(1);
    stage.answer(link, bulk(&big(MIB)));
    stage.hear(client);
    stage.heard(link);
    for _ in 0..100 {
        assert_eq!(stage.ask(client, get(&lost)), REFUSED);
    }
    stage.say(client, get(&well).repeat(100));
    assert_eq!(stage.heard(link), get(&well).repeat(8), "of a MiB each");
}

#[test]
fn large_replies_leave_room_when_half_of_their_bytes_have_gone() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, get("a"));
    let (link, large) = (stage.link(0), bulk(&"x".repeat(WINDOW_BYTES / 8)));
    stage.heard(link);
    stage.answer(link, &large);
    stage.hear(client);
    stage.say(client, get("a").repeat(20));
    assert_eq!(
        stage.heard(link),
        get("a").repeat(8),
        "one more begins below the bound"
    );
    stage.answer(link, large.repeat(4));
    assert_eq!(stage.heard(link), "", "unread bytes count, too");
    assert_eq!(stage.hear(client).len(), 4 * large.len());
    assert_eq!(stage.heard(link), "", "a few bytes more than half");
    stage.answer(link, &large);
    stage.hear(client);
    assert_eq!(stage.heard(link), get("a").repeat(5));
}

#[test]
fn what_a_full_client_sends_is_taken_and_served_in_its_turn() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, get("a").repeat(LARGE_WINDOW));
    let link = stage.link(0);
    stage.heard(link);
    // In pieces that end anywhere, including a value of several chunks.
    let value = big(200_000);
    let rest = set("b", &value) + &get("c").repeat(100) + PING;
    for piece in rest.as_bytes().chunks(7_001) {
        stage.say(client, piece);
        assert_eq!(stage.unread_by_proxy(client), 0, "all of it is taken");
    }
    assert_eq!(stage.heard(link), "");
    stage.answer(link, bulk("A").repeat(LARGE_WINDOW));
    assert_eq!(
        stage.heard(link),
        set("b", &value) + &get("c").repeat(LARGE_WINDOW)
    );
    stage.answer(link, "+OK\r\n");
    for _ in 0..100 {
        stage.answer(link, bulk("C"));
    }
    let expected =
        bulk("A").repeat(LARGE_WINDOW) + "+OK\r\n" + &bulk("C").repeat(100) + "+PONG\r\n";
    let heard = stage.hear(client);
    assert_eq!(heard.len(), expected.len());
    assert!(heard == expected);
}

#[test]
fn a_large_value_can_be_sent_while_a_large_reply_waits() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let value = big(20 * MIB);
    stage.say(client, get("big"));
    let link = stage.link(0);
    stage.heard(link);
    stage.answer(link, bulk(&value));
    let upload = set("big2", &value);
    for piece in upload.as_bytes().chunks(64 << 10) {
        stage.say(client, piece);
    }
    assert_eq!(stage.unread_by_proxy(client), 0);
    assert_eq!(stage.heard(link), "", "not before the reply is taken");
    assert_eq!(stage.hear(client).len(), bulk(&value).len());
    assert!(stage.heard(link) == upload);
}

#[test]
fn beyond_client_backlog_a_full_client_is_not_read_until_there_is_room() {
    let mut settings = redis_pool(1);
    settings.clients.backlog = 1_000;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, get("a").repeat(LARGE_WINDOW));
    let link = stage.link(0);
    stage.heard(link);
    stage.say(client, get("b").repeat(20));
    stage.say(client, get("b").repeat(30));
    assert_eq!(stage.unread_by_proxy(client), 0, "as one read brings it");
    stage.say(client, get("c"));
    assert_eq!(stage.unread_by_proxy(client), get("c").len());
    stage.answer(link, bulk("A").repeat(LARGE_WINDOW / 2));
    assert_eq!(stage.unread_by_proxy(client), 0);
    stage.answer(link, bulk("A").repeat(LARGE_WINDOW));
    assert_eq!(stage.heard(link), get("b").repeat(50) + &get("c"));
}

#[test]
fn what_waits_is_served_after_the_clients_end_and_dropped_after_its_error() {
    for politely in [true, false] {
        let mut stage = Stage::new(redis_pool(1));
        let client = stage.client();
        stage.say(
            client,
            get("a").repeat(LARGE_WINDOW + 10) + "*1\r\n$4\r\nPI",
        );
        let link = stage.link(0);
        stage.heard(link);
        match politely {
            true => stage.end(client),
            false => stage.vanish(client),
        }
        stage.answer(link, bulk("A").repeat(LARGE_WINDOW));
        let served = if politely { 10 } else { 0 };
        assert_eq!(stage.heard(link), get("a").repeat(served));
        assert!(
            stage
                .log
                .iter()
                .any(|line| line.contains("incomplete request"))
                == politely
        );
        if politely {
            stage.answer(link, bulk("A").repeat(10));
            assert_eq!(stage.hear(client), bulk("A").repeat(LARGE_WINDOW + 10));
            assert!(stage.is_closed(client));
        }
    }
}

/// A pool whose clients must move 1,000 bytes per second, measured over one second.
fn judged() -> PoolSettings {
    let mut settings = redis_pool(1);
    settings.clients.min_rate = 1_000;
    settings.clients.stall_timeout = Some(millis(1_000));
    settings
}

/// A client with this many bytes of unread replies, from now on.
fn late_reader(stage: &mut Stage, unread: usize) -> usize {
    let client = stage.client();
    stage.say(client, get("a"));
    let (link, around) = (stage.link(0), bulk(&big(unread)).len() - unread);
    stage.answer(link, bulk(&big(unread - around)));
    client
}

#[test]
fn who_leaves_too_much_unread_and_moves_too_little_is_closed() {
    let mut stage = Stage::new(judged());
    let client = late_reader(&mut stage, WINDOW_BYTES + 10_000);
    stage.wait(999);
    assert_eq!(stage.hear_some(client, 999).len(), 999);
    assert!(!stage.is_closed(client));
    stage.wait(1);
    assert!(stage.is_closed(client));
    assert_eq!(stage.count(PoolMetric::ClientOverflow), 1);
    assert_eq!(stage.count(PoolMetric::ClientErr), 1);
    let [line] = &stage.log[..] else {
        panic!("{:?}", stage.log)
    };
    let begins = "closing client 10.1.0.0:5000: ";
    let ends = " bytes of replies are unread, and it has moved only 999 bytes; see client_min_rate";
    assert!(line.starts_with(begins) && line.ends_with(ends), "{line}");
}

#[test]
fn who_reads_or_sends_fast_enough_is_not_closed_however_much_is_unread() {
    let mut stage = Stage::new(judged());
    let reader = late_reader(&mut stage, WINDOW_BYTES + 100_000);
    let sender = late_reader(&mut stage, WINDOW_BYTES);
    for _ in 0..50 {
        stage.wait(500);
        stage.hear_some(reader, 1_001);
        stage.say(sender, get("a").repeat(60));
    }
    assert!(!stage.is_closed(reader) && !stage.is_closed(sender));
    stage.wait(2_000);
    assert!(stage.is_closed(reader) && stage.is_closed(sender));
}

#[test]
fn who_has_less_unread_is_never_closed_for_it() {
    let mut stage = Stage::new(judged());
    let client = late_reader(&mut stage, WINDOW_BYTES - 1_000);
    let dips = late_reader(&mut stage, WINDOW_BYTES + 1_000);
    stage.wait(900);
    stage.hear_some(dips, 10_000);
    stage.wait(600_000);
    assert!(!stage.is_closed(client) && !stage.is_closed(dips));
    assert!(stage.log.is_empty());
}

#[test]
fn without_a_rate_or_a_time_nobody_is_closed() {
    for (rate, time) in [(0, Some(millis(1_000))), (1_000, None)] {
        let mut settings = judged();
        settings.clients.min_rate = rate;
        settings.clients.stall_timeout = time;
        let mut stage = Stage::new(settings);
        let client = late_reader(&mut stage, 2 * WINDOW_BYTES);
        stage.wait(600_000);
        assert!(!stage.is_closed(client));
    }
}

#[test]
fn replies_that_the_proxy_makes_itself_count_as_unread_too() {
    let mut stage = Stage::new(judged());
    let client = stage.client();
    let many = WINDOW_BYTES / "+PONG\r\n".len() + 1;
    for _ in 0..many / 1_000 + 2 {
        stage.say(client, PING.repeat(1_000));
    }
    assert_eq!(stage.unread_by_proxy(client), 0);
    stage.wait(2_000);
    assert!(stage.is_closed(client), "it reads nothing");
}

#[test]
fn who_is_to_be_closed_can_finish_sending_and_must_read_its_last_replies() {
    let mut stage = Stage::new(judged());
    let (patient, stalled) = (stage.client(), stage.client());
    let last = "-ERR Protocol error: invalid bulk length\r\n";
    for client in [patient, stalled] {
        stage.say(client, PING.to_owned() + "*1\r\n$-5\r\n");
        for _ in 0..100 {
            stage.say(client, PING.repeat(1_000));
        }
        assert_eq!(stage.unread_by_proxy(client), 0, "read and dropped");
    }
    stage.wait(999);
    assert_eq!(stage.hear(patient), format!("+PONG\r\n{last}"));
    assert!(stage.is_closed(patient) && !stage.is_closed(stalled));
    stage.wait(1);
    assert!(stage.is_closed(stalled));
}

#[test]
fn who_cannot_be_read_when_its_reply_breaks_off_can_finish_sending_too() {
    let mut settings = redis_pool(1);
    settings.clients.backlog = 0;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, get("a").repeat(LARGE_WINDOW + 1));
    stage.say(client, get("b"));
    assert_eq!(stage.unread_by_proxy(client), get("b").len());
    let link = stage.link(0);
    stage.answer(link, "$100\r\nhalf of it");
    stage.hang_up(link, proxy::Cause::Reset);
    assert_eq!(stage.unread_by_proxy(client), 0);
    assert_eq!(stage.hear(client), "$100\r\nhalf of it");
    assert!(stage.is_closed(client));
}

#[test]
fn what_waited_behind_a_torn_reply_is_unread_no_more() {
    let mut settings = redis_pool(2);
    settings.clients.stall_timeout = Some(millis(2_000));
    let mut stage = Stage::new(settings);
    let (client, keys) = (stage.client(), [stage.key(0), stage.key(1)]);
    stage.say(client, get(&keys[0]) + &get(&keys[1]));
    let (torn, whole) = (stage.link(0), stage.link(1));
    stage.answer(whole, bulk(&"v".repeat(9 * MIB)));
    stage.answer(torn, "$100\r\nabcdef");
    stage.hang_up(torn, Cause::Reset);
    // It may read its last as slowly as it likes.
    for _ in 0..6 {
        stage.wait(1_500);
        assert!(!stage.is_closed(client));
        assert_eq!(stage.hear_some(client, 1).len(), 1);
    }
}
