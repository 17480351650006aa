//! The configuration is replaced while clients are served: by `nuthatch ctl reload`, by a signal, and because its file has
//! changed.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use testkit::{Client, Endpoint, Proxy, Server, Signal, eventually, free_port};

use crate::need;
use crate::rig::{ALL_COUNTERS, BIN, TIME_LIMIT, pool, text, wait_for};

/// A proxy with a control socket.
struct Live {
    proxy: Proxy,
    socket: PathBuf,
    /// Keeps the socket's directory.
    _dir: tempfile::TempDir,
}

/// What `nuthatch ctl` said.
struct Said {
    out: String,
    err: String,
    ok: bool,
}

impl Live {
    fn start(conf: &str) -> Live {
        Live::start_with(BIN, conf, &[])
    }

    fn start_with(bin: &str, conf: &str, args: &[&str]) -> Live {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let socket = dir.path().join("control.sock");
        let path = socket.to_str().expect("its path is text").to_owned();
        let args = [&["--control", &path, ALL_COUNTERS], args].concat();
        let proxy = testkit::nuthatch(bin.as_ref(), &args, conf);
        Live {
            proxy,
            socket,
            _dir: dir,
        }
    }

    fn ctl(&self, args: &[&str]) -> Said {
        let mut command = Command::new(BIN);
        command.arg("ctl").arg("--control").arg(&self.socket);
        let Output {
            status,
            stdout,
            stderr,
        } = command.args(args).output().expect("the program can be run");
        Said {
            out: text(&stdout),
            err: text(&stderr),
            ok: status.success(),
        }
    }

    /// Writes another file and has it put in force.
    fn reload(&self, conf: &str) -> String {
        std::fs::write(self.proxy.conf(), conf).expect("the file can be written");
        let said = self.ctl(&["reload"]);
        assert!(said.ok, "{}", said.err);
        said.out
    }

    fn status(&self) -> Value {
        let said = self.ctl(&["status", "--json"]);
        serde_json::from_str(&said.out).expect("the answer is JSON")
    }

    fn state_of(&self, pool: usize, server: usize) -> String {
        let status = self.status();
        let state = &status["pools"][pool]["servers"][server]["state"];
        state.as_str().expect("it has a state").to_owned()
    }
}

