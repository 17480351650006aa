//! The admin pages, asked over HTTP: who is answered, and what is bounded.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::free_port;

use crate::need;
use crate::rig::{ALL_COUNTERS, Rig, nuthatch, wait_for};

/// An answer: the line with the status and the headers, in lower case, and the body.
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        let status = self.head.split(' ').nth(1);
        status.and_then(|it| it.parse().ok()).expect("a status")
    }
}

/// Sends `request` to the admin port and reads until its end.
pub(crate) fn send(port: u16, request: &str) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the admin port is open");
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).expect("a time limit");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Answer {
        head: head.to_lowercase(),
        body: body.into(),
    }
}

/// Asks for a page with more lines of header.
pub(crate) fn ask(port: u16, path: &str, lines: &[&str]) -> Answer {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    send(port, &(request + "Connection: close\r\n\r\n"))
}

/// A Redis pool called `pool` with more lines, and its admin port.
pub(crate) fn rig(count: usize, lines: &[&str], args: &[&str]) -> Option<(Rig, u16)> {
    let port = free_port();
    let admin = format!("--admin=127.0.0.1:{port}");
    let args = [&[admin.as_str()], args].concat();
    Some((Rig::redis_with(count, lines, &args)?, port))
}

/// The value of a sample of `/metrics`.
pub(crate) fn sample(port: u16, name: &str) -> f64 {
    let page = ask(port, "/metrics", &[]).body;
    let mut lines = page.lines();
    let line = lines.find_map(|line| line.strip_prefix(&format!("{name} ")));
    let value = line.unwrap_or_else(|| panic!("no {name} in {page}"));
    value.parse().expect("a number")
}

#[test]
fn requests_are_counted_and_an_ejected_server_is_not_ready() {
    let lines = [
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 60000",
        "probe: false",
    ];
    let (mut rig, port) = need!(rig(1, &lines, &[]), "redis-server");
    let key = rig.keys().remove(0);
    let requests = "nuthatch_server_requests_total{pool=\"pool\",server=\"s0\"}";
    let before = sample(port, requests);
    let mut client = rig.client();
    for _ in 0..10 {
        assert_eq!(client.ask(&["GET", &key]), "$1\r\nv\r\n");
    }
    assert!(sample(port, requests) >= before + 10.0);
    let alias = "twemproxy_exporter_server_requests_total{pool=\"pool\",server=\"s0\"}";
    assert!(sample(port, alias) >= before + 10.0);
    let without = ask(port, "/metrics?aliases=none", &[]).body;
    assert!(without.contains(requests) && !without.contains("twemproxy_exporter"));
    let share = "nuthatch_server_key_share_ratio{pool=\"pool\",server=\"s0\"}";
    assert_eq!(sample(port, share), 1.0);
    assert_eq!(ask(port, "/readyz", &[]).status(), 200);

    rig.servers[0].kill();
    wait_for("the server is ejected", || {
        client.ask(&["GET", &key]);
        ask(port, "/readyz", &[]).status() == 503
    });
    let answer = ask(port, "/readyz", &[]);
    assert!(
        answer.body.contains("1 of 1 pools without a live server"),
        "{}",
        answer.body
    );
    assert_eq!(ask(port, "/healthz", &[]).status(), 200);
    let live = "nuthatch_server_live{pool=\"pool\",server=\"s0\"}";
    assert_eq!((sample(port, live), sample(port, share)), (0.0, 0.0));
    let ejects = "nuthatch_pool_server_ejects_total{pool=\"pool\"}";
    assert_eq!(sample(port, ejects), 1.0);
}

