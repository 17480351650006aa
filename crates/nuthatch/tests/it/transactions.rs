//! Transactions through real servers: the same as from a server itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use testkit::Client;

use crate::need;
use crate::refused::{assert_same, assert_same_scripts, commands_of};
use crate::rig::{Rig, text};

/// What a client sends in and around transactions.
const WORDS: &[&str] = &[
    "MULTI",
    "MULTI",
    "MULTI",
    "EXEC",
    "EXEC",
    "EXEC",
    "DISCARD",
    "UNWATCH",
    "WATCH a",
    "WATCH b c",
    "PING",
    "ECHO hello",
    "GET a",
    "SET a 1",
    "INCR a",
    "INCR b",
    "APPEND b x",
    "LPUSH list x",
    "LRANGE list 0 -1",
    "MGET a b list",
    "MSET a 1 b 2",
    "DEL a b",
    "SINTER a b",
    "EVAL 'return redis.call(\"incr\",KEYS[1])' 1 c",
    "GET",
    "EXEC x",
    "MULTI x",
];

#[test]
fn scripts_with_transactions_are_answered_as_a_server_answers_them() {
    let rig = need!(Rig::redis(1, &["allow_flush: true"]), "redis-server");
    assert_same_scripts(&rig, 11, WORDS, "DISCARD\r\nECHO end\r\n", "$3\r\nend\r\n");
}

#[test]
fn a_transaction_in_one_write_is_executed_once_however_it_is_cut() {
    let rig = need!(Rig::redis(1, &["allow_flush: true"]), "redis-server");
    let script = "MULTI\r\nINCR c\r\nLPUSH l x\r\nINCR l\r\nEXEC\r\nGET c\r\n";
    for cut in 1..script.len() {
        let said = assert_same(&rig, &rig.servers[0], script, cut);
        let start = "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n:1\r\n-WRONGTYPE";
        assert!(said.starts_with(start), "{said}");
        assert!(said.ends_with("$1\r\n1\r\n"), "{said}");
    }
}

/// The fields of the server's connections to the proxy that a command might have changed.
fn connections(rig: &Rig) -> Vec<String> {
    let list = rig.servers[0].client().ask(&["CLIENT", "LIST"]);
    let lines = list
        .lines()
        .filter(|line| line.contains("id=") && !line.contains("cmd=client"));
    let field = |line: &str| {
        let wanted = [
            "name=", "flags=", "db=", "sub=", "psub=", "multi=", "user=", "resp=",
        ];
        let fields = line
            .split(' ')
            .filter(|field| wanted.iter().any(|it| field.starts_with(it)));
        fields.collect::<Vec<_>>().join(" ")
    };
    lines.map(field).collect()
}

/// Every command of the server within a transaction, over the one connection that all clients share.
#[test]
fn no_command_within_a_transaction_changes_the_connection_that_others_use() {
    let rig = need!(Rig::redis(1, &["ask_version: false"]), "redis-server");
    let mut other = rig.client();
    assert_eq!(other.ask(&["SET", "mine", "v"]), "+OK\r\n");
    let before = connections(&rig);
    assert_eq!(before.len(), 1, "{before:?}");
    let mut executed = 0;
    for words in commands_of(&rig.servers[0]) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let "quit" | "exec" | "discard" | "reset" = words[0] {
            continue;
        }
        let mut client = rig.client();
        assert_eq!(client.ask(&["MULTI"]), "+OK\r\n");
        let queued = client.ask(&words) == "+QUEUED\r\n";
        assert_eq!(client.ask(&["SET", "theirs", "v"]), "+QUEUED\r\n");
        let reply = client.ask(&["EXEC"]);
        assert_eq!(
            reply.starts_with('*'),
            queued || words[0] == "multi" || words[0] == "watch",
            "{words:?}: {reply}"
        );
        executed += usize::from(queued);
        let alive = other.ask(&["SET", "mine", "v"]);
        assert_eq!(alive, "+OK\r\n", "after {words:?}");
        assert_eq!(connections(&rig), before, "after {words:?}");
    }
    assert!(executed > 150, "{executed}");
}

#[test]
fn a_user_that_may_begin_none_has_none_executed_command_by_command() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    for denied in ["-multi", "-exec"] {
        let mut admin = rig.servers[0].client();
        assert_eq!(
            admin.ask(&["ACL", "SETUSER", "default", "+@all", denied]),
            "+OK\r\n"
        );
        // Another connection, as what a server has allowed on one is known.
        assert!(
            admin
                .ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
                .starts_with(':')
        );
        let mut client = rig.client();
        assert_eq!(client.ask(&["SET", "k", "before"]), "+OK\r\n");
        client.send(b"MULTI\r\nSET k after\r\nEXEC\r\nGET k\r\n");
        client.shut_write();
        let said = text(&client.rest());
        let start = "+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: its server answers MULTI and EXEC with '";
        assert!(
            said.starts_with(start) && said.contains("NOPERM "),
            "{said}"
        );
        assert!(said.ends_with("$6\r\nbefore\r\n"), "{said}");
    }
}

