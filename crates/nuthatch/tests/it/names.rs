//! Servers that have names: the proxy runs in a mount namespace of its own, with a hosts file and a name server
//! that the test controls.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use testkit::{Client, Proxy, Server, free_port, redis_at};

use crate::need;
use crate::rig::{ALL_COUNTERS, BIN, wait_for};
use crate::tool;

/// The service of pools without servers.
const SERVICE: &str = "_redis._tcp.example";

/// The proxy, and the files that its names come from.
struct Named {
    proxy: Proxy,
    port: u16,
    files: TempDir,
}

impl Named {
    /// A Redis pool with `servers`, or those of a service if there are none, where the hosts file has `hosts` and the name server `dns`; `None` where no
    /// mount may be made.
    fn start(hosts: &str, dns: &str, servers: &[String], lines: &[&str]) -> Option<Self> {
        Self::start_with(hosts, dns, servers, lines, &[])
    }

    /// The same with arguments for the proxy.
    fn start_with(
        hosts: &str,
        dns: &str,
        servers: &[String],
        lines: &[&str],
        args: &[&str],
    ) -> Option<Self> {
        tool::run_tool("unshare", &["--mount", "true"]).filter(|it| it.status == Some(0))?;
        let files = TempDir::with_prefix("names-").expect("a temporary directory can be made");
        let write = |name: &str, text: &str| {
            let file = files.path().join(name);
            fs::write(&file, text).expect("the temporary directory can be written");
            file
        };
        write("hosts", hosts);
        let resolv = format!("nameserver {dns}\noptions timeout:30 attempts:1\n");
        write("resolv.conf", &resolv);
        write("nsswitch.conf", "hosts: files dns\n");
        let script = write("nuthatch", &script(files.path()));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&script, mode).expect("the script is ours");
        let port = free_port();
        let mut conf = format!("pool:\n  listen: 127.0.0.1:{port}\n  redis: true\n");
        lines.iter().for_each(|line| conf += &format!("  {line}\n"));
        if servers.is_empty() {
            conf += &format!("  servers: {{srv: {SERVICE}}}\n");
        } else {
            conf += "  servers:\n";
        }
        for (number, server) in servers.iter().enumerate() {
            conf += &format!("    - {server}:1 s{number}\n");
        }
        Some(Self {
            proxy: testkit::nuthatch(&script, &[&[ALL_COUNTERS], args].concat(), &conf),
            port,
            files,
        })
    }

    fn client(&self) -> Client {
        Client::to_port(self.port)
    }

    /// Writes the hosts file anew.
    fn set_hosts(&self, text: &str) {
        fs::write(self.files.path().join("hosts"), text).expect("the file is ours");
    }

    fn stat(&self, name: &str) -> i64 {
        let stats: Value = serde_json::from_str(&self.proxy.stats()).expect("JSON");
        stats["pool"]["s0"][name].as_i64().expect("a number")
    }

    fn logs(&self, text: &str) {
        wait_for(text, || self.proxy.stderr().contains(text));
    }
}

/// Runs the proxy with the arguments of the script.
fn script(files: &Path) -> String {
    let mounts = ["hosts", "resolv.conf", "nsswitch.conf"];
    let mounts =
        mounts.map(|name| format!("mount --bind '{}/{name}' /etc/{name}", files.display()));
    format!(
        "#!/bin/sh\nexec unshare --mount sh -c '{} && exec \"{BIN}\" \"$@\"' sh \"$@\"\n",
        mounts.join(" && ").replace('\'', "\"")
    )
}

/// Two servers at one port of two addresses; the first has the value `one` for the key `k`, the second `two`.
fn two_hosts() -> Option<[Server; 2]> {
    let port = free_port();
    let at = |host: &str| redis_at(SocketAddr::new(host.parse().expect("an address"), port));
    let servers = [at("127.0.0.1")?, at("127.0.0.2")?];
    for (server, value) in servers.iter().zip(["one", "two"]) {
        assert_eq!(server.client().ask(&["SET", "k", value]), "+OK\r\n");
    }
    Some(servers)
}

const ONE: &str = "$3\r\none\r\n";
const TWO: &str = "$3\r\ntwo\r\n";

