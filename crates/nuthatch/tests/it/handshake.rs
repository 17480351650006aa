//! HELLO, AUTH and the other commands that current clients send first; protocol versions are kept end to end.

use testkit::{Client, Endpoint, free_port};

use crate::fake::{Fake, say};
use crate::need;
use crate::rig::{Rig, redis_front, text, wait_for};

fn guarded() -> Option<Rig> {
    let server = testkit::redis_with(&["--requirepass", "secret"])?;
    Some(Rig::before_redis(
        vec![server],
        &["redis_auth: secret"],
        &[],
    ))
}

#[test]
fn hello_takes_version_password_and_name_in_one() {
    let rig = need!(guarded(), "redis-server");
    for (version, start) in [("3", "%7\r\n"), ("2", "*14\r\n")] {
        let mut client = rig.client();
        let hello = [
            "HELLO", version, "AUTH", "default", "secret", "SETNAME", "me",
        ];
        let greeting = client.ask(&hello);
        assert!(greeting.starts_with(start), "{greeting}");
        let proto = format!("$5\r\nproto\r\n:{version}\r\n");
        assert!(greeting.contains(&proto), "{greeting}");
        assert_eq!(client.ask(&["CLIENT", "GETNAME"]), "$2\r\nme\r\n");
        assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
        assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n");
    }
}

#[test]
fn without_the_password_nothing_is_served() {
    const NOAUTH: &str = "-NOAUTH Authentication required\r\n";
    let rig = need!(guarded(), "redis-server");
    let mut client = rig.client();
    for request in [
        ["GET", "k"].as_slice(),
        &["PING"],
        &["MGET", "a", "b"],
        &["SELECT", "0"],
    ] {
        assert_eq!(client.ask(request), NOAUTH, "{request:?}");
    }
    assert!(
        client
            .ask(&["HELLO", "3"])
            .starts_with("-NOAUTH HELLO must be called")
    );
    assert!(
        client
            .ask(&["HELLO", "3", "AUTH", "default", "wrong"])
            .starts_with("-WRONGPASS ")
    );
    assert!(
        client
            .ask(&["AUTH", "someone", "secret"])
            .starts_with("-WRONGPASS ")
    );
    assert_eq!(client.ask(&["AUTH", "wrong"]), "-ERR invalid password\r\n");
    assert_eq!(client.ask(&["GET", "k"]), NOAUTH);
    assert_eq!(client.ask(&["AUTH", "secret"]), "+OK\r\n");
    assert_eq!(client.ask(&["GET", "k"]), "$-1\r\n");
    assert_eq!(client.ask(&["AUTH", "default", "secret"]), "+OK\r\n");
    // A wrong password revokes what the right one granted.
    assert_eq!(client.ask(&["AUTH", ""]), "-ERR invalid password\r\n");
    assert_eq!(client.ask(&["GET", "k"]), NOAUTH);
    assert_eq!(client.ask(&["QUIT"]), "+OK\r\n");
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_password_where_none_is_set_gets_nutcrackers_answer() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let mut client = rig.client();
    let refused = "-ERR Client sent AUTH, but no password is set\r\n";
    assert_eq!(client.ask(&["AUTH", "x"]), refused);
    assert_eq!(client.ask(&["GET", "k"]), "$-1\r\n");
}

#[test]
fn replies_keep_the_types_of_the_clients_version() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let (mut old, mut new) = (rig.client(), rig.client());
    assert!(new.ask(&["HELLO", "3"]).starts_with("%7\r\n"));
    assert_eq!(old.ask(&["HSET", "h", "f", "v"]), ":1\r\n");
    assert_eq!(old.ask(&["ZADD", "z", "1.5", "m"]), ":1\r\n");
    for _ in 0..2 {
        assert_eq!(old.ask(&["HGETALL", "h"]), "*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
        assert_eq!(new.ask(&["HGETALL", "h"]), "%1\r\n$1\r\nf\r\n$1\r\nv\r\n");
        assert_eq!(old.ask(&["ZSCORE", "z", "m"]), "$3\r\n1.5\r\n");
        assert_eq!(new.ask(&["ZSCORE", "z", "m"]), ",1.5\r\n");
        assert_eq!(old.ask(&["GET", "none"]), "$-1\r\n");
        assert_eq!(new.ask(&["GET", "none"]), "_\r\n");
        assert_eq!(
            old.ask(&["MGET", "n1", "n2", "n3"]),
            "*3\r\n$-1\r\n$-1\r\n$-1\r\n"
        );
        assert_eq!(
            new.ask(&["MGET", "n1", "n2", "n3"]),
            "*3\r\n_\r\n_\r\n_\r\n"
        );
    }
    assert!(new.ask(&["HELLO", "2"]).starts_with("*14\r\n"));
    assert_eq!(new.ask(&["HGETALL", "h"]), "*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
}

#[test]
fn server_connections_are_counted_per_version() {
    let rig = need!(Rig::redis(1, &["server_connections: 1"]), "redis-server");
    let mut clients: Vec<_> = (0..6).map(|_| rig.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(&["GET", "k"]), "$-1\r\n");
    }
    assert_eq!(rig.server_stat(0, "server_connections"), 1);
    for client in &mut clients[..3] {
        assert!(client.ask(&["HELLO", "3"]).starts_with('%'));
        assert_eq!(client.ask(&["GET", "k"]), "_\r\n");
    }
    assert_eq!(clients[5].ask(&["GET", "k"]), "$-1\r\n");
    assert_eq!(rig.server_stat(0, "server_connections"), 2);
    assert_eq!(rig.server_stat(0, "server_total"), 2);
}