/// Two counters that only transactions change, always by the same amount, read by transactions meanwhile.
#[test]
fn transactions_of_many_clients_are_each_executed_as_a_whole() {
    let rig = need!(Rig::redis(3, &["hash_tag: \"{}\""]), "redis-server");
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = is_over.clone();
    let mut reader = rig.client();
    let reading = thread::spawn(move || {
        let mut reads = 0;
        while !ends.load(Ordering::Relaxed) {
            for tag in 0..6 {
                let (one, two) = (format!("{{{tag}}}one"), format!("{{{tag}}}two"));
                assert_eq!(reader.ask(&["MULTI"]), "+OK\r\n");
                assert_eq!(reader.ask(&["GET", &one]), "+QUEUED\r\n");
                assert_eq!(reader.ask(&["GET", &two]), "+QUEUED\r\n");
                let both = reader.ask(&["EXEC"]);
                let values = both.strip_prefix("*2\r\n").expect("an array");
                let (one, two) = values.split_at(values.len() / 2);
                assert_eq!(one, two, "{both}");
                reads += 1;
            }
        }
        reads
    });
    let add = |mut client: Client| {
        for round in 0..300 {
            let tag = round % 6;
            let line = format!("MULTI\r\nINCR {{{tag}}}one\r\nINCR {{{tag}}}two\r\nEXEC\r\n");
            client.send(line.as_bytes());
            for _ in 0..3 {
                assert!(text(&client.line()).starts_with('+'));
            }
            let sums = text(&client.reply());
            let lines: Vec<&str> = sums.lines().collect();
            assert_eq!((lines[0], lines[1]), ("*2", lines[2]), "{sums}");
        }
    };
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let client = rig.client();
            thread::spawn(move || add(client))
        })
        .collect();
    writers
        .into_iter()
        .for_each(|writer| writer.join().expect("a writer"));
    is_over.store(true, Ordering::Relaxed);
    assert!(reading.join().expect("the reader") > 0);
    let mut client = rig.client();
    for tag in 0..6 {
        let total = client.ask(&["GET", &format!("{{{tag}}}one")]);
        assert_eq!(total, "$3\r\n400\r\n");
    }
    assert!(rig.pool_stat("transactions") >= 2_400);
    let opened: i64 = (0..3)
        .map(|server| rig.server_stat(server, "server_total"))
        .sum();
    assert!(opened <= 3, "none needs a connection of its own: {opened}");
}

/// Libraries send pipelines as transactions unless they are told not to.
#[test]
fn with_per_shard_a_pipeline_over_several_servers_is_answered_as_by_one() {
    let rig = need!(Rig::redis(3, &["transactions: per_shard"]), "redis-server");
    let alone = need!(testkit::redis(), "redis-server");
    let keys: Vec<String> = (0..40).map(|number| format!("{number}:key")).collect();
    let mut script = "MULTI\r\n".to_owned();
    for key in &keys {
        script += &format!("SET {key} {key}\r\nINCR {key}\r\nAPPEND {key} x\r\n");
    }
    script += &format!("MGET {} none\r\n", keys.join(" "));
    script += &format!("EXISTS none {}\r\n", keys.join(" "));
    script += &format!("RPUSH list {}\r\nLRANGE list 0 -1\r\n", keys.join(" "));
    script += &format!("DEL list {}\r\nEXEC\r\nDBSIZE\r\n", keys.join(" "));
    let all = |mut client: Client| {
        client.send(script.as_bytes());
        client.shut_write();
        text(&client.rest())
    };
    let (through, direct) = (all(rig.client()), all(alone.client()));
    assert_eq!(through, direct);
    assert_eq!(rig.pool_stat("transactions_in_part"), 0);
    assert_eq!(rig.pool_stat("transactions"), 1);
}

/// Counters that are read, and written where nobody has written meanwhile.
#[test]
fn what_depends_on_watched_keys_is_never_lost() {
    let rig = need!(Rig::redis_with(3, &[], &["--workers", "2"]), "redis-server");
    let add = |mut client: Client| {
        let mut retries = 0;
        for round in 0..60 {
            let key = format!("watched:{}", round % 3);
            loop {
                assert_eq!(client.ask(&["WATCH", &key]), "+OK\r\n");
                let value = client.ask(&["GET", &key]);
                let value: u64 = value
                    .lines()
                    .nth(1)
                    .map_or(0, |it| it.parse().expect("a number"));
                let next = (value + 1).to_string();
                assert_eq!(client.ask(&["MULTI"]), "+OK\r\n");
                assert_eq!(client.ask(&["SET", &key, &next]), "+QUEUED\r\n");
                match client.ask(&["EXEC"]).as_str() {
                    "*1\r\n+OK\r\n" => break,
                    "*-1\r\n" => retries += 1,
                    other => panic!("{other}"),
                }
            }
        }
        retries
    };
    let clients: Vec<_> = (0..6).map(|_| rig.client()).collect();
    let clients = clients
        .into_iter()
        .map(|client| thread::spawn(move || add(client)));
    let clients: Vec<_> = clients.collect();
    let retries: usize = clients
        .into_iter()
        .map(|it| it.join().expect("a client"))
        .sum();
    assert!(retries > 0, "they have met");
    let mut client = rig.client();
    for key in ["watched:0", "watched:1", "watched:2"] {
        assert_eq!(client.ask(&["GET", key]), "$3\r\n120\r\n");
    }
}
