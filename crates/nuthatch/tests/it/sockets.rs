//! Listening sockets: unix sockets and their modes, busy addresses, limits of clients.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use testkit::{Client, Endpoint, Process, Signal, free_port};

use crate::need;
use crate::rig::{BIN, Rig, memcached_ask, nuthatch, pool, text, wait_for};

/// Runs the proxy with a configuration that it cannot start with; returns its standard error.
fn fails_to_start(conf: &str) -> String {
    let port = free_port().to_string();
    fails_with(conf, &["-a", "127.0.0.1", "-s", &port])
}

/// The same with arguments.
fn fails_with(conf: &str, args: &[&str]) -> String {
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("c.yml");
    fs::write(&file, conf).expect("the folder can be written");
    let mut command = std::process::Command::new(BIN);
    command.current_dir(dir.path());
    command.args(["-c", "c.yml"]).args(args);
    let mut process = Process::spawn(command);
    let status = process.wait_exit(Duration::from_secs(20));
    let message = process.stderr();
    assert_eq!(status.code(), Some(1), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    message
}

#[test]
fn unix_sockets_serve_both_sides_with_the_mode_asked_for() {
    let redis = need!(testkit::redis_unix(&[]), "redis-server");
    let memcached = need!(testkit::memcached_unix(&[]), "memcached");
    let dir = TempDir::new().expect("a folder");
    let (front, other) = (dir.path().join("front.sock"), dir.path().join("other.sock"));
    let listen = |path: &Path, mode: &str| format!("{} {mode}", path.display());
    let conf = pool(
        "r",
        &listen(&front, "0640"),
        &[redis.endpoint()],
        &["redis: true"],
    ) + &pool("m", &listen(&other, "0606"), &[memcached.endpoint()], &[]);
    let mut proxy = nuthatch(&[], &conf);

    assert_eq!(mode(&front), 0o640);
    assert_eq!(mode(&other), 0o606);
    let mut client = Client::connect(&Endpoint::Unix(front.clone()));
    assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
    assert_eq!(redis.client().ask(&["GET", "k"]), "$1\r\nv\r\n");
    let mut client = Client::connect(&Endpoint::Unix(other.clone()));
    assert_eq!(
        memcached_ask(&mut client, "set k 0 0 1\r\nv\r\n"),
        "STORED\r\n"
    );

    proxy.signal(Signal::TERM);
    assert_eq!(proxy.wait_exit(Duration::from_secs(10)).code(), Some(0));
    assert!(!front.exists() && !other.exists(), "its sockets go with it");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path)
        .expect("it is there")
        .permissions()
        .mode()
        & 0o777
}

#[test]
fn the_count_of_connections_to_unix_servers_goes_up_and_down_to_zero() {
    let server = need!(testkit::redis_unix(&[]), "redis-server");
    let mut rig = Rig::before_redis(vec![server], &[], &[]);
    assert_eq!(rig.client().ask(&["GET", "k"]), "$-1\r\n");
    assert_eq!(rig.server_stat(0, "server_connections"), 1);
    rig.servers[0].kill();
    wait_for("the count falls", || {
        rig.server_stat(0, "server_connections") == 0
    });
}

#[test]
fn a_socket_left_behind_is_replaced_but_no_other_file_is() {
    let server = need!(testkit::redis(), "redis-server");
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("p.sock");
    let conf = pool(
        "p",
        &path.display().to_string(),
        &[server.endpoint()],
        &["redis: true"],
    );
    // Dropping a listener leaves its file.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("the folder can be written"));
    let proxy = nuthatch(&[], &conf);
    let mut client = Client::connect(&Endpoint::Unix(path.clone()));
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    drop(proxy);
    assert!(
        fs::metadata(&path)
            .expect("killed, so it stays")
            .file_type()
            .is_socket()
    );

    fs::remove_file(&path).expect("it is there");
    fs::write(&path, "somebody's work").expect("the folder can be written");
    let message = fails_to_start(&conf);
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert_eq!(
        fs::read_to_string(&path).expect("still there"),
        "somebody's work"
    );
}

