//! Requests about the clients of all workers, before real servers.

use std::time::{Duration, Instant};

use testkit::Client;

use crate::need;
use crate::rig::{Rig, text, wait_for};

const WORKERS: &[&str] = &["--workers=3"];

fn number(client: &mut Client) -> String {
    let told = client.ask(&["CLIENT", "ID"]);
    told.trim_start_matches(':').trim_end().to_owned()
}

/// Clients of every worker.
fn clients(rig: &Rig) -> Vec<Client> {
    (0..6).map(|_| rig.client()).collect()
}

#[test]
fn each_client_can_be_closed_and_each_wait_ended_by_any_other() {
    let lines = ["admin_commands: true"];
    let rig = need!(Rig::redis_with(2, &lines, WORKERS), "redis-server");
    let mut clients = clients(&rig);
    let numbers: Vec<String> = clients.iter_mut().map(number).collect();
    for waits in 1..6 {
        clients[waits].command(&[b"BLPOP", b"queue", b"0"]);
        let asks = &mut clients[waits - 1];
        wait_for("it waits", || {
            asks.ask(&["CLIENT", "UNBLOCK", &numbers[waits]]) == ":1\r\n"
        });
        assert_eq!(text(&clients[waits].reply()), "*-1\r\n");
    }
    for victim in 1..6 {
        let killed = clients[0].ask(&["CLIENT", "KILL", "ID", &numbers[victim]]);
        assert_eq!(killed, ":1\r\n");
        assert_eq!(clients[victim].rest(), b"");
    }
    let list = clients[0].ask(&["CLIENT", "LIST"]);
    assert_eq!(list.matches("id=").count(), 1, "{list}");
}

#[test]
fn subscribers_are_counted_over_all_workers() {
    let rig = need!(Rig::redis_with(2, &[], WORKERS), "redis-server");
    let mut clients = clients(&rig);
    for client in &mut clients[..5] {
        client.command(&[b"SUBSCRIBE", b"news"]);
        client.reply();
        client.command(&[b"PSUBSCRIBE", b"n*"]);
        client.reply();
    }
    let asks = &mut clients[5];
    let counted = asks.ask(&["PUBSUB", "NUMSUB", "news"]);
    assert_eq!(counted, "*2\r\n$4\r\nnews\r\n:5\r\n");
    assert_eq!(asks.ask(&["PUBSUB", "NUMPAT"]), ":1\r\n");
}

#[test]
fn a_pause_holds_up_the_writes_of_all_clients_while_a_server_is_replaced() {
    let lines = ["admin_commands: true"];
    let rig = need!(Rig::redis_with(2, &lines, WORKERS), "redis-server");
    let mut clients = clients(&rig);
    assert_eq!(
        clients[0].ask(&["CLIENT", "PAUSE", "60000", "WRITE"]),
        "+OK\r\n"
    );
    for (number, client) in clients.iter_mut().enumerate().skip(1) {
        assert_eq!(client.ask(&["GET", "k"]), "$-1\r\n");
        client.command(&[b"SET", format!("k{number}").as_bytes(), b"v"]);
    }
    assert!(clients[5].is_silent(Duration::from_millis(200)));
    let sizes: usize = rig
        .servers
        .iter()
        .filter(|server| server.client().ask(&["DBSIZE"]) != ":0\r\n")
        .count();
    assert_eq!(sizes, 0, "no write has reached a server");
    assert_eq!(clients[0].ask(&["CLIENT", "UNPAUSE"]), "+OK\r\n");
    for client in &mut clients[1..] {
        assert_eq!(text(&client.reply()), "+OK\r\n");
    }
    let began = Instant::now();
    assert_eq!(clients[0].ask(&["CLIENT", "PAUSE", "300"]), "+OK\r\n");
    assert_eq!(clients[3].ask(&["PING"]), "+PONG\r\n");
    assert!(began.elapsed() >= Duration::from_millis(290));
}