fn at(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn redis_pool(name: &str, port: u16, servers: &[&Server], lines: &[&str]) -> String {
    let endpoints: Vec<&Endpoint> = servers.iter().map(|server| server.endpoint()).collect();
    let lines = [&["redis: true"], lines].concat();
    pool(name, &at(port), &endpoints, &lines)
}

/// The number of keys of 1,000 that a server has.
fn keys_at(server: &Server) -> i64 {
    let reply = server.client().ask(&["DBSIZE"]);
    reply
        .trim_start_matches(':')
        .trim_end()
        .parse()
        .expect("a number")
}

#[test]
fn a_server_comes_and_goes_and_no_client_notices() {
    let servers = [testkit::redis(), testkit::redis(), testkit::redis()];
    let servers = need!(
        servers.into_iter().collect::<Option<Vec<_>>>(),
        "redis-server"
    );
    let [a, b, c] = &servers[..] else {
        unreachable!()
    };
    let port = free_port();
    let two = redis_pool("pool", port, &[a, b], &["timeout: 5000"]);
    let live = Live::start_with(BIN, &two, &["--workers", "2"]);
    let mut clients: Vec<Client> = (0..4).map(|_| Client::to_port(port)).collect();
    let store_all = |clients: &mut Vec<Client>| {
        for number in 0..1_000 {
            let client = &mut clients[number % 4];
            let key = format!("key:{number}");
            assert_eq!(client.ask(&["SET", &key, "v"]), "+OK\r\n");
        }
    };
    store_all(&mut clients);
    assert_eq!(keys_at(a) + keys_at(b), 1_000);
    let (before_a, before_b) = (keys_at(a), keys_at(b));

    let three = redis_pool("pool", port, &[a, b, c], &["timeout: 4000"]);
    std::fs::write(live.proxy.conf(), &three).unwrap();
    let dry = live.ctl(&["reload", "--dry-run"]);
    assert!(dry.out.contains("+ server s2") && dry.out.contains("timeout: 5000 -> 4000"));
    store_all(&mut clients);
    assert_eq!(keys_at(c), 0, "nothing has changed yet");

    let said = live.reload(&three);
    let (settings, keys) = dry.out.split_once("    keys: ").expect("keys move");
    assert_eq!(said, settings);
    assert!(
        keys.contains("% move\n") && keys.contains("% s0 -> s2\n"),
        "{keys}"
    );
    store_all(&mut clients);
    let output = Command::new(BIN)
        .args(["locate", "--json", "-c"])
        .arg(live.proxy.conf())
        .args((0..1_000).map(|number| format!("key:{number}")))
        .output()
        .unwrap();
    let expected = text(&output.stdout).matches("\"server\": \"s2\"").count();
    assert!(expected > 0 && keys_at(c) == expected as i64, "{expected}");
    // Consistent hashing: no key has moved between the servers that were there.
    assert_eq!((keys_at(a), keys_at(b)), (before_a, before_b));
    assert_eq!(
        live.status()["pools"][0]["servers"]
            .as_array()
            .unwrap()
            .len(),
        3
    );

    live.reload(&two);
    let at_third = keys_at(c);
    store_all(&mut clients);
    assert_eq!(keys_at(c), at_third);
    wait_for("connections to the removed server are closed", || {
        let list = c.client().ask(&["CLIENT", "LIST"]);
        list.matches("id=").count() == 1
    });
    assert_eq!(live.status()["reloads"]["done"], 2);
    wait_for("it is logged", || {
        let log = live.proxy.stderr();
        log.contains("reloaded the configuration: pools changed: pool")
    });
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let server = need!(testkit::redis(), "redis-server");
    let port = free_port();
    let good = redis_pool("pool", port, &[&server], &[]);
    let live = Live::start(&good);
    let mut client = Client::to_port(port);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port();
    let other = free_port();
    let bad = [
        (good.replace("redis: true", "redis: maybe"), "`redis`"),
        (good.clone() + "x: y\n", "`x` must be a mapping"),
        // The first new socket can be opened, the second cannot: the first is closed again.
        (
            good.clone()
                + &redis_pool("first", other, &[&server], &[])
                + &redis_pool("second", taken, &[&server], &[]),
            "pool 'second' cannot listen on",
        ),
    ];
    for (conf, reason) in bad {
        std::fs::write(live.proxy.conf(), conf).unwrap();
        let said = live.ctl(&["reload"]);
        assert!(!said.ok && said.err.contains(reason), "{}", said.err);
        assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
        let status = live.status();
        assert_eq!(status["pools"].as_array().unwrap().len(), 1);
        let error = status["reloads"]["last_error"].as_str().unwrap();
        assert!(!error.is_empty());
        wait_for("it is logged", || live.proxy.stderr().contains(error));
    }
    assert!(Client::try_connect(&Endpoint::loopback(other)).is_err());
    assert_eq!(live.status()["reloads"]["refused"], 3);
    live.reload(&good);
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
}

#[test]
fn pools_come_and_go_and_take_over_sockets() {
    let servers = [testkit::redis(), testkit::redis()];
    let servers = need!(
        servers.into_iter().collect::<Option<Vec<_>>>(),
        "redis-server"
    );
    let memcached = need!(testkit::memcached(), "memcached");
    let [a, b] = &servers[..] else { unreachable!() };
    let (first, second) = (free_port(), free_port());
    let live = Live::start(&redis_pool("one", first, &[a], &[]));
    let mut of_one = Client::to_port(first);
    assert_eq!(of_one.ask(&["SET", "k", "a"]), "+OK\r\n");
    b.client().ask(&["SET", "k", "b"]);

    // Another pool gets the address, and the first goes elsewhere with its clients.
    live.reload(&(redis_pool("one", second, &[a], &[]) + &redis_pool("two", first, &[b], &[])));
    assert_eq!(of_one.ask(&["GET", "k"]), "$1\r\na\r\n");
    assert_eq!(Client::to_port(second).ask(&["GET", "k"]), "$1\r\na\r\n");
    let mut of_two = Client::to_port(first);
    assert_eq!(of_two.ask(&["GET", "k"]), "$1\r\nb\r\n");

    // A removed pool's clients are closed, once they are answered: this one waits for a list.
    let mut waiting = Client::to_port(first);
    waiting.command(&[b"BLPOP", b"list", b"0"]);
    wait_for("it waits", || {
        b.client()
            .ask(&["INFO", "clients"])
            .contains("blocked_clients:1")
    });
    live.reload(&redis_pool("one", second, &[a], &[]));
    assert_eq!(of_two.rest(), b"");
    assert!(Client::try_connect(&Endpoint::loopback(first)).is_err());
    waiting.rest();
    assert_eq!(of_one.ask(&["GET", "k"]), "$1\r\na\r\n");

    // The pool speaks another protocol: that is another pool in its place.
    let lines = ["redis: false"];
    let conf = pool("one", &at(second), &[memcached.endpoint()], &lines);
    assert!(live.reload(&conf).contains("another protocol"));
    assert_eq!(of_one.rest(), b"");
    let mut client = Client::to_port(second);
    client.send(b"set k 0 0 1\r\nv\r\n");
    assert_eq!(client.line(), b"STORED\r\n");
    wait_for("nothing is left of the other pools", || {
        let stats: Value = serde_json::from_str(&live.proxy.stats()).unwrap();
        // The listening socket, the client, and its server's connection.
        stats["curr_connections"] == 3
    });
}

#[test]
fn a_pool_that_comes_to_share_an_address_gets_clients_too() {
    let servers = [testkit::redis(), testkit::redis()];
    let servers = need!(
        servers.into_iter().collect::<Option<Vec<_>>>(),
        "redis-server"
    );
    let [a, b] = &servers[..] else { unreachable!() };
    a.client().ask(&["SET", "k", "a"]);
    b.client().ask(&["SET", "k", "b"]);
    let port = free_port();
    let one = redis_pool("one", port, &[a], &["reuseport: true"]);
    let live = Live::start(&one);
    let two = redis_pool("two", port, &[b], &["reuseport: true"]);
    // The same address in another spelling.
    live.reload(&(one + &two.replace("127.0.0.1:", "localhost:")));
    wait_for("the system has given a client to the new pool", || {
        Client::to_port(port).ask(&["GET", "k"]) == "$1\r\nb\r\n"
    });
    wait_for("the system has given a client to the old pool", || {
        Client::to_port(port).ask(&["GET", "k"]) == "$1\r\na\r\n"
    });
}

#[test]
fn limits_and_global_settings_follow() {
    let server = need!(testkit::redis(), "redis-server");
    let port = free_port();
    let conf = |lines: &[&str], globals: &str| {
        redis_pool("pool", port, &[&server], lines) + "nuthatch:\n" + globals
    };
    let live = Live::start(&conf(&["client_connections: 1"], "  max_memory: 64m\n"));
    // The connection that found out that it listens may still be there.
    let mut first = eventually(TIME_LIMIT, || {
        let mut client = Client::to_port(port);
        (client.ask(&["PING"]) == "+PONG\r\n").then_some(client)
    });
    let first = first.as_mut().expect("there is room for one");
    assert_eq!(first.ask(&["PING"]), "+PONG\r\n");
    assert_eq!(
        Client::to_port(port).rest(),
        b"-ERR max number of clients reached\r\n"
    );
    let said = live.reload(&conf(
        &["client_connections: 2"],
        "  max_memory: 32m\n  workers: 3\n",
    ));
    assert!(said.contains("max_memory: 67108864 -> 33554432"), "{said}");
    assert!(
        said.contains("! workers: 1 -> 3 (only at the next start)"),
        "{said}"
    );
    let mut second = Client::to_port(port);
    assert_eq!(second.ask(&["PING"]), "+PONG\r\n");
    let limits = second.ask(&["CONFIG", "GET", "max*"]);
    assert!(limits.contains("33554432"), "{limits}");
    live.reload(&conf(&["client_connections: 2"], "  max_clients: 2\n"));
    assert_eq!(
        Client::to_port(port).rest(),
        b"-ERR max number of clients reached\r\n"
    );
}

#[test]
fn drained_servers_get_nothing_until_they_are_undrained() {
    let servers = [testkit::redis(), testkit::redis()];
    let servers = need!(
        servers.into_iter().collect::<Option<Vec<_>>>(),
        "redis-server"
    );
    let [a, b] = &servers[..] else { unreachable!() };
    let port = free_port();
    let conf = redis_pool("pool", port, &[a, b], &[]);
    let live = Live::start_with(BIN, &conf, &["--workers", "2"]);
    let mut client = Client::to_port(port);
    let said = live.ctl(&["drain", "s1"]);
    assert_eq!(said.out, "server 's1' of pool 'pool' is drained\n");
    let mut store = |from: usize| {
        for number in from..from + 200 {
            let key = format!("key:{number}");
            assert_eq!(client.ask(&["SET", &key, "v"]), "+OK\r\n");
        }
    };
    store(0);
    assert_eq!((keys_at(a), keys_at(b)), (200, 0));
    // Neither another address nor another reload puts it back.
    live.reload(&redis_pool("pool", port, &[a, b], &["timeout: 4000"]));
    live.reload(&redis_pool("pool", port, &[b, a], &[]));
    assert_eq!(live.state_of(0, 1), "drained");
    live.reload(&conf);
    store(200);
    assert_eq!((keys_at(a), keys_at(b)), (400, 0));
    for (args, reason) in [
        (&["drain", "s0"][..], "the last server in use"),
        (&["drain", "s7"], "there is no server 's7'"),
        (
            &["drain", "s0", "--pool", "poll"],
            "there is no pool 'poll'; is 'pool' meant?",
        ),
        (&["eject", "s0"], "auto_eject_hosts: false"),
    ] {
        let said = live.ctl(args);
        assert!(!said.ok && said.err.contains(reason), "{}", said.err);
    }
    assert_eq!(
        live.ctl(&["undrain", "s1"]).out,
        "server 's1' of pool 'pool' is live\n"
    );
    store(400);
    assert!(keys_at(b) > 20);
}

#[test]
fn ejected_servers_come_back_by_themselves_or_when_told() {
    let servers = [testkit::redis(), testkit::redis()];
    let servers = need!(
        servers.into_iter().collect::<Option<Vec<_>>>(),
        "redis-server"
    );
    let [a, b] = &servers[..] else { unreachable!() };
    let port = free_port();
    let lines = ["auto_eject_hosts: true", "server_retry_timeout: 60000"];
    let conf = |lines: &[&str]| redis_pool("pool", port, &[a, b], lines);
    let live = Live::start(&conf(&lines));
    assert_eq!(
        live.ctl(&["eject", "s0"]).out,
        "server 's0' of pool 'pool' is ejected\n"
    );
    let mut client = Client::to_port(port);
    for number in 0..100 {
        assert_eq!(client.ask(&["SET", &format!("k{number}"), "v"]), "+OK\r\n");
    }
    assert_eq!(keys_at(a), 0);
    assert_eq!(
        live.ctl(&["admit", "s0"]).out,
        "server 's0' of pool 'pool' is live\n"
    );
    live.reload(&conf(&[
        "auto_eject_hosts: true",
        "server_retry_timeout: 200",
    ]));
    live.ctl(&["eject", "s0"]);
    assert_eq!(live.state_of(0, 0), "ejected");
    wait_for("its probe is answered", || live.state_of(0, 0) == "live");
}

#[test]
fn sigusr1_reloads_under_our_own_name_only() {
    let server = need!(testkit::redis(), "redis-server");
    let (first, second) = (free_port(), free_port());
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("nutcracker");
    std::os::unix::fs::symlink(BIN, &link).unwrap();
    let conf = |port: u16, more: &str| redis_pool("pool", port, &[&server], &[]) + more;
    let signals = "nuthatch:\n  signals: true\n";
    for (bin, more, reloads) in [
        (BIN, "", true),
        (link.to_str().unwrap(), "", false),
        (link.to_str().unwrap(), signals, true),
    ] {
        let mut live = Live::start_with(bin, &conf(first, more), &[]);
        std::fs::write(live.proxy.conf(), conf(second, more)).unwrap();
        live.proxy.signal(Signal::USR1);
        wait_for("the signal is logged", || {
            live.proxy
                .stderr()
                .contains("signal 10 (SIGUSR1) received\n")
        });
        match reloads {
            true => wait_for("it listens elsewhere", || {
                Client::try_connect(&Endpoint::loopback(second)).is_ok()
            }),
            false => {
                // Whatever the signal did is done before this is answered.
                assert_eq!(live.status()["reloads"]["done"], 0);
                assert!(Client::try_connect(&Endpoint::loopback(second)).is_err());
            }
        }
    }
}

#[test]
fn a_watched_file_is_reloaded_when_it_is_complete() {
    let server = need!(testkit::redis(), "redis-server");
    let (first, second) = (free_port(), free_port());
    let conf = |port: u16| redis_pool("pool", port, &[&server], &[]);
    let live = Live::start_with(BIN, &conf(first), &["--watch=true"]);
    let next = live.proxy.dir().join("next.yml");
    std::fs::write(&next, conf(second)).unwrap();
    std::fs::rename(next, live.proxy.conf()).unwrap();
    wait_for("it listens elsewhere", || {
        Client::try_connect(&Endpoint::loopback(second)).is_ok()
    });
    std::fs::write(live.proxy.conf(), "pool: [").unwrap();
    wait_for("the error is in the log", || {
        live.proxy
            .stderr()
            .contains("the configuration was not reloaded")
    });
    assert_eq!(Client::to_port(second).ask(&["PING"]), "+PONG\r\n");
}

#[test]
fn the_control_socket_is_its_owners_and_goes_with_the_process() {
    let server = need!(testkit::redis(), "redis-server");
    let conf = redis_pool("pool", free_port(), &[&server], &[]);
    let mut live = Live::start(&conf);
    let mode = std::fs::metadata(&live.socket)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // What is no request gets an error, and disturbs nobody.
    for line in ["", "\n", "{\n", "{\"command\":\"explode\"}\n", "[]\n"] {
        let mut client = Client::connect(&Endpoint::Unix(live.socket.clone()));
        client.send(line.as_bytes());
        client.shut_write();
        let answer = text(&client.rest());
        assert!(answer.starts_with("{\"ok\":false"), "{line:?}: {answer}");
    }
    // Silent connections take all places, but not for long.
    let silent: Vec<Client> = (0..16)
        .map(|_| Client::connect(&Endpoint::Unix(live.socket.clone())))
        .collect();
    wait_for("a place is free", || live.ctl(&["status"]).ok);
    drop(silent);
    assert!(
        live.ctl(&["log-level", "7"])
            .out
            .contains("level of the log is 7")
    );
    let document = live.ctl(&["stats"]).out;
    assert!(
        document.starts_with("{\"service\":\"nutcracker\""),
        "{document}"
    );
    assert_eq!(live.ctl(&["shutdown"]).out, "shutting down\n");
    assert_eq!(
        live.proxy.wait_exit(Duration::from_secs(15)).code(),
        Some(0)
    );
    assert!(!live.socket.exists());
    let said = live.ctl(&["status"]);
    assert!(!said.ok && said.err.contains("no answer from the control socket"));
}
