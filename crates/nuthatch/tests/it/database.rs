//! `redis_auth` and `redis_db`: what servers are sent, in which order, and where the data is.

use std::fs;

use tempfile::TempDir;
use testkit::{Client, Endpoint, Server};

use crate::fake::{Fake, say};
use crate::need;
use crate::rig::{BIN, Rig, pool, redis_front, wait_for};
use crate::tool;

/// Whether database `db` of `server` has the key `k`.
fn has_k(server: &Server, password: Option<&str>, db: &str) -> bool {
    let mut client = server.client();
    if let Some(password) = password {
        assert_eq!(client.ask(&["AUTH", password]), "+OK\r\n");
    }
    assert_eq!(client.ask(&["SELECT", db]), "+OK\r\n");
    client.ask(&["EXISTS", "k"]) == ":1\r\n"
}

fn store_k(rig: &Rig, password: Option<&str>) {
    let mut client = rig.client();
    if let Some(password) = password {
        assert_eq!(client.ask(&["AUTH", password]), "+OK\r\n");
    }
    assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
}

/// The output of `-t` for a pool with this server.
fn verdict(server: &Server, lines: &[&str]) -> String {
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("c.yml");
    let lines = [&["redis: true"], lines].concat();
    let conf = pool("pool", "127.0.0.1:22121", &[server.endpoint()], &lines);
    fs::write(&file, conf).expect("the folder can be written");
    let mut command = std::process::Command::new(BIN);
    command.arg("-c").arg(&file);
    let done = tool::run(command, &["-t"]);
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    done.stderr
}

#[test]
fn redis_db_selects_the_database_of_tcp_servers() {
    let rig = need!(Rig::redis(1, &["redis_db: 3"]), "redis-server");
    store_k(&rig, None);
    assert!(has_k(&rig.servers[0], None, "3"));
    assert!(!has_k(&rig.servers[0], None, "0"));
    assert!(!verdict(&rig.servers[0], &["redis_db: 3"]).contains("redis_db_fixed"));
}

#[test]
fn with_a_password_the_data_stays_in_database_0_until_told_otherwise() {
    let start = || testkit::redis_with(&["--requirepass", "secret"]);
    let lines = ["redis_auth: secret", "redis_db: 3"];
    let rig = Rig::before_redis(vec![need!(start(), "redis-server")], &lines, &[]);
    store_k(&rig, Some("secret"));
    assert!(has_k(&rig.servers[0], Some("secret"), "0"));
    assert!(!has_k(&rig.servers[0], Some("secret"), "3"));
    let log = rig.proxy.stderr();
    assert!(log.contains("redis_db_fixed"), "{log}");
    assert!(verdict(&rig.servers[0], &lines).contains("redis_db_fixed"));

    let fixed = [lines.as_slice(), &["redis_db_fixed: true"]].concat();
    let rig = Rig::before_redis(vec![need!(start(), "redis-server")], &fixed, &[]);
    store_k(&rig, Some("secret"));
    assert!(has_k(&rig.servers[0], Some("secret"), "3"));
    assert!(!has_k(&rig.servers[0], Some("secret"), "0"));
    assert!(!verdict(&rig.servers[0], &fixed).contains("redis_db_fixed"));
}

#[test]
fn over_unix_sockets_the_data_stays_in_database_0_until_told_otherwise() {
    for (lines, db) in [
        (["redis_db: 3"].as_slice(), "0"),
        (&["redis_db: 3", "redis_db_fixed: true"], "3"),
    ] {
        let server = need!(testkit::redis_unix(&[]), "redis-server");
        let rig = Rig::before_redis(vec![server], lines, &[]);
        store_k(&rig, None);
        assert!(has_k(&rig.servers[0], None, db));
        assert_eq!(
            verdict(&rig.servers[0], lines).contains("redis_db_fixed"),
            db == "0"
        );
    }
}

#[test]
fn a_server_hears_auth_then_hello_then_select_then_requests() {
    let script = |command: &[String]| match command[0].as_str() {
        "HELLO" => say("%1\r\n+proto\r\n:3\r\n"),
        _ => say("+OK\r\n"),
    };
    for (version, expected) in [
        ("2", ["AUTH", "SELECT", "GET"].as_slice()),
        ("3", &["AUTH", "HELLO", "SELECT", "GET"]),
    ] {
        let fake = Fake::redis(script);
        let lines = ["redis_auth: secret", "redis_db: 3", "redis_db_fixed: true"];
        let (_proxy, port) = redis_front(&[fake.endpoint()], &lines);
        let mut client = Client::to_port(port);
        client.ask(&["HELLO", version, "AUTH", "default", "secret"]);
        assert_eq!(client.ask(&["GET", "k"]), "+OK\r\n");
        assert_eq!(fake.names_on(0), expected);
        let heard = fake.heard();
        assert_eq!(heard[0].1, ["AUTH", "secret"]);
        let select = heard.iter().find(|(_, command)| command[0] == "SELECT");
        assert_eq!(select.expect("it was heard").1, ["SELECT", "3"]);
    }
}

