//! The program around the core, seen from outside: starting, signals, shutdown, logs, descriptors.

// Clippy recognises test functions, but not their helpers.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, kill_process, prlimit, test_kill_process};
use testkit::{Client, Process, Proxy, Signal, eventually, free_port};

const TIME_LIMIT: Duration = Duration::from_secs(10);

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_nuthatch"))
}

fn redis_pool(listen: impl std::fmt::Display, server: u16) -> String {
    format!(
        "pool:\n  listen: {listen}\n  redis: true\n  servers:\n    - 127.0.0.1:{server}:1 one\n"
    )
}

/// A proxy for one Redis pool whose only server is `server`.
fn proxy(args: &[&str], server: u16) -> (Proxy, u16) {
    let port = free_port();
    let conf = redis_pool(format_args!("127.0.0.1:{port}"), server);
    (testkit::nuthatch(binary(), args, &conf), port)
}

/// Runs the binary to its end with a configuration in its own directory.
fn run(conf: &str, args: &[&str]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("conf.yml");
    fs::write(&file, conf).unwrap();
    let mut command = Command::new(binary());
    command
        .current_dir(dir.path())
        .args(["-c", "conf.yml", "-a", "127.0.0.1"]);
    command.args(["-s", &free_port().to_string()]).args(args);
    let mut process = Process::spawn(command);
    let status = process.wait_exit(TIME_LIMIT);
    (status.code(), process.stderr())
}

/// A server that takes one request and answers when the test wants.
struct Server {
    listener: TcpListener,
    stream: Option<TcpStream>,
}

impl Server {
    fn new() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = None;
        (Self { listener, stream }, port)
    }

    fn take_request(&mut self) {
        let (mut stream, _) = self.listener.accept().unwrap();
        let mut request = [0; 1000];
        assert!(stream.read(&mut request).unwrap() > 0);
        self.stream = Some(stream);
    }

    fn answer(&mut self, reply: &[u8]) {
        self.stream.as_mut().unwrap().write_all(reply).unwrap();
    }
}

fn get() -> &'static [u8] {
    b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
}

#[test]
fn sigterm_answers_what_is_in_flight_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (pid, socket) = (dir.path().join("pid"), dir.path().join("pool.sock"));
    let (mut server, server_port) = Server::new();
    let conf = redis_pool(socket.display(), server_port);
    let mut proxy = testkit::nuthatch(binary(), &["-p", pid.to_str().unwrap()], &conf);
    assert_eq!(fs::read_to_string(&pid).unwrap(), proxy.pid().to_string());
    let endpoint = testkit::Endpoint::Unix(socket.clone());
    let (mut busy, mut idle) = (Client::connect(&endpoint), Client::connect(&endpoint));
    busy.send(get());
    server.take_request();
    proxy.signal(Signal::TERM);
    assert!(idle.rest().is_empty(), "an idle client is closed at once");
    assert!(!socket.exists(), "nobody new comes in");
    assert!(proxy.exited().is_none());
    server.answer(b"$5\r\nhello\r\n");
    assert_eq!(busy.exactly(11), b"$5\r\nhello\r\n");
    assert!(busy.rest().is_empty());
    assert_eq!(proxy.wait_exit(TIME_LIMIT).code(), Some(0));
    assert!(!pid.exists());
    assert!(
        proxy
            .stderr()
            .contains("signal 15 (SIGTERM) received, exiting")
    );
    assert!(proxy.stderr().ends_with(" done\n"), "{}", proxy.stderr());
}

#[test]
fn the_end_comes_even_if_a_server_never_answers() {
    let (mut server, server_port) = Server::new();
    let (mut proxy, port) = proxy(&["--shutdown-timeout", "300"], server_port);
    let mut client = Client::to_port(port);
    client.send(get());
    server.take_request();
    let begin = Instant::now();
    proxy.signal(Signal::INT);
    assert_eq!(proxy.wait_exit(TIME_LIMIT).code(), Some(0));
    assert!((300..3_000).contains(&begin.elapsed().as_millis()));
}

#[test]
fn a_second_signal_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let (mut server, server_port) = Server::new();
    let args = ["--shutdown-timeout", "60000", "-p", pid.to_str().unwrap()];
    let (mut proxy, port) = proxy(&args, server_port);
    let mut client = Client::to_port(port);
    client.send(get());
    server.take_request();
    proxy.signal(Signal::TERM);
    let refused = || {
        TcpStream::connect(("127.0.0.1", port))
            .is_err()
            .then_some(())
    };
    eventually(TIME_LIMIT, refused).expect("the first signal closes the listener");
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.wait_exit(TIME_LIMIT).code(), Some(1));
    assert!(!pid.exists());
}

