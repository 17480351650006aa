//! Requests that wait for other clients or for replicas, before real servers.

use std::time::{Duration, Instant};

use testkit::{Client, Server};

use crate::need;
use crate::rig::{Rig, text, wait_for};

const UNBLOCKED: &str = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";

/// A time in which whatever comes at once has come.
const QUIET: Duration = Duration::from_millis(150);

fn popped(key: &str, element: &str) -> String {
    format!(
        "*2\r\n${}\r\n{key}\r\n${}\r\n{element}\r\n",
        key.len(),
        element.len()
    )
}

/// How many clients wait at a server.
fn blocked(server: &Server) -> String {
    let info = server.client().ask(&["INFO", "clients"]);
    let line = info
        .lines()
        .find(|line| line.starts_with("blocked_clients"));
    line.unwrap_or_default().to_owned()
}

fn wait_until_blocked(rig: &Rig, server: usize, count: usize) {
    let expected = format!("blocked_clients:{count}");
    wait_for(&expected, || blocked(&rig.servers[server]) == expected);
}

fn queue_at(rig: &Rig, server: usize) -> String {
    let key = rig.keys().remove(server);
    rig.client().ask(&["DEL", &key]);
    key
}

#[test]
fn an_element_that_another_client_pushes_ends_a_wait() {
    for workers in ["1", "2"] {
        let rig = need!(
            Rig::redis_with(2, &["timeout: 200"], &["--workers", workers]),
            "redis-server"
        );
        let queue = queue_at(&rig, 1);
        // With two workers they take turns, so that some are with the one and some with the other.
        let mut waiting: Vec<Client> = (0..4).map(|_| rig.client()).collect();
        for (nth, client) in waiting.iter_mut().enumerate() {
            client.command(&[b"BLPOP", queue.as_bytes(), b"0"]);
            wait_until_blocked(&rig, 1, nth + 1);
        }
        // Longer than `timeout`, and others are not held up.
        std::thread::sleep(Duration::from_millis(500));
        let mut others: Vec<Client> = (0..4).map(|_| rig.client()).collect();
        for (nth, (client, other)) in waiting.iter_mut().zip(&mut others).enumerate() {
            let element = format!("e{nth}");
            assert_eq!(other.ask(&["RPUSH", &queue, &element]), ":1\r\n");
            // Who has waited for longest is first, as at a server.
            assert_eq!(text(&client.reply()), popped(&queue, &element));
        }
        assert_eq!(rig.pool_stat("elements_lost"), 0);
        assert_eq!(rig.pool_stat("forward_error"), 0);
    }
}