#[test]
fn any_pool_can_be_enough_and_a_failover_pool_counts() {
    let lines = [
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "probe: false",
    ];
    let dead = free_port();
    let [first, second, admin] = [free_port(), free_port(), free_port()];
    let server = need!(testkit::redis(), "redis-server");
    let eject = lines.map(|line| format!("  {line}\n")).concat();
    let conf = |failover: &str| {
        format!(
            "a:\n  listen: 127.0.0.1:{first}\n  redis: true\n{eject}{failover}  servers:\n    - 127.0.0.1:{dead}:1\n\
             b:\n  listen: 127.0.0.1:{second}\n  redis: true\n  servers:\n    - {}:1\n",
            server.endpoint()
        )
    };
    let address = format!("--admin=127.0.0.1:{admin}");
    for (failover, when, status) in [
        ("", "all_pools", 503),
        ("", "any_pool", 200),
        ("  failover: b\n", "all_pools", 200),
    ] {
        let when = format!("--admin-ready={when}");
        let _proxy = nuthatch(&[&address, &when], &conf(failover));
        let ejected = "nuthatch_pool_servers_live{pool=\"a\"}";
        let mut client = testkit::Client::to_port(first);
        wait_for("the server is ejected", || {
            client.ask(&["GET", "k"]);
            sample(admin, ejected) == 0.0
        });
        assert_eq!(
            ask(admin, "/readyz", &[]).status(),
            status,
            "{failover} {when}"
        );
    }
}

#[test]
fn it_is_not_ready_while_it_ends() {
    let (mut rig, port) = need!(rig(1, &["timeout: 5000"], &[]), "redis-server");
    let key = rig.keys().remove(0);
    rig.servers[0].stop();
    let mut client = rig.client();
    client.send(format!("GET {key}\r\n").as_bytes());
    thread::sleep(Duration::from_millis(200));
    rig.proxy.signal(testkit::Signal::TERM);
    wait_for("it says so", || ask(port, "/readyz", &[]).status() == 503);
    assert!(ask(port, "/readyz", &[]).body.contains("ending"));
    rig.servers[0].cont();
    assert_eq!(client.line(), b"$1\r\n");
}

#[test]
fn what_is_not_asked_for_properly_is_refused() {
    let (_rig, port) = need!(rig(1, &[], &[]), "redis-server");
    let host = format!("Host: localhost:{port}\r\n");
    let close = "Connection: close\r\n\r\n";
    for (request, status) in [
        (format!("GET /healthz HTTP/1.1\r\n{host}{close}"), 200),
        ("GET /healthz HTTP/1.0\r\n\r\n".into(), 200),
        (format!("GET /nowhere HTTP/1.1\r\n{host}{close}"), 404),
        (
            format!("GET /healthz HTTP/1.1\r\nHost: evil.example:{port}\r\n{close}"),
            421,
        ),
        (
            format!("GET /healthz HTTP/1.1\r\nHost: localhost:1\r\n{close}"),
            421,
        ),
        (format!("GET /healthz HTTP/1.1\r\n{close}"), 421),
        (
            format!("POST /healthz HTTP/1.1\r\n{host}Content-Length: 0\r\n{close}"),
            405,
        ),
        (
            format!("GET /healthz HTTP/1.1\r\n{host}Content-Length: 3\r\n\r\nabc"),
            400,
        ),
        (
            format!(
                "GET /healthz HTTP/1.1\r\n{host}X: {}\r\n{close}",
                "x".repeat(9_000)
            ),
            431,
        ),
        (
            format!(
                "GET /healthz HTTP/1.1\r\n{host}{}{close}",
                "X: x\r\n".repeat(100)
            ),
            431,
        ),
        ("\0\u{1}nonsense\r\n\r\n".into(), 400),
    ] {
        let answer = send(port, &request);
        let shown = &request[..request.len().min(120)];
        assert_eq!(answer.status(), status, "{shown:?}: {}", answer.head);
        let is_hypers_own = [400, 431].contains(&status) && answer.body.is_empty();
        for line in [
            "nosniff",
            "no-referrer",
            "x-frame-options: deny",
            "default-src 'none'",
        ] {
            assert!(
                is_hypers_own || answer.head.contains(line),
                "{}",
                answer.head
            );
        }
    }
    let head = send(port, &format!("HEAD /metrics HTTP/1.1\r\n{host}{close}"));
    assert_eq!((head.status(), head.body.as_str()), (200, ""));
    assert!(!head.head.contains("content-length: 0"), "{}", head.head);
}