#[test]
fn a_busy_port_is_named_with_its_pool_in_the_foreground_and_the_background() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let conf = redis_pool(address, 1);
    for args in [&[][..], &["-d"], &["-d", "-o", "log"]] {
        let (status, stderr) = run(&conf, args);
        assert_eq!(status, Some(1), "{args:?}");
        let line =
            format!("nuthatch: pool 'pool' cannot listen on '{address}': Address already in use");
        assert_eq!(stderr.lines().last(), Some(&*line), "{args:?}");
    }
}

#[test]
fn what_is_wrong_at_start_is_told_in_the_last_line() {
    let sound = redis_pool(format_args!("127.0.0.1:{}", free_port()), 1);
    let rows: [(&str, &[&str], &str); 5] = [
        (
            "pool:\n",
            &[],
            "nuthatch: configuration file 'conf.yml' syntax is invalid",
        ),
        (
            &sound,
            &["-o", "no/log"],
            "nuthatch: opening log file 'no/log' failed: No such file or directory",
        ),
        (
            &sound,
            &["-p", "no/pid"],
            "nuthatch: opening pid file 'no/pid' failed: No such file or directory",
        ),
        (
            &sound,
            &["-c", "none"],
            "nuthatch: configuration file 'none' cannot be read",
        ),
        (
            &sound,
            &["-a", "/no/stats"],
            "nuthatch: cannot listen on '/no/stats' for statistics: \
            No such file or directory (-a and -s set another address)",
        ),
    ];
    for (conf, args, line) in rows {
        for background in [&[][..], &["-d"]] {
            let (status, stderr) = run(conf, &[args, background].concat());
            assert_eq!((status, stderr.lines().last()), (Some(1), Some(line)));
        }
    }
}

/// The daemon whose id is in a pid file; killed at the end of the test.
struct Daemon(Pid);

impl Daemon {
    fn of(pid_file: &Path) -> Self {
        let text = fs::read_to_string(pid_file).unwrap();
        Self(Pid::from_raw(text.parse().unwrap()).unwrap())
    }

    /// The one whose start the log tells of last.
    fn told_by(log: &Path) -> Self {
        let text = fs::read_to_string(log).unwrap();
        let (_, end) = text.rsplit_once("started on pid ").unwrap();
        let pid = end.lines().next().unwrap();
        Self(Pid::from_raw(pid.parse().unwrap()).unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.0, signal).unwrap();
    }

    fn is_gone(&self) -> bool {
        // It may have no parent to reap it, so a zombie counts as gone.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.as_raw_nonzero()));
        test_kill_process(self.0).is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.is_gone() {
            let _ = kill_process(self.0, Signal::KILL);
        }
    }
}

#[test]
fn the_parent_of_a_daemon_returns_when_it_serves() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (port, server) = (free_port(), free_port());
    fs::write(
        path("conf"),
        redis_pool(format_args!("127.0.0.1:{port}"), server),
    )
    .unwrap();
    let mut parent = Command::new(binary());
    parent
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .args(["-d", "-c", "conf", "-o", "log"]);
    parent.args([
        "-p",
        "pid",
        "-a",
        "127.0.0.1",
        "-s",
        &free_port().to_string(),
    ]);
    // Its output ends although the daemon lives on: the daemon has closed it.
    let output = parent.output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let daemon = Daemon::of(&path("pid"));
    let mut client = Client::to_port(port);
    client.send(b"PING\r\n");
    assert_eq!(client.line(), b"+PONG\r\n");
    let started = format!("started on pid {}", daemon.0.as_raw_nonzero());
    expect_text(&path("log"), &started);
    daemon.signal(Signal::TERM);
    eventually(TIME_LIMIT, || daemon.is_gone().then_some(())).expect("SIGTERM ends it");
    assert!(!path("pid").exists());
    assert!(
        fs::read_to_string(path("log"))
            .unwrap()
            .ends_with(" done\n")
    );
}

/// Waits until a file contains a text: logs are written by a separate thread.
fn expect_text(file: &Path, text: &str) {
    let read = || fs::read_to_string(file).unwrap_or_default();
    let found = eventually(TIME_LIMIT, || read().contains(text).then_some(()));
    assert!(found.is_some(), "no {text:?} in {file:?}:\n{}", read());
}

#[test]
fn levels_change_and_logs_are_reopened_by_signals() {
    let dir = tempfile::tempdir().unwrap();
    let (log, old) = (dir.path().join("log"), dir.path().join("log.1"));
    let (mut proxy, _) = proxy(&["-v", "11", "-o", log.to_str().unwrap()], 1);
    proxy.signal(Signal::TTOU);
    expect_text(&log, "signal 22 (SIGTTOU) received, down logging level\n");
    expect_text(&log, "down log level to 10\n");
    proxy.signal(Signal::TTIN);
    expect_text(&log, "up log level to 11\n");
    fs::rename(&log, &old).unwrap();
    proxy.signal(Signal::HUP);
    expect_text(&old, "signal 1 (SIGHUP) received, reopening log file\n");
    proxy.signal(Signal::USR2);
    expect_text(&log, "signal 12 (SIGUSR2) received\n");
    // Another process takes its place, and would outlive the test.
    expect_text(&log, "started on pid ");
    drop(Daemon::told_by(&log));
}

