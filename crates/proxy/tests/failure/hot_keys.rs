//! Keys that count most: what is counted, who sees it, and sessions of HOTKEYS.

use proxy::Time;
use proxy::hot_keys::{Counted, HotKeys, Within};
use proxy::settings::{PoolSettings, ProtocolSettings};

use crate::stage::{Stage, memcached_pool, redis_pool};
use crate::words::{bulk, get, redis, set, value};

/// A stage whose every request is counted.
fn stage(pool: PoolSettings) -> Stage {
    Stage::new(counting(pool, 1))
}

fn counting(pool: PoolSettings, sample: u32) -> PoolSettings {
    PoolSettings {
        hot_keys: Some(sample),
        ..pool
    }
}

/// The same pool, whose clients may administer.
fn administered(mut pool: PoolSettings) -> PoolSettings {
    if let ProtocolSettings::Redis(redis) = &mut pool.protocol {
        redis.admin_commands = true;
    }
    pool
}

/// What is known of keys, once the workers have told it.
fn told(stage: &mut Stage) -> HotKeys {
    stage.wait(1_000);
    seen(stage).expect("keys are counted")
}

fn seen(stage: &Stage) -> Option<HotKeys> {
    let now = Time::from_micros(stage.now());
    stage.share.hot_keys(64, now)
}

/// Key, count and reads of each.
fn counts(counted: &[Counted]) -> Vec<(String, u64, u64)> {
    let one = |it: &Counted| {
        assert_eq!(it.error, 0);
        (name(it.key.start()), it.count, it.reads)
    };
    counted.iter().map(one).collect()
}