#[test]
fn a_token_is_asked_for_but_for_health_checks() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("token");
    std::fs::write(&file, "open sesame\n").expect("the file");
    let option = format!("--admin-token-file={}", file.display());
    let (_rig, port) = need!(rig(1, &[], &[&option]), "redis-server");
    assert_eq!(ask(port, "/healthz", &[]).status(), 200);
    assert_eq!(ask(port, "/readyz", &[]).status(), 200);
    let refused = ask(port, "/metrics", &[]);
    assert_eq!(refused.status(), 401);
    assert!(
        refused.head.contains("www-authenticate: basic"),
        "{}",
        refused.head
    );
    let wrong = ["Authorization: Bearer open"];
    assert_eq!(ask(port, "/metrics", &wrong).status(), 401);
    let right = ["Authorization: Bearer open sesame"];
    for page in ["/metrics", "/hotkeys", "/clients", "/clients?by=name"] {
        assert_eq!(ask(port, page, &[]).status(), 401, "{page}");
        assert_eq!(ask(port, page, &right).status(), 200, "{page}");
    }
}

#[test]
fn connections_that_ask_nothing_and_readers_that_do_not_read_end() {
    let (rig, port) = need!(rig(1, &[], &[]), "redis-server");
    let begin = Instant::now();
    // More than there may be at a time.
    let silent: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).expect("it is accepted by the kernel"))
        .collect();
    assert_eq!(ask(port, "/healthz", &[]).status(), 200);
    assert!(begin.elapsed() < Duration::from_secs(15));
    drop(silent);
    // One that asks and asks and never reads costs no more than its sockets hold.
    let mut deaf = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    deaf.set_write_timeout(Some(Duration::from_millis(500)))
        .expect("a limit");
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n").repeat(100);
    let before = crate::rig::resident(rig.proxy.pid());
    while deaf.write_all(request.as_bytes()).is_ok() {}
    let grown = crate::rig::resident(rig.proxy.pid()).saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes more");
    assert_eq!(ask(port, "/healthz", &[]).status(), 200);
}