#[test]
fn a_name_server_that_hangs_holds_up_no_other_name() {
    // A name server that never answers.
    let silent = UdpSocket::bind("127.0.0.77:53");
    let Ok(_silent) = silent else {
        testkit::skip!("this user may not listen on port 53");
    };
    let servers = [
        need!(testkit::redis(), "redis-server"),
        need!(testkit::redis(), "redis-server"),
    ];
    let ports = servers.each_ref().map(Server::port);
    let servers_of = [
        "silent.example:6379".to_owned(),
        format!("a.example:{}", ports[0]),
        format!("b.example:{}", ports[1]),
    ];
    let hosts = "127.0.0.1 localhost a.example b.example\n";
    let lines = ["auto_eject_hosts: true", "hash: md5"];
    let named = Named::start(hosts, "127.0.0.77", &servers_of, &lines);
    let named = need!(named, "unshare --mount");
    let mut clients: Vec<Client> = (0..40).map(|_| named.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.command(&[b"GET", format!("key:{number}").as_bytes()]);
    }
    let quiet = Duration::from_millis(20);
    wait_for("the keys of two servers of three are served", || {
        clients.retain_mut(|client| client.is_silent(quiet));
        clients.len() <= 25
    });
    let stats: Value = serde_json::from_str(&named.proxy.stats()).expect("JSON");
    for (server, is_served) in [("s0", false), ("s1", true), ("s2", true)] {
        let server = &stats["pool"][server];
        assert_eq!(server["responses"].as_i64() > Some(0), is_served, "{stats}");
        assert_eq!(server["server_err"], 0, "{stats}");
    }
}

#[test]
fn a_name_that_changes_is_told_of_and_left_alone() {
    let servers = need!(two_hosts(), "redis-server");
    let address = format!("cache:{}", servers[0].port());
    let lines = ["dns_refresh: 100", "server_retry_timeout: 100"];
    let named = Named::start("127.0.0.1 cache\n", "127.0.0.1", &[address], &lines);
    let named = need!(named, "unshare --mount");
    let mut client = named.client();
    assert_eq!(client.ask(&["GET", "k"]), ONE);
    named.set_hosts("127.0.0.2 cache\n");
    named.logs(
        "name 'cache' (server 's0' of pool 'pool') no longer leads to 127.0.0.1 but to 127.0.0.2",
    );
    assert_eq!(client.ask(&["GET", "k"]), ONE, "its connection lives");
    assert_eq!(named.stat("name_changes"), 1);
    servers[0]
        .client()
        .ask(&["CLIENT", "KILL", "SKIPME", "yes"]);
    wait_for("the next connection is made to the new address", || {
        client.ask(&["GET", "k"]) == TWO
    });
    named.set_hosts("");
    named.logs("looking up the name 'cache' (server 's0' of pool 'pool') failed");
    servers[1]
        .client()
        .ask(&["CLIENT", "KILL", "SKIPME", "yes"]);
    wait_for("the last good address serves", || {
        client.ask(&["GET", "k"]) == TWO
    });
    assert!(named.stat("name_failures") > 0);
}

#[test]
fn a_name_that_changes_is_followed_on_request() {
    let mut servers = need!(two_hosts(), "redis-server");
    let address = format!("cache:{}", servers[0].port());
    let lines = ["dns_refresh: 100", "dns_follow: true"];
    let named = Named::start("127.0.0.1 cache\n", "127.0.0.1", &[address], &lines);
    let named = need!(named, "unshare --mount");
    let (mut client, mut other) = (named.client(), named.client());
    assert_eq!(client.ask(&["GET", "k"]), ONE);
    named.set_hosts("127.0.0.2 cache\n127.0.0.1 cache\n");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(client.ask(&["GET", "k"]), ONE, "the answer still has it");
    assert_eq!(named.stat("name_changes"), 0);
    // What is under way there is waited for by its client, and by no other.
    servers[0].stop();
    client.command(&[b"GET", b"k"]);
    wait_for("the old host has the request", || {
        named.stat("out_queue") == 1
    });
    named.set_hosts("127.0.0.2 cache\n");
    wait_for("another client is served by the new host", || {
        named.stat("name_changes") == 1
    });
    assert_eq!(other.ask(&["GET", "k"]), TWO);
    client.command(&[b"GET", b"k"]);
    assert!(client.is_silent(Duration::from_millis(100)));
    servers[0].cont();
    assert_eq!(client.exactly(ONE.len()), ONE.as_bytes());
    assert_eq!(client.exactly(TWO.len()), TWO.as_bytes());
    wait_for("the old connection is closed", || {
        named.stat("server_connections") == 1
    });
    assert_eq!(named.stat("server_err") + named.stat("server_eof"), 0);
}

/// Two workers have a connection each; one of them loses it, looks the name up again, and tells the other.
#[test]
fn a_change_that_a_new_connection_notices_is_followed_by_the_others() {
    let servers = need!(two_hosts(), "redis-server");
    let address = [format!("cache:{}", servers[0].port())];
    let lines = ["dns_refresh: 0", "dns_follow: true"];
    let hosts = "127.0.0.1 cache\n";
    let named = Named::start_with(hosts, "127.0.0.1", &address, &lines, &["--workers=2"]);
    let named = need!(named, "unshare --mount");
    let mut clients = [named.client(), named.client()];
    for client in &mut clients {
        assert_eq!(client.ask(&["GET", "k"]), ONE);
    }
    assert_eq!(named.stat("server_connections"), 2);
    named.set_hosts("127.0.0.2 cache\n");
    let mut direct = servers[0].client();
    let connections = direct.ask(&["CLIENT", "LIST"]);
    let first = connections.lines().find(|line| line.contains("cmd=get"));
    let first = first.and_then(|line| line.split(' ').find_map(|it| it.strip_prefix("id=")));
    assert_eq!(
        direct.ask(&["CLIENT", "KILL", "ID", first.expect("an id")]),
        ":1\r\n"
    );
    wait_for("both are served by the new host", || {
        let replies = clients.each_mut().map(|client| client.ask(&["GET", "k"]));
        replies.iter().all(|reply| reply == TWO)
    });
    assert_eq!(named.stat("name_changes"), 1);
    wait_for("nobody is at the old host", || {
        named.stat("server_connections") == 2
    });
    assert_eq!(named.stat("server_err"), 0);
}