#[test]
fn a_version_changes_between_two_requests_of_a_pipeline() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let mut client = rig.client();
    for request in [
        ["GET", "none"].as_slice(),
        &["HELLO", "3"],
        &["GET", "none"],
        &["HELLO", "2"],
        &["GET", "none"],
        &["PING"],
    ] {
        let words: Vec<_> = request.iter().map(|word| word.as_bytes()).collect();
        client.command(&words);
    }
    let mut starts = Vec::new();
    for _ in 0..6 {
        let reply = text(&client.reply());
        starts.push(reply.lines().next().expect("a line").to_owned());
    }
    assert_eq!(starts, ["$-1", "%7", "_", "*14", "$-1", "+PONG"]);
}

#[test]
fn resp3_off_refuses_it_and_goes_on() {
    let rig = need!(Rig::redis(1, &["resp3: off"]), "redis-server");
    let mut client = rig.client();
    assert!(client.ask(&["HELLO", "3"]).starts_with("-NOPROTO "));
    assert_eq!(client.ask(&["GET", "none"]), "$-1\r\n");
    assert!(client.ask(&["HELLO", "2"]).starts_with("*14\r\n"));
    assert!(client.ask(&["HELLO"]).starts_with("*14\r\n"));
    assert!(client.ask(&["HELLO", "4"]).starts_with("-NOPROTO "));
    assert!(client.ask(&["HELLO", "x"]).starts_with("-ERR "));
    assert_eq!(rig.server_stat(0, "server_connections"), 1);
}

#[test]
fn servers_too_old_for_hello_make_it_noproto() {
    let old = Fake::redis(|command| match command[0].as_str() {
        "HELLO" => say("-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n"),
        _ => say("$1\r\nv\r\n"),
    });
    let (_proxy, port) = redis_front(&[old.endpoint()], &[]);
    let mut client = Client::to_port(port);
    assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n");
    assert!(client.ask(&["HELLO", "3"]).starts_with("-NOPROTO "));
    assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n");
    assert!(client.ask(&["HELLO", "2"]).starts_with("*14\r\n"));
}

