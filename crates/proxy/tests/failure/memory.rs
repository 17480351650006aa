//! `max_memory`: which clients are held back, which are closed, and which are never affected.

use proxy::metrics::{PoolMetric, ServerMetric};

use crate::stage::{ConnectResult, Stage, memcached_pool, redis_pool};
use crate::words::{FULL, PING, bulk, get, redis, set};

/// Sixteen times [`PIECE`].
const CAP: usize = 1 << 20;
const PIECE: usize = 64 << 10;

fn stage() -> Stage {
    Stage::with_memory(redis_pool(1), 1, 7, CAP)
}

/// A client that asks for `count` values, reads none, and gets replies to `answered` of them.
fn greedy(stage: &mut Stage, count: usize, answered: usize) -> usize {
    let client = stage.client();
    stage.say(client, get("k").repeat(count));
    let link = stage.link(0);
    answer(stage, link, answered);
    client
}

fn answer(stage: &mut Stage, link: usize, count: usize) {
    for _ in 0..count {
        stage.answer(link, bulk(&"x".repeat(PIECE)));
    }
}

#[test]
fn near_the_cap_who_holds_much_is_not_read_until_there_is_room() {
    let mut stage = stage();
    let (client, bystander) = (greedy(&mut stage, 14, 13), stage.client());
    let link = stage.link(0);
    stage.heard(link);
    assert_eq!(stage.count(PoolMetric::ClientHeldBack), 0);
    stage.say(client, get("read"));
    assert_eq!(stage.heard(link), get("read"), "there is room");

    answer(&mut stage, link, 1);
    assert_eq!(stage.count(PoolMetric::ClientHeldBack), 1);
    stage.say(client, get("late"));
    assert_eq!(stage.heard(link), "");
    stage.say(bystander, get("other"));
    assert_eq!(stage.heard(link), get("other"), "others are read");
    stage.answer(link, "$-1\r\n");
    stage.answer(link, "$1\r\nv\r\n");
    assert_eq!(stage.hear(bystander), bulk("v"));

    stage.wait(1_000);
    assert_eq!(stage.heard(link), "", "as long as it reads nothing");
    let read = stage.hear_some(client, PIECE).len();
    assert_eq!(stage.heard(link), "", "what is left is more than its share");
    assert_eq!(
        read + stage.hear(client).len(),
        14 * bulk(&"x".repeat(PIECE)).len() + 5
    );
    assert_eq!(stage.heard(link), get("late"), "at once");
    assert_eq!(stage.count(PoolMetric::ClientHeldBack), 0);
    assert!(!stage.is_closed(client) && !stage.is_closed(bystander));
    let told = "are not read until there is room; see max_memory";
    assert_eq!(
        stage.log.iter().filter(|line| line.ends_with(told)).count(),
        1
    );
}

#[test]
fn one_that_waits_for_replies_goes_on_when_others_have_made_room() {
    let mut stage = stage();
    let (one, two) = (greedy(&mut stage, 7, 7), greedy(&mut stage, 8, 7));
    let link = stage.link(0);
    assert_eq!(stage.count(PoolMetric::ClientHeldBack), 2);
    stage.heard(link);
    stage.say(two, get("late"));
    stage.hear(one);
    stage.wait(9);
    assert_eq!(stage.heard(link), "");
    stage.wait(1);
    assert_eq!(stage.heard(link), get("late"));
    assert_eq!(stage.count(PoolMetric::ClientHeldBack), 0);
}

#[test]
fn one_that_can_only_grow_is_not_held_back_any_longer() {
    let mut stage = Stage::with_memory(memcached_pool(1), 1, 7, CAP);
    let client = stage.client();
    stage.say(client, "set k 0 0 1 noreply\r\nx\r\n");
    let (link, value) = (stage.link(0), 15 * PIECE);
    stage.say(client, format!("set k 0 0 {value}\r\n"));
    stage.say(client, "x".repeat(14 * PIECE));
    assert_eq!(stage.count(PoolMetric::ClientHeldBack), 1);
    stage.heard(link);
    stage.say(client, "x".repeat(PIECE) + "\r\n");
    assert_eq!(stage.heard(link), "");
    stage.answer(link, "STORED\r\n");
    stage.wait(10);
    assert_eq!(
        stage.heard(link).len(),
        format!("set k 0 0 {value}\r\n\r\n").len() + value
    );
    assert!(!stage.is_closed(client));
}