#[test]
fn a_host_with_an_address_of_each_family_is_reached_by_the_one_that_works() {
    let server = need!(testkit::redis(), "redis-server");
    let address = format!("cache:{}", server.port());
    let hosts = "::1 cache\n127.0.0.1 cache\n";
    let named = need!(
        Named::start(hosts, "127.0.0.1", &[address], &[]),
        "unshare --mount"
    );
    let mut client = named.client();
    for _ in 0..3 {
        assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
        server.client().ask(&["CLIENT", "KILL", "SKIPME", "yes"]);
        wait_for("the connection is gone", || {
            named.stat("server_connections") == 0
        });
    }
    assert!(
        !named.proxy.stderr().contains("refused"),
        "{}",
        named.proxy.stderr()
    );
}

#[test]
fn the_log_names_the_addresses_that_were_tried_and_those_that_were_not() {
    let port = free_port();
    let address = format!("cache:{port}");
    let hosts = "127.0.0.1 cache\n10.9.8.7 cache\n";
    let named = need!(
        Named::start(hosts, "127.0.0.1", &[address], &[]),
        "unshare --mount"
    );
    assert_eq!(
        named.client().ask(&["GET", "k"]),
        "-ERR Connection refused\r\n"
    );
    named.logs(&format!(
        "connection to server 's0' at 127.0.0.1:{port} closed"
    ));
    named.logs("has several addresses: 127.0.0.1 is used, and not 10.9.8.7");
}

/// Answers questions for a service with these hosts and ports, which are good for a second.
fn serve_names(socket: &UdpSocket, servers: &Mutex<Vec<(&'static str, u16)>>) {
    let mut buffer = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        // Without the record for EDNS.
        let mut message = buffer[..length - 11].to_vec();
        let is_service = message[message.len() - 3] == 33;
        let servers = servers.lock().expect("a list").clone();
        let count = if is_service { servers.len() as u8 } else { 0 };
        (message[2], message[3], message[7], message[11]) = (0x81, 0x80, count, 0);
        for (host, port) in servers.iter().take(count.into()) {
            let length = host.len() as u8;
            let data = 6 + 1 + length + 9;
            message.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 1, 0, data, 0, 1, 0, 1]);
            message.extend(port.to_be_bytes());
            message.push(length);
            message.extend(host.bytes());
            message.extend(b"\x07example\0");
        }
        let _ = socket.send_to(&message, from);
    }
}

#[test]
fn the_servers_of_a_service_are_found_and_followed() {
    let Ok(socket) = UdpSocket::bind("127.0.0.78:53") else {
        testkit::skip!("this user may not listen on port 53");
    };
    let redis = [
        need!(testkit::redis(), "redis-server"),
        need!(testkit::redis(), "redis-server"),
    ];
    let [a, b] = [("a", redis[0].port()), ("b", redis[1].port())];
    let servers: &'static Mutex<_> = Box::leak(Box::new(Mutex::new(vec![a])));
    std::thread::spawn(move || serve_names(&socket, servers));
    let hosts = "127.0.0.1 localhost a.example b.example\n";
    let named = Named::start(hosts, "127.0.0.78", &[], &[]);
    let named = need!(named, "unshare --mount");
    let mut client = named.client();
    assert_eq!(
        client.ask(&["SET", "k", "v"]),
        "+OK\r\n",
        "they are found before anybody is served"
    );
    let has = |name: &str| {
        let stats: Value = serde_json::from_str(&named.proxy.stats()).expect("JSON");
        stats["pool"].get(name).is_some()
    };
    let [name_a, name_b] = [a, b].map(|(host, port)| format!("{host}.example:{port}"));
    assert!(has(&name_a) && !has(&name_b));
    *servers.lock().expect("a list") = vec![b, a];
    wait_for("the other server is found", || has(&name_a) && has(&name_b));
    named.logs(&format!(
        "pool 'pool' has 2 servers now (srv {SERVICE}): added {name_b}"
    ));
    // All of them at once are held back.
    *servers.lock().expect("a list") = vec![("c", 1)];
    named.logs("stay as they are: 2 of 2 are missing in the new list of 1");
    servers.lock().expect("a list").clear();
    named.logs("stay as they are: it lists no server");
    assert!(has(&name_a) && has(&name_b));
}
