//! What is told of a key, and what becomes of it: `nuthatch explain`, `nuthatch ctl explain` and the admin page.

use std::process::Command;

use serde_json::Value;
use testkit::free_port;

use crate::admin::ask;
use crate::need;
use crate::rig::{BIN, Rig, wait_for};
use crate::tool::{Done, run};

const SOCKET: &str = "--control=control.sock";

fn ctl(rig: &Rig, args: &[&str]) -> Done {
    let mut command = Command::new(BIN);
    command.arg("ctl").arg("--control");
    command.arg(rig.proxy.dir().join("control.sock"));
    run(command, args)
}

/// What the running proxy says of a key of `pool`.
fn told(rig: &Rig, args: &[&str]) -> Value {
    let said = ctl(rig, &[&["explain", "--json"], args].concat()).success();
    let all: Value = serde_json::from_str(&said).expect("JSON");
    all[0].clone()
}

/// What is said of the configuration file.
fn idle(rig: &Rig, args: &[&str]) -> Value {
    let mut command = Command::new(BIN);
    command
        .args(["explain", "--json", "-c"])
        .arg(rig.proxy.conf());
    let all: Value = serde_json::from_str(&run(command, args).success()).expect("JSON");
    all[0].clone()
}

/// The index in the name of a server.
fn index(server: &Value) -> usize {
    let name = server.as_str().expect("a name");
    name.trim_start_matches('s').parse().expect("a number")
}

#[test]
fn a_key_goes_where_it_was_said_when_its_server_dies() {
    let lines = [
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 60000",
    ];
    let mut rig = need!(Rig::redis_with(3, &lines, &[SOCKET]), "redis-server");
    let keys = rig.keys();
    for (server, key) in keys.iter().enumerate() {
        let (told, idle) = (told(&rig, &[key]), idle(&rig, &[key]));
        assert_eq!(index(&told["server"]), server);
        assert_eq!(index(&told["now"]["server"]), server);
        assert_eq!(told["state"]["state"], "live");
        assert!(told["state"]["connections"].as_u64() >= Some(1), "{told}");
        for same in ["server", "hash", "point", "position", "positions"] {
            assert_eq!(told[same], idle[same], "{same}");
        }
        assert_eq!(told["if_ejected"]["server"], idle["if_ejected"]["server"]);
    }
    let next = index(&told(&rig, &[&keys[0]])["if_ejected"]["server"]);
    assert_ne!(next, 0);
    rig.servers[0].kill();
    let mut client = rig.client();
    wait_for("the server is ejected", || {
        client.ask(&["GET", &keys[0]]);
        told(&rig, &[&keys[0]])["state"]["state"] == "ejected"
    });
    let now = told(&rig, &[&keys[0]]);
    assert_eq!(
        (index(&now["server"]), index(&now["now"]["server"])),
        (0, next)
    );
    assert_eq!(client.ask(&["SET", &keys[0], "moved"]), "+OK\r\n");
    let moved = rig.servers[next].client().ask(&["GET", &keys[0]]);
    assert_eq!(moved, "$5\r\nmoved\r\n");
    let text = ctl(&rig, &["explain", "--pool", "pool", &keys[0]]).success();
    let ejected = "\n  state   ejected (probed in ";
    assert!(
        text.contains(ejected) && text.contains(&format!("\n  now     s{next} (")),
        "{text}"
    );

    // With that one drained, too, the last one gets it.
    ctl(&rig, &["drain", &format!("s{next}")]).success();
    let last = told(&rig, &[&keys[0]]);
    let other = index(&last["now"]["server"]);
    assert!(other != 0 && other != next, "{last}");
    assert_eq!(last["if_ejected"]["to"], "error");
    assert_eq!(client.ask(&["SET", &keys[0], "again"]), "+OK\r\n");
    let again = rig.servers[other].client().ask(&["GET", &keys[0]]);
    assert_eq!(again, "$5\r\nagain\r\n");
}

