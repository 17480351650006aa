//! Pools of a real Redis Cluster: clients that know of none see one server, while slots move and masters fail.

use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use hashkit::slot_of;
use testkit::{Client, Cluster, Proxy, eventually, free_port, has_numbered_databases};

use crate::rig::{BIN, TIME_LIMIT, text};

const NODE_TIMEOUT: Duration = Duration::from_millis(500);

fn proxy_of(cluster: &Cluster, lines: &str) -> (Proxy, u16) {
    let port = free_port();
    let seeds: Vec<String> = cluster
        .addresses()
        .iter()
        .map(ToString::to_string)
        .collect();
    let conf = format!(
        "c:\n  listen: 127.0.0.1:{port}\n  redis: true\n  cluster: [{}, {}]\n{lines}",
        seeds[0], seeds[1]
    );
    (
        testkit::nuthatch(BIN.as_ref(), &["--control=control"], &conf),
        port,
    )
}

/// Whether a reply tells of the cluster.
fn tells(reply: &str) -> bool {
    let codes = ["MOVED", "ASK ", "TRYAGAIN", "CLUSTERDOWN", "READONLY"];
    codes.iter().any(|code| reply.contains(code))
}

#[test]
fn a_client_of_one_server_sees_nothing_of_the_cluster() {
    let Some(mut cluster) = Cluster::start(NODE_TIMEOUT) else {
        testkit::skip!("redis-server is not installed");
    };
    for key in [
        "foo",
        "",
        "{user1000}.following",
        "foo{}{bar}",
        "foo{{bar}}zap",
        "123456789",
    ] {
        let slot = format!(":{}\r\n", slot_of(key.as_bytes()));
        assert_eq!(cluster.ask(0, &["CLUSTER", "KEYSLOT", key]), slot, "{key}");
    }
    let (proxy, port) = proxy_of(&cluster, "  timeout: 5000\n");
    let mut client = Client::to_port(port);
    use_every_kind_of_request(&mut client);
    move_a_slot_under_requests(&cluster, port);
    move_a_slot_to_a_new_master(&mut cluster, port);
    fail_over_under_requests(&mut cluster, port);
    use_every_kind_of_request(&mut Client::to_port(port));
    let log = proxy.stderr();
    assert!(log.contains("follows the map of node"), "{log}");
    let status = status_of(&proxy);
    assert!(
        status.contains("servers from the cluster of 127.0.0.1:"),
        "{status}"
    );
    assert!(status.contains(": 4 servers found, "), "{status}");
}