#[test]
fn every_command_that_waits_gets_what_a_server_gives() {
    let rig = need!(Rig::redis(1, &["hash_tag: '{}'"]), "redis-server");
    let (mut waits, mut pushes) = (rig.client(), rig.client());
    let list = |key| ["RPUSH", key, "e"].to_vec();
    let sorted = |key| ["ZADD", key, "1", "e"].to_vec();
    let cases: [(&[&str], Vec<&str>, &str); 9] = [
        (
            &["BLPOP", "none", "l", "0"],
            list("l"),
            "*2\r\n$1\r\nl\r\n$1\r\ne\r\n",
        ),
        (
            &["BRPOP", "l", "0"],
            list("l"),
            "*2\r\n$1\r\nl\r\n$1\r\ne\r\n",
        ),
        (&["BRPOPLPUSH", "l", "m", "0"], list("l"), "$1\r\ne\r\n"),
        (
            &["BLMOVE", "l", "m", "LEFT", "RIGHT", "0"],
            list("l"),
            "$1\r\ne\r\n",
        ),
        (
            &["BLMPOP", "0", "1", "l", "LEFT"],
            list("l"),
            "*2\r\n$1\r\nl\r\n*1\r\n$1\r\ne\r\n",
        ),
        (
            &["BZPOPMIN", "z", "0"],
            sorted("z"),
            "*3\r\n$1\r\nz\r\n$1\r\ne\r\n$1\r\n1\r\n",
        ),
        (
            &["BZPOPMAX", "z", "0"],
            sorted("z"),
            "*3\r\n$1\r\nz\r\n$1\r\ne\r\n$1\r\n1\r\n",
        ),
        (
            &["BZMPOP", "0", "1", "z", "MIN"],
            sorted("z"),
            "*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\ne\r\n$1\r\n1\r\n",
        ),
        (
            &["XREAD", "BLOCK", "0", "STREAMS", "s", "$"],
            ["XADD", "s", "1-1", "f", "v"].to_vec(),
            "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n",
        ),
    ];
    for (wait, push, reply) in cases {
        let words: Vec<&[u8]> = wait.iter().map(|word| word.as_bytes()).collect();
        waits.command(&words);
        wait_until_blocked(&rig, 0, 1);
        pushes.ask(&push);
        assert_eq!(text(&waits.reply()), reply, "{wait:?}");
    }
    // Time-outs are those of the request.
    let begun = Instant::now();
    assert_eq!(waits.ask(&["BLPOP", "none", "0.2"]), "*-1\r\n");
    assert_eq!(
        waits.ask(&["BLMOVE", "none", "m", "LEFT", "LEFT", "0.1"]),
        "*-1\r\n"
    );
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(
        waits.ask(&["BLPOP", "none", "x"]),
        "-ERR timeout is not a float or out of range\r\n"
    );
    // All of that took one connection besides the shared one, and one question for the release.
    assert_eq!(rig.server_stat(0, "server_connections"), 2);
}

#[test]
fn a_consumer_of_a_group_waits_for_what_is_new() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let (mut waits, mut pushes) = (rig.client(), rig.client());
    pushes.ask(&["XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"]);
    let read = [
        "XREADGROUP",
        "GROUP",
        "g",
        "c",
        "BLOCK",
        "0",
        "STREAMS",
        "s",
        ">",
    ];
    let words: Vec<&[u8]> = read.iter().map(|word| word.as_bytes()).collect();
    waits.command(&words);
    wait_until_blocked(&rig, 0, 1);
    pushes.ask(&["XADD", "s", "2-1", "f", "v"]);
    assert!(text(&waits.reply()).contains("2-1"));
}

#[test]
fn a_wait_in_resp3_is_answered_in_resp3() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let queue = queue_at(&rig, 0);
    let mut client = rig.client();
    client.ask(&["HELLO", "3"]);
    assert_eq!(client.ask(&["BLPOP", &queue, "0.1"]), "_\r\n");
    rig.client().ask(&["ZADD", &queue, "1.5", "e"]);
    let reply = client.ask(&["BZPOPMIN", &queue, "0"]);
    assert!(reply.ends_with(",1.5\r\n"), "{reply}");
}

#[test]
fn a_client_that_leaves_takes_no_element_with_it() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    for _ in 0..3 {
        let mut leaves = rig.client();
        leaves.command(&[b"BLPOP", b"q", b"0"]);
        wait_until_blocked(&rig, 0, 1);
        drop(leaves);
        wait_until_blocked(&rig, 0, 0);
        let mut other = rig.client();
        assert_eq!(other.ask(&["RPUSH", "q", "e"]), ":1\r\n");
        assert_eq!(other.ask(&["LPOP", "q"]), "$1\r\ne\r\n");
    }
    assert_eq!(rig.pool_stat("elements_lost"), 0);
    assert_eq!(rig.server_stat(0, "server_connections"), 2);
}

#[test]
fn an_element_that_is_popped_while_its_client_leaves_is_reported() {
    let mut rig = need!(Rig::redis(1, &[]), "redis-server");
    let mut leaves = rig.client();
    leaves.command(&[b"BLPOP", b"jobs", b"0"]);
    wait_until_blocked(&rig, 0, 1);
    // The server is held up, so that the push is before the request to end the wait in its order.
    let mut pushes = rig.servers[0].client();
    rig.servers[0].stop();
    pushes.command(&[b"RPUSH", b"jobs", b"e"]);
    drop(leaves);
    std::thread::sleep(QUIET);
    rig.servers[0].cont();
    assert_eq!(text(&pushes.reply()), ":1\r\n");
    wait_for("the element is counted", || {
        rig.pool_stat("elements_lost") == 1
    });
    let line =
        "an element of 'jobs' of server 's0' may be lost: the client that waited for it has left";
    wait_for("it is logged", || rig.proxy.stderr().contains(line));
}