/// A child whose standard error is a pipe that nobody reads.
struct Unheard(Child);

impl Drop for Unheard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_log_that_nobody_reads_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (conf, port) = (dir.path().join("conf"), free_port());
    fs::write(&conf, redis_pool(format_args!("127.0.0.1:{port}"), 1)).unwrap();
    let mut command = Command::new(binary());
    command
        .arg("-c")
        .arg(&conf)
        .args(["-v", "8", "-a", "127.0.0.1"])
        .args(["-s", &free_port().to_string()]);
    let child = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut unheard = Unheard(child);
    let endpoint = testkit::Endpoint::loopback(port);
    let mut client = eventually(TIME_LIMIT, || Client::try_connect(&endpoint).ok()).unwrap();
    // At this level each is a line: far more than a pipe and the queue of records can hold.
    for _ in 0..200 {
        client.send(&b"NOSUCHCOMMAND\r\n".repeat(100));
        for _ in 0..100 {
            assert!(client.line().starts_with(b"-ERR"));
        }
    }
    client.send(b"PING\r\n");
    assert_eq!(client.line(), b"+PONG\r\n");
    kill_process(Pid::from_child(&unheard.0), Signal::TERM).unwrap();
    let status = eventually(TIME_LIMIT, || unheard.0.try_wait().unwrap());
    assert_eq!(status.and_then(|status| status.code()), Some(0));
}

/// User and system time of a process in ticks of 10 ms.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn without_descriptors_clients_wait_and_nothing_spins() {
    let (proxy, port) = proxy(&[], 1);
    let pid = Pid::from_raw(i32::try_from(proxy.pid()).unwrap());
    let before = getrlimit(Resource::Nofile);
    let ping = |client: &mut Client| {
        client.send(b"PING\r\n");
        assert_eq!(client.line(), b"+PONG\r\n");
    };
    let mut early = Client::to_port(port);
    ping(&mut early);
    let open = fs::read_dir(format!("/proc/{}/fd", proxy.pid()))
        .unwrap()
        .count() as u64;
    let limit = |current| Rlimit { current, ..before };
    prlimit(pid, Resource::Nofile, limit(Some(open))).unwrap();
    let (mut late, mut later) = (Client::to_port(port), Client::to_port(port));
    let ticks = cpu_ticks(proxy.pid());
    std::thread::sleep(Duration::from_secs(1));
    assert!(cpu_ticks(proxy.pid()) - ticks < 30, "the acceptor spins");
    ping(&mut early);
    prlimit(pid, Resource::Nofile, limit(before.current)).unwrap();
    ping(&mut late);
    ping(&mut later);
    assert!(
        proxy
            .stderr()
            .contains("accept for pool 'pool' failed: Too many open files")
    );
}

#[test]
fn client_connections_is_enforced() {
    let port = free_port();
    let mut conf = redis_pool(format_args!("127.0.0.1:{port}"), 1);
    conf.push_str("  client_connections: 2\n");
    let proxy = testkit::nuthatch(binary(), &["--workers", "3"], &conf);
    let ping = |client: &mut Client| {
        client.send(b"PING\r\n");
        client.line()
    };
    // The closing of the test kit's own connection may not have been noticed yet.
    let mut clients = Vec::new();
    while clients.len() < 2 {
        let mut client = Client::to_port(port);
        if ping(&mut client) == b"+PONG\r\n" {
            clients.push(client);
        }
    }
    let mut third = Client::to_port(port);
    assert_eq!(third.line(), b"-ERR max number of clients reached\r\n");
    assert!(third.rest().is_empty());
    drop(clients);
    let room = || (ping(&mut Client::to_port(port)) == b"+PONG\r\n").then_some(());
    eventually(TIME_LIMIT, room).expect("room again");
    assert!(
        proxy
            .stderr()
            .contains("the limit of 2 client connections is enforced")
    );
}

#[test]
fn a_running_processs_socket_is_not_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("pool.sock");
    let conf = redis_pool(socket.display(), 1);
    let _first = testkit::nuthatch(binary(), &[], &conf);
    let (status, stderr) = run(&conf, &[]);
    assert_eq!(status, Some(1));
    assert!(stderr.ends_with("Address already in use\n"), "{stderr}");
    let mut client = Client::connect(&testkit::Endpoint::Unix(socket));
    client.send(b"PING\r\n");
    assert_eq!(client.line(), b"+PONG\r\n");
}
