//! memcached's meta commands: quiet ones and their order, keys in base64, expiry times, and servers that do not know
//! them.

use hashkit::HashTag;
use proxy::Cause;
use proxy::metrics::{PoolMetric, ServerMetric};
use proxy::settings::{EjectPolicy, TimeoutAction};

use crate::stage::{Stage, memcached_pool, millis};

const RESET: &str = "SERVER_ERROR Connection reset by peer\r\n";

/// A quiet request with key `k`, what a server hears, a reply that is dropped, and one that is not.
const QUIET: &[(&str, &str, &[&str], &[&str])] = &[
    (
        "mg k v q O1\r\n",
        "mg k v O1\r\n",
        &["EN\r\n", "EN O1\r\n"],
        &[
            "VA 2 O1\r\nEN\r\n",
            "HD O1\r\n",
            "CLIENT_ERROR x\r\n",
            "ERROR\r\n",
        ],
    ),
    (
        "ms k 2 q c\r\nab\r\n",
        "ms k 2 c\r\nab\r\n",
        &["HD c77\r\n"],
        &["NS c0\r\n", "EX\r\n", "NF\r\n", "SERVER_ERROR x\r\n"],
    ),
    (
        "md k  q\r\n",
        "md k\r\n",
        &["HD\r\n"],
        &["NF\r\n", "EX\r\n", "CLIENT_ERROR x\r\n"],
    ),
    (
        "ma k q v\r\n",
        "ma k v\r\n",
        &["VA 2\r\n10\r\n", "HD\r\n"],
        &["NF\r\n", "CLIENT_ERROR x\r\n"],
    ),
];

#[test]
fn quiet_requests_are_answered_by_what_is_wanted_however_it_is_cut() {
    for (request, heard, dropped, wanted) in QUIET {
        let dropped = dropped.iter().map(|reply| (reply, ""));
        let wanted = wanted.iter().map(|reply| (reply, *reply));
        for (reply, told) in dropped.chain(wanted) {
            for cut in 1..=reply.len() {
                let mut stage = Stage::new(memcached_pool(1));
                let client = stage.client();
                stage.say(client, format!("{request}mn\r\nget k\r\n"));
                let link = stage.link(0);
                assert_eq!(stage.heard(link), format!("{heard}get k\r\n"));
                stage.answer(link, &reply[..cut]);
                let first = stage.hear(client);
                stage.answer(link, &reply[cut..]);
                stage.answer(link, "END\r\n");
                let all = first + &stage.hear(client);
                assert_eq!(
                    all,
                    format!("{told}MN\r\nEND\r\n"),
                    "{request} {reply} {cut}"
                );
            }
        }
    }
}

#[test]
fn nothing_of_a_reply_is_passed_on_before_it_is_known_to_be_wanted() {
    for (request, _, dropped, _) in QUIET {
        for cut in 1..dropped[0].len() {
            let mut stage = Stage::new(memcached_pool(1));
            let client = stage.client();
            stage.say(client, format!("{request}mn\r\n"));
            let link = stage.link(0);
            stage.answer(link, &dropped[0][..cut]);
            assert_eq!(stage.hear(client), "");
            stage.hang_up(link, Cause::Reset);
            // Once, and the client stays.
            assert_eq!(stage.hear(client), format!("{RESET}MN\r\n"), "{cut}");
            assert!(!stage.is_closed(client));
        }
    }
}

#[test]
fn a_large_wanted_value_is_passed_on_as_it_comes() {
    let mut stage = Stage::new(memcached_pool(1));
    let client = stage.client();
    stage.say(client, "mg k v q\r\n");
    let link = stage.link(0);
    stage.answer(link, "V");
    assert_eq!(stage.hear(client), "");
    stage.answer(link, "A 5000\r\nabc");
    assert_eq!(stage.hear(client), "VA 5000\r\nabc");
    stage.answer(link, "d");
    assert_eq!(stage.hear(client), "d");
    stage.hang_up(link, Cause::Reset);
    assert!(stage.is_closed(client), "a part has gone out");
}

