//! `stats` of memcached pools: the statistics of several servers in one table.

use proxy::metrics::PoolMetric;
use proxy::settings::{MemcachedSettings, PoolSettings, ProtocolSettings};

use crate::stage::{Stage, memcached_pool};

/// What clients are told who ask for `request`, which the servers must hear as `heard` and answer with `answers`.
fn told(settings: PoolSettings, request: &str, heard: &str, answers: &[&str]) -> String {
    let mut stage = Stage::new(settings);
    let client = stage.client();
    assert_eq!(stage.ask(client, request), "", "{request}");
    for (server, answer) in answers.iter().enumerate() {
        let link = stage.link(server);
        assert_eq!(stage.heard(link), heard);
        stage.answer(link, answer);
    }
    stage.hear(client)
}

const ONE: &str = "STAT pid 1\r\nSTAT uptime 500\r\nSTAT time 9\r\nSTAT version 1.6.18\r\n\
    STAT libevent 2.1.12\r\nSTAT rusage_user 0.600000\r\nSTAT curr_items 3\r\n\
    STAT limit_maxbytes 64\r\nSTAT threads 4\r\nSTAT odd 1\r\nEND\r\n";
const OTHER: &str = "STAT pid 2\r\nSTAT uptime 70\r\nSTAT time 8\r\nSTAT version 1.6.9\r\n\
    STAT libevent 2.1.11\r\nSTAT rusage_user 1.500000\r\nSTAT curr_items 40\r\n\
    STAT limit_maxbytes 64\r\nSTAT threads 8\r\nSTAT cmd_meta 5\r\nEND\r\n";

#[test]
fn counters_and_sizes_are_summed_and_what_nobody_knows_is_left_out() {
    let reply = told(memcached_pool(2), "stats\r\n", "stats\r\n", &[ONE, OTHER]);
    let expected = "STAT pid 7\r\nSTAT uptime 70\r\nSTAT time 1700000001\r\nSTAT version 1.6.9\r\n\
        STAT rusage_user 2.100000\r\nSTAT curr_items 43\r\nSTAT limit_maxbytes 128\r\n\
        STAT threads 4\r\nSTAT cmd_meta 5\r\nSTAT servers_missing 0\r\nEND\r\n";
    assert_eq!(reply, expected);
}

#[test]
fn who_answers_with_an_error_is_missing() {
    let error = "SERVER_ERROR out of memory writing stats\r\n";
    let reply = told(memcached_pool(2), "stats\r\n", "stats\r\n", &[error, OTHER]);
    assert!(reply.contains("STAT curr_items 40\r\n"), "{reply}");
    assert!(
        reply.ends_with("STAT servers_missing 1\r\nEND\r\n"),
        "{reply}"
    );
    let all = told(memcached_pool(2), "stats\r\n", "stats\r\n", &[error, error]);
    assert_eq!(all, error);
}

#[test]
fn stats_servers_tells_everything_server_by_server() {
    let answers = ["STAT odd 1\r\nEND\r\n", "STAT odd x y\r\nEND\r\n"];
    let named = "STAT s0:odd 1\r\nSTAT s1:odd x y\r\nEND\r\n";
    for (request, heard) in [
        ("stats servers\r\n", "stats \r\n"),
        ("stats servers settings\r\n", "stats  settings\r\n"),
        ("stats conns\r\n", "stats conns\r\n"),
    ] {
        assert_eq!(told(memcached_pool(2), request, heard, &answers), named);
    }
    let alone = told(
        memcached_pool(1),
        "stats servers\r\n",
        "stats \r\n",
        &answers[..1],
    );
    assert_eq!(alone, "STAT s0:odd 1\r\nEND\r\n");
}

#[test]
fn one_servers_statistics_are_passed_on_as_they_are() {
    for request in ["stats\r\n", "stats conns\r\n", "stats items\r\n"] {
        assert_eq!(told(memcached_pool(1), request, request, &[ONE]), ONE);
    }
}

#[test]
fn classes_keep_their_names() {
    let one = "STAT items:1:number 2\r\nSTAT items:1:age 7\r\nSTAT items:2:number 1\r\nEND\r\n";
    let other = "STAT items:1:number 3\r\nSTAT items:1:age 9\r\nSTAT items:1:odd 1\r\nEND\r\n";
    let request = "stats items\r\n";
    let reply = told(memcached_pool(2), request, request, &[one, other]);
    let expected =
        "STAT items:1:number 5\r\nSTAT items:1:age 9\r\nSTAT items:2:number 1\r\nEND\r\n";
    assert_eq!(reply, expected);
    let sizes = ["STAT 96 1\r\nSTAT 128 2\r\nEND\r\n", "STAT 96 4\r\nEND\r\n"];
    let request = "stats sizes\r\n";
    let reply = told(memcached_pool(2), request, request, &sizes);
    assert_eq!(reply, "STAT 96 5\r\nSTAT 128 2\r\nEND\r\n");
    let request = "stats slabs\r\n";
    let reply = told(memcached_pool(2), request, request, &["END\r\n"; 2]);
    assert_eq!(reply, "END\r\n");
}