#[test]
fn keys_are_of_any_bytes() {
    let rig = need!(Rig::redis_with(3, &[], &[SOCKET]), "redis-server");
    let told = told(&rig, &["--escapes", r"a\x00\xff\r\n"]);
    assert_eq!(told["key_hex"], "6100ff0d0a");
    assert_eq!(
        told["server"],
        idle(&rig, &["-e", r"a\x00\xff\r\n"])["server"]
    );
    let mut client = rig.client();
    client.send(b"*3\r\n$3\r\nSET\r\n$5\r\na\0\xff\r\n\r\n$1\r\nv\r\n");
    assert_eq!(client.line(), b"+OK\r\n");
    let mut direct = rig.servers[index(&told["server"])].client();
    assert_eq!(direct.ask(&["DBSIZE"]), ":1\r\n");

    let wrong = ctl(&rig, &["explain", "-e", r"a\q"]);
    assert_eq!(wrong.status, Some(2), "{}", wrong.output());
    assert!(
        wrong.stderr.contains(r"'\q' is no escape"),
        "{}",
        wrong.stderr
    );
    let wrong = ctl(&rig, &["explain", "--pool", "pol", "a"]);
    assert_eq!(wrong.status, Some(1), "{}", wrong.output());
    let reason = "there is no pool 'pol'; is 'pool' meant?";
    assert!(wrong.stderr.contains(reason), "{}", wrong.stderr);
    let long = "a".repeat(100 << 10);
    let wrong = ctl(&rig, &["explain", &long]);
    assert_eq!(wrong.status, Some(1), "{}", wrong.output());
    assert!(
        wrong.stderr.contains("longer than 65536 bytes"),
        "{}",
        wrong.stderr
    );
    // What it is told of does not reach the terminal as it is.
    let text = ctl(&rig, &["explain", "\u{1b}[2J\u{9b}"]).success();
    assert!(
        text.starts_with("pool pool, key \\x1b[2J\\xc2\\x9b\n"),
        "{text}"
    );
}

#[test]
fn the_admin_page_says_the_same_to_those_who_have_the_token() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("token");
    std::fs::write(&file, "open sesame").expect("the file");
    let (port, token) = (
        free_port(),
        format!("--admin-token-file={}", file.display()),
    );
    let admin = format!("--admin=127.0.0.1:{port}");
    let args = [SOCKET, &admin, &token];
    let rig = need!(Rig::redis_with(2, &[], &args), "redis-server");
    assert_eq!(ask(port, "/explain?pool=pool&key=a", &[]).status(), 401);
    let page = |query: &str| {
        ask(
            port,
            &format!("/explain{query}"),
            &["Authorization: Bearer open sesame"],
        )
    };
    for query in [
        "?pool=pool&key=a%00b%ff",
        "?key=a%5Cx00b%5CxfF&escapes=true",
    ] {
        let answer = page(query);
        assert_eq!(answer.status(), 200, "{}", answer.body);
        let mut json: Value = serde_json::from_str(&answer.body).expect("JSON");
        let text = json["text"].take();
        let text = text.as_str().expect("lines");
        assert!(
            text.starts_with("pool pool, key a\\x00b\\xff\n  hashed"),
            "{text}"
        );
        let told = told(&rig, &["--escapes", r"a\x00b\xff"]);
        for same in ["key_hex", "server", "hash", "point", "now", "if_ejected"] {
            assert_eq!(json[same], told[same], "{same}");
        }
    }
    for (query, reason) in [
        ("", "key= is missing"),
        ("?pool=other&key=a", "there is no such pool"),
        ("?key=%5Cq&escapes=true", "is no escape"),
        ("?kex=a", "the query has"),
    ] {
        let answer = page(query);
        assert_eq!(answer.status(), 400, "{query}");
        assert!(answer.body.contains(reason), "{}", answer.body);
    }
}
