//! What an operator reads: whose doing a line is, how often a thing is told, and what is not lost without a word.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::{Client, free_port};

use crate::failure::kill_noticed;
use crate::need;
use crate::rig::{Rig, pool, text, wait_for};

/// How many times the lines that contain `what` say that it has happened, and how many lines there are.
fn told(log: &str, what: &str) -> (u64, usize) {
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(what)).collect();
    let times = |line: &&str| {
        let more = line.split("; and ").nth(1);
        let more = more.and_then(|more| more.strip_suffix(" more like it"));
        1 + more.map_or(0, |more| more.parse().expect("a number"))
    };
    (lines.iter().map(times).sum(), lines.len())
}

/// How many lines of one kind there may be since then: one per second, the first, and what was left out at last.
fn most_lines(begin: Instant) -> usize {
    begin.elapsed().as_secs() as usize + 2
}

#[test]
fn a_flood_of_refused_commands_is_a_handful_of_lines_that_count_all_of_them() {
    let rig = need!(Rig::redis_with(1, &[], &["--workers", "2"]), "redis-server");
    let mut clients = [rig.client(), rig.client(), rig.client()];
    let begin = Instant::now();
    for _ in 0..10 {
        for client in &mut clients {
            client.send(&b"MONITOR\r\n".repeat(100));
            (0..100).for_each(|_| assert!(client.line().starts_with(b"-ERR unsupported")));
        }
    }
    let line = "parsed unsupported command 'monitor' (pool 'pool', client 127.0.0.1:";
    wait_for("all of them are told", || {
        told(&rig.proxy.stderr(), line).0 == 3_000
    });
    let (_, lines) = told(&rig.proxy.stderr(), line);
    assert!(lines <= most_lines(begin), "{}", rig.proxy.stderr());
}

#[test]
fn what_was_left_out_is_told_before_the_end() {
    let mut rig = need!(Rig::redis(1, &[]), "redis-server");
    let mut client = rig.client();
    for _ in 0..20 {
        assert!(client.ask(&["DEBUG", "OBJECT", "k"]).starts_with("-ERR"));
    }
    rig.proxy.signal(Signal::TERM);
    rig.proxy.wait_exit(Duration::from_secs(10));
    let log = rig.proxy.stderr();
    assert_eq!(
        told(&log, "parsed unsupported command 'debug").0,
        20,
        "{log}"
    );
    assert!(log.ends_with(" done\n"), "{log}");
}

#[test]
fn each_of_two_dead_servers_has_its_lines() {
    let mut rig = need!(Rig::redis(3, &[]), "redis-server");
    let keys = rig.keys();
    kill_noticed(&mut rig, 0);
    kill_noticed(&mut rig, 1);
    let mut client = rig.client();
    let begin = Instant::now();
    for _ in 0..200 {
        for key in &keys[..2] {
            assert_eq!(client.ask(&["GET", key]), "-ERR Connection refused\r\n");
        }
    }
    for server in ["s0", "s1"] {
        let line = format!("connection to server '{server}' closed, ");
        // One more for the connection that was open when it died.
        wait_for("all of them are told", || {
            told(&rig.proxy.stderr(), &line).0 == 201
        });
        let (_, lines) = told(&rig.proxy.stderr(), &line);
        // The one more may be of another second.
        assert!(lines <= 1 + most_lines(begin), "{}", rig.proxy.stderr());
    }
    let log = rig.proxy.stderr();
    let closed: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("closed, "))
        .collect();
    assert!(
        closed.iter().all(|line| line.contains(" (pool 'pool')")),
        "{log}"
    );
}

#[test]
fn each_level_shows_more_and_positions_only_from_7_on() {
    let lines = [
        (6, "client connected (pool 'pool', client 127.0.0.1:"),
        (6, "connection to server 's0' made (pool 'pool')"),
        (6, "client closed: "),
        (7, "connection to server 's0' takes requests"),
        (8, "request 'SET' of "),
        (
            9,
            "key 'the key' of 7 bytes, server 's0' (pool 'pool', client 127.0.0.1:",
        ),
        (10, "read 5 bytes, server 's0'"),
    ];
    for level in [5_u8, 6, 7, 8, 9, 11] {
        let args = ["-v", &level.to_string(), "-o", "n.log"];
        let mut rig = need!(Rig::redis_with(1, &[], &args), "redis-server");
        let mut client = rig.client();
        assert_eq!(client.ask(&["SET", "the key", "the value"]), "+OK\r\n");
        drop(client);
        wait_for("the client has left", || {
            rig.pool_stat("client_connections") == 0
        });
        rig.proxy.signal(Signal::TERM);
        rig.proxy.wait_exit(Duration::from_secs(10));
        let log = fs::read_to_string(rig.proxy.dir().join("n.log")).expect("there is a log");
        for (from, line) in lines {
            assert_eq!(log.contains(line), from <= level, "{level}, {line}: {log}");
        }
        assert!(!log.contains("the value"), "{log}");
        for line in log.lines() {
            let first = line[26..].split(' ').next().unwrap_or_default();
            let has_position = first.contains(".rs:");
            assert_eq!(has_position, level >= 7, "{line}");
        }
    }
}