#[test]
fn settings_are_told_where_all_have_the_same() {
    let one = "STAT maxbytes 64\r\nSTAT tcpport 1\r\nSTAT odd 1\r\nEND\r\n";
    let other = "STAT maxbytes 64\r\nSTAT tcpport 2\r\nEND\r\n";
    let request = "stats settings\r\n";
    let reply = told(memcached_pool(2), request, request, &[one, other]);
    assert_eq!(reply, "STAT maxbytes 64\r\nEND\r\n");
}

#[test]
fn details_are_switched_everywhere_and_summed_by_prefix() {
    for request in ["stats detail on\r\n", "stats  detail off\r\n"] {
        let reply = told(memcached_pool(2), request, request, &["OK\r\n"; 2]);
        assert_eq!(reply, "OK\r\n");
    }
    let one = "PREFIX a get 1 hit 2 set 3 del 4\r\nEND\r\n";
    let other =
        "PREFIX a get 10 hit 20 set 30 del 40\r\nPREFIX b get 1 hit 0 set 0 del 0\r\nEND\r\n";
    let request = "stats detail dump\r\n";
    let reply = told(memcached_pool(2), request, request, &[one, other]);
    let expected =
        "PREFIX a get 11 hit 22 set 33 del 44\r\nPREFIX b get 1 hit 0 set 0 del 0\r\nEND\r\n";
    assert_eq!(reply, expected);
}

fn memcached(admin_commands: bool) -> ProtocolSettings {
    ProtocolSettings::Memcached(MemcachedSettings {
        admin_commands,
        ..MemcachedSettings::default()
    })
}

#[test]
fn administration_must_be_allowed_and_what_test_programs_send_is_served() {
    let settings = || PoolSettings {
        protocol: memcached(false),
        ..memcached_pool(2)
    };
    let mut stage = Stage::new(settings());
    let client = stage.client();
    for admin in [
        "verbosity 2",
        "verbosity 18446744073709551615",
        "stats detail on",
        "stats detail dump",
        "stats sizes",
        "stats  cachedump 1 100",
        "stats conns",
        "stats servers sizes",
    ] {
        let refused = stage.ask(client, format!("{admin}\r\n"));
        assert!(
            refused.starts_with("CLIENT_ERROR ")
                && refused.ends_with("set admin_commands: true in the pool\r\n")
                && refused.matches("\r\n").count() == 1,
            "{admin}: {refused}"
        );
    }
    assert_eq!(stage.ask(client, "verbosity 9 noreply\r\n"), "");
    assert_eq!(stage.count(PoolMetric::Unheard), 1);
    assert_eq!(stage.links_ever(0), 0, "no server was asked");
    for level in ["0", "1", "01"] {
        let request = format!("verbosity {level}\r\n");
        assert_eq!(
            told(settings(), &request, &request, &["OK\r\n"; 2]),
            "OK\r\n"
        );
    }
    let request = "verbosity 2\r\n";
    assert_eq!(
        told(memcached_pool(2), request, request, &["OK\r\n"; 2]),
        "OK\r\n"
    );
}

#[test]
fn a_reset_must_be_allowed_and_unknown_arguments_reach_nobody() {
    let request = "stats reset\r\n";
    let reply = told(memcached_pool(2), request, request, &["RESET\r\n"; 2]);
    assert_eq!(reply, "RESET\r\n");
    let allowed_by = |allow_flush, admin_commands| PoolSettings {
        allow_flush,
        protocol: memcached(admin_commands),
        ..memcached_pool(2)
    };
    for either in [allowed_by(true, false), allowed_by(false, true)] {
        let reply = told(either, request, request, &["RESET\r\n"; 2]);
        assert_eq!(reply, "RESET\r\n");
    }
    let mut stage = Stage::new(allowed_by(false, false));
    let client = stage.client();
    let refused = stage.ask(client, request);
    assert!(
        refused.starts_with("CLIENT_ERROR stats reset not allowed")
            && refused.contains("allow_flush")
            && refused.contains("admin_commands"),
        "{refused}"
    );
    for unknown in [
        "stats foo\r\n",
        "stats sizes_enable\r\n",
        "stats noreply\r\n",
    ] {
        let reply = stage.ask(client, unknown);
        assert!(reply.starts_with("ERROR unsupported argument"), "{reply}");
    }
    assert_eq!(stage.links_ever(0), 0, "no server was asked");
}