#[test]
fn requests_wait_for_the_last_reply_of_the_handshake() {
    let fake = Fake::redis(|command| match command[0].as_str() {
        "AUTH" | "SELECT" => {
            std::thread::sleep(std::time::Duration::from_millis(50));
            say("+OK\r\n")
        }
        _ => say("$1\r\nv\r\n"),
    });
    let lines = ["redis_auth: secret", "redis_db: 3", "redis_db_fixed: true"];
    let (_proxy, port) = redis_front(&[fake.endpoint()], &lines);
    let mut client = Client::to_port(port);
    assert_eq!(client.ask(&["AUTH", "secret"]), "+OK\r\n");
    for _ in 0..5 {
        client.command(&[b"GET", b"k"]);
    }
    for _ in 0..5 {
        assert_eq!(client.reply(), b"$1\r\nv\r\n");
    }
    assert_eq!(fake.names_on(0)[..3], ["AUTH", "SELECT", "GET"]);
}

#[test]
fn a_refused_select_is_logged_and_database_0_used() {
    let rig = need!(Rig::redis(1, &["redis_db: 99"]), "redis-server");
    store_k(&rig, None);
    assert!(has_k(&rig.servers[0], None, "0"));
    wait_for("it is logged", || rig.proxy.stderr().contains("SELECT"));
    let log = rig.proxy.stderr();
    assert!(log.contains("DB index is out of range"), "{log}");
}

#[test]
fn a_password_that_the_server_refuses_is_told_and_tried_again() {
    let server = testkit::redis_with(&["--requirepass", "other"]);
    let server = need!(server, "redis-server");
    let rig = Rig::before_redis(vec![server], &["redis_auth: secret"], &[]);
    let mut client = rig.client();
    assert_eq!(client.ask(&["AUTH", "secret"]), "+OK\r\n");
    assert_eq!(
        client.ask(&["GET", "k"]),
        "-WRONGPASS the server refused the password of the pool\r\n"
    );
    let mut admin = rig.servers[0].client();
    assert_eq!(admin.ask(&["AUTH", "other"]), "+OK\r\n");
    let corrected = ["CONFIG", "SET", "requirepass", "secret"];
    assert_eq!(admin.ask(&corrected), "+OK\r\n");
    wait_for("the corrected password is used", || {
        client.ask(&["GET", "k"]) == "$-1\r\n"
    });
}

/// A server that is busy with a script while the proxy connects.
#[test]
fn a_busy_server_gets_nothing_into_database_0_and_is_used_again_when_it_is_not() {
    let server = need!(
        testkit::redis_with(&["--lua-time-limit", "20"]),
        "redis-server"
    );
    let rig = Rig::before_redis(vec![server], &["redis_db: 3"], &[]);
    let mut script = rig.servers[0].client();
    script.command(&[b"EVAL", b"while true do end", b"0"]);
    let mut admin = rig.servers[0].client();
    wait_for("the script counts as slow", || {
        admin.ask(&["GET", "k"]).starts_with("-BUSY ")
    });
    let keys: Vec<String> = (0..16).map(|number| format!("k{number}")).collect();
    let mut client = rig.client();
    for key in &keys {
        let reply = client.ask(&["SET", key, "v"]);
        assert!(reply.starts_with("-BUSY "), "{reply}");
    }
    wait_for("it is logged", || {
        let log = rig.proxy.stderr();
        log.contains("the server refused SELECT: BUSY")
    });
    assert_eq!(admin.ask(&["SCRIPT", "KILL"]), "+OK\r\n");
    wait_for("the server is used again", || {
        client.ask(&["SET", &keys[0], "v"]) == "+OK\r\n"
    });
    for key in &keys {
        assert_eq!(client.ask(&["SET", key, "v"]), "+OK\r\n");
    }
    let mut count = |db: &str| {
        assert_eq!(admin.ask(&["SELECT", db]), "+OK\r\n");
        admin.ask(&["DBSIZE"])
    };
    assert_eq!([count("0"), count("3")], [":0\r\n", ":16\r\n"]);
}

#[test]
fn a_server_with_too_many_clients_says_so() {
    let server = need!(testkit::redis_with(&["--maxclients", "1"]), "redis-server");
    let rig = Rig::before_redis(vec![server], &[], &[]);
    let direct = rig.servers[0].client();
    let mut client = rig.client();
    wait_for("the only place is taken", || {
        client.ask(&["GET", "k"]) == "-ERR max number of clients reached\r\n"
    });
    drop(direct);
    wait_for("there is a place again", || {
        client.ask(&["GET", "k"]) == "$-1\r\n"
    });
}

#[test]
fn a_server_without_password_works_behind_a_pool_that_has_one() {
    let rig = need!(Rig::redis(1, &["redis_auth: secret"]), "redis-server");
    store_k(&rig, Some("secret"));
    assert!(has_k(&rig.servers[0], None, "0"));
}

#[test]
fn a_pool_of_both_kinds_of_servers_has_a_database_for_each() {
    let (tcp, unix) = (testkit::redis(), testkit::redis_unix(&[]));
    let (tcp, unix) = (need!(tcp, "redis-server"), need!(unix, "redis-server"));
    let rig = Rig::before_redis(vec![tcp, unix], &["redis_db: 2"], &[]);
    let mut client = rig.client();
    for number in 0..50 {
        assert_eq!(client.ask(&["SET", &format!("k{number}"), "v"]), "+OK\r\n");
    }
    let sizes = |server: &Endpoint| {
        let mut client = Client::connect(server);
        ["0", "2"].map(|db| {
            assert_eq!(client.ask(&["SELECT", db]), "+OK\r\n");
            client.ask(&["DBSIZE"]) != ":0\r\n"
        })
    };
    assert_eq!(sizes(rig.servers[0].endpoint()), [false, true]);
    assert_eq!(sizes(rig.servers[1].endpoint()), [true, false]);
}
