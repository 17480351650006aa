//! Errors of the servers reach the client unchanged and close no connection.

use testkit::{Client, free_port};

use crate::fake::{Fake, say};
use crate::need;
use crate::rig::{Rig, redis_front, text, wait_for};

#[test]
fn out_of_memory_is_passed_on_and_the_connection_kept() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    let opened = rig.server_stat(1, "server_total");
    let mut direct = rig.servers[1].client();
    assert_eq!(direct.ask(&["CONFIG", "SET", "maxmemory", "1"]), "+OK\r\n");
    let full = direct.ask(&["SET", &keys[1], "x"]);
    assert!(full.starts_with("-OOM "), "{full}");
    assert_eq!(client.ask(&["SET", &keys[1], "x"]), full);
    assert_eq!(client.ask(&["GET", &keys[1]]), "$1\r\nv\r\n");
    assert_eq!(client.ask(&["MSET", &keys[0], "1", &keys[1], "2"]), full);
    assert_eq!(direct.ask(&["CONFIG", "SET", "maxmemory", "0"]), "+OK\r\n");
    assert_eq!(client.ask(&["SET", &keys[1], "x"]), "+OK\r\n");
    assert_eq!(rig.server_stat(1, "server_total"), opened);
    assert_eq!(rig.pool_stat("forward_error"), 0);
}

#[test]
fn a_read_only_replica_says_so() {
    let nobody = free_port().to_string();
    let server = testkit::redis_with(&["--replicaof", "127.0.0.1", &nobody]);
    let server = need!(server, "redis-server");
    let direct = server.client().ask(&["SET", "k", "v"]);
    assert!(direct.starts_with("-READONLY "), "{direct}");
    let rig = Rig::before_redis(vec![server], &[], &[]);
    let mut client = rig.client();
    for _ in 0..3 {
        assert_eq!(client.ask(&["SET", "k", "v"]), direct);
        assert_eq!(client.ask(&["GET", "k"]), "$-1\r\n");
    }
    assert_eq!(rig.server_stat(0, "server_total"), 1);
}

#[test]
fn a_server_busy_with_a_script_says_so() {
    let server = testkit::redis_with(&["--lua-time-limit", "20"]);
    let rig = Rig::before_redis(vec![need!(server, "redis-server")], &[], &[]);
    let mut client = rig.client();
    assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
    let mut script = rig.servers[0].client();
    script.command(&[b"EVAL", b"while true do end", b"0"]);
    wait_for("the server is busy", || {
        client.ask(&["GET", "k"]).starts_with("-BUSY ")
    });
    assert_eq!(rig.servers[0].client().ask(&["SCRIPT", "KILL"]), "+OK\r\n");
    assert!(text(&script.reply()).starts_with("-ERR"));
    assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n");
    assert_eq!(rig.server_stat(0, "server_total"), 1);
}

#[test]
fn loading_moved_and_unheard_of_errors_are_passed_on() {
    let fake = Fake::redis(|command| match command[0].as_str() {
        "GET" => say(&format!("-{}\r\n", command[1])),
        _ => say("+OK\r\n"),
    });
    let (_proxy, port) = redis_front(&[fake.endpoint()], &["ask_version: false"]);
    let mut client = Client::to_port(port);
    for error in [
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down",
        "MOVED 3999 127.0.0.1:6381",
        "BUSYKEY Target key name already exists.",
        "SOMETHING never heard of",
        "nocode",
    ] {
        assert_eq!(client.ask(&["GET", error]), format!("-{error}\r\n"));
    }
    assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
    assert!(fake.heard().iter().all(|(connection, _)| *connection == 0));
}

#[test]
fn a_wrong_type_in_one_fragment_is_the_answer_of_the_whole() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let mut client = rig.client();
    assert_eq!(client.ask(&["LPUSH", "list", "x"]), ":1\r\n");
    let wrong = client.ask(&["INCR", "list"]);
    assert!(wrong.starts_with("-WRONGTYPE "), "{wrong}");
    // MGET has no such error: the value is null.
    assert_eq!(
        client.ask(&["MGET", "list", "none"]),
        "*2\r\n$-1\r\n$-1\r\n"
    );
}

#[test]
fn a_server_that_breaks_the_protocol_costs_its_connection_and_says_invalid_argument() {
    let fake = Fake::redis(|command| match command[1].as_str() {
        "odd" => say("hello there\r\n"),
        _ => say("$1\r\nv\r\n"),
    });
    let (_proxy, port) = redis_front(&[fake.endpoint()], &["ask_version: false"]);
    let mut client = Client::to_port(port);
    assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n");
    assert_eq!(client.ask(&["GET", "odd"]), "-ERR Invalid argument\r\n");
    assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n");
    assert_eq!(
        fake.heard().last().map(|(connection, _)| *connection),
        Some(1)
    );
}

#[test]
fn odd_answers_to_the_fragments_of_an_mget_are_invalid_arguments() {
    for odd in [
        "*-1\r\n",
        "+OK\r\n",
        ":1\r\n",
        "*1\r\n$1\r\nx\r\n",
        "*3\r\n:1\r\n:2\r\n:3\r\n",
    ] {
        let fake = Fake::redis(move |command| match command[0].as_str() {
            "MGET" => say(odd),
            _ => say("$1\r\nv\r\n"),
        });
        let (_proxy, port) = redis_front(&[fake.endpoint()], &[]);
        let mut client = Client::to_port(port);
        assert_eq!(
            client.ask(&["MGET", "a", "b"]),
            "-ERR Invalid argument\r\n",
            "{odd:?}"
        );
        assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n", "{odd:?}");
    }
}

#[test]
fn what_a_script_returns_ejects_no_server() {
    let lines = ["auto_eject_hosts: true", "server_failure_limit: 1"];
    let rig = need!(Rig::redis(2, &lines), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    for error in ["OOM mine", "BUSY mine", "LOADING mine"] {
        let script = format!("return redis.error_reply('{error}')");
        let reply = client.ask(&["EVAL", &script, "1", &keys[1]]);
        assert!(reply.starts_with(&format!("-{error}")), "{reply}");
    }
    assert_eq!(client.ask(&["GET", &keys[1]]), "$1\r\nv\r\n");
    assert_eq!(rig.pool_stat("server_ejects"), 0);
}

#[test]
fn a_consumer_may_ask_for_its_past_with_block() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let mut client = rig.client();
    let made = client.ask(&["XGROUP", "CREATE", "stream", "g", "$", "MKSTREAM"]);
    assert_eq!(made, "+OK\r\n");
    let read = |id| {
        [
            "XREADGROUP",
            "GROUP",
            "g",
            "c",
            "BLOCK",
            "0",
            "STREAMS",
            "stream",
            id,
        ]
    };
    let past = "*1\r\n*2\r\n$6\r\nstream\r\n*0\r\n";
    assert_eq!(client.ask(&read("0")), past);
}