#[test]
fn the_order_is_kept_over_servers() {
    let mut stage = Stage::new(memcached_pool(3));
    let client = stage.client();
    let keys: Vec<String> = (0..3).map(|server| stage.key(server)).collect();
    let (a, b, c) = (&keys[0], &keys[1], &keys[2]);
    stage.say(
        client,
        format!(
            "mg {a} v q\r\nms {b} 1 q\r\nx\r\nmn\r\nmg {c} v q\r\nmg {a} v q\r\nmd {b} q\r\nmn\r\nmg {c} k\r\n"
        ),
    );
    let links: Vec<usize> = (0..3).map(|server| stage.link(server)).collect();
    stage.answer(links[2], format!("VA 1\r\nc\r\nHD k{c}\r\n"));
    assert_eq!(stage.hear(client), "");
    stage.answer(links[1], "NS\r\nHD\r\n");
    assert_eq!(stage.hear(client), "");
    stage.answer(links[0], "EN\r\n");
    assert_eq!(stage.hear(client), "NS\r\nMN\r\nVA 1\r\nc\r\n");
    stage.answer(links[0], "EN\r\n");
    assert_eq!(stage.hear(client), format!("MN\r\nHD k{c}\r\n"));
    // All of them misses, in any order: only the end is told.
    stage.say(
        client,
        format!("mg {a} q\r\nmg {b} q\r\nmg {c} q\r\nmn\r\n"),
    );
    for server in [2, 0, 1] {
        assert_eq!(stage.hear(client), "");
        stage.answer(links[server], "EN\r\n");
    }
    assert_eq!(stage.hear(client), "MN\r\n");
    assert_eq!(stage.ask(client, "mn\r\nmn x\r\n"), "MN\r\nMN\r\n");
}

#[test]
fn an_endless_reply_to_a_quiet_request_is_not_withheld_for_ever() {
    let mut stage = Stage::new(memcached_pool(1));
    let client = stage.client();
    stage.say(client, "ms k 1 q\r\nx\r\n");
    let link = stage.link(0);
    stage.answer(link, format!("HD {}", "x".repeat(5_000)));
    stage.answer(link, "x".repeat(5_000));
    assert!(!stage.is_open(link), "no reply has such a line");
}

#[test]
fn a_client_that_leaves_costs_the_next_one_nothing() {
    let mut stage = Stage::new(memcached_pool(1));
    let (gone, client) = (stage.client(), stage.client());
    stage.say(gone, "mg k q\r\n");
    stage.say(client, "mg k q\r\nmg k k q\r\n");
    let link = stage.link(0);
    stage.answer(link, "E");
    stage.vanish(gone);
    stage.answer(link, "N\r\nE");
    stage.answer(link, "N\r\nHD kk\r\n");
    assert_eq!(stage.hear(client), "HD kk\r\n");
}

#[test]
fn a_key_in_base64_is_placed_by_what_it_means() {
    let mut settings = memcached_pool(3);
    settings.placement.tag = Some(HashTag {
        open: b'{',
        close: b'}',
    });
    let mut stage = Stage::new(settings);
    let client = stage.client();
    let encode = |key: &str| {
        let table = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for three in key.as_bytes().chunks(3) {
            let mut bits = 0u32;
            (0..3).for_each(|at| bits = bits << 8 | u32::from(*three.get(at).unwrap_or(&0)));
            for at in 0..4 {
                match at > three.len() {
                    true => text.push('='),
                    false => text.push(char::from(table[(bits >> (18 - 6 * at)) as usize & 63])),
                }
            }
        }
        text
    };
    for server in 0..3 {
        let key = stage.key(server);
        for tagged in [key.clone(), format!("x{{{key}}}y")] {
            let encoded = encode(&tagged);
            let large = "d".repeat(100_000);
            for (request, heard) in [
                (
                    format!("mg {encoded} b v\r\n"),
                    format!("mg {encoded} b v\r\n"),
                ),
                (
                    format!("md {encoded} q b\r\n"),
                    format!("md {encoded} b\r\n"),
                ),
                (format!("me {encoded} b\r\n"), format!("me {encoded} b\r\n")),
                (
                    format!("ms {encoded} 100000 b q c\r\n{large}\r\n"),
                    format!("ms {encoded} 100000 b c\r\n{large}\r\n"),
                ),
            ] {
                // In two pieces, so that the data is collected apart from the line.
                let (first, rest) = request.split_at(request.len().min(200) - 1);
                stage.say(client, first);
                stage.say(client, rest);
                let link = stage.link(server);
                assert!(stage.heard(link) == heard, "{tagged}");
                stage.answer(link, "NF\r\n");
                assert_eq!(stage.hear(client), "NF\r\n");
            }
        }
    }
    let errors = "mg Zm9 b\r\nms Zm9 2 q b\r\nmg\r\nma Zm9 b\r\nmn\r\n";
    let told = stage.ask(client, errors);
    let first = "CLIENT_ERROR error decoding key\r\n";
    assert!(told.starts_with(first), "{told}");
    assert!(!stage.is_closed(client));
}