/// What `nuthatch ctl status` tells.
fn status_of(proxy: &Proxy) -> String {
    let mut command = Command::new(BIN);
    command
        .args(["ctl", "status", "--control=control"])
        .current_dir(proxy.dir());
    let output = command.output().expect("the program can be run");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn use_every_kind_of_request(client: &mut Client) {
    let mut ask = |words: &[&str]| client.ask(words);
    for number in 0..20 {
        let (key, value) = (format!("key{number}"), format!("v{number}"));
        assert_eq!(ask(&["SET", &key, &value]), "+OK\r\n");
    }
    assert_eq!(
        ask(&["MGET", "key1", "key2", "key19"]),
        "*3\r\n$2\r\nv1\r\n$2\r\nv2\r\n$3\r\nv19\r\n"
    );
    assert_eq!(ask(&["MSET", "a", "1", "b", "2", "{a}c", "3"]), "+OK\r\n");
    assert_eq!(ask(&["DEL", "a", "b", "{a}c", "none"]), ":3\r\n");
    assert_eq!(ask(&["DBSIZE"]), ":20\r\n");
    assert_eq!(
        ask(&["EVAL", "return redis.call('get', KEYS[1])", "1", "key7"]),
        "$2\r\nv7\r\n"
    );
    assert_eq!(ask(&["MULTI"]), "+OK\r\n");
    assert_eq!(ask(&["SET", "{key1}x", "1"]), "+QUEUED\r\n");
    assert_eq!(ask(&["GET", "{key1}x"]), "+QUEUED\r\n");
    assert_eq!(ask(&["EXEC"]), "*2\r\n+OK\r\n$1\r\n1\r\n");
    assert_eq!(ask(&["WATCH", "key1"]), "+OK\r\n");
    assert_eq!(ask(&["MULTI"]), "+OK\r\n");
    assert_eq!(ask(&["DEL", "{key1}x"]), "+QUEUED\r\n");
    assert_eq!(ask(&["EXEC"]), "*1\r\n:1\r\n");
    let apart = ask(&["SUNION", "a", "b"]);
    assert!(apart.starts_with("-CROSSSLOT"), "{apart}");
    let mut found = 0;
    let mut cursor = "0".to_owned();
    loop {
        let page = ask(&["SCAN", &cursor]);
        let mut lines = page.lines().skip(2);
        cursor = lines.next().unwrap_or_default().to_owned();
        found += lines.filter(|line| line.starts_with("key")).count();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(found, 20);
}

/// Reads and writes keys of a slot that moves, one after the other, and waits for an element in it.
fn move_a_slot_under_requests(cluster: &Cluster, port: u16) {
    let slot = slot_of(b"{t}");
    let mut client = Client::to_port(port);
    for number in 0..30 {
        assert_eq!(
            client.ask(&["SET", &format!("{{t}}{number}"), "0"]),
            "+OK\r\n"
        );
    }
    let waiter = thread::spawn(move || Client::to_port(port).ask(&["BLPOP", "{t}list", "20"]));
    let from = cluster.owner(slot).expect("a master has the slot");
    let to = cluster.masters().into_iter().find(|node| *node != from);
    let to = to.expect("there are several");
    let stop = OnceLock::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(200));
            cluster.migrate(slot, from, to, Duration::from_millis(10));
            thread::sleep(Duration::from_millis(200));
            stop.set(()).expect("it is set once");
        });
        let mut round = 0;
        while stop.get().is_none() {
            round += 1;
            let value = round.to_string();
            for number in 0..30 {
                let key = format!("{{t}}{number}");
                assert_eq!(client.ask(&["SET", &key, &value]), "+OK\r\n");
                let both = client.ask(&["MGET", &key, "{t}0"]);
                assert!(both.starts_with("*2\r\n") && !tells(&both), "{both}");
                let (length, value) = (value.len(), &value);
                assert_eq!(
                    client.ask(&["GET", &key]),
                    format!("${length}\r\n{value}\r\n")
                );
            }
        }
        assert!(round > 3);
    });
    assert_eq!(cluster.owner(slot), Some(to));
    let pushed = eventually(TIME_LIMIT, || {
        (client.ask(&["RPUSH", "{t}list", "e"]) != ":0\r\n").then_some(())
    });
    assert!(pushed.is_some());
    let waited = waiter.join().expect("it does not panic");
    assert_eq!(waited, "*2\r\n$7\r\n{t}list\r\n$1\r\ne\r\n");
    let keys: Vec<String> = (0..30).map(|number| format!("{{t}}{number}")).collect();
    let mut words = vec!["DEL", "{t}list"];
    words.extend(keys.iter().map(String::as_str));
    assert_eq!(client.ask(&words), ":30\r\n");
}

/// The first slot of a new master is being moved to it: keys that are new are written there, though the map was known
/// before there was that master.
fn move_a_slot_to_a_new_master(cluster: &mut Cluster, port: u16) {
    let new = cluster.add_master(NODE_TIMEOUT);
    let new = new.expect("a server is installed");
    let mut client = Client::to_port(port);
    assert_eq!(client.ask(&["SET", "{n}old", "1"]), "+OK\r\n");
    let slot = slot_of(b"{n}");
    let from = cluster.owner(slot).expect("a master has the slot");
    cluster.begin_migration(slot, from, new);
    for number in 0..100 {
        let key = format!("{{n}}{number}");
        assert_eq!(client.ask(&["SET", &key, "2"]), "+OK\r\n");
        assert_eq!(client.ask(&["GET", "{n}old"]), "$1\r\n1\r\n");
    }
    assert_eq!(cluster.migrate(slot, from, new, Duration::ZERO), 1);
    assert_eq!(client.ask(&["GET", "{n}99"]), "$1\r\n2\r\n");
    assert_eq!(client.ask(&["GET", "{n}old"]), "$1\r\n1\r\n");
    let keys = (0..100).map(|number| format!("{{n}}{number}"));
    let words: Vec<String> = ["DEL".to_owned(), "{n}old".to_owned()]
        .into_iter()
        .chain(keys)
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(client.ask(&words), ":101\r\n");
}

