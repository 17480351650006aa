//! Commands about libraries of functions, and scripts and functions without keys.

use proxy::settings::{KeylessScripts, PoolSettings, ProtocolSettings, RedisSettings};

use crate::stage::{Stage, redis_pool};
use crate::words::{HELLO_3, PING, bulk, redis};

fn pool(servers: usize, redis: RedisSettings) -> PoolSettings {
    let mut pool = redis_pool(servers);
    pool.protocol = ProtocolSettings::Redis(redis);
    pool
}

/// Every server's reply to the command, and what the client gets of them.
fn joined(settings: RedisSettings, command: &[&str], replies: [&str; 2]) -> String {
    let mut stage = Stage::new(pool(2, settings));
    let client = stage.client();
    stage.say(client, redis(command) + PING);
    for (server, reply) in replies.into_iter().enumerate() {
        let link = stage.link(server);
        assert_eq!(stage.heard(link), redis(command));
        // In pieces, wherever they end.
        for byte in reply.bytes() {
            stage.answer(link, (byte as char).to_string());
        }
    }
    let heard = stage.hear(client);
    heard.strip_suffix("+PONG\r\n").expect("in step").to_owned()
}

fn library(name: &str, functions: &str) -> String {
    let (name, functions) = (bulk(name), bulk(functions));
    format!(
        "*4\r\n$12\r\nlibrary_name\r\n{name}$9\r\nfunctions\r\n*1\r\n*2\r\n$4\r\nname\r\n{functions}"
    )
}

fn list(libraries: &[String]) -> String {
    format!("*{}\r\n{}", libraries.len(), libraries.concat())
}

#[test]
fn libraries_are_listed_that_every_server_has() {
    let ask = |replies: [&str; 2]| joined(RedisSettings::default(), &["FUNCTION", "LIST"], replies);
    let (a, b, c) = (library("a", "f"), library("bb", "g"), library("a", "f2"));
    let (first, second) = (
        list(&[a.clone(), b.clone()]),
        list(&[b.clone(), library("c", "x"), c]),
    );
    // What the first server says of them.
    assert_eq!(ask([&first, &second]), list(&[a.clone(), b.clone()]));
    let only = list(&[library("bb", "g")]);
    assert_eq!(ask([&first, &only]), only);
    assert_eq!(ask([&first, "*0\r\n"]), "*0\r\n");
    assert_eq!(ask(["*0\r\n", &first]), "*0\r\n");
    let map = |text: &str| text.replacen("*4\r\n$12", "%2\r\n$12", 1);
    assert_eq!(
        ask([&list(&[map(&a)]), &list(&[map(&b), map(&a)])]),
        list(&[map(&a)])
    );
    let error = "-ERR unknown argument x\r\n";
    assert_eq!(ask([&first, error]), error);
    assert_eq!(ask([&first, ":1\r\n"]), "-ERR Invalid argument\r\n");
    // What is no library is not passed on for one that all have, unless it is the only answer.
    assert_eq!(ask(["*2\r\n:1\r\n*0\r\n", "*2\r\n:1\r\n*0\r\n"]), "*0\r\n");
}

#[test]
fn statistics_are_those_of_a_server_that_runs_a_function() {
    let ask =
        |replies: [&str; 2]| joined(RedisSettings::default(), &["function", "stats"], replies);
    let engines = "$7\r\nengines\r\n*0\r\n";
    for (header, null) in [("*4", "$-1"), ("*4", "*-1"), ("%2", "_")] {
        let idle = format!("{header}\r\n$14\r\nrunning_script\r\n{null}\r\n{engines}");
        let other =
            format!("{header}\r\n$14\r\nrunning_script\r\n{null}\r\n$7\r\nengines\r\n*1\r\n:1\r\n");
        let busy = format!(
            "{header}\r\n$14\r\nrunning_script\r\n*2\r\n$4\r\nname\r\n$1\r\nf\r\n{engines}"
        );
        assert_eq!(ask([&idle, &other]), idle);
        assert_eq!(ask([&idle, &busy]), busy);
        assert_eq!(ask([&busy, &idle]), busy);
    }
    assert_eq!(ask(["+OK\r\n", "+OK\r\n"]), "-ERR Invalid argument\r\n");
}

