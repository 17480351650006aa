//! A process that another one takes the place of, under clients that must not notice it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use testkit::{Client, Endpoint, Process, Server, free_port};

use crate::latency::ctl;
use crate::need;
use crate::rig::{BIN, TIME_LIMIT, pool, wait_for};
use crate::tool::Done;

/// A proxy that is replaced again and again. Whichever process serves at last is killed when this is dropped.
struct Seat {
    dir: tempfile::TempDir,
    port: u16,
    stats: u16,
    proxy: Process,
}

impl Seat {
    /// Starts the program called `name` in a folder of its own, with one pool on TCP and one on a unix socket.
    fn start(name: &str, servers: &[&Endpoint], lines: &[&str], args: &[&str]) -> Self {
        Self::start_with("", name, servers, lines, args)
    }

    /// The same with more lines in its configuration.
    fn start_with(
        more: &str,
        name: &str,
        servers: &[&Endpoint],
        lines: &[&str],
        args: &[&str],
    ) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (port, stats) = (free_port(), free_port());
        fs::copy(BIN, dir.path().join("program")).expect("a file");
        symlink("program", dir.path().join(name)).expect("a link");
        let unix = dir.path().join("pool.sock");
        let lines = [&["redis: true"], lines].concat();
        let conf = pool("pool", &format!("127.0.0.1:{port}"), servers, &lines)
            + &pool("unix", &format!("{} 0600", unix.display()), servers, &lines)
            + more;
        fs::write(dir.path().join("n.yml"), conf).expect("a file");
        let mut command = Command::new(dir.path().join(name));
        command.current_dir(dir.path());
        command.args(["-c", "n.yml", "-a", "127.0.0.1", "-p", "pid", "-o", "log"]);
        command.arg("-s").arg(stats.to_string()).args(args);
        let seat = Self {
            proxy: Process::spawn(command),
            dir,
            port,
            stats,
        };
        wait_for("it serves", || seat.try_ask(&["PING"]).is_some());
        seat
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).expect("a log")
    }

    fn pid(&self) -> u32 {
        let read = || fs::read_to_string(self.path("pid")).ok()?.parse().ok();
        // It may be written just now.
        let pid = testkit::eventually(TIME_LIMIT, || read().filter(|pid| is_running(*pid)));
        pid.expect("a pid file with a process")
    }

    fn try_ask(&self, words: &[&str]) -> Option<String> {
        let mut client = Client::try_connect(&Endpoint::loopback(self.port)).ok()?;
        Some(client.ask(words))
    }

    fn ctl(&self, words: &[&str]) -> Done {
        ctl(&self.path("control"), words)
    }

    fn status(&self) -> Value {
        let done = self.ctl(&["--json", "status"]);
        serde_json::from_str(&done.stdout).expect("JSON")
    }

    /// The state of a server as `ctl status` has it.
    fn state(&self, server: usize) -> String {
        let state = &self.status()["pools"][0]["servers"][server]["state"];
        state.as_str().expect("a state").to_owned()
    }

    /// Replaces the process, and waits until the old one is gone.
    fn upgrade(&self) -> u32 {
        let old = self.pid();
        let done = self.ctl(&["upgrade"]);
        assert_eq!(done.status, Some(0), "{}: {}", done.stderr, self.log());
        wait_for("the old process ends", || !is_running(old));
        wait_for("the pid file changes hands", || self.pid() != old);
        self.pid()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Ok(text) = fs::read_to_string(self.path("pid"))
            && let Some(pid) = text.parse().ok().and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Whether a process runs; one that nobody has waited for does not.
fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|it| it.chars().next());
    state.is_some_and(|it| it != 'Z')
}

fn servers(count: usize) -> Option<Vec<Server>> {
    (0..count).map(|_| testkit::redis()).collect()
}

/// A client that increments a counter of its own, and connects again when it is closed between two requests. Whatever else
/// happens to it is an error.
fn count_up(port: u16, key: &str, stop: &AtomicBool, closed: &AtomicU64) {
    let request = format!("*2\r\n$4\r\nINCR\r\n${}\r\n{key}\r\n", key.len());
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("nobody is refused");
        stream.set_read_timeout(Some(TIME_LIMIT)).expect("a socket");
        stream
    };
    let (mut stream, mut expected) = (connect(), 1);
    while !stop.load(Ordering::Relaxed) {
        let reply = match stream.write_all(request.as_bytes()) {
            Ok(()) => line(&mut stream),
            Err(_) => String::new(),
        };
        if reply.is_empty() {
            // Nothing of a reply: the request crossed the end of the connection and was not carried out.
            closed.fetch_add(1, Ordering::Relaxed);
            stream = connect();
            continue;
        }
        assert_eq!(reply, format!(":{expected}\r\n"), "{key}");
        expected += 1;
    }
}