#[test]
fn the_data_of_a_refused_meta_set_is_skipped_and_bad_data_ends_the_client() {
    let mut stage = Stage::new(memcached_pool(1));
    let client = stage.client();
    for line in ["ms Zm9 9 b q", "ms k 9 q q", "ms k +9 q", " ms k 9"] {
        let told = stage.ask(client, format!("{line}\r\nmn\r\nmn\r\nx\r\nmn\r\n"));
        assert!(told.starts_with("CLIENT_ERROR "), "{told}");
        assert!(told.ends_with("\r\nMN\r\n"), "{told}");
        assert_eq!(told.matches("\r\n").count(), 2, "{told}");
    }
    let told = stage.ask(client, "ms k 2 q\r\nabcd\r\n");
    assert_eq!(told, "CLIENT_ERROR bad data chunk\r\n");
    assert!(stage.is_closed(client) && stage.links_ever(0) == 0);
}

#[test]
fn a_server_that_does_not_know_meta_set_loses_its_connection_only() {
    let mut settings = memcached_pool(1);
    settings.auto_eject_hosts = true;
    let mut stage = Stage::new(settings);
    let (client, other) = (stage.client(), stage.client());
    for quiet in ["", " q"] {
        stage.say(client, format!("ms k 5{quiet}\r\nget a\r\nmn\r\n"));
        stage.say(other, "get b\r\n");
        let link = stage.link(0);
        // It takes the data for a request: what it answers to that is not for the other client.
        stage.answer(link, "ERROR\r\nEND\r\nEND\r\n");
        assert_eq!(stage.hear(client), "ERROR\r\nMN\r\n");
        assert!(!stage.is_open(link));
        assert_eq!(stage.hear(other), "SERVER_ERROR Invalid argument\r\n");
        for gauge in [
            ServerMetric::InQueue,
            ServerMetric::OutQueue,
            ServerMetric::OutQueueBytes,
        ] {
            assert_eq!(stage.count_at(0, gauge), 0, "{gauge:?}");
        }
    }
    assert!(stage.is_live(0), "it has not failed");
    stage.say(other, "mg b\r\n");
    let link = stage.link(0);
    stage.answer(link, "ERROR\r\n");
    assert_eq!(stage.hear(other), "ERROR\r\n");
    assert!(stage.is_open(link), "no data, no harm");
}

#[test]
fn pure_reads_are_retried_and_nothing_else_is() {
    for (request, is_read) in [
        ("mg k\r\n", true),
        ("mg k v q k O1 u Pa Lb\r\n", true),
        ("me k\r\n", true),
        ("mg k v T30\r\n", false),
        ("mg k v N30\r\n", false),
        ("mg k v R30\r\n", false),
        ("mg k v E5\r\n", false),
        ("mg k v ?\r\n", false),
        ("ms k 1\r\nx\r\n", false),
        ("md k q\r\n", false),
        ("ma k\r\n", false),
    ] {
        let mut settings = memcached_pool(1);
        settings.failure.retry_reads = true;
        let mut stage = Stage::new(settings);
        let client = stage.client();
        for _ in 0..20 {
            stage.say(client, "get k\r\n");
            let link = stage.link(0);
            stage.answer(link, "END\r\n");
        }
        stage.hear(client);
        stage.say(client, format!("{request}mn\r\n"));
        let lost = stage.link(0);
        let heard = stage.heard(lost);
        stage.answer(lost, "E");
        stage.hang_up(lost, Cause::Reset);
        let is_quiet = request.contains(" q");
        match is_read && is_quiet {
            // Nothing of the reply was passed on.
            true => {
                let again = stage.link(0);
                assert_eq!(stage.heard(again), heard.replace("get k\r\n", ""));
                stage.answer(again, "EN\r\n");
                assert_eq!(stage.hear(client), "MN\r\n", "{request}");
            }
            false => {
                assert_eq!(stage.hear(client), format!("{RESET}MN\r\n"), "{request}");
            }
        }
        stage.say(client, request);
        let lost = stage.link(0);
        stage.hang_up(lost, Cause::Reset);
        let expected = if is_read { "" } else { RESET };
        assert_eq!(stage.hear(client), expected, "{request}");
    }
}