#[test]
fn libraries_are_loaded_and_deleted_everywhere_and_replaced_as_a_whole_where_it_is_allowed() {
    let plain = RedisSettings::default;
    let code = "#!lua name=l\nredis.register_function('f', function() return 1 end)";
    let load = ["FUNCTION", "LOAD", "REPLACE", code];
    assert_eq!(joined(plain(), &load, ["$1\r\nl\r\n"; 2]), "$1\r\nl\r\n");
    let delete = ["FUNCTION", "DELETE", "l"];
    assert_eq!(joined(plain(), &delete, ["+OK\r\n"; 2]), "+OK\r\n");
    let unknown = "-ERR Library not found\r\n";
    assert_eq!(joined(plain(), &delete, ["+OK\r\n", unknown]), unknown);
    let admin = || RedisSettings {
        admin_commands: true,
        ..plain()
    };
    for whole in [
        &["FUNCTION", "FLUSH", "ASYNC"][..],
        &["FUNCTION", "RESTORE", "payload", "FLUSH"],
    ] {
        assert_eq!(joined(admin(), whole, ["+OK\r\n"; 2]), "+OK\r\n");
        let mut stage = Stage::new(pool(2, plain()));
        let client = stage.client();
        let refused = stage.ask(client, redis(whole));
        assert!(refused.contains("admin_commands: true"), "{refused}");
    }
    let mut stage = Stage::new(pool(
        1,
        RedisSettings {
            allow_scripts: false,
            ..plain()
        },
    ));
    let client = stage.client();
    let refused = stage.ask(client, redis(&load));
    assert!(refused.contains("allow_scripts: true"), "{refused}");
}

const SCRIPTS: [&[&str]; 6] = [
    &["EVAL", "return 1", "0"],
    &["EVAL_RO", "return 1", "0", "argument"],
    &["EVALSHA", "5ac1", "0"],
    &["EVALSHA_RO", "5ac1", "0"],
    &["FCALL", "f", "0", "argument"],
    &["FCALL_RO", "f", "0"],
];

#[test]
fn what_has_no_key_to_tell_its_server_is_refused_unless_the_pool_has_one_or_says_so() {
    let any = || RedisSettings {
        keyless_scripts: KeylessScripts::Any,
        ..RedisSettings::default()
    };
    for script in SCRIPTS {
        let mut stage = Stage::new(pool(2, RedisSettings::default()));
        let client = stage.client();
        let refused = stage.ask(client, redis(script) + PING);
        let name = script[0].to_ascii_lowercase();
        assert_eq!(
            refused,
            format!(
                "-ERR '{name}' without keys: no key tells which of the pool's servers is to run it; name a key that it uses or, if it uses no data, set \
                 keyless_scripts: any in the pool\r\n+PONG\r\n"
            )
        );
        for settings in [pool(1, RedisSettings::default()), pool(2, any())] {
            let mut stage = Stage::new(settings);
            let client = stage.client();
            // Always the same server.
            for _ in 0..3 {
                stage.say(client, redis(script));
                let link = stage.links(0)[0];
                assert_eq!(stage.heard(link), redis(script));
                stage.answer(link, ":1\r\n");
                assert_eq!(stage.hear(client), ":1\r\n");
                assert_eq!(stage.links(0).len(), 1);
            }
        }
    }
    // With keys nothing changes.
    let mut stage = Stage::new(pool(2, any()));
    let client = stage.client();
    let apart = redis(&["EVAL_RO", "s", "2", &stage.key(0), &stage.key(1)]);
    assert!(stage.ask(client, apart).starts_with("-CROSSSLOT"));
    assert!(
        stage
            .ask(client, redis(&["EVAL", "s", "x"]))
            .starts_with("-ERR value is not")
    );
    stage.say(client, HELLO_3);
}
