//! What follows a refused command, and replies that a client does not get, with real servers.

use std::thread;
use std::time::Duration;

use testkit::{Client, Server};

use crate::need;
use crate::rig::{Rig, memcached_ask, text, wait_for};

/// Long enough for the proxy to read what was sent before separately.
const PAUSE: Duration = Duration::from_micros(500);

/// What the only server has stored under a key.
fn stored(rig: &Rig, key: &str) -> String {
    rig.servers[0].client().ask(&["GET", key])
}

/// Sends a request in two parts.
fn send_cut(client: &mut Client, bytes: &[u8], cut: usize) {
    client.send(&bytes[..cut]);
    thread::sleep(PAUSE);
    client.send(&bytes[cut..]);
}

/// The lines that a client gets until the end of its connection.
fn lines_of(mut client: Client) -> Vec<String> {
    client.shut_write();
    let said = text(&client.rest());
    said.split_inclusive("\r\n").map(str::to_owned).collect()
}

/// The commands and subcommands of a server, each with an argument list of the least length that it takes.
pub(crate) fn commands_of(server: &Server) -> Vec<Vec<String>> {
    let mut client = server.client();
    let list = client.ask(&["COMMAND", "LIST", "FILTERBY", "PATTERN", "*"]);
    let names = list.lines().skip(2).step_by(2);
    let mut arity = |name: &str| {
        let about = client.ask(&["COMMAND", "INFO", name]);
        let number = about.lines().find_map(|line| line.strip_prefix(':'));
        let number: i64 = number.expect(name).parse().expect(name);
        number.unsigned_abs() as usize
    };
    let mut of_name = |name: &str| {
        let mut words: Vec<String> = name.split('|').map(str::to_owned).collect();
        // A number of keys, of seconds, of bytes: whatever waits does so for long, unless it is served.
        let waits = ["blpop", "brpop", "brpoplpush", "bzpopmax", "bzpopmin"].contains(&name);
        let filler = if waits { "0.1" } else { "30" };
        words.resize(arity(name).max(words.len()), filler.into());
        words
    };
    names.map(&mut of_name).collect()
}

/// Libraries wait for one reply to each command that they send, MONITOR among them.
#[test]
fn every_command_of_a_server_gets_one_reply_at_once_and_the_connection_goes_on() {
    const AT_ONCE: Duration = Duration::from_secs(5);
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let commands = commands_of(&rig.servers[0]);
    assert!(commands.len() > 300, "{}", commands.len());
    let refused = |name: &str, reply: &str| {
        let expected = format!("-ERR unsupported command '{name}'");
        assert!(reply.starts_with(&expected), "{name}: {reply}");
    };
    for version in ["2", "3"] {
        for words in &commands {
            let mut client = rig.client();
            client.set_time_limit(AT_ONCE);
            client.ask(&["HELLO", version]);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let reply = client.ask(&words);
            if let "monitor" | "sync" = words[0] {
                refused(words[0], &reply);
            }
            match words[0] {
                "subscribe" | "psubscribe" | "ssubscribe" => {
                    assert!(client.ask(&["PING"]).to_lowercase().contains("pong"))
                }
                "quit" => assert_eq!(text(&client.rest()), "", "{words:?}"),
                "multi" => assert_eq!(client.ask(&["ECHO", "on"]), "+QUEUED\r\n"),
                _ => assert_eq!(client.ask(&["ECHO", "on"]), "$2\r\non\r\n", "{words:?}"),
            }
        }
    }
}

#[test]
fn scripts_run_unless_they_are_forbidden() {
    let flush = ["EVAL", "return redis.call('FLUSHALL')", "1", "k"];
    let scripts: [&[&str]; 6] = [
        &flush,
        &["EVAL_RO", "return 1", "1", "k"],
        &[
            "EVALSHA",
            "ffffffffffffffffffffffffffffffffffffffff",
            "1",
            "k",
        ],
        &[
            "EVALSHA_RO",
            "ffffffffffffffffffffffffffffffffffffffff",
            "1",
            "k",
        ],
        &["FCALL", "f", "1", "k"],
        &["FCALL_RO", "f", "0"],
    ];
    let rig = need!(Rig::redis(1, &["allow_scripts: false"]), "redis-server");
    let mut client = rig.client();
    assert_eq!(client.ask(&["SET", "kept", "v"]), "+OK\r\n");
    for script in scripts {
        let name = script[0].to_lowercase();
        let refused = client.ask(script);
        let start = format!("-ERR unsupported command '{name}': ");
        assert!(refused.starts_with(&start), "{refused}");
        assert!(refused.contains("allow_scripts: true"), "{refused}");
    }
    assert_eq!(client.ask(&["GET", "kept"]), "$1\r\nv\r\n");

    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let mut client = rig.client();
    assert_eq!(client.ask(&["SET", "kept", "v"]), "+OK\r\n");
    assert_eq!(client.ask(&flush), "+OK\r\n");
    assert_eq!(client.ask(&["GET", "kept"]), "$-1\r\n");
}

#[test]
fn after_a_refused_select_database_0_is_left_alone() {
    let rig = need!(Rig::redis(1, &["allow_flush: true"]), "redis-server");
    let mut client = rig.client();
    assert_eq!(client.ask(&["SET", "kept", "v"]), "+OK\r\n");
    client.send(b"SELECT 1\r\nSET k x\r\nFLUSHDB\r\nDEL kept\r\n");
    let lines = lines_of(client);
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0].starts_with("-ERR DB index is out of range"));
    for line in &lines[1..] {
        let expected = "-ERR not executed: the SELECT 1 before it was refused";
        assert!(line.starts_with(expected), "{line}");
    }
    assert_eq!(stored(&rig, "k"), "$-1\r\n");
    assert_eq!(stored(&rig, "kept"), "$1\r\nv\r\n");
}