#[test]
fn neither_passwords_nor_control_characters_of_a_server_reach_the_log() {
    let odd = Fake::redis(|command| match command[0].as_str() {
        "AUTH" => say(&format!(
            "-ERR unknown command 'AUTH', with args beginning with: '{}'\r\n",
            command[1]
        )),
        "SELECT" => say("-BUSY \u{1b}]0;owned\u{7}\0\u{7f}\u{9b}\r\n"),
        _ => say("+OK\r\n"),
    });
    let lines = [
        "redis_auth: hunter2",
        "redis_db: 3",
        "redis_db_fixed: true",
        "error_detail: true",
    ];
    let (proxy, port) = redis_front(&[odd.endpoint()], &lines);
    let mut client = Client::to_port(port);
    assert_eq!(client.ask(&["AUTH", "hunter2"]), "+OK\r\n");
    assert!(client.ask(&["GET", "k"]).starts_with("-BUSY "));
    let logged = r"the server refused SELECT: BUSY \x1b]0;owned\x07\x00\x7f\x9b";
    wait_for("it is logged", || proxy.stderr().contains(logged));
    let log = proxy.stderr();
    assert!(log.contains("AUTH failed on"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
    let is_raw = |c: char| c.is_control() && c != '\n';
    assert!(!log.contains(is_raw), "{log:?}");
}

#[test]
fn one_unreachable_server_does_not_keep_clients_from_resp3() {
    let server = need!(testkit::redis(), "redis-server");
    let nobody = Endpoint::loopback(free_port());
    let (_proxy, port) = redis_front(&[server.endpoint(), &nobody], &[]);
    let mut client = Client::to_port(port);
    assert!(client.ask(&["HELLO", "3"]).starts_with("%7\r\n"));

    let (_proxy, port) = redis_front(&[&nobody], &[]);
    let mut client = Client::to_port(port);
    assert!(
        client
            .ask(&["HELLO", "3"])
            .starts_with("-ERR Connection refused")
    );
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
}

#[test]
fn the_small_talk_of_client_libraries_is_answered() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let mut client = rig.client();
    for (request, reply) in [
        (["CLIENT", "SETINFO", "LIB-NAME", "x"].as_slice(), "+OK\r\n"),
        (&["CLIENT", "SETINFO", "lib-ver", "1.2"], "+OK\r\n"),
        (&["CLIENT", "SETNAME", "me"], "+OK\r\n"),
        (&["client", "getname"], "$2\r\nme\r\n"),
        (&["SELECT", "0"], "+OK\r\n"),
        (&["ECHO", "hello"], "$5\r\nhello\r\n"),
        (&["PING"], "+PONG\r\n"),
        (&["PING", "hello"], "$5\r\nhello\r\n"),
    ] {
        assert_eq!(client.ask(request), reply, "{request:?}");
    }
    assert!(client.ask(&["CLIENT", "ID"]).starts_with(':'));
    assert!(client.ask(&["SELECT", "1"]).starts_with("-ERR "));
    assert_eq!(client.ask(&["SELECT", "0"]), "+OK\r\n");
    assert!(client.ask(&["INFO"]).contains("redis_version:"));
    assert!(client.ask(&["COMMAND", "COUNT"]).starts_with(':'));
    assert!(client.ask(&["COMMAND"]).contains("$3\r\nget\r\n:2\r\n"));
    assert!(client.ask(&["COMMAND", "DOCS"]).contains("summary\r\n"));
    client.send(b"PING\r\nSET inline \"two words\"\r\n\r\nGET inline\r\n");
    assert_eq!(text(&client.reply()), "+PONG\r\n");
    assert_eq!(text(&client.reply()), "+OK\r\n");
    assert_eq!(text(&client.reply()), "$9\r\ntwo words\r\n");
}

#[test]
fn clients_are_told_the_lowest_version_of_the_servers() {
    let server = need!(testkit::redis(), "redis-server");
    let mut direct = Client::connect(server.endpoint());
    let version = version_in(&direct.ask(&["INFO", "server"]));
    let older = Fake::redis(|command| match command[0].as_str() {
        "INFO" => say("$22\r\nredis_version:5.0.14\r\n\r\n"),
        _ => say("$1\r\nv\r\n"),
    });
    let both = [server.endpoint(), older.endpoint()];
    for (servers, expected) in [(&both[..1], version.as_str()), (&both, "5.0.14")] {
        let (_proxy, port) = redis_front(servers, &["redis_version: 9.8.7"]);
        let mut client = Client::to_port(port);
        assert_eq!(version_in(&client.ask(&["INFO"])), "9.8.7");
        // Some of the keys belong to each server.
        for number in 0..32 {
            client.ask(&["GET", &format!("k{number}")]);
        }
        wait_for("the version is known", || {
            version_in(&client.ask(&["INFO", "server"])) == expected
        });
        let greeting = client.ask(&["HELLO", "2"]);
        let field = format!("$7\r\nversion\r\n${}\r\n{expected}\r\n", expected.len());
        assert!(greeting.contains(&field), "{greeting}");
    }
}

/// What a reply to INFO says of the version.
fn version_in(info: &str) -> String {
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"));
    line.unwrap_or_else(|| panic!("{info}")).to_owned()
}

#[test]
fn a_server_that_answers_no_hello_does_not_hold_its_client_for_ever() {
    let fake = Fake::redis(|command| match command[0].as_str() {
        "HELLO" => say(""),
        _ => say("$1\r\nv\r\n"),
    });
    let (_proxy, port) = redis_front(&[fake.endpoint()], &["timeout: 300"]);
    let mut client = Client::to_port(port);
    let refused = client.ask(&["HELLO", "3"]);
    assert!(refused.starts_with('-'), "{refused}");
    assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n");
    wait_for("the mute connection is closed", || fake.heard().len() >= 2);
}