/// A line; what there is of it if the connection ends.
fn line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        line.push(byte[0]);
    }
    String::from_utf8_lossy(&line).into_owned()
}

#[test]
fn ten_upgrades_in_a_row_lose_nothing_and_refuse_nobody() {
    let servers = need!(servers(2), "redis-server");
    let endpoints: Vec<_> = servers.iter().map(Server::endpoint).collect();
    // Who has just connected is served until the end of this time: long enough to send a request on a busy machine.
    let args = ["--control=control", "--upgrade-drain=400"];
    let mut seat = Seat::start("nuthatch", &endpoints, &[], &args);
    let (stop, closed) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut pids = vec![seat.pid()];
    thread::scope(|scope| {
        for number in 0..4 {
            let (port, stop, closed) = (seat.port, &stop, &closed);
            scope.spawn(move || count_up(port, &format!("counter:{number}"), stop, closed));
        }
        // Clients that come and go at any moment.
        let (port, stop) = (seat.port, &stop);
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(Client::to_port(port).ask(&["PING"]), "+PONG\r\n");
            }
        });
        for _ in 0..10 {
            pids.push(seat.upgrade());
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(closed.load(Ordering::Relaxed) > 0, "nobody was closed");
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 11);
    assert_eq!(seat.proxy.wait_exit(TIME_LIMIT).code(), Some(0));

    // The last one has everything: the files of sockets, the statistics, and its own name.
    let mut unix = Client::connect(&Endpoint::Unix(seat.path("pool.sock")));
    assert_eq!(unix.ask(&["PING"]), "+PONG\r\n");
    assert!(TcpStream::connect(("127.0.0.1", seat.stats)).is_ok());
    let name = fs::read_to_string(format!("/proc/{}/comm", seat.pid())).expect("it runs");
    assert_eq!(name, "nuthatch\n");
    let last = seat.pid();
    assert_eq!(seat.ctl(&["shutdown"]).status, Some(0));
    wait_for("it ends", || !is_running(last));
    for name in ["pool.sock", "control", "pid"] {
        assert!(!seat.path(name).exists(), "{name} was left");
    }
}

#[test]
fn what_is_known_of_servers_is_handed_over() {
    let mut servers = need!(servers(3), "redis-server");
    let endpoints: Vec<_> = servers.iter().map(|it| it.endpoint().clone()).collect();
    let lines = [
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 600000",
        "timeout: 500",
    ];
    let args = ["--control=control", "--upgrade-drain=0"];
    let endpoints: Vec<_> = endpoints.iter().collect();
    let seat = Seat::start("nuthatch", &endpoints, &lines, &args);
    let gone = servers.remove(0);
    drop(gone);
    wait_for("the server is ejected", || {
        (0..20).for_each(|key| drop(seat.try_ask(&["GET", &format!("key:{key}")])));
        seat.state(0) == "ejected"
    });
    assert_eq!(seat.ctl(&["drain", "--pool=pool", "s1"]).status, Some(0));
    assert_eq!(seat.ctl(&["log-level", "7"]).status, Some(0));
    seat.upgrade();
    let states = [0, 1, 2].map(|server| seat.state(server));
    assert_eq!(states, ["ejected", "drained", "live"]);
    // No request of the new process goes there, so none fails.
    for key in 0..50 {
        let reply = seat.try_ask(&["SET", &format!("key:{key}"), "v"]);
        assert_eq!(reply.as_deref(), Some("+OK\r\n"));
    }
    let level = seat.ctl(&["log-level"]).stdout;
    assert_eq!(level, "the level of the log is 7\n");
    assert_eq!(seat.ctl(&["undrain", "--pool=pool", "s1"]).status, Some(0));
    assert_eq!(seat.state(1), "live");
}

