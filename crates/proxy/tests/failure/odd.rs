//! Servers and clients that send invalid data, or send too slowly.

use proxy::Cause;
use proxy::limits::MAX_PUSHED;
use proxy::metrics::{PoolMetric, ServerMetric};

use crate::stage::{Stage, memcached_pool, millis, redis_pool};
use crate::words::{HELLO_3, TIMED_OUT, bulk, get, redis, value};

const BROKEN: &str = "-ERR Invalid argument\r\n";

#[test]
fn a_server_that_drips_is_late_all_the_same() {
    let mut settings = redis_pool(1);
    settings.timeout = Some(millis(300));
    let mut stage = Stage::new(settings);
    let (first, second) = (stage.client(), stage.client());
    stage.say(first, get("a"));
    stage.say(second, get("b"));
    let link = stage.link(0);
    for byte in "$100\r\nabcdefghijklmnopqrs".bytes() {
        stage.answer(link, [byte]);
        stage.wait(10);
    }
    assert!(stage.is_open(link), "250 ms");
    stage.wait(50);
    assert!(!stage.is_open(link));
    assert_eq!(stage.hear(first), "$100\r\nabcdefghijklmnopqrs");
    assert!(stage.is_closed(first), "nothing may follow a part");
    let ended = [PoolMetric::ClientErr, PoolMetric::ClientEof].map(|end| stage.count(end));
    assert_eq!(ended, [1, 0]);
    assert_eq!(stage.hear(second), TIMED_OUT);
    assert!(!stage.is_closed(second));
}

#[test]
fn a_server_that_ends_in_a_header_costs_an_error_line_not_the_client() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.answer(link, "$1");
    assert_eq!(stage.hear(client), "", "it may still become anything");
    stage.hang_up(link, Cause::Closed);
    assert_eq!(stage.hear(client), "-ERR unknown\r\n");
    assert!(!stage.is_closed(client));
    let told = "connection to server 's0' closed, 1 requests lost: unknown";
    assert_eq!(stage.log, [told]);
}

#[test]
fn a_reply_that_nobody_asked_for_costs_the_server_its_connection_only() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.answer(link, bulk("A") + "+extra\r\n");
    assert!(!stage.is_open(link));
    assert_eq!(stage.hear(client), bulk("A"));
    stage.say(client, get("b"));
    let link = stage.link(0);
    stage.answer(link, bulk("B"));
    assert_eq!(
        stage.hear(client),
        bulk("B"),
        "and not what was left of before"
    );
    stage.answer(link, "+again\r\n");
    assert!(!stage.is_open(link) && !stage.is_closed(client));
}

#[test]
fn garbage_fails_what_was_asked_on_that_connection() {
    for garbage in [
        "HTTP/1.1 400 Bad Request\r\n",
        "?\r\n",
        "$-7\r\n",
        "*99999999999999999999\r\n",
    ] {
        let mut stage = Stage::new(redis_pool(2));
        let client = stage.client();
        let asked = [stage.key(0), stage.key(1), stage.key(0)].map(|key| get(&key));
        stage.say(client, asked.concat());
        let (ill, well) = (stage.link(0), stage.link(1));
        stage.answer(ill, garbage);
        stage.answer(well, bulk("v"));
        let expected = [BROKEN, &bulk("v"), BROKEN].concat();
        assert_eq!(stage.hear(client), expected, "{garbage}");
        assert!(!stage.is_open(ill) && stage.is_open(well));
    }
}

#[test]
fn a_part_of_an_mget_with_too_few_or_too_many_values_is_no_answer() {
    for values in [
        "*0\r\n",
        "*1\r\n$1\r\na\r\n",
        "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
    ] {
        let mut stage = Stage::new(redis_pool(2));
        let client = stage.client();
        let (two, other) = (stage.keys(0, 2), stage.key(1));
        stage.say(client, redis(&["MGET", &two[0], &other, &two[1]]));
        let links = [stage.link(0), stage.link(1)];
        stage.answer(links[0], values);
        stage.answer(links[1], "*1\r\n$1\r\nv\r\n");
        assert_eq!(stage.hear(client), BROKEN, "{values}");
        assert!(!stage.is_closed(client));
    }
}

#[test]
fn garbage_in_the_middle_of_a_reply_ends_its_client() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.answer(link, "$3\r\nabc");
    stage.answer(link, "XY");
    assert!(!stage.is_open(link));
    let heard = stage.hear(client);
    assert!(
        heard.starts_with("$3\r\nabc") && !heard.contains("ERR"),
        "{heard}"
    );
    assert!(stage.is_closed(client));
}

#[test]
fn a_memcached_fragment_of_the_wrong_kind_counts_as_no_answer() {
    let mut stage = Stage::new(memcached_pool(2));
    let client = stage.client();
    let (here, there) = (stage.key(0), stage.key(1));
    stage.say(client, format!("get {here} {there}\r\n"));
    let (well, ill) = (stage.link(0), stage.link(1));
    let block = value(&here, "v");
    stage.answer(ill, "STORED\r\n");
    stage.answer(well, format!("{block}END\r\n"));
    assert_eq!(stage.hear(client), format!("{block}END\r\n"));
}

