//! Load balancers tell whom they connect: HAProxy, and headers byte by byte.

use std::time::Duration;

use testkit::{Client, Process, Tool, free_port};

use crate::need;
use crate::rig::{Rig, nuthatch, pool, text, wait_for};

/// The address that the proxy takes for that of a client.
fn address(client: &mut Client) -> String {
    let info = client.ask(&["CLIENT", "INFO"]);
    let word = info.split(' ').find_map(|word| word.strip_prefix("addr="));
    word.unwrap_or_else(|| panic!("no address in {info:?}"))
        .to_owned()
}

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 6379\r\n";

#[test]
fn clients_behind_haproxy_are_seen_with_their_own_addresses() {
    let haproxy = need!(Tool::find("haproxy"), "haproxy");
    let rig = need!(
        Rig::redis(1, &["proxy_protocol: 127.0.0.1"]),
        "redis-server"
    );
    for version in ["send-proxy", "send-proxy-v2"] {
        let front = free_port();
        let conf = format!(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
             listen l\n  bind 127.0.0.1:{front}\n  server s 127.0.0.1:{} {version} check\n",
            rig.port
        );
        let file = rig.proxy.dir().join("haproxy.cfg");
        std::fs::write(&file, conf).expect("a file");
        let mut command = haproxy.command();
        command.arg("-f").arg(&file).arg("-db");
        let _haproxy = Process::spawn(command);
        let mut seen = None;
        wait_for("haproxy serves", || {
            let endpoint = testkit::Endpoint::loopback(front);
            seen = Client::try_connect(&endpoint).ok();
            seen.is_some()
        });
        let mut client = seen.expect("a client");
        let own = client.local_address();
        assert_eq!(address(&mut client), own, "{version}");
        assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
    }
    assert!(
        !rig.proxy.stderr().contains("handshake"),
        "checks are no errors: {}",
        rig.proxy.stderr()
    );
}

#[test]
fn the_header_may_come_in_pieces_and_with_requests() {
    let rig = need!(
        Rig::redis(1, &["proxy_protocol: 10.0.0.0/8 127.0.0.0/8"]),
        "redis-server"
    );
    let mut client = rig.client();
    client.send(&[HEADER, b"*1\r\n$4\r\nPING\r\n"].concat());
    assert_eq!(text(&client.line()), "+PONG\r\n");
    assert_eq!(address(&mut client), "192.0.2.1:4711");
    let mut client = rig.client();
    for byte in HEADER {
        client.send(&[*byte]);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(address(&mut client), "192.0.2.1:4711");
}

#[test]
fn who_has_to_send_a_header_and_does_not_is_closed() {
    let rig = need!(
        Rig::redis(1, &["proxy_protocol: 127.0.0.1"]),
        "redis-server"
    );
    let mut client = rig.client();
    client.command(&[b"PING"]);
    assert_eq!(text(&client.rest()), "");
    wait_for("the log tells", || {
        rig.proxy
            .stderr()
            .contains("it does not begin with a header of the PROXY protocol")
    });
}

#[test]
fn a_header_from_elsewhere_is_no_header() {
    let rig = need!(
        Rig::redis(1, &["proxy_protocol: 10.0.0.0/8"]),
        "redis-server"
    );
    let mut client = rig.client();
    client.send(HEADER);
    assert!(text(&client.line()).starts_with("-ERR unknown command 'PROXY'"));
    assert_eq!(address(&mut client), client.local_address());
}

#[test]
fn clients_of_a_unix_socket_may_have_one() {
    let server = need!(testkit::redis(), "redis-server");
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("s");
    let lines = ["redis: true", "proxy_protocol: unix"];
    let conf = pool(
        "p",
        &socket.display().to_string(),
        &[server.endpoint()],
        &lines,
    );
    let _proxy = nuthatch(&[], &conf);
    let mut client = Client::connect(&testkit::Endpoint::Unix(socket));
    client.send(HEADER);
    assert_eq!(address(&mut client), "192.0.2.1:4711");
}
