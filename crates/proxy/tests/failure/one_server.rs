//! Pools of one server: whatever a command is about is there, so that it is served, and no text speaks of several.

use proxy::settings::{MemcachedSettings, PoolSettings, ProtocolSettings};
use redis_proto::command::{self, Arity, Command};

use crate::pools;
use crate::stage::{Stage, millis};
use crate::words::redis;

/// What only texts for several servers say.
const SEVERAL: [&str; 8] = [
    "several",
    "every server",
    "all servers",
    "other servers",
    "one of the servers",
    "servers of the pool",
    "pool's servers",
    "keys of one server",
];

/// A pool in which nothing is allowed that settings may forbid.
fn redis_pool(servers: usize) -> PoolSettings {
    PoolSettings {
        allow_flush: false,
        ..pools::redis_pool(servers)
    }
}

fn check(what: &str, text: &str) {
    for words in SEVERAL {
        assert!(!text.contains(words), "{what}: {text}");
    }
}

/// A request for the command with as few arguments as it takes, each of them 1.
fn shortest(command: &Command) -> Vec<&'static str> {
    let count = match command.arity {
        Arity::Exact(count) | Arity::AtLeast(count) | Arity::Between(count, _) => count.into(),
        Arity::Pairs => 3,
    };
    let mut request: Vec<_> = command.name.split('|').collect();
    request.resize(count.max(request.len()), "1");
    request
}

/// Everything that one who sends this is told, whatever the server says.
fn told(request: &str) -> String {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let mut told = stage.ask(client, request);
    for _ in 0..4 {
        for link in stage.links(0) {
            if !stage.heard(link).is_empty() {
                stage.answer(link, "+OK\r\n");
            }
        }
        told += &stage.hear(client);
    }
    told
}

#[test]
fn no_text_of_a_command_speaks_of_several_servers() {
    let commands = command::all()
        .iter()
        .flat_map(|row| [row].into_iter().chain(row.subs));
    for row in commands {
        let request = shortest(row);
        check(row.name, &told(&redis(&request)));
        let within = redis(&["MULTI"]) + &redis(&request);
        check(row.name, &told(&within));
    }
    check("docs", &told(&redis(&["COMMAND", "DOCS"])));
    for count in 0..3 {
        let asked = ["SORT", "k", "BY", "w_*", "GET", "v_*"];
        check("sort", &told(&redis(&asked[..2 + 2 * count])));
    }
}

#[test]
fn no_text_of_memcached_speaks_of_several_servers() {
    let mut stage = Stage::new(PoolSettings {
        allow_flush: false,
        protocol: ProtocolSettings::Memcached(MemcachedSettings::default()),
        ..pools::memcached_pool(1)
    });
    let client = stage.client();
    for request in [
        "flush_all",
        "verbosity 7",
        "stats reset",
        "stats sizes",
        "stats conns",
        "stats detail on",
        "cache_memlimit 1",
    ] {
        let told = stage.ask(client, format!("{request}\r\n"));
        assert!(told.contains("ERROR"), "{request}: {told}");
        check(request, &told);
    }
}

#[test]
fn the_server_that_is_ejected_is_the_only_one() {
    for eject_all in [false, true] {
        let mut stage = Stage::new(PoolSettings {
            auto_eject_hosts: true,
            server_failure_limit: 1,
            server_retry_timeout: millis(1_000),
            error_detail: true,
            ..redis_pool(1)
        });
        let client = stage.client();
        stage.eject(0);
        let request = match eject_all {
            true => redis(&["DBSIZE"]),
            false => redis(&["GET", "k"]),
        };
        let told = stage.ask(client, request);
        assert!(told.contains("ejected"), "{told}");
        check("ejected", &told);
    }
}

/// What the server hears of a command.
fn heard(command: &[&str]) -> String {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    assert_eq!(stage.ask(client, redis(command)), "", "{command:?}");
    let link = stage.link(0);
    stage.heard(link)
}