#[test]
fn as_nutcracker_only_a_file_opens_the_port() {
    let dir = tempfile::tempdir().expect("a folder");
    let called = dir.path().join("nutcracker");
    std::os::unix::fs::symlink(crate::rig::BIN, &called).expect("a link");
    let [port, listen] = [free_port(), free_port()];
    let pool = format!("p:\n  listen: 127.0.0.1:{listen}\n  servers:\n    - 127.0.0.1:1:1\n");
    let address = format!("127.0.0.1:{port}");
    let proxy = testkit::nuthatch(
        &called,
        &[],
        &format!("{pool}nuthatch:\n  admin: {address}\n"),
    );
    assert_eq!(ask(port, "/healthz", &[]).status(), 200);
    drop(proxy);
    let mut command = std::process::Command::new(&called);
    command.args([&format!("--admin={address}"), "-t"]);
    let refused = command.output().expect("it runs");
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.starts_with("nutcracker: option --admin is not taken"),
        "{said}"
    );
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port();
    let dir = tempfile::tempdir().expect("a folder");
    let conf = dir.path().join("n.yml");
    let pool = "p:\n  listen: 127.0.0.1:1\n  servers:\n    - 127.0.0.1:2:1\n";
    std::fs::write(&conf, pool).expect("the file");
    let mut command = std::process::Command::new(crate::rig::BIN);
    command
        .arg("-c")
        .arg(&conf)
        .args(["-a", "127.0.0.1", "-s", &free_port().to_string()]);
    command.args([ALL_COUNTERS, &format!("--admin=127.0.0.1:{port}")]);
    let done = command.output().expect("it runs");
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let expected =
        format!("cannot listen on '127.0.0.1:{port}' for the admin pages: Address already in use");
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn the_json_pages_agree_with_the_statistics_and_hide_secrets() {
    let server = testkit::redis_with(&["--requirepass", "hush-hush"]);
    let server = need!(server, "redis-server");
    let port = free_port();
    let admin = format!("--admin=127.0.0.1:{port}");
    let lines = ["redis_auth: hush-hush", "timeout: 700"];
    let rig = Rig::before_redis(vec![server], &lines, &[&admin]);
    let mut client = rig.client();
    assert_eq!(client.ask(&["AUTH", "hush-hush"]), "+OK\r\n");
    for _ in 0..10 {
        assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
    }
    let page = |path: &str| {
        let answer = ask(port, path, &[]);
        assert_eq!(answer.status(), 200, "{path}");
        assert!(
            answer.head.contains("content-type: application/json"),
            "{path}"
        );
        assert!(!answer.body.contains("hush-hush"), "{path}");
        let json: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        json
    };
    let servers = page("/servers");
    let pool = &servers["pools"][0];
    assert_eq!(
        (&pool["name"], &pool["protocol"]),
        (&"pool".into(), &"redis".into())
    );
    assert_eq!(pool["listen"], format!("127.0.0.1:{}", rig.port));
    assert_eq!(
        (&pool["ready"], &servers["readiness"]),
        (&true.into(), &"ready".into())
    );
    let server = &pool["servers"][0];
    assert_eq!(
        (&server["live"], &server["key_share"]),
        (&true.into(), &1.0.into())
    );
    assert_eq!(server["address"], rig.servers[0].endpoint().to_string());
    let stats = &page("/stats")["pool"];
    for name in ["requests", "responses", "server_connections"] {
        assert_eq!(server["counters"][name], stats["s0"][name], "{name}");
    }
    assert_eq!(pool["counters"]["client_total"], stats["client_total"]);

    let config = page("/config");
    let settings = &config["pools"]["pool"];
    assert_eq!(settings["redis_auth"], "********");
    assert_eq!(
        (&settings["timeout"], &settings["hash"]),
        (&700.into(), &"fnv1a_64".into())
    );
    assert_eq!(config["nuthatch"]["admin"], format!("127.0.0.1:{port}"));

    wait_for("the first sample", || page("/history")["taken"] == 1);
    let history = page("/history");
    assert_eq!(history["series"][1]["server"], "s0");
    assert_eq!(
        history["series"][1]["points"].as_array().map(Vec::len),
        Some(1)
    );
    let none = &page("/history?after=1")["series"][0]["points"];
    assert_eq!(none.as_array().map(Vec::len), Some(0));
}

#[test]
fn proxies_that_place_keys_alike_have_the_same_ring() {
    let ring = |servers: &[&str], listen: u16| {
        let admin = free_port();
        let conf: String = servers.iter().map(|line| format!("  - {line}\n")).collect();
        let conf =
            format!("pool:\n  listen: 127.0.0.1:{listen}\n  redis: true\n  servers:\n{conf}");
        let _proxy = nuthatch(&[&format!("--admin=127.0.0.1:{admin}")], &conf);
        let pools: Value = serde_json::from_str(&ask(admin, "/servers", &[]).body).expect("JSON");
        let ring = pools["pools"][0]["ring"].as_str().expect("a digest");
        let metrics = ask(admin, "/metrics", &[]).body;
        let line = format!("nuthatch_pool_ring_info{{pool=\"pool\",digest=\"{ring}\"}} 1\n");
        assert!(metrics.contains(&line), "{metrics}");
        ring.to_owned()
    };
    let two = ["127.0.0.1:1:1 a", "127.0.0.1:2:1 b"];
    let first = ring(&two, free_port());
    assert_eq!(first, ring(&[two[1], two[0]], free_port()));
    assert_ne!(first, ring(&[two[0], "127.0.0.1:2:2 b"], free_port()));
}
