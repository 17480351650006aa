//! What is counted of requests and responses when clients or connections end before their time: a healthy server's
//! figures agree, and nothing is left in the gauges.

use proxy::limits::WINDOW_BYTES;
use proxy::metrics::{PoolMetric, ServerMetric};
use proxy::{Cause, settings::PoolSettings};

use crate::stage::{ConnectResult, Stage, memcached_pool, millis, redis_pool};
use crate::words::{bulk, get, set};

const CAP: usize = 1 << 20;
const PIECE: usize = 64 << 10;

/// What was counted of server 0: requests and their bytes, and responses.
fn counted(stage: &Stage) -> [i64; 3] {
    let metrics = [
        ServerMetric::Requests,
        ServerMetric::RequestBytes,
        ServerMetric::Responses,
    ];
    metrics.map(|metric| stage.count_at(0, metric))
}

fn assert_gauges_are_zero(stage: &Stage) {
    for gauge in [
        ServerMetric::InQueue,
        ServerMetric::InQueueBytes,
        ServerMetric::OutQueue,
        ServerMetric::OutQueueBytes,
    ] {
        assert_eq!(stage.count_at(0, gauge), 0, "{gauge:?}");
    }
}

/// Answers everything that was sent, and checks that as many responses as requests were counted: `count`, of `bytes`.
fn assert_agreement(stage: &mut Stage, count: usize, bytes: usize) {
    let link = stage.link(0);
    let due = count as i64 - stage.count_at(0, ServerMetric::Responses);
    for _ in 0..due {
        stage.answer(link, "$-1\r\n");
    }
    assert!(stage.is_open(link), "no reply was one too many");
    assert_eq!(counted(stage), [count as i64, bytes as i64, count as i64]);
    assert_gauges_are_zero(stage);
}

#[test]
fn what_is_dropped_for_want_of_memory_before_it_is_sent_was_no_request() {
    let mut stage = Stage::with_memory(redis_pool(1), 1, 7, CAP);
    // One request is written, the next one partly.
    let (first, big) = (get("first"), set("k", &"x".repeat(PIECE)));
    stage.next_links_take(first.len() + 10);
    let (bystander, greedy, late) = (stage.client(), stage.client(), stage.client());
    stage.say(bystander, &first);
    for _ in 0..20 {
        stage.say(greedy, &big);
    }
    for _ in 0..3 {
        stage.say(late, &big);
    }
    assert!(stage.is_closed(greedy) && stage.count(PoolMetric::ClientShed) == 1);
    assert_eq!(counted(&stage), [1, first.len() as i64, 0]);
    assert_eq!(stage.count_at(0, ServerMetric::InQueue), 4);
    let link = stage.link(0);
    stage.narrow(link, usize::MAX);
    let all = first + &big.repeat(4);
    assert_eq!(stage.heard(link), all);
    assert_agreement(&mut stage, 5, all.len());
}

#[test]
fn what_was_sent_and_is_answered_counts_though_its_client_was_closed() {
    let mut stage = Stage::with_memory(redis_pool(1), 1, 7, CAP);
    let (greedy, _bystander) = (stage.client(), stage.client());
    stage.say(greedy, get("k").repeat(40));
    let link = stage.link(0);
    while !stage.is_closed(greedy) {
        stage.answer(link, bulk(&"x".repeat(PIECE)));
    }
    assert_eq!(stage.count(PoolMetric::ClientShed), 1);
    let answered = stage.count_at(0, ServerMetric::Responses);
    assert!(answered < 20, "{answered} were answered");
    assert_agreement(&mut stage, 40, 40 * get("k").len());
}

#[test]
fn the_requests_of_clients_that_leave_are_sent_and_counted() {
    let mut stage = Stage::new(redis_pool(1));
    stage.set_connect_result(0, ConnectResult::Silent);
    let (leaver, ender) = (stage.client(), stage.client());
    stage.say(leaver, get("k").repeat(5));
    stage.say(ender, get("k").repeat(3));
    stage.vanish(leaver);
    assert_eq!(counted(&stage), [0, 0, 0], "nothing was sent");
    assert_eq!(stage.count_at(0, ServerMetric::InQueue), 8);
    let link = stage.link(0);
    stage.let_in(link);
    stage.vanish(ender);
    assert_agreement(&mut stage, 8, 8 * get("k").len());
}

/// Clients must move 1,000 bytes per second, measured over one second.
fn judged() -> PoolSettings {
    let mut settings = redis_pool(1);
    settings.clients.min_rate = 1_000;
    settings.clients.stall_timeout = Some(millis(1_000));
    settings
}

#[test]
fn so_do_those_of_a_client_that_is_closed_for_reading_too_slowly() {
    let mut stage = Stage::new(judged());
    let client = stage.client();
    stage.say(client, get("k").repeat(30));
    let link = stage.link(0);
    stage.answer(link, bulk(&"x".repeat(WINDOW_BYTES)));
    stage.wait(1_000);
    assert!(stage.is_closed(client));
    assert_agreement(&mut stage, 30, 30 * get("k").len());
}

/// With memcached a reply may come before its request is written.
#[test]
fn a_request_that_is_answered_early_counts_once() {
    let mut stage = Stage::new(memcached_pool(1));
    let client = stage.client();
    stage.next_links_take(10);
    let request = format!("set k 0 0 {PIECE}\r\n{}\r\n", "x".repeat(PIECE));
    stage.say(client, &request);
    let link = stage.link(0);
    assert_eq!(counted(&stage), [0, 0, 0]);
    stage.answer(link, "SERVER_ERROR too large\r\n");
    assert_eq!(counted(&stage), [1, request.len() as i64, 1]);
    stage.narrow(link, usize::MAX);
    assert_eq!(counted(&stage), [1, request.len() as i64, 1]);
    assert_gauges_are_zero(&stage);
}

/// As with nutcracker: what was to go to a server was a request, and there was no response.
#[test]
fn what_is_lost_with_a_connection_counts_as_requests_only() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let request = get("k");
    stage.next_links_take(2 * request.len() + 1);
    stage.say(client, request.repeat(10));
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n");
    assert_eq!(counted(&stage), [2, 2 * request.len() as i64, 1]);
    stage.hang_up(link, Cause::Reset);
    assert_eq!(counted(&stage), [10, 10 * request.len() as i64, 1]);
    assert_gauges_are_zero(&stage);
}