#[test]
fn a_busy_port_is_named_with_its_pool() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = busy.local_addr().expect("it has an address").to_string();
    let conf = pool("shop", &address, &[&Endpoint::loopback(1)], &[]);
    let message = fails_to_start(&conf);
    for part in [address.as_str(), "shop", "Address already in use"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

/// A pool with a server that does not exist, on its own port.
fn lone_pool(lines: &[&str]) -> String {
    let listen = format!("127.0.0.1:{}", free_port());
    pool("p", &listen, &[&Endpoint::loopback(1)], lines)
}

#[test]
fn a_busy_statistics_port_is_an_error_that_helps() {
    let first = nuthatch(&[], &lone_pool(&[]));
    let port = first.stats_port().to_string();
    let args = ["-a", "127.0.0.1", "-s", &port];
    let message = fails_with(&lone_pool(&[]), &args);
    let expected = format!(
        "nuthatch: cannot listen on '127.0.0.1:{port}' for statistics: Address already in use (another \
         process listens there, perhaps another nuthatch or nutcracker; -a and -s set another address, and \
         `reuseport: true` in a pool of both processes shares it)\n"
    );
    assert!(message.ends_with(&expected), "{message}");
    // The first one does not share its port.
    let message = fails_with(&lone_pool(&["reuseport: true"]), &args);
    for part in [&port, "Address already in use", "does not share it"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    assert!(first.stats().ends_with("}}}\n"), "the first goes on");
}

#[test]
fn a_busy_statistics_port_of_nutcracker_is_an_error_too() {
    let first = need!(testkit::nutcracker(&lone_pool(&[])), "nutcracker");
    let port = first.stats_port().to_string();
    for lines in [&[][..], &["reuseport: true"]] {
        let message = fails_with(&lone_pool(lines), &["-a", "127.0.0.1", "-s", &port]);
        assert!(message.contains("Address already in use"), "{message}");
    }
}

#[test]
fn with_reuseport_a_successor_starts_beside_its_predecessor_and_takes_over() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("stats.sock").display().to_string();
    let port = free_port().to_string();
    let conf = lone_pool(&["reuseport: true"]);
    // The last `-a` and `-s` count.
    for args in [["-a", &path], ["-s", &port]] {
        let mut first = nuthatch(&args, &conf);
        let second = nuthatch(&args, &conf);
        // It is logged once all sockets are open; a successful connect could reach the first process.
        wait_for("the second listens", || second.stderr().contains("up to "));
        first.signal(Signal::TERM);
        assert_eq!(first.wait_exit(Duration::from_secs(10)).code(), Some(0));
        let endpoint = match args[0] {
            "-a" => Endpoint::Unix(path.clone().into()),
            _ => Endpoint::loopback(port.parse().expect("a port")),
        };
        let document = Client::connect(&endpoint).rest();
        assert!(document.starts_with(b"{\"service\""), "{args:?}");
    }
}

#[test]
fn two_pools_cannot_listen_at_one_address() {
    let port = free_port();
    let servers = [&Endpoint::loopback(1)];
    let twice = |other: &str| {
        pool("one", &format!("127.0.0.1:{port}"), &servers, &[])
            + &pool("two", &format!("{other}:{port}"), &servers, &[])
    };
    let message = fails_to_start(&twice("127.0.0.1"));
    for part in ["one", "two", &port.to_string()] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    // Another spelling of the same address.
    let message = fails_to_start(&twice("localhost"));
    assert!(message.contains(&port.to_string()), "{message}");
}

#[test]
fn clients_above_client_connections_are_told_and_closed() {
    let rig = need!(Rig::redis(1, &["client_connections: 3"]), "redis-server");
    wait_until_nobody_is_there(&rig);
    let mut clients: Vec<_> = (0..3).map(|_| rig.client()).collect();
    for _ in 0..3 {
        let refused = text(&rig.client().rest());
        assert_eq!(refused, "-ERR max number of clients reached\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    }
    drop(clients.pop());
    wait_for("a seat becomes free", || {
        let mut client = rig.client();
        client.command(&[b"PING"]);
        client.shut_write();
        client.rest() == b"+PONG\r\n"
    });
}

/// Starting a rig has connected to the port once.
fn wait_until_nobody_is_there(rig: &Rig) {
    wait_for("the probe has come and gone", || {
        rig.pool_stat("client_total") == 1 && rig.pool_stat("client_connections") == 0
    });
}

#[test]
fn memcached_clients_above_client_connections_are_told_so_too() {
    let rig = need!(Rig::memcached(1, &["client_connections: 1"]), "memcached");
    wait_until_nobody_is_there(&rig);
    let mut first = rig.client();
    assert!(memcached_ask(&mut first, "version\r\n").starts_with("VERSION"));
    assert_eq!(
        text(&rig.client().rest()),
        "ERROR Too many open connections\r\n"
    );
    assert!(memcached_ask(&mut first, "version\r\n").starts_with("VERSION"));
}