/// All replies to a script, which is sent in two parts, until the end.
fn play(mut client: Client, script: &[u8], cut: usize) -> String {
    send_cut(&mut client, script, cut);
    client.shut_write();
    text(&client.rest())
}

pub(crate) fn assert_same(rig: &Rig, server: &Server, script: &str, cut: usize) -> String {
    server.client().ask(&["FLUSHALL"]);
    let direct = play(server.client(), script.as_bytes(), cut);
    server.client().ask(&["FLUSHALL"]);
    let through = play(rig.client(), script.as_bytes(), cut);
    assert_eq!(through, direct, "cut at {cut}: {script}");
    direct
}

/// Plays 400 scripts of up to 39 `lines` each, drawn from `seed` and cut anywhere, which end in the lines `end`: their replies
/// must be those of the server and end in `ends`.
pub(crate) fn assert_same_scripts(rig: &Rig, seed: u64, lines: &[&str], end: &str, ends: &str) {
    let mut chance = seed;
    let mut draw = |below: usize| {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) as usize % below
    };
    for _ in 0..400 {
        let count = draw(40);
        let mut script: String = (0..count)
            .map(|_| format!("{}\r\n", lines[draw(lines.len())]))
            .collect();
        script.push_str(end);
        let cut = 1 + draw(script.len() - 1);
        let said = assert_same(rig, &rig.servers[0], &script, cut);
        assert!(said.ends_with(ends), "{said}");
    }
}

/// A pool with one server, and that server.
fn alone() -> Option<Rig> {
    Rig::redis(1, &["allow_flush: true"])
}

#[test]
fn with_client_reply_a_client_gets_what_a_server_gives_it_however_it_is_cut() {
    let rig = need!(alone(), "redis-server");
    let script = [
        "SET a 1",
        "CLIENT REPLY OFF",
        "INCR a",
        "ECHO no",
        "GET",
        "MGET a b",
        "CLIENT REPLY ON",
        "GET a",
        "CLIENT REPLY SKIP",
        "INCR a",
        "INCR a",
        "CLIENT REPLY SKIP",
        "ECHO no",
        "ECHO yes",
        "LPUSH a x",
        "",
    ]
    .join("\r\n");
    for cut in 1..script.len() {
        let said = assert_same(&rig, &rig.servers[0], &script, cut);
        let expected = "+OK\r\n+OK\r\n$1\r\n2\r\n:4\r\n$3\r\nyes\r\n-WRONGTYPE";
        assert!(said.starts_with(expected), "{said}");
    }
}

/// Requests that a server and the proxy in front of it answer equally, and blank ones.
const ALIKE: &[&str] = &[
    "CLIENT REPLY ON",
    "CLIENT REPLY OFF",
    "CLIENT REPLY OFF",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY SKIP",
    "client reply skip",
    "CLIENT REPLY maybe",
    "CLIENT REPLY",
    "CLIENT SETNAME me",
    "CLIENT GETNAME",
    "RESET",
    "PING",
    "ECHO hello",
    "SELECT 0",
    "SELECT x",
    "EXEC",
    "DISCARD",
    "UNWATCH",
    "MULTI x",
    "GET a",
    "SET a 1",
    "INCR a",
    "INCR b",
    "APPEND b x",
    "LPUSH list x",
    "MGET a b list",
    "MSET a 1 b 2",
    "DEL a b",
    "EXISTS a b a",
    "SINTER a b",
    "GET",
    "FLUSHALL",
    "",
    "*0",
];

#[test]
fn with_client_reply_scripts_are_answered_as_a_server_answers_them() {
    let rig = need!(alone(), "redis-server");
    assert_same_scripts(
        &rig,
        7,
        ALIKE,
        "CLIENT REPLY ON\r\nECHO end\r\n",
        "+OK\r\n$3\r\nend\r\n",
    );
}

#[test]
fn what_a_memcached_client_does_not_hear_is_logged() {
    let rig = need!(Rig::memcached(1, &[]), "memcached");
    let mut client = rig.client();
    client.send(b"set k 0 0 1\r\nv\r\n");
    assert_eq!(text(&client.line()), "STORED\r\n");
    client.send(b"flush_all noreply\r\n");
    assert_eq!(
        memcached_ask(&mut client, "delete none\r\n"),
        "NOT_FOUND\r\n"
    );
    let line =
        "a request that wants no reply was refused or lost: CLIENT_ERROR flush_all not allowed";
    wait_for("it is logged", || rig.proxy.stderr().contains(line));
    for _ in 0..100 {
        client.send(b"flush_all noreply\r\n");
    }
    assert_eq!(
        memcached_ask(&mut client, "delete none\r\n"),
        "NOT_FOUND\r\n"
    );
    let told = rig.proxy.stderr().matches("wants no reply").count();
    assert_eq!(told, 1, "once in a while");
    client.send(b"get k\r\n");
    assert_eq!(
        text(&client.until(b"END\r\n")),
        "VALUE k 0 1\r\nv\r\nEND\r\n"
    );
}

#[test]
fn a_value_too_large_for_its_server_is_logged_where_no_reply_is_wanted() {
    let rig = need!(Rig::memcached(1, &[]), "memcached");
    let mut client = rig.client();
    let large = 2 << 20;
    client.send(format!("set large 0 0 {large} noreply\r\n").as_bytes());
    client.send(&vec![b'x'; large]);
    client.send(b"\r\n");
    assert_eq!(
        memcached_ask(&mut client, "delete none\r\n"),
        "NOT_FOUND\r\n"
    );
    let line = "was refused or lost: server 's0' answered SERVER_ERROR object too large for cache";
    wait_for("it is logged", || rig.proxy.stderr().contains(line));
}
