//! Requests about the clients of all workers, before real servers.

use std::time::{Duration, Instant};

use testkit::{Client, Server, free_port};

use crate::need;
use crate::rig::{BIN, Rig, pool, text, wait_for};

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

/// How many clients a server has, without the one that asks.
fn connections(server: &Server) -> usize {
    let list = server.client().ask(&["CLIENT", "LIST"]);
    list.matches("id=").count() - 1
}

/// Has 32 clients write and read a lot, all at once, and returns how many connections the servers had at most.
fn most_connections(port: u16, servers: &[Server]) -> usize {
    let mut clients: Vec<Client> = (0..32).map(|_| Client::to_port(port)).collect();
    let mut most = 0;
    for round in 0..20 {
        for client in &mut clients {
            for key in 0..20 {
                client.command(&[b"INCR", format!("{round}:{key}").as_bytes()]);
            }
        }
        most = most.max(servers.iter().map(connections).sum());
        for client in &mut clients {
            (0..20).for_each(|_| drop(client.reply()));
        }
    }
    most
}

#[test]
fn connections_to_servers_stay_within_their_bound_for_all_workers() {
    let servers = need!(
        (0..2).map(|_| testkit::redis()).collect::<Option<Vec<_>>>(),
        "redis-server"
    );
    let endpoints: Vec<_> = servers.iter().map(Server::endpoint).collect();
    let port = free_port();
    let lines = ["redis: true", "resp3: off", "server_connections: 4"];
    let pool = pool("pool", &format!("127.0.0.1:{port}"), &endpoints, &lines);
    let conf = |total: usize| {
        format!(
            "{pool}nuthatch:\n  workers: 4\n  control: control\n  server_connections_total: {total}\n"
        )
    };
    let proxy = testkit::nuthatch(BIN.as_ref(), &[], &conf(0));
    let directory = proxy.conf().parent().expect("a directory").to_owned();
    let ctl = |args: &[&str]| {
        let mut command = std::process::Command::new(BIN);
        command
            .current_dir(&directory)
            .args(["ctl", "--control", "control"]);
        let output = command.args(args).output().expect("the program can be run");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let reload = |total| {
        std::fs::write(proxy.conf(), conf(total)).expect("a file");
        ctl(&["reload"]);
    };
    assert!(
        most_connections(port, &servers) > 16,
        "further ones are used"
    );
    for (total, workers) in [(16, 4), (10, 4), (7, 3), (4, 2), (2, 1)] {
        reload(total);
        let told = ctl(&["status"]);
        assert!(told.contains(&format!("{workers} workers, plan")), "{told}");
        wait_for("there are no more than there may be", || {
            servers.iter().map(connections).sum::<usize>() <= total
        });
        let most = most_connections(port, &servers);
        assert!(most <= total, "{most} of {total}");
        assert!(
            most >= 2 * workers,
            "{most}: {workers} workers serve clients"
        );
    }
    reload(0);
    assert!(most_connections(port, &servers) > 16);
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