/// Errors are only of the time of the failover, and tell nothing of the cluster.
fn fail_over_under_requests(cluster: &mut Cluster, port: u16) {
    let master = cluster
        .owner(slot_of(b"key1"))
        .expect("a master has the slot");
    let stop = OnceLock::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Client::to_port(port);
            while stop.get().is_none() {
                let reply = client.ask(&["SET", "key1", "v1"]);
                assert!(!tells(&reply), "{reply}");
                let reply = client.ask(&["GET", "key2"]);
                assert!(!tells(&reply), "{reply}");
            }
        });
        cluster.fail_over(master);
        thread::sleep(Duration::from_millis(200));
        stop.set(()).expect("it is set once");
    });
    let mut client = Client::to_port(port);
    for number in 0..20 {
        let (key, value) = (format!("key{number}"), format!("v{number}"));
        let length = value.len();
        assert_eq!(
            client.ask(&["GET", &key]),
            format!("${length}\r\n{value}\r\n")
        );
    }
}

/// Valkey 9 has them; with older servers a client that selects one is told so, and nothing is done in database 0 instead.
#[test]
fn numbered_databases_are_those_of_the_cluster() {
    let has_them = has_numbered_databases();
    let options: &[&str] = match has_them {
        true => &["--cluster-databases", "4"],
        false => &[],
    };
    let Some(cluster) = Cluster::start_with(NODE_TIMEOUT, options) else {
        testkit::skip!("redis-server is not installed");
    };
    let (_proxy, port) = proxy_of(&cluster, "  timeout: 5000\n  databases: 4\n");
    let mut clients = [(); 3].map(|()| Client::to_port(port));
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.ask(&["SELECT", &number.to_string()]), "+OK\r\n");
    }
    let [zero, _, two] = &mut clients;
    assert_eq!(zero.ask(&["SET", "{d}key", "zero"]), "+OK\r\n");
    if !has_them {
        let refused = two.ask(&["SET", "{d}key", "two"]);
        assert!(
            refused.contains("SELECT is not allowed in cluster mode"),
            "{refused}"
        );
        assert_eq!(zero.ask(&["GET", "{d}key"]), "$4\r\nzero\r\n");
        return;
    }
    assert_eq!(
        two.ask(&["MSET", "{d}key", "two", "a", "1", "b", "2"]),
        "+OK\r\n"
    );
    let slot = slot_of(b"{d}");
    let from = cluster.owner(slot).expect("a master has the slot");
    let to = cluster.masters().into_iter().find(|node| *node != from);
    // Keys that do not exist are there, in each database.
    cluster.begin_migration(slot, from, to.expect("there are several"));
    for (number, client) in clients.iter_mut().enumerate() {
        let key = format!("{{d}}new{number}");
        assert_eq!(client.ask(&["INCR", &key]), ":1\r\n");
        assert_eq!(client.ask(&["MULTI"]), "+OK\r\n");
        assert_eq!(client.ask(&["INCR", &key]), "+QUEUED\r\n");
        assert_eq!(client.ask(&["EXEC"]), "*1\r\n:2\r\n");
    }
    let [zero, one, two] = &mut clients;
    assert_eq!(zero.ask(&["GET", "{d}key"]), "$4\r\nzero\r\n");
    assert_eq!(one.ask(&["GET", "{d}key"]), "$-1\r\n");
    assert_eq!(two.ask(&["GET", "{d}key"]), "$3\r\ntwo\r\n");
    assert_eq!(two.ask(&["MGET", "a", "b"]), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
}