/// That an upgrade fails for this reason, and nothing is different then.
fn is_refused(seat: &Seat, client: &mut Client, reason: &str) {
    let pid = seat.pid();
    let done = seat.ctl(&["upgrade"]);
    assert_eq!(done.status, Some(1), "{}", done.stdout);
    assert!(
        done.stderr.contains("nothing has changed"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains(reason), "{}", done.stderr);
    assert_eq!(seat.pid(), pid);
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    assert_eq!(seat.try_ask(&["PING"]).as_deref(), Some("+PONG\r\n"));
    let mut unix = Client::connect(&Endpoint::Unix(seat.path("pool.sock")));
    assert_eq!(unix.ask(&["PING"]), "+PONG\r\n");
    assert_eq!(seat.status()["pid"], pid);
}

#[test]
fn a_process_whose_successor_does_not_start_serves_on() {
    let servers = need!(servers(1), "redis-server");
    let args = ["--control=control", "--upgrade-drain=0"];
    let seat = Seat::start("nuthatch", &[servers[0].endpoint()], &[], &args);
    let mut client = Client::to_port(seat.port);

    let conf = fs::read_to_string(seat.path("n.yml")).expect("a file");
    fs::write(
        seat.path("n.yml"),
        conf.replace("redis: true", "redis: truly"),
    )
    .expect("a file");
    is_refused(&seat, &mut client, "truly");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let more = conf.clone() + &pool("more", &address, &[servers[0].endpoint()], &[]);
    fs::write(seat.path("n.yml"), more).expect("a file");
    is_refused(
        &seat,
        &mut client,
        &format!("pool 'more' cannot listen on '{address}'"),
    );
    fs::write(seat.path("n.yml"), &conf).expect("a file");

    let replace = |with: &Path| {
        fs::remove_file(seat.path("nuthatch")).expect("a file");
        symlink(with, seat.path("nuthatch")).expect("a link");
    };
    replace("/bin/true".as_ref());
    is_refused(&seat, &mut client, "it ended (exit status: 0)");
    replace("/bin/sleep".as_ref());
    is_refused(&seat, &mut client, "it ended (exit status: 1)");
    replace("/no/such/file".as_ref());
    is_refused(&seat, &mut client, "No such file");
    replace("/etc/passwd".as_ref());
    is_refused(&seat, &mut client, "starting");
    fs::write(seat.path("script"), "#!/bin/sh\nkill -9 $$\n").expect("a file");
    replace(&seat.path("script"));
    is_refused(&seat, &mut client, "starting");

    replace(BIN.as_ref());
    let new = seat.upgrade();
    let runs = fs::read_link(format!("/proc/{new}/exe")).expect("it runs");
    assert_eq!(runs, fs::canonicalize(BIN).expect("a file"));
}

#[test]
fn there_is_one_upgrade_at_a_time_and_the_old_process_serves_its_clients_on() {
    let servers = need!(servers(1), "redis-server");
    let args = ["--control=control", "--upgrade-drain=4000"];
    let mut seat = Seat::start("nuthatch", &[servers[0].endpoint()], &[], &args);
    let port = seat.port;
    let connect = |_| TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let mut clients: Vec<TcpStream> = (0..4).map(connect).collect();
    let is_answered = |client: &mut TcpStream| {
        client.write_all(b"GET k\r\n").is_ok() && line(client) == "$-1\r\n"
    };
    assert!(clients.iter_mut().all(is_answered));
    let old = seat.pid();
    assert_eq!(seat.ctl(&["upgrade"]).status, Some(0));
    wait_for("the pid file changes hands", || seat.pid() != old);
    // One of four is closed at once, the last one after three seconds.
    let answered = clients
        .iter_mut()
        .filter_map(|it| is_answered(it).then_some(()));
    let answered = answered.count();
    assert!(answered >= 2, "{answered}");
    wait_for("the new process knows of them", || {
        let status = seat.status();
        status["old_process"]["pid"] == old && status["old_process"]["clients"].as_u64() >= Some(1)
    });
    assert!(seat.status()["old_process"]["server_connections"].as_u64() >= Some(1));
    let again = seat.ctl(&["upgrade"]);
    assert_eq!(again.status, Some(1));
    assert!(again.stderr.contains("is not over"), "{}", again.stderr);
    assert_eq!(seat.proxy.wait_exit(TIME_LIMIT).code(), Some(0));
    wait_for("the new process knows that it has ended", || {
        seat.status()["old_process"].is_null()
    });
    seat.upgrade();
}

#[test]
fn clients_that_want_to_know_are_told_to_connect_again() {
    let servers = need!(servers(1), "redis-server");
    let args = ["--control=control", "--upgrade-drain=1500"];
    let lines = ["drain_to: elsewhere:6379"];
    let mut seat = Seat::start("nuthatch", &[servers[0].endpoint()], &lines, &args);
    let mut client = Client::to_port(seat.port);
    client.command(&[b"HELLO", b"3"]);
    client.reply();
    let ask = ["CLIENT", "MAINT_NOTIFICATIONS", "ON"];
    assert_eq!(client.ask(&ask), "+OK\r\n");
    assert_eq!(seat.ctl(&["upgrade"]).status, Some(0));
    let told = String::from_utf8_lossy(&client.reply()).into_owned();
    assert!(told.starts_with(">4\r\n$6\r\nMOVING\r\n:"), "{told}");
    // It is to connect to the same address, not to that of a drain.
    assert!(told.ends_with(":2\r\n_\r\n"), "{told}");
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    assert_eq!(seat.proxy.wait_exit(TIME_LIMIT).code(), Some(0));
}

#[test]
fn the_signal_upgrades_only_under_our_own_name_or_if_it_is_to() {
    let servers = need!(servers(1), "redis-server");
    let signals = "nuthatch:\n  signals: true\n";
    for (name, more, obeys) in [
        ("nuthatch", "", true),
        ("nutcracker", "", false),
        ("nutcracker", signals, true),
    ] {
        let mut seat = Seat::start_with(more, name, &[servers[0].endpoint()], &[], &[]);
        let old = seat.pid();
        seat.proxy.signal(Signal::USR2);
        wait_for("it is logged", || seat.log().contains("SIGUSR2"));
        match obeys {
            true => {
                wait_for("it is replaced", || seat.pid() != old);
                assert_eq!(seat.proxy.wait_exit(TIME_LIMIT).code(), Some(0));
            }
            false => {
                thread::sleep(Duration::from_millis(300));
                assert_eq!(seat.pid(), old);
            }
        }
        assert_eq!(seat.try_ask(&["PING"]).as_deref(), Some("+PONG\r\n"));
    }
}

#[test]
fn a_process_in_the_background_is_replaced_by_another_one() {
    let servers = need!(servers(1), "redis-server");
    let args = ["--control=control", "--upgrade-drain=0", "-d"];
    let mut seat = Seat::start("nuthatch", &[servers[0].endpoint()], &[], &args);
    assert_eq!(seat.proxy.wait_exit(TIME_LIMIT).code(), Some(0));
    let first = seat.pid();
    let second = seat.upgrade();
    assert_ne!(first, second);
    assert_eq!(seat.try_ask(&["PING"]).as_deref(), Some("+PONG\r\n"));
    // It has no terminal, and nothing reads what it prints.
    for number in 0..3 {
        let path = format!("/proc/{second}/fd/{number}");
        let leads_to = fs::read_link(path).expect("it is open");
        assert_eq!(leads_to, Path::new("/dev/null"));
    }
}

#[test]
fn servers_that_were_found_and_those_that_were_held_back_stay_so() {
    let redis = need!(testkit::redis(), "redis-server");
    let line = |name: &str| format!("{}:1 {name}\n", redis.endpoint());
    let file = tempfile::NamedTempFile::new().expect("a file");
    let write = |names: &[&str]| {
        let text: String = names.iter().map(|name| line(name)).collect();
        fs::write(file.path(), text).expect("a file");
    };
    write(&["a", "b", "c"]);
    let (port, path) = (free_port(), file.path().display());
    let more =
        format!("found:\n  listen: 127.0.0.1:{port}\n  redis: true\n  servers: {{file: {path}}}\n");
    let args = ["--control=control"];
    let seat = Seat::start_with(&more, "nuthatch", &[redis.endpoint()], &[], &args);
    let found = || {
        let status = seat.status();
        let pools = status["pools"].as_array().expect("pools").iter();
        let mut pools = pools.filter(|pool| pool["name"] == "found");
        pools.next().expect("the pool").clone()
    };
    let names = || {
        let pool = found();
        let servers = pool["servers"].as_array().expect("servers").iter();
        servers
            .map(|it| it["name"].as_str().expect("a name").to_owned())
            .collect::<String>()
    };
    let is_held_back = || !found()["discovery"]["held_back"].is_null();
    write(&["x"]);
    wait_for("the change is held back", is_held_back);
    seat.upgrade();
    wait_for("it is still held back", is_held_back);
    assert_eq!(names(), "abc");
    write(&["a", "b", "c", "d"]);
    wait_for("the file is followed", || names() == "abcd");
}
