//! Scripts and functions over real servers.

use crate::need;
use crate::rig::{Rig, wait_for};

/// Keys of every server of the pool.
const KEYS: usize = 30;

#[test]
fn functions_are_loaded_everywhere_and_called_by_key() {
    const CODE: &str = "#!lua name=lib\n\
        redis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)\n\
        redis.register_function{function_name='fetch', callback=function(keys) return redis.call('GET', keys[1]) end, \
        flags={'no-writes'}}";
    let rig = need!(Rig::redis(3, &["admin_commands: true"]), "redis-server");
    let mut client = rig.client();
    for version in ["2", "3"] {
        client.ask(&["HELLO", version]);
        let loaded = client.ask(&["FUNCTION", "LOAD", "REPLACE", CODE]);
        assert_eq!(loaded, "$3\r\nlib\r\n");
        for number in 0..KEYS {
            let (key, value) = (format!("key:{number}"), number.to_string());
            assert_eq!(client.ask(&["FCALL", "put", "1", &key, &value]), "+OK\r\n");
            let fetched = client.ask(&["FCALL_RO", "fetch", "1", &key]);
            assert_eq!(fetched, format!("${}\r\n{value}\r\n", value.len()));
        }
        // Servers list functions in different orders.
        let list = client.ask(&["FUNCTION", "LIST", "WITHCODE"]);
        assert!(list.starts_with("*1\r\n"), "{list}");
        for word in ["lib", "put", "fetch", CODE] {
            assert!(
                list.contains(&format!("${}\r\n{word}\r\n", word.len())),
                "{list}"
            );
        }
        let statistics = client.ask(&["FUNCTION", "STATS"]);
        assert!(
            statistics.contains("libraries_count\r\n:1\r\n"),
            "{statistics}"
        );
        let mut direct = rig.servers[1].client();
        assert_eq!(direct.ask(&["FUNCTION", "DELETE", "lib"]), "+OK\r\n");
        assert_eq!(client.ask(&["FUNCTION", "LIST"]), "*0\r\n");
        let missing = client.ask(&["FUNCTION", "DELETE", "lib"]);
        assert_eq!(missing, "-ERR Library not found\r\n");
        client.ask(&["FUNCTION", "LOAD", CODE]);
        assert_eq!(client.ask(&["FUNCTION", "FLUSH"]), "+OK\r\n");
        for server in &rig.servers {
            assert_eq!(server.client().ask(&["FUNCTION", "LIST"]), "*0\r\n");
        }
    }
}

#[test]
fn a_script_without_keys_runs_at_one_server_where_the_pool_says_so() {
    let rig = need!(Rig::redis(3, &["keyless_scripts: any"]), "redis-server");
    let mut client = rig.client();
    for count in 1..4 {
        let counted = client.ask(&["EVAL", "return redis.call('INCR', 'counter')", "0"]);
        assert_eq!(counted, format!(":{count}\r\n"));
    }
    let holders = rig
        .servers
        .iter()
        .map(|server| server.client().ask(&["EXISTS", "counter"]));
    assert_eq!(holders.filter(|found| found == ":1\r\n").count(), 1);
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    assert_eq!(
        rig.client().ask(&["EVAL", "return 'one'", "0"]),
        "$3\r\none\r\n"
    );
}

/// A script and its digest.
const SCRIPT: (&str, &str) = ("return 1", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");

/// How many of the keys' calls of the script are answered by it, over a connection of their own each.
fn called(rig: &Rig) -> usize {
    let call = |number| {
        let key = format!("key:{number}");
        rig.client().ask(&["EVALSHA", SCRIPT.1, "1", &key])
    };
    (0..KEYS).filter(|number| call(*number) == ":1\r\n").count()
}

#[test]
fn a_server_that_is_restarted_is_given_the_scripts_that_clients_call() {
    for is_loaded in [true, false] {
        let rig = Rig::redis_with(3, &[], &["--workers", "2"]);
        let mut rig = need!(rig, "redis-server");
        match is_loaded {
            true => drop(rig.client().ask(&["SCRIPT", "LOAD", SCRIPT.0])),
            // At one server only.
            false => drop(rig.client().ask(&["EVAL", SCRIPT.0, "1", "key:0"])),
        }
        assert_eq!(called(&rig), KEYS);
        for _ in 0..2 {
            for server in &mut rig.servers {
                server.kill();
                server.restart();
            }
            // Connections that were open are found closed once.
            wait_for("the servers are reached", || {
                let mut client = rig.client();
                (0..KEYS).all(|number| {
                    let found = client.ask(&["GET", &format!("key:{number}")]);
                    found == "$-1\r\n"
                })
            });
            assert_eq!(called(&rig), KEYS, "without an error");
        }
        // What others do at a server is noticed by one error, and healed.
        for server in &rig.servers {
            assert_eq!(server.client().ask(&["SCRIPT", "FLUSH"]), "+OK\r\n");
        }
        wait_for("all of them are loaded again", || called(&rig) == KEYS);
        assert_eq!(rig.client().ask(&["SCRIPT", "FLUSH"]), "+OK\r\n");
        assert_eq!(called(&rig), 0, "they were to be forgotten");
    }
}