#[test]
fn browsers_are_turned_away_from_redis_pools() {
    for request in [
        "POST / HTTP/1.1\r\nHost: cache:22121\r\n\r\nSET k v\r\n",
        "Host: cache:22121\r\nSET k v\r\n",
    ] {
        let mut stage = Stage::new(redis_pool(1));
        let client = stage.client();
        assert_eq!(stage.ask(client, request), "", "{request}");
        assert!(stage.is_closed(client) && stage.links_ever(0) == 0);
    }
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let answer = stage.ask(client, "GET / HTTP/1.1\r\nHost: cache:22121\r\n\r\n");
    assert!(answer.starts_with("-ERR wrong number"), "{answer}");
    assert!(stage.is_closed(client) && stage.links_ever(0) == 0);
}

#[test]
fn what_went_to_a_server_and_came_back_is_counted() {
    let mut stage = Stage::new(redis_pool(2));
    let (client, key) = (stage.client(), stage.key(1));
    stage.say(client, get(&key).repeat(3));
    let link = stage.link(1);
    let asked = 3 * get(&key).len() as i64;
    assert_eq!(stage.asked(), 3);
    let is = |stage: &Stage, metric| stage.count_at(1, metric);
    assert_eq!(is(&stage, ServerMetric::Requests), 3);
    assert_eq!(is(&stage, ServerMetric::RequestBytes), asked);
    assert_eq!(is(&stage, ServerMetric::OutQueue), 3);
    assert_eq!(is(&stage, ServerMetric::OutQueueBytes), asked);
    stage.answer(link, bulk("value").repeat(2));
    assert_eq!(is(&stage, ServerMetric::Responses), 2);
    assert_eq!(
        is(&stage, ServerMetric::ResponseBytes),
        2 * bulk("value").len() as i64
    );
    assert_eq!(is(&stage, ServerMetric::OutQueue), 1);
    assert_eq!(is(&stage, ServerMetric::OutQueueBytes), asked / 3);
    for metric in [ServerMetric::InQueue, ServerMetric::InQueueBytes] {
        assert_eq!(is(&stage, metric), 0);
    }
    let others = stage.count_at(0, ServerMetric::Requests);
    assert_eq!(others, 0);
}

#[test]
fn a_reply_before_its_request_was_written_leaves_the_queues_in_order() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, get("a"));
    let link = stage.link(0);
    stage.answer(link, bulk("A"));
    stage.narrow(link, 5);
    stage.say(client, get("b") + &get("c"));
    let is = |stage: &Stage, metric| stage.count_at(0, metric);
    assert_eq!(is(&stage, ServerMetric::InQueue), 2);
    stage.answer(link, "-ERR early\r\n");
    assert_eq!(is(&stage, ServerMetric::InQueue), 1);
    assert_eq!(
        is(&stage, ServerMetric::InQueueBytes),
        get("c").len() as i64
    );
    stage.narrow(link, usize::MAX);
    stage.answer(link, bulk("C"));
    assert_eq!(stage.heard(link), get("a") + &get("b") + &get("c"));
    assert_eq!(
        stage.hear(client),
        bulk("A") + "-ERR early\r\n" + &bulk("C")
    );
    for metric in [
        ServerMetric::InQueue,
        ServerMetric::InQueueBytes,
        ServerMetric::OutQueue,
        ServerMetric::OutQueueBytes,
    ] {
        assert_eq!(is(&stage, metric), 0);
    }
}

#[test]
fn what_goes_to_the_first_keys_server_only_is_counted_and_told_now_and_then() {
    let mut stage = Stage::new(redis_pool(2));
    let (client, one, two) = (stage.client(), stage.key(0), stage.key(1));
    let both = redis(&["SINTER", &one, &two]);
    stage.say(client, both.repeat(3));
    let link = stage.link(0);
    assert_eq!(stage.heard(link), both.repeat(3));
    assert_eq!(stage.count(PoolMetric::CrossShard), 3);
    let told = |count| {
        format!(
            "a sinter with keys of several servers went to the first key's server; see cross_shard{count}"
        )
    };
    assert_eq!(stage.log, [told("; and 2 more like it")]);
    stage.say(client, both.repeat(2));
    stage.wait(9_999);
    assert_eq!(stage.log.len(), 1);
    stage.wait(1);
    let second = told("; and 1 more like it");
    assert_eq!(stage.log[1..], [second]);
}

#[test]
fn a_server_that_pushes_without_end_loses_its_connection() {
    const FRAME: &str = ">1\r\n+a\r\n";
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    stage.say(client, redis(&["HELLO", "3"]));
    for server in 0..2 {
        let link = stage.link(server);
        stage.answer(link, HELLO_3);
    }
    stage.hear(client);
    let link = stage.link(0);
    let a_part = FRAME.repeat(MAX_PUSHED / FRAME.len() / 2);
    for _ in 0..10 {
        stage.answer(link, &a_part);
        stage.answer(link, &a_part);
        assert!(stage.is_open(link), "so much is dropped in a second");
        stage.wait(1_000);
    }
    let key = stage.key(0);
    stage.say(client, get(&key));
    stage.answer(link, a_part.repeat(3));
    assert!(!stage.is_open(link));
    assert_eq!(stage.hear(client), "-ERR Invalid argument\r\n");
    let other = stage.link(1);
    assert!(stage.is_open(other));
}