#[test]
fn a_client_that_ends_its_side_gets_what_there_is() {
    let rig = need!(Rig::redis(1, &[]), "redis-server");
    let mut client = rig.client();
    client.command(&[b"RPUSH", b"q", b"e"]);
    client.command(&[b"BLPOP", b"q", b"0"]);
    client.command(&[b"BLPOP", b"q", b"0"]);
    client.shut_write();
    assert_eq!(
        text(&client.rest()),
        format!(":1\r\n{}*-1\r\n", popped("q", "e"))
    );
    wait_until_blocked(&rig, 0, 0);
}

#[test]
fn a_server_that_is_killed_fails_its_waits_and_those_at_others_go_on() {
    let mut rig = need!(Rig::redis(2, &[]), "redis-server");
    let queues = rig.keys();
    let mut clients: Vec<Client> = (0..2).map(|_| rig.client()).collect();
    for (client, queue) in clients.iter_mut().zip(&queues) {
        client.ask(&["DEL", queue]);
        client.command(&[b"BLPOP", queue.as_bytes(), b"0"]);
    }
    wait_until_blocked(&rig, 0, 1);
    wait_until_blocked(&rig, 1, 1);
    rig.servers[1].kill();
    assert!(text(&clients[1].reply()).starts_with("-ERR "));
    assert!(clients[0].is_silent(QUIET));
    rig.client().ask(&["RPUSH", &queues[0], "e"]);
    assert_eq!(text(&clients[0].reply()), popped(&queues[0], "e"));
    // The client goes on when the server is back.
    rig.servers[1].restart();
    clients[1].command(&[b"BLPOP", queues[1].as_bytes(), b"0"]);
    wait_until_blocked(&rig, 1, 1);
    rig.client().ask(&["RPUSH", &queues[1], "e"]);
    assert_eq!(text(&clients[1].reply()), popped(&queues[1], "e"));
}

#[test]
fn a_server_that_hangs_ends_its_waits_when_it_is_ejected() {
    let lines = [
        "timeout: 300",
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "eject_policy: error",
    ];
    let mut rig = need!(
        Rig::redis_with(2, &lines, &["--workers", "2"]),
        "redis-server"
    );
    let queues = rig.keys();
    let mut clients: Vec<Client> = (0..2).map(|_| rig.client()).collect();
    for (nth, client) in clients.iter_mut().enumerate() {
        client.ask(&["DEL", &queues[1]]);
        client.command(&[b"BLPOP", queues[1].as_bytes(), b"0"]);
        wait_until_blocked(&rig, 1, nth + 1);
    }
    rig.servers[1].stop();
    assert!(clients[0].is_silent(QUIET));
    let asked = rig.client().ask(&["GET", &queues[1]]);
    assert_eq!(asked, "-ERR Connection timed out\r\n");
    for client in &mut clients {
        let reply = text(&client.reply());
        assert!(reply.starts_with("-UNBLOCKED force unblock"), "{reply}");
    }
    rig.servers[1].cont();
    wait_until_blocked(&rig, 1, 0);
}