#[test]
fn requests_are_told_of_as_soon_as_a_signal_asks_for_it() {
    let mut rig = need!(Rig::redis_with(1, &[], &["-v", "7"]), "redis-server");
    let mut client = rig.client();
    assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
    rig.proxy.signal(Signal::TTIN);
    wait_for("the level is changed", || {
        rig.proxy.stderr().contains("up log level to 8")
    });
    assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n");
    wait_for("it is told", || {
        rig.proxy.stderr().contains("request 'GET'")
    });
    assert!(!rig.proxy.stderr().contains("request 'SET'"));
}

/// A proxy that writes its log to `log`; returns it and its port.
fn proxy_with_log(log: &Path, args: &[&str]) -> (testkit::Proxy, u16) {
    let port = free_port();
    let server = testkit::Endpoint::loopback(1);
    let conf = pool(
        "pool",
        &format!("127.0.0.1:{port}"),
        &[&server],
        &["redis: true"],
    );
    let log = log.to_str().expect("a plain path");
    let args = [&["-o", log], args].concat();
    (crate::rig::nuthatch(&args, &conf), port)
}

fn ping(port: u16, times: usize) {
    let mut client = Client::to_port(port);
    client.send(&b"PING\r\n".repeat(times));
    (0..times).for_each(|_| assert_eq!(text(&client.line()), "+PONG\r\n"));
}

#[test]
fn a_full_disk_stops_nobody_and_what_it_lost_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = dir.path().join("n.log");
    // Each write there fails as on a full disk.
    symlink("/dev/full", &log).expect("the folder can be written");
    let (mut proxy, port) = proxy_with_log(&log, &["-v", "8"]);
    ping(port, 1_000);
    fs::remove_file(&log).expect("it is there");
    proxy.signal(Signal::HUP);
    let read = || fs::read_to_string(&log).unwrap_or_default();
    let line = " log lines lost: No space left on device";
    wait_for("it is told", || read().contains(line));
    let lost: usize = read()
        .lines()
        .find_map(|it| it.strip_suffix(line))
        .and_then(|it| it.rsplit(' ').next())
        .and_then(|it| it.parse().ok())
        .expect("a number");
    // Some may have been waiting when the file was reopened.
    ping(port, 1);
    wait_for("each line is written or counted", || {
        lost + read().matches("request 'PING'").count() > 1_000
    });
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.wait_exit(Duration::from_secs(10)).code(), Some(0));
}

/// A file system with little room, if this process may make one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().ok()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "none"]);
        let output = mount.arg(dir.path()).output().ok()?;
        output.status.success().then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        // If it fails, the folder stays, which does no harm.
        let _ = umount.arg("-l").arg(self.0.path()).output();
    }
}

#[test]
fn when_a_full_disk_has_room_again_no_line_is_torn() {
    let disk = need!(SmallDisk::new(), "a small file system (root)");
    let (log, other) = (disk.0.path().join("n.log"), disk.0.path().join("other"));
    fs::write(&other, [0; 32 << 10]).expect("there is room");
    let (_proxy, port) = proxy_with_log(&log, &["-v", "8"]);
    let read = || fs::read_to_string(&log).unwrap_or_default();
    // The log fills the disk.
    for _ in 0..20 {
        ping(port, 100);
        thread::sleep(Duration::from_millis(5));
    }
    assert!(!read().contains("log lines lost"));
    fs::remove_file(&other).expect("it is there");
    wait_for("it is told although nothing else is logged", || {
        read().contains(" log lines lost: No space left on device")
    });
    let log = read();
    for line in log.lines() {
        assert_eq!(line.matches("] ").count(), 1, "{line}");
        assert!(line.starts_with('[') && line.len() > 26, "{line}");
    }
    assert!(log.ends_with('\n'));
}