#[test]
fn past_the_cap_the_largest_is_closed_and_nobody_else() {
    let mut stage = stage();
    let small = greedy(&mut stage, 4, 3);
    let link = stage.link(0);
    // The first of its replies still belongs to the small one.
    answer(&mut stage, link, 1);
    let large = greedy(&mut stage, 7, 7);
    let (middle, bystander) = (stage.client(), stage.client());
    stage.say(middle, get("k").repeat(5));
    answer(&mut stage, link, 4);
    assert!(!stage.is_closed(large), "15 pieces fit");
    answer(&mut stage, link, 1);
    assert!(
        stage.is_closed(large),
        "16 and what they take besides do not"
    );
    let others = [small, middle, bystander].map(|client| stage.is_closed(client));
    assert_eq!(others, [false; 3]);
    assert_eq!(stage.count(PoolMetric::ClientShed), 1);
    assert_eq!(stage.count(PoolMetric::ClientErr), 1);
    assert!(stage.held() < CAP);
    let told = "closing client 10.1.0.1:5000: memory is short, and it holds 4";
    assert!(
        stage.log.iter().any(|line| line.starts_with(told)),
        "{:?}",
        stage.log
    );
    assert_eq!(stage.ask(bystander, PING), "+PONG\r\n");
    assert_eq!(stage.hear(middle).len(), 5 * bulk(&"x".repeat(PIECE)).len());
}

#[test]
fn as_many_are_closed_as_it_takes() {
    let mut stage = stage();
    let clients: Vec<usize> = (0..5).map(|_| greedy(&mut stage, 3, 3)).collect();
    let last = stage.client();
    stage.say(last, get("k"));
    let link = stage.link(0);
    stage.answer(link, bulk(&"x".repeat(9 * PIECE)));
    let closed = |stage: &Stage| clients.iter().filter(|one| stage.is_closed(**one)).count();
    assert!(stage.is_closed(last), "it holds most");
    assert_eq!(closed(&stage), 0);
    assert_eq!(stage.count(PoolMetric::ClientShed), 1);
}

#[test]
fn a_request_larger_than_everything_is_refused_when_it_is_too_much() {
    let mut stage = stage();
    let (client, bystander) = (stage.client(), stage.client());
    stage.say(
        client,
        format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", 4 * CAP),
    );
    for _ in 0..15 {
        stage.say(client, "x".repeat(PIECE));
        assert!(!stage.is_closed(client));
    }
    assert_eq!(
        stage.count(PoolMetric::ClientHeldBack),
        0,
        "it could never go on"
    );
    stage.say(client, "x".repeat(2 * PIECE));
    assert_eq!(stage.hear(client), FULL);
    assert!(stage.is_closed(client));
    assert!(stage.held() < PIECE);
    assert_eq!(stage.ask(bystander, PING), "+PONG\r\n");
}

#[test]
fn a_memcached_client_in_the_middle_of_a_value_is_told_too() {
    let mut stage = Stage::with_memory(memcached_pool(1), 1, 7, CAP);
    let (client, _bystander) = (stage.client(), stage.client());
    stage.say(client, format!("set k 0 0 {}\r\n", 4 * CAP));
    for _ in 0..20 {
        stage.say(client, "x".repeat(PIECE));
    }
    assert_eq!(
        stage.hear(client),
        "SERVER_ERROR Resource temporarily unavailable\r\n"
    );
    assert!(stage.is_closed(client));
}

#[test]
fn what_is_queued_for_a_server_is_its_senders() {
    let mut stage = stage();
    stage.set_connect_result(0, ConnectResult::Silent);
    let (bystander, client, late) = (stage.client(), stage.client(), stage.client());
    let big = set("k", &"x".repeat(PIECE));
    stage.say(bystander, set("a", "first"));
    for _ in 0..20 {
        stage.say(client, &big);
    }
    assert_eq!(stage.count(PoolMetric::ClientHeldBack), 1);
    assert_eq!(stage.count_at(0, ServerMetric::InQueue), 15);
    assert!(!stage.is_closed(client), "it is held back");
    for _ in 0..3 {
        stage.say(late, &big);
    }
    assert!(stage.is_closed(client), "it holds most");
    assert_eq!(stage.count(PoolMetric::ClientHeldBack), 0);
    assert!(stage.held() < 4 * PIECE, "{} bytes are held", stage.held());
    assert_eq!(stage.count_at(0, ServerMetric::InQueue), 4);

    let link = stage.link(0);
    stage.let_in(link);
    assert_eq!(stage.heard(link), set("a", "first") + &big.repeat(3));
    stage.answer(link, "+OK\r\n+1\r\n+2\r\n+3\r\n");
    assert_eq!(stage.hear(bystander), "+OK\r\n");
    assert_eq!(stage.hear(late), "+1\r\n+2\r\n+3\r\n");
    let gauges = [ServerMetric::InQueue, ServerMetric::InQueueBytes];
    assert_eq!(gauges.map(|gauge| stage.count_at(0, gauge)), [0, 0]);
}

