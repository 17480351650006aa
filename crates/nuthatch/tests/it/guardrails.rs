//! Guardrails before real servers, and changed while clients are served.

use std::path::Path;
use std::process::Command;

use crate::need;
use crate::rig::{BIN, Rig, memcached_ask, text};

/// What `nuthatch ctl` says.
fn ctl(socket: &Path, args: &[&str]) -> String {
    let mut command = Command::new(BIN);
    command.args(["ctl", "--control"]).arg(socket).args(args);
    let output = command.output().expect("the program can be run");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn what_is_refused_never_reaches_a_redis_server() {
    let lines = [
        "allow_flush: true",
        "guardrails:",
        "  - {deny: [FLUSHALL, 'config|get']}",
        "  - {prefix: 'user:', deny: [del], max_value: 1k}",
    ];
    let rig = need!(Rig::redis(2, &lines), "redis-server");
    let mut client = rig.client();
    let keys = rig.keys();
    assert_eq!(client.ask(&["SET", "user:1", "here"]), "+OK\r\n");
    let denied = client.ask(&["FLUSHALL"]);
    assert_eq!(denied, "-NOPERM 'flushall' is denied (guardrails)\r\n");
    let denied = client.ask(&["DEL", &keys[0], &keys[1], "user:1"]);
    let of_user = "for keys that begin with 'user:' (guardrails)\r\n";
    assert_eq!(denied, format!("-NOPERM 'del' is denied {of_user}"));
    let large = "x".repeat(100_000);
    let refused = client.ask(&["MSET", &keys[0], "new", "user:1", &large]);
    assert_eq!(
        refused,
        format!("-ERR 'mset' has a value of more than 1024 bytes {of_user}")
    );
    assert_eq!(client.ask(&["GET", "user:1"]), "$4\r\nhere\r\n");
    assert_eq!(client.ask(&["GET", &keys[0]]), "$1\r\nv\r\n");
    assert_eq!(client.ask(&["DEL", &keys[0], &keys[1]]), ":2\r\n");
    for (name, count) in [("guard_denied", 2), ("guard_value", 1), ("guard_rate", 0)] {
        assert_eq!(rig.pool_stat(name), count, "{name}");
    }
    let log = rig.proxy.stderr();
    assert!(
        log.contains(
            "refused a request: 'flushall' is denied (guardrails) (pool 'pool', client 127.0.0.1:"
        ),
        "{log}"
    );
}

#[test]
fn blocks_of_refused_memcached_requests_are_swallowed() {
    let lines = [
        "guardrails:",
        "  - {prefix: 'user:', deny: [delete], max_value: 4}",
    ];
    let rig = need!(Rig::memcached(2, &lines), "memcached");
    let mut client = rig.client();
    let ask = |client: &mut _, request: &str| memcached_ask(client, request);
    assert_eq!(
        ask(&mut client, "set user:1 0 0 4\r\nhere\r\n"),
        "STORED\r\n"
    );
    client.send(b"set user:1 0 0 20 noreply\r\ndelete user:1\r\n12345\r\n");
    let refused = ask(&mut client, "set user:1 0 0 14\r\ndelete user:1x\r\n");
    assert!(
        refused.starts_with("SERVER_ERROR object too large for cache: 'set' has"),
        "{refused}"
    );
    let denied = ask(&mut client, "delete user:1\r\n");
    assert!(
        denied.starts_with("CLIENT_ERROR 'delete' is denied"),
        "{denied}"
    );
    client.send(b"get user:1\r\n");
    assert_eq!(
        text(&client.until(b"END\r\n")),
        "VALUE user:1 0 4\r\nhere\r\nEND\r\n"
    );
    assert_eq!(
        (rig.pool_stat("guard_value"), rig.pool_stat("unheard")),
        (2, 1)
    );
}

#[test]
fn a_reload_changes_them_and_a_dry_run_tells() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("control.sock");
    let path = socket.to_str().expect("its path is text");
    let args = ["--control", path, "--workers", "2"];
    let rig = need!(Rig::redis_with(1, &[], &args), "redis-server");
    let mut clients = [rig.client(), rig.client()];
    for client in &mut clients {
        assert_eq!(client.ask(&["SET", "a:1", "v"]), "+OK\r\n");
    }
    let before = std::fs::read_to_string(rig.proxy.conf()).expect("the file");
    let guardrails = "  guardrails: [{prefix: 'a:', deny: [del], max_rate: 3}]\n";
    let after = before.replace("  redis: true\n", &format!("  redis: true\n{guardrails}"));
    std::fs::write(rig.proxy.conf(), after).expect("the file can be written");
    let change = "guardrails: (not set) -> [prefix a:, deny del, max_rate 3]";
    assert!(ctl(&socket, &["reload", "--dry-run"]).contains(change));
    assert_eq!(clients[0].ask(&["DEL", "none"]), ":0\r\n");
    assert!(ctl(&socket, &["reload"]).contains(change));
    let denied = "-NOPERM 'del' is denied for keys that begin with 'a:' (guardrails)\r\n";
    let mut refused = 0;
    for client in &mut clients {
        assert_eq!(client.ask(&["DEL", "a:1"]), denied);
        let replies = (0..4).map(|_| client.ask(&["GET", "a:1"]));
        let error = "-ERR more than 3 requests per second";
        refused += replies.filter(|reply| reply.starts_with(error)).count();
    }
    // Of eight, however they are spread over the workers; a slow machine may let more pass.
    assert!((2..=5).contains(&refused), "{refused}");
    std::fs::write(rig.proxy.conf(), before).expect("the file can be written");
    ctl(&socket, &["reload"]);
    assert_eq!(clients[0].ask(&["DEL", "a:1"]), ":1\r\n");
}