#[test]
fn what_concerns_all_keys_goes_to_the_only_server() {
    for command in [
        &["SWAPDB", "0", "1"][..],
        &["MOVE", "k", "1"],
        &["CLUSTERSCAN", "0"],
        &["BLESS", "SCAN", "0", "x"],
        &["FT.SEARCH", "index", "hello"],
        &["TS.QUERYINDEX", "a=b"],
        &["EVAL", "return 1", "0"],
        &["KEYS", "*"],
        &["DBSIZE"],
    ] {
        assert_eq!(heard(command), redis(command));
    }
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    for refused in [
        &["SWAPDB", "0", "1"][..],
        &["MOVE", "k", "1"],
        &["FT.SEARCH", "i", "q"],
    ] {
        let told = stage.ask(client, redis(refused));
        assert!(told.starts_with("-ERR unsupported command"), "{told}");
    }
}

#[test]
fn what_was_meant_for_a_database_that_is_not_there_goes_nowhere() {
    for command in [&["SWAPDB", "0", "1"][..], &["MOVE", "k", "1"]] {
        let mut stage = Stage::new(redis_pool(1));
        let client = stage.client();
        let told = stage.ask(client, redis(&["SELECT", "7"]) + &redis(command));
        assert!(told.contains("not executed: the SELECT 7"), "{told}");
        assert_eq!(stage.links_ever(0), 0);
    }
}

#[test]
fn a_transaction_may_be_about_all_keys() {
    let mut pool = redis_pool(1);
    pool.allow_flush = true;
    let mut stage = Stage::new(pool);
    let client = stage.client();
    let commands = [
        &["SET", "a", "1"][..],
        &["DBSIZE"],
        &["KEYS", "*"],
        &["SCAN", "17"],
        &["RANDOMKEY"],
        &["MOVE", "b", "1"],
        &["SWAPDB", "0", "1"],
        &["EVAL", "return 1", "0"],
        &["FLUSHALL"],
    ];
    assert_eq!(stage.ask(client, redis(&["MULTI"])), "+OK\r\n");
    for command in commands {
        assert_eq!(
            stage.ask(client, redis(command)),
            "+QUEUED\r\n",
            "{command:?}"
        );
    }
    stage.say(client, redis(&["EXEC"]));
    let link = stage.link(0);
    stage.heard(link);
    // The empty transaction that is tried first.
    stage.answer(link, "+OK\r\n*0\r\n-ERR DISCARD without MULTI\r\n");
    let expected: String = commands.iter().map(|command| redis(command)).collect();
    let block = redis(&["MULTI"]) + &expected + &redis(&["EXEC"]);
    assert_eq!(stage.heard(link), block);

    // Not without the setting, and nothing of it where there are several servers.
    for (pool, command) in [
        (redis_pool(1), &["FLUSHALL"][..]),
        (redis_pool(2), &["DBSIZE"]),
        (redis_pool(2), &["SWAPDB", "0", "1"]),
    ] {
        let mut stage = Stage::new(pool);
        let client = stage.client();
        stage.ask(client, redis(&["MULTI"]));
        let told = stage.ask(client, redis(command));
        assert!(told.starts_with("-ERR "), "{told}");
        let told = stage.ask(client, redis(&["EXEC"]));
        assert!(told.starts_with("-EXECABORT "), "{told}");
    }
}

#[test]
fn several_servers_are_named_as_such() {
    let mut stage = Stage::new(redis_pool(2));
    let client = stage.client();
    let told = stage.ask(client, redis(&["FLUSHALL"]));
    assert!(told.contains("every server of the pool"), "{told}");
    let help = stage.ask(client, redis(&["FUNCTION", "HELP"]));
    assert!(help.contains("every server"), "{help}");
    let told = stage.ask(client, redis(&["EVAL", "return 1", "0"]));
    assert!(told.contains("the pool's servers"), "{told}");
}