fn name(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

fn largest(keys: &HotKeys) -> Vec<(String, u64, Within)> {
    let all = keys.largest.iter();
    all.map(|it| (name(it.key.start()), it.bytes, it.within))
        .collect()
}

fn counted(key: &str, count: usize, reads: usize) -> (String, u64, u64) {
    (key.to_owned(), count as u64, reads as u64)
}

#[test]
fn requests_and_bytes_are_counted_for_their_keys() {
    let mut stage = stage(redis_pool(1));
    let client = stage.client();
    stage.say(
        client,
        get("a") + &get("a") + &set("b", "value") + &get("c"),
    );
    let link = stage.link(0);
    let large = bulk(&"v".repeat(5_000));
    stage.answer(link, format!("$-1\r\n{}", &large[..3_000]));
    stage.answer(link, format!("{}+OK\r\n$-1\r\n", &large[3_000..]));
    let keys = told(&mut stage);
    assert_eq!(
        counts(&keys.by_requests),
        [counted("a", 2, 2), counted("b", 1, 0), counted("c", 1, 1)]
    );
    let of_a = 2 * get("a").len() + 5 + large.len();
    let of_b = set("b", "value").len() + 5;
    let of_c = get("c").len() + 5;
    assert_eq!(
        counts(&keys.by_bytes),
        [
            counted("a", of_a, of_a),
            counted("b", of_b, 0),
            counted("c", of_c, of_c)
        ]
    );
    assert_eq!(
        (keys.requests, keys.bytes),
        (4, (of_a + of_b + of_c) as u64)
    );
    let large = (String::from("a"), large.len() as u64, Within::Reply);
    assert_eq!(largest(&keys)[0], large);
    assert_eq!(largest(&keys)[1].2, Within::Request);
    assert_eq!(stage.hear(client).len(), large.1 as usize + 15);
}

#[test]
fn each_key_of_a_request_counts_wherever_it_goes() {
    let mut stage = stage(redis_pool(2));
    let client = stage.client();
    let (one, other) = (stage.keys(0, 2), stage.key(1));
    stage.say(client, redis(&["MGET", &one[0], &other, &one[1]]));
    let links = [stage.link(0), stage.link(1)];
    stage.answer(links[0], "*2\r\n$2\r\nab\r\n$2\r\ncd\r\n");
    stage.answer(links[1], "*1\r\n$-1\r\n");
    // The keys of one that cannot be split, and those in a transaction.
    stage.say(client, redis(&["SUNION", &one[0], &one[1]]));
    stage.answer(links[0], "*0\r\n");
    stage.say(
        client,
        redis(&["MULTI"]) + &set(&other, "v") + &redis(&["EXEC"]),
    );
    let waiting = stage.client();
    stage.say(waiting, redis(&["BLPOP", &other, "0"]));
    let keys = told(&mut stage);
    let mut found = counts(&keys.by_requests);
    let mut expected = [
        counted(&one[0], 2, 2),
        counted(&one[1], 2, 2),
        counted(&other, 3, 1),
    ];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(keys.requests, 7);
    // Two values of four bytes, header and all, in equal parts.
    let replies: Vec<_> = largest(&keys);
    assert!(
        replies.iter().all(|it| it.2 == Within::Request),
        "{replies:?}"
    );
}

#[test]
fn keys_of_memcached_are_counted_and_those_of_quiet_requests_too() {
    let mut stage = stage(memcached_pool(1));
    let client = stage.client();
    stage.say(
        client,
        "get a b\r\nset a 0 0 1 noreply\r\nv\r\nmg a v q\r\nmn\r\n",
    );
    let link = stage.link(0);
    let reply = value("a", "v") + "END\r\n";
    stage.answer(link, format!("{reply}STORED\r\nEN\r\n"));
    let keys = told(&mut stage);
    assert_eq!(
        counts(&keys.by_requests),
        [counted("a", 3, 2), counted("b", 1, 1)]
    );
    assert_eq!(stage.hear(client), format!("{reply}MN\r\n"));
}

#[test]
fn one_in_so_many_is_counted_whatever_the_order_of_the_requests() {
    let mut stage = Stage::new(counting(redis_pool(1), 10));
    let client = stage.client();
    // As many keys in the same order again and again as one in so many requests is counted.
    let round: String = (0..10).map(|number| get(&format!("k{number}"))).collect();
    for _ in 0..1_000 {
        stage.say(client, &round);
        let link = stage.link(0);
        stage.answer(link, "$-1\r\n".repeat(10));
        stage.hear(client);
    }
    let keys = told(&mut stage);
    assert!((900..1_100).contains(&keys.requests), "{}", keys.requests);
    assert_eq!(keys.by_requests.len(), 10);
    for it in &keys.by_requests {
        assert!((60..150).contains(&it.count), "{it:?}");
    }
}

#[test]
fn the_workers_counts_are_added_up() {
    let mut stage = Stage::with_workers(counting(redis_pool(1), 1), 2, 7);
    let clients = [stage.client_of(0), stage.client_of(1)];
    for (client, count) in clients.into_iter().zip([3, 2]) {
        stage.say(client, get("shared").repeat(count) + &get("own"));
    }
    let keys = told(&mut stage);
    assert_eq!(
        counts(&keys.by_requests),
        [counted("shared", 5, 5), counted("own", 2, 2)]
    );
}

#[test]
fn what_was_counted_long_ago_does_not_count() {
    let mut stage = stage(redis_pool(1));
    let client = stage.client();
    stage.say(client, get("old"));
    stage.wait(61_000);
    stage.say(client, get("new"));
    let keys = told(&mut stage);
    assert_eq!(
        counts(&keys.by_requests),
        [counted("new", 1, 1), counted("old", 1, 1)]
    );
    stage.wait(60_000);
    stage.say(client, get("newest"));
    let keys = told(&mut stage);
    assert_eq!(
        counts(&keys.by_requests),
        [counted("new", 1, 1), counted("newest", 1, 1)]
    );
    stage.wait(130_000);
    assert_eq!(counts(&seen(&stage).unwrap().by_requests), []);
}

#[test]
fn a_plan_switches_it_on_and_off_and_other_plans_leave_it_alone() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    stage.say(client, get("before"));
    assert!(seen(&stage).is_none());
    stage.apply(counting(redis_pool(1), 1));
    stage.say(client, get("after"));
    stage.apply(PoolSettings {
        error_detail: true,
        ..counting(redis_pool(1), 1)
    });
    let keys = told(&mut stage);
    assert_eq!(counts(&keys.by_requests), [counted("after", 1, 1)]);
    let link = stage.link(0);
    stage.apply(redis_pool(1));
    stage.answer(link, "$-1\r\n$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n$-1\r\n");
    assert!(seen(&stage).is_none());
    stage.apply(counting(redis_pool(1), 2));
    assert_eq!(counts(&told(&mut stage).by_requests), []);
}

