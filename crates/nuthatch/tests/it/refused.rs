//! What follows a command that is refused, and what a client does not hear, before real servers.

use std::thread;
use std::time::Duration;

use testkit::Client;

use crate::need;
use crate::rig::{Rig, memcached_ask, text, wait_for};

/// Long enough that the proxy reads what was sent before on its own.
const PAUSE: Duration = Duration::from_micros(500);

/// What the only server has under a key.
fn stored(rig: &Rig, key: &str) -> String {
    rig.servers[0].client().ask(&["GET", key])
}

/// Sends a request in two parts.
fn send_cut(client: &mut Client, bytes: &[u8], cut: usize) {
    client.send(&bytes[..cut]);
    thread::sleep(PAUSE);
    client.send(&bytes[cut..]);
}

/// The lines that a client gets up to the end of its connection.
fn lines_of(mut client: Client) -> Vec<String> {
    client.shut_write();
    let said = text(&client.rest());
    said.split_inclusive("\r\n").map(str::to_owned).collect()
}

#[test]
fn a_transaction_in_one_write_counts_nothing_however_it_is_cut() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let transaction = b"MULTI\r\nINCR c\r\nEXEC\r\n";
    for cut in 1..transaction.len() {
        let mut client = rig.client();
        send_cut(&mut client, transaction, cut);
        let lines = lines_of(client);
        let starts = [
            "-ERR unsupported command 'multi'",
            "-ERR not executed: the MULTI before it was refused",
            "-EXECABORT ",
        ];
        assert_eq!(lines.len(), starts.len(), "{lines:?}");
        let mut pairs = lines.iter().zip(starts);
        assert!(
            pairs.all(|(line, start)| line.starts_with(start)),
            "{lines:?}"
        );
    }
    assert_eq!(stored(&rig, "c"), "$-1\r\n");
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
    let line = "1 requests that want no reply were refused or lost, the first of them: CLIENT_ERROR flush_all destroys";
    wait_for("it is logged", || rig.proxy.stderr().contains(line));
    for _ in 0..100 {
        client.send(b"flush_all noreply\r\n");
    }
    assert_eq!(
        memcached_ask(&mut client, "delete none\r\n"),
        "NOT_FOUND\r\n"
    );
    let told = rig.proxy.stderr().matches("want no reply").count();
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
    let line = "the first of them: server 's0' answered SERVER_ERROR object too large for cache";
    wait_for("it is logged", || rig.proxy.stderr().contains(line));
}