#[test]
fn keys_of_an_ejected_server_are_misses_where_the_policy_says_so() {
    let mut settings = memcached_pool(2);
    settings.auto_eject_hosts = true;
    settings.failure.eject = EjectPolicy::Miss;
    let mut stage = Stage::new(settings);
    stage.eject(0);
    let (client, key) = (stage.client(), stage.key(0));
    for (request, reply) in [
        (format!("mg {key} v\r\n"), "EN\r\n".to_owned()),
        (format!("mg {key} v k O7\r\n"), format!("EN k{key} O7\r\n")),
        (format!("mg {key} v q O7\r\n"), String::new()),
        (format!("mg {key} N30 q\r\nmn\r\n"), "MN\r\n".into()),
    ] {
        assert_eq!(stage.ask(client, &request), reply, "{request}");
    }
    for request in [
        format!("ms {key} 1 q\r\nx\r\n"),
        format!("md {key} q\r\n"),
        format!("ma {key} q\r\n"),
        format!("me {key}\r\n"),
    ] {
        let told = stage.ask(client, &request);
        assert!(told.starts_with("SERVER_ERROR "), "{request}: {told}");
    }
}

#[test]
fn late_and_lost_quiet_requests_are_told_once() {
    let mut settings = memcached_pool(1);
    settings.timeout = Some(millis(100));
    settings.failure.timeout_action = TimeoutAction::Answer;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, "mg k q\r\nms k 1 q\r\nx\r\nmn\r\n");
    let link = stage.link(0);
    stage.wait(100);
    let late = "SERVER_ERROR Connection timed out\r\n";
    assert_eq!(stage.hear(client), format!("{late}{late}MN\r\n"));
    stage.answer(link, "HD\r\nHD\r\n");
    assert_eq!(stage.hear(client), "");
    stage.say(client, "mg k k\r\n");
    stage.answer(link, "HD kk\r\n");
    assert_eq!(stage.hear(client), "HD kk\r\n", "in step");
    assert_eq!(stage.count(PoolMetric::Unheard), 0);
    assert_eq!(stage.count_at(0, ServerMetric::Responses), 3);
}

#[test]
fn blanks_before_a_storage_command_do_not_put_a_server_out_of_step() {
    let mut stage = Stage::new(memcached_pool(1));
    let [client, other] = [(); 2].map(|()| stage.client());
    stage.say(client, "  set k 0 0 5\r\nhello\r\n get k\r\n");
    let link = stage.link(0);
    assert_eq!(stage.heard(link), "set k 0 0 5\r\nhello\r\n get k\r\n");
    stage.answer(link, "STORED\r\nEND\r\n");
    assert_eq!(stage.hear(client), "STORED\r\nEND\r\n");
    // Two ranges cannot be left out: a server that took the data for a request loses its connection.
    stage.say(client, " set k 0 0 5 noreply\r\nget k\r\n");
    stage.say(other, "get a\r\n");
    assert_eq!(stage.heard(link), " set k 0 0 5\r\nget k\r\nget a\r\n");
    stage.answer(link, "ERROR\r\nEND\r\nVALUE a 0 1\r\na\r\nEND\r\n");
    assert!(!stage.is_open(link));
    assert_eq!(stage.hear(other), "SERVER_ERROR Invalid argument\r\n");
}