#[test]
fn what_is_lost_with_a_connection_is_counted_and_its_reply_is_not() {
    let mut stage = stage(redis_pool(1));
    let client = stage.client();
    stage.say(client, get("lost").repeat(2));
    let link = stage.link(0);
    stage.hang_up(link, proxy::Cause::Closed);
    stage.hear(client);
    stage.say(client, get("next"));
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n");
    let keys = told(&mut stage);
    assert_eq!(
        counts(&keys.by_bytes),
        [
            counted("lost", 2 * get("lost").len(), 2 * get("lost").len()),
            counted("next", get("next").len() + 5, get("next").len() + 5)
        ]
    );
}

/// The reply to HOTKEYS GET, one word a line.
fn got(stage: &mut Stage, client: usize) -> Vec<String> {
    let reply = stage.ask(client, redis(&["HOTKEYS", "GET"]));
    let lines = reply.lines().filter(|line| !line.starts_with('$'));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_client_keeps_track_of_hot_keys_as_with_redis() {
    let mut stage = Stage::new(administered(redis_pool(1)));
    let client = stage.client();
    let ask = |stage: &mut Stage, words: &[&str]| stage.ask(client, redis(words));
    assert_eq!(ask(&mut stage, &["HOTKEYS", "GET"]), "$-1\r\n");
    assert_eq!(ask(&mut stage, &["HOTKEYS", "STOP"]), "$-1\r\n");
    let start = [
        "HOTKEYS", "START", "METRICS", "2", "CPU", "NET", "COUNT", "2",
    ];
    assert_eq!(ask(&mut stage, &start), "+OK\r\n");
    assert_eq!(
        ask(&mut stage, &start),
        "-ERR hotkey tracking session already in progress\r\n"
    );
    assert_eq!(
        ask(&mut stage, &["HOTKEYS", "RESET"]),
        "-ERR hotkey tracking session in progress, stop tracking first\r\n"
    );
    stage.say(client, get("a") + &get("bb") + &get("bb") + &get("ccccc"));
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n".repeat(4));
    stage.hear(client);
    stage.wait(250);
    let of_b = 2 * (get("bb").len() + 5);
    let of_c = get("ccccc").len() + 5;
    let total = of_b + of_c + get("a").len() + 5;
    let expected = |active: &str, millis: usize| {
        let text = format!(
            "*1 *18 tracking-active {active} sample-ratio :1 selected-slots *1 *2 :0 :16383 \
             all-commands-all-slots-us :0 net-bytes-all-commands-all-slots :{total} \
             collection-start-time-unix-ms :1700000001000 collection-duration-ms :{millis} \
             total-net-bytes :{total} by-net-bytes *4 bb :{of_b} ccccc :{of_c}"
        );
        text.split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(got(&mut stage, client), expected(":1", 250));
    assert_eq!(ask(&mut stage, &["hotkeys", "stop"]), "+OK\r\n");
    stage.wait(500);
    stage.say(client, get("later"));
    stage.answer(link, "$-1\r\n");
    stage.hear(client);
    assert_eq!(got(&mut stage, client), expected(":0", 250));
    assert_eq!(ask(&mut stage, &["HOTKEYS", "RESET"]), "+OK\r\n");
    assert_eq!(ask(&mut stage, &["HOTKEYS", "GET"]), "$-1\r\n");
}

#[test]
fn a_session_ends_by_itself_and_begins_anew() {
    let mut stage = Stage::new(administered(redis_pool(1)));
    let client = stage.client();
    let start = redis(&["HOTKEYS", "START", "METRICS", "1", "NET", "DURATION", "2"]);
    assert_eq!(stage.ask(client, &start), "+OK\r\n");
    stage.say(client, get("in:time"));
    stage.wait(2_500);
    stage.say(client, get("late"));
    stage.wait(1_000);
    let keys = seen(&stage).unwrap();
    assert_eq!(counts(&keys.by_requests), [counted("in:time", 1, 1)]);
    assert_eq!(keys.until.since(keys.since).as_secs(), 2);
    assert_eq!(stage.ask(client, redis(&["HOTKEYS", "STOP"])), "");
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n$-1\r\n");
    assert_eq!(stage.hear(client), "$-1\r\n$-1\r\n$-1\r\n", "it has ended");
    assert_eq!(stage.ask(client, &start), "+OK\r\n");
    assert_eq!(counts(&seen(&stage).unwrap().by_requests), []);
}

#[test]
fn only_who_administers_begins_a_session_and_the_setting_is_stronger() {
    let mut stage = stage(redis_pool(1));
    let client = stage.client();
    for words in [
        &["HOTKEYS", "START", "METRICS", "1", "NET"][..],
        &["HOTKEYS", "STOP"],
        &["HOTKEYS", "RESET"],
    ] {
        let refused = stage.ask(client, redis(words));
        assert!(refused.contains("set admin_commands: true"), "{refused}");
    }
    stage.say(client, get("k"));
    let link = stage.link(0);
    stage.answer(link, "$-1\r\n");
    stage.hear(client);
    assert!(got(&mut stage, client).contains(&"k".to_owned()));

    stage.apply(administered(counting(redis_pool(1), 1)));
    for words in [
        &["HOTKEYS", "START", "METRICS", "1", "NET"][..],
        &["HOTKEYS", "STOP"],
        &["HOTKEYS", "RESET"],
    ] {
        let refused = stage.ask(client, redis(words));
        assert!(
            refused.contains("the setting hot_keys of the pool"),
            "{refused}"
        );
    }
    assert!(got(&mut stage, client).contains(&"k".to_owned()));

    // The setting ends a session.
    stage.apply(administered(redis_pool(1)));
    let start = redis(&["HOTKEYS", "START", "METRICS", "1", "NET", "SAMPLE", "3"]);
    assert_eq!(stage.ask(client, &start), "+OK\r\n");
    stage.apply(PoolSettings {
        error_detail: true,
        ..administered(redis_pool(1))
    });
    assert_eq!(seen(&stage).unwrap().order.sample, 3);
    stage.apply(administered(counting(redis_pool(1), 1)));
    assert_eq!(seen(&stage).unwrap().order.sample, 1);
}

#[test]
fn odd_sessions_are_refused_as_by_redis() {
    let mut stage = Stage::new(administered(redis_pool(1)));
    let client = stage.client();
    for (words, error) in [
        ("", "METRICS parameter is required"),
        ("COUNT 1", "METRICS parameter is required"),
        ("METRICS 0 NET", "METRICS count must be > 0 and <= 2"),
        ("METRICS -1", "METRICS count must be > 0 and <= 2"),
        ("METRICS 3 CPU NET x", "METRICS count must be > 0 and <= 2"),
        (
            "METRICS 2 NET",
            "METRICS count does not match number of metric types provided",
        ),
        ("METRICS 1 NET CPU", "syntax error"),
        (
            "METRICS 1 GPU",
            "METRICS no valid metrics passed. Supported: CPU|NET",
        ),
        ("METRICS 2 NET NET", "METRICS NET defined more than once!"),
        ("METRICS 2 cpu cpu", "METRICS CPU defined more than once!"),
        (
            "METRICS 1 CPU",
            "METRICS CPU: the proxy does not know the servers' CPU time; NET is supported",
        ),
        ("METRICS 1 NET COUNT 0", "COUNT must be between 1 and 64"),
        ("METRICS 1 NET COUNT 65", "COUNT must be between 1 and 64"),
        ("METRICS 1 NET COUNT", "syntax error"),
        (
            "METRICS 1 NET DURATION 0",
            "DURATION must be between 1 and 1000000",
        ),
        ("METRICS 1 NET SAMPLE 0", "SAMPLE ratio must be positive"),
        (
            "METRICS 1 NET SLOTS 1 0",
            "SLOTS parameter cannot be used in non-cluster mode",
        ),
        ("METRICS 1 NET ODD 1", "syntax error"),
    ] {
        let words: Vec<&str> = ["HOTKEYS", "START"]
            .into_iter()
            .chain(words.split_whitespace())
            .collect();
        assert_eq!(
            stage.ask(client, redis(&words)),
            format!("-ERR {error}\r\n"),
            "{words:?}"
        );
    }
    let most = [
        "HOTKEYS",
        "START",
        "METRICS",
        "2",
        "GPU",
        "NET",
        "COUNT",
        "64",
        "SAMPLE",
        "2147483647",
    ];
    assert_eq!(stage.ask(client, redis(&most)), "+OK\r\n");
}