#[test]
fn what_those_who_left_had_queued_goes_first() {
    let mut stage = stage();
    stage.set_connect_result(0, ConnectResult::Silent);
    let leaver = stage.client();
    for _ in 0..10 {
        stage.say(leaver, set("k", &"x".repeat(PIECE)));
    }
    stage.vanish(leaver);
    let (client, _bystander) = (stage.client(), stage.client());
    for _ in 0..8 {
        stage.say(client, set("k", &"y".repeat(PIECE)));
    }
    assert!(!stage.is_closed(client));
    assert_eq!(stage.count(PoolMetric::ClientShed), 0);
    assert_eq!(stage.count_at(0, ServerMetric::InQueue), 8);
    let link = stage.link(0);
    stage.let_in(link);
    assert_eq!(stage.heard(link), set("k", &"y".repeat(PIECE)).repeat(8));
}

/// A client of worker `worker` that holds `count` pieces; also returns the worker's link.
fn holder(stage: &mut Stage, worker: usize, count: usize) -> (usize, usize) {
    let client = stage.client_of(worker);
    stage.say(client, get("k").repeat(20));
    let link = stage.links(0)[worker];
    answer(stage, link, count);
    (client, link)
}

#[test]
fn the_largest_is_closed_whichever_worker_has_it() {
    let mut stage = Stage::with_memory(redis_pool(1), 2, 7, CAP);
    let (large, _) = holder(&mut stage, 0, 9);
    let (small, link) = holder(&mut stage, 1, 6);
    assert!(!stage.is_closed(large) && !stage.is_closed(small));
    answer(&mut stage, link, 1);
    assert!(!stage.is_closed(small), "the other one is larger");
    stage.wait(100);
    assert!(stage.is_closed(large) && !stage.is_closed(small));
    assert_eq!(stage.count(PoolMetric::ClientShed), 1);
}

#[test]
fn far_past_the_cap_no_worker_waits_for_another() {
    let mut stage = Stage::with_memory(redis_pool(1), 2, 7, CAP);
    let (large, _) = holder(&mut stage, 0, 9);
    let (small, link) = holder(&mut stage, 1, 8);
    assert!(!stage.is_closed(small) && !stage.is_closed(large));
    answer(&mut stage, link, 1);
    assert!(stage.is_closed(small), "more than an eighth too much");
    assert!(!stage.is_closed(large) && stage.held() < CAP);
}

#[test]
fn without_a_cap_it_is_only_counted() {
    let mut stage = Stage::new(redis_pool(1));
    stage.wait(2_000);
    let client = greedy(&mut stage, 32, 32);
    assert_eq!(stage.count(PoolMetric::ClientHeldBack), 0);
    let counted = stage.count(PoolMetric::BufferedBytes) as usize;
    assert!((CAP..2 * CAP + PIECE).contains(&counted), "{counted}");
    assert!(!stage.is_closed(client));
}

#[test]
fn those_who_have_left_hold_nothing() {
    for cap in [0, 4 * CAP] {
        let mut stage = Stage::with_memory(redis_pool(1), 1, 7, cap);
        let half = redis(&["SET", "k", &"x".repeat(PIECE)]);
        let half = &half[..half.len() - 10];
        let clients: Vec<_> = (0..40).map(|_| stage.client()).collect();
        for client in &clients {
            stage.say(*client, half);
        }
        stage.wait(2_000);
        let counted = || stage.count(PoolMetric::BufferedBytes);
        assert!(counted() >= 16 * PIECE as i64, "{}", counted());
        for client in clients {
            stage.vanish(client);
        }
        assert_eq!(stage.count(PoolMetric::BufferedBytes), 0, "at once");
    }
}

#[test]
fn what_is_gone_is_counted_off_though_nothing_is_read() {
    let mut stage = Stage::with_memory(redis_pool(1), 1, 7, 4 * CAP);
    stage.next_links_take(0);
    let client = stage.client();
    stage.say(client, set("k", &"x".repeat(2 * CAP)));
    stage.wait(2_000);
    assert!(stage.count(PoolMetric::BufferedBytes) >= 2 * CAP as i64);
    let link = stage.link(0);
    stage.narrow(link, usize::MAX);
    stage.answer(link, "+OK\r\n");
    assert_eq!(stage.hear(client), "+OK\r\n");
    stage.wait(4_000);
    assert!(stage.count(PoolMetric::BufferedBytes) < 1_000);
    stage.wait(130_000);
    assert_eq!(stage.next_due(), None, "nothing is counted any more");
    stage.vanish(client);
    assert_eq!(stage.count(PoolMetric::BufferedBytes), 0);
}