#[test]
fn client_unblock_ends_the_wait_of_another_client() {
    let rig = need!(Rig::redis(2, &[]), "redis-server");
    let queue = queue_at(&rig, 1);
    let (mut waits, mut asks) = (rig.client(), rig.client());
    let id = waits.ask(&["CLIENT", "ID"]);
    let id = id.trim_start_matches(':').trim_end();
    assert_eq!(asks.ask(&["CLIENT", "UNBLOCK", id]), ":0\r\n");
    waits.command(&[b"BLPOP", queue.as_bytes(), b"0"]);
    wait_until_blocked(&rig, 1, 1);
    assert_eq!(asks.ask(&["CLIENT", "UNBLOCK", id, "ERROR"]), ":1\r\n");
    assert_eq!(text(&waits.reply()), UNBLOCKED);
    waits.command(&[b"BLPOP", queue.as_bytes(), b"0"]);
    wait_until_blocked(&rig, 1, 1);
    assert_eq!(asks.ask(&["CLIENT", "UNBLOCK", id]), ":1\r\n");
    assert_eq!(text(&waits.reply()), "*-1\r\n");
    assert_eq!(waits.ask(&["PING"]), "+PONG\r\n");
}

/// Masters of a pool, and a replica of each.
fn replicated(count: usize) -> Option<(Rig, Vec<Server>)> {
    let masters: Option<Vec<Server>> = (0..count)
        .map(|_| testkit::redis_with(&["--repl-diskless-sync-delay", "0"]))
        .collect();
    let masters = masters?;
    let replica = |master: &Server| {
        let port = master.port().to_string();
        testkit::redis_with(&["--replicaof", "127.0.0.1", &port])
    };
    let replicas: Option<Vec<Server>> = masters.iter().map(replica).collect();
    let rig = Rig::before_redis(masters, &[], &[]);
    for master in &rig.servers {
        wait_for("the replica is online", || {
            let info = master.client().ask(&["INFO", "replication"]);
            info.contains("state=online")
        });
    }
    Some((rig, replicas?))
}

#[test]
fn wait_counts_the_replicas_that_have_what_the_client_wrote() {
    let (rig, mut replicas) = need!(replicated(2), "redis-server");
    let keys = rig.keys();
    let mut client = rig.client();
    assert_eq!(
        client.ask(&["WAIT", "1", "1000"]),
        ":0\r\n",
        "nothing was written"
    );
    assert_eq!(client.ask(&["SET", &keys[0], "v"]), "+OK\r\n");
    assert_eq!(client.ask(&["WAIT", "1", "5000"]), ":1\r\n");
    replicas[1].stop();
    // Nothing of this client's is at that server.
    assert_eq!(client.ask(&["WAIT", "1", "5000"]), ":1\r\n");
    assert_eq!(client.ask(&["SET", &keys[1], "v"]), "+OK\r\n");
    assert_eq!(client.ask(&["WAIT", "1", "300"]), ":0\r\n");
    replicas[1].cont();
    assert_eq!(client.ask(&["WAIT", "1", "5000"]), ":1\r\n");
}

#[test]
fn wait_never_counts_a_replica_that_lacks_a_write_of_the_client() {
    let (rig, mut replicas) = need!(replicated(1), "redis-server");
    let mut client = rig.client();
    replicas[0].stop();
    for round in 0..20 {
        // The writes and the request at once, over other connections than that of the wait.
        for nth in 0..10 {
            client.command(&[b"SET", format!("k{nth}").as_bytes(), b"v"]);
        }
        client.command(&[b"WAIT", b"1", b"20"]);
        for _ in 0..10 {
            assert_eq!(text(&client.reply()), "+OK\r\n");
        }
        assert_eq!(text(&client.reply()), ":0\r\n", "round {round}");
    }
    replicas[0].cont();
    assert_eq!(client.ask(&["WAIT", "1", "5000"]), ":1\r\n");
}

#[test]
fn a_shutdown_ends_waits_at_once() {
    let mut rig = need!(Rig::redis(1, &[]), "redis-server");
    let mut client = rig.client();
    client.command(&[b"BLPOP", b"q", b"0"]);
    wait_until_blocked(&rig, 0, 1);
    let begun = Instant::now();
    rig.proxy.signal(testkit::Signal::TERM);
    let rest = text(&client.rest());
    assert!(rest.starts_with("-UNBLOCKED force unblock"), "{rest}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    wait_until_blocked(&rig, 0, 0);
    assert!(rig.proxy.wait_exit(Duration::from_secs(5)).success());
}
